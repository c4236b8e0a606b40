package deflate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"math/rand/v2"
	"slices"
	"testing"
)

// zlibSample returns bytes with all that search has to cope with: runs, noise,
// text, and repetitions over short distances and over those near the end of
// the window.
func zlibSample(n int) []byte {
	r := rand.New(rand.NewPCG(uint64(n), 7))
	var b []byte
	repeat := func(distance, length int) {
		for range length {
			if distance > len(b) {
				b = append(b, 'x')
			} else {
				b = append(b, b[len(b)-distance])
			}
		}
	}
	for len(b) < n {
		switch r.IntN(8) {
		case 0:
			b = append(b, make([]byte, r.IntN(700))...)
		case 1:
			for range r.IntN(60) {
				b = append(b, byte(r.Uint32()))
			}
		case 2, 3:
			for range r.IntN(300) {
				b = append(b, "etaoin shrdlu\n"[r.IntN(14)])
			}
		case 4:
			repeat(zlibFar-2+r.IntN(5), 3+r.IntN(30))
		case 5:
			repeat(1+r.IntN(40000), 3+r.IntN(300))
		default:
			repeat(1+r.IntN(200), 3+r.IntN(12))
		}
	}
	return b[:n]
}

// A zlibDigest takes down what is predicted, or what a compressor has made.
type zlibDigest struct {
	s     *zlibShape
	h     hash.Hash
	start int // of the frame
}

func (d *zlibDigest) phase() uint8 { return uint8(d.s.phase) }

func (d *zlibDigest) section(b *block, first, ends bool, tokens []token, pos int) bool {
	if first {
		fmt.Fprintln(d.h, d.start+pos, b.typ, b.final, b.size, b.header.lit, b.header.dist, b.header.ops, b.header.clen)
	}
	if b.typ != storedBlock {
		fmt.Fprintln(d.h, tokens)
	}
	return true
}

func (d *zlibDigest) sum() string { return hex.EncodeToString(d.h.Sum(nil)[:8]) }

