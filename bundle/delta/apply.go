package delta

import (
	"encoding/binary"
	"math"
	"sync"

	"bale/bundle/fault"
)

// appliers keeps what Apply needs beside its result.
var appliers = sync.Pool{New: func() any { return new(applier) }}

// applier rebuilds new.
type applier struct {
	forecaster
	diffs [classes]diffReader
}

// diffReader reads the differences of one class.
type diffReader struct {
	gaps, kinds, values input
	gap                 int // until the next difference
	recent              recent
}

// Apply makes new, which has size bytes, from old and a patch. What does not
// make exactly that and use the patch up exactly is a [fault.ErrDamaged]; the
// result is not compared with anything, so a wrong old may give a wrong new.
// Apart from the result at most len(old)/2 + 1 MiB are allocated, and kept for
// the next call. It is safe for concurrent use.
func Apply(old, patch []byte, size int) ([]byte, error) {
	if size < 0 || size > MaxNew || len(patch) > MaxPatch(size) {
		return nil, fault.Damaged("patch of %d bytes for a content of %d is over the limits of the format", len(patch), size)
	}
	old = old[:min(len(old), MaxOld)]
	in, literals, err := parse(patch)
	if err != nil {
		return nil, err
	}
	a := appliers.Get().(*applier)
	defer func() {
		a.diffs = [classes]diffReader{} // lets go of the patch
		appliers.Put(a)
	}()

	// The spans must be known before the first one is rebuilt, and be checked
	// before anything is allocated.
	start, err := newSpanReader(&in, size, len(old))
	if err != nil {
		return nil, err
	}
	like := 0
	a.reset(len(old))
	for r := *start; ; {
		s, ok, err := r.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		a.near.add(s)
		like += s.n
	}
	if like+len(literals) != size {
		return nil, fault.Damaged("patch makes %d bytes, not %d", like+len(literals), size)
	}
	for c := range a.diffs {
		d := &a.diffs[c]
		*d = diffReader{gaps: in[gaps+3*c], kinds: in[kinds+3*c], values: in[values+3*c]}
		if err := d.next(); err != nil {
			return nil, err
		}
	}

	out := make([]byte, size)
	at := 0
	for r := *start; ; {
		s, ok, err := r.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		literals = literals[copy(out[at:s.at], literals):]
		at = s.at + s.n
		if err := a.rebuild(out[s.at:at], old, s); err != nil {
			return nil, err
		}
	}
	copy(out[at:], literals)
	for c := range a.diffs {
		d := &a.diffs[c]
		if d.gap != math.MaxInt || len(d.kinds)+len(d.values) > 0 {
			return nil, fault.Damaged("patch has more differences than places for them")
		}
	}
	return out, nil
}

// rebuild makes one span.
func (a *applier) rebuild(dst, old []byte, s span) error {
	src := old[s.old : s.old+s.n]
	copy(dst, src)
	for i := 0; ; {
		x := nextField(src, i, s.at-s.phase)
		if err := a.diffs[plain].bytes(dst[i:x.at]); err != nil {
			return err
		}
		if x.at == len(src) {
			return nil
		}
		r := a.of(s, x)
		d := &a.diffs[x.class]
		v := r.value
		if d.gap == 0 {
			diff, err := d.take()
			if err != nil {
				return err
			}
			v += diff
			r.learn(v)
		} else if d.gap != math.MaxInt {
			d.gap--
		}
		binary.LittleEndian.PutUint32(dst[x.at:], v)
		i = x.at + fieldSize
	}
}

// bytes puts the differences into plain bytes.
func (d *diffReader) bytes(p []byte) error {
	for len(p) > d.gap {
		p = p[d.gap:]
		diff, err := d.take()
		if err != nil {
			return err
		}
		n := min(fieldSize, len(p))
		putWord(p[:n], word(p[:n])+diff)
		p = p[n:]
	}
	if d.gap != math.MaxInt {
		d.gap -= len(p)
	}
	return nil
}

// next reads how far it is to the next difference.
func (d *diffReader) next() error {
	if len(d.gaps) == 0 {
		d.gap = math.MaxInt
		return nil
	}
	gap, err := d.gaps.number(MaxNew)
	d.gap = int(gap)
	return err
}

// take reads a difference, and how far it is to the next.
func (d *diffReader) take() (uint32, error) {
	if len(d.kinds) == 0 {
		return 0, fault.Damaged("patch ends inside a stream")
	}
	kind := int(d.kinds[0])
	d.kinds = d.kinds[1:]
	if kind > recents {
		return 0, fault.Damaged("patch refers to difference %d of %d", kind, recents)
	}
	var diff uint32
	if kind > 0 {
		diff = d.recent.take(kind - 1)
	} else {
		v, err := d.values.number(math.MaxUint32)
		if err != nil {
			return 0, err
		}
		diff = unzigzag(v)
		d.recent.front(recents-1, diff)
	}
	if diff == 0 {
		return 0, fault.Damaged("patch holds a difference of nothing")
	}
	return diff, d.next()
}

// word returns up to four bytes as a number.
func word(p []byte) (v uint32) {
	if len(p) == fieldSize {
		return binary.LittleEndian.Uint32(p)
	}
	for i, b := range p {
		v |= uint32(b) << (8 * i)
	}
	return v
}

// putWord is the reverse of word; what does not fit is left out.
func putWord(p []byte, v uint32) {
	for i := range p {
		p[i] = byte(v >> (8 * i))
	}
}
