package deflate

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"
)

// A member is one gzip member taken apart, whole in memory.
type member struct {
	header  []byte
	blocks  []wholeBlock
	raw     []byte
	pad     uint8
	trailer []byte
}

type wholeBlock struct {
	block
	tokens []token
	pos    int // of its first raw byte
	end    int
}

// takeApart tokenizes a gzip stream.
func takeApart(t testing.TB, gz []byte) []member {
	t.Helper()
	var members []member
	z := newTokenizer(newBitReader(bytes.NewReader(gz)))
	for {
		p, err := z.next()
		if err != nil {
			t.Fatal(err)
		}
		if p.kind == pieceHeader {
			members = append(members, member{header: bytes.Clone(p.bytes)})
		}
		if len(members) == 0 || p.kind == pieceEnd {
			return members
		}
		m := &members[len(members)-1]
		switch p.kind {
		case pieceBlock:
			if p.starts {
				b := wholeBlock{block: *p.block, pos: len(m.raw)}
				h := &b.header
				h.lit, h.dist, h.ops = slices.Clone(h.lit), slices.Clone(h.dist), slices.Clone(h.ops)
				m.blocks = append(m.blocks, b)
			}
			m.raw = append(m.raw, p.raw...)
			b := &m.blocks[len(m.blocks)-1]
			b.tokens = append(b.tokens, p.tokens...)
			b.end = len(m.raw)
		case pieceTrailer:
			m.pad, m.trailer = p.pad, bytes.Clone(p.bytes)
		}
	}
}

// framing says how a member is cut into frames: every size bytes (0: never),
// each with up to dict bytes before it as dictionary; or at the places that
// next returns, given what is left of the member.
type testFraming struct {
	size, dict int
	next       func(left []byte) int
}

// exactness is what countMisses counts.
type exactness struct {
	tokens, tokenMisses int
	blocks, blockMisses int // type, end, header or what stands at the end
}

// checkExact fails the test at differences from the prediction.
func checkExact(t testing.TB, gz []byte, p predictor, s shape, f testFraming) {
	t.Helper()
	_, said := countMisses(t, gz, p, s, f)
	for _, line := range said {
		t.Error(line)
	}
}

