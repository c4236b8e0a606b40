package certificate_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"bale/bundle/fault"
	"bale/verify"
	"bale/verify/certificate"
)

// corp is an organisation with a CA, one below it, and a timestamp authority.
type corp struct{ root, sub, tsa *pair }

func newCorp() *corp {
	c := &corp{root: issue(nil, newKey(), caTemplate("Corp CA"))}
	c.sub = issue(c.root, newKey(), caTemplate("Corp sub CA"))
	c.tsa = newTSA(c.root)
	return c
}

// ownLeaf is a certificate for a year, as a CA issues it.
func ownLeaf(change func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.NotAfter = then.AddDate(1, 0, 0)
		c.ExtraExtensions = nil
		if change != nil {
			change(c)
		}
	}
}

// own is a case with an organisation's own CA.
type own struct {
	by         *pair
	key        crypto.Signer
	hash       crypto.Hash
	leaf       func(*x509.Certificate)
	chain      []*pair // that comes along
	stamps     func(sig []byte) [][]byte
	cas, below []*pair // that are trusted; the corp's root if nil
	tsas       []*pair
	who        certificate.Identity
	now        time.Time
	change     func(*bundlepb.Bundle)

	kind error // nil if it is good
	want string
	hint string
}

func certificates(list []*pair) []*x509.Certificate {
	var out []*x509.Certificate
	for _, p := range list {
		out = append(out, p.Certificate)
	}
	return out
}

// sign makes the bundle of a case.
func (o own) sign(c *corp) *bundlepb.Bundle {
	if o.by == nil {
		o.by = c.root
	}
	stamps := o.stamps
	if stamps == nil {
		stamps = func([]byte) [][]byte { return nil }
	}
	return newInstance().sign(order{
		key: o.key, by: o.by, hash: o.hash, leaf: ownLeaf(o.leaf), noSCT: true, stamps: stamps,
		change: func(pb *bundlepb.Bundle) {
			m := pb.VerificationMaterial
			m.TlogEntries = nil
			if o.chain != nil {
				list := []*commonpb.X509Certificate{m.GetCertificate()}
				for _, p := range o.chain {
					list = append(list, &commonpb.X509Certificate{RawBytes: p.Raw})
				}
				m.Content = &bundlepb.VerificationMaterial_X509CertificateChain{
					X509CertificateChain: &commonpb.X509CertificateChain{Certificates: list},
				}
			}
			if o.change != nil {
				o.change(pb)
			}
		},
	})
}

func (o own) verify(c *corp) (*verify.Result, error) {
	if o.cas == nil {
		o.cas = []*pair{c.root}
	}
	if o.who == (certificate.Identity{}) {
		o.who = certificate.Identity{Subject: alice}
	}
	if o.now.IsZero() {
		o.now = then.AddDate(0, 1, 0)
	}
	r, err := certificate.NewRoot(certificates(o.cas), certificates(o.below), certificates(o.tsas))
	if err != nil {
		return nil, err
	}
	a, err := certificate.New(r, o.who, certificate.Options{Now: o.now})
	if err != nil {
		return nil, err
	}
	return verify.Verify(envelope(sums, o.sign(c)), verify.TrustAny(a))
}

