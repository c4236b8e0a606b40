package parts

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	trustpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	// sigstoreHost is the name of all servers. Rekor's log is called like it.
	sigstoreHost = "127.0.0.1"
	// sigstoreCheckpoint is how often Rekor's log is sealed; an answer waits
	// for that.
	sigstoreCheckpoint = "100ms"
	// sigstoreChain bounds a certificate chain that a server gives out.
	sigstoreChain = 64 << 10

	signingConfigType = "application/vnd.dev.sigstore.signingconfig.v0.2+json"
	trustedRootType   = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
)

// SigstorePart is a private Sigstore: the real Fulcio, Rekor (version 2, on
// files) and timestamp authority, with an OIDC issuer and a certificate log of
// the test's own.
type SigstorePart struct {
	Issuer *IssuerPart
	// Fulcio, Rekor and TSA are the URLs of the servers; that of the
	// timestamp authority has its path in it.
	Fulcio, Rekor, TSA string
	// SigningConfig and TrustedRoot are files in Sigstore's own formats.
	SigningConfig, TrustedRoot string

	root *trustpb.TrustedRoot
	dir  string
	n    int // of files written
}

// Sigstore starts a private Sigstore that ends with the test.
func Sigstore(t testing.TB) *SigstorePart {
	t.Helper()
	p := &SigstorePart{Issuer: Issuer(t), dir: t.TempDir()}
	ct := startCTLog(t)
	authority := p.startFulcio(t, ct)
	rekor := p.startRekor(t)
	p.TSA = TSA(t)
	p.root = &trustpb.TrustedRoot{
		MediaType:              trustedRootType,
		Tlogs:                  []*trustpb.TransparencyLogInstance{rekor},
		CertificateAuthorities: []*trustpb.CertificateAuthority{authority},
		Ctlogs:                 []*trustpb.TransparencyLogInstance{ct.instance(t)},
		TimestampAuthorities:   []*trustpb.CertificateAuthority{certificateAuthority(p.TSA, "test tsa", TSAChain(t, p.TSA)...)},
	}
	p.TrustedRoot = p.RootWith(t, func(*trustpb.TrustedRoot) {})
	p.SigningConfig = p.ConfigWith(t, func(*trustpb.SigningConfig) {})
	return p
}

// ConfigWith writes a signing config that is changed in some way, and returns
// its path.
func (p *SigstorePart) ConfigWith(t testing.TB, change func(*trustpb.SigningConfig)) string {
	t.Helper()
	service := func(url string, version uint32) []*trustpb.Service {
		return []*trustpb.Service{{Url: url, MajorApiVersion: version, ValidFor: sinceYesterday(), Operator: "test"}}
	}
	any1 := func() *trustpb.ServiceConfiguration {
		return &trustpb.ServiceConfiguration{Selector: trustpb.ServiceSelector_ANY}
	}
	c := &trustpb.SigningConfig{
		MediaType: signingConfigType,
		CaUrls:    service(p.Fulcio, 1), OidcUrls: service(p.Issuer.URL, 1),
		RekorTlogUrls: service(p.Rekor, 2), RekorTlogConfig: any1(),
		TsaUrls: service(p.TSA, 1), TsaConfig: any1(),
	}
	change(c)
	return p.write(t, "signing_config", c)
}

// RootWith writes a trusted root that is changed in some way, and returns its
// path.
func (p *SigstorePart) RootWith(t testing.TB, change func(*trustpb.TrustedRoot)) string {
	t.Helper()
	r := p.Root()
	change(r)
	return p.write(t, "trusted_root", r)
}

// Root returns the trusted root.
func (p *SigstorePart) Root() *trustpb.TrustedRoot { return proto.Clone(p.root).(*trustpb.TrustedRoot) }

func (p *SigstorePart) write(t testing.TB, name string, m proto.Message) string {
	t.Helper()
	b, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	p.n++
	path := filepath.Join(p.dir, fmt.Sprintf("%s%d.json", name, p.n))
	writePart(t, path, b)
	return path
}

// environment is what the servers see: some take settings from it.
func (p *SigstorePart) environment() []string { return []string{"HOME=" + p.dir, "TMPDIR=" + p.dir} }

