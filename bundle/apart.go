package bundle

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"bale/bundle/blob"
	"bale/bundle/chunk"
	"bale/bundle/deflate"
	"bale/bundle/fault"
	"bale/bundle/index"
)

// Limits of recipe kind 1 (FORMAT.md, section 5.1).
const (
	// maxRatio and freeRaw bound what a blob decompresses to: so many times
	// its size, or so many bytes.
	maxRatio = 200
	freeRaw  = 16 << 20
	// modelVersion is the newest version of the parameters of package deflate.
	modelVersion = 1
	// maxModel is the greatest size of the parameters of package deflate.
	maxModel = 4 << 10
	// maxInline is up to how many bytes corrections stand in the parameters:
	// beyond, chunks are worth their place in the index.
	maxInline = 1 << 10
)

// maxRaw returns how many raw bytes a gzip blob may decompress to.
func maxRaw(size int64) int64 {
	if size > (1<<62)/maxRatio {
		return 1 << 62
	}
	return max(maxRatio*size, freeRaw)
}

// Recipe is how a blob that was taken apart is rebuilt.
type Recipe struct {
	Params      []byte // for deflate.Describe
	RawSize     int64  // what the blob decompresses to
	Corrections int64  // bytes that its rebuilding takes besides, before compression

	inline []byte // the corrections, if they are not in extra chunks
}

// Recipe returns the recipe of a blob, and false if the blob is stored as it
// came or is not there.
func (r *Reader) Recipe(d digest.Digest) (Recipe, bool) {
	b, ok := r.index.Blob(d)
	if !ok || b.Recipe != index.Deflate {
		return Recipe{}, false
	}
	out, err := parseRecipe(r.index, b)
	return out, err == nil // Open has checked it
}

// encodeParams returns the parameters of a blob: those for package deflate
// with their length, then corrections that are small enough.
func encodeParams(model, corrections []byte) []byte {
	p := binary.AppendUvarint(nil, uint64(len(model)))
	p = append(p, model...)
	return append(p, corrections...)
}

// parseRecipe reads and checks all that the index says of how a deflate blob
// is rebuilt.
func parseRecipe(x *index.Index, b *index.Blob) (Recipe, error) {
	n, k := binary.Uvarint(b.Params)
	if k <= 0 || n > uint64(len(b.Params)-k) || len(binary.AppendUvarint(nil, n)) != k {
		return Recipe{}, fault.Damaged("blob %s: its recipe's parameters are cut off", b.Digest)
	}
	r := Recipe{Params: b.Params[k : k+int(n)], RawSize: b.RawSize, inline: b.Params[k+int(n):]}
	r.Corrections = int64(len(r.inline))
	if len(r.inline) > maxInline {
		return Recipe{}, fault.Damaged("blob %s: its recipe's parameters hold %d bytes of corrections, over the limit of %d", b.Digest, len(r.inline), maxInline)
	}
	if len(b.Extra) > 0 {
		var extra int64
		for _, run := range b.Extra {
			for c := run.First; c < run.First+run.Count; c++ {
				extra += x.Chunks.Length(c)
			}
		}
		if r.Corrections > 0 || extra <= maxInline {
			return Recipe{}, fault.Damaged("blob %s: its corrections do not stand where they should", b.Digest)
		}
		r.Corrections = extra
	}
	if err := checkRecipe(r.Params, r.RawSize, b.Size, r.Corrections); err != nil {
		return Recipe{}, fmt.Errorf("blob %s: %w", b.Digest, err)
	}
	return r, nil
}

