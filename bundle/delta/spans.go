package delta

import "bale/bundle/fault"

// spanReader reads the spans of a patch one after the other.
type spanReader struct {
	skips, lengths, jumps, phases input
	size, old                     int // of new and of old

	at, from int // where the last span ended in new and in old
	phase    int
	change   int // of the phase: how many spans before it, or -1
}

func newSpanReader(in *[streams]input, size, old int) (*spanReader, error) {
	r := &spanReader{skips: in[skips], lengths: in[lengths], jumps: in[jumps], phases: in[phases], size: size, old: old}
	return r, r.ahead()
}

// ahead reads when the phase changes next.
func (r *spanReader) ahead() error {
	r.change = -1
	if len(r.phases) == 0 {
		return nil
	}
	n, err := r.phases.number(MaxNew)
	r.change = int(n)
	return err
}

// next returns the next span; ok is false after the last one.
func (r *spanReader) next() (s span, ok bool, err error) {
	if len(r.skips)+len(r.lengths)+len(r.jumps) == 0 {
		if r.change >= 0 {
			return s, false, fault.Damaged("patch has more phases than spans")
		}
		return s, false, nil
	}
	if r.change == 0 {
		phase, err := r.phases.number(7)
		if err != nil {
			return s, false, err
		}
		r.phase = int(phase)
		if err := r.ahead(); err != nil {
			return s, false, err
		}
		if r.change == 0 {
			return s, false, fault.Damaged("patch has two phases for one span")
		}
	}
	if r.change > 0 {
		r.change--
	}
	s.phase = r.phase
	skip, err := r.skips.number(uint32(r.size - r.at))
	if err != nil {
		return s, false, err
	}
	s.at = r.at + int(skip)
	n, err := r.lengths.number(uint32(r.size - s.at))
	if err != nil {
		return s, false, err
	}
	s.n = int(n)
	jump, err := r.jumps.number(2 * MaxOld)
	if err != nil {
		return s, false, err
	}
	s.old = r.from + int(int32(unzigzag(jump)))
	if s.n == 0 || s.old < 0 || s.n > r.old-s.old {
		return s, false, fault.Damaged("patch refers to bytes %d to %d of an old content of %d", s.old, s.old+s.n, r.old)
	}
	r.at, r.from = s.at+s.n, s.old+s.n
	return s, true, nil
}
