package parts

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	memory "github.com/google/go-containerregistry/pkg/registry"
	"golang.org/x/crypto/bcrypt"
)

const (
	// registryStart is how long a registry may take to answer.
	registryStart = 20 * time.Second
	// registryStop is how long it may take to end before it is killed.
	registryStop = 5 * time.Second
	// registryPoll is the time between two questions whether it answers.
	registryPoll = 20 * time.Millisecond
	// registryWords is how many bytes of its output a failed test shows.
	registryWords = 4096
)

// RegistryPart is a running registry.
type RegistryPart struct {
	Addr   string // 127.0.0.1:port, the domain of image names
	Dir    string // its storage; "" for one in memory
	CAFile string // PEM file with the CA of its certificate; "" without TLS

	// CertFile and KeyFile are a certificate that it lets in, and its key; ""
	// without mutual TLS.
	CertFile, KeyFile string
	// Tokens is the server whose tokens it wants; nil without token auth.
	Tokens *TokenServerPart

	stop func()
}

// Stop ends the registry before the test does.
func (r *RegistryPart) Stop() { r.stop() }

// Image returns the full name of an image in the registry: "app:1" becomes
// "127.0.0.1:port/app:1".
func (r *RegistryPart) Image(name string) string { return r.Addr + "/" + name }

// RegistryOption changes how a registry is started.
type RegistryOption func(*registryConfig)

type registryConfig struct {
	dir, user, password   string
	tls, mutual, readOnly bool
	tokens                *TokenAuth
}

// WithBasicAuth asks for a user and password (htpasswd).
func WithBasicAuth(user, password string) RegistryOption {
	return func(c *registryConfig) { c.user, c.password = user, password }
}

// WithMutualTLS is WithTLS for clients that have a certificate of the CA.
func WithMutualTLS() RegistryOption { return func(c *registryConfig) { c.tls, c.mutual = true, true } }

// WithTLS serves https with a certificate of a CA made for the test, for
// loopback and the name registry.test.
func WithTLS() RegistryOption { return func(c *registryConfig) { c.tls = true } }

// WithReadOnly refuses all writes.
func WithReadOnly() RegistryOption { return func(c *registryConfig) { c.readOnly = true } }

// WithStorage serves what another registry has stored in its Dir.
func WithStorage(dir string) RegistryOption { return func(c *registryConfig) { c.dir = dir } }

// Registry starts a distribution registry on a free loopback port, waits
// until it answers and stops it with the test.
func Registry(t testing.TB, opts ...RegistryOption) *RegistryPart {
	t.Helper()
	if runtime.GOOS != "linux" {
		Missing(t, "Linux for the registry") // see startChild
	}
	program := Tool(t, "registry")
	c := &registryConfig{}
	for _, o := range opts {
		o(c)
	}
	if c.dir == "" {
		c.dir = t.TempDir()
	}
	// Another process may take the free port first, so try more than one.
	var err error
	for range 3 {
		var r *RegistryPart
		if r, err = c.start(t, program); err == nil {
			t.Cleanup(r.Stop)
			return r
		}
	}
	t.Fatal(err)
	return nil
}

// start runs one registry. It returns an error if the program ended early.
func (c *registryConfig) start(t testing.TB, program string) (*RegistryPart, error) {
	t.Helper()
	conf := t.TempDir()
	r := &RegistryPart{Addr: FreeAddr(t), Dir: c.dir}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: registryStart}
	url := "http://" + r.Addr + "/v2/"
	if c.tls {
		pool := c.writeCertificates(t, conf)
		r.CAFile = filepath.Join(conf, "ca.pem")
		client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool}
		url = "https://" + r.Addr + "/v2/"
	}
	if c.mutual {
		r.CertFile, r.KeyFile = filepath.Join(conf, "client-cert.pem"), filepath.Join(conf, "client-key.pem")
		client.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{loadPart(t, r.CertFile, r.KeyFile)}
	}
	if c.tokens != nil {
		var server *tls.Config
		if c.tls {
			server = &tls.Config{Certificates: []tls.Certificate{
				loadPart(t, filepath.Join(conf, "cert.pem"), filepath.Join(conf, "key.pem")),
			}}
		}
		r.Tokens = startTokens(t, *c.tokens, server)
		writePart(t, filepath.Join(conf, "tokens.pem"), pemBlock("CERTIFICATE", r.Tokens.cert))
	}
	writePart(t, filepath.Join(conf, "config.yml"), c.yaml(t, conf, r))

	var output bytes.Buffer // read only after the program has ended
	cmd := exec.Command(program, "serve", filepath.Join(conf, "config.yml"))
	// REGISTRY_… would change its configuration, as bale's REGISTRY_AUTH_FILE does.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "REGISTRY_") })
	cmd.Env = append(cmd.Env, "OTEL_TRACES_EXPORTER=none")
	cmd.Stdout, cmd.Stderr = &output, &output
	ended := make(chan struct{})
	if err := startChild(cmd, ended); err != nil {
		t.Fatalf("start registry: %v", err)
	}
	r.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(registryStop):
			_ = killChild(cmd)
			<-ended
		}
		if t.Failed() {
			said := output.Bytes()
			t.Logf("registry %s said last:\n%s", r.Addr, said[max(0, len(said)-registryWords):])
		}
	})

	ctx, cancel := context.WithTimeout(context.Background(), registryStart)
	defer cancel()
	tick := time.NewTicker(registryPoll)
	defer tick.Stop()
	for !answers(ctx, client, url) {
		select {
		case <-ended:
			return nil, fmt.Errorf("registry ended at once:\n%s", output.String())
		case <-ctx.Done():
			r.stop()
			t.Fatalf("registry does not answer after %s:\n%s", registryStart, output.String())
		case <-tick.C:
		}
	}
	return r, nil
}