// countMisses compares each token and block of a gzip stream with what p and s
// predict, and tells of the first few differences.
func countMisses(t testing.TB, gz []byte, p predictor, s shape, f testFraming) (x exactness, said []string) {
	t.Helper()
	say := func(format string, a ...any) {
		if len(said) < 5 {
			said = append(said, fmt.Sprintf(format, a...))
		}
	}
	for n, m := range takeApart(t, gz) {
		var todo []wholeBlock = m.blocks
		for start := 0; ; {
			size := len(m.raw) - start
			if f.next != nil {
				size = f.next(m.raw[start:])
			} else if f.size > 0 {
				size = min(size, f.size)
			}
			end := start + size
			dict := min(start, f.dict)
			final := end == len(m.raw)
			in := &input{data: m.raw[start-dict : end], base: -dict, last: true, final: final}
			p.reset(in)
			s.reset()
			pos := 0
			var queue []token // predicted, from pos on
			need := func(k int) {
				for len(queue) < k {
					before := len(queue)
					if queue = p.predict(in, queue, k-before); len(queue) == before {
						return
					}
				}
			}
			for len(todo) > 0 && (todo[0].pos < end || final || todo[0].pos == end && todo[0].end == end) {
				b := todo[0]
				todo = todo[1:]
				where := fmt.Sprintf("member %d frame at %d block at %d (%d tokens, type %d, final %v)", n, start, b.pos, len(b.tokens), b.typ, b.final)
				x.blocks++
				missed := false
				var want block
				actual := b.tokens
				if pos == size {
					want = s.block(nil, pos, true, final)
				} else {
					if b.typ == storedBlock {
						// what the compressor had for it is not to be seen
						actual = nil
						for at := pos; at < b.end-start; {
							need(len(actual) + 1)
							if len(queue) <= len(actual) {
								say("%s: no prediction for %d", where, at)
								break
							}
							actual = append(actual, queue[len(actual)])
							at += actual[len(actual)-1].length()
						}
					}
					// the header is predicted from the first section
					rest, first, at := actual, -1, pos
					for first < 0 || len(rest) > 0 {
						v, c := s.cut(in, rest, 0, at)
						if v == goesOn || c > len(rest) {
							c, v = len(rest), goesOn
						}
						ends := c == len(rest)
						for _, k := range rest[:c] {
							at += k.length()
						}
						if first < 0 {
							first = c
							want = s.block(actual[:c], pos, at == size, final)
						}
						if (v == mustEnd) != ends && !missed {
							missed = true
							say("%s: cut after %d tokens at %d: verdict %d, ends %v", where, len(actual)-len(rest)+c, start+at, v, ends)
						}
						s.took(&b.block, ends, rest[:c], at)
						if rest = rest[c:]; ends {
							break
						}
					}
				}
				if d := blockDifference(&want, &b.block); d != "" {
					missed = true
					say("%s: %s", where, d)
				}
				if missed {
					x.blockMisses++
				}
				for i, a := range actual {
					x.tokens++
					need(1)
					if len(queue) == 0 || queue[0] != a {
						x.tokenMisses++
						if len(queue) == 0 {
							say("%s: token %d at %d: nothing predicted for %x", where, i, start+pos, uint32(a))
						} else {
							say("%s: token %d at %d: predicted length %d distance %d, is length %d distance %d", where, i, start+pos,
								queue[0].length(), queue[0]&0xffff, a.length(), a&0xffff)
						}
						pos += a.length()
						queue = queue[:0]
						p.resume(in, pos)
						continue
					}
					queue = queue[1:]
					pos += a.length()
				}
				if pos != b.end-start {
					say("%s: ends at %d, tokens at %d", where, b.end-start, pos)
					pos = b.end - start
					queue = queue[:0]
					p.resume(in, pos)
				}
				if len(actual) == 0 {
					s.took(&b.block, true, nil, pos)
				}
				if b.final {
					break
				}
			}
			if start = end; final {
				break
			}
		}
		if len(todo) > 0 {
			say("member %d: %d blocks left over", n, len(todo))
		}
	}
	return x, said
}

func blockDifference(want, is *block) string {
	switch {
	case want.typ != is.typ:
		return fmt.Sprintf("predicted type %d", want.typ)
	case want.final != is.final:
		return fmt.Sprintf("predicted final %v", want.final)
	case want.pad != is.pad:
		return fmt.Sprintf("predicted padding %d, is %d", want.pad, is.pad)
	case is.typ != dynamicBlock:
		return ""
	}
	w, h := &want.header, &is.header
	switch {
	case !bytes.Equal(w.lit, h.lit):
		return fmt.Sprintf("code lengths of literals:\npredicted %v\nis        %v", w.lit, h.lit)
	case !bytes.Equal(w.dist, h.dist):
		return fmt.Sprintf("code lengths of distances:\npredicted %v\nis        %v", w.dist, h.dist)
	case !reflect.DeepEqual(w.ops, h.ops):
		return fmt.Sprintf("run lengths:\npredicted %v\nis        %v", w.ops, h.ops)
	case w.clen != h.clen || w.nclen != h.nclen:
		return fmt.Sprintf("code of code lengths: predicted %v, %d, is %v, %d", w.clen, w.nclen, h.clen, h.nclen)
	}
	return ""
}

// TestTakeApart checks that tokens stand for the raw bytes.
func TestTakeApart(t *testing.T) {
	for _, name := range realLayers(t) {
		gz := readFile(t, name)
		for _, m := range takeApart(t, gz) {
			var raw []byte
			for _, b := range m.blocks {
				if b.typ == storedBlock {
					raw = append(raw, m.raw[b.pos:b.end]...)
				}
				for _, k := range b.tokens {
					if !k.isMatch() {
						raw = append(raw, k.byte())
						continue
					}
					from := len(raw) - int(k.distance())
					for i := range k.length() {
						raw = append(raw, raw[from+i])
					}
				}
			}
			if !bytes.Equal(raw, m.raw) || !bytes.Equal(raw, gunzip(t, gz)[:len(raw)]) {
				t.Errorf("%s: tokens do not give the raw bytes", name)
			}
		}
	}
}
