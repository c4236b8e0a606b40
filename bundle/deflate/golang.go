package deflate

// A goLevel is what tells the levels 2 to 9 of Go's compress/flate apart.
type goLevel struct {
	// lazy is the length from which a match is taken without a look at what
	// begins one byte later. 0 means that nothing is ever put off.
	lazy int
	nice int // a match of this length ends the search
	hops int // how many candidates are looked at
	// dense is the longest match of which all positions enter the tables. Only
	// levels that put nothing off leave any out.
	dense int
}

// The source also has a "good" length from which fewer candidates count, but
// asks for it in a way that never comes true.
var goLevels = [10]goLevel{
	2: {nice: 16, hops: 8, dense: 5},
	3: {nice: 32, hops: 32, dense: 6},
	4: {lazy: 4, nice: 16, hops: 16},
	5: {lazy: 16, nice: 32, hops: 32},
	6: {lazy: 16, nice: 128, hops: 128},
	7: {lazy: 32, nice: 128, hops: 256},
	8: {lazy: 128, nice: 258, hops: 1024},
	9: {lazy: 258, nice: 258, hops: 4096},
}

const (
	goStored   = 0
	goFastest  = 1
	goDefault  = 6
	goHuffman  = -2 // Huffman codes only
	goMinMatch = 4
)

// newGo models compress/flate of Go up to 1.26, which has not changed its
// output since 1.16; Go 1.27 has another compressor. Levels that do not exist
// are taken for the default.
func newGo(level int) (predictor, shape) {
	switch {
	case level == goStored || level == goHuffman:
		return &goPlain{}, &goShape{level: level}
	case level == goFastest:
		return &goFast{}, &goShape{level: level}
	case level < 2 || level > 9:
		level = goDefault
	}
	b, s := goBuffer{goLevel: goLevels[level]}, &goShape{level: level}
	if b.lazy == 0 {
		return &goGreedy{b}, s
	}
	return &goLazy{goBuffer: b}, s
}

// A goPlain predicts literals only.
type goPlain struct{ pos int }

func (p *goPlain) reset(*input) { p.pos = 0 }

func (p *goPlain) resume(_ *input, pos int) { p.pos = pos }

func (p *goPlain) predict(in *input, dst []token, n int) []token {
	from := max(p.pos-in.base, 0)
	to := min(from+n, len(in.data))
	if from >= to {
		return dst
	}
	p.pos += to - from
	return appendLiterals(dst, in.data[from:to])
}

func appendLiterals(dst []token, raw []byte) []token {
	for _, b := range raw {
		dst = append(dst, literal(b))
	}
	return dst
}
