package sigstore_test

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/digitorus/timestamp"

	"bale/sign"
	"bale/sign/sigstore"
)

// A timestamp must be for this signature, new, and of about now.
func TestTimestampsAreChecked(t *testing.T) {
	ca, key := newCA(t), newKey(t)
	leaf := ca.certify(t, key.Public(), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping} })
	for name, c := range map[string]struct {
		change func(*timestamp.Timestamp)
		text   string
	}{
		"good":       {func(*timestamp.Timestamp) {}, ""},
		"other hash": {func(s *timestamp.Timestamp) { s.HashedMessage = flip(s.HashedMessage, 0) }, "is for something else"},
		"other nonce": {func(s *timestamp.Timestamp) { s.Nonce = new(big.Int).Add(s.Nonce, big.NewInt(1)) },
			"is an old one"},
		"no nonce": {func(s *timestamp.Timestamp) { s.Nonce = nil }, "is an old one"},
		"old":      {func(s *timestamp.Timestamp) { s.Time = s.Time.Add(-48 * time.Hour) }, "this machine's clock says"},
		"huge": {func(s *timestamp.Timestamp) {
			s.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: make([]byte, sign.MaxTimestamp)}}
		}, "is more than the 32768 that are taken"},
		"to come": {func(s *timestamp.Timestamp) { s.Time = s.Time.Add(48 * time.Hour) }, "this machine's clock says"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				der, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				q, err := timestamp.ParseRequest(der)
				if err != nil || !q.Certificates || q.HashAlgorithm != crypto.SHA256 || q.Nonce == nil {
					t.Errorf("request %+v, %v", q, err)
					return
				}
				s := &timestamp.Timestamp{
					HashAlgorithm: q.HashAlgorithm, HashedMessage: q.HashedMessage, Nonce: q.Nonce, Time: time.Now(),
					Policy: asn1.ObjectIdentifier{1, 2, 3}, AddTSACertificate: true,
				}
				c.change(s)
				answer, err := s.CreateResponseWithOpts(leaf, key, crypto.SHA256)
				if err != nil {
					t.Error(err)
				}
				_, _ = w.Write(answer)
			}))
			defer server.Close()
			s, err := sigstore.Timestamped(keyFile(t, newKey(t)), server.URL)
			if err != nil {
				t.Fatal(err)
			}
			sig, err := s.Sign(t.Context(), message)
			if c.text == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if sig != nil {
				t.Error("a signature came with the error")
			}
			plainFailure(t, err, nil, "timestamp authority at "+server.URL, c.text)
		})
	}
}
