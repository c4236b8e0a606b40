package bundle

import (
	"bale/bundle/delta"
	"bale/bundle/pack"
)

// changedEncoders make frames of changed content. They are made when the first
// one comes, since they take much memory.
type changedEncoders struct {
	patch      *delta.Encoder
	dictionary *pack.DictionaryEncoder
	scratch    []byte
}

// encode compresses a frame as suits it best.
func (e *encoders) encode(j *job) error {
	if len(j.old) == 0 {
		j.stored = e.of(j.class).Encode(newBuffer(), j.raw)
		return nil
	}
	if err := e.encodeChanged(j); err != nil {
		return err
	}
	if j.kind == pack.Plain {
		j.dictionary = nil
	}
	j.old = nil
	return nil
}

const (
	// similar is up to which share of the raw bytes a patch is thought to be
	// so small that nothing else needs to be tried.
	similarNum, similarDen = 1, 50
	// unlike is from which share on the content may be smaller by itself.
	unlikeNum, unlikeDen = 1, 8
)

// encodeChanged takes the smallest of what there is: a patch, at level best also
// the old content as dictionary, or nothing but the content.
func (e *encoders) encodeChanged(j *job) error {
	c := &e.changed
	if c.patch == nil {
		c.patch = delta.NewEncoder()
	}
	c.scratch = c.patch.Append(c.scratch[:0], j.old, j.raw)
	if int64(len(c.scratch)) <= pack.MaxPatch(int64(len(j.raw))) {
		j.kind, j.patch = pack.Patch, int64(len(c.scratch))
		j.stored = e.normal.Encode(newBuffer(), c.scratch)
	}
	if e.level == pack.Best && (j.stored == nil || len(j.stored)*similarDen > len(j.raw)*similarNum) {
		if c.dictionary == nil {
			var err error
			if c.dictionary, err = pack.NewDictionaryEncoder(); err != nil {
				return err
			}
		}
		stored, err := c.dictionary.Encode(newBuffer(), j.raw, j.old)
		if err != nil {
			return err
		}
		j.take(pack.Dictionary, stored)
	}
	if j.stored == nil || len(j.stored)*unlikeDen > len(j.raw)*unlikeNum {
		j.take(pack.Plain, e.normal.Encode(newBuffer(), j.raw))
	}
	return nil
}

// take keeps what is smaller.
func (j *job) take(k pack.Kind, stored []byte) {
	if j.stored != nil {
		if len(stored) >= len(j.stored) {
			freeBuffer(stored)
			return
		}
		freeBuffer(j.stored)
	}
	j.kind, j.patch, j.stored = k, 0, stored
}
