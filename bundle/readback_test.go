package bundle

import (
	"errors"
	"strings"
	"testing"
)

// sickMedium cannot be read, or lies.
type sickMedium struct {
	*medium
	reads int
	lie   bool
}

var errBroken = errors.New("medium is broken")

func (f *sickMedium) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.medium.ReadAt(p, off)
	f.reads++
	if !f.lie {
		return 0, errBroken
	}
	p[n/2] ^= 1
	return n, err
}

// What cannot be read back ends the save: what was written may be as bad.
func TestReadBackFails(t *testing.T) {
	// More than a pack lies between a file and its successor, so that it must be
	// read from the medium.
	a, b := release{"lib/x": program(1, 80_000, 0)}, release{"lib/x": program(1, 80_000, 40)}
	filler := noise(8, 70<<20)
	items := layers(a.tar(t, 1), filler, b.tar(t, 2))
	for name, lie := range map[string]bool{"fails": false, "lies": true} {
		t.Run(name, func(t *testing.T) {
			f := &sickMedium{medium: &medium{}, lie: lie}
			o := as(1)
			o.ReadBack = f
			err := write(t.Context(), f, o, items)
			if err == nil || !strings.Contains(err.Error(), "read back what was written") || !lie && !errors.Is(err, errBroken) {
				t.Error(err)
			}
			if f.reads == 0 {
				t.Error("nothing was read back")
			}
		})
	}
}

// Frames of manifests are written last, so nothing may wait for them.
func TestFileLikeAManifest(t *testing.T) {
	items := []item{meta(string(text(5000)))}
	for n := range 6 {
		items = append(items, item{data: noise(byte(n), 1<<20), BlobOptions: BlobOptions{Meta: true}})
	}
	same := release{"oci/config": text(5000), "oci/new": noise(20, 5000)}
	changed := release{"oci/config": append(text(5000), "and more"...)}
	items = append(items, item{data: same.tar(t, 1)}, item{data: changed.tar(t, 2)}, meta("{}"))
	save(t, as(1), items...).wantWhole(t)
}
