package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"

	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/bundle/pack"
)

// Voucher is somebody who has decided that a bundle may be read. Package
// verify's results are vouchers; there is no other way to a Reader.
type Voucher interface {
	// Vouches fails unless sums are the very bytes that were decided about.
	Vouches(sums []byte) error
}

// Reader reads a bundle that is trusted. Nothing is unpacked: content is read
// where it lies, and checked on the way: packs against SHA256SUMS when they are
// first touched, chunks when they are decompressed, blobs when they are rebuilt.
// It is safe for concurrent use.
type Reader struct {
	c        *container.Reader
	envelope *Envelope
	sums     map[string][32]byte // of entries
	header   *Header
	index    *index.Index
	packs    []packState
	absent   int // packs that are not there, the first ones: this is a receipt
	frames   *frameCache
	base     Content // of external chunks; may be nil
	own      ownChunks
}

// packState is where a pack lies and whether it was checked.
type packState struct {
	entry container.Entry
	hash  [32]byte
	mu    sync.Mutex
	done  bool
	err   error
}

// HeaderVoucher is a [Voucher] who decides about bale.json too, before the rest of
// the bundle is parsed: its name, age and expiry.
type HeaderVoucher interface {
	Voucher
	// VouchesFor fails unless a bundle with the header h may be read.
	VouchesFor(h Header) error
}

// Open parses the bundle for which v vouches, and checks everything that can
// be checked without reading packs. A receipt and an inventory, which have no
// content, are a [fault.ErrMissing].
func Open(ctx context.Context, e *Envelope, v Voucher) (*Reader, error) {
	r, err := OpenIndex(ctx, e, v)
	switch {
	case err != nil:
		return nil, err
	case r.absent > 0:
		return nil, fault.WithHint(fault.Missing("this is a receipt, without the bundle's content"),
			"a receipt is for save --base; load the bundle itself")
	case r.Inventory():
		return nil, fault.WithHint(fault.Missing("this is an inventory: it says what is at a place and has no content"),
			"an inventory is for save --base")
	}
	return r, nil
}

// OpenIndex is [Open] for those who can do without content: it takes receipts
// and inventories too.
func OpenIndex(ctx context.Context, e *Envelope, v Voucher) (*Reader, error) {
	if e.c == nil {
		return nil, errors.New("open bundle: the envelope has no container")
	}
	if err := v.Vouches(e.sums); err != nil {
		return nil, err
	}
	hashes, unknown, absent, err := e.matchEntries()
	if err != nil {
		return nil, err
	}
	raw, err := e.read(container.HeaderName, maxHeader, hashes)
	if err != nil {
		return nil, err
	}
	r := &Reader{c: e.c, envelope: e, sums: hashes}
	if r.header, err = ParseHeader(raw); err != nil {
		return nil, err
	}
	if hv, ok := v.(HeaderVoucher); ok {
		if err := hv.VouchesFor(*r.header); err != nil {
			return nil, err
		}
	}
	if unknown != "" {
		return nil, fault.Damaged("entry %s is not one of a bundle of version %d", unknown, r.header.Version)
	}
	if !r.header.Created.Equal(e.c.Modified()) {
		return nil, fault.Damaged("tar headers say the bundle was made at %s, bale.json %s", e.c.Modified(), r.header.Created)
	}
	if err := r.readIndex(ctx, hashes); err != nil {
		return nil, err
	}
	if err := r.findPacks(hashes, absent); err != nil {
		return nil, err
	}
	r.frames = newFrameCache(cacheBytes, r.loadFrame)
	return r, nil
}

