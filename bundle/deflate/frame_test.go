package deflate

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"runtime"
	"testing"
	"time"

	kflate "github.com/klauspost/compress/flate"
)

// inFrames compresses as pgzip does: blocks of 256 KiB, each flushed, with the
// end of the one before as dictionary. level gives the level of each block.
func inFrames(t testing.TB, raw []byte, level func(n int) int) []byte {
	t.Helper()
	const size = 256 << 10
	out := bytes.NewBuffer([]byte{0x1f, 0x8b, 8, 0, 0, 9, 0x6e, 0x88, 0, 255})
	for n := 0; n*size < len(raw); n++ {
		block := raw[n*size : min((n+1)*size, len(raw))]
		z, err := kflate.NewWriterDict(out, level(n), raw[max(0, n*size-pgzipDict):n*size])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := z.Write(block); err != nil {
			t.Fatal(err)
		}
		end := z.Flush
		if (n+1)*size >= len(raw) {
			end = z.Close
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
	}
	b := binary.LittleEndian.AppendUint32(out.Bytes(), crc32.ChecksumIEEE(raw))
	return binary.LittleEndian.AppendUint32(b, uint32(len(raw)))
}

// TestFrames rebuilds streams of which some blocks are as predicted, and are
// rebuilt side by side, and some are not.
func TestFrames(t *testing.T) {
	raw := goldenInput(t, "large")
	ch := Choice{Family: Klauspost, Variant: klauspostK8, Level: 5, Framing: PGZip256K}
	for name, level := range map[string]func(n int) int{
		"all":       func(int) int { return 5 },
		"all but 3": func(n int) int { return 5 + toInt(n == 3) },
		"every 2nd": func(n int) int { return 5 + n%2 },
		"first":     func(n int) int { return 5 + min(n, 1) },
		"last":      func(n int) int { return 5 + toInt(n == 11) },
	} {
		t.Run(name, func(t *testing.T) {
			gz := inFrames(t, raw, level)
			// nothing of this may be skipped as not worth it
			if _, err := AnalyzeAs(context.Background(), bytes.NewReader(gz), int64(len(gz)), io.Discard, ch); err != nil {
				t.Fatal(err)
			}
			r := roundTrip(t, gz, &ch)
			if name == "all" && (r.Stats.WrongTokens > 0 || r.Corrections > 40) {
				t.Errorf("%d bytes of corrections, %+v", r.Corrections, r.Stats)
			}
		})
	}
}

// TestFramesAstray: a model that is wrong from the beginning is given up.
func TestFramesAstray(t *testing.T) {
	gz := inFrames(t, goldenInput(t, "large"), func(int) int { return 6 })
	ch := Choice{Family: Klauspost, Variant: klauspostK8, Level: 5, Framing: PGZip256K}
	_, err := AnalyzeAs(context.Background(), bytes.NewReader(gz), int64(len(gz)), io.Discard, ch)
	if !errors.Is(err, ErrNotWorth) {
		t.Errorf("error %v", err)
	}
}

// TestFramesClosedEarly closes readers while frames are being rebuilt.
func TestFramesClosedEarly(t *testing.T) {
	raw := sampleText(2 << 20)
	gz := inFrames(t, raw, func(int) int { return 5 })
	var corrections bytes.Buffer
	ch := Choice{Family: Klauspost, Variant: klauspostK8, Level: 5, Framing: PGZip256K}
	r, err := AnalyzeAs(context.Background(), bytes.NewReader(gz), int64(len(gz)), &corrections, ch)
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	for n := range 20 {
		z, err := NewReader(r.Params, int64(len(gz)), bytes.NewReader(raw), bytes.NewReader(corrections.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, z, int64(n*1000)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := z.Read(make([]byte, 1)); err == nil {
			t.Error("reads after Close")
		}
	}
	// One that has said that it is done may still be on its way out.
	for late := time.After(10 * time.Second); runtime.NumGoroutine() > before; {
		select {
		case <-late:
			t.Fatalf("%d goroutines are left", runtime.NumGoroutine()-before)
		case <-time.After(time.Millisecond):
		}
	}
}
