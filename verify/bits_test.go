package verify_test

import (
	"bytes"
	"errors"
	"testing"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/verify"
)

// No bit of a signature, and none of what it signs, can change unseen.
func TestEveryBitCounts(t *testing.T) {
	for _, file := range signerFiles {
		k := loadPrivate(t, file)
		sig := signed(t, k, sums)
		tr := trust(k.Public())
		flipped := 0
		eachBit(sig, func(bad []byte) {
			flipped++
			if _, err := verify.Verify(bundle.NewEnvelope(sums, entries(entry, bad)), tr); err == nil {
				t.Errorf("%s: accepted %s", file, bad)
			}
		})
		eachBit(sums, func(bad []byte) {
			flipped++
			if _, err := verify.Verify(bundle.NewEnvelope(bad, entries(entry, sig)), tr); !errors.Is(err, fault.ErrUntrusted) {
				t.Errorf("%s: SHA256SUMS %q: %v", file, bad, err)
			}
		})
		if want := 8 * (len(sig) + len(sums)); flipped != want {
			t.Errorf("%s: flipped %d bits, want %d", file, flipped, want)
		}
	}
}

// eachBit calls f with data once for each of its bits, that bit flipped.
func eachBit(data []byte, f func([]byte)) {
	bad := bytes.Clone(data)
	for i := range bad {
		for bit := range 8 {
			bad[i] ^= 1 << bit
			f(bad)
			bad[i] ^= 1 << bit
		}
	}
}
