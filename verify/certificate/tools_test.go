package certificate_test

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"bale/bundle"
	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/transport/parts"
	"bale/verify"
	"bale/verify/certificate"
)

// settings are what openssl needs for a CA, one below it, a signer, and a
// timestamp authority.
const settings = `
[req]
distinguished_name=dn
prompt=no
[dn]
CN=Corp CA
[ca]
basicConstraints=critical,CA:true
keyUsage=critical,keyCertSign
[leaf]
keyUsage=critical,digitalSignature
extendedKeyUsage=codeSigning
subjectAltName=email:alice@example.com
[tsa]
keyUsage=critical,digitalSignature
extendedKeyUsage=critical,timeStamping
[stamps]
serial=serial
crypto_device=builtin
signer_digest=sha256
default_policy=1.2.3.4
digests=sha256,sha512,sha1
ess_cert_id_alg=sha256
`

// tools is a folder that openssl and cosign work in. They read no settings of
// this machine and call no server.
type tools struct {
	t   *testing.T
	dir string
}

func (x tools) run(name string, args ...string) (string, error) {
	x.t.Helper()
	cmd := exec.CommandContext(x.t.Context(), parts.Tool(x.t, name), args...)
	cmd.Dir = x.dir
	cmd.Env = append(os.Environ(), "HOME="+x.dir, "COSIGN_PASSWORD=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (x tools) must(name string, args ...string) {
	x.t.Helper()
	if out, err := x.run(name, args...); err != nil {
		x.t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
}

func (x tools) read(name string) []byte {
	x.t.Helper()
	data, err := os.ReadFile(filepath.Join(x.dir, name))
	if err != nil {
		x.t.Fatal(err)
	}
	return data
}

func (x tools) write(name string, data []byte) {
	x.t.Helper()
	if err := os.WriteFile(filepath.Join(x.dir, name), data, 0o600); err != nil {
		x.t.Fatal(err)
	}
}

// issue has openssl make a key and a certificate by a CA of the folder.
func (x tools) issue(name, subject, ca, section string, more ...string) {
	x.t.Helper()
	x.must("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-keyout", name+".key", "-out", name+".csr", "-config", "conf", "-subj", "/CN="+subject)
	x.must("openssl", append([]string{"x509", "-req", "-in", name + ".csr", "-CA", ca + ".pem", "-CAkey", ca + ".key",
		"-CAcreateserial", "-out", name + ".pem", "-days", "30", "-extfile", "conf", "-extensions", section}, more...)...)
}

// newTools makes root, a CA below it, alice and a timestamp authority.
func newTools(t *testing.T) tools {
	x := tools{t, t.TempDir()}
	x.write("conf", []byte(settings))
	x.write("serial", []byte("01\n"))
	x.write("SHA256SUMS", sums)
	x.must("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-keyout", "root.key", "-out", "root.pem", "-days", "300", "-config", "conf", "-extensions", "ca")
	x.issue("sub", "Corp sub CA", "root", "ca")
	x.issue("alice", "Alice", "sub", "leaf")
	x.issue("tsa", "Corp TSA", "root", "tsa")
	x.write("chain.pem", append(x.read("sub.pem"), x.read("root.pem")...))
	x.write("tsachain.pem", append(x.read("tsa.pem"), x.read("root.pem")...))
	return x
}

// sign has cosign sign SHA256SUMS with alice's key and certificate.
func (x tools) sign(more ...string) []byte {
	x.t.Helper()
	x.must("cosign", "import-key-pair", "--key", "alice.key", "--output-key-prefix", "alice-cosign", "-y")
	x.must("cosign", append([]string{"sign-blob", "--key", "alice-cosign.key", "--certificate", "alice.pem", "--bundle", "out",
		"--tlog-upload=false", "--use-signing-config=false", "-y", "SHA256SUMS"}, more...)...)
	return x.read("out")
}

// stamp has openssl put a timestamp on a bundle.
func (x tools) stamp(data []byte, digest string) []byte {
	x.t.Helper()
	pb := new(bundlepb.Bundle)
	if err := protojson.Unmarshal(data, pb); err != nil {
		x.t.Fatal(err)
	}
	x.write("sig", pb.GetMessageSignature().GetSignature())
	x.must("openssl", "ts", "-query", "-data", "sig", digest, "-cert", "-out", "query")
	x.must("openssl", "ts", "-reply", "-config", "conf", "-section", "stamps", "-queryfile", "query",
		"-signer", "tsa.pem", "-inkey", "tsa.key", "-chain", "root.pem", "-out", "reply")
	pb.VerificationMaterial.TimestampVerificationData = &bundlepb.TimestampVerificationData{
		Rfc3161Timestamps: []*commonpb.RFC3161SignedTimestamp{{SignedTimestamp: x.read("reply")}},
	}
	return must(protojson.Marshal(pb))
}

// verify is bale with the CA's files, at a time.
func (x tools) verify(data []byte, now time.Time, cas, tsas []string) (*verify.Result, error) {
	x.t.Helper()
	load := func(files []string) []byte {
		var all []byte
		for _, f := range files {
			all = append(all, x.read(f)...)
		}
		return all
	}
	list := must(certificate.ParseCertificates(load(cas)))
	stampers := must(certificate.ParseCertificates(load(append([]string{"root.pem"}, tsas...))))
	if tsas == nil {
		stampers = nil
	}
	r, err := certificate.NewRoot(list, nil, stampers)
	if err != nil {
		x.t.Fatal(err)
	}
	a := must(certificate.New(r, certificate.Identity{Subject: alice}, certificate.Options{Now: now}))
	return verify.Verify(bundle.NewEnvelope(sums, []bundle.Signature{{Entry: container.SigstoreName, Data: data}}), verify.TrustAny(a))
}

// What cosign signed with a certificate of a CA that openssl made, bale
// verifies, and cosign too.
func TestCosignOwnCA(t *testing.T) {
	x := newTools(t)
	x.must("cosign", "trusted-root", "create", "--fulcio=url=https://ca.example.com,certificate-chain=chain.pem", "--out", "root.json")
	for name, c := range map[string]struct {
		data []byte
		cas  []string
	}{
		"certificate": {x.sign(), []string{"root.pem", "sub.pem"}},
		"chain":       {x.sign("--certificate-chain", "chain.pem"), []string{"root.pem"}},
	} {
		r, err := x.verify(c.data, time.Time{}, c.cas, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s := r.Signers()[0]; s.Subject != alice || s.Issuer != "CN=Corp CA" {
			t.Errorf("%s: %+v", name, s)
		}
		if _, err := x.verify(c.data, time.Now().AddDate(1, 0, 0), c.cas, nil); !errors.Is(err, fault.ErrUntrusted) {
			t.Errorf("%s, next year: %v", name, err)
		}
		x.write("signature", c.data)
		x.must("cosign", "verify-blob", "--bundle", "signature", "--trusted-root", "root.json", "--certificate-identity", alice,
			"--certificate-oidc-issuer-regexp", ".*", "--insecure-ignore-tlog", "--insecure-ignore-sct", "--allow-certificate-chain", "SHA256SUMS")
	}
}

// Timestamps by openssl ts: a signature outlives its certificate, for bale and
// for cosign.
func TestOpenSSLTimestamp(t *testing.T) {
	x := newTools(t)
	bare := x.sign()
	later := time.Now().AddDate(5, 0, 0)
	cas := []string{"root.pem", "sub.pem"}
	for _, digest := range []string{"-sha256", "-sha512"} {
		data := x.stamp(bare, digest)
		for _, tsas := range [][]string{{}, {"tsa.pem"}} {
			r, err := x.verify(data, later, cas, tsas)
			if err != nil {
				t.Fatalf("%s %q: %v", digest, tsas, err)
			}
			if s := r.Signers()[0]; len(s.Times) != 1 || !s.Times[0].Proven || time.Since(s.Times[0].At) > time.Hour {
				t.Errorf("%s: %+v", digest, s)
			}
		}
		x.write("signature", data)
		x.must("cosign", "trusted-root", "create", "--fulcio=url=https://ca.example.com,certificate-chain=chain.pem",
			"--tsa=url=https://tsa.example.com,certificate-chain=tsachain.pem", "--out", "root.json")
		x.must("cosign", "verify-blob", "--bundle", "signature", "--trusted-root", "root.json", "--certificate-identity", alice,
			"--certificate-oidc-issuer-regexp", ".*", "--insecure-ignore-tlog", "--insecure-ignore-sct", "--use-signed-timestamps", "SHA256SUMS")
	}
	for name, data := range map[string][]byte{"SHA-1": x.stamp(bare, "-sha1"), "none": bare} {
		if _, err := x.verify(data, later, cas, []string{}); !errors.Is(err, fault.ErrUntrusted) || !strings.Contains(err.Error(), "nothing proves when") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A certificate that is signed over SHA-1 is refused with words.
func TestWeakHash(t *testing.T) {
	x := newTools(t)
	x.issue("alice", "Alice", "root", "leaf", "-sha1")
	_, err := x.verify(x.sign(), time.Time{}, []string{"root.pem"}, nil)
	if !errors.Is(err, fault.ErrUntrusted) || !strings.Contains(err.Error(), "weak algorithm ECDSA-SHA1") {
		t.Errorf("signer: %v", err)
	}
	x.issue("sub", "Corp sub CA", "root", "ca", "-sha1")
	x.issue("alice", "Alice", "sub", "leaf")
	_, err = x.verify(x.sign(), time.Time{}, []string{"root.pem", "sub.pem"}, nil)
	if !errors.Is(err, fault.ErrUntrusted) || !strings.Contains(err.Error(), "no chain to a CA of the root") {
		t.Errorf("CA: %v", err)
	}
}

// cosign's own keyless bundles have its own spelling of everything; the trusted
// root that it writes is read too.
func TestCosignTrustedRoot(t *testing.T) {
	x := newTools(t)
	i := newInstance()
	x.write("signature", must(protojson.Marshal(i.sign(order{}))))
	x.write("root.json", i.trustedRoot(nil))
	verifyBlob := func(identity string) (string, error) {
		return x.run("cosign", "verify-blob", "--bundle", "signature", "--trusted-root", "root.json",
			"--certificate-identity", identity, "--certificate-oidc-issuer", idp, "SHA256SUMS")
	}
	if out, err := verifyBlob(alice); err != nil {
		t.Errorf("cosign refuses what bale accepts: %v: %s", err, out)
	}
	if out, err := verifyBlob("bob@example.com"); err == nil {
		t.Errorf("cosign accepts alice as bob: %s", out)
	}
	x.must("cosign", "trusted-root", "create", "--fulcio=url=https://ca.example.com,certificate-chain=chain.pem",
		"--tsa=url=https://tsa.example.com,certificate-chain=tsachain.pem", "--out", "cosign.json")
	if _, err := certificate.ParseTrustedRoot(x.read("cosign.json")); err != nil {
		t.Errorf("cosign's trusted root: %v", err)
	}
}

// The same tests pass where there is no network at all. What runs there begins
// with this test, which then makes sure of that.
func TestWithoutNetwork(t *testing.T) {
	if os.Getenv("BALE_TEST_NO_NETWORK") != "" {
		resp, err := http.Get("http://127.0.0.1:1/")
		if err == nil {
			_ = resp.Body.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "unreachable") {
			t.Errorf("there is a network: %v", err)
		}
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), parts.Tool(t, "unshare"), "--map-root-user", "--net", self, "-test.v",
		"-test.run", "^(TestWithoutNetwork|TestKeylessAccepts|TestKeylessRefuses|TestOwnCA|TestEnvelope)$")
	cmd.Env = append(os.Environ(), "BALE_TEST_NO_NETWORK=1")
	out, err := cmd.CombinedOutput()
	for _, name := range []string{"TestWithoutNetwork", "TestKeylessAccepts", "TestKeylessRefuses", "TestOwnCA", "TestEnvelope"} {
		if err != nil || !bytes.Contains(out, []byte("--- PASS: "+name)) {
			t.Fatalf("%s: %v: %.2000s", name, err, out)
		}
	}
}
