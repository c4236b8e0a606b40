package containerd

import (
	"errors"
	"strings"
	"testing"

	"bale/bundle/fault"
)

func TestSplit(t *testing.T) {
	t.Setenv("CONTAINERD_NAMESPACE", "")
	for _, c := range []struct {
		place, namespace, selector string
		want                       error
	}{
		{"k8s.io", "k8s.io", "", nil},
		{"k8s.io/docker.io/library/nginx:1", "k8s.io", "docker.io/library/nginx:1", nil},
		{"k8s.io/nginx:1", "k8s.io", "nginx:1", nil},
		{"default/team/app@sha256:00", "default", "team/app@sha256:00", nil},
		{"docker.io/library/nginx:1", "docker.io", "library/nginx:1", nil}, // the rule knows no registries
		{"", "default", "", nil},
		{"/nginx:1", "default", "nginx:1", nil},
		{"nginx:1", "", "", fault.ErrUsage},
		{"k8s.io/", "", "", fault.ErrUsage},
		{"/", "", "", fault.ErrUsage},
		{"../etc/x", "", "", fault.ErrUsage},
		{"a b/x", "", "", fault.ErrUsage},
		{strings.Repeat("n", 77), "", "", fault.ErrUsage},
	} {
		namespace, selector, err := Split(c.place)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%q: %v, want %v", c.place, err, c.want)
			continue
		}
		if err != nil {
			if fault.Hint(err) == "" {
				t.Errorf("%q: no hint", c.place)
			}
			continue
		}
		if namespace != c.namespace || selector != c.selector {
			t.Errorf("%q: %q, %q; want %q, %q", c.place, namespace, selector, c.namespace, c.selector)
		}
	}
	t.Setenv("CONTAINERD_NAMESPACE", "moby")
	if namespace, _, err := Split("/nginx:1"); namespace != "moby" || err != nil {
		t.Errorf("%q, %v: the environment does not count", namespace, err)
	}
}

// What Split accepts is a namespace and a rest that make the place again.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"k8s.io", "k8s.io/nginx:1", "", "/x", "a/", "a//b", "é/x", "a\x00/b"} {
		f.Add(s)
	}
	f.Setenv("CONTAINERD_NAMESPACE", "default")
	f.Fuzz(func(t *testing.T, place string) {
		namespace, selector, err := Split(place)
		if err != nil {
			if namespace != "" || selector != "" {
				t.Errorf("%q: %v, and %q, %q besides", place, err, namespace, selector)
			}
			return
		}
		if checkNamespace(namespace) != nil || strings.Contains(namespace, "/") {
			t.Errorf("%q: namespace %q", place, namespace)
		}
		again := namespace + "/" + selector
		if selector == "" {
			again = namespace
		}
		if again != place && !strings.HasSuffix(again, place) {
			t.Errorf("%q became %q", place, again)
		}
	})
}
