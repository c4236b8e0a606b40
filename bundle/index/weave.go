package index

import "encoding/binary"

// Weave says how two lanes alternate: lengths in bytes, taken in turn from
// lane 0, lane 1, lane 0 and so on. It is kept encoded, since a layer of many
// small files has two lengths for each. The zero value is empty.
type Weave struct {
	count   int
	encoded []byte
}

// Add appends a length.
func (w *Weave) Add(n int64) {
	w.encoded = binary.AppendUvarint(w.encoded, uint64(n))
	w.count++
}

// Iter returns an iterator over the lengths.
func (w *Weave) Iter() WeaveIter { return WeaveIter{rest: w.encoded, count: w.count} }

// WeaveIter walks through a Weave.
type WeaveIter struct {
	rest  []byte
	i     int
	count int
}

// Next returns the next length and the lane it is taken from, and false after
// the last.
func (it *WeaveIter) Next() (lane int, n int64, ok bool) {
	if it.i == it.count {
		return 0, 0, false
	}
	v, k := binary.Uvarint(it.rest)
	it.rest = it.rest[k:]
	lane = it.i % maxLanes
	it.i++
	return lane, int64(v), true
}
