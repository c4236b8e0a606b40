package bundle

import (
	"github.com/opencontainers/go-digest"

	"bale/bundle/index"
)

// Adoptable reports whether a base holds a blob with all that rebuilding it
// takes, so that its content need not even be read.
func Adoptable(bases []*Reader, d digest.Digest, size int64) bool {
	_, x, ok := adoptable(bases, d)
	return ok && x.Size == size
}

func adoptable(bases []*Reader, d digest.Digest) (base int, x *index.Blob, ok bool) {
	for i, r := range bases {
		x, ok := r.index.Blob(d)
		if !ok || x.Recipe == index.Listed || x.Recipe == index.Stored && x.Size < minApart {
			continue
		}
		if _, known := r.index.RawHash(d); known || x.Recipe == index.Stored {
			return i, x, true
		}
	}
	return 0, nil, false
}

// Adopt takes in a blob that is [Adoptable] as a base has it. Manifests
// and configs must be added as they are.
func (b *Writer) Adopt(d digest.Digest) error {
	switch {
	case b.finished:
		return errFinished
	case b.broken != nil:
		return b.broken
	case b.known[d]:
		return nil
	}
	base, have, ok := adoptable(b.bases, d)
	if !ok {
		return errNotHeld
	}
	x := *have
	x.Lanes = nil
	for _, runs := range have.Lanes {
		ids, err := b.adopted(base, runs)
		if err != nil {
			return err
		}
		x.Lanes = append(x.Lanes, ids)
	}
	var err error
	if x.Extra, err = b.adopted(base, have.Extra); err != nil {
		return err
	}
	if h, ok := b.bases[base].index.RawHash(d); ok {
		b.raw[d] = h
	}
	b.blobs = append(b.blobs, x)
	b.known[d] = true
	return nil
}

// adopted turns runs of a base's chunks into runs of ids.
func (b *Writer) adopted(base int, runs []index.Run) ([]index.Run, error) {
	var out []index.Run
	for w := (walk{runs: runs}); ; {
		c, ok := w.next()
		if !ok {
			return out, nil
		}
		id, err := b.chunks.external.use(b.chunks.held.id(base, c))
		if err != nil {
			return nil, err
		}
		out = appendRun(out, id, 1)
	}
}
