package layout

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
)

func TestNameOf(t *testing.T) {
	d, other := digest.FromString("it"), digest.FromString("another")
	for _, c := range []struct {
		who, ref, full string // who writes it so
		want           string
	}{
		{"docker save", "1.35", "docker.io/library/busybox:1.35", "docker.io/library/busybox:1.35"},
		{"ctr export", "registry.example/team/app:1.0", "registry.example/team/app:1.0", "registry.example/team/app:1.0"},
		{"skopeo copy … oci:DIR:1.35", "1.35", "", "localhost/my-images:1.35"},
		{"skopeo copy … oci:DIR", "", "", "localhost/my-images@" + d.String()},
		{"skopeo copy … oci:DIR:busybox:1.35", "busybox:1.35", "", "docker.io/library/busybox:1.35"},
		{"crane pull --annotate-ref", "127.0.0.1:5000/team/app:1", "", "127.0.0.1:5000/team/app:1"},
		{"crane pull --annotate-ref by digest", "registry.example/app@" + d.String(), "", "registry.example/app@" + d.String()},
		{"buildah push … oci:DIR:x", "x", "", "localhost/my-images:x"},
		{"cosign save", "sha256-2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae.sig", "",
			"localhost/my-images:sha256-2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae.sig"},
		{"a repository without a tag", "team/app", "", "docker.io/team/app:latest"},
		{"a digest as the name", d.String(), "", "localhost/my-images@" + d.String()},
		{"another's digest in the name", "app@" + other.String(), "", "docker.io/library/app@" + d.String()},
		{"another's digest after a tag", "app:1@" + other.String(), "", "docker.io/library/app:1"},
		{"its own digest after a tag", "app:1@" + d.String(), "", "docker.io/library/app:1@" + d.String()},
		{"a containerd name that is none", "1.0", "no:name:at:all", "localhost/my-images:1.0"},
		{"a containerd name that is a tag", "1.0", "latest", "localhost/my-images:1.0"},
		{"free text", "my favourite one", "", "localhost/my-images@" + d.String()},
		{"an upper-case repository", "Team/App:1", "", "localhost/my-images@" + d.String()},
		{"too long", strings.Repeat("a", transport.MaxName) + ":1", "", "localhost/my-images@" + d.String()},
	} {
		desc := v1.Descriptor{Digest: d, Annotations: map[string]string{}}
		if c.ref != "" {
			desc.Annotations[v1.AnnotationRefName] = c.ref
		}
		if c.full != "" {
			desc.Annotations[annotationName] = c.full
		}
		if got := nameOf("my-images", desc).String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.who, got, c.want)
		}
	}
}

func TestLocalRepository(t *testing.T) {
	for dir, want := range map[string]string{
		"/srv/images":                      "images",
		"/srv/My Images!":                  "my-images",
		"/srv/app_v1.2--x":                 "app_v1.2--x",
		"/srv/a.-.b":                       "a-b",
		"/srv/..hidden__":                  "hidden",
		"/":                                "layout",
		"/srv/日本":                          "layout",
		"/srv/" + strings.Repeat("a", 300): strings.Repeat("a", maxLocalName),
	} {
		if got := localRepository(dir); got != want {
			t.Errorf("localRepository(%q) = %q, want %q", dir, got, want)
		}
	}
}

func FuzzLocalRepository(f *testing.F) {
	for _, s := range []string{"images", "My Images", "a__b", "a___b", "-a-", "a.b_c--d", "日本a", strings.Repeat("a-", 200)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, dir string) {
		want := transport.Name{Domain: "localhost", Path: localRepository(dir), Tag: "1.0"}
		got, err := transport.ParseName(want.String())
		if err != nil || got != want {
			t.Errorf("%q gives %s, which is read as %s (%v)", dir, want, got, err)
		}
	})
}