// zlibGolden are digests of what real compressors make of zlibSample.
var zlibGolden = []struct {
	variant          zlibVariant
	level, mem, size int
	sum              string
}{
	{zlibPlain, 1, 8, 300000, "a71ed76508024c3c"},
	{zlibPlain, 2, 8, 300000, "158ad304b33f22dd"},
	{zlibPlain, 3, 8, 300000, "0410ef151d9b3e60"},
	{zlibPlain, 4, 8, 300000, "7a525864ecba2c1a"},
	{zlibPlain, 5, 8, 300000, "9e55f8dee114b396"},
	{zlibPlain, 6, 8, 300000, "a7a74651e8b673b5"},
	{zlibPlain, 7, 8, 300000, "1280e7b5b56c7a6e"},
	{zlibPlain, 8, 8, 300000, "3d9210e8f79ca702"},
	{zlibPlain, 9, 8, 300000, "963d2ce5f146fd51"},
	{zlibPlain, 1, 9, 400000, "8784c13893602f22"},
	{zlibPlain, 6, 9, 400000, "bc80432592f39cc5"},
	{zlibPlain, 9, 9, 400000, "d9f24af51834a86a"},
	{zlibPlain, 6, 8, 0, "08294d6925bbd796"},
	{zlibPlain, 6, 8, 1, "81efd8cfbc209cf6"},
	{zlibPlain, 9, 8, 65600, "e2690db7147f7d7d"},
	{zlibPlain, 1, 8, 65600, "1a236416e54420bd"},
	{zlibGNU, 1, 8, 300000, "56f859e672d1611a"},
	{zlibGNU, 2, 8, 300000, "1c74cd52f24785b8"},
	{zlibGNU, 3, 8, 300000, "43031415129ae255"},
	{zlibGNU, 4, 8, 300000, "c57b1e525c9581e6"},
	{zlibGNU, 5, 8, 300000, "83132cf9fb8908b1"},
	{zlibGNU, 6, 8, 300000, "b9f7c2ac9615d9b9"},
	{zlibGNU, 7, 8, 300000, "91b963b7b9193c8a"},
	{zlibGNU, 8, 8, 300000, "155ec50c0f3bc47a"},
	{zlibGNU, 9, 8, 300000, "ad09846a3ec4bab7"},
	{zlibGNU, 9, 8, 0, "08294d6925bbd796"},
	{zlibGNU, 2, 8, 0, "08294d6925bbd796"},
	{zlibGNU, 9, 8, 1, "81efd8cfbc209cf6"},
	{zlibGNU, 2, 8, 1, "81efd8cfbc209cf6"},
	{zlibGNU, 9, 8, 65270, "a2bd5d7d14b4934d"},
	{zlibGNU, 2, 8, 65270, "45979b95a836d274"},
	{zlibGNU, 9, 8, 65290, "a87d69f875ae1bac"},
	{zlibGNU, 2, 8, 65290, "1a74d6fd5473b89e"},
	{zlibGNU, 9, 8, 65400, "4a6794b9513cb1d4"},
	{zlibGNU, 2, 8, 65400, "fc0bffc23f5f8d91"},
	{zlibGNU, 9, 8, 65520, "190d19652ecaf574"},
	{zlibGNU, 2, 8, 65520, "3b982d7fe8ed7902"},
	{zlibGNU, 9, 8, 65536, "2ea24128f8c21240"},
	{zlibGNU, 2, 8, 65536, "454081a102525fba"},
	{zlibGNU, 9, 8, 65540, "9d4aed63fb482713"},
	{zlibGNU, 2, 8, 65540, "9722c470dabd4aae"},
	{zlibGNU, 9, 8, 98200, "d32e20043a7e8ef2"},
	{zlibGNU, 2, 8, 98200, "eacd21cc159320e3"},
	{zlibBusyBox, 4, 8, 300000, "e3e6939c8cf8b6cc"},
	{zlibBusyBox, 4, 9, 300000, "c57b1e525c9581e6"},
	{zlibBusyBox, 6, 8, 300000, "ef20132199b5e77f"},
	{zlibBusyBox, 6, 9, 300000, "b9f7c2ac9615d9b9"},
	{zlibBusyBox, 9, 8, 300000, "c11c9e7d31cfcdff"},
	{zlibBusyBox, 9, 9, 300000, "ad09846a3ec4bab7"},
	{zlibBusyBox, 6, 8, 65400, "8d2fb2b25c25d3b2"},
	{zlibPigz, 1, 8, 500000, "f28d105484f84f32"},
	{zlibPigz, 3, 8, 500000, "f4b934a12399ea64"},
	{zlibPigz, 6, 8, 500000, "15dd88ab3395131e"},
	{zlibPigz, 9, 8, 500000, "cd4da2272e9081bc"},
	{zlibPigz, 6, 8, 262144, "5c3c3bf52fcf8b83"},
}

// zlibForecast returns the digest of what is predicted for raw.
func zlibForecast(t *testing.T, variant zlibVariant, level, mem int, raw []byte) string {
	t.Helper()
	p, s := newZlib(variant, level, mem)
	f := forecast{p: p, s: s}
	d := &zlibDigest{s: s.(*zlibShape), h: sha256.New()}
	size, dict := max(len(raw), 1), 0
	if variant == zlibPigz {
		size, dict = pigzBlock, zlibWindow
	}
	for start := 0; start == 0 || start < len(raw); start += size {
		before := min(start, dict)
		end := min(start+size, len(raw))
		in := &input{data: raw[start-before : end], base: -before, last: true, final: end == len(raw)}
		d.start = start
		if !f.frame(in, 0, d) {
			t.Fatalf("no forecast of the frame at %d", start)
		}
	}
	return d.sum()
}

// TestZlibGolden checks that nothing has changed since the models were the same
// as the real compressors.
func TestZlibGolden(t *testing.T) {
	for _, g := range zlibGolden {
		if sum := zlibForecast(t, g.variant, g.level, g.mem, zlibSample(g.size)); sum != g.sum {
			t.Errorf("variant %d level %d memory %d size %d: %s", g.variant, g.level, g.mem, g.size, sum)
		}
	}
}

