package certificate_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"
	"time"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	trustrootpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	rekorutil "github.com/sigstore/rekor/pkg/util"

	"bale/bundle/fault"
	"bale/verify"
	"bale/verify/certificate"
)

// attack is a bundle that must be refused.
type attack struct {
	order   order
	message []byte // SHA256SUMS as the reader finds it, if not as signed
	change  func(*trustrootpb.TrustedRoot)
	who     certificate.Identity
	kind    error
	want    string
	hint    string
}

// attacks are all sorts of these against instance i.
func attacks(i *instance) map[string]attack {
	stranger := newInstance()
	bob := func(c *x509.Certificate) { c.EmailAddresses = []string{"bob@example.com"} }
	other := i.sign(order{})
	altered := append(bytes.Clone(sums), '\n')
	rsa1024 := must(rsa.GenerateKey(rand.Reader, 1024))
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	flip := func(b []byte) { b[len(b)/2] ^= 1 }
	entry := func(f func(*rekorpb.TransparencyLogEntry)) order {
		return order{change: func(pb *bundlepb.Bundle) { f(entryOf(pb)) }}
	}
	entry2 := func(f func(*rekorpb.TransparencyLogEntry)) order {
		o := entry(f)
		o.two = true
		return o
	}
	const mail = "alice@example.com of https://idp.example.com"
	return map[string]attack{
		// The identity.
		"another subject":           {order: order{leaf: bob}, want: "by a certificate for bob@example.com of https://idp.example.com, not alice@example.com, as https://idp.example.com says"},
		"another issuer":            {who: certificate.Identity{Subject: alice, Issuer: "https://idp.example.org"}, want: "by a certificate for " + mail + ", not alice@example.com, as https://idp.example.org says"},
		"regular expression inside": {who: certificate.Identity{SubjectRegexp: "alice", Issuer: idp}, want: "not /alice/"},
		"address of two lines": {order: order{leaf: func(c *x509.Certificate) { c.EmailAddresses = []string{"x\n" + alice} }},
			who: certificate.Identity{SubjectRegexp: `(?m)^alice@example\.com$`, Issuer: idp}, want: "by a certificate for nobody"},
		"no issuer in the certificate": {order: order{leaf: func(c *x509.Certificate) { c.ExtraExtensions = nil }}, want: "of CN=Fulcio,O=Example, not"},
		"two issuers": {order: order{leaf: func(c *x509.Certificate) { c.ExtraExtensions[0].Value = []byte("https://evil.example.org") }},
			kind: fault.ErrDamaged, want: "names two issuers"},
		"issuer that is no string": {order: order{leaf: func(c *x509.Certificate) { c.ExtraExtensions[1].Value = []byte{5, 0} }},
			kind: fault.ErrDamaged, want: "issuer cannot be read"},
		"two subjects": {order: order{leaf: func(c *x509.Certificate) { c.EmailAddresses = []string{"bob@example.com", alice} }},
			want: "has 2 subjects"},
		"no subject": {order: order{leaf: func(c *x509.Certificate) { c.EmailAddresses = nil }}, want: "by a certificate for nobody"},
		"common name is no subject": {order: order{leaf: func(c *x509.Certificate) {
			c.EmailAddresses, c.Subject.CommonName = nil, alice
		}}, want: "by a certificate for nobody"},
		"DNS name that reads as an address": {order: order{leaf: func(c *x509.Certificate) {
			c.EmailAddresses, c.DNSNames = nil, []string{alice}
		}}, want: "by a certificate for nobody"},
		"a key, not a certificate": {order: order{change: func(pb *bundlepb.Bundle) {
			pb.VerificationMaterial.Content = &bundlepb.VerificationMaterial_PublicKey{PublicKey: &commonpb.PublicKeyIdentifier{Hint: "x"}}
		}}, want: `by key "x"`},

		// The certificate.
		"stranger's CA":             {order: order{by: stranger.fulcio}, want: "certificate for " + mail + " is not by a CA in the trusted root", hint: "get a new one"},
		"stranger's CA, other name": {order: order{by: stranger.fulcio, leaf: bob}, want: "by a certificate for bob@example.com"},
		"signed itself":             {order: order{by: issue(nil, newKey(), caTemplate("Fulcio"))}, want: "is not by a CA in the trusted root"},
		"a CA's certificate": {order: order{leaf: func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
		}}, want: "is that of a CA"},
		"no code signing":  {order: order{leaf: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }}, want: "is not for code signing"},
		"no key usage":     {order: order{leaf: func(c *x509.Certificate) { c.ExtKeyUsage = nil }}, want: "is not for code signing"},
		"any key usage":    {order: order{leaf: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }}, want: "is not for code signing"},
		"not to sign with": {order: order{leaf: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }}, want: "is not for signatures"},
		"unknown critical extension": {order: order{leaf: func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}})
		}}, want: "unhandled critical extension"},
		"signed at another time": {order: order{loggedAt: then.Add(11 * time.Minute)}, want: "was valid from 2026-03-01 12:00:00 UTC to 2026-03-01 12:10:00 UTC, and it was signed at 2026-03-01 12:11:00 UTC"},
		"signed before":          {order: order{loggedAt: then.Add(-time.Second)}, want: "it was signed at 2026-03-01 11:59:59 UTC"},
		"stamped too late":       {order: order{stampedAt: then.Add(time.Hour)}, want: "it was signed at 2026-03-01 13:00:00 UTC"},
		"stamped too early":      {order: order{stampedAt: then.Add(-time.Hour), two: true}, want: "it was signed at 2026-03-01 11:00:00 UTC"},
		"certificate cut": {order: order{change: func(pb *bundlepb.Bundle) {
			c := pb.VerificationMaterial.GetCertificate()
			c.RawBytes = c.RawBytes[:100]
		}}, kind: fault.ErrDamaged, want: "certificate that cannot be read"},
		"certificate and more": {order: order{change: func(pb *bundlepb.Bundle) {
			c := pb.VerificationMaterial.GetCertificate()
			c.RawBytes = append(c.RawBytes, 0)
		}}, kind: fault.ErrDamaged, want: "certificate that cannot be read"},
		"certificate swapped for another of hers": {order: order{change: func(pb *bundlepb.Bundle) {
			pb.VerificationMaterial.Content = other.VerificationMaterial.Content
		}}, want: "signature does not fit"},
		"a chain": {order: order{change: func(pb *bundlepb.Bundle) {
			pb.VerificationMaterial.Content = &bundlepb.VerificationMaterial_X509CertificateChain{X509CertificateChain: &commonpb.X509CertificateChain{
				Certificates: []*commonpb.X509Certificate{pb.VerificationMaterial.GetCertificate(), {RawBytes: i.fulcio.Raw}},
			}}
		}}, kind: fault.ErrDamaged, want: "has a chain of certificates"},
		"an empty chain": {order: order{change: func(pb *bundlepb.Bundle) {
			pb.VerificationMaterial.Content = &bundlepb.VerificationMaterial_X509CertificateChain{X509CertificateChain: &commonpb.X509CertificateChain{}}
		}}, kind: fault.ErrDamaged, want: "has 0 certificates"},
		"weak RSA key": {order: order{key: rsa1024}, kind: fault.ErrUnsupported, want: "RSA with 1024 bits"},
		"weak curve":   {order: order{key: p224}, kind: fault.ErrUnsupported, want: "curve P-224"},
		"CA no longer in use": {
			change: func(r *trustrootpb.TrustedRoot) {
				r.CertificateAuthorities[0].ValidFor.End = ended(then.Add(-time.Hour))
			},
			want: "the trusted root has the CA CN=Fulcio root,O=Example only until 2026-03-01 11:00:00 UTC", hint: "trusted root may be too old",
		},
		"CA not yet in use": {
			change: func(r *trustrootpb.TrustedRoot) {
				r.CertificateAuthorities[0].ValidFor.Start = ended(then.Add(time.Hour))
			},
			want: "only from 2026-03-01 13:00:00 UTC on",
		},

		// Certificate transparency.
		"no SCT":               {order: order{noSCT: true}, want: "no timestamp of a certificate transparency log"},
		"SCT by a stranger":    {order: order{sctKey: stranger.ct}, want: "no valid timestamp of a certificate transparency log", hint: "new trusted root"},
		"SCT of another time":  {order: order{sctAt: then.AddDate(-2, 0, 0)}, want: "no valid timestamp of a certificate transparency log"},
		"SCT for another leaf": {order: order{leaf: stolenSCT(other)}, want: "certificate transparency log"},

		// The signature.
		"SHA256SUMS altered": {message: altered, want: "signature is for something with the digest", hint: "altered after signing"},
		"SHA256SUMS and digest altered": {message: altered, order: order{change: func(pb *bundlepb.Bundle) {
			d := sha(altered)
			pb.GetMessageSignature().MessageDigest.Digest = d
		}}, want: "signature does not fit"},
		"signature altered": {order: order{change: func(pb *bundlepb.Bundle) { flip(pb.GetMessageSignature().Signature) }}, want: "signature does not fit"},
		"signature of another": {order: order{change: func(pb *bundlepb.Bundle) {
			pb.GetMessageSignature().Signature = other.GetMessageSignature().Signature
		}}, want: "signature does not fit"},
		"no digest":    {order: order{change: func(pb *bundlepb.Bundle) { pb.GetMessageSignature().MessageDigest = nil }}, kind: fault.ErrUnsupported, want: "digest HASH_ALGORITHM_UNSPECIFIED"},
		"short digest": {order: order{change: func(pb *bundlepb.Bundle) { pb.GetMessageSignature().MessageDigest.Digest = []byte{1} }}, kind: fault.ErrDamaged, want: "digest of 1 bytes"},
		"digest renamed": {order: order{change: func(pb *bundlepb.Bundle) {
			pb.GetMessageSignature().MessageDigest.Algorithm = commonpb.HashAlgorithm_SHA2_384
		}}, kind: fault.ErrDamaged, want: "digest of 32 bytes"},
		"SHA-1":          {order: order{hash: crypto.SHA1}, kind: fault.ErrUnsupported, want: "which bale does not use"},
		"SHA-512, P-256": {order: order{hash: crypto.SHA512}, kind: fault.ErrUnsupported, want: "does not go with a key of ECDSA P-256"},
		"an attestation": {order: order{envelope: true}, kind: fault.ErrUnsupported, want: "is an attestation", hint: "cosign sign-blob"},

		// The log.
		"no log entry":     {order: order{change: func(pb *bundlepb.Bundle) { pb.VerificationMaterial.TlogEntries = nil }}, want: "no entry in a transparency log"},
		"stranger's log":   {order: order{change: func(pb *bundlepb.Bundle) { entryOf(pb).LogId.KeyId = keyID(stranger.rekor) }}, want: "entry in no log of the trusted root, but in 1 others", hint: "too old"},
		"stranger's entry": {order: order{change: func(pb *bundlepb.Bundle) { entryOf(pb).LogId = nil }}, want: "entry in no log of the trusted root"},
		"entry twice":      {order: order{change: twice}, kind: fault.ErrDamaged, want: "log entry twice"},
		"too many entries": {order: order{change: many}, kind: fault.ErrDamaged, want: "has 9 log entries"},
		"other kind":       {order: entry(func(e *rekorpb.TransparencyLogEntry) { e.KindVersion.Kind = "rekord" }), kind: fault.ErrUnsupported, want: `kind "rekord 0.0.1"`},
		"other version":    {order: entry(func(e *rekorpb.TransparencyLogEntry) { e.KindVersion.Version = "0.0.2" }), kind: fault.ErrDamaged, want: "says it is of"},
		"no kind":          {order: entry(func(e *rekorpb.TransparencyLogEntry) { e.KindVersion = nil }), kind: fault.ErrUnsupported, want: "of the kind"},
		"body that is no JSON": {order: entry(func(e *rekorpb.TransparencyLogEntry) { e.CanonicalizedBody = []byte("{") }),
			kind: fault.ErrDamaged, want: "not JSON"},
		"body altered":         {order: entry(func(e *rekorpb.TransparencyLogEntry) { e.CanonicalizedBody = append(e.CanonicalizedBody, ' ') }), want: "does not verify"},
		"promise altered":      {order: entry(func(e *rekorpb.TransparencyLogEntry) { flip(e.InclusionPromise.SignedEntryTimestamp) }), want: "does not verify"},
		"no promise":           {order: entry(func(e *rekorpb.TransparencyLogEntry) { e.InclusionPromise = nil }), want: "no promise of the log"},
		"time altered":         {order: entry(func(e *rekorpb.TransparencyLogEntry) { e.IntegratedTime++ }), want: "does not verify"},
		"time gone":            {order: entry(func(e *rekorpb.TransparencyLogEntry) { e.IntegratedTime = 0 }), want: "it was signed at 1970"},
		"index altered":        {order: entry(func(e *rekorpb.TransparencyLogEntry) { e.LogIndex++ }), want: "does not verify"},
		"no proof":             {order: entry(func(e *rekorpb.TransparencyLogEntry) { e.InclusionProof = nil }), want: "no proof that it is in the log", hint: "cosign 3"},
		"proof altered":        {order: entry(func(e *rekorpb.TransparencyLogEntry) { flip(e.InclusionProof.Hashes[0]) }), want: "does not verify"},
		"proof's index":        {order: entry(func(e *rekorpb.TransparencyLogEntry) { e.InclusionProof.LogIndex = 0 }), want: "does not verify"},
		"proof's size":         {order: entry(func(e *rekorpb.TransparencyLogEntry) { e.InclusionProof.TreeSize = 3 }), want: "another checkpoint"},
		"proof's size below 0": {order: entry(func(e *rekorpb.TransparencyLogEntry) { e.InclusionProof.TreeSize = -2 }), want: "another checkpoint"},
		"proof's root":         {order: entry(func(e *rekorpb.TransparencyLogEntry) { flip(e.InclusionProof.RootHash) }), want: "another checkpoint"},
		"no checkpoint":        {order: entry(func(e *rekorpb.TransparencyLogEntry) { e.InclusionProof.Checkpoint = nil }), kind: fault.ErrDamaged, want: "checkpoint that cannot be read"},
		"checkpoint altered": {order: entry(func(e *rekorpb.TransparencyLogEntry) {
			c := e.InclusionProof.Checkpoint
			c.Envelope = strings.Replace(c.Envelope, host, "x"+host, 1)
		}), want: "does not verify"},
		"checkpoint by a stranger": {order: entry(func(e *rekorpb.TransparencyLogEntry) {
			e.InclusionProof.Checkpoint.Envelope = string(must(rekorutil.CreateAndSignCheckpoint(
				context.Background(), host, 99, 2, e.InclusionProof.RootHash, signer(stranger.rekor))))
		}), want: "does not verify"},
		"entry of another signature": {order: order{change: func(pb *bundlepb.Bundle) {
			pb.VerificationMaterial.TlogEntries = other.VerificationMaterial.TlogEntries
		}}, want: "does not verify"},
		"logged: another digest":      {order: order{body: func(b *body) { b.digest = sha([]byte("other")) }}, want: "does not verify"},
		"logged: another certificate": {order: order{body: func(b *body) { b.cert = other.VerificationMaterial.GetCertificate().RawBytes }}, want: "does not verify"},
		"logged: another signature":   {order: order{body: func(b *body) { b.sig = other.GetMessageSignature().Signature }}, want: "does not verify"},
		"log no longer in use": {
			change: func(r *trustrootpb.TrustedRoot) { r.Tlogs[0].PublicKey.ValidFor.End = ended(then) },
			want:   "the trusted root has log https://rekor.example.com only until 2026-03-01 12:00:00 UTC", hint: "too old",
		},

		// Rekor 2.
		"2: no time":          {order: order{two: true, stamps: func([]byte) [][]byte { return nil }}, want: "nothing proves when it was signed", hint: "timestamp"},
		"2: claims a time":    {order: entry2(func(e *rekorpb.TransparencyLogEntry) { e.IntegratedTime = then.Unix() }), kind: fault.ErrDamaged, want: "log entry with a time"},
		"2: claims a promise": {order: entry2(func(e *rekorpb.TransparencyLogEntry) { e.InclusionPromise = &rekorpb.InclusionPromise{} }), kind: fault.ErrDamaged, want: "log entry with a time"},
		"2: no proof":         {order: entry2(func(e *rekorpb.TransparencyLogEntry) { e.InclusionProof = nil }), want: "no proof that it is in the log"},
		"2: proof altered":    {order: entry2(func(e *rekorpb.TransparencyLogEntry) { flip(e.InclusionProof.Hashes[0]) }), want: "does not verify"},
		"2: proof's index":    {order: entry2(func(e *rekorpb.TransparencyLogEntry) { e.InclusionProof.LogIndex = 0 }), want: "proof for entry 0 and is 1"},
		"2: index":            {order: entry2(func(e *rekorpb.TransparencyLogEntry) { e.LogIndex, e.InclusionProof.LogIndex = 0, 0 }), want: "does not verify"},
		"2: proof's size":     {order: entry2(func(e *rekorpb.TransparencyLogEntry) { e.InclusionProof.TreeSize = 3 }), want: "another checkpoint"},
		"2: proof's root":     {order: entry2(func(e *rekorpb.TransparencyLogEntry) { flip(e.InclusionProof.RootHash) }), want: "another checkpoint"},
		"2: checkpoint":       {order: entry2(func(e *rekorpb.TransparencyLogEntry) { e.InclusionProof.Checkpoint.Envelope = "x" }), kind: fault.ErrDamaged, want: "checkpoint that cannot be read"},
		"2: body altered": {order: entry2(func(e *rekorpb.TransparencyLogEntry) {
			e.CanonicalizedBody = bytes.Replace(e.CanonicalizedBody, []byte(`"digest":"`), []byte(`"digest":"AAAA`), 1)
		}), want: "something else"},
		"2: logged: another digest":      {order: order{two: true, body: func(b *body) { b.digest = sha([]byte("other")) }}, want: "does not verify"},
		"2: logged: another certificate": {order: order{two: true, body: func(b *body) { b.cert = other.VerificationMaterial.GetCertificate().RawBytes }}, want: "does not verify"},
		"2: logged: another signature":   {order: order{two: true, body: func(b *body) { b.sig = other.GetMessageSignature().Signature }}, want: "does not verify"},
		"2: another's body under a checkpoint of Rekor 1": {order: order{
			two: true, body: func(b *body) { b.digest = sha([]byte("other")) },
			change: func(pb *bundlepb.Bundle) {
				e := entryOf(pb)
				e.InclusionProof.Checkpoint.Envelope = string(must(rekorutil.CreateAndSignCheckpoint(
					context.Background(), "two."+host, 99, 2, e.InclusionProof.RootHash, signer(i.rekor2))))
			},
		}, want: "log entry is for something else than was signed"},
		"2: log no longer in use": {order: order{two: true},
			change: func(r *trustrootpb.TrustedRoot) { r.Tlogs[1].PublicKey.ValidFor.End = ended(then) },
			want:   "the trusted root has log https://two.rekor.example.com only until", hint: "too old"},

		// Timestamps; Rekor 2, so that they are all there is.
		"timestamp by a stranger":        {order: stamped(func(sig []byte) []byte { return stamp(stranger.tsa, sig, then, crypto.SHA256) }), want: "nothing proves when"},
		"timestamp of another signature": {order: stamped(func([]byte) []byte { return stamp(i.tsa, []byte("other"), then, crypto.SHA256) }), want: "nothing proves when"},
		"timestamp altered":              {order: stamped(func(sig []byte) []byte { s := stamp(i.tsa, sig, then, crypto.SHA256); s[len(s)-5] ^= 1; return s }), want: "nothing proves when"},
		"timestamp that is none":         {order: stamped(func([]byte) []byte { return []byte("x") }), want: "nothing proves when"},
		"timestamp by a code signer": {order: stamped(func(sig []byte) []byte {
			return stamp(i.leaf(order{key: newKey(), by: i.tsaRoot, noSCT: true}), sig, then, crypto.SHA256)
		}), want: "nothing proves when"},
		"too many timestamps": {order: order{stamps: func([]byte) [][]byte { return make([][]byte, 9) }}, kind: fault.ErrDamaged, want: "9 timestamps"},
		"timestamp authority not in use": {
			change: func(r *trustrootpb.TrustedRoot) { r.TimestampAuthorities[0].ValidFor.End = ended(then) },
			want:   "the trusted root has timestamp authority https://tsa.example.com only until", hint: "too old",
		},
		"timestamp before its authority": {
			order: order{two: true, stampedAt: then.AddDate(-2, 0, 0)},
			want:  "the trusted root has timestamp authority https://tsa.example.com only from",
		},
	}
}

