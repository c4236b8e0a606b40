//lint:file-ignore SA1019 keys that no sound function makes
package sign_test

import (
	"crypto"
	"crypto/dsa"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"testing"

	"bale/bundle/fault"
	"bale/sign"
)

// Numbers that are no key, or a weak one, are refused in whatever file they come.
func TestNewPublicKeyRefuses(t *testing.T) {
	odd := func(bits int) *big.Int { // as good as a modulus, for what is checked
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		return n.SetBit(n, 0, 1)
	}
	even := new(big.Int).Sub(odd(2048), big.NewInt(1))
	on := func(c elliptic.Curve, x, y int64) *ecdsa.PublicKey {
		return &ecdsa.PublicKey{Curve: c, X: big.NewInt(x), Y: big.NewInt(y)}
	}
	k, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	beside := &ecdsa.PublicKey{Curve: k.Curve, X: k.X, Y: new(big.Int).Add(k.Y, big.NewInt(1))}
	swapped := &ecdsa.PublicKey{Curve: elliptic.P521(), X: k.X, Y: k.Y}
	tests := []struct {
		name string
		key  crypto.PublicKey
		text string
	}{
		{"nothing", nil, "<nil>"},
		{"RSA, nothing", (*rsa.PublicKey)(nil), "empty"},
		{"RSA, no modulus", &rsa.PublicKey{E: 65537}, "empty"},
		{"RSA 2047", &rsa.PublicKey{N: odd(2047), E: 65537}, "2047 bits"},
		{"RSA 8193", &rsa.PublicKey{N: odd(8193), E: 65537}, "8193 bits"},
		{"RSA, 0", &rsa.PublicKey{N: new(big.Int), E: 65537}, "0 bits"},
		{"RSA, negative", &rsa.PublicKey{N: new(big.Int).Neg(even), E: 65537}, "even"},
		{"RSA, even", &rsa.PublicKey{N: even, E: 65537}, "even modulus"},
		{"RSA, exponent 0", &rsa.PublicKey{N: odd(2048), E: 0}, "exponent 0"},
		{"RSA, exponent 1", &rsa.PublicKey{N: odd(2048), E: 1}, "exponent 1"},
		{"RSA, exponent 2", &rsa.PublicKey{N: odd(2048), E: 2}, "exponent 2"},
		{"RSA, exponent even", &rsa.PublicKey{N: odd(2048), E: 65536}, "exponent 65536"},
		{"RSA, exponent negative", &rsa.PublicKey{N: odd(2048), E: -3}, "exponent -3"},
		{"RSA, exponent too large", &rsa.PublicKey{N: odd(2048), E: 1<<31 + 1}, "exponent"},
		{"ECDSA, nothing", (*ecdsa.PublicKey)(nil), "empty"},
		{"ECDSA, no curve", &ecdsa.PublicKey{}, "empty"},
		{"ECDSA, infinity", on(elliptic.P256(), 0, 0), "not on the curve"},
		{"ECDSA, infinity on P-521", on(elliptic.P521(), 0, 0), "not on the curve"},
		{"ECDSA, beside the curve", beside, "not on the curve"},
		{"ECDSA, of another curve", swapped, "not on the curve"},
		{"ECDSA, negative", on(elliptic.P256(), -1, 5), "not on the curve"},
		{"ECDSA on P-224", on(elliptic.P224(), 1, 1), "curve P-224"},
		{"ECDSA on a curve of one's own", on(&elliptic.CurveParams{Name: "mine", P: big.NewInt(23)}, 1, 1), "curve mine"},
		{"ED25519, nothing", ed25519.PublicKey(nil), "0 bytes"},
		{"ED25519, short", make(ed25519.PublicKey, 31), "31 bytes"},
		{"DSA", &dsa.PublicKey{}, "dsa"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, err := sign.NewPublicKey(tt.key)
			refused(t, err, fault.ErrUnsupported, tt.text, "2048")
			if k != nil {
				t.Error("a key came with the error")
			}
		})
	}
}

// The points of ED25519 for which a signature verifies that nobody made, and
// bytes that are no point.
func TestSmallED25519KeysAreRefused(t *testing.T) {
	small := []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	}
	// R is the neutral point and S is 0: nobody made this.
	forged := make([]byte, ed25519.SignatureSize)
	forged[0] = 1
	for _, text := range small {
		key, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		worked := false
		for i := range 1000 {
			worked = worked || ed25519.Verify(key, []byte{byte(i), byte(i >> 8)}, forged)
		}
		if !worked {
			t.Errorf("%s is not weak: the test is wrong", text)
		}
		_, err = sign.NewPublicKey(ed25519.PublicKey(key))
		refused(t, err, fault.ErrUnsupported, "anybody can sign", "ED25519")
	}
	none := make([]byte, ed25519.PublicKeySize)
	none[0] = 2 // no x goes with this y
	_, err := sign.NewPublicKey(ed25519.PublicKey(none))
	refused(t, err, fault.ErrUnsupported, "anybody can sign", "ED25519")
}

// A key in a file with such numbers is refused too, by the parser or after it.
func TestFilesWithWeakKeysAreRefused(t *testing.T) {
	n := new(big.Int).Lsh(big.NewInt(1), 2047)
	n.SetBit(n, 0, 1)
	for _, e := range []int64{0, 1, 2, 65536, 1<<31 + 1, -3} {
		data := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: der(t, struct{ N, E *big.Int }{n, big.NewInt(e)})})
		if k, err := sign.ParsePublicKey(data); err == nil || k != nil {
			t.Errorf("exponent %d: taken", e)
		}
	}
	type algorithm struct{ Algorithm, Curve asn1.ObjectIdentifier }
	curve := algorithm{asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}}
	for name, point := range map[string][]byte{
		"infinity": {0}, "beside": append([]byte{4}, make([]byte, 64)...), "compressed": append([]byte{2}, make([]byte, 32)...), "empty": {},
	} {
		data := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der(t, struct {
			Algorithm algorithm
			Point     asn1.BitString
		}{curve, asn1.BitString{Bytes: point, BitLength: 8 * len(point)}})})
		if k, err := sign.ParsePublicKey(data); err == nil || k != nil {
			t.Errorf("point %s: taken", name)
		}
	}
}
