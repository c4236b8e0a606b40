package index

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"bale/bundle/fault"
	"bale/bundle/pack"
)

// maxRoot bounds the root: the longest entries there can be.
const maxRoot = MaxSegments*(1+3*binary.MaxVarintLen64+sha256.Size) + binary.MaxVarintLen64

// MaxHead is how many bytes from the beginning of an index hold its header and
// its root at the most. All else is checked against hashes in the root.
const MaxHead = headerSize + maxRoot + maxRoot/8 + 1024

// Read reads and checks an index of size bytes. What is malformed is a
// [fault.ErrDamaged], a newer version or an unknown kind of frame or recipe a
// [fault.ErrUnsupported].
func Read(ctx context.Context, r io.ReaderAt, size int64) (*Index, error) {
	l := &loader{r: r, size: size, x: &Index{}}
	root, err := l.root()
	if err != nil {
		return nil, err
	}
	for _, s := range root {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		raw, err := l.frame(s.stored, s.raw, MaxSegment)
		if err != nil {
			return nil, err
		}
		if sha256.Sum256(raw) != s.hash {
			return nil, fault.Damaged("index segment %d does not have the hash in the root", s.kind)
		}
		if err := l.segment(s, raw); err != nil {
			return nil, err
		}
	}
	if l.off != size {
		return nil, fault.Damaged("index has %d bytes after its last segment", size-l.off)
	}
	if err := l.x.check(); err != nil {
		return nil, err
	}
	return l.x, l.rawHashes()
}

// loader holds what reading needs to remember between segments.
type loader struct {
	r          io.ReaderAt
	size, off  int64
	x          *Index
	next       nextFrame
	references uint64
	names      map[string]bool
	raw        []Hash
	base       struct{ blobs, images, chunks int } // seen so far, of all bases
}

// root reads header and root.
func (l *loader) root() ([]segment, error) {
	head, err := l.read(headerSize)
	if err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(head) != skippable || binary.LittleEndian.Uint32(head[4:]) != headerSize-8 ||
		string(head[8:15]) != magic {
		return nil, fault.Damaged("not an index: it does not start like one")
	}
	if v := head[15]; v != Version {
		return nil, fault.WithHint(fault.Unsupported("index version %d is not known", v), "use a newer bale")
	}
	raw, err := l.frame(int64(binary.LittleEndian.Uint32(head[16:])), int64(binary.LittleEndian.Uint32(head[20:])), maxRoot)
	if err != nil {
		return nil, err
	}
	d := decoder{b: raw}
	n := d.number("number of segments", MaxSegments)
	var list []segment
	var last byte
	budget := freeRaw + rawPerStored*l.size
	for range n {
		s := segment{kind: d.take(1)[0], stored: d.size("segment"), raw: d.size("segment"), items: d.uvarint(), hash: d.hash()}
		switch {
		case d.err != nil:
			return nil, d.err
		case s.kind > lastTable:
			return nil, fault.WithHint(fault.Unsupported("index has a table of kind %d", s.kind), "use a newer bale")
		case s.kind < last || s.kind == 0:
			return nil, fault.Damaged("index tables are out of order")
		case s.items == 0 || s.items > uint64(s.raw):
			return nil, fault.Damaged("index segment of %d bytes claims %d items", s.raw, s.items)
		case s.raw > budget:
			return nil, fault.Damaged("index of %d bytes claims more than it can hold", l.size)
		case (s.kind == chunksTable || s.kind == externalTable || s.kind == rawTable) && s.raw > freeHashes+rawPerHashes*s.stored:
			return nil, fault.Damaged("index has a table of %d bytes of hashes in %d bytes: they cannot all differ", s.raw, s.stored)
		}
		budget -= s.raw
		last = s.kind
		list = append(list, s)
	}
	if d.err == nil && len(d.b) > 0 {
		d.fail("index root has %d bytes over", len(d.b))
	}
	return list, d.err
}

// read takes the next n bytes of the file.
func (l *loader) read(n int64) ([]byte, error) {
	if n < 0 || n > l.size-l.off {
		return nil, fault.Damaged("index ends at byte %d, inside a segment of %d bytes", l.size, n)
	}
	b := make([]byte, n)
	if k, err := l.r.ReadAt(b, l.off); k < len(b) {
		if errors.Is(err, io.EOF) {
			return nil, fault.Damaged("index ends at byte %d", l.off+int64(k))
		}
		return nil, fmt.Errorf("read index: %w", err)
	}
	l.off += n
	return b, nil
}

// frame reads and decompresses one Zstandard frame.
func (l *loader) frame(stored, raw, limit int64) ([]byte, error) {
	if raw > limit || stored > limit+limit/8+1024 {
		return nil, fault.Damaged("index segment of %d bytes (%d raw) is over the limit", stored, raw)
	}
	b, err := l.read(stored)
	if err != nil {
		return nil, err
	}
	if err := pack.CheckFrame(b, raw); err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderMaxMemory(uint64(max(limit, 1<<10))), zstd.WithDecoderMaxWindow(uint64(max(limit, 1<<10))))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	defer z.Close()
	out, err := z.DecodeAll(b, make([]byte, 0, raw))
	if err != nil {
		return nil, fault.Damaged("index segment does not decompress: %w", err)
	}
	if int64(len(out)) != raw {
		return nil, fault.Damaged("index segment has %d raw bytes, not %d", len(out), raw)
	}
	return out, nil
}

// segment parses the items of one segment into the index.
func (l *loader) segment(s segment, raw []byte) error {
	d := &decoder{b: raw}
	for range s.items {
		switch s.kind {
		case packsTable:
			l.pack(d)
		case framesTable:
			l.frameItem(d)
		case chunksTable, externalTable:
			l.chunk(d, s.kind == externalTable)
		case basesTable:
			l.baseItem(d)
		case blobsTable:
			l.blob(d)
		case imagesTable:
			l.image(d)
		case rawTable:
			l.raw = append(l.raw, d.hash())
		}
		if d.err != nil {
			return d.err
		}
	}
	if len(d.b) > 0 {
		return fault.Damaged("index segment %d has %d bytes over", s.kind, len(d.b))
	}
	return nil
}

func (l *loader) pack(d *decoder) {
	if len(l.x.Packs) == MaxFrames {
		d.fail("index has more than %d packs", MaxFrames)
		return
	}
	h := d.hash()
	p := Pack{
		Digest: sha256Digest(h),
		Size:   int64(d.number("size of a pack", pack.MaxSize)),
		Frames: int(d.number("frames of a pack", pack.MaxSize)),
	}
	if p.Frames == 0 {
		d.fail("index: pack %s has no frames", p.Digest)
	}
	l.x.Packs = append(l.x.Packs, p)
}

func (l *loader) chunk(d *decoder, external bool) {
	h := d.hash()
	n := int(d.number("length of a chunk", maxChunkLength))
	if n == 0 {
		d.fail("index: chunk %x is empty", h[:8])
	}
	if l.x.Chunks.Len() >= MaxChunks {
		d.fail("index has more than %d chunks", MaxChunks)
	}
	if external {
		l.x.Chunks.AddExternal(h, n)
	} else {
		l.x.Chunks.Add(h, n)
	}
}
