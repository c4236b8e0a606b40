package bundle

import (
	"bytes"
	"io"
	"testing"

	"github.com/opencontainers/go-digest"
)

// A layer that a base holds whole need not even be read, with the corrections
// of its recipe too.
func TestAdopt(t *testing.T) {
	zipped, recipes := twoGzips(t)
	var items []item
	for i, b := range zipped {
		items = append(items, item{data: b, BlobOptions: BlobOptions{Prepared: recipes[i]}})
	}
	items = append(items, item{data: noise(9, 50_000)}, item{data: nil}, meta("{}"))
	one := save(t, as(1), items...)
	for n, base := range map[string]*Reader{"bundle": one.Reader, "receipt": first(one.receipt(t))} {
		var again []item
		for _, i := range items {
			i.adopt, i.Prepared = len(i.data) >= minApart, nil
			again = append(again, i)
		}
		up := save(t, as(2, base), again...)
		up.on(one).wantWhole(t)
		if own := up.index.Chunks.Own(); own != 1 {
			t.Errorf("%s: %d chunks of its own, want that of the manifest", n, own)
		}
		for _, i := range items {
			d := digest.FromBytes(i.data)
			want, wantOK := one.index.RawHash(d)
			got, ok := up.index.RawHash(d)
			if got != want || ok != wantOK {
				t.Errorf("%s: raw hash %x, want %x", n, got, want)
			}
			if Adoptable([]*Reader{up.Reader}, d, int64(len(i.data))+1) {
				t.Errorf("%s: %s can be adopted with a wrong size", n, d)
			}
		}
		// And once more, of the update.
		third := save(t, as(3, up.Reader), again...)
		third.on(one).wantWhole(t)
	}

	w, err := NewWriter(t.Context(), io.Discard, as(2, one.Reader))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := w.Adopt(digest.FromString("no")); err == nil {
		t.Error("adopted a blob that no base has")
	}
}

func first[A, B any](a A, _ B) A { return a }

// twoGzips returns a gzip blob with few corrections and one with many, with their
// recipes.
func twoGzips(t testing.TB) ([][]byte, []*Prepared) {
	t.Helper()
	data := [][]byte{gz(t, 0, words(4, 200_000)), gzipWithCorrections(t)}
	var recipes []*Prepared
	for _, b := range data {
		recipes = append(recipes, takenApart(t, b))
	}
	return data, recipes
}

// An engine that has a small layer has it unpacked only: it must come along.
func TestSmallBlobsAreCarried(t *testing.T) {
	tiny := zip(t, release{"etc/entrypoint": noise(1, 2000)}.tar(t, 1), 6)
	items := layers(tiny, text(100_000))
	one := save(t, as(1), items...)
	if Adoptable([]*Reader{one.Reader}, digest.FromBytes(tiny), int64(len(tiny))) {
		t.Error("it can be adopted")
	}
	up := save(t, as(2, one.Reader), items...)
	if got, err := readBlob(up.Reader, digest.FromBytes(tiny)); err != nil || !bytes.Equal(got, tiny) {
		t.Error(err)
	}
	if needs, err := up.Needs([]digest.Digest{digest.FromBytes(items[1].data)}, true); err != nil || len(needs) == 0 {
		t.Errorf("the large one needs %v, %v", needs, err)
	}
}
