package index

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"bale/bundle/pack"
)

// The kinds of segment, in the order they stand in.
const (
	packsTable byte = 1 + iota
	framesTable
	chunksTable
	basesTable
	externalTable
	blobsTable
	imagesTable
	rawTable
	lastTable = rawTable
)

const (
	skippable  = 0x184d2a51 // magic of the first frame (RFC 8878, 3.1.2)
	magic      = "baleidx"
	headerSize = 24
)

// segment is one entry of the root.
type segment struct {
	kind        byte
	stored, raw int64
	items       uint64
	hash        Hash
}

// Write writes the index. The same index gives the same bytes as long as the
// zstd library is the same; nothing relies on that.
func (x *Index) Write(w io.Writer) error {
	b, err := newSegments()
	if err != nil {
		return err
	}
	if err := x.encode(b); err != nil {
		return err
	}
	for _, p := range b.file() {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// segments cuts tables into compressed segments.
type segments struct {
	z     *zstd.Encoder
	out   [][]byte
	list  []segment
	cur   encoder
	items uint64
}

func newSegments() (*segments, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression),
		zstd.WithEncoderConcurrency(1), zstd.WithSingleSegment(true))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return &segments{z: z}, nil
}

// item ends an item that was encoded into cur.
func (s *segments) item(kind byte) error {
	s.items++
	if len(s.cur.b) >= targetSegment {
		return s.end(kind)
	}
	return nil
}

// end closes the current segment, if it has items.
func (s *segments) end(kind byte) error {
	if s.items == 0 {
		return nil
	}
	raw := s.cur.b
	if len(raw) > MaxSegment {
		return fmt.Errorf("index segment of %d bytes is over the limit of %d", len(raw), MaxSegment)
	}
	stored := s.z.EncodeAll(raw, nil)
	s.out = append(s.out, stored)
	s.list = append(s.list, segment{kind, int64(len(stored)), int64(len(raw)), s.items, sha256.Sum256(raw)})
	if len(s.list) > MaxSegments {
		return fmt.Errorf("index needs more than %d segments", MaxSegments)
	}
	s.cur.b, s.items = s.cur.b[:0], 0
	return nil
}

// file returns the parts of the whole file: header, root, segments.
func (s *segments) file() [][]byte {
	var root encoder
	root.uvarint(uint64(len(s.list)))
	for _, l := range s.list {
		root.b = append(root.b, l.kind)
		root.uvarint(uint64(l.stored))
		root.uvarint(uint64(l.raw))
		root.uvarint(l.items)
		root.bytes(l.hash[:])
	}
	stored := s.z.EncodeAll(root.b, nil)
	head := binary.LittleEndian.AppendUint32(nil, skippable)
	head = binary.LittleEndian.AppendUint32(head, headerSize-8)
	head = append(head, magic...)
	head = append(head, Version)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(stored)))
	head = binary.LittleEndian.AppendUint32(head, uint32(len(root.b)))
	return append([][]byte{head, stored}, s.out...)
}

func (x *Index) encode(s *segments) error {
	raw, err := x.rawHashes()
	if err != nil {
		return err
	}
	tables := []struct {
		kind  byte
		items int
		item  func(e *encoder, i int)
	}{
		{packsTable, len(x.Packs), func(e *encoder, i int) {
			p := &x.Packs[i]
			e.bytes(digestKey(p.Digest)[1:])
			e.uvarint(uint64(p.Size))
			e.uvarint(uint64(p.Frames))
		}},
		{framesTable, len(x.Frames), func(e *encoder, i int) { e.frame(&x.Frames[i]) }},
		{chunksTable, x.Chunks.Own(), func(e *encoder, i int) { e.chunk(&x.Chunks, i) }},
		{basesTable, len(x.Bases), func(e *encoder, i int) { e.base(&x.Bases[i]) }},
		{externalTable, x.Chunks.Len() - x.Chunks.Own(), func(e *encoder, i int) {
			e.chunk(&x.Chunks, x.Chunks.Own()+i)
		}},
		{blobsTable, len(x.Blobs), func(e *encoder, i int) { e.blob(&x.Blobs[i]) }},
		{imagesTable, len(x.Images), func(e *encoder, i int) { e.image(&x.Images[i]) }},
		{rawTable, len(raw), func(e *encoder, i int) { e.bytes(raw[i][:]) }},
	}
	for _, t := range tables {
		for i := range t.items {
			t.item(&s.cur, i)
			if err := s.item(t.kind); err != nil {
				return err
			}
		}
		if err := s.end(t.kind); err != nil {
			return err
		}
	}
	return nil
}

func (e *encoder) frame(f *Frame) {
	e.uvarint(uint64(f.Kind))
	e.uvarint(uint64(f.Stored))
	e.uvarint(uint64(f.Raw))
	e.uvarint(uint64(f.Chunks))
	if f.Kind != pack.Plain {
		e.runs(f.Dictionary)
	}
	if f.Kind == pack.Patch {
		e.uvarint(uint64(f.Patch))
	}
}

func (e *encoder) base(b *Base) {
	e.bytes(b.ID[:])
	e.uvarint(uint64(b.Chunks))
	e.uvarint(uint64(len(b.Blobs)))
	for _, l := range b.Blobs {
		e.digest(l.Digest)
		e.uvarint(uint64(l.Size))
		e.bytes(l.Raw[:])
		e.uvarint(uint64(l.RawSize))
		e.uvarint(uint64(l.Chunks))
	}
	e.uvarint(uint64(len(b.Images)))
	for _, name := range b.Images {
		e.string(name)
	}
}

// rawHashes returns the hashes for all blobs that are not stored, or none.
func (x *Index) rawHashes() ([]Hash, error) {
	if len(x.raw) == 0 {
		return nil, nil
	}
	var out []Hash
	for i := range x.Blobs {
		if x.Blobs[i].Recipe == Stored {
			continue
		}
		h, ok := x.raw[x.Blobs[i].Digest]
		if !ok {
			return nil, fmt.Errorf("index: the raw hash of blob %s is not known", x.Blobs[i].Digest)
		}
		out = append(out, h)
	}
	return out, nil
}

func (e *encoder) chunk(c *Chunks, i int) {
	h := c.Hash(uint32(i))
	e.bytes(h[:])
	e.uvarint(uint64(c.Length(uint32(i))))
}

func (e *encoder) blob(b *Blob) {
	e.digest(b.Digest)
	e.uvarint(uint64(b.Size))
	e.uvarint(uint64(b.Recipe))
	e.uvarint(uint64(len(b.Params)))
	e.bytes(b.Params)
	e.uvarint(uint64(b.RawSize))
	e.uvarint(uint64(len(b.Lanes)))
	for _, l := range b.Lanes {
		e.runs(l)
	}
	if len(b.Lanes) == maxLanes {
		e.uvarint(uint64(b.Weave.count))
		e.bytes(b.Weave.encoded)
	}
	e.runs(b.Extra)
}

func (e *encoder) image(i *Image) {
	e.string(i.Name)
	e.string(i.MediaType)
	e.digest(i.Digest)
	e.uvarint(uint64(i.Size))
	e.string(i.Platform)
	e.uvarint(uint64(len(i.Omitted)))
	for _, o := range i.Omitted {
		e.digest(o.Digest)
		e.b = append(e.b, byte(o.Reason))
	}
}
