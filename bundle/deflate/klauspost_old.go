package deflate

// Older variants of klauspost/compress/flate, which differ in what the fast
// levels find, and in how blocks are written. Recipes hold these numbers.
const (
	klauspost140  = 1  // 1.4.0 to 1.8.2: "K0"
	klauspost192  = 10 // 1.9.2 to 1.9.7: "K1"
	klauspost1102 = 20 // 1.10.2 to 1.11.12: "K2"
	klauspost1113 = 30 // 1.11.13 and 1.12.1: "K3"
	klauspost1123 = 40 // 1.12.3 to 1.13.6: "K4"
	klauspost1122 = 41 // 1.12.2: "K4'"
	klauspost1141 = 50 // 1.14.1 to 1.14.4: "K5"
	klauspost1150 = 60 // 1.15.0 to 1.15.9: "K6"
)

// A kpOldGuess is how a variant estimates the bits that symbols take.
type kpOldGuess uint8

const (
	guessClamped kpOldGuess = iota // as later: at least 1 and at most 15 each
	guessFree                      // as many as it would be
	guessExact                     // in 64 bits, rounded up for each symbol
)

// A kpOld says how an old variant differs from others.
type kpOld struct {
	bits  uint // log of the entries of the tables
	tail  bool // level 5 looks for a better match at the end of one
	plain bool // all tokens of a long match but the last are of length 255
	// filled: a header that more may follow has codes for everything, used or
	// not, so that any block can go on with them. Blocks are stored unless
	// they save 1/16.
	filled  bool
	penalty uint // as kpWriter's
	guess   kpOldGuess
	// literals: blocks of literals are estimated and not measured; how differs.
	literals kpOldLiterals
	stored   bool // the empty block at the very end is a stored one
	alone    bool // levels 1 to 6 ignore the dictionary
}

type kpOldLiterals uint8

const (
	literalsMeasured kpOldLiterals = iota
	literalsShare                  // 1.11.13 to 1.12.2: 1/32 of the bytes is added
	literalsExtra                  // 1.10.2 to 1.11.12: unused ones are counted apart
	literalsFirst                  // up to 1.9.7
)

var kpOlds = map[int]*kpOld{
	klauspost192:  {bits: 16, plain: true, filled: true, penalty: 6, guess: guessExact, literals: literalsFirst, stored: true, alone: true},
	klauspost1102: {bits: 15, plain: true, filled: true, penalty: 6, guess: guessFree, literals: literalsExtra},
	klauspost1113: {bits: 15, plain: true, filled: true, penalty: 8, guess: guessFree, literals: literalsShare},
	klauspost1122: {bits: 15, plain: true, tail: true, filled: true, penalty: 8, guess: guessFree, literals: literalsShare},
	klauspost1123: {bits: 15, plain: true, tail: true, filled: true, penalty: 8},
	klauspost1141: {bits: 15, plain: true, tail: true, penalty: 7},
	klauspost1150: {bits: 15, tail: true, penalty: 7},
}

// newOldPgzip is newPgzip for the older variants; size is 0 for a single frame.
func newOldPgzip(class, level, size int) (predictor, shape) {
	if class == klauspost140 && level == 5 {
		k := newKpFirst()
		return k, &kpFirstShape{goShape: goShape{level: level}, found: &k.goBuffer, flushed: size}
	}
	v := kpOlds[class]
	if v == nil {
		return nil, nil
	}
	switch {
	case level >= 7 && level <= 9 && v.filled:
		k := newKpOldLazy(level)
		return k, &kpFirstShape{goShape: goShape{level: level}, found: &k.goBuffer, flushed: size, lazy: true, fixed: !v.stored}
	case level >= 7 || level == -2 && v.literals == literalsMeasured:
		return newPgzip(klauspost11511, level, size)
	}
	k := &klauspost{grid: kpGrid}
	switch {
	case level == 4 && v.bits == kpShortBits:
		k.find = &kpLevel4{}
		if v.plain {
			k.find = &kpPlain{kpFinder: k.find}
		}
	case level == 5:
		k.find = &kpOldLevel5{v: v}
	default:
		return nil, nil
	}
	s := &kpOldShape{v: v}
	s.found, s.plain, s.fast, s.flushed = k, true, true, size
	s.writer = kpWriter{v: kpVariants[klauspost11511], penalty: v.penalty}
	if v.alone {
		return &kpAlone{k}, s
	}
	return k, s
}

// kpAlone is klauspost without a look at the dictionary.
type kpAlone struct{ *klauspost }

func (k *kpAlone) reset(in *input) {
	alone := *in
	alone.data = in.data[min(-in.base, len(in.data)):]
	alone.base = 0
	k.klauspost.reset(&alone)
}
