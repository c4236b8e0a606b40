package verify_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/sign/openpgp"
	"bale/transport/parts"
	"bale/verify"
)

const asc = "SHA256SUMS.asc"

func pgpFile(t testing.TB, name string) []byte {
	t.Helper()
	return read(t, filepath.Join("..", "sign", "openpgp", "testdata", name))
}

func pgpKeys(t testing.TB, data []byte) []verify.Authority {
	t.Helper()
	list, err := openpgp.ParseKeyring(data)
	if err != nil {
		t.Fatal(err)
	}
	var out []verify.Authority
	for _, k := range list {
		out = append(out, verify.OpenPGP(k))
	}
	return out
}

func TestOpenPGP(t *testing.T) {
	message := pgpFile(t, "message")
	ed, rsa2048, sub := pgpFile(t, "ed25519.sig.asc"), pgpFile(t, "rsa2048.sig.asc"), pgpFile(t, "subkey.sig.asc")
	both := pgpFile(t, "several.sig.asc") // by ed25519 and subkey
	ks := func(name string) []verify.Authority { return pgpKeys(t, pgpFile(t, name+".pub.asc")) }
	several := ks("several") // ed25519, nistp256, subkey
	for name, c := range map[string]struct {
		message []byte
		sigs    []bundle.Signature
		trust   verify.Trust
		signers int
		kind    error
		text    string
	}{
		"primary key":          {message, entries(asc, ed), verify.TrustAny(ks("ed25519")...), 1, nil, ""},
		"subkey":               {message, entries(asc, sub), verify.TrustAny(ks("subkey")...), 1, nil, ""},
		"one of many":          {message, entries(asc, ed), verify.TrustAny(several...), 1, nil, ""},
		"two of three in one":  {message, entries(asc, both), verify.TrustSome(2, several...), 2, nil, ""},
		"two of three":         {message, entries(asc, ed, asc+".1", sub), verify.TrustSome(2, several...), 2, nil, ""},
		"beside a stranger":    {message, entries(asc, rsa2048, asc+".1", sub), verify.TrustAny(several...), 1, nil, ""},
		"three of three":       {message, entries(asc, both), verify.TrustSome(3, several...), 0, fault.ErrUntrusted, "not signed by all"},
		"one signs twice":      {message, entries(asc, ed, asc+".1", ed), verify.TrustSome(2, several...), 0, fault.ErrUntrusted, "not signed by all"},
		"only a stranger":      {message, entries(asc, rsa2048), verify.TrustAny(several...), 0, fault.ErrUntrusted, "found " + asc + " by OpenPGP key"},
		"other message":        {sums[1:], entries(asc, ed), verify.TrustAny(several...), 0, fault.ErrUntrusted, "does not fit"},
		"text":                 {message, entries(asc, pgpFile(t, "text.sig.asc")), verify.TrustAny(several...), 0, fault.ErrUnsupported, "over text"},
		"inline":               {message, entries(asc, pgpFile(t, "inline.sig.asc")), verify.TrustAny(several...), 0, fault.ErrUnsupported, "signed message"},
		"cleartext":            {message, entries(asc, pgpFile(t, "cleartext.sig.asc")), verify.TrustAny(several...), 0, fault.ErrUnsupported, "cleartext"},
		"cut":                  {message, entries(asc, ed[:len(ed)/2]), verify.TrustAny(several...), 0, fault.ErrDamaged, "ends within"},
		"good, and a cut one":  {message, entries(asc, ed, asc+".1", sub[:len(sub)/2]), verify.TrustAny(several...), 0, fault.ErrDamaged, "ends within"},
		"good, and a bad one":  {message, entries(asc, sub, asc+".1", pgpFile(t, "text.sig.asc")), verify.TrustAny(several...), 0, fault.ErrUnsupported, "over text"},
		"no key":               {message, entries(asc, ed), verify.TrustAny(verify.OpenPGP(nil)), 0, fault.ErrUsage, "empty key"},
		"in an entry of other": {message, entries("SHA256SUMS.sig", ed), verify.TrustAny(several...), 0, fault.ErrUntrusted, "SSH"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := verify.Verify(bundle.NewEnvelope(c.message, c.sigs), c.trust)
			if !errors.Is(err, c.kind) || err != nil && !strings.Contains(err.Error(), c.text) {
				t.Fatalf("error %v, want %v that says %q", err, c.kind, c.text)
			}
			if err != nil {
				return
			}
			if len(r.Signers()) != c.signers {
				t.Errorf("%d signers", len(r.Signers()))
			}
			for _, s := range r.Signers() {
				if len(s.Times) != 1 || s.Times[0].Proven || s.Times[0].Source != "the signer" || s.Times[0].At.Year() != 2024 {
					t.Errorf("%s at %v", s.Identity, s.Times)
				}
			}
		})
	}
}

// What gpg signs now is accepted.
func TestVerifyWhatGPGSigns(t *testing.T) {
	g := parts.NewGnuPG(t)
	f := g.Generate("Ada <ada@example.com>", "ed25519", "sign", "1y")
	keys := pgpKeys(t, g.Run(nil, "--armor", "--export", f))
	sig := g.Run(sums, "--armor", "--local-user", f, "--output", "-", "--detach-sign")
	r, err := verify.Verify(bundle.NewEnvelope(sums, entries(asc, sig)), verify.TrustAny(keys...))
	if err != nil {
		t.Fatal(err)
	}
	if s := r.Signers(); len(s) != 1 || s[0].Fingerprint != f || s[0].Subject != "Ada <ada@example.com>" || s[0].Entry != asc {
		t.Errorf("signers %v", s)
	}
}

// Who signs with one key in two forms is one signer.
func TestKeyInTwoFormsCountsOnce(t *testing.T) {
	block, _ := pem.Decode(read(t, testKey("rsa.pem")))
	priv, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	data := asOpenPGP(t, priv)
	own, err := openpgp.ParsePrivateKey(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := own.Sign(t.Context(), sums)
	if err != nil {
		t.Fatal(err)
	}
	plain := loadPrivate(t, "rsa.pem")
	env := bundle.NewEnvelope(sums, entries(entry, signed(t, plain, sums), asc, sig.Data))
	list := []verify.Authority{verify.Key(plain.Public()), verify.OpenPGP(own.Public())}
	for _, a := range list {
		if _, err := verify.Verify(env, verify.TrustAny(a)); err != nil {
			t.Fatalf("%s: %v", a, err)
		}
	}
	if _, err := verify.Verify(env, verify.TrustSome(2, list...)); !errors.Is(err, fault.ErrUntrusted) {
		t.Errorf("as two: %v", err)
	}
}

// asOpenPGP makes a private key of OpenPGP out of another.
func asOpenPGP(t *testing.T, priv *rsa.PrivateKey) []byte {
	t.Helper()
	key := packet.NewRSAPrivateKey(time.Now().Add(-time.Hour), priv)
	e := &pgp.Entity{PrimaryKey: &key.PublicKey, PrivateKey: key, Identities: make(map[string]*pgp.Identity)}
	config := new(packet.Config)
	if err := e.AddUserId("Ada", "", "", config); err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := e.SerializePrivate(&buf, config); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