// checkRecipe checks what can be checked before anything is rebuilt.
func checkRecipe(params []byte, raw, size, corrections int64) error {
	switch {
	case len(params) > maxModel:
		return fault.Damaged("its recipe has %d bytes of parameters, over the limit of %d", len(params), maxModel)
	case raw > maxRaw(size):
		return fault.Damaged("its recipe has %d raw bytes for %d of gzip, over the limit of %d times", raw, size, maxRatio)
	case corrections > size:
		return fault.Damaged("its recipe has %d bytes of corrections for %d of gzip", corrections, size)
	}
	// The first byte is their version; what it means else is deflate's.
	if len(params) > 0 && params[0] > modelVersion {
		return newer("its recipe has parameters of version %d, this bale knows up to %d", params[0], modelVersion)
	}
	if _, err := deflate.Describe(params); err != nil {
		return fault.Damaged("its recipe: %w", err)
	}
	return nil
}

// extra adds corrections as chunks and returns their ids.
func (b *Writer) extra(ctx context.Context, corrections io.Reader) ([]index.Run, error) {
	var runs []index.Run
	buf := make([]byte, chunk.MaxSize)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := io.ReadFull(corrections, buf)
		if n > 0 {
			id, perr := b.chunks.put(ctx, correctionsClass, buf[:n])
			if perr != nil {
				return nil, perr
			}
			runs = appendRun(runs, id, 1)
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return runs, nil
		case err != nil:
			return nil, fmt.Errorf("read corrections: %w", err)
		}
	}
}

// takeApart fills in what is special of a blob with a recipe, once its raw
// bytes are in.
func (b *Writer) takeApart(ctx context.Context, x *index.Blob, p *Prepared) error {
	if x.RawSize != p.rawSize {
		return fmt.Errorf("blob %s has %d raw bytes, its recipe is for %d", p.digest, x.RawSize, p.rawSize)
	}
	x.Recipe = index.Deflate
	if p.corrections.Len() > maxInline {
		x.Params = encodeParams(p.params, nil)
		var err error
		x.Extra, err = b.extra(ctx, p.corrections.Reader())
		return err
	}
	var inline bytes.Buffer
	if _, err := io.Copy(&inline, p.corrections.Reader()); err != nil {
		return fmt.Errorf("read corrections: %w", err)
	}
	x.Params = encodeParams(p.params, inline.Bytes())
	return nil
}

// inflated reads the raw bytes of a blob that is verified by v.
type inflated struct {
	raw io.Reader
	v   *blob.Reader
}

func (i *inflated) Read(p []byte) (int, error) {
	n, err := i.raw.Read(p)
	if err == nil {
		return n, nil
	}
	// What the blob holds beyond its raw bytes, and whether it is the right
	// one: wrong content is to be called that, whatever it did to inflating.
	if _, verr := io.Copy(io.Discard, i.v); verr != nil {
		err = verr
	}
	return n, err
}

// rebuilt gives the bytes of a gzip blob.
type rebuilt struct {
	ctx context.Context
	z   io.ReadCloser
}

// rebuildBlob returns the bytes of a blob that was taken apart.
func (r *Reader) rebuildBlob(ctx context.Context, b *index.Blob) (io.ReadCloser, error) {
	recipe, err := parseRecipe(r.index, b)
	if err != nil {
		return nil, err
	}
	var corrections io.Reader = bytes.NewReader(recipe.inline)
	if len(b.Extra) > 0 {
		corrections = &laneReader{ctx: ctx, r: r, runs: b.Extra}
	}
	z, err := deflate.NewReader(recipe.Params, b.Size, r.rawReader(ctx, b), corrections)
	if err != nil {
		return nil, misfit(err)
	}
	return &rebuilt{ctx, z}, nil
}

func (r *rebuilt) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.z.Read(p)
	if err != nil && err != io.EOF {
		err = misfit(err)
	}
	return n, err
}

// Close implements io.Closer.
func (r *rebuilt) Close() error { return r.z.Close() }

// misfit calls a recipe that does not fit what it is: damage.
func misfit(err error) error {
	if errors.Is(err, deflate.ErrRecipe) {
		return fault.Damaged("rebuild gzip: %w", err)
	}
	return err
}
