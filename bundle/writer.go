package bundle

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"time"

	"github.com/opencontainers/go-digest"

	"bale/bundle/blob"
	"bale/bundle/chunk"
	"bale/bundle/container"
	"bale/bundle/deflate"
	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/bundle/pack"
)

// WriterOptions says what a bundle is to be.
type WriterOptions struct {
	ID      [16]byte  // zero: random
	Created time.Time // whole seconds count
	Creator string    // program and version
	// Name and Sequence are for policies: which line of bundles this is one of,
	// and the how manieth. Both may be empty.
	Name     string
	Sequence uint64
	// Expires, if not nil, is from when on nobody is to take the bundle any more.
	// It must come after Created; whole seconds count.
	Expires *time.Time
	Level   pack.Level
	Workers int // compressing side by side; 0: as many as there are cores

	// Bases say what need not be carried, because it is there where the bundle
	// goes: bundles, receipts or inventories. Those with content also serve to
	// compare changed files with. They must not be closed before Finish.
	Bases []*Reader
	// ReadBack reads what was written to w. With it changed files are compared
	// with earlier ones of the same bundle; nil does without.
	ReadBack io.ReaderAt
	// Inventory makes the bundle only list content: it carries manifests and
	// configs only, and Bases must be empty.
	Inventory bool
}

// Writer makes a bundle front to back on any io.Writer. Its output depends on
// options and on the order of calls only, however many workers compress. It is
// not safe for concurrent use. The calls are: AddBlob and AddImage as often as
// needed, Finish, AddSignature, Close. Abort ends it at any time.
type Writer struct {
	out      *container.Writer
	sums     []Sum
	chunks   *chunkStore
	pipe     *pipeline
	splitter *chunk.Splitter
	blobs    []index.Blob // runs hold ids of the chunkStore until Finish
	known    map[digest.Digest]bool
	raw      map[digest.Digest]index.Hash // of what blobs decompress to
	images   []index.Image
	old      *predecessors // nil if nothing can be compared
	bases    []*Reader
	header   Header
	signed   map[container.Form]int
	finished bool
	broken   error // a blob that could not be taken in whole
}