// startFulcio starts a CA with an intermediate certificate, as real ones have.
func (p *SigstorePart) startFulcio(t testing.TB, log *ctLog) *trustpb.CertificateAuthority {
	t.Helper()
	dir := t.TempDir()
	rootKey, key := newPartKey(t), newPartKey(t)
	root := authorityCertificate("test root", 1)
	middle := authorityCertificate("test intermediate", 2)
	middle.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	middle.MaxPathLenZero = true
	rootDER := signCertificate(t, root, root, rootKey, rootKey)
	middleDER := signCertificate(t, middle, root, key, rootKey)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(map[string]any{"OIDCIssuers": map[string]any{
		p.Issuer.URL: map[string]any{"IssuerURL": p.Issuer.URL, "ClientID": issuerAudience, "Type": "email"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, b []byte) string {
		writePart(t, filepath.Join(dir, name), b)
		return filepath.Join(dir, name)
	}
	chain := file("chain.pem", append(pemBlock("CERTIFICATE", middleDER), pemBlock("CERTIFICATE", rootDER)...))
	key8, conf := file("key.pem", pemBlock("PRIVATE KEY", keyDER)), file("config.json", config)
	p.Fulcio = httpServer{program: "fulcio", env: p.environment(), ready: "/healthz", args: func(addr string) []string {
		return []string{
			"serve", "--host", sigstoreHost, "--port", port(addr), "--grpc-host", sigstoreHost, "--grpc-port", port(FreeAddr(t)),
			"--metrics-port", port(FreeAddr(t)), "--legacy-unix-domain-socket", filepath.Join(dir, "legacy"),
			"--ca", "fileca", "--fileca-cert", chain, "--fileca-key", key8, "--fileca-key-passwd", "none", "--fileca-watch=false",
			"--ct-log-url", log.url, "--ct-log-public-key-path", file("ct.pem", log.publicPEM(t)), "--config-path", conf,
		}
	}}.start(t, dir)
	return certificateAuthority(p.Fulcio, root.Subject.CommonName, middleDER, rootDER)
}

func (p *SigstorePart) startRekor(t testing.TB) *trustpb.TransparencyLogInstance {
	t.Helper()
	dir := t.TempDir()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pubDER, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(dir, "key.pem")
	writePart(t, keyFile, pemBlock("PRIVATE KEY", keyDER))
	p.Rekor = httpServer{program: "rekor-tiles", env: p.environment(), ready: "/healthz", args: func(addr string) []string {
		return []string{
			"serve", "--hostname", sigstoreHost, "--http-address", sigstoreHost, "--http-port", port(addr),
			"--grpc-address", sigstoreHost, "--grpc-port", port(FreeAddr(t)), "--http-metrics-port", port(FreeAddr(t)),
			"--storage-dir", filepath.Join(dir, "log"), "--signer-filepath", keyFile, "--checkpoint-interval", sigstoreCheckpoint,
		}
	}}.start(t, dir)
	// The id of a log with such a key, see https://c2sp.org/signed-note.
	id := sha256.Sum256(append([]byte(sigstoreHost+"\n\x01"), pub...))
	return &trustpb.TransparencyLogInstance{
		BaseUrl: p.Rekor, HashAlgorithm: commonpb.HashAlgorithm_SHA2_256, LogId: &commonpb.LogId{KeyId: id[:]},
		PublicKey: &commonpb.PublicKey{
			RawBytes: pubDER, KeyDetails: commonpb.PublicKeyDetails_PKIX_ED25519, ValidFor: sinceYesterday(),
		},
	}
}

// TSA starts a timestamp authority with a key in memory, and returns the URL
// that takes requests.
func TSA(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	return httpServer{
		program: "timestamp-server", env: []string{"HOME=" + dir, "TMPDIR=" + dir}, ready: "/ping", args: func(addr string) []string {
			return []string{
				"serve", "--host", sigstoreHost, "--port", port(addr), "--scheme", "http",
				"--timestamp-signer", "memory", "--disable-ntp-monitoring",
			}
		},
	}.start(t, dir) + "/api/v1/timestamp"
}

// TSAChain returns the certificates of a timestamp authority, by the URL that
// takes requests, its own first.
func TSAChain(t testing.TB, url string) (chain [][]byte) {
	t.Helper()
	resp, err := http.Get(url + "/certchain")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // only read
	b, err := io.ReadAll(io.LimitReader(resp.Body, sigstoreChain))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		chain = append(chain, block.Bytes)
	}
	if len(chain) == 0 {
		t.Fatalf("%s: no certificates", url)
	}
	return chain
}

func certificateAuthority(uri, name string, chain ...[]byte) *trustpb.CertificateAuthority {
	c := &commonpb.X509CertificateChain{}
	for _, der := range chain {
		c.Certificates = append(c.Certificates, &commonpb.X509Certificate{RawBytes: der})
	}
	return &trustpb.CertificateAuthority{
		Subject: &commonpb.DistinguishedName{Organization: "bale", CommonName: name},
		Uri:     uri, CertChain: c, ValidFor: sinceYesterday(),
	}
}

func authorityCertificate(name string, serial int64) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{Organization: []string{"bale"}, CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

func sinceYesterday() *commonpb.TimeRange {
	return &commonpb.TimeRange{Start: timestamppb.New(time.Now().Add(-24 * time.Hour).Truncate(time.Second))}
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr) // FreeAddr's are well-formed
	return p
}

// publicDER returns the PKIX form of a key's public half.
func publicDER(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return der
}
