package deflate

// Variants of klauspost/compress/flate: versions that write the same, named by
// the first of them. Recipes hold these numbers. From 11515 to 12000 nothing
// but what kpVariant says has changed.
const (
	klauspost11511 = 70 // 1.15.11 to 1.15.14: "K7", but for levels 7 to 9
	klauspost11515 = 71 // 1.15.15 to 1.17.11: "K7"
	klauspost1180  = 72 // 1.18.0: "K7", but for level 4
	klauspost1182  = 80 // 1.18.2 to 1.19.2, Go 1.27.0 and 1.27.1: "K8"
	klauspost1200  = 81 // from 1.20.0 and Go 1.27.2 on: "K8", but for levels 7 to 9 with a dictionary

	klauspostK7 = klauspost11515
	klauspostK8 = klauspost1200
)

// A kpVariant says how a variant differs from others.
type kpVariant struct {
	// allCodes: a header that more may follow tells the lengths of all codes,
	// down to those that are not used; and its size is estimated without the
	// end of the block.
	allCodes bool
	// strayCompare: level 4 compares a match at the next place with the wrong
	// bytes, see kpLevel4.
	strayCompare bool
	// lazyTail: levels 7 to 9 look for a better match at the end of one, and
	// go back from there over up to two bytes.
	lazyTail bool
	// costWindow: up to how many bytes level 9 learns its costs from.
	costWindow int
	// dictStored: with levels 7 to 9, the dictionary counts as part of the
	// first block where its stored size is estimated.
	dictStored bool
}

var kpVariants = map[int]*kpVariant{
	klauspost11511: {allCodes: true, costWindow: 1 << 16, dictStored: true},
	klauspost11515: {allCodes: true, lazyTail: true, costWindow: 1 << 16, dictStored: true},
	klauspost1180:  {allCodes: true, lazyTail: true, costWindow: 1 << 16, dictStored: true, strayCompare: true},
	klauspost1182:  {lazyTail: true, costWindow: 1 << 15, dictStored: true, strayCompare: true},
	klauspost1200:  {lazyTail: true, costWindow: 1 << 15, strayCompare: true},
}

// newKlauspost returns the model of a variant at a level, 1 to 9, or -2 for
// Huffman codes only; nil, nil if there is none. Both parts belong together:
// the shape looks at what the predictor has found for the bytes that follow.
func newKlauspost(class, level int) (predictor, shape) {
	return newPgzip(class, level, 0)
}

// newPgzip is newKlauspost for pgzip with blocks of size bytes, of which each
// is a frame that ends with a flush.
func newPgzip(class, level, size int) (predictor, shape) {
	v := kpVariants[class]
	if v == nil || level < -2 || level > 9 {
		return nil, nil
	}
	s := &kpShape{flushed: size, writer: kpWriter{v: v, penalty: 7}}
	if level >= 7 {
		k := &kpLazy{v: v, search: kpLazySearch{v: v, kpPatience: kpPatiences[level-7]}}
		s.found = k
		s.writer.penalty = 8
		return k, s
	}
	k := &klauspost{grid: kpGrid}
	s.found, s.plain = k, true
	switch level {
	case 1:
		k.find = &kpLevel1{}
	case 2:
		k.find = &kpLevel2{}
	case 3:
		k.find = &kpLevel3{}
	case 4:
		e := &kpLevel4{}
		if v.strayCompare {
			e.past.used = true
			k.past = &e.past
		}
		k.find = e
	case 5:
		k.find = &kpLevel5{}
	case 6:
		k.find = &kpLevel6{}
	case -2:
		k.grid = maxDistance
		s.writer.penalty = 10
		return k, s
	default:
		return nil, nil
	}
	s.fast = true
	return k, s
}

var kpPatiences = [3]kpPatience{
	{lazy: 12, nice: 16, chain: 24},
	{lazy: 30, nice: 40, chain: 64},
	{lazy: 258, nice: 258, chain: 1024},
}
