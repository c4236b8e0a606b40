package deflate

import "encoding/binary"

// A kpFirst predicts the tokens of level 5 up to 1.8.2, which still is what
// level 3 of Go is, but for another hash and for bytes that it leaps over where
// it finds nothing.
type kpFirst struct {
	goGreedy
	barren uint16 // searches in vain since the last match; runs over
	leap   int    // literals still to come without a search
}

func newKpFirst() *kpFirst {
	p := &kpFirst{}
	p.goLevel = goLevel{nice: 12, hops: 8, dense: 12}
	return p
}

const (
	kpLeap = 5 // a byte more for each 1<<kpLeap searches in vain

	castagnoli = 0x82f63b78 // polynomial, reversed
)

// kpHashes holds, for each place in four bytes, what a byte there adds to their
// hash: a CRC-32C that begins with 0, since amd64 has an instruction for it.
// On other machines the compressor used another hash.
var kpHashes = func() (t [4][256]uint32) {
	for i := range t[3] {
		v := uint32(i)
		for range 8 {
			v = v>>1 ^ v&1*castagnoli
		}
		t[3][i] = v
	}
	for k := 2; k >= 0; k-- {
		for i := range t[k] {
			v := t[k+1][i]
			t[k][i] = v>>8 ^ t[3][v&255]
		}
	}
	return t
}()

// enter adds a position to the chain of the four bytes that stand there.
func (p *kpFirst) enter(v, at uint32) {
	hash := kpHashes[0][v&255] ^ kpHashes[1][v>>8&255] ^ kpHashes[2][v>>16&255] ^ kpHashes[3][v>>24]
	p.chain(hash, at)
}

// chain adds a position to the chain of a hash.
func (c *goChains) chain(hash, at uint32) {
	h := &c.head[hash&(1<<goHashBits-1)]
	d := at - *h
	*h = at
	if d > goReach {
		d = goNone
	}
	c.prev[uint16(at)] = uint16(d)
}

// until enters all positions up to before i.
func (p *kpFirst) until(w []byte, v *goView, i int) {
	i = min(i, v.hashes)
	for ; v.known < i; v.known++ {
		p.enter(binary.LittleEndian.Uint32(w[v.known:]), uint32(v.known)+v.off)
	}
}

func (p *kpFirst) reset(in *input) {
	p.goBuffer.reset(in)
	clear(p.prev[:]) // places that were leapt over keep what was there
	p.barren, p.leap = 0, 0
	// what follows the dictionary is not known when it is put in
	v := p.view(in)
	p.until(in.data, &v, -in.base-goMinMatch+1)
	p.known = 0
}

func (p *kpFirst) resume(in *input, pos int) {
	p.goGreedy.resume(in, pos)
	p.barren, p.leap = 0, 0
}

// keep leaves as many bytes as can be leapt over.
func (v *goView) keep(in *input) {
	if !in.last {
		v.stop -= 1<<(16-kpLeap) + 1
	}
}

func (p *kpFirst) predict(in *input, dst []token, n int) []token {
	v := p.view(in)
	v.keep(in)
	w := in.data
	i := p.pos - in.base
	for n += len(dst); i < v.stop && len(dst) < n; {
		if p.leap > 0 {
			p.leap--
			dst = append(dst, literal(w[i]))
			i++
			v.known = max(v.known, i)
			continue
		}
		reach := v.reach(i)
		p.until(w, &v, i+1)
		length, dist := 0, 0
		if i < v.hashes {
			if at := uint16(uint32(i) + v.off); int(p.prev[at]) <= reach {
				length, dist = p.search(w, i, at, reach)
			}
		}
		if length == 0 {
			p.barren++
			p.leap = max(1, min(int(p.barren>>kpLeap)+1, v.buffer+2*goHalf-i, len(w)-i))
			continue
		}
		p.barren = 0
		dst = append(dst, match(uint32(length), uint32(dist)))
		i += length
		if length <= p.dense {
			p.until(w, &v, i)
		}
		v.known = max(v.known, i)
	}
	p.pos, p.known = i+in.base, v.known+in.base
	return dst
}
