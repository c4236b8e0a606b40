package sign_test

import (
	"crypto/ecdsa"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
)

// twin returns (r, n-s) for an ECDSA signature (r, s).
func twin(t testing.TB, n *big.Int, sig []byte) (other []byte, high bool) {
	t.Helper()
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(sig, &rs); err != nil {
		t.Fatal(err)
	}
	high = rs.S.Cmp(new(big.Int).Rsh(n, 1)) > 0
	rs.S.Sub(n, rs.S)
	other, err := asn1.Marshal(rs)
	if err != nil {
		t.Fatal(err)
	}
	return other, high
}

// An ECDSA signature and its twin both verify, since those who sign make both
// kinds: s is above half of the order in about every second one.
func TestTwinsVerify(t *testing.T) {
	message := []byte("message")
	for _, file := range []string{"sec1.pem", "secp384r1.pem", "secp521r1.pem"} {
		parsed, err := cryptoutils.UnmarshalPEMToPrivateKey(read(t, testKey(file)), nil)
		if err != nil {
			t.Fatal(err)
		}
		n := parsed.(*ecdsa.PrivateKey).Params().N
		k := loadPrivate(t, testKey(file))
		seen := make(map[bool]int)
		for range 64 {
			s, err := k.Sign(t.Context(), message)
			if err != nil {
				t.Fatal(err)
			}
			sig := parseJSON(t, s.Data).MessageSignature.Signature
			other, high := twin(t, n, sig)
			seen[high]++
			if err := k.Public().Verify(message, other); err != nil {
				t.Errorf("%s: twin is refused: %v", file, err)
			}
			if err := k.Public().Verify([]byte("massage"), other); err == nil {
				t.Errorf("%s: twin verifies over another message", file)
			}
		}
		if seen[true] == 0 || seen[false] == 0 {
			t.Errorf("%s: all signatures are of one kind: %v", file, seen)
		}
	}
}
