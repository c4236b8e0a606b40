package deflate

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// benchStreams returns gzip streams to measure with: those that the pattern
// BALE_BENCH_LAYERS names, or the layers of the test images.
func benchStreams(b *testing.B) []string {
	if pattern := os.Getenv("BALE_BENCH_LAYERS"); pattern != "" {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			b.Fatalf("%s: nothing found, %v", pattern, err)
		}
		return found
	}
	var large []string
	for _, name := range realLayers(b) {
		if i, err := os.Stat(name); err == nil && i.Size() > 200<<10 {
			large = append(large, name)
		}
	}
	return large
}

// short names a stream in benchmarks.
func short(name string) string {
	name = filepath.Base(name)
	return name[:min(len(name), 30)]
}

// BenchmarkTokenize measures taking gzip streams apart; MB/s are of raw bytes.
func BenchmarkTokenize(b *testing.B) {
	for _, name := range benchStreams(b) {
		gz := readFile(b, name)
		b.Run(short(name), func(b *testing.B) {
			for b.Loop() {
				n, err := io.Copy(io.Discard, NewInflater(bytes.NewReader(gz)))
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(n)
			}
		})
	}
}

// BenchmarkAnalyze measures finding recipes, and how large they are.
func BenchmarkAnalyze(b *testing.B) {
	for _, name := range benchStreams(b) {
		gz := readFile(b, name)
		b.Run(short(name), func(b *testing.B) {
			for b.Loop() {
				r, err := Analyze(context.Background(), bytes.NewReader(gz), int64(len(gz)), io.Discard)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(r.RawSize)
				b.ReportMetric(100*float64(r.Corrections)/float64(len(gz)), "%corrections")
				b.ReportMetric(float64(r.Stats.WrongTokens), "wrong")
			}
		})
	}
}

// BenchmarkRebuild measures the way back.
func BenchmarkRebuild(b *testing.B) {
	for _, name := range benchStreams(b) {
		gz := readFile(b, name)
		b.Run(short(name), func(b *testing.B) {
			var corrections bytes.Buffer
			r, err := Analyze(context.Background(), bytes.NewReader(gz), int64(len(gz)), &corrections)
			if err != nil {
				b.Fatal(err)
			}
			raw, err := io.ReadAll(NewInflater(bytes.NewReader(gz)))
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(r.RawSize)
			for b.Loop() {
				z, err := NewReader(r.Params, int64(len(gz)), bytes.NewReader(raw), bytes.NewReader(corrections.Bytes()))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, z); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
