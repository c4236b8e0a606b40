package delta

import (
	"encoding/binary"
	"math/bits"
)

// How new is searched. Places are offsets from a place in new to one in old;
// the last one is kept up as long as it is not clearly worse than another,
// since a change costs more than a few differences.
const (
	// sure bytes that are the same need no search.
	sure = 32
	// good of 32 bytes that are the same need none either, and are passed by
	// at least step bytes at a time.
	good, step = 24, 8
	// gain is by how many bytes more a place must match to be changed to.
	gain = 8
	// look is how far places are compared, and ahead how much further with
	// differences.
	look, ahead = 256, 32
	// Where nothing is found for long only every so many-th byte is searched:
	// in the end an odd number, as with an even one some bytes would never
	// meet an indexed place, however much is the same from there on.
	patience, maxStride = 128, 15
	// giveUp is by how much a stretch may become worse again before its better
	// end is looked for no further.
	giveUp = 1000
	// effort bounds, in bytes for each of new, how far spans are extended
	// backwards in all; beyond it each is by at most brief.
	effort, brief = 8, 64
)

// align appends the spans of new to spans, in order. What it finds has no
// influence on what is right, only on what is small.
func (e *Encoder) align(spans []span, old, new []byte) []span {
	l := liner{old: old, new: new, spans: spans, effort: effort * len(new)}
	place := 0
	misses := 0
	for at := 0; at < len(new); {
		now := at + place
		if now >= 0 && now < len(old) {
			n := run(old[now:], new[at:])
			if n < sure && similar(old[now:], new[at:]) {
				n = max(n, step)
			} else if n < sure {
				n = 0
			}
			if n > 0 {
				at += n
				misses = 0
				continue
			}
		}
		from, n := e.seeds.find(old, new[at:min(at+look, len(new))], now)
		if n < seed {
			misses++
			at += 1 + min(misses/patience, maxStride-1)
			continue
		}
		if now >= 0 && now < len(old) {
			here := new[at:min(at+n+ahead, len(new))]
			if same(old[from:], here) <= same(old[now:], here)+gain {
				at++
				continue
			}
		}
		misses = 0
		l.change(at, from)
		place = from - at
		at += run(old[from:], new[at:])
	}
	l.change(len(new), -1)
	return l.spans
}

// liner makes spans of the places where new goes on in old.
type liner struct {
	old, new []byte
	spans    []span
	at, from int // where the last change was
	effort   int
}

// change ends what goes on since the last change, as at of new stands at from
// in old; or stands nowhere, if from is negative. Both stretches are extended
// towards each other as long as more than half of their bytes are the same,
// and where they meet the cut is where most are.
func (l *liner) change(at, from int) {
	fore, back := l.forwards(at), 0
	if from >= 0 {
		back = l.backwards(at, from)
	}
	if over := l.at + fore - (at - back); over > 0 {
		a, b := l.old[l.from+fore-over:], l.old[max(from-back, 0):]
		score, best, cut := 0, 0, 0
		for i, c := range l.new[at-back:][:over] {
			if c == a[i] {
				score++
			}
			if c == b[i] {
				score--
			}
			if score > best {
				best, cut = score, i+1
			}
		}
		fore += cut - over
		back -= cut
	}
	if fore > 0 {
		l.spans = append(l.spans, span{at: l.at, old: l.from, n: fore})
	}
	l.at, l.from = at-back, from-back
}

// forwards returns how far what began at the last change goes on, up to end.
func (l *liner) forwards(end int) (n int) {
	score, best := 0, 0
	old := l.old[l.from:]
	for i, c := range l.new[l.at:end] {
		if i == len(old) {
			break
		}
		if c == old[i] {
			score++
		} else {
			score--
		}
		if score > best {
			best, n = score, i+1
		}
	}
	return n
}

// backwards returns how far before at and from they are alike, at most up to
// the last change.
func (l *liner) backwards(at, from int) (n int) {
	most := min(at-l.at, from)
	if l.effort <= 0 {
		most = min(most, brief)
	}
	score, best, i := 0, 0, 1
	for ; i <= most && score > best-giveUp; i++ {
		if l.old[from-i] == l.new[at-i] {
			score++
		} else {
			score--
		}
		if score > best {
			best, n = score, i
		}
	}
	l.effort -= i
	return n
}

// run returns how many bytes at the start of a and b are the same.
func run(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if d := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); d != 0 {
			return i + bits.TrailingZeros64(d)>>3
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// same returns how many bytes of a and b are the same at the same place.
func same(a, b []byte) (n int) {
	a = a[:min(len(a), len(b))]
	for len(a) >= 8 {
		n += same8(a, b)
		a, b = a[8:], b[8:]
	}
	for i, c := range a {
		if c == b[i] {
			n++
		}
	}
	return n
}

// similar reports whether good of the first 32 bytes of a and b are the same.
func similar(a, b []byte) bool {
	return min(len(a), len(b)) >= 32 && same(a[:32], b[:32]) >= good
}

// same8 returns how many of the first 8 bytes of a and b are the same.
func same8(a, b []byte) int {
	const low = 0x7f7f7f7f7f7f7f7f
	x := binary.LittleEndian.Uint64(a) ^ binary.LittleEndian.Uint64(b)
	return 8 - bits.OnesCount64((x&low+low|x)&^low)
}
