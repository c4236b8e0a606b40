package containerd

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

var one, two = digest.FromString("one"), digest.FromString("two")

// holding returns a catalog of records: names and, after a blank, what they are
// for.
func holding(records ...string) *catalog {
	var list []images.Image
	for _, r := range records {
		name, of, _ := strings.Cut(r, " ")
		d := one
		if of == "two" {
			d = two
		}
		list = append(list, images.Image{Name: name, Target: v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: d, Size: 3}})
	}
	return newCatalog(&node{namespace: "test"}, list)
}

func TestList(t *testing.T) {
	for name, c := range map[string]struct {
		records []string
		want    []string
		err     error
	}{
		"none":                       {nil, nil, nil},
		"one":                        {[]string{"docker.io/library/a:1 one"}, []string{"docker.io/library/a:1 one"}, nil},
		"sorted":                     {[]string{"h.example/b:1 one", "h.example/a:2 two"}, []string{"h.example/a:2 two", "h.example/b:1 one"}, nil},
		"kubelet's names":            {[]string{one.String() + " one", "h.example/a:1 one", "h.example/a@" + one.String() + " one"}, []string{"h.example/a:1 one"}, nil},
		"only by digest":             {[]string{"h.example/a@" + one.String() + " one"}, []string{"h.example/a@" + one.String() + " one"}, nil},
		"moved tag":                  {[]string{"h.example/a:1 two", "h.example/a@" + one.String() + " one"}, []string{"h.example/a:1 two", "h.example/a@" + one.String() + " one"}, nil},
		"digest of something else":   {[]string{"h.example/a@" + one.String() + " two"}, nil, nil},
		"names that ctr made up":     {[]string{"import-2026-11-21 one", "import-2026-11-21:tag one", "import-2026-11-21@" + one.String() + " one"}, nil, nil},
		"nerdctl's dangling":         {[]string{"overlayfs@" + one.String() + " one"}, nil, nil},
		"no name at all":             {[]string{"Not A Name one"}, nil, nil},
		"short":                      {[]string{"a one", "b:1 two"}, []string{"docker.io/library/a:latest one", "docker.io/library/b:1 two"}, nil},
		"short and full, the same":   {[]string{"a:1 one", "docker.io/library/a:1 one"}, []string{"docker.io/library/a:1 one"}, nil},
		"short and full, two images": {[]string{"a:1 one", "docker.io/library/a:1 two"}, nil, fault.ErrUsage},
	} {
		list, err := holding(c.records...).list()
		if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
			continue
		}
		var got []string
		for _, i := range list {
			got = append(got, i.Name.String()+" "+map[digest.Digest]string{one: "one", two: "two"}[i.Root.Digest])
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestByName(t *testing.T) {
	c := holding("h.example/a:1 one", "h.example/a@"+two.String()+" two", "b:1 two")
	for selector, want := range map[string]digest.Digest{
		"h.example/a:1":                                  one,
		"h.example/a:1@" + one.String():                  one,
		"h.example/a@" + one.String():                    one, // by the tag's record
		"h.example/a@" + two.String():                    two,
		"b:1":                                            two,
		"docker.io/library/b:1":                          two,
		"h.example/a:2":                                  "",
		"h.example/a:1@" + two.String():                  "",
		"h.example/b:1":                                  "",
		"h.example/b@" + one.String():                    "",
		"h.example/a@" + digest.FromString("x").String(): "",
	} {
		n, err := transport.ParseName(selector)
		if err != nil {
			t.Fatal(err)
		}
		img, err := c.byName(n)
		switch {
		case want == "" && !errors.Is(err, fault.ErrMissing):
			t.Errorf("%s: %v, %v; want an ErrMissing", selector, img, err)
		case want != "" && (err != nil || img.Root.Digest != want || img.Name != n):
			t.Errorf("%s: %v, %v; want %s", selector, img, err, want)
		}
	}
	if _, err := c.byName(transport.Name{Domain: "h.example", Path: "x", Tag: "1"}); !strings.Contains(fault.Hint(err), "h.example/a:1") {
		t.Errorf("hint %q does not say what there is", fault.Hint(err))
	}
}

func TestByDigest(t *testing.T) {
	id := digest.FromString("config")
	c := holding("h.example/a@"+one.String()+" one", "h.example/b:1 one", id.String()+" one", digest.FromString("lost").String()+" two")
	for _, d := range []digest.Digest{one, id} {
		if img, ok := c.byDigest(d); !ok || img.Name.String() != "h.example/b:1" || img.Root.Digest != one {
			t.Errorf("%s: %v, %t", d, img, ok)
		}
	}
	if img, ok := c.byDigest(digest.FromString("lost")); ok {
		t.Errorf("what has no name is called %s", img.Name)
	}
}

// Whatever containerd calls an image, the name that is made of it is one that
// finds it again.
func FuzzReadName(f *testing.F) {
	for _, s := range []string{"docker.io/library/a:1", "a", one.String(), "import-2026-11-21", "h.example:5000/a/b@" + one.String(), "\x1b[1m", "A/b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, full, ok := readName(s)
		if !ok {
			return
		}
		again, err := transport.ParseName(n.String())
		if err != nil || again != n {
			t.Errorf("%q became %v, which reads as %v, %v", s, n, again, err)
		}
		if full != (n.String() == s) {
			t.Errorf("%q: full is %t", s, full)
		}
	})
}

func FuzzMediaType(f *testing.F) {
	for _, s := range []string{`{}`, `{"mediaType":"` + v1.MediaTypeImageIndex + `"}`, `{"config":{}}`, `{"manifests":[]}`, `{"mediaType":"x","config":{}}`, `[`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if m := mediaType(b); m != "" && !isManifest(m) {
			t.Errorf("%q has type %q", b, m)
		}
	})
}
