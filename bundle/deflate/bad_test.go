package deflate

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
)

func gzipOf(t testing.TB, raw []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func analyze(gz []byte) error {
	_, err := Analyze(context.Background(), bytes.NewReader(gz), int64(len(gz)), io.Discard)
	return err
}

// sampleText is some text that is not too regular.
func sampleText(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		b.WriteString(strings.Repeat("some words of a layer, number ", i%3+1))
		b.WriteByte(byte('a' + i%23))
		b.WriteByte(byte(i * i >> 3))
	}
	return b.Bytes()[:n]
}

// TestBadStreams: what is no whole gzip stream is refused, with the right error.
func TestBadStreams(t *testing.T) {
	gz := gzipOf(t, sampleText(100_000), 6)
	stored := append(gz[:10:10], 1, 5, 0, 0, 0) // length and its complement disagree
	for _, c := range []struct {
		name string
		gz   []byte
		want error
	}{
		{"empty", nil, ErrNotGzip},
		{"one byte", gz[:1], ErrNotGzip},
		{"header only", gz[:10], ErrNotGzip},
		{"no gzip", []byte("this is a text, and nothing but a text"), ErrNotGzip},
		{"zeros", make([]byte, 100), ErrNotGzip},
		{"cut in a block", gz[:len(gz)/2], ErrNotGzip},
		{"cut before the trailer", gz[:len(gz)-8], ErrNotGzip},
		{"cut in the trailer", gz[:len(gz)-1], ErrNotGzip},
		{"cut in a second member", append(bytes.Clone(gz), gz[:len(gz)-9]...), ErrNotGzip},
		{"reserved block type", append(gz[:10:10], 7, 0, 0), ErrNotGzip},
		{"damaged stored length", stored, ErrNotGzip},
		{"name without an end", append([]byte{0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 0}, bytes.Repeat([]byte("x"), 100_000)...), ErrIrregular},
		{"too much after the end", append(bytes.Clone(gz), make([]byte, maxTrailing+1)...), ErrIrregular},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := analyze(c.gz); !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
}

// TestEveryCut: no beginning of a stream is taken for a whole one.
func TestEveryCut(t *testing.T) {
	gz := gzipOf(t, sampleText(3000), 6)
	for n := range gz {
		if err := analyze(gz[:n]); !errors.Is(err, ErrNotGzip) {
			t.Fatalf("%d of %d bytes: %v", n, len(gz), err)
		}
	}
}

// TestEveryFlip: a stream with a flipped bit is refused or rebuilt as it is.
func TestEveryFlip(t *testing.T) {
	gz := gzipOf(t, sampleText(400), 6)
	for i := range 8 * len(gz) {
		bad := bytes.Clone(gz)
		bad[i/8] ^= 1 << (i % 8)
		var corrections bytes.Buffer
		r, err := AnalyzeAs(context.Background(), bytes.NewReader(bad), int64(len(bad)), &corrections, Choice{})
		if err != nil {
			if !expected(err) {
				t.Fatalf("bit %d: %v", i, err)
			}
			continue
		}
		z, err := NewReader(r.Params, int64(len(bad)), NewInflater(bytes.NewReader(bad)), &corrections)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, bad) {
			t.Fatalf("bit %d: rebuilt differently, %v", i, err)
		}
	}
}

// TestKept: members, names, wrong sums and what follows are kept.
func TestKept(t *testing.T) {
	one, two := gzipOf(t, sampleText(50_000), 6), gzipOf(t, sampleText(20_000), 1)
	wrong := bytes.Clone(one)
	wrong[len(wrong)-6] ^= 1
	extra := append([]byte{0x1f, 0x8b, 8, 0x1e, 1, 2, 3, 4, 2, 3, 4, 0}, "abcdname\x00a comment\x00HC"...)
	for _, gz := range [][]byte{
		append(bytes.Clone(one), two...),
		append(append(bytes.Clone(one), one...), one...),
		append(bytes.Clone(one), "and some more"...),
		append(bytes.Clone(one), make([]byte, 512)...),
		wrong,
		append(extra, one[10:]...),
	} {
		roundTrip(t, gz, &Choice{})
	}
}

