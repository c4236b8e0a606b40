// Package inputs makes the raw bytes that the golden vectors of deflate are
// made from. They come from a pseudo-random generator of its own, so that they
// need not be kept; golden.txt has their digests. They imitate what is in
// layers, and add what brings compressors to their limits.
package inputs

// Names are all inputs, the small ones first.
var Names = []string{"empty", "tiny", "short", "text", "mixed", "noise", "brink", "exact", "large"}

// Make returns the input with a name. For an unknown name it returns nil.
func Make(name string) []byte {
	m := &maker{seed: 0x9e3779b97f4a7c15}
	switch name {
	case "tiny":
		return []byte("a tiny layer, a tiny layer: no more than a tiny layer\n")
	case "short":
		// where fixed codes are about as good as a block's own
		m.seed += 6
		m.vocabulary()
		m.json(230)
	case "text":
		// what all compressors like: text and source
		m.seed++
		m.vocabulary()
		m.prose(30 << 10)
		m.source(50 << 10)
		m.json(20 << 10)
	case "mixed":
		// some of everything, small enough to keep its streams
		m.seed += 2
		m.vocabulary()
		m.archive(200<<10, 24<<10)
		m.edges()
	case "noise":
		// stored blocks, and the ways into them and out
		m.seed += 3
		m.vocabulary()
		m.noise(70000)
		m.prose(3000)
		m.noise(16383)
		m.run(0, 65535)
		m.noise(65535)
		m.base64(40 << 10)
		m.noise(131072)
		m.steep(30000)
		m.source(9000)
		m.noise(1000)
		m.run('x', 259)
		m.noise(33000)
	case "brink":
		// where a code is about as good as none
		m.seed += 7
		for len(m.out) < 540000 {
			m.grey(len(m.out)/9000, 3000)
		}
	case "exact":
		// a whole number of everybody's blocks
		m.seed += 4
		m.vocabulary()
		m.archive(1<<20-200000, 200<<10)
		m.run(0, 100000)
		m.source(1<<20 - len(m.out))
	case "large":
		m.seed += 5
		m.vocabulary()
		m.archive(1100<<10, 150<<10)
		m.edges()
		m.machine(200 << 10)
		m.archive(900<<10, 20<<10)
		m.run(0, 300<<10)
		m.noise(90 << 10)
		m.archive(200<<10, 2000)
		m.run(0, 10240)
	}
	return m.out
}

// A maker appends to out.
type maker struct {
	out   []byte
	seed  uint64
	words []string
}

// next returns 64 pseudo-random bits (xorshift64*).
func (m *maker) next() uint64 {
	m.seed ^= m.seed >> 12
	m.seed ^= m.seed << 25
	m.seed ^= m.seed >> 27
	return m.seed * 0x2545f4914f6cdd1d
}

// below returns a number from 0 to n-1.
func (m *maker) below(n int) int { return int(m.next() >> 33 % uint64(n)) }

// low returns a number from 0 to n-1, small ones more often.
func (m *maker) low(n int) int { return m.below(m.below(m.below(n)+1) + 1) }

func (m *maker) add(s string) { m.out = append(m.out, s...) }

// pick returns one of several.
func (m *maker) pick(of ...string) string { return of[m.below(len(of))] }

// vocabulary makes the words of prose and source.
func (m *maker) vocabulary() {
	for range 1500 {
		var w string
		for range 1 + m.low(4) {
			w += m.pick("b", "c", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "st", "tr", "pl", "")
			w += m.pick("a", "e", "e", "i", "o", "u", "ea", "ou")
			w += m.pick("", "", "n", "r", "s", "t", "l", "ck", "ng")
		}
		m.words = append(m.words, w)
	}
}

func (m *maker) word() string { return m.words[m.low(len(m.words))] }
