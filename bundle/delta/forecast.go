package delta

// forecaster foretells what references of old are in new. It is the same for
// making a patch and for applying it.
type forecaster struct {
	near shifts // of relative references: targets are places of old
	far  shifts // of absolute ones: targets are addresses
}

// reset forgets all and maps the spans that are then added to near.
func (f *forecaster) reset(old int) {
	f.near.reset(old)
	f.far.reset(0)
}

// reference is what is foretold of a field.
type reference struct {
	value  uint32 // in new
	base   uint32 // value - shift of the target, if that is known
	target int
	shifts *shifts
}

// of foretells a field of span s.
func (f *forecaster) of(s span, x field) (r reference) {
	if x.class == absolute {
		r.shifts, r.target, r.base = &f.far, int(x.value), x.value
	} else {
		r.shifts = &f.near
		r.target = s.old + x.at + fieldSize + int(int32(x.value))
		r.base = x.value - uint32(s.at-s.old)
	}
	r.value = x.value
	if d := r.shifts.of(r.target); d != unknown {
		r.value = r.base + d.distance()
	}
	return r
}

// learn takes note of what the field really is.
func (r *reference) learn(value uint32) {
	r.shifts.learn(r.target, shiftOf(value-r.base))
}
