package deflate

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

// seedStreams are gzip streams that fuzzing starts from.
func seedStreams(t testing.TB) [][]byte {
	t.Helper()
	text := bytes.Repeat([]byte("the quick brown fox jumps over the lazy dog, "), 40)
	noise := make([]byte, 2000)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	mixed := bytes.Join([][]byte{text, noise, make([]byte, 3000), text[:100]}, nil)
	var out [][]byte
	for _, raw := range [][]byte{nil, []byte("a"), text, noise, mixed} {
		for _, level := range []int{gzip.NoCompression, gzip.HuffmanOnly, 1, 6} {
			var b bytes.Buffer
			z, err := gzip.NewWriterLevel(&b, level)
			if err != nil {
				t.Fatal(err)
			}
			z.Name = "name"[:level&3]
			half := len(raw) / 2
			if _, err := z.Write(raw[:half]); err != nil {
				t.Fatal(err)
			}
			if err := z.Flush(); err != nil {
				t.Fatal(err)
			}
			if _, err := z.Write(raw[half:]); err != nil {
				t.Fatal(err)
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			out = append(out, b.Bytes())
		}
	}
	out = append(out, bytes.Join(out[8:12], nil), append(bytes.Clone(out[9]), "trailing"...))
	return out
}

// FuzzRoundTrip: whatever can be taken apart is rebuilt to the same bytes, with
// any model.
func FuzzRoundTrip(f *testing.F) {
	for _, gz := range seedStreams(f) {
		for i := range fuzzChoices {
			f.Add(gz, uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, gz []byte, with uint8) {
		var corrections bytes.Buffer
		ch := fuzzChoices[int(with)%len(fuzzChoices)]
		m, in, err := newAnalysis(bytes.NewReader(gz), &corrections, ch)
		if err != nil {
			t.Fatal(err)
		}
		for more := true; more; {
			if more, err = m.step(); err != nil {
				if !expected(err) {
					t.Fatalf("%+v: %v", ch, err)
				}
				return
			}
		}
		if in.read != int64(len(gz)) {
			t.Fatalf("%+v: read %d of %d bytes", ch, in.read, len(gz))
		}
		r, err := NewReader(ch.params(), int64(len(gz)), NewInflater(bytes.NewReader(gz)), &corrections)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%+v: rebuild: %v", ch, err)
		}
		if !bytes.Equal(got, gz) {
			t.Fatalf("%+v: rebuilt %x from %x", ch, got, gz)
		}
	})
}

// FuzzTokenizer: the tokenizer agrees with the standard library about what is
// valid and what it means.
func FuzzTokenizer(f *testing.F) {
	for _, gz := range seedStreams(f) {
		f.Add(gz)
	}
	f.Fuzz(func(t *testing.T, gz []byte) {
		got, err := io.ReadAll(io.LimitReader(NewInflater(bytes.NewReader(gz)), 1<<24))
		if err != nil && !expected(err) {
			t.Fatal(err)
		}
		z, zerr := gzip.NewReader(bytes.NewReader(gz))
		if zerr != nil {
			return
		}
		z.Multistream(false)
		want, zerr := io.ReadAll(io.LimitReader(z, 1<<24))
		if zerr != nil || errors.Is(err, ErrIrregular) {
			return // we do not check sums and accept some codes that others refuse
		}
		if err == nil && !bytes.HasPrefix(got, want) {
			t.Fatalf("got %x, the standard library %x", got, want)
		}
	})
}

// FuzzRecipe: no recipe, however wrong, makes the reader panic, hang, or give
// more bytes than it is asked for.
func FuzzRecipe(f *testing.F) {
	for _, gz := range seedStreams(f) {
		for _, ch := range fuzzChoices {
			var corrections bytes.Buffer
			if _, err := AnalyzeAs(context.Background(), bytes.NewReader(gz), int64(len(gz)), &corrections, ch); err != nil {
				continue
			}
			raw, err := io.ReadAll(NewInflater(bytes.NewReader(gz)))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(ch.params(), corrections.Bytes(), raw)
		}
	}
	f.Fuzz(func(t *testing.T, params, corrections, raw []byte) {
		const size = 1 << 16
		r, err := NewReader(params, size, bytes.NewReader(raw), bytes.NewReader(corrections))
		if err != nil {
			if !errors.Is(err, ErrRecipe) {
				t.Fatal(err)
			}
			return
		}
		got, err := io.ReadAll(r)
		if err != nil && !errors.Is(err, ErrRecipe) {
			t.Fatal(err)
		}
		if len(got) > size {
			t.Fatalf("%d bytes came out", len(got))
		}
	})
}

// fuzzChoices are models of every kind.
var fuzzChoices = []Choice{
	{Family: Generic},
	{Family: Go, Level: 1}, {Family: Go, Level: 3}, {Family: Go, Level: 6}, {Family: Go, Level: goHuffman},
	{Family: Klauspost, Variant: klauspostK8, Level: 1}, {Family: Klauspost, Variant: klauspostK8, Level: 6},
	{Family: Klauspost, Variant: klauspostK7, Level: 5, Framing: PGZip256K},
	{Family: Klauspost, Variant: klauspostK7, Level: 9, Framing: PGZip256K},
	{Family: Klauspost, Variant: klauspost140, Level: 5, Framing: PGZip256K},
	{Family: Klauspost, Variant: klauspost192, Level: 5, Framing: PGZip256K},
	{Family: Klauspost, Variant: klauspost1102, Level: 7}, {Family: Klauspost, Variant: klauspost1123, Level: 5},
	{Family: Zlib, Variant: zlibPlain, Level: 6, Memory: 8}, {Family: Zlib, Variant: zlibPlain, Level: 1, Memory: 9},
	{Family: Zlib, Variant: zlibGNU, Level: 9, Memory: 8}, {Family: Zlib, Variant: zlibBusyBox, Level: 6, Memory: 8},
	{Family: Zlib, Variant: zlibRsync, Level: 6, Memory: 8},
	{Family: Zlib, Variant: zlibPigz, Level: 6, Memory: 8, Framing: Pigz},
	{Family: Zlib, Variant: zlibPigz, Level: 2, Memory: 8, Framing: PigzRsync},
}
