package deflate

// learned is all that the coder adapts while it goes through a stream.
type learned struct {
	// members
	sameHead prob
	headByte [256]prob
	headSize number
	endPad   prob
	trailer  prob
	next     [4]prob
	tail     number

	// raw bytes
	lastExtent prob
	lastSize   number

	// frames and blocks
	clean     prob
	moreEmpty [4]prob
	expected  [2]prob
	typ       [4][4]prob
	final     [2]prob
	size      prob
	pad       prob
	section   [4]prob
	count     number
	ended     [3]prob
	header    prob
	codes     headerProbs

	// tokens
	allRight [16]prob
	right    number
	hit      [64]prob
	miss     missProbs
	generic  genericProbs
}

func newLearned() *learned {
	l := &learned{}
	for _, p := range []*prob{&l.sameHead, &l.endPad, &l.trailer, &l.lastExtent, &l.size, &l.pad, &l.header, &l.clean} {
		*p = even
	}
	for _, p := range [][]prob{
		l.headByte[:], l.next[:], l.moreEmpty[:], l.expected[:], l.final[:], l.section[:], l.ended[:], l.allRight[:], l.hit[:],
	} {
		evens(p)
	}
	for i := range l.typ {
		evens(l.typ[i][:])
	}
	for _, n := range []*number{&l.headSize, &l.tail, &l.lastSize, &l.count, &l.right} {
		*n = newNumber()
	}
	l.codes.reset()
	l.miss.reset()
	l.generic.reset()
	return l
}
