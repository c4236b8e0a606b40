package deflate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	kflate "github.com/klauspost/compress/flate"
)

// kpStream compresses as klauspost/compress of today does, or with it as pgzip
// does.
func kpStream(t testing.TB, raw []byte, level, size int) []byte {
	t.Helper()
	var b bytes.Buffer
	b.Write([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255})
	w, err := kflate.NewWriter(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	for start, final := 0, false; !final; {
		end := len(raw)
		if size > 0 {
			if end = min(end, start+size); start > 0 {
				w.ResetDict(&b, raw[start-pgzipDict:start])
			}
		}
		final = size == 0 || end-start < size
		if _, err := w.Write(raw[start:end]); err != nil {
			t.Fatal(err)
		}
		if size > 0 {
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		start = end
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b.Write(binaryTrailer(raw))
	return b.Bytes()
}

func binaryTrailer(raw []byte) []byte {
	c, n := crc32.ChecksumIEEE(raw), len(raw)
	return []byte{byte(c), byte(c >> 8), byte(c >> 16), byte(c >> 24), byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
}

var kpLevels = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, -2}

// TestKlauspostExact compares the model with the compressor itself.
func TestKlauspostExact(t *testing.T) {
	inputs := map[string][]byte{}
	for _, name := range []string{"mixed", "noise", "brink", "text"} {
		inputs[name] = goldenInput(t, name)
	}
	noise, text := inputs["noise"], inputs["text"]
	for _, n := range []int{0, 1, 32, 33, 127, 128, 200, 65535, 65535 + 32, 65535 + 128, 2 * 65535} {
		inputs[fmt.Sprint("noise ", n)] = noise[:n]
		inputs[fmt.Sprint("text ", n)] = bytes.Repeat(text, 2)[:n]
	}
	for name, raw := range inputs {
		for _, level := range kpLevels {
			for _, size := range []int{0, 128 << 10, 65535} {
				p, s := newPgzip(klauspostK8, level, size)
				t.Run(fmt.Sprintf("%s/%d/%d", name, level, size), func(t *testing.T) {
					checkExact(t, kpStream(t, raw, level, size), p, s, testFraming{size: size, dict: pgzipDict})
				})
			}
		}
	}
}

// kpVectors are digests of the tokens and verdicts for the golden input "mixed",
// made when each was the same as what the real version writes.
var kpVectors = []struct {
	variant, level, size int
	sum                  string
}{
	{klauspost11511, 9, 131072, "4e3537836a248f1f"},
	{klauspostK7, 1, 0, "aac7364b01eb6b57"},
	{klauspostK7, 5, 0, "308a7cd38c12292b"},
	{klauspostK7, 5, 131072, "3a8aa12a5848b15f"},
	{klauspostK7, 4, 0, "b3b7f8da02127981"},
	{klauspostK7, 9, 131072, "4e4d2a66b04b7b1b"},
	{klauspost1180, 4, 0, "b143b573706dd350"},
	{klauspost1182, 7, 131072, "702f011cd68d97fa"},
	{klauspostK8, -2, 0, "fcba049f206d9d21"},
	{klauspostK8, 1, 0, "aac7364b01eb6b57"},
	{klauspostK8, 2, 0, "da8474e6c97bafd6"},
	{klauspostK8, 3, 0, "f351697bc11fb9b9"},
	{klauspostK8, 4, 131072, "4f64f268a6d0ae37"},
	{klauspostK8, 5, 0, "308a7cd38c12292b"},
	{klauspostK8, 5, 131072, "3a8aa12a5848b15f"},
	{klauspostK8, 6, 0, "cb051f3486503588"},
	{klauspostK8, 7, 131072, "702f011cd68d97fa"},
	{klauspostK8, 8, 0, "fb6f58ded35a4c51"},
	{klauspostK8, 9, 0, "4d7308e46789b561"},
}

// TestKlauspostFrozen checks that predictions stay what they are.
func TestKlauspostFrozen(t *testing.T) {
	raw := goldenInput(t, "mixed")
	for _, v := range kpVectors {
		if sum := kpDigest(raw, v.variant, v.level, v.size); sum != v.sum {
			t.Errorf("{%d, %d, %d, %q} was %q", v.variant, v.level, v.size, sum, v.sum)
		}
	}
}

func kpDigest(raw []byte, variant, level, size int) string {
	p, s := newPgzip(variant, level, size)
	h := sha256.New()
	for start := 0; start < len(raw); {
		end := len(raw)
		if size > 0 {
			end = min(end, start+size)
		}
		dict := min(start, pgzipDict)
		in := &input{data: raw[start-dict : end], base: -dict, last: true, final: end == len(raw)}
		p.reset(in)
		s.reset()
		w := kpWalk{p: p, s: s, raw: in.data[dict:], whole: in}
		for w.next() {
		}
		hashTokens(h, w.tokens)
		fmt.Fprintln(h, w.verdicts)
		start = end
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// A kpWalk goes through a frame as the core does.
type kpWalk struct {
	p     predictor
	s     shape
	raw   []byte
	whole *input // nil: the input shows as little as it may
	spy   func(section []token, pos int)
	miss  func(pos int) int // 0, or the length of what is there instead

	pos, start int
	section    []token
	queue      []token
	queued     int
	tokens     []token
	verdicts   []verdict
	block      block
	open       bool
}

// view returns what is in memory when tokens at pos are predicted.
func (w *kpWalk) view(at int) *input {
	if w.whole != nil {
		return w.whole
	}
	from := max(w.pos-behind, 0)
	to := min((at+ahead+extent-1)/extent*extent, len(w.raw))
	return &input{data: w.raw[from:to:to], base: from, last: to == len(w.raw), final: to == len(w.raw)}
}

// next goes on by a batch of tokens.
func (w *kpWalk) next() bool {
	if w.pos >= len(w.raw) {
		return false
	}
	if len(w.section) == 0 && w.spy != nil {
		w.spy(nil, w.pos)
	}
	for len(w.queue) < 700 && w.pos+w.queued < len(w.raw) {
		n := len(w.queue)
		w.queue = w.p.predict(w.view(w.pos+w.queued), w.queue, 256)
		w.queued += rawLength(w.queue[n:])
	}
	in := w.view(w.pos + w.queued)
	from := len(w.section)
	w.section = append(w.section, w.queue...)
	v, i := w.s.cut(in, w.section, from, w.pos)
	if v == goesOn {
		i = len(w.section)
	}
	take := w.queue[:i-from]
	w.section = w.section[:i]
	for j, t := range take {
		if w.miss != nil {
			if n := w.miss(w.pos); n > 0 && w.pos+n <= len(w.raw) {
				w.tokens = append(w.tokens, match(uint32(n), 1))
				w.section = append(w.section[:from+j], match(uint32(n), 1))
				w.pos += n
				w.queue, w.queued = w.queue[:0], 0
				w.p.resume(w.view(w.pos), w.pos)
				if w.pos >= len(w.raw) {
					w.took(mustEnd)
				}
				return true
			}
		}
		w.tokens = append(w.tokens, t)
		w.pos += t.length()
	}
	w.queued -= rawLength(take)
	w.queue = append(w.queue[:0], w.queue[len(take):]...)
	if v != goesOn {
		w.took(v)
	}
	return true
}

func (w *kpWalk) took(v verdict) {
	if !w.open {
		w.block = w.s.block(w.section, w.start, w.pos == len(w.raw), true)
	}
	w.verdicts = append(w.verdicts, v)
	w.open = v != mustEnd
	w.s.took(&w.block, !w.open, w.section, w.pos)
	w.section, w.start = w.section[:0], w.pos
}

// TestKlauspostViews checks that the same is predicted from inputs that show
// little, and that looking ahead changes nothing, also where tokens are wrong.
func TestKlauspostViews(t *testing.T) {
	raw := bytes.Repeat(append(goldenInput(t, "mixed"), goldenInput(t, "noise")...), 2)
	for _, level := range kpLevels {
		for _, wrong := range []int{0, 400_000, 20_000, 300} {
			if level >= 7 && wrong == 300 {
				continue
			}
			var walks [2]kpWalk
			for i := range walks {
				w := &walks[i]
				w.p, w.s = newKlauspost(klauspostK8, level)
				w.raw = raw
				r := rand.New(rand.NewPCG(1, uint64(level)))
				if wrong > 0 {
					next := r.IntN(wrong)
					w.miss = func(pos int) int {
						if pos < next {
							return 0
						}
						next = pos + r.IntN(wrong)
						return 1 + r.IntN(258)
					}
				}
				if i == 1 {
					// as the analysis does, which knows what comes
					w.spy = func(_ []token, pos int) {
						far := min(len(raw), pos+1<<20)
						from := max(pos-behind, 0)
						in := &input{data: raw[from:far], base: from, last: far == len(raw), final: far == len(raw)}
						guess := walks[0].tokens[min(len(w.tokens), len(walks[0].tokens)):]
						w.s.cut(in, guess, 0, pos)
					}
				}
				whole := view(raw)
				w.p.reset(&whole)
				w.s.reset()
				for w.next() {
				}
				if got := rawLength(w.tokens); got != len(raw) {
					t.Fatalf("level %d: tokens for %d bytes of %d", level, got, len(raw))
				}
			}
			for i, a := range walks[0].tokens {
				if b := walks[1].tokens[i]; a != b {
					t.Fatalf("level %d, wrong tokens about every %d: token %d is %x, and %x after a look ahead", level, wrong, i, a, b)
				}
			}
			if !bytes.Equal(verdictBytes(walks[0].verdicts), verdictBytes(walks[1].verdicts)) {
				t.Errorf("level %d, wrong tokens about every %d: other verdicts after a look ahead", level, wrong)
			}
			if wrong == 0 {
				whole := view(raw)
				w := kpWalk{raw: raw, whole: &whole}
				w.p, w.s = newKlauspost(klauspostK8, level)
				w.p.reset(&whole)
				w.s.reset()
				for w.next() {
				}
				for i, a := range walks[0].tokens {
					if b := w.tokens[i]; a != b {
						t.Fatalf("level %d: token %d is %x, and %x if all is in memory", level, i, a, b)
					}
				}
			}
		}
	}
}

func view(raw []byte) input { return input{data: raw, last: true, final: true} }

func verdictBytes(v []verdict) []byte {
	b := make([]byte, len(v))
	for i := range v {
		b[i] = byte(v[i])
	}
	return b
}

// TestKlauspostBroken asks for predictions that nobody needs.
func TestKlauspostBroken(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	raw := append(goldenInput(t, "text"), goldenInput(t, "noise")[:200_000]...)
	for _, level := range kpLevels {
		p, s := newKlauspost(klauspost1180, level)
		for range 20 {
			from := r.IntN(len(raw))
			frame := raw[from : from+r.IntN(len(raw)-from)]
			dict := r.IntN(min(len(frame), 40_000) + 1)
			in := input{data: frame, base: -dict, last: true}
			p.reset(&in)
			s.reset()
			for range 30 {
				pos := r.IntN(in.end() + 1)
				p.resume(&in, pos)
				// an input that has forgotten too much, and knows too little
				part := in
				if r.IntN(3) == 0 {
					lo := r.IntN(len(frame) + 1)
					part.data, part.base = frame[lo:], in.base+lo
					hi := r.IntN(len(part.data) + 1)
					part.data, part.last = part.data[:hi], false
				}
				tokens := p.predict(&part, nil, r.IntN(2000)+1)
				if pos >= part.base && pos+rawLength(tokens) > max(part.end(), pos) {
					t.Fatalf("level %d: tokens beyond what is known", level)
				}
				if _, i := s.cut(&part, tokens, 0, pos); i > 0 {
					b := s.block(tokens[:i], pos, r.IntN(2) == 0, false)
					s.took(&b, r.IntN(2) == 0, tokens[:i], pos+rawLength(tokens[:i]))
				}
			}
		}
		if level < 0 {
			continue
		}
		// more and stranger tokens than a compressor has in a block
		odd := make([]token, 1<<18)
		for i := range odd {
			odd[i] = literal(byte(i % 3))
		}
		for range 1000 {
			odd[r.IntN(len(odd))] = match(uint32(3+r.IntN(256)), uint32(1+r.IntN(32768)))
		}
		b := s.block(odd, 1<<20, false, false)
		s.took(&b, false, odd, 1<<22)
		s.block(odd[:1], 1<<22, true, true)
		h := header{lit: make([]uint8, 288), dist: make([]uint8, 32)}
		s.describe(&h)
	}
	for _, level := range []int{-3, -1, 0, 10} {
		if p, _ := newKlauspost(klauspostK8, level); p != nil {
			t.Errorf("there is a level %d", level)
		}
	}
	if p, _ := newKlauspost(1, 5); p != nil {
		t.Error("there is a variant 1")
	}
}

// BenchmarkKlauspost measures tokens and blocks together, as pgzip has them.
func BenchmarkKlauspost(b *testing.B) {
	raw := goldenInput(b, "large")
	for _, level := range kpLevels {
		b.Run(fmt.Sprint(level), func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			for range b.N {
				kpDigest(raw, klauspostK8, level, 1<<20)
			}
		})
	}
}