// stamped is an order of Rekor 2 with one timestamp.
func stamped(f func(sig []byte) []byte) order {
	return order{two: true, stamps: func(sig []byte) [][]byte { return [][]byte{f(sig)} }}
}

func sha(b []byte) []byte {
	h := crypto.SHA256.New()
	h.Write(b)
	return h.Sum(nil)
}

func twice(pb *bundlepb.Bundle) {
	m := pb.VerificationMaterial
	m.TlogEntries = append(m.TlogEntries, m.TlogEntries[0])
}

func many(pb *bundlepb.Bundle) {
	m := pb.VerificationMaterial
	for n := range int64(8) {
		m.TlogEntries = append(m.TlogEntries, &rekorpb.TransparencyLogEntry{LogIndex: n})
	}
}

// stolenSCT puts the certificate timestamp of another certificate into one.
func stolenSCT(pb *bundlepb.Bundle) func(*x509.Certificate) {
	from := must(x509.ParseCertificate(pb.VerificationMaterial.GetCertificate().RawBytes))
	return func(c *x509.Certificate) {
		for _, e := range from.Extensions {
			if e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}) {
				c.ExtraExtensions = append(c.ExtraExtensions, e)
			}
		}
	}
}

func TestKeylessRefuses(t *testing.T) {
	i := newInstance()
	for name, c := range attacks(i) {
		t.Run(name, func(t *testing.T) {
			if c.who == (certificate.Identity{}) {
				c.who = whoAlice
			}
			if c.kind == nil {
				c.kind = fault.ErrUntrusted
			}
			if c.message == nil {
				c.message = sums
			}
			if name == "SCT for another leaf" {
				c.order.noSCT = true
			}
			a := i.authority(t, c.change, c.who)
			r, err := verify.Verify(envelope(c.message, i.sign(c.order)), verify.TrustAny(a))
			if r != nil || !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q as %v", err, c.want, c.kind)
			}
			if fault.Hint(err) == "" && c.hint != "" || !strings.Contains(fault.Hint(err), c.hint) {
				t.Errorf("hint %q, want %q", fault.Hint(err), c.hint)
			}
			if errors.Is(err, fault.ErrUntrusted) && fault.Hint(err) == "" {
				t.Errorf("no hint with %v", err)
			}
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("more than a line: %q", err)
			}
		})
	}
}
