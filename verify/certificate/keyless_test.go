package certificate_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"net/url"
	"slices"
	"testing"
	"time"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	trustrootpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"google.golang.org/protobuf/types/known/timestamppb"

	"bale/sign"
	"bale/verify"
	"bale/verify/certificate"
)

func TestKeylessAccepts(t *testing.T) {
	i := newInstance()
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	for name, c := range map[string]struct {
		order  order
		change func(*trustrootpb.TrustedRoot)
		who    certificate.Identity
		times  []string
	}{
		"Rekor 1":                   {times: []string{"log https://rekor.example.com", "timestamp authority https://tsa.example.com"}},
		"Rekor 1, no timestamp":     {order: order{stamps: func([]byte) [][]byte { return nil }}, times: []string{"log https://rekor.example.com"}},
		"Rekor 2":                   {order: order{two: true}, times: []string{"timestamp authority https://tsa.example.com"}},
		"root without Rekor":        {change: func(r *trustrootpb.TrustedRoot) { r.Tlogs = nil }, times: []string{"timestamp authority https://tsa.example.com"}},
		"root without CT":           {order: order{noSCT: true}, change: func(r *trustrootpb.TrustedRoot) { r.Ctlogs = nil }},
		"root without TSA":          {change: func(r *trustrootpb.TrustedRoot) { r.TimestampAuthorities = nil }, times: []string{"log https://rekor.example.com"}},
		"ED25519ph, Rekor 1":        {order: order{key: edKey, hash: crypto.SHA512}},
		"ED25519ph, Rekor 2":        {order: order{key: edKey, hash: crypto.SHA512, two: true}},
		"P-384 over SHA-384":        {order: order{key: p384, hash: crypto.SHA384}},
		"regular expressions":       {who: certificate.Identity{SubjectRegexp: `[a-z]+@example\.com`, IssuerRegexp: `https://idp\..*`}},
		"regular expression with |": {who: certificate.Identity{SubjectRegexp: `bob@example.com|alice@example.com`, Issuer: idp}},
		"URI": {
			order: order{leaf: func(c *x509.Certificate) {
				c.EmailAddresses, c.URIs = nil, []*url.URL{must(url.Parse("https://ci.example.com/job@refs/heads/main"))}
			}},
			who: certificate.Identity{Subject: "https://ci.example.com/job@refs/heads/main", Issuer: idp},
		},
		"a stranger's timestamp beside it": {order: order{stamps: func(sig []byte) [][]byte {
			other := newTSA(issue(nil, newKey(), caTemplate("Other")))
			return [][]byte{stamp(other, sig, then.AddDate(1, 0, 0), crypto.SHA256), stamp(i.tsa, sig, then, crypto.SHA256)}
		}}},
		"a stranger's log entry beside it": {order: order{change: func(pb *bundlepb.Bundle) {
			other := newInstance().sign(order{})
			pb.VerificationMaterial.TlogEntries = append(pb.VerificationMaterial.TlogEntries, entryOf(other))
		}}},
		"in both Rekors": {order: order{two: true, change: func(pb *bundlepb.Bundle) {
			m := pb.VerificationMaterial
			b := &body{pb.GetMessageSignature().MessageDigest.Digest, pb.GetMessageSignature().Signature, m.GetCertificate().RawBytes}
			m.TlogEntries = append(m.TlogEntries, i.logOne(b, order{hash: crypto.SHA256, loggedAt: then}))
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.who == (certificate.Identity{}) {
				c.who = whoAlice
			}
			pb := i.sign(c.order)
			r, err := verify.Verify(envelope(sums, pb), verify.TrustAny(i.authority(t, c.change, c.who)))
			if err != nil {
				t.Fatal(err)
			}
			s := r.Signers()[0]
			if s.Kind != sign.KindCertificate || s.Issuer != idp || s.Subject == "" || s.Fingerprint != "" {
				t.Errorf("signer %+v", s)
			}
			key := must(sign.NewPublicKey(must(x509.ParseCertificate(pb.VerificationMaterial.GetCertificate().RawBytes)).PublicKey))
			if !slices.Contains(s.IDs, key.ID()) || !slices.Contains(s.IDs, `cert:"`+idp+`""`+s.Subject+`"`) {
				t.Errorf("ids %q", s.IDs)
			}
			for _, at := range s.Times {
				if !at.Proven || at.At.Before(then) || at.At.After(then.Add(10*time.Minute)) {
					t.Errorf("time %+v", at)
				}
			}
			if c.times != nil {
				var from []string
				for _, at := range s.Times {
					from = append(from, at.Source)
				}
				if !slices.Equal(from, c.times) {
					t.Errorf("times from %q, want %q", from, c.times)
				}
			}
			if len(s.Evidence) < 2 {
				t.Errorf("evidence %q", s.Evidence)
			}
			checkAgainstLibrary(t, i, c.change, c.who, pb)
		})
	}
}

// Words that people read of a good signature.
func TestKeylessEvidence(t *testing.T) {
	i := newInstance()
	a := i.authority(t, nil, whoAlice)
	r, err := verify.Verify(envelope(sums, i.sign(order{})), verify.TrustAny(a))
	if err != nil {
		t.Fatal(err)
	}
	s := r.Signers()[0]
	want := []string{
		"certificate by CN=Fulcio,O=Example, valid from 2026-03-01 12:00:00 UTC to 2026-03-01 12:10:00 UTC",
		"log entry 1234 of https://rekor.example.com, included",
		"timestamp by timestamp authority https://tsa.example.com",
	}
	if !slices.Equal(s.Evidence, want) {
		t.Errorf("evidence %q", s.Evidence)
	}
	if s.Identity.String() != "alice@example.com, as https://idp.example.com says" || a.String() != "a certificate for "+s.Identity.String() {
		t.Errorf("%s, asked for by %s", s.Identity, a)
	}
}

// One person counts once, however many certificates.
func TestKeylessCountsOnce(t *testing.T) {
	i := newInstance()
	mail := func(who string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.EmailAddresses = []string{who} }
	}
	env := envelope(sums, i.sign(order{}), i.sign(order{}))
	list := []verify.Authority{
		i.authority(t, nil, whoAlice),
		i.authority(t, nil, certificate.Identity{SubjectRegexp: ".*", Issuer: idp}),
	}
	if _, err := verify.Verify(env, verify.TrustSome(2, list...)); err == nil {
		t.Error("alice twice counts as two")
	}
	list[1] = i.authority(t, nil, certificate.Identity{Subject: "bob@example.com", Issuer: idp})
	env = envelope(sums, i.sign(order{}), i.sign(order{leaf: mail("bob@example.com")}))
	if _, err := verify.Verify(env, verify.TrustSome(2, list...)); err != nil {
		t.Error(err)
	}
	// One key with two names is one.
	key := newKey()
	env = envelope(sums, i.sign(order{key: key}), i.sign(order{key: key, leaf: mail("bob@example.com")}))
	if _, err := verify.Verify(env, verify.TrustSome(2, list...)); err == nil {
		t.Error("one key counts as two")
	}
}

func ended(at time.Time) *timestamppb.Timestamp { return timestamppb.New(at) }