// zlibView is what is in memory of raw when the place of prediction is pos.
func zlibView(raw []byte, pos, behind, ahead int) *input {
	from, to := max(0, pos-behind), min(len(raw), pos+ahead)
	return &input{data: raw[from:to:to], base: from, last: to == len(raw), final: true}
}

// TestZlibViews checks that predictions do not depend on how much of the raw
// bytes is in memory, nor on how many tokens are asked for.
func TestZlibViews(t *testing.T) {
	raw := zlibSample(600000)
	for _, level := range []int{1, 3, 4, 6, 9} {
		for _, variant := range []zlibVariant{zlibPlain, zlibGNU} {
			p, _ := newZlib(variant, level, 8)
			in := &input{data: raw, last: true, final: true}
			p.reset(in)
			var want, got []token
			for n := -1; n < len(want); {
				n = len(want)
				want = p.predict(in, want, 10000)
			}
			r := rand.New(rand.NewPCG(1, uint64(level)))
			p.reset(zlibView(raw, 0, behind, ahead))
			for pos := 0; pos < len(raw); {
				n := len(got)
				got = p.predict(zlibView(raw, pos, behind+r.IntN(9), ahead+r.IntN(9)), got, 1+r.IntN(400))
				pos += rawLength(got[n:])
			}
			if !slices.Equal(want, got) {
				t.Errorf("variant %d level %d: other tokens in parts", variant, level)
			}
		}
	}
}

// TestZlibLost checks that a model is soon right again after tokens that it did
// not predict, and that it gives only tokens that mean what is there.
func TestZlibLost(t *testing.T) {
	raw := zlibSample(900000)
	for level := 1; level <= 9; level++ {
		for _, variant := range []zlibVariant{zlibPlain, zlibGNU, zlibBusyBox} {
			p, _ := newZlib(variant, level, 8)
			r := rand.New(rand.NewPCG(2, uint64(level)))
			in := zlibView(raw, 0, behind, ahead)
			p.reset(in)
			var tokens []token
			for pos := 0; pos < len(raw); {
				in = zlibView(raw, pos, behind, ahead)
				if r.IntN(20) == 0 {
					// less than promised
					in = zlibView(raw, pos, r.IntN(40000), 1+r.IntN(700))
				}
				tokens = p.predict(in, tokens[:0], 1+r.IntN(100))
				if len(tokens) == 0 {
					t.Fatalf("variant %d level %d: nothing predicted for %d", variant, level, pos)
				}
				taken := r.IntN(len(tokens) + 1)
				for _, k := range tokens[:taken] {
					for range k.length() {
						if pos >= in.end() || !k.isMatch() && raw[pos] != k.byte() ||
							k.isMatch() && (int(k.distance()) > pos || raw[pos] != raw[pos-int(k.distance())]) {
							t.Fatalf("variant %d level %d: token %x at %d is wrong", variant, level, k, pos)
						}
						pos++
					}
				}
				if taken < len(tokens) {
					pos = min(pos+r.IntN(maxMatch), len(raw))
					if r.IntN(10) == 0 {
						pos = min(pos+r.IntN(100000), len(raw))
					}
					p.resume(zlibView(raw, pos, behind, ahead), pos)
				}
			}
		}
	}
}

// TestZlibFar checks positions that 32 bits do not hold.
func TestZlibFar(t *testing.T) {
	raw := zlibSample(400000)
	for _, level := range []int{1, 6} {
		var want []token
		for _, base := range []int{1 << 20, 1<<32 - 200000, 1 << 40} {
			p, _ := newZlib(zlibPlain, level, 8)
			in := &input{data: raw, base: 0, last: true}
			p.reset(in)
			in.base = base
			p.resume(in, base+100000)
			var got []token
			for n := -1; n < len(got); {
				n = len(got)
				got = p.predict(in, got, 1000)
			}
			if want == nil {
				want = got
			} else if !slices.Equal(want, got) {
				t.Errorf("level %d: other tokens from %d on", level, base)
			}
			if n := rawLength(got); n != len(raw)-100000 {
				t.Errorf("level %d: %d bytes predicted", level, n)
			}
		}
	}
}
