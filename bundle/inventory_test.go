package bundle

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
	"bale/bundle/index"
)

// An inventory lists what there is, and is a base like others.
func TestInventory(t *testing.T) {
	raw := small(1).tar(t, 1)
	gz := zip(t, raw, 6)
	list := as(1)
	list.Inventory = true
	items := []item{
		{data: gz, BlobOptions: BlobOptions{Unpack: true}},
		{data: noise(7, 100_000), BlobOptions: BlobOptions{Unpack: true}},
		{data: nil, BlobOptions: BlobOptions{Unpack: true}},
		meta(`{"inventory":1}`),
	}
	inv := save(t, list, items...)
	if inv.size > len(gz)/10 {
		t.Errorf("%d bytes for %d of content", inv.size, len(gz))
	}
	m := &medium{}
	if err := write(t.Context(), m, list, items); err != nil {
		t.Fatal(err)
	}
	if _, err := open(m.b); !errors.Is(err, fault.ErrMissing) || fault.Hint(err) == "" {
		t.Errorf("opened to be loaded: %v", err)
	}
	for i, x := range inv.items {
		d := digest.FromBytes(x.data)
		got, err := readBlob(inv.Reader, d)
		switch {
		case len(x.data) == 0 || x.Meta:
			if err != nil || !bytes.Equal(got, x.data) || !inv.Carries(d) {
				t.Errorf("blob %d: %v", i, err)
			}
		case !errors.Is(err, fault.ErrMissing) || inv.Carries(d):
			t.Errorf("blob %d: read %d bytes, %v", i, len(got), err)
		}
	}
	if h, ok := inv.index.RawHash(digest.FromBytes(gz)); !ok || !bytes.Equal(h[:], sha(raw)) {
		t.Errorf("raw hash %x", h)
	}
	if b := inv.Index().Bases; len(b) != 1 || b[0].ID != [16]byte{1} || b[0].Chunks != inv.index.Chunks.Len()-inv.index.Chunks.Own() {
		t.Errorf("bases %+v", b)
	}

	two := layers(small(2).tar(t, 2))
	up, full := save(t, as(2, inv.Reader), two...), save(t, as(2), two...)
	if up.size >= full.size-300_000 {
		t.Errorf("%d bytes of %d", up.size, full.size)
	}
	blobs := up.Index().Bases[0].Blobs
	if len(blobs) != 1 || blobs[0].Digest != digest.FromBytes(gz) || !bytes.Equal(blobs[0].Raw[:], sha(raw)) || blobs[0].RawSize != int64(len(raw)) {
		t.Errorf("found in %+v", blobs)
	}
	up.on(save(t, as(1), layers(raw)...)).wantWhole(t)

	if Adoptable([]*Reader{inv.Reader}, digest.FromBytes(gz), int64(len(gz))) {
		t.Error("a blob without a recipe can be adopted")
	}
	list.Bases = []*Reader{inv.Reader}
	if w, err := NewWriter(t.Context(), io.Discard, list); err == nil {
		w.Abort()
		t.Error("an inventory with bases")
	}
}

// Unpack takes what begins like gzip and is none for a failure, not for content.
func TestUnpackOfDamage(t *testing.T) {
	good := zip(t, text(100_000), 6)
	for name, c := range map[string]struct {
		data   []byte
		digest digest.Digest
		kind   error
	}{
		"cut off":         {data: good[:len(good)/2]},
		"only the magic":  {data: []byte("\x1f\x8b\x08")},
		"of other digest": {data: good, digest: digest.FromString("other"), kind: fault.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := NewWriter(t.Context(), io.Discard, fixed())
			if err != nil {
				t.Fatal(err)
			}
			defer w.Abort()
			d := c.digest
			if d == "" {
				d = digest.FromBytes(c.data)
			}
			err = w.AddBlob(t.Context(), d, int64(len(c.data)), bytes.NewReader(c.data), BlobOptions{Unpack: true})
			if err == nil || c.kind != nil && !errors.Is(err, c.kind) {
				t.Errorf("%v", err)
			}
			if _, err := w.Finish(t.Context()); err == nil {
				t.Error("finished all the same")
			}
		})
	}
	for name, data := range map[string][]byte{
		"empty": nil, "short": []byte("\x1f"), "no gzip": text(50_000), "trailing bytes": append(bytes.Clone(good), 0, 0, 0),
		"wrong checksum": append(bytes.Clone(good[:len(good)-8]), "12345678"...),
		"two members":    append(bytes.Clone(good), good...), "almost the magic": []byte("\x1f\x8b\x07 something else"),
	} {
		m := save(t, as(1), item{data: data, BlobOptions: BlobOptions{Unpack: true}}, meta("{}"))
		b, ok := m.index.Blob(digest.FromBytes(data))
		if !ok || (b.Recipe == index.Listed) != bytes.HasPrefix(data, []byte(gzipMagic)) {
			t.Errorf("%s: %+v", name, b)
		}
	}
}
