package bundle

import (
	"context"
	"io"

	"github.com/opencontainers/go-digest"

	"bale/bundle/container"
	"bale/bundle/fault"
)

// WriteReceipt writes the bundle without its content: what is left says what
// the bundle holds, and its signatures stand (FORMAT.md, section 2.1). Packs are
// left out from the first one on up to where the first of keep is stored, which
// are the manifests and configs.
func (r *Reader) WriteReceipt(ctx context.Context, w io.Writer, keep []digest.Digest) error {
	first := r.firstRoot()
	for _, d := range keep {
		b, ok := r.index.Blob(d)
		if !ok {
			return fault.Missing("blob %s is not in the bundle", d)
		}
		first = min(first, r.firstPack(b))
	}
	out, err := container.NewWriter(w, r.c.Modified())
	if err != nil {
		return err
	}
	absent := make(map[string]bool)
	for _, p := range r.index.Packs[:first] {
		absent[container.PackName(p.Digest)] = true
	}
	for _, e := range r.c.Entries() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if absent[e.Name] {
			continue
		}
		b, err := r.entry(e)
		if err != nil {
			return err
		}
		if err := out.Add(e.Name, b); err != nil {
			return err
		}
	}
	return out.Close()
}

// entry returns the content of an entry: sums and signatures as they were when
// they were decided about, all else by the sums.
func (r *Reader) entry(e container.Entry) ([]byte, error) {
	if e.Name == container.SumsName {
		return r.envelope.sums, nil
	}
	for _, s := range r.envelope.signatures {
		if s.Entry == e.Name {
			return s.Data, nil
		}
	}
	b, err := r.c.ReadFile(e, e.Size)
	if err != nil {
		return nil, err
	}
	return b, checkSum(e.Name, b, r.sums)
}
