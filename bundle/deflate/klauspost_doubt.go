package deflate

// A kpDoubt says whether predictions can be relied on so far that it pays to go
// ahead of what is asked for. Each wrong one makes it last longer, unless there
// was none for some time.
type kpDoubt struct {
	until int // position
	units int // how long it lasts after a wrong one
	last  int // where that was
}

const kpMostDoubt = 64

// add is told that a token before pos was wrong. Doubt ends at a multiple of
// unit.
func (d *kpDoubt) add(pos, unit int) {
	if pos-d.last > (2*d.units+8)*unit {
		d.units = 0
	}
	d.last = pos
	d.units = min(2*d.units+1, kpMostDoubt)
	d.until = (pos+unit-1)/unit*unit + (d.units-1)*unit
}

// none reports whether what begins at pos is in no doubt.
func (d *kpDoubt) none(pos int) bool { return pos >= d.until }
