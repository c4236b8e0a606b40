package deflate

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

var goAllLevels = []int{-2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}

var goWriters = map[int]*gzip.Writer{}

// goZip compresses with the standard library, while it is the one to compare with.
func goZip(t testing.TB, raw []byte, level int) []byte {
	t.Helper()
	if v := runtime.Version(); !strings.HasPrefix(v, "go1.26") {
		t.Skip("the compressor of " + v + " is another")
	}
	var b bytes.Buffer
	z := goWriters[level]
	if z == nil {
		var err error
		if z, err = gzip.NewWriterLevel(&b, level); err != nil {
			t.Fatal(err)
		}
		goWriters[level] = z
	}
	z.Reset(&b)
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func goNoise(r *rand.Rand, n, symbols int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.IntN(symbols))
	}
	return b
}

// goEdges are inputs that lead to the edges of the algorithm.
func goEdges() map[string][]byte {
	r := rand.New(rand.NewPCG(7, 7))
	m := map[string][]byte{}
	text := goldenInputs["text"]()
	for n := range 40 {
		m[fmt.Sprint("letters ", n)] = text[n*7 : n*8]
		m[fmt.Sprint("zeros ", n)] = make([]byte, n)
	}
	for _, n := range []int{127, 128, 129, 200, 257, 258, 259, 260, 261, 262, 263, 264, 300, 520} {
		m[fmt.Sprint("letters ", n)] = text[:n]
		m[fmt.Sprint("zeros ", n)] = make([]byte, n)
		m[fmt.Sprint("noise ", n)] = goNoise(r, n, 256)
	}
	large := goldenInputs["large"]()
	for _, n := range []int{16384, 32768, 65274, 65275, 65276, 65534, 65535, 65536, 65537, 65663, 65664, 98303, 98304, 98305, 98400, 131070, 131071, 131087} {
		at := r.IntN(len(large) - n)
		m[fmt.Sprint("archive ", n)] = large[at : at+n]
		m[fmt.Sprint("noise ", n)] = goNoise(r, n, 256)
	}
	m["zeros 400000"] = make([]byte, 400000)
	for _, n := range []int{2, 3, 4, 16, 64, 128} {
		m[fmt.Sprintf("noise of %d symbols", n)] = goNoise(r, 150000, n)
	}
	// repetitions at the greatest distances, where the window has just moved and where not
	for _, period := range []int{1, 2, 3, 4, 5, 6, 7, 100, 257, 258, 259, 4095, 4096, 4097, 4098, 32000, 32506, 32507, 32508, 32600, 32766, 32767, 32768, 32769, 33000} {
		b := goNoise(r, period, 256)
		for len(b) < 140000 {
			b = append(b, b[len(b)-period:][:min(period, 400)]...)
			if r.IntN(3) == 0 {
				b = append(b, byte(len(b)))
			}
		}
		m[fmt.Sprint("period ", period)] = b
	}
	// short matches near and far, and chains that are too long to be searched
	var b []byte
	for len(b) < 150000 {
		if at := len(b) - 1 - r.IntN(33000); at > 0 {
			b = append(b, b[at:][:min(3+r.IntN(6)*r.IntN(4), len(b)-at)]...)
		}
		b = append(b, goNoise(r, r.IntN(3), 5)...)
		b = append(b, goNoise(r, r.IntN(2), 256)...)
	}
	m["echoes"] = b
	// matches at the greatest distances, where the window moves and where the input ends
	for i := range 12 {
		for _, at := range []int{65269, 98037} {
			b := goNoise(r, at+i+600, 256)
			copy(b[at+i:], b[at+i-32768:][:300])
			for _, n := range []int{261, 262, 600} {
				m[fmt.Sprint("window ", at+i, " end ", n)] = b[:at+i+n]
			}
		}
	}
	// level 1 saves just so much, or too little
	for n := 9; n <= 13; n++ {
		b := goNoise(r, 160, 256)
		copy(b[20:], b[2:][:n])
		m[fmt.Sprint("saving ", n)] = b
	}
	return m
}