// TestBomb: what is nearly nothing but zeros is left alone, early.
func TestBomb(t *testing.T) {
	gz := gzipOf(t, make([]byte, 200<<20), 9)
	if err := analyze(gz); !errors.Is(err, ErrIrregular) {
		t.Errorf("error %v", err)
	}
}

// TestSize: a stream is not read beyond its size, and recipes give no more.
func TestSize(t *testing.T) {
	gz := gzipOf(t, sampleText(50_000), 6)
	var corrections bytes.Buffer
	if _, err := Analyze(context.Background(), bytes.NewReader(gz), int64(len(gz)-1), &corrections); !errors.Is(err, ErrNotGzip) {
		t.Errorf("too small a size: %v", err)
	}
	corrections.Reset()
	r, err := Analyze(context.Background(), bytes.NewReader(gz), int64(len(gz)), &corrections)
	if err != nil {
		t.Fatal(err)
	}
	raw := gunzip(t, gz)
	for _, c := range []struct {
		name             string
		size             int
		raw, corrections []byte
	}{
		{"one byte less", len(gz) - 1, raw, corrections.Bytes()},
		{"one byte more", len(gz) + 1, raw, corrections.Bytes()},
		{"raw bytes run out", len(gz), raw[:len(raw)-1], corrections.Bytes()},
		{"raw bytes left over", len(gz), append(bytes.Clone(raw), 0), corrections.Bytes()},
		{"corrections run out", len(gz), raw, corrections.Bytes()[:max(corrections.Len()-4, 0)]},
		{"no corrections", len(gz), raw, nil},
		{"corrections left over", len(gz), raw, append(bytes.Clone(corrections.Bytes()), 0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			z, err := NewReader(r.Params, int64(c.size), bytes.NewReader(c.raw), bytes.NewReader(c.corrections))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(z)
			if !errors.Is(err, ErrRecipe) || len(got) > c.size {
				t.Errorf("%d bytes and error %v", len(got), err)
			}
		})
	}
}

// TestParams: parameters that no version wrote are refused.
func TestParams(t *testing.T) {
	good := Choice{}.params()
	for i := range len(good) + 2 {
		bad := append(bytes.Clone(good), 0)[:min(i, len(good)+1)]
		if i < len(good) {
			bad = bytes.Clone(good)
			bad[i] = 200
			if i != 0 && i != 1 && i != 5 {
				continue // of no meaning for the generic model
			}
		}
		if _, err := Describe(bad[:min(len(bad), 7)]); i != len(good) && !errors.Is(err, ErrRecipe) {
			t.Errorf("% x: %v", bad, err)
		}
	}
}

// TestCancel: a context that ends is the error.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	gz := gzipOf(t, sampleText(50_000), 6)
	if _, err := Analyze(ctx, bytes.NewReader(gz), int64(len(gz)), io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestMemory: rebuilding keeps less than 16 MiB, whatever the stream.
func TestMemory(t *testing.T) {
	raw := bytes.Join([][]byte{sampleText(6 << 20), make([]byte, 40<<20), sampleText(6 << 20)}, nil)
	gz := gzipOf(t, raw, 6)
	var corrections bytes.Buffer
	r, err := AnalyzeAs(context.Background(), bytes.NewReader(gz), int64(len(gz)), &corrections, Choice{})
	if err != nil {
		t.Fatal(err)
	}
	held := func() uint64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	before := held()
	z, err := NewReader(r.Params, int64(len(gz)), bytes.NewReader(raw), bytes.NewReader(corrections.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	most := uint64(0)
	buf := make([]byte, 64<<10)
	for n := 0; ; n++ {
		k, err := z.Read(buf)
		if n%8 == 0 {
			most = max(most, held())
		}
		if err == io.EOF {
			break
		}
		if err != nil || k == 0 {
			t.Fatal(k, err)
		}
	}
	if most > before+16<<20 {
		t.Errorf("holds %d bytes", most-before)
	} else {
		t.Logf("holds %d bytes", most-before)
	}
}
