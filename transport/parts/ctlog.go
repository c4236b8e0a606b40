package parts

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"
	ctx509 "github.com/google/certificate-transparency-go/x509"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	trustpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
)

// ctLog is a log of certificates (RFC 6962) that promises to log what it is
// sent, and does not.
type ctLog struct {
	url string
	key *ecdsa.PrivateKey
	id  [sha256.Size]byte
}

func startCTLog(t testing.TB) *ctLog {
	t.Helper()
	l := &ctLog{key: newPartKey(t)}
	l.id = sha256.Sum256(publicDER(t, l.key))
	mux := http.NewServeMux()
	mux.HandleFunc("POST /ct/v1/add-pre-chain", l.add)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	l.url = s.URL
	return l
}

func (l *ctLog) publicPEM(t testing.TB) []byte { return pemBlock("PUBLIC KEY", publicDER(t, l.key)) }

// instance is the log in a trusted root.
func (l *ctLog) instance(t testing.TB) *trustpb.TransparencyLogInstance {
	return &trustpb.TransparencyLogInstance{
		BaseUrl: l.url, HashAlgorithm: commonpb.HashAlgorithm_SHA2_256, LogId: &commonpb.LogId{KeyId: l.id[:]},
		PublicKey: &commonpb.PublicKey{
			RawBytes: publicDER(t, l.key), KeyDetails: commonpb.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256, ValidFor: sinceYesterday(),
		},
	}
}

func (l *ctLog) add(w http.ResponseWriter, r *http.Request) {
	answer, err := l.promise(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answerJSON(w, http.StatusOK, answer)
}

// promise returns the signed timestamp for the certificate in a request.
func (l *ctLog) promise(r *http.Request) (*ct.AddChainResponse, error) {
	var req ct.AddChainRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		return nil, err
	}
	if len(req.Chain) < 2 {
		return nil, http.ErrMissingFile
	}
	// Fulcio's certificate is not one yet: it has the poison of RFC 6962, 3.1.
	pre, err := ctx509.ParseCertificate(req.Chain[0])
	if ctx509.IsFatal(err) {
		return nil, err
	}
	tbs, err := ctx509.BuildPrecertTBS(pre.RawTBSCertificate, nil)
	if err != nil {
		return nil, err
	}
	issuer, err := x509.ParseCertificate(req.Chain[1])
	if err != nil {
		return nil, err
	}
	sct := ct.SignedCertificateTimestamp{
		SCTVersion: ct.V1, LogID: ct.LogID{KeyID: l.id}, Timestamp: uint64(time.Now().UnixMilli()),
	}
	input, err := ct.SerializeSCTSignatureInput(sct, ct.LogEntry{Leaf: ct.MerkleTreeLeaf{
		Version: ct.V1, LeafType: ct.TimestampedEntryLeafType,
		TimestampedEntry: &ct.TimestampedEntry{
			Timestamp: sct.Timestamp, EntryType: ct.PrecertLogEntryType,
			PrecertEntry: &ct.PreCert{IssuerKeyHash: sha256.Sum256(issuer.RawSubjectPublicKeyInfo), TBSCertificate: tbs},
		},
	}})
	if err != nil {
		return nil, err
	}
	signed, err := tls.CreateSignature(*l.key, tls.SHA256, input)
	if err != nil {
		return nil, err
	}
	signature, err := tls.Marshal(signed)
	if err != nil {
		return nil, err
	}
	return &ct.AddChainResponse{SCTVersion: ct.V1, ID: l.id[:], Timestamp: sct.Timestamp, Signature: signature}, nil
}