// TestGoTypes compares short blocks, where all types are of about the same size.
func TestGoTypes(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for _, level := range []int{-2, 1, 2, 6} {
		p, s := newGo(level)
		for i := range 1500 {
			raw := goNoise(r, 17+r.IntN(150), 256)
			for k := range raw {
				if i&1 == 1 || i&2 == 2 && r.IntN(8) > 0 {
					raw[k] = raw[k]%byte(1+i%64) + 120
				}
			}
			if _, said := countMisses(t, goZip(t, raw, level), p, s, testFraming{}); said != nil {
				t.Fatalf("level %d, %x: %s", level, raw, said)
			}
		}
	}
}

// TestGoExact compares all levels with the standard library, also on files
// that the pattern BALE_TEST_RAW names; BALE_TEST_LEVEL selects a level.
func TestGoExact(t *testing.T) {
	edges, inputs := goEdges(), map[string][]byte{}
	for name, make := range goldenInputs {
		inputs[name] = make()
	}
	found, err := filepath.Glob(os.Getenv("BALE_TEST_RAW"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range found {
		inputs[name] = readFile(t, name)
	}
	levels := goAllLevels
	if one, err := strconv.Atoi(os.Getenv("BALE_TEST_LEVEL")); err == nil {
		levels = []int{one}
	}
	for _, level := range levels {
		var all exactness
		p, s := newGo(level)
		check := func(name string, raw []byte) {
			x, said := countMisses(t, goZip(t, raw, level), p, s, testFraming{})
			all.tokens += x.tokens
			all.blocks += x.blocks
			for _, line := range said {
				t.Errorf("level %d, %s: %s", level, name, line)
			}
		}
		for name, raw := range inputs {
			check(name, raw)
		}
		switch level {
		case 1, 2, 6, 9: // the others have nothing of their own
			if testing.Short() {
				break
			}
			for name, raw := range edges {
				check(name, raw)
			}
		}
		t.Logf("level %d: %d tokens and %d blocks", level, all.tokens, all.blocks)
	}
}

func goTokens(p predictor, raw []byte) (tokens []token) {
	in := &input{data: raw, last: true, final: true}
	p.reset(in)
	for {
		n := len(tokens)
		if tokens = p.predict(in, tokens, 1000); len(tokens) == n {
			return tokens
		}
	}
}

// goViewOf shows as much of raw as predictors are promised at least.
func goViewOf(raw []byte, coded, pos int) *input {
	from, to := max(0, coded-behind), min(len(raw), pos+ahead)
	return &input{data: raw[from:to:to], base: from, last: to == len(raw), final: to == len(raw)}
}

// TestGoViews checks that predictions do not depend on how much is in memory.
func TestGoViews(t *testing.T) {
	raw := goldenInputs["large"]()
	for _, level := range goAllLevels {
		p, _ := newGo(level)
		want := goTokens(p, raw)
		p.reset(&input{data: raw[:0]})
		pos := 0
		var got []token
		for {
			n := len(got)
			got = p.predict(goViewOf(raw, pos, pos), got, 1+n%256)
			if len(got) == n {
				break
			}
			pos += rawLength(got[n:])
		}
		if goHash(got) != goHash(want) {
			t.Errorf("level %d: other tokens", level)
		}
	}
}

// TestGoLost checks that after wrong predictions tokens are still possible
// ones, and soon the right ones again.
func TestGoLost(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	raw := goldenInputs["large"]()
	for _, level := range goAllLevels {
		p, _ := newGo(level)
		p.reset(&input{data: raw[:0]})
		coded, pos := 0, 0
		var queue []token
		for pos < len(raw) {
			in := goViewOf(raw, coded, pos)
			n := len(queue)
			if queue = p.predict(in, queue, 1+r.IntN(256)); len(queue) == n {
				t.Fatalf("level %d: no prediction for %d", level, pos)
			}
			for _, k := range queue[n:] {
				i := pos - in.base
				if pos += k.length(); pos > in.end() {
					t.Fatalf("level %d: a token up to %d", level, pos)
				}
				if !k.isMatch() {
					if k.byte() != in.data[i] {
						t.Fatalf("level %d: a wrong literal at %d", level, pos)
					}
					continue
				}
				d, l := int(k.distance()), k.length()
				if l > maxMatch || l < minMatch || d > maxDistance || d > i || d == 0 || !bytes.Equal(in.data[i:i+l], in.data[i-d:i-d+l]) {
					t.Fatalf("level %d: a match of %d at distance %d before %d", level, l, d, pos)
				}
			}
			switch r.IntN(12) {
			case 0: // one was wrong: forget what came after it
				keep := queue[:r.IntN(len(queue))]
				coded += rawLength(keep)
				coded = min(len(raw), coded+1+r.IntN(300)*r.IntN(2))
				queue, pos = queue[:0], coded
				p.resume(goViewOf(raw, coded, pos), pos)
			case 1, 2:
				queue, coded = queue[:0], pos
			}
		}
	}
}

func goHash(tokens []token) string {
	h := sha256.New()
	hashTokens(h, tokens)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// goFrozen are digests of the tokens for some inputs, at levels -2, 0, 1 ... 9.
var goFrozen = map[string][11]string{
	"tiny": {"aea1f5db4573a200", "aea1f5db4573a200", "aea1f5db4573a200", "375474dbb809bdc7", "375474dbb809bdc7", "375474dbb809bdc7",
		"375474dbb809bdc7", "375474dbb809bdc7", "375474dbb809bdc7", "375474dbb809bdc7", "375474dbb809bdc7"},
	"text": {"3a2cccff1ef45e1a", "3a2cccff1ef45e1a", "80a452cd3343ecfb", "f9d5554705962918", "214738d92b82b6ee", "ae1dce1b9fd8ef24",
		"9ee94fcc17661030", "8ccaf6372c79816a", "239d0c37f108093a", "0b12d2572fcdf823", "0b12d2572fcdf823"},
	"mixed": {"debf0d241a2c86cd", "debf0d241a2c86cd", "16ddfb870adf8f06", "51d10c82b5f8cfce", "19c4c58f3094e1d8", "1a9d7ed47965956d",
		"7065e8e8637e0e67", "53d4a3e915d2b127", "0ad064bc2645b548", "42ea0a8b9d9d1714", "0db36550bf9d9834"},
	"noise": {"20b5e4e35c649688", "20b5e4e35c649688", "0ce417760e900aad", "64362423e9b2e383", "d7e07525ae9e736f", "35e45fe25b365089",
		"2ca713cbf3132efe", "8389db823bd896d0", "942c648356226fe3", "60ac9f76f3c17047", "60ac9f76f3c17047"},
}

// TestGoFrozen fails when predictions are not what they have always been.
func TestGoFrozen(t *testing.T) {
	for name, want := range goFrozen {
		var got [11]string
		for i, level := range goAllLevels {
			p, _ := newGo(level)
			got[i] = goHash(goTokens(p, goldenInputs[name]()))
		}
		if got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// BenchmarkGo measures predictors alone, and with /shape cutting and headers.
func BenchmarkGo(b *testing.B) {
	raw := goldenInputs["large"]()
	if name := os.Getenv("BALE_BENCH_RAW"); name != "" {
		raw = readFile(b, name)
	}
	for _, level := range goAllLevels {
		p, s := newGo(level)
		in := &input{data: raw, last: true, final: true}
		b.Run(fmt.Sprint(level), func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				p.reset(in)
				room := make([]token, 0, predictAtOnce)
				for len(p.predict(in, room, predictAtOnce)) > 0 {
				}
			}
		})
		b.Run(fmt.Sprint(level, "/shape"), func(b *testing.B) {
			tokens := goTokens(p, raw)
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				s.reset()
				for from, pos := 0, 0; from < len(tokens); {
					_, n := s.cut(in, tokens[from:], 0, pos)
					bl := s.block(tokens[from:from+n], pos, from+n == len(tokens), true)
					end := pos + rawLength(tokens[from:from+n])
					s.took(&bl, true, tokens[from:from+n], end)
					from, pos = from+n, end
				}
			}
		})
	}
}
