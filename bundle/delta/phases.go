package delta

import "encoding/binary"

// phaseCost is how many addresses must be aligned otherwise to make a change
// of phase worth while: other numbers can look like a few.
const phaseCost = 512

// findPhases finds where the addresses in each span are aligned: new need not
// begin where a file does, nor hold but one. It is the way through the spans
// that has most addresses where it says, less what changes cost.
func (e *Encoder) findPhases(old, new []byte) {
	score := [8]int{1: -phaseCost, -phaseCost, -phaseCost, -phaseCost, -phaseCost, -phaseCost, -phaseCost}
	e.before = e.before[:0]
	for _, s := range e.spans {
		best := 0
		for p, n := range score {
			if n > score[best] {
				best = p
			}
		}
		other := score[best] - phaseCost
		var before [8]uint8
		count := addresses(old[s.old:s.old+s.n], new[s.at:s.at+s.n], s.at)
		for p := range score {
			before[p] = uint8(p)
			if other > score[p] {
				before[p], score[p] = uint8(best), other
			}
			score[p] += count[p]
		}
		e.before = append(e.before, before)
	}
	phase := 0
	for p, n := range score {
		if n > score[phase] {
			phase = p
		}
	}
	for i := len(e.spans) - 1; i >= 0; i-- {
		e.spans[i].phase = phase
		phase = int(e.before[i][phase])
	}
}

// addresses counts what looks like an address and has changed, by its offset
// modulo 8, at being that of src.
func addresses(src, now []byte, at int) (count [8]int) {
	for k := 0; k+8 <= len(src); k++ {
		v := binary.LittleEndian.Uint64(src[k:])
		// The byte before an address is often 0, and then it looks like one.
		if v-lowest < highest-lowest && v&0xff != 0 && uint32(v) != binary.LittleEndian.Uint32(now[k:]) {
			count[(at+k)&7]++
		}
	}
	return count
}
