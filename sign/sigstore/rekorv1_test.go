package sigstore_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"sync"
	"testing"
	"time"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	"github.com/go-openapi/runtime"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	trustpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/types"
	rekorutil "github.com/sigstore/rekor/pkg/util"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/types/known/timestamppb"

	"bale/sign/sigstore"
	"bale/transport/parts"
)

// logV1 speaks the protocol of Rekor 1, whose server needs a database that no
// test can have. Each of its entries is the only one of a log.
type logV1 struct {
	t   *testing.T
	url string
	key *ecdsa.PrivateKey
	id  [sha256.Size]byte
	der []byte

	mu      sync.Mutex
	entries map[string]models.LogEntryAnon
	before  func(n int, w http.ResponseWriter) bool // true: it has answered
	n       int
}

func newLogV1(t *testing.T) *logV1 {
	t.Helper()
	l := &logV1{t: t, key: newKey(t), entries: map[string]models.LogEntryAnon{}}
	var err error
	if l.der, err = x509.MarshalPKIXPublicKey(l.key.Public()); err != nil {
		t.Fatal(err)
	}
	l.id = sha256.Sum256(l.der)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/log/entries", l.add)
	mux.HandleFunc("GET /api/v1/log/entries/{uuid}", l.get)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	l.url = s.URL
	return l
}

func (l *logV1) instance() *trustpb.TransparencyLogInstance {
	return &trustpb.TransparencyLogInstance{
		BaseUrl: l.url, HashAlgorithm: commonpb.HashAlgorithm_SHA2_256, LogId: &commonpb.LogId{KeyId: l.id[:]},
		PublicKey: &commonpb.PublicKey{
			RawBytes: l.der, KeyDetails: commonpb.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
			ValidFor: &commonpb.TimeRange{Start: timestamppb.New(time.Now().Add(-time.Hour))},
		},
	}
}

func (l *logV1) add(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	uuid, entry, err := l.entry(r)
	if err != nil {
		l.t.Error(err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Location", "/api/v1/log/entries/"+uuid)
	w.Header().Set("ETag", uuid)
	_, there := l.entries[uuid]
	l.entries[uuid] = entry
	switch {
	case l.before != nil && l.before(l.n, w):
		return
	case there:
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write([]byte(`{"code":409,"message":"an equivalent entry already exists"}`))
		return
	}
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(models.LogEntry{uuid: entry})
}

func (l *logV1) get(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	uuid := path.Base(r.URL.Path)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(models.LogEntry{uuid: l.entries[uuid]})
}

// entry is what the log makes of a request.
func (l *logV1) entry(r *http.Request) (string, models.LogEntryAnon, error) {
	var none models.LogEntryAnon
	proposed, err := models.UnmarshalProposedEntry(r.Body, runtime.JSONConsumer())
	if err != nil {
		return "", none, err
	}
	impl, err := types.CreateVersionedEntry(proposed)
	if err != nil {
		return "", none, err
	}
	body, err := types.CanonicalizeEntry(r.Context(), impl)
	if err != nil {
		return "", none, err
	}
	leaf := sha256.Sum256(append([]byte{0}, body...))
	signer, err := signature.LoadECDSASignerVerifier(l.key, 5) // crypto.SHA256
	if err != nil {
		return "", none, err
	}
	checkpoint, err := rekorutil.CreateAndSignCheckpoint(r.Context(), "rekor.example", 1, 1, leaf[:], signer)
	if err != nil {
		return "", none, err
	}
	id, now := hex.EncodeToString(l.id[:]), time.Now().Unix()
	var index, size int64 = 0, 1
	promised, err := json.Marshal(map[string]any{
		"body": base64.StdEncoding.EncodeToString(body), "integratedTime": now, "logIndex": index, "logID": id,
	})
	if err != nil {
		return "", none, err
	}
	if promised, err = jsoncanonicalizer.Transform(promised); err != nil {
		return "", none, err
	}
	sum := sha256.Sum256(promised)
	promise, err := ecdsa.SignASN1(rand.Reader, l.key, sum[:])
	if err != nil {
		return "", none, err
	}
	text, hash := string(checkpoint), hex.EncodeToString(leaf[:])
	return hash, models.LogEntryAnon{
		Body: base64.StdEncoding.EncodeToString(body), IntegratedTime: &now, LogID: &id, LogIndex: &index,
		Verification: &models.LogEntryAnonVerification{
			SignedEntryTimestamp: promise,
			InclusionProof: &models.InclusionProof{
				Checkpoint: &text, Hashes: []string{}, LogIndex: &index, RootHash: &hash, TreeSize: &size,
			},
		},
	}, nil
}

// With Rekor 1 and without a timestamp authority, as the public instance was for
// years. An entry whose answer got lost is found again.
func TestRekorV1(t *testing.T) {
	t.Parallel()
	p := parts.Sigstore(t)
	token := p.Issuer.Token(t, who)
	for name, c := range map[string]struct {
		before func(n int, w http.ResponseWriter) bool
		n      int
		texts  []string
	}{
		"good": {nil, 1, nil},
		"logged, and the answer lost": {func(n int, w http.ResponseWriter) bool {
			if n == 1 {
				w.WriteHeader(http.StatusBadGateway)
			}
			return n == 1
		}, 2, nil},
		"500": {func(_ int, w http.ResponseWriter) bool {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}, 3, []string{"Rekor at", "500", "try again later"}},
		"400": {func(_ int, w http.ResponseWriter) bool {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"code":400,"message":"do not like it"}`))
			return true
		}, 1, []string{"Rekor at", "400", "do not like it"}},
		"not JSON": {func(_ int, w http.ResponseWriter) bool {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`<html>`))
			return true
		}, 1, []string{"Rekor at"}},
		"nothing": {func(_ int, w http.ResponseWriter) bool {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{}`))
			return true
		}, 1, []string{"Rekor at"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLogV1(t)
			l.before = c.before
			trusted := p.RootWith(t, func(r *trustpb.TrustedRoot) { r.Tlogs = append(r.Tlogs, l.instance()) })
			at := instance(t, p.ConfigWith(t, func(c *trustpb.SigningConfig) {
				c.TsaUrls, c.TsaConfig = nil, nil
				c.RekorTlogUrls[0].Url, c.RekorTlogUrls[0].MajorApiVersion = l.url, 1
			}), trusted)
			sig, err := sigstore.Keyless(at, given(t, token)).Sign(t.Context(), message)
			if l.n != c.n {
				t.Errorf("%d requests, want %d", l.n, c.n)
			}
			if c.texts != nil {
				plainFailure(t, err, []string{token}, c.texts...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			material, err := root.NewTrustedRootFromPath(trusted)
			if err != nil {
				t.Fatal(err)
			}
			if err := verifiesWith(t, material, p.Issuer.URL, sig.Data, message, who,
				verify.WithTransparencyLog(1), verify.WithIntegratedTimestamps(1)); err != nil {
				t.Error(err)
			}
			if bytes.Contains(sig.Data, []byte("rfc3161")) {
				t.Error("has a timestamp")
			}
		})
	}
}
