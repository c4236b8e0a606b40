package deflate

import "encoding/binary"

// Levels 7 to 9 search chains of earlier places with the same hash, as zlib
// does: a match is taken if the next place has no longer one. The compressor
// has a window of two halves; bytes are searched when it is full, and then the
// upper half becomes the lower one. A match does not begin before the window.
const (
	kpWindow   = 2 * maxDistance
	kpAhead    = maxMatch + kpLazyMatch // bytes that a search wants to see
	kpHeadBits = 17
	// kpLazyMatch is the shortest match.
	kpLazyMatch = 4
)

func kpHashHead(b []byte, i int) uint32 {
	return binary.LittleEndian.Uint32(b[i:]) * kpPrime4 >> (32 - kpHeadBits)
}

// A kpPatience says how much is tried.
type kpPatience struct {
	lazy  int // no better match is looked for after one of this length
	nice  int // a match of this length ends a search
	chain int // how many places are tried
}

// kpLazySearch is the search of levels 7 to 9.
type kpLazySearch struct {
	kpPatience
	v    *kpVariant
	head [1 << kpHeadBits]uint32
	prev [maxDistance]uint32 // by position, the one before with the same hash

	// Places are indexes of src, which changes from call to call.
	at      int    // where it looks next
	length  int    // of the match at the place before
	offset  int    // and its distance
	pending bool   // the byte before at has no token
	barren  uint16 // literals since the last match; overflows
	top     int    // places before it are in the tables

	// level 9 weighs a match against its literals: costs are the bits of all
	// bytes from costFrom on up to each place
	code     kpCode
	costs    []int32
	costFrom int
	costed   bool // for this window
}

func (e *kpLazySearch) clear() {
	clear(e.head[:])
	clear(e.prev[:])
}

// insert puts a place into the tables, unless it is in them, and returns what
// they hold for the one before with the same hash.
func (e *kpLazySearch) insert(src []byte, i int, base uint32) uint32 {
	p := base + uint32(i)
	link := &e.prev[(p-1)%maxDistance]
	if i < e.top {
		return *link
	}
	h := &e.head[kpHashHead(src, i)]
	*link = *h
	*h = p
	e.top = i + 1
	return *link
}

// weigh finds out what literals cost.
func (e *kpLazySearch) weigh(src []byte, end int) {
	raw := src[e.at:end]
	var freq [256]uint32
	for _, b := range raw[:min(len(raw), e.v.costWindow)] {
		freq[b]++
	}
	for i := range freq {
		freq[i] &= 1<<16 - 1 // they are counted in 16 bits
	}
	var lens [256]uint8
	e.code.lengths(freq[:], 15, lens[:])
	if e.costs == nil {
		e.costs = make([]int32, kpWindow+1)
	}
	sum := int32(0)
	e.costFrom = e.at
	for i, b := range raw {
		e.costs[i] = sum
		sum += int32(lens[b])
	}
	e.costs[len(raw)] = sum
	e.costed = true
}

