package delta

// recents is how many differences are remembered of each class.
const recents = 64

// recent is the differences met last, the last one first.
type recent [recents]uint32

// use returns where d stands, or recents if it is not there, and puts it first.
func (r *recent) use(d uint32) int {
	for i, v := range r {
		if v == d {
			r.front(i, d)
			return i
		}
	}
	r.front(recents-1, d)
	return recents
}

// take returns the i-th and puts it first.
func (r *recent) take(i int) uint32 {
	d := r[i]
	r.front(i, d)
	return d
}

// front moves what stands before i back by one, and puts d first.
func (r *recent) front(i int, d uint32) {
	copy(r[1:i+1], r[:i])
	r[0] = d
}