// answers reports whether a registry is there, be it one that wants a password.
func answers(ctx context.Context, client *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusUnauthorized
}

// yaml returns the registry's configuration.
func (c *registryConfig) yaml(t testing.TB, conf string, r *RegistryPart) []byte {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "version: 0.1\nlog: {level: warn, accesslog: {disabled: true}}\n")
	fmt.Fprintf(&b, "storage:\n  filesystem: {rootdirectory: %q}\n  delete: {enabled: true}\n", c.dir)
	fmt.Fprintf(&b, "  maintenance: {uploadpurging: {enabled: false}, readonly: {enabled: %t}}\n", c.readOnly)
	fmt.Fprintf(&b, "http:\n  addr: %q\n", r.Addr)
	if c.tls {
		fmt.Fprintf(&b, "  tls:\n    certificate: %q\n    key: %q\n",
			filepath.Join(conf, "cert.pem"), filepath.Join(conf, "key.pem"))
	}
	if c.mutual {
		fmt.Fprintf(&b, "    clientcas: [%q]\n", r.CAFile)
	}
	if c.tokens != nil {
		scheme := "http"
		if c.tls {
			scheme = "https"
		}
		fmt.Fprintf(&b, "auth:\n  token: {realm: %q, service: %q, issuer: %q, rootcertbundle: %q}\n",
			scheme+"://"+r.Tokens.Addr+"/token", tokenService, tokenIssuer, filepath.Join(conf, "tokens.pem"))
	}
	if c.user != "" {
		hash, err := bcrypt.GenerateFromPassword([]byte(c.password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(conf, "htpasswd")
		writePart(t, file, fmt.Appendf(nil, "%s:%s\n", c.user, hash))
		fmt.Fprintf(&b, "auth:\n  htpasswd: {realm: test, path: %q}\n", file)
	}
	return []byte(b.String())
}

// writeCertificates makes a CA and a certificate for loopback, and returns a
// pool that holds the CA.
func (c *registryConfig) writeCertificates(t testing.TB, dir string) *x509.CertPool {
	t.Helper()
	caKey, key := newPartKey(t), newPartKey(t)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bale test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "registry.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	caDER := signCertificate(t, ca, ca, caKey, caKey)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePart(t, filepath.Join(dir, "ca.pem"), pemBlock("CERTIFICATE", caDER))
	writePart(t, filepath.Join(dir, "cert.pem"), pemBlock("CERTIFICATE", signCertificate(t, leaf, ca, key, caKey)))
	writePart(t, filepath.Join(dir, "key.pem"), pemBlock("PRIVATE KEY", keyDER))
	if c.mutual {
		clientKey := newPartKey(t)
		client := &x509.Certificate{
			SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "bale test client"},
			NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
		if keyDER, err = x509.MarshalPKCS8PrivateKey(clientKey); err != nil {
			t.Fatal(err)
		}
		writePart(t, filepath.Join(dir, "client-cert.pem"), pemBlock("CERTIFICATE", signCertificate(t, client, ca, clientKey, caKey)))
		writePart(t, filepath.Join(dir, "client-key.pem"), pemBlock("PRIVATE KEY", keyDER))
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pemBlock("CERTIFICATE", caDER))
	return pool
}

func loadPart(t testing.TB, certFile, keyFile string) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func newPartKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func signCertificate(t testing.TB, cert, parent *x509.Certificate, key, by *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func writePart(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// MemoryRegistry starts a registry in this process that keeps all in memory,
// for tests that need no real part. Each wrap sees the requests before the
// registry does, the first one outermost.
func MemoryRegistry(t testing.TB, wrap ...func(http.Handler) http.Handler) *RegistryPart {
	t.Helper()
	h := memory.New(memory.Logger(log.New(io.Discard, "", 0)), memory.WithReferrersSupport(true))
	for i := len(wrap) - 1; i >= 0; i-- {
		h = wrap[i](h)
	}
	s := httptest.NewServer(h)
	stop := sync.OnceFunc(s.Close)
	t.Cleanup(stop)
	return &RegistryPart{Addr: s.Listener.Addr().String(), stop: stop}
}