// NewWriter starts a bundle on w. Workers run until Finish or Abort is
// called or ctx ends; after that every call fails.
func NewWriter(ctx context.Context, w io.Writer, o WriterOptions) (*Writer, error) {
	if o.ID == ([16]byte{}) {
		if _, err := rand.Read(o.ID[:]); err != nil {
			return nil, fmt.Errorf("make a bundle id: %w", err)
		}
	}
	h := Header{
		Format: formatName, Version: Version, ID: hex.EncodeToString(o.ID[:]),
		Created: o.Created.UTC().Truncate(time.Second), Creator: o.Creator, Name: o.Name, Sequence: o.Sequence,
	}
	if o.Expires != nil {
		t := o.Expires.UTC().Truncate(time.Second)
		h.Expires = &t
	}
	for _, r := range o.Bases {
		h.Bases = append(h.Bases, r.header.ID)
	}
	if o.Inventory {
		// What it lists builds on the place itself, which goes by the same id.
		h.Bases = []string{h.ID}
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	head, err := h.encode()
	if err != nil {
		return nil, err
	}
	switch {
	case o.Inventory && len(o.Bases) > 0:
		return nil, errors.New("an inventory builds on nothing")
	case len(head) > maxHeader:
		return nil, fault.Usage("bale.json would have %d bytes, over its limit of %d: take fewer bases, or a shorter name", len(head), maxHeader)
	}
	b := &Writer{known: make(map[digest.Digest]bool), raw: make(map[digest.Digest]index.Hash), bases: o.Bases, header: h}
	if b.out, err = container.NewWriter(w, h.Created); err != nil {
		return nil, err
	}
	if b.splitter, err = chunk.NewSplitter(); err != nil {
		return nil, err
	}
	if err := b.add(container.HeaderName, sha256.Sum256(head), head); err != nil {
		return nil, err
	}
	var bases *held
	if len(o.Bases) > 0 {
		if bases, err = newHeld(o.Bases); err != nil {
			return nil, err
		}
	}
	if b.pipe, err = newPipeline(ctx, o.Level, o.Workers, b.addPack); err != nil {
		return nil, err
	}
	b.chunks = newChunkStore(bases, b.pipe.frame)
	b.chunks.listing = o.Inventory
	if o.ReadBack != nil && !o.Inventory {
		b.chunks.back = newReadBack(b.pipe, b.chunks, o.ReadBack)
		b.old = newPredecessors()
	}
	if bases != nil {
		if b.old == nil {
			b.old = newPredecessors()
		}
		if err := b.old.addBases(ctx, bases); err != nil {
			b.Abort()
			return nil, fmt.Errorf("look into the bases: %w", err)
		}
	}
	return b, nil
}

// addPack writes a pack and returns where it begins.
func (b *Writer) addPack(name string, sum [32]byte, data []byte) (off int64, err error) {
	off = b.out.Size() + container.BlockSize
	return off, b.add(name, sum, data)
}

// add writes an entry and remembers its sum. The pipeline calls it for packs,
// which is why nobody else may until the pipeline has ended.
func (b *Writer) add(name string, sum [32]byte, data []byte) error {
	if err := b.out.Add(name, data); err != nil {
		return err
	}
	b.sums = append(b.sums, Sum{Hash: sum, Name: name})
	return nil
}

// Has reports whether a blob was added already.
func (b *Writer) Has(d digest.Digest) bool { return b.known[d] }

// BlobOptions says how a blob is taken in.
type BlobOptions struct {
	// Meta marks manifests and configs, which are read together and so
	// compressed together.
	Meta bool
	// Prepared is the recipe of this very blob; nil: it is stored as it came.
	// It may be closed when AddBlob has returned. If it [Prepared.HasRaw], the
	// blob itself is not read.
	Prepared *Prepared
	// Unpack lists what a gzip blob decompresses to, without a recipe: the blob
	// cannot be had from the bundle, but others can build on what is in it.
	Unpack bool
}

// AddBlob takes in a blob: r must hold exactly its size bytes with its digest,
// else the error says so and the bundle cannot be finished. A blob that is
// there already is not read.
func (b *Writer) AddBlob(ctx context.Context, d digest.Digest, size int64, r io.Reader, o BlobOptions) error {
	switch {
	case b.finished:
		return errFinished
	case b.broken != nil:
		return b.broken
	case b.known[d]:
		return nil
	}
	if err := b.addBlob(ctx, d, size, r, o); err != nil {
		b.broken = fmt.Errorf("bundle has part of blob %s: %w", d, err)
		return err
	}
	b.known[d] = true
	return nil
}

func (b *Writer) addBlob(ctx context.Context, d digest.Digest, size int64, r io.Reader, o BlobOptions) error {
	v, err := blob.NewReader(r, d, size)
	if err != nil {
		return err
	}
	var raw io.Reader = v
	x := index.Blob{Digest: d, Size: size, Recipe: index.Stored}
	switch p := o.Prepared; {
	case p != nil && (p.digest != d || p.size != size):
		return fmt.Errorf("the recipe for blob %s is that of %s", d, p.digest)
	case p.HasRaw():
		rc, err := p.raw(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = rc.Close() }() // it was only read
		raw = rc
	case p != nil:
		raw = &inflated{deflate.NewInflater(v), v}
	case o.Unpack:
		in := bufio.NewReader(v)
		raw = in
		if head, _ := in.Peek(len(gzipMagic)); string(head) == gzipMagic {
			x.Recipe = index.Listed
			raw = &inflated{deflate.NewInflater(in), v}
		}
	}
	// Small blobs are carried like manifests: they are too small to be taken apart,
	// and an engine that has them, but unpacked, could not give them back.
	carried := o.Meta || size < minApart && o.Prepared == nil && x.Recipe == index.Stored
	sum := sha256.New()
	if raw != io.Reader(v) {
		ahead := newReadAhead(io.TeeReader(raw, sum))
		defer ahead.stop()
		raw = ahead
	}
	t := b.newTracker(o)
	var lanes [chunk.Lanes][]index.Run
	spans, err := b.splitter.Split(raw, func(p chunk.Piece) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		x.RawSize += int64(len(p.Data))
		id, err := b.chunks.putChanged(ctx, classOf(p.Kind, carried), p.Data, t.change(p))
		if err != nil {
			return err
		}
		t.put(p, id)
		lanes[p.Lane] = appendRun(lanes[p.Lane], id, 1)
		return nil
	})
	if err != nil {
		return err
	}
	t.end(lanes[chunk.Structure])
	switch {
	case len(lanes[chunk.Structure]) == 0:
		x.Lanes = [][]index.Run{lanes[chunk.Content]}
	case len(lanes[chunk.Content]) == 0:
		x.Lanes = [][]index.Run{lanes[chunk.Structure]}
	default:
		x.Lanes = lanes[:]
		if spans[0].Lane == chunk.Content {
			x.Weave.Add(0)
		}
		for _, s := range spans {
			x.Weave.Add(s.Length)
		}
	}
	if p := o.Prepared; p.HasRaw() && index.Hash(sum.Sum(nil)) != p.rawHash {
		return fault.Damaged("blob %s has other raw bytes than when its recipe was proven", d)
	}
	if o.Prepared != nil || x.Recipe == index.Listed {
		b.raw[d] = index.Hash(sum.Sum(nil))
	}
	if o.Prepared != nil {
		if err := b.takeApart(ctx, &x, o.Prepared); err != nil {
			return err
		}
	}
	b.blobs = append(b.blobs, x)
	return nil
}

