package pack

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"

	"bale/bundle/fault"
)

func encode(t testing.TB, l Level, raw []byte) []byte {
	t.Helper()
	e, err := NewEncoder(l)
	if err != nil {
		t.Fatal(err)
	}
	return e.Encode(nil, raw)
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func TestFramesRoundTrip(t *testing.T) {
	for _, l := range []Level{Fast, Default, Best} {
		for _, raw := range [][]byte{{1}, []byte("hello"), make([]byte, 255), make([]byte, 256), make([]byte, 4<<20), noise(5 << 20)} {
			f := encode(t, l, raw)
			got, err := Decode(f, int64(len(raw)))
			if err != nil || !bytes.Equal(got, raw) {
				t.Errorf("%s, %d bytes: %v", l, len(raw), err)
			}
			if again := encode(t, l, raw); !bytes.Equal(again, f) {
				t.Errorf("%s, %d bytes: not deterministic", l, len(raw))
			}
		}
	}
}

func TestPackIsPlainZstd(t *testing.T) {
	var b Builder
	for _, s := range []string{"one ", "two ", "three"} {
		if _, err := b.Add(encode(t, Default, []byte(s))); err != nil {
			t.Fatal(err)
		}
	}
	p := b.Finish()
	if err := CheckHeader(p.Data); err != nil {
		t.Error(err)
	}
	if sum := sha256.Sum256(p.Data); p.Digest.Encoded() != bytesHex(sum[:]) {
		t.Error("digest", p.Digest)
	}
	z, err := zstd.NewReader(bytes.NewReader(p.Data))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var out bytes.Buffer
	if _, err := out.ReadFrom(z); err != nil || out.String() != "one two three" {
		t.Errorf("%q %v", out.String(), err)
	}
	if !b.Empty() {
		t.Error("builder is not empty after Finish")
	}
}

func bytesHex(b []byte) string {
	const digits = "0123456789abcdef"
	var s []byte
	for _, c := range b {
		s = append(s, digits[c>>4], digits[c&15])
	}
	return string(s)
}

func TestPackStaysWithinItsLimit(t *testing.T) {
	var b Builder
	frame := make([]byte, 10<<20)
	for b.Fits(len(frame)) {
		if _, err := b.Add(frame); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Add(frame); err == nil {
		t.Error("added a frame that does not fit")
	}
	if n := len(b.Finish().Data); n > MaxSize {
		t.Errorf("%d bytes", n)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := encode(t, Default, []byte("content of a frame"))
	foreign := func(opts ...zstd.EOption) []byte {
		z, err := zstd.NewWriter(nil, opts...)
		if err != nil {
			t.Fatal(err)
		}
		return z.EncodeAll(bytes.Repeat([]byte("content "), 4), nil)
	}
	cases := map[string]struct {
		frame []byte
		size  int64
	}{
		"wrong size":            {good, 17},
		"over limit":            {good, MaxFrame + 1},
		"negative":              {good, -1},
		"cut":                   {good[:len(good)-3], 18},
		"empty":                 {nil, 18},
		"no zstd":               {[]byte("this is not a zstd frame"), 18},
		"bomb":                  {encode(t, Default, make([]byte, 64<<20)), MaxFrame},
		"skippable":             {header(), 8},
		"two frames":            {append(bytes.Clone(good), good...), 18},
		"frame, then skippable": {append(bytes.Clone(good), header()...), 18},
		"frame, then a byte":    {append(bytes.Clone(good), 0), 18},
		"no checksum":           {foreign(zstd.WithEncoderCRC(false)), 32},
		"flipped byte":          {flip(good, len(good)-6), 18},
	}
	for name, c := range cases {
		if raw, err := Decode(c.frame, c.size); !errors.Is(err, fault.ErrDamaged) || raw != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A frame whose header lies about a gigabyte must not make the decoder allocate it.
func TestBombAllocatesNoMoreThanTheIndexSays(t *testing.T) {
	bomb := encode(t, Default, make([]byte, 15<<20))
	allocated := testing.AllocsPerRun(1, func() {
		if _, err := Decode(bomb, 1000); !errors.Is(err, fault.ErrDamaged) {
			t.Error(err)
		}
	})
	if allocated > 50 {
		t.Errorf("%v allocations for a refused frame", allocated)
	}
}

func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 0x40
	return b
}

func TestCheckHeader(t *testing.T) {
	newer := header()
	newer[14] = 2
	if err := CheckHeader(newer); !errors.Is(err, fault.ErrUnsupported) {
		t.Error(err)
	}
	for _, b := range [][]byte{nil, header()[:15], flip(header(), 0), flip(header(), 9)} {
		if err := CheckHeader(b); !errors.Is(err, fault.ErrDamaged) {
			t.Error(err)
		}
	}
}

func TestParseLevel(t *testing.T) {
	for _, l := range []Level{Fast, Default, Best} {
		if got, err := ParseLevel(l.String()); err != nil || got != l {
			t.Error(l, got, err)
		}
	}
	if _, err := ParseLevel("9"); err == nil {
		t.Error("level 9 accepted")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(f, Default, []byte("hello")), int64(5))
	f.Add(encode(f, Fast, make([]byte, 100_000)), int64(100_000))
	f.Add(encode(f, Best, noise(300)), int64(300))
	f.Add(header(), int64(0))
	f.Fuzz(func(t *testing.T, frame []byte, size int64) {
		raw, err := Decode(frame, size)
		if err == nil && int64(len(raw)) != size {
			t.Fatal("accepted with another size")
		}
		if err != nil && raw != nil {
			t.Fatal("error and a result")
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	raw := bytes.Repeat(append(noise(3000), bytes.Repeat([]byte("some text "), 500)...), 500)
	f := encode(b, Default, raw)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := Decode(f, int64(len(raw))); err != nil {
			b.Fatal(err)
		}
	}
}
