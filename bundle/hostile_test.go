package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/bundle/pack"
)

// AddBlob says that after wrong content "the bundle cannot be finished".
func TestFailedBlobCannotBeFinished(t *testing.T) {
	ctx := context.Background()
	w, err := NewWriter(ctx, io.Discard, fixed())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	data := noise(1, 100_000)
	if err := w.AddBlob(ctx, digest.FromString("other"), int64(len(data)), bytes.NewReader(data), BlobOptions{}); !errors.Is(err, fault.ErrDamaged) {
		t.Fatal(err)
	}
	if _, err := w.Finish(ctx); err == nil {
		t.Error("finished a bundle with chunks of content that was refused")
	}
}

// NewWriter says that after Finish or Abort "every call fails".
func TestCallsAfterTheEndFail(t *testing.T) {
	ctx := context.Background()
	for name, end := range map[string]func(w *Writer){
		"Finish": func(w *Writer) { _, _ = w.Finish(ctx) },
		"Abort":  func(w *Writer) { w.Abort() },
	} {
		t.Run(name, func(t *testing.T) {
			w, err := NewWriter(ctx, io.Discard, fixed())
			if err != nil {
				t.Fatal(err)
			}
			end(w)
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("AddBlob panics: %v", p)
				}
			}()
			data := noise(1, 9<<20)
			if err := w.AddBlob(ctx, digest.FromBytes(data), int64(len(data)), bytes.NewReader(data), BlobOptions{}); err == nil {
				t.Error("AddBlob succeeds")
			}
		})
	}
}

// Before anything is trusted, SHA256SUMS is read whole, up to 512 MiB, although
// three entries need 500 bytes.
func TestSumsAreNoLargerThanTheEntriesNeed(t *testing.T) {
	good := entriesOf(t, makeBundle(t, fixed(), nil))
	for i, e := range good {
		if e.name == container.SumsName {
			good[i].data = make([]byte, 64<<20)
		}
	}
	b := assemble(t, good, false)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Scan(context.Background(), bytes.NewReader(b), int64(len(b)))
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 || !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("%d bytes allocated for %d entries: %v", n, len(good), err)
	}
}

// Many short runs over a frame of many short chunks: what a hostile index could
// make expensive.
func BenchmarkShortRuns(b *testing.B) {
	const chunks = 1 << 16
	var raw []byte
	x := &index.Index{}
	for i := range uint32(chunks) {
		c := binary.LittleEndian.AppendUint32(nil, i*2654435761)
		x.Chunks.Add(sha256.Sum256(c), len(c))
		raw = append(raw, c...)
	}
	e, err := pack.NewEncoder(pack.Fast)
	if err != nil {
		b.Fatal(err)
	}
	var pb pack.Builder
	frame := e.Encode(nil, raw)
	if _, err := pb.Add(frame); err != nil {
		b.Fatal(err)
	}
	p := pb.Finish()
	x.Packs = []index.Pack{{Digest: p.Digest, Size: int64(len(p.Data)), Frames: 1}}
	x.Frames = []index.Frame{{Chunks: chunks, Raw: int64(len(raw)), Stored: int64(len(frame)), Offset: pack.HeaderSize}}
	var runs []index.Run
	var content []byte
	for i := uint32(0); i < chunks; i += 2 {
		runs = append(runs, index.Run{First: i, Count: 1})
		content = append(content, raw[4*i:4*i+4]...)
	}
	x.Blobs = []index.Blob{{Digest: digest.FromBytes(content), Size: int64(len(content)), RawSize: int64(len(content)), Lanes: [][]index.Run{runs}}}
	var ib bytes.Buffer
	if err := x.Write(&ib); err != nil {
		b.Fatal(err)
	}
	good := entriesOf(b, makeBundle(b, fixed(), nil))
	r, err := open(assemble(b, []entryFile{good[0], {container.PackName(p.Digest), p.Data}, {container.IndexName, ib.Bytes()},
		good[len(good)-2], good[len(good)-1]}, true))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		if _, err := r.Rebuild(context.Background(), nil); err != nil {
			b.Fatal(err)
		}
	}
}

// changing is a medium that says something else when the index is read again.
type changing struct {
	*bytes.Reader
	from, to int64
	reads    int
}

func (c *changing) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.Reader.ReadAt(p, off)
	if off < c.to && off+int64(n) > c.from && off >= c.from {
		if c.reads++; c.reads > 1 {
			clear(p[:n])
		}
	}
	return n, err
}

// What was hashed is what is parsed, whatever the medium says the second time.
func TestIndexIsParsedAsItWasHashed(t *testing.T) {
	b := makeBundle(t, fixed(), []content{{data: text(2000)}, {data: []byte("{}"), meta: true}})
	c, err := container.Scan(context.Background(), bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	e, _ := c.Find(container.IndexName)
	medium := &changing{Reader: bytes.NewReader(b), from: e.Offset, to: e.Offset + e.Size}
	env, err := Scan(context.Background(), medium, int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(context.Background(), env, trustAll{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Index().Images) != 1 {
		t.Errorf("%d images", len(r.Index().Images))
	}
}