// AddImage names an image, whose root must have been added as a blob.
func (b *Writer) AddImage(i index.Image) error {
	if !b.known[i.Digest] {
		return fmt.Errorf("image %s: its root %s was not added", i.Name, i.Digest)
	}
	b.images = append(b.images, i)
	return nil
}

var (
	errFinished = errors.New("bundle is finished already")
	errNotHeld  = errors.New("no base holds the blob with its recipe")
)

// Finish writes what is left, the index and SHA256SUMS, and returns the bytes
// of SHA256SUMS to be signed.
func (b *Writer) Finish(ctx context.Context) ([]byte, error) {
	if b.finished {
		return nil, errFinished
	}
	b.finished = true
	err := b.broken
	if err == nil {
		err = b.chunks.flush(ctx)
	}
	// The pipeline must end before anything else is written, also on errors.
	packs, frames, perr := b.pipe.finish(err == nil)
	if err == nil {
		err = perr
	}
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	x := &index.Index{Packs: packs, Frames: frames, Blobs: b.blobs, Images: b.images}
	b.chunks.place(x, b.header.id())
	for d, h := range b.raw {
		x.SetRawHash(d, h)
	}
	sort.Slice(x.Blobs, func(i, j int) bool { return x.Blobs[i].Digest < x.Blobs[j].Digest })
	var raw bytes.Buffer
	if err := x.Write(&raw); err != nil {
		return nil, fmt.Errorf("write index: %w", err)
	}
	// What could not be read back must not be published.
	if _, err := index.Read(ctx, bytes.NewReader(raw.Bytes()), int64(raw.Len())); err != nil {
		return nil, fmt.Errorf("read back the index before it is written: %w", err)
	}
	if err := b.add(container.IndexName, sha256.Sum256(raw.Bytes()), raw.Bytes()); err != nil {
		return nil, err
	}
	sums := encodeSums(b.sums)
	if err := b.out.Add(container.SumsName, sums); err != nil {
		return nil, err
	}
	return slices.Clone(sums), nil
}

// AddSignature writes one signature over what Finish returned. Forms come in
// the order of their constants.
func (b *Writer) AddSignature(form container.Form, data []byte) error {
	n := b.signed[form]
	switch {
	case !b.finished:
		return errors.New("bundle is not finished")
	case n == container.MaxSignatures:
		return fmt.Errorf("a bundle takes at most %d signatures of a form", container.MaxSignatures)
	case len(data) > MaxSignature:
		return fmt.Errorf("signature of %d bytes is over the limit of %d", len(data), MaxSignature)
	}
	if b.signed == nil {
		b.signed = make(map[container.Form]int)
	}
	b.signed[form]++
	return b.out.Add(container.SignatureName(form, n), data)
}

// Close ends the archive. It does not close the underlying writer.
func (b *Writer) Close() error {
	if !b.finished {
		return errors.New("bundle is not finished")
	}
	return b.out.Close()
}

// Size returns how many bytes of the bundle were written. It may only be
// called after Finish.
func (b *Writer) Size() int64 { return b.out.Size() }

// Abort ends the workers of a bundle that is not wanted any more. It does
// nothing after Finish.
func (b *Writer) Abort() {
	if !b.finished {
		b.finished = true
		_, _, _ = b.pipe.finish(false) // nobody wants to know
	}
}
