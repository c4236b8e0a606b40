package delta

import "encoding/binary"

// Encoder makes patches. It is reusable, and not safe for concurrent use. For
// contents of 16 MiB it holds 16 MiB for the index of old, 8 MiB for what is
// foretold, and the spans and streams of the patch: usually a few MiB, at most
// about 64 MiB for contents made to that end.
type Encoder struct {
	seeds  seeds
	spans  []span
	before [][8]uint8 // of each span: the phase that comes before each phase
	forecaster
	out   [streams][]byte
	diffs [classes]diffWriter
}

// diffWriter writes the differences of one class.
type diffWriter struct {
	gaps, kinds, values []byte
	gap                 int // since the last difference
	recent              recent
}

// NewEncoder returns an Encoder.
func NewEncoder() *Encoder { return new(Encoder) }

// Append appends the patch that makes new from old to dst: at most
// [MaxPatch](len(new)) bytes, which depend on old and new only. It panics if
// new has more than [MaxNew] bytes.
func (e *Encoder) Append(dst, old, new []byte) []byte {
	if len(new) > MaxNew {
		panic("delta: new content is over the limit")
	}
	old = old[:min(len(old), MaxOld)]
	e.seeds.build(old)
	e.spans = e.align(e.spans[:0], old, new)
	e.findPhases(old, new)
	e.describe(old, new)

	size, like := len(new), 0
	for i := range e.out {
		size += len(e.out[i])
	}
	for _, s := range e.spans {
		like += s.n
	}
	if size-like > len(new) {
		// Nothing but literals is less.
		e.spans = e.spans[:0]
		e.describe(old, new)
	}
	for i := range e.out {
		dst = binary.AppendUvarint(dst, uint64(len(e.out[i])))
	}
	for i := range e.out {
		dst = append(dst, e.out[i]...)
	}
	at := 0
	for _, s := range e.spans {
		dst = append(dst, new[at:s.at]...)
		at = s.at + s.n
	}
	return append(dst, new[at:]...)
}

// describe fills the streams.
func (e *Encoder) describe(old, new []byte) {
	e.reset(len(old))
	for i := range e.out {
		e.out[i] = e.out[i][:0]
	}
	for c := range e.diffs {
		d := &e.diffs[c]
		*d = diffWriter{gaps: d.gaps[:0], kinds: d.kinds[:0], values: d.values[:0]}
	}
	at, from := 0, 0
	phase, changed := 0, 0
	for i, s := range e.spans {
		e.near.add(s)
		if s.phase != phase {
			e.out[phases] = binary.AppendUvarint(e.out[phases], uint64(i-changed))
			e.out[phases] = append(e.out[phases], byte(s.phase))
			phase, changed = s.phase, i
		}
		e.out[skips] = binary.AppendUvarint(e.out[skips], uint64(s.at-at))
		e.out[lengths] = binary.AppendUvarint(e.out[lengths], uint64(s.n))
		e.out[jumps] = binary.AppendUvarint(e.out[jumps], uint64(zigzag(uint32(s.old-from))))
		at, from = s.at+s.n, s.old+s.n
	}
	for _, s := range e.spans {
		e.compare(new[s.at:s.at+s.n], old, s)
	}
	for c := range e.diffs {
		d := &e.diffs[c]
		e.out[gaps+3*c], e.out[kinds+3*c], e.out[values+3*c] = d.gaps, d.kinds, d.values
	}
}

// compare writes the differences of a span from what is foretold.
func (e *Encoder) compare(want, old []byte, s span) {
	src := old[s.old : s.old+s.n]
	for i := 0; ; {
		x := nextField(src, i, s.at-s.phase)
		e.diffs[plain].bytes(want[i:x.at], src[i:x.at])
		if x.at == len(src) {
			return
		}
		r := e.of(s, x)
		d := &e.diffs[x.class]
		if v := word(want[x.at : x.at+fieldSize]); v == r.value {
			d.gap++
		} else {
			d.put(v - r.value)
			r.learn(v)
		}
		i = x.at + fieldSize
	}
}

// bytes writes the differences between plain bytes.
func (d *diffWriter) bytes(want, src []byte) {
	for {
		same := run(want, src)
		d.gap += same
		want, src = want[same:], src[same:]
		if len(want) == 0 {
			return
		}
		n := min(fieldSize, len(want))
		d.put(word(want[:n]) - word(src[:n]))
		want, src = want[n:], src[n:]
	}
}

// put writes a difference.
func (d *diffWriter) put(diff uint32) {
	d.gaps = binary.AppendUvarint(d.gaps, uint64(d.gap))
	d.gap = 0
	i := d.recent.use(diff)
	if i < recents {
		d.kinds = append(d.kinds, byte(i+1))
		return
	}
	d.kinds = append(d.kinds, 0)
	d.values = binary.AppendUvarint(d.values, uint64(zigzag(diff)))
}
