package transport_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
)

func TestDiffIDs(t *testing.T) {
	a, b := digest.FromString("a"), digest.SHA512.FromString("b")
	two := []digest.Digest{a, b}
	list := `["` + a.String() + `","` + b.String() + `"]`
	for _, c := range []struct {
		name, config string
		layers       int
		want         []digest.Digest
	}{
		{"one for each layer", `{"rootfs":{"type":"layers","diff_ids":` + list + `},"os":"linux"}`, 2, two},
		{"no type", `{"rootfs":{"diff_ids":` + list + `}}`, 2, two},
		{"no layers", `{"rootfs":{"diff_ids":[]}}`, 0, nil},
		{"less than layers", `{"rootfs":{"diff_ids":` + list + `}}`, 3, nil},
		{"more than layers", `{"rootfs":{"diff_ids":` + list + `}}`, 1, nil},
		{"empty object", `{}`, 2, nil},
		{"null", `{"rootfs":{"diff_ids":null}}`, 2, nil},
		{"no rootfs but null", `{"rootfs":null}`, 2, nil},
		{"rootfs is a list", `{"rootfs":[]}`, 2, nil},
		{"diff ids are numbers", `{"rootfs":{"diff_ids":[1,2]}}`, 2, nil},
		{"a diff id is no digest", `{"rootfs":{"diff_ids":["` + a.String() + `","sha256:../x"]}}`, 2, nil},
		{"a diff id is empty", `{"rootfs":{"diff_ids":["` + a.String() + `",""]}}`, 2, nil},
		{"an unknown algorithm", `{"rootfs":{"diff_ids":["` + a.String() + `","md5:` + strings.Repeat("0", 32) + `"]}}`, 2, nil},
		{"no JSON", `hello`, 2, nil},
		{"nothing", ``, 2, nil},
		{"cut short", `{"rootfs":{"diff_ids":` + list, 2, nil},
	} {
		got := transport.DiffIDs(&transport.Manifest{Layers: make([]v1.Descriptor, c.layers)}, []byte(c.config))
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func FuzzDiffIDs(f *testing.F) {
	a := digest.FromString("a").String()
	f.Add(1, []byte(`{"rootfs":{"type":"layers","diff_ids":["`+a+`"]}}`))
	f.Add(2, []byte(`{"rootfs":{"diff_ids":["`+a+`"]},"rootfs":{"diff_ids":["`+a+`","`+a+`"]}}`))
	f.Add(0, []byte(`{}`))
	f.Add(1, []byte(`{"rootfs":{"diff_ids":[null]}}`))
	f.Fuzz(func(t *testing.T, layers int, config []byte) {
		n := uint8(layers)
		got := transport.DiffIDs(&transport.Manifest{Layers: make([]v1.Descriptor, n)}, config)
		if got != nil && len(got) != int(n) {
			t.Fatalf("%d diff ids for %d layers", len(got), n)
		}
		for _, d := range got {
			if err := d.Validate(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
