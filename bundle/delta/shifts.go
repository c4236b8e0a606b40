package delta

const (
	cellBits = 4  // a cell is 16 bytes of old
	pageBits = 12 // a page is 4 KiB of what is referred to
	// minMapped is how long a span must be to tell where its cells went:
	// short ones are like many places.
	minMapped = 32

	// How many cells outside old are remembered, and how many pages: more
	// than the fields can reach.
	farBits   = 14
	pageSlots = 2 * reach >> pageBits
)

// A shift is by how many bytes something is moved from old to new, modulo
// 2^32, with the top bit turned over. So 0 is what nothing is known of.
type shift uint32

const unknown shift = 0

func shiftOf(d uint32) shift     { return shift(d ^ 1<<31) }
func (s shift) distance() uint32 { return uint32(s) ^ 1<<31 }

// shifts is what is known of where the targets of references went: what the
// spans say at first, then what differences have taught.
type shifts struct {
	cells []shift // of old
	far   [1 << farBits]struct {
		cell  int32
		shift shift
	}
	pages [pageSlots]shift

	lengths []int32 // of the spans that cells stem from; while they are mapped
}

// reset forgets all. Old has size bytes.
func (s *shifts) reset(size int) {
	n := (size + 1<<cellBits - 1) >> cellBits
	if cap(s.cells) < n {
		s.cells, s.lengths = make([]shift, n), make([]int32, n)
	}
	s.cells, s.lengths = s.cells[:n], s.lengths[:n]
	clear(s.cells)
	clear(s.lengths)
	clear(s.far[:])
	clear(s.pages[:])
}

// add maps what a span says. Where several say something the longest counts,
// and of the longest the last.
func (s *shifts) add(p span) {
	if p.n < minMapped {
		return
	}
	d := shiftOf(uint32(p.at - p.old))
	for i := p.old >> cellBits; i<<cellBits < p.old+p.n; i++ {
		if int(s.lengths[i]) <= p.n {
			s.cells[i], s.lengths[i] = d, int32(p.n)
		}
	}
}

// slots returns where is remembered what is known of a target.
func (s *shifts) slots(target int) (cell, page *shift) {
	page = &s.pages[target>>pageBits&(pageSlots-1)]
	c := target >> cellBits
	if c >= 0 && c < len(s.cells) {
		return &s.cells[c], page
	}
	f := &s.far[uint32(c)*0x9e3779b1>>(32-farBits)]
	if f.cell != int32(c) {
		return nil, page
	}
	return &f.shift, page
}

// of returns by how much a target was moved, as far as is known.
func (s *shifts) of(target int) shift {
	cell, page := s.slots(target)
	if cell != nil && *cell != unknown {
		return *cell
	}
	return *page
}

// learn notes by how much a target was moved.
func (s *shifts) learn(target int, d shift) {
	cell, page := s.slots(target)
	*page = d
	if cell != nil {
		*cell = d
		return
	}
	c := target >> cellBits
	f := &s.far[uint32(c)*0x9e3779b1>>(32-farBits)]
	f.cell, f.shift = int32(c), d
}
