package layout

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// FuzzIndex reads an index.json as a source does. What is accepted must have
// names that are names, be found again by its digest, and come through a
// sink's rewriting.
func FuzzIndex(f *testing.F) {
	seeds, err := filepath.Glob(filepath.FromSlash("../../testdata/images/*/index.json"))
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds (%v)", err)
	}
	for _, s := range seeds {
		content, err := os.ReadFile(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	const one = `{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":7,"digest":"sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"`
	f.Add([]byte(`{"schemaVersion":2,"manifests":[` + one + `,"annotations":{"org.opencontainers.image.ref.name":"1.0"}},` + one + `}]}`))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"mediaType":"application/xml","size":1,"digest":"sha256:00"}]}`))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[` + one + `,"annotations":{"io.containerd.image.name":"a@b"}}]}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		idx, err := parseIndex(content)
		if err != nil {
			if !errors.Is(err, fault.ErrDamaged) && !errors.Is(err, fault.ErrUnsupported) {
				t.Fatalf("refused with no kind: %v", err)
			}
			return
		}
		entries := images("layout", idx)
		var own []v1.Descriptor
		for _, e := range entries {
			own = append(own, e.desc)
			n, err := transport.ParseName(e.name.String())
			if err != nil || n != e.name {
				t.Fatalf("name %s is read as %s (%v)", e.name, n, err)
			}
			img, err := find("oci:/srv/layout", entries, e.desc.Digest.String())
			if err != nil || img.Root.Digest != e.desc.Digest {
				t.Fatalf("%s is not found by its digest: %v", e.desc.Digest, err)
			}
			if e.name.Tag == "" && e.name.Digest == "" {
				t.Fatalf("%s has neither tag nor digest", e.name)
			}
		}
		out, err := marshalIndex(merge("layout", idx, own))
		if err != nil {
			t.Fatalf("rewrite: %v", err)
		}
		back, err := parseIndex(out)
		if err != nil {
			t.Fatal(err)
		}
		again, err := marshalIndex(back)
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("rewriting is not stable: %v\n%s\n%s", err, out, again)
		}
	})
}
