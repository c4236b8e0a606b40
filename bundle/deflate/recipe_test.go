package deflate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"
)

// roundTrip analyses a stream, rebuilds it and compares.
func roundTrip(t testing.TB, gz []byte, ch *Choice) *Recipe {
	t.Helper()
	var corrections bytes.Buffer
	var r *Recipe
	var err error
	if ch == nil {
		r, err = Analyze(context.Background(), bytes.NewReader(gz), int64(len(gz)), &corrections)
	} else {
		r, err = AnalyzeAs(context.Background(), bytes.NewReader(gz), int64(len(gz)), &corrections, *ch)
	}
	if errors.Is(err, ErrNotWorth) && (len(gz) < 4<<10 || ch != nil) {
		t.Skip("not worth it")
	}
	if err != nil {
		t.Fatalf("analyse: %v", err)
	}
	if r.Corrections != int64(corrections.Len()) {
		t.Errorf("%d bytes of corrections are said to be %d", corrections.Len(), r.Corrections)
	}
	z, err := NewReader(r.Params, int64(len(gz)), NewInflater(bytes.NewReader(gz)), &corrections)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(z)
	if err != nil {
		n := 0
		for n < len(got) && got[n] == gz[n] {
			n++
		}
		t.Fatalf("rebuild: %v, %d of %d bytes, %d right", err, len(got), len(gz), n)
	}
	if !bytes.Equal(got, gz) {
		t.Fatalf("rebuilt stream differs")
	}
	return r
}

func TestRealLayers(t *testing.T) {
	for _, name := range realLayers(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			gz := readFile(t, name)
			r := roundTrip(t, gz, nil)
			d, err := Describe(r.Params)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d bytes, %d raw, %v: %d corrections, %.2f %%, %+v", len(gz), r.RawSize, d,
				r.Corrections, 100*float64(r.Corrections)/float64(len(gz)), r.Stats)
		})
	}
}