// readIndex checks index.zst as a whole before it is parsed.
func (r *Reader) readIndex(ctx context.Context, hashes map[string][32]byte) error {
	entry, ok := r.c.Find(container.IndexName)
	if !ok {
		return fault.Damaged("the bundle has no %s", container.IndexName)
	}
	in, err := r.pinIndex(ctx, entry, hashes[entry.Name])
	if err != nil {
		return err
	}
	x, err := index.Read(ctx, in, entry.Size)
	if err != nil {
		return err
	}
	if len(x.Bases) != len(r.header.Bases) {
		return fault.Damaged("the index names %d bases, bale.json %d", len(x.Bases), len(r.header.Bases))
	}
	for i, id := range r.header.Bases {
		if hex.EncodeToString(x.Bases[i].ID[:]) != id {
			return fault.Damaged("the index names base %x, bale.json %s", x.Bases[i].ID, id)
		}
	}
	for i := range x.Blobs {
		if x.Blobs[i].Recipe == index.Deflate {
			if _, err := parseRecipe(x, &x.Blobs[i]); err != nil {
				return err
			}
		}
	}
	r.index = x
	return nil
}

// pinned reads its beginning from memory and the rest from a medium.
type pinned struct {
	head []byte
	rest io.ReaderAt
}

func (p pinned) ReadAt(b []byte, off int64) (int, error) {
	if off >= int64(len(p.head)) {
		return p.rest.ReadAt(b, off)
	}
	n := copy(b, p.head[off:])
	if n == len(b) {
		return n, nil
	}
	k, err := p.rest.ReadAt(b[n:], int64(len(p.head)))
	return n + k, err
}

// pinIndex checks index.zst against its sum, and keeps its header and root,
// which vouch for all else in it: a medium that says something else when it is
// asked again (or a file that somebody changes meanwhile) gains nothing.
func (r *Reader) pinIndex(ctx context.Context, e container.Entry, want [32]byte) (io.ReaderAt, error) {
	head := make([]byte, min(e.Size, index.MaxHead))
	if err := r.c.ReadAt(head, e.Offset); err != nil {
		return nil, fmt.Errorf("read %s: %w", e.Name, err)
	}
	h := sha256.New()
	h.Write(head)
	rest := io.NewSectionReader(r.c.Open(e), int64(len(head)), e.Size-int64(len(head)))
	if err := hashTo(ctx, h, rest, nil); err != nil {
		return nil, fmt.Errorf("read %s: %w", e.Name, err)
	}
	if [32]byte(h.Sum(nil)) != want {
		return nil, wrongSum(e.Name)
	}
	return pinned{head, r.c.Open(e)}, nil
}

// findPacks matches the packs of the index with the entries of the container.
// Of a receipt the first packs are absent, but never those with what names
// images.
func (r *Reader) findPacks(hashes map[string][32]byte, absent []string) error {
	if len(absent) > 0 {
		if len(absent) > r.firstRoot() {
			return fault.Damaged("entry %s is missing from the bundle", absent[0])
		}
		for i, name := range absent {
			if name != container.PackName(r.index.Packs[i].Digest) {
				return fault.Damaged("entry %s is missing from the bundle", name)
			}
			if h := hashes[name]; digest.NewDigestFromBytes(digest.SHA256, h[:]) != r.index.Packs[i].Digest {
				return fault.Damaged("pack %s has another hash in %s than in its name", name, container.SumsName)
			}
		}
		r.absent = len(absent)
	}
	var entries []container.Entry
	for _, e := range r.c.Entries() {
		d, ok := container.PackDigest(e.Name)
		if !ok {
			continue
		}
		if h := hashes[e.Name]; digest.NewDigestFromBytes(digest.SHA256, h[:]) != d {
			return fault.Damaged("pack %s has another hash in %s than in its name", e.Name, container.SumsName)
		}
		entries = append(entries, e)
	}
	if r.absent+len(entries) != len(r.index.Packs) {
		return fault.Damaged("the index has %d packs, the bundle %d", len(r.index.Packs), len(entries))
	}
	r.packs = make([]packState, len(r.index.Packs))
	for i, e := range entries {
		i += r.absent
		p := r.index.Packs[i]
		if e.Name != container.PackName(p.Digest) || e.Size != p.Size {
			return fault.Damaged("the index has pack %s of %d bytes where the bundle has %s of %d", p.Digest, p.Size, e.Name, e.Size)
		}
		r.packs[i].entry, r.packs[i].hash = e, hashes[e.Name]
	}
	return nil
}