func owns(c *corp) map[string]own {
	other := newCorp()
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	by := func(at time.Time) func([]byte) [][]byte {
		return func(sig []byte) [][]byte { return [][]byte{stamp(c.tsa, sig, at, crypto.SHA512)} }
	}
	limited := func(change func(*x509.Certificate)) *pair {
		t := caTemplate("Corp limited CA")
		change(&t)
		return issue(c.root, newKey(), t)
	}
	mailOnly := limited(func(t *x509.Certificate) { t.PermittedEmailAddresses = []string{"example.org"} })
	dnsOnly := limited(func(t *x509.Certificate) { t.PermittedDNSDomains = []string{"example.com"} })
	lastCA := limited(func(t *x509.Certificate) { t.MaxPathLenZero = true })
	belowLast := issue(lastCA, newKey(), caTemplate("Corp too far below CA"))
	tlsCA := limited(func(t *x509.Certificate) { t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	endedCA := limited(func(t *x509.Certificate) { t.NotAfter = then.AddDate(0, 0, 1) })
	weakCA := issue(c.root, must(rsa.GenerateKey(rand.Reader, 1024)), caTemplate("Corp weak CA"))
	noCA := issue(c.root, newKey(), leafTemplate())
	username := func(t *x509.Certificate) {
		t.EmailAddresses = nil
		t.ExtraExtensions = []pkix.Extension{*must(cryptoutils.MarshalOtherNameSAN("alice!example.com", true))}
	}
	names := func(mail []string, dns []string, uris ...string) func(*x509.Certificate) {
		return func(t *x509.Certificate) {
			t.EmailAddresses, t.DNSNames = mail, dns
			for _, u := range uris {
				t.URIs = append(t.URIs, must(url.Parse(u)))
			}
		}
	}
	issuer := func(t *x509.Certificate) { t.ExtraExtensions = leafTemplate().ExtraExtensions }
	return map[string]own{
		"by the root": {},
		"RSA":         {key: must(rsa.GenerateKey(rand.Reader, 2048))},
		"ED25519":     {key: edKey},
		"ED25519ph":   {key: edKey, hash: crypto.SHA512},
		"ED25519, no digest": {key: edKey, change: func(pb *bundlepb.Bundle) {
			pb.GetMessageSignature().MessageDigest = &commonpb.HashOutput{}
		}},
		"CA below, given":                    {by: c.sub, below: []*pair{c.sub}},
		"CA below, among the CAs":            {by: c.sub, cas: []*pair{c.sub, c.root}},
		"CA below, came along":               {by: c.sub, chain: []*pair{c.sub}},
		"chain of one":                       {chain: []*pair{}},
		"two CAs":                            {cas: []*pair{other.root, c.root}},
		"DNS name":                           {leaf: names(nil, []string{"ci.example.com"}), who: certificate.Identity{Subject: "ci.example.com"}},
		"second of several names":            {leaf: names([]string{alice}, []string{"ci.example.com"}, "spiffe://example.com/ci"), who: certificate.Identity{Subject: "spiffe://example.com/ci"}},
		"Fulcio's user name":                 {leaf: username, who: certificate.Identity{Subject: "alice!example.com"}},
		"with an issuer":                     {leaf: issuer, who: whoAlice},
		"issuer not asked for":               {leaf: issuer},
		"timestamp":                          {tsas: []*pair{c.root}, stamps: by(then.AddDate(0, 1, 0))},
		"timestamp, certificate ended since": {tsas: []*pair{c.root}, stamps: by(then.AddDate(0, 1, 0)), now: then.AddDate(3, 0, 0)},
		"timestamp, its authority given":     {tsas: []*pair{c.tsa, c.root}, stamps: by(then.AddDate(0, 1, 0))},
		"timestamp, not asked for":           {stamps: by(then.AddDate(0, 1, 0))},
		"CA for mail, other name":            {by: mailOnly, below: []*pair{mailOnly}, leaf: names(nil, []string{"ci.example.com"}), who: certificate.Identity{Subject: "ci.example.com"}},

		"ended":                    {now: then.AddDate(1, 0, 1), kind: fault.ErrUntrusted, want: "is valid from 2026-03-01 12:00:00 UTC to 2027-03-01 12:00:00 UTC, and now it is 2027-03-02", hint: "have it signed again"},
		"not yet valid":            {now: then.Add(-time.Second), kind: fault.ErrUntrusted, want: "and now it is 2026-03-01 11:59:59 UTC"},
		"CA ended":                 {by: endedCA, below: []*pair{endedCA}, kind: fault.ErrUntrusted, want: "no chain to a CA of the root that was valid at 2026-04-01", hint: "get a new one"},
		"CA below is missing":      {by: c.sub, kind: fault.ErrUntrusted, want: "is not by a CA that was given", hint: "CAs below it"},
		"stranger":                 {by: other.root, kind: fault.ErrUntrusted, want: "is not by a CA that was given"},
		"stranger brings his CA":   {by: other.sub, chain: []*pair{other.sub}, kind: fault.ErrUntrusted, want: "signed by unknown authority"},
		"stranger brings his root": {by: other.root, chain: []*pair{other.root}, kind: fault.ErrUntrusted, want: "signed by unknown authority"},
		"CA that is none":          {by: noCA, chain: []*pair{noCA}, kind: fault.ErrUntrusted, want: "is not by a CA"},
		"CA that nobody used":      {chain: []*pair{c.sub}, kind: fault.ErrDamaged, want: "CN=Corp sub CA,O=Example, which is no part of its chain"},
		"CA twice":                 {by: c.sub, chain: []*pair{c.sub, c.sub}, kind: fault.ErrDamaged, want: "CN=Corp sub CA,O=Example twice"},
		"long chain":               {chain: slices.Repeat([]*pair{c.sub}, 8), kind: fault.ErrDamaged, want: "has 9 certificates"},
		"chain cut": {by: c.sub, chain: []*pair{c.sub}, change: func(pb *bundlepb.Bundle) {
			pb.VerificationMaterial.GetX509CertificateChain().Certificates[1].RawBytes = []byte{1}
		}, kind: fault.ErrDamaged, want: "certificate that cannot be read"},
		"CA that must have none below": {by: belowLast, chain: []*pair{lastCA, belowLast}, kind: fault.ErrUntrusted, want: "no chain to a CA of the root"},
		"CA for other addresses":       {by: mailOnly, below: []*pair{mailOnly}, kind: fault.ErrUntrusted, want: "no chain to a CA of the root"},
		"CA for TLS only":              {by: tlsCA, below: []*pair{tlsCA}, kind: fault.ErrUntrusted, want: "no chain to a CA of the root"},
		"CA for DNS, user name":        {by: dnsOnly, below: []*pair{dnsOnly}, leaf: username, who: certificate.Identity{Subject: "alice!example.com"}, kind: fault.ErrUntrusted, want: "such a name cannot be checked"},
		"CA with a weak key":           {by: weakCA, chain: []*pair{weakCA}, kind: fault.ErrUnsupported, want: "RSA key of 1024 bits"},
		"weak key":                     {key: must(rsa.GenerateKey(rand.Reader, 1024)), kind: fault.ErrUnsupported, want: "RSA with 1024 bits"},
		"another name":                 {leaf: names([]string{"bob@example.com"}, nil), kind: fault.ErrUntrusted, want: "by a certificate for bob@example.com of CN=Corp CA,O=Example, not alice@example.com"},
		"no issuer":                    {who: whoAlice, kind: fault.ErrUntrusted, want: "by a certificate for alice@example.com of CN=Corp CA,O=Example, not"},
		"address as user name": {leaf: func(t *x509.Certificate) {
			t.EmailAddresses = nil
			t.ExtraExtensions = []pkix.Extension{*must(cryptoutils.MarshalOtherNameSAN(alice, true))}
		}, kind: fault.ErrUntrusted, want: "by a certificate for nobody"},
		"URI without a scheme": {leaf: names(nil, nil, "//"+alice), who: certificate.Identity{Subject: "//" + alice}, kind: fault.ErrUntrusted, want: "by a certificate for nobody"},
		"address as DNS name":  {leaf: names(nil, []string{alice}), kind: fault.ErrUntrusted, want: "by a certificate for nobody"},
		"unknown kind of name": {leaf: func(t *x509.Certificate) {
			t.EmailAddresses = nil
			t.ExtraExtensions = []pkix.Extension{{Id: cryptoutils.SANOID, Critical: true, Value: must(asn1.Marshal([]asn1.RawValue{{Class: 2, Tag: 8, Bytes: []byte{42}}}))}}
		}, kind: fault.ErrUntrusted, want: "by a certificate for nobody"},
		"no timestamp":               {tsas: []*pair{c.root}, kind: fault.ErrUntrusted, want: "no timestamp by a timestamp authority that was given", hint: "timestamp"},
		"stranger's timestamp":       {tsas: []*pair{other.root}, stamps: by(then.AddDate(0, 1, 0)), kind: fault.ErrUntrusted, want: "with 1 timestamps, has no timestamp"},
		"timestamp too late":         {tsas: []*pair{c.root}, stamps: by(then.AddDate(2, 0, 0)), kind: fault.ErrUntrusted, want: "and it was signed at 2028-03-01"},
		"timestamp, other authority": {tsas: []*pair{newTSA(c.root), c.root}, stamps: by(then.AddDate(0, 1, 0)), kind: fault.ErrUntrusted, want: "has no timestamp"},
		"key made it, not she": {change: func(pb *bundlepb.Bundle) {
			pb.GetMessageSignature().Signature = signDigest(newKey(), nil, sha(sums), crypto.SHA256)
		}, kind: fault.ErrUntrusted, want: "signature does not fit"},
		"ED25519 as ED25519ph": {key: edKey, change: func(pb *bundlepb.Bundle) {
			pb.GetMessageSignature().Signature = signDigest(edKey, nil, func() []byte { s := sha256.Sum256(sums); return append(s[:], s[:]...) }(), crypto.SHA512)
		}, kind: fault.ErrUntrusted, want: "signature does not fit"},
	}
}

func TestOwnCA(t *testing.T) {
	c := newCorp()
	for name, o := range owns(c) {
		t.Run(name, func(t *testing.T) {
			r, err := o.verify(c)
			if o.kind == nil {
				if err != nil {
					t.Fatal(err)
				}
				s := r.Signers()[0]
				if s.Fingerprint == "" || len(s.IDs) < 2 || (len(s.Times) > 0) != (len(o.tsas) > 0) || s.Issuer != "CN=Corp CA,O=Example" && s.Issuer != idp {
					t.Errorf("signer %+v", s)
				}
				return
			}
			if r != nil || !errors.Is(err, o.kind) || !strings.Contains(err.Error(), o.want) || !strings.Contains(fault.Hint(err), o.hint) {
				t.Errorf("%v (hint %q), want %q (%q) as %v", err, fault.Hint(err), o.want, o.hint, o.kind)
			}
			if errors.Is(err, fault.ErrUntrusted) && fault.Hint(err) == "" {
				t.Errorf("no hint with %v", err)
			}
		})
	}
}

// Without a time to verify at, it is now.
func TestOwnCANow(t *testing.T) {
	c := newCorp()
	r := must(certificate.NewRoot(certificates([]*pair{c.root}), nil, nil))
	a := must(certificate.New(r, certificate.Identity{Subject: alice}, certificate.Options{}))
	dated := func(from, to time.Time) error {
		o := own{leaf: func(t *x509.Certificate) { t.NotBefore, t.NotAfter = from, to }}
		_, err := verify.Verify(envelope(sums, o.sign(c)), verify.TrustAny(a))
		return err
	}
	now := time.Now()
	if err := dated(now.Add(-time.Hour), now.Add(time.Hour)); err != nil {
		t.Error(err)
	}
	for _, at := range []time.Duration{-time.Hour, 24 * time.Hour} {
		if err := dated(now.Add(at-time.Hour), now.Add(at)); !errors.Is(err, fault.ErrUntrusted) {
			t.Errorf("valid until %v from now: %v", at, err)
		}
	}
}

// A name that is in two certificates is one signer, and so is a certificate with
// two names.
func TestOwnCACountsOnce(t *testing.T) {
	c := newCorp()
	root := must(certificate.NewRoot(certificates([]*pair{c.root}), nil, nil))
	who := func(s string) verify.Authority {
		return must(certificate.New(root, certificate.Identity{Subject: s}, certificate.Options{Now: then}))
	}
	both := own{leaf: func(t *x509.Certificate) { t.DNSNames = []string{"ci.example.com"} }}
	env := envelope(sums, both.sign(c), both.sign(c))
	if _, err := verify.Verify(env, verify.TrustSome(2, who(alice), who("ci.example.com"))); !errors.Is(err, fault.ErrUntrusted) {
		t.Errorf("one with two names: %v", err)
	}
	ci := own{leaf: func(t *x509.Certificate) { t.EmailAddresses, t.DNSNames = nil, []string{"ci.example.com"} }}
	env = envelope(sums, own{}.sign(c), ci.sign(c))
	if _, err := verify.Verify(env, verify.TrustSome(2, who(alice), who("ci.example.com"))); err != nil {
		t.Errorf("two: %v", err)
	}
}

func TestNewRootRefuses(t *testing.T) {
	c := newCorp()
	leaf := issue(c.root, newKey(), leafTemplate())
	weak := issue(nil, must(rsa.GenerateKey(rand.Reader, 1024)), caTemplate("Weak CA"))
	for name, r := range map[string]struct {
		cas, below, tsas []*pair
		kind             error
		want             string
	}{
		"nothing":                   {kind: fault.ErrUsage, want: "no certificate of a CA given"},
		"no anchor":                 {cas: []*pair{c.sub}, kind: fault.ErrUsage, want: "CN=Corp sub CA,O=Example is below another"},
		"a leaf":                    {cas: []*pair{c.root, leaf}, kind: fault.ErrUsage, want: "is not the certificate of a CA"},
		"a leaf that signed itself": {cas: []*pair{issue(nil, newKey(), leafTemplate())}, kind: fault.ErrUsage, want: "is not the certificate of a CA"},
		"a leaf below":              {cas: []*pair{c.root}, below: []*pair{leaf}, kind: fault.ErrUsage, want: "is not the certificate of a CA"},
		"an anchor below":           {cas: []*pair{c.root}, below: []*pair{newCorp().root}, kind: fault.ErrUsage, want: "signed itself"},
		"no timestamp anchor":       {cas: []*pair{c.root}, tsas: []*pair{c.tsa}, kind: fault.ErrUsage, want: "no certificate of a timestamp authority signed itself"},
		"weak CA":                   {cas: []*pair{weak}, kind: fault.ErrUnsupported, want: "RSA key of 1024 bits"},
		"weak timestamp authority":  {cas: []*pair{c.root}, tsas: []*pair{weak}, kind: fault.ErrUnsupported, want: "RSA key of 1024 bits"},
		"too many":                  {cas: slices.Repeat([]*pair{c.root}, 65), kind: fault.ErrUsage, want: "more than 64"},
	} {
		got, err := certificate.NewRoot(certificates(r.cas), certificates(r.below), certificates(r.tsas))
		if got != nil || !errors.Is(err, r.kind) || !strings.Contains(err.Error(), r.want) {
			t.Errorf("%s: %v, want %q as %v", name, err, r.want, r.kind)
		}
	}
}
