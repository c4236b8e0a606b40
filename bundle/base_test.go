package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
	"bale/bundle/index"
)

// Whoever has a bundle only can read its manifests, whatever is like them.
func TestManifestsAreNeverExternal(t *testing.T) {
	same := fmt.Sprintf(`{"layers":["%s"]}`, bytes.Repeat([]byte("x"), 3000))
	old := release{"oci/manifest": []byte(same), "oci/changed": append([]byte(same), ",1"...)}
	one := save(t, as(1), layers(old.tar(t, 1))...)
	changed := same + ",2"
	next := release{"oci/manifest": []byte(same), "oci/changed": []byte(changed)}
	items := append([]item{{data: next.tar(t, 2)}}, meta(same), meta(changed))
	up := save(t, as(2, one.Reader), items...)
	// Without its base.
	for _, i := range items[1:] {
		got, err := readBlob(up.Reader, digest.FromBytes(i.data))
		if err != nil || !bytes.Equal(got, i.data) {
			t.Errorf("a manifest: %v", err)
		}
	}
	receipt, _ := up.receipt(t)
	for _, i := range items[1:] {
		got, err := readBlob(receipt, digest.FromBytes(i.data))
		if err != nil || !bytes.Equal(got, i.data) {
			t.Errorf("a manifest of the receipt: %v", err)
		}
	}
	up.on(one).wantWhole(t)
}

// Needs says what a blob is rebuilt from, and Carries whether that is at hand.
func TestNeeds(t *testing.T) {
	zipped, recipes := twoGzips(t)
	one := save(t, as(1), append(layers(small(1).tar(t, 1)),
		item{data: zipped[0], BlobOptions: BlobOptions{Prepared: recipes[0]}},
		item{data: zipped[1], BlobOptions: BlobOptions{Prepared: recipes[1]}}, meta("root"))...)
	up := save(t, as(2, one.Reader), append(layers(small(2).tar(t, 2)),
		item{data: zipped[0], adopt: true}, item{data: zipped[1], adopt: true}, meta("root 2"))...)

	var extra int
	for _, b := range up.index.Blobs {
		for _, run := range b.Extra {
			extra += int(run.Count)
		}
	}
	if extra == 0 {
		t.Fatal("no recipe has corrections in chunks")
	}
	all := []digest.Digest{digest.FromBytes(zipped[0]), digest.FromBytes(zipped[1])}
	whole, err := up.Needs(all, false)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := up.Needs(all, true)
	if err != nil || len(raw)+extra != len(whole) {
		t.Errorf("%d chunks raw, %d whole, %d of corrections, %v", len(raw), len(whole), extra, err)
	}
	layer := digest.FromBytes(up.items[0].data)
	needs, err := up.Needs([]digest.Digest{layer, layer}, false)
	if err != nil || len(needs) == 0 {
		t.Fatal(needs, err)
	}
	if !slices.IsSorted(needs) || len(slices.Compact(slices.Clone(needs))) != len(needs) || int(needs[0]) < up.index.Chunks.Own() {
		t.Error("not in order, or one of them twice, or one of its own")
	}
	// With all but one of them a blob cannot be rebuilt; with all it can.
	have := make(map[index.Hash]bool)
	for _, c := range needs {
		have[up.index.Chunks.Hash(c)] = true
	}
	part := &partly{one.Reader, have, nil}
	up.BuildOn(part)
	if got, err := readBlob(up.Reader, layer); err != nil || !bytes.Equal(got, up.items[0].data) {
		t.Errorf("with all that it needs: %v", err)
	}
	if !up.Carries(layer) || up.Carries(all[0]) {
		t.Error("wrong about what can be rebuilt")
	}
	for _, c := range []uint32{needs[0], needs[len(needs)/2], needs[len(needs)-1]} {
		h := up.index.Chunks.Hash(c)
		delete(have, h)
		up = up.again(t)
		up.BuildOn(part)
		if up.Carries(layer) {
			t.Errorf("without chunk %d it is said to be at hand", c)
		}
		if _, err := readBlob(up.Reader, layer); !errors.Is(err, fault.ErrMissing) {
			t.Errorf("without chunk %d: %v", c, err)
		}
		have[h] = true
	}
	for name, r := range map[string]*made{"update": up, "bundle": one} {
		if _, err := r.Needs([]digest.Digest{digest.FromString("no")}, false); !errors.Is(err, fault.ErrMissing) {
			t.Errorf("%s: a blob that is not there: %v", name, err)
		}
		if r.Carries(digest.FromString("no")) {
			t.Errorf("%s carries a blob that is not there", name)
		}
	}
}

// partly has some chunks of a bundle.
type partly struct {
	*Reader
	have map[index.Hash]bool
	lie  func([]byte) []byte // nil: it tells the truth
}

func (p *partly) Has(h index.Hash) bool { return p.have[h] }

func (p *partly) Chunk(ctx context.Context, h index.Hash, n int64) ([]byte, error) {
	if !p.have[h] {
		return nil, fault.Missing("not there")
	}
	b, err := p.Reader.Chunk(ctx, h, n)
	if err == nil && p.lie != nil {
		b = p.lie(bytes.Clone(b))
	}
	return b, err
}

// Content of a base is believed no more than anything else.
func TestBaseThatLies(t *testing.T) {
	one := save(t, as(1), layers(small(1).tar(t, 1))...)
	up := save(t, as(2, one.Reader), layers(small(2).tar(t, 2))...)
	want := up.items[0].data
	have := make(map[index.Hash]bool)
	for c := range uint32(one.index.Chunks.Len()) {
		have[one.index.Chunks.Hash(c)] = true
	}
	for name, lie := range map[string]func([]byte) []byte{
		"other bytes": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"shorter":     func(b []byte) []byte { return b[:len(b)-1] },
		"longer":      func(b []byte) []byte { return append(b, 0) },
		"nothing":     func([]byte) []byte { return nil },
	} {
		up = up.again(t)
		up.BuildOn(&partly{one.Reader, have, lie})
		rc, err := up.OpenBlob(t.Context(), digest.FromBytes(want))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(rc)
		if !errors.Is(err, fault.ErrDamaged) || !bytes.HasPrefix(want, got) {
			t.Errorf("%s: %v after %d bytes", name, err, len(got))
		}
		if left, err := up.Rebuild(t.Context(), nil); left != 0 || !errors.Is(err, fault.ErrDamaged) {
			t.Errorf("%s: rebuilt all but %d: %v", name, left, err)
		}
	}
	up = up.again(t)
	if _, err := readBlob(up.Reader, digest.FromBytes(want)); !errors.Is(err, fault.ErrMissing) || fault.Hint(err) == "" {
		t.Errorf("without a base: %v", err)
	}
	if left, err := up.Rebuild(t.Context(), nil); left != 1 || err != nil {
		t.Errorf("rebuilt all but %d: %v", left, err)
	}
}