// firstRoot returns the first pack that holds an image's root, or the number of
// packs.
func (r *Reader) firstRoot() int {
	first := len(r.index.Packs)
	for i := range r.index.Images {
		if b, ok := r.index.Blob(r.index.Images[i].Digest); ok {
			first = min(first, r.firstPack(b))
		}
	}
	return first
}

// firstPack returns the first pack that a blob needs.
func (r *Reader) firstPack(b *index.Blob) int {
	first := len(r.index.Packs)
	for _, runs := range b.Lanes {
		for _, run := range runs {
			// Later chunks lie in later packs.
			if f, own := r.index.Frame(run.First); own {
				first = min(first, int(r.index.Frames[f].Pack))
			}
		}
	}
	return first
}

// Inventory reports whether this only lists what a place holds: it builds on
// that place, which goes by its own id, or has blobs that are only listed.
func (r *Reader) Inventory() bool {
	return slices.Contains(r.header.Bases, r.header.ID) ||
		slices.ContainsFunc(r.index.Blobs, func(b index.Blob) bool { return b.Recipe == index.Listed })
}

// Detached reports whether this is a receipt: content is not there.
func (r *Reader) Detached() bool { return r.absent > 0 }

// Header returns bale.json.
func (r *Reader) Header() Header { return *r.header }

// Index returns the table of contents, which must not be changed.
func (r *Reader) Index() *index.Index { return r.index }

// checkPack checks a pack against its sum, once. A pack that was found good
// or damaged stays so; an interrupted or failed read is tried again.
func (r *Reader) checkPack(ctx context.Context, i int, progress func(int64)) error {
	if i < r.absent {
		return fault.Missing("pack %s is not in the receipt", r.index.Packs[i].Digest)
	}
	p := &r.packs[i]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		return p.err
	}
	err := r.checkEntry(ctx, p.entry, p.hash, progress)
	if err == nil {
		head := make([]byte, pack.HeaderSize)
		if err = r.c.ReadAt(head, p.entry.Offset); err == nil {
			err = pack.CheckHeader(head)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", p.entry.Name, err)
		}
	}
	if err == nil || errors.Is(err, fault.ErrDamaged) {
		p.done, p.err = true, err
	}
	return err
}

// Check reads every pack and compares it with its sum: what sha256sum -c does.
// progress, if not nil, is called with the bytes read since the call before.
func (r *Reader) Check(ctx context.Context, progress func(int64)) error {
	for i := r.absent; i < len(r.packs); i++ {
		if err := r.checkPack(ctx, i, progress); err != nil {
			return err
		}
	}
	return nil
}

// PackBytes returns how many bytes [Reader.Check] reads.
func (r *Reader) PackBytes() (n int64) {
	for i := range r.packs {
		n += r.packs[i].entry.Size
	}
	return n
}

// checkEntry streams an entry through SHA-256.
func (r *Reader) checkEntry(ctx context.Context, e container.Entry, want [32]byte, progress func(int64)) error {
	h := sha256.New()
	if err := hashTo(ctx, h, r.c.Open(e), progress); err != nil {
		return fmt.Errorf("read %s: %w", e.Name, err)
	}
	if [32]byte(h.Sum(nil)) != want {
		return wrongSum(e.Name)
	}
	return nil
}

// hashTo reads src to its end into h.
func hashTo(ctx context.Context, h hash.Hash, src io.Reader, progress func(int64)) error {
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := src.Read(buf)
		h.Write(buf[:n])
		if progress != nil {
			progress(int64(n))
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func wrongSum(name string) error {
	return fault.WithHint(fault.Damaged("%s does not have the sum in %s", name, container.SumsName),
		"copy the bundle again; compare with: sha256sum FILE on both sides")
}

func checkSum(name string, b []byte, hashes map[string][32]byte) error {
	if sha256.Sum256(b) != hashes[name] {
		return wrongSum(name)
	}
	return nil
}
