package sigstore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/digitorus/timestamp"
)

// FuzzToken: no text breaks the parser, and no message shows the signature of
// what it takes for a token.
func FuzzToken(f *testing.F) {
	f.Add("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoic2lnc3RvcmUiLCJleHAiOjE3OTUyOTMyNzV9.c2lnbmF0dXJlc2lnbmF0dXJl")
	f.Add("e30.eyJhdWQiOlsiYSIsImIiXSwiZXhwIjoiMSJ9.eA")
	f.Add("e30.eyJleHAiOjFlMzA4fQ.eA")
	f.Add("...")
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := parseToken(s); err != nil {
			return
		}
		hint := tokenHint(s, "https://issuer.example")
		if err := checkToken(s); err != nil {
			hint += err.Error()
		}
		if sig := strings.Split(s, ".")[2]; len(sig) > 16 && strings.Contains(hint, sig) {
			t.Errorf("%q shows the signature", hint)
		}
		if len(hint) > 1500 || !utf8.ValidString(hint) {
			t.Errorf("%q", hint)
		}
	})
}

// FuzzTimestamp: no answer of a timestamp authority breaks the parser, and none
// that is for something else is accepted.
func FuzzTimestamp(f *testing.F) {
	sum := sha256.Sum256([]byte("signature"))
	query, err := (&timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: sum[:], Nonce: big.NewInt(1)}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	refusal, err := timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.BadAlgorithm)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(query)
	f.Add(refusal)
	f.Add([]byte("<html>"))
	f.Add(answered(f, sum))
	f.Fuzz(func(t *testing.T, der []byte) {
		ts, err := parseTimestamp(der)
		if err != nil {
			return
		}
		if checkTimestamp(ts, sum, big.NewInt(1<<60)) == nil {
			t.Fatal("a timestamp for something else is accepted")
		}
	})
}

// answered is a timestamp that is for a digest, by an authority of the test's.
func answered(f *testing.F, sum [sha256.Size]byte) []byte {
	f.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		f.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		f.Fatal(err)
	}
	out, err := (&timestamp.Timestamp{
		HashAlgorithm: crypto.SHA256, HashedMessage: sum[:], Nonce: big.NewInt(1), Time: time.Now(),
		Policy: asn1.ObjectIdentifier{1, 2, 3}, AddTSACertificate: true,
	}).CreateResponseWithOpts(cert, key, crypto.SHA256)
	if err != nil {
		f.Fatal(err)
	}
	return out
}

// FuzzClean: what servers say becomes one line, and loses the secret.
func FuzzClean(f *testing.F) {
	const secret = "aaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbb.cccccccccccccccccccccccc"
	f.Add("no: Bearer " + secret + "\x1b[31m")
	f.Add(strings.Repeat(secret, 20))
	f.Add("\u009b31m\u202etxt.exe")
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s, secret)
		if len(got) > maxSaid+3 || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) || !utf8.ValidString(got) {
			t.Errorf("%q", got)
		}
		for part := range strings.SplitSeq(secret, ".") {
			if strings.Contains(got, part) {
				t.Errorf("%q shows %q", got, part)
			}
		}
	})
}