// run searches src, which begins no earlier than the window, up to end, where
// the window ends; with sync no more bytes come, and all must be searched. It
// stops earlier when it has want tokens. Tables call the place i base+i. It
// returns how many tokens it put into out, and whether it got to the end.
func (e *kpLazySearch) run(src []byte, base uint32, end int, sync bool, out []token, want int) (n int, all bool) {
	src = src[:end]
	weighed := e.chain > 100
	if weighed && !e.costed && e.at < end {
		e.weigh(src, end)
	}
	last := end - kpLazyMatch + 1 // places from here on are not inserted
	for {
		i := e.at
		look := end - i
		if look < kpAhead {
			if !sync {
				return n, true
			}
			if look <= 0 {
				if e.pending {
					out[n] = literal(src[i-1])
					n++
					e.pending = false
				}
				return n, true
			}
		}
		if n >= want {
			return n, false
		}
		length, offset := kpLazyMatch-1, 0
		before, beforeOffset := e.length, e.offset
		first := max(i-maxDistance, 0)
		if i < last {
			link := e.insert(src, i, base)
			d := base + uint32(i) - link
			if d-1 < uint32(i-first) && look > before && before < e.lazy {
				if weighed {
					length, offset = e.bestWeighed(src, i, int(d), first, look, base)
				} else {
					length, offset = e.best(src, i, int(d), first, look, base)
				}
			}
		}
		e.length, e.offset = length, offset

		if before >= kpLazyMatch && length <= before {
			// the match of the place before is taken
			start := i - 1
			owed := 0
			if e.v.lazyTail {
				before, beforeOffset, owed = e.tail(src, start, before, beforeOffset, first, look, last, base)
			} else {
				before, beforeOffset = e.oldTail(src, start, before, beforeOffset, first, look, last, base)
			}
			for range owed {
				out[n] = literal(src[start])
				n++
				start++
				if i++; i < last {
					e.insert(src, i, base)
				}
			}
			out[n] = match(uint32(before), uint32(beforeOffset))
			n++
			next := i + before - 1
			for j := i + 1; j < min(next, last); j++ {
				e.insert(src, j, base)
			}
			e.at = next
			e.pending, e.length, e.barren = false, kpLazyMatch-1, 0
			continue
		}
		if length >= kpLazyMatch {
			e.barren = 0
		}
		if !e.pending {
			e.at, e.pending = i+1, true
			continue
		}
		e.barren++
		out[n] = literal(src[i-1])
		n++
		i++
		if k := int(e.barren) - e.chain; k > 0 {
			// nothing for long: the next bytes are not searched
			for k = 1 + k>>6; k > 0 && i < end-1; k-- {
				out[n] = literal(src[i-1])
				n++
				if i < last {
					e.insert(src, i, base)
				}
				i++
			}
			out[n] = literal(src[i-1])
			n++
			e.pending = false
		}
		e.at = i
	}
}

// best returns the longest match at i: d is the distance of the first place to
// try, and first the lowest place that a match may begin at.
func (e *kpLazySearch) best(src []byte, i, d, first, look int, base uint32) (length, offset int) {
	here := src[i : i+min(look, maxMatch)]
	nice := min(e.nice, len(here))
	length = kpLazyMatch - 1
	p := base + uint32(i)
	end := here[length]
	for tries := e.chain; tries > 0; tries-- {
		t := i - d
		if end == src[t+length] {
			if n := kpCommon(here, src[t:]); n > length {
				length, offset = n, d
				if n >= nice {
					break
				}
				end = here[n]
			}
		}
		further := int(p - e.prev[(p-uint32(d)-1)%maxDistance])
		if t <= first || further <= d || further > i-first {
			break
		}
		d = further
	}
	return length, offset
}

// bestWeighed is best for level 9: a longer match must also save more.
func (e *kpLazySearch) bestWeighed(src []byte, i, d, first, look int, base uint32) (length, offset int) {
	here := src[i : i+min(look, maxMatch)]
	nice := min(e.nice, len(here))
	length = kpLazyMatch - 1
	p := base + uint32(i)
	costs := e.costs[i-e.costFrom:][:len(here)+1]
	least, price := int32(4), int32(3)
	if !e.v.lazyTail {
		least, price = 0, 6
	}
	end := here[length]
	for tries := e.chain; tries > 0; tries-- {
		t := i - d
		if end == src[t+length] {
			if n := kpCommon(here, src[t:]); n > length {
				gain := costs[n] - costs[0] - price -
					kpDistCost(d) - int32(lengthExtra[lengthSymbol[n]])
				if gain > least {
					length, offset, least = n, d, gain
					if n >= nice {
						break
					}
					end = here[n]
				}
			}
		}
		further := int(p - e.prev[(p-uint32(d)-1)%maxDistance])
		if t <= first || further <= d || further > i-first {
			break
		}
		d = further
	}
	return length, offset
}

// kpDistCost is what level 9 takes for the extra bits of a distance: those of
// the next one, and an odd number where there is none.
func kpDistCost(d int) int32 {
	if d >= maxDistance {
		return 6
	}
	return int32(distExtra[distSymbol(uint32(d)+1)])
}
