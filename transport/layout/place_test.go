package layout_test

import (
	"errors"
	"testing"

	"bale/bundle/fault"
	"bale/transport/layout"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		place, dir, ref string
		err             error
	}{
		{"images", "images", "", nil},
		{"/srv/images:1.0", "/srv/images", "1.0", nil},
		{"images:registry.example:5000/team/app:1.0", "images", "registry.example:5000/team/app:1.0", nil},
		{".:latest", ".", "latest", nil},
		{"images:sha256:abc", "images", "sha256:abc", nil},
		{"", "", "", fault.ErrUsage},
		{":1.0", "", "", fault.ErrUsage},
		{"images:", "", "", fault.ErrUsage},
	} {
		dir, ref, err := layout.Split(c.place)
		if dir != c.dir || ref != c.ref || !errors.Is(err, c.err) {
			t.Errorf("Split(%q) = %q, %q, %v; want %q, %q, %v", c.place, dir, ref, err, c.dir, c.ref, c.err)
		}
	}
}
