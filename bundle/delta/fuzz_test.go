package delta

import (
	"bytes"
	"errors"
	"testing"

	"bale/bundle/fault"
)

// maxFuzz bounds the contents of fuzzing, in bytes.
const maxFuzz = 1 << 16

// FuzzApply: whatever a patch says, what comes out is as large as asked for,
// or an error.
func FuzzApply(f *testing.F) {
	for _, s := range samples() {
		if len(s.new) > 20_000 {
			continue
		}
		f.Add(s.old, NewEncoder().Append(nil, s.old, s.new), uint(len(s.new)))
	}
	f.Fuzz(func(t *testing.T, old, patch []byte, n uint) {
		size := int(n % maxFuzz)
		got, err := Apply(old, patch, size)
		if err != nil && !errors.Is(err, fault.ErrDamaged) {
			t.Fatal(err)
		}
		if err == nil && len(got) != size {
			t.Fatalf("%d bytes, not %d", len(got), size)
		}
		again, err2 := Apply(old, patch, size)
		if (err == nil) != (err2 == nil) || !bytes.Equal(got, again) {
			t.Fatal("applied twice it makes something else")
		}
	})
}

// FuzzRoundTrip: a patch makes what it was made for.
func FuzzRoundTrip(f *testing.F) {
	for _, s := range samples() {
		if len(s.new) < 20_000 {
			f.Add(s.old, s.new)
		}
	}
	e := NewEncoder()
	f.Fuzz(func(t *testing.T, old, new []byte) {
		if len(old) > maxFuzz || len(new) > maxFuzz {
			return
		}
		check(t, e, old, new)
	})
}
