package certificate_test

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"testing"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"google.golang.org/protobuf/encoding/protojson"
	protobuf "google.golang.org/protobuf/proto"

	"bale/bundle"
	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/verify"
	"bale/verify/certificate"
)

// FuzzTrustedRoot: what is accepted can be used; what is refused has a kind.
func FuzzTrustedRoot(f *testing.F) {
	f.Add(newInstance().trustedRoot(nil))
	for _, name := range []string{"public-good.json", "scaffolding.json"} {
		f.Add(vector(f, "pkg", "testing", "data", "trusted-roots", name))
	}
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","certificateAuthorities":[{}],"tlogs":[{}],"timestampAuthorities":[{}]}`))
	i := newInstance()
	pb := i.sign(order{})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := certificate.ParseTrustedRoot(data)
		if err != nil {
			if r != nil {
				t.Fatal("a root came with the error")
			}
			if !errors.Is(err, fault.ErrUsage) && !errors.Is(err, fault.ErrUnsupported) {
				t.Fatalf("no kind: %v", err)
			}
			return
		}
		a, err := certificate.New(r, whoAlice, certificate.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if list, err := a.Check(verify.EvidenceOf(pb), sums); err == nil {
			t.Fatalf("a stranger signed: %v", list)
		}
	})
}

// FuzzCertificates: what is accepted is certificates, all of them.
func FuzzCertificates(f *testing.F) {
	c := newCorp()
	one := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.root.Raw})
	two := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.sub.Raw})
	f.Add(one)
	f.Add(append(one, two...))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := certificate.ParseCertificates(data)
		if err != nil {
			if list != nil || !errors.Is(err, fault.ErrUsage) {
				t.Fatalf("%d certificates with %v", len(list), err)
			}
			return
		}
		if len(list) == 0 {
			t.Fatal("no certificate and no error")
		}
		if _, err := certificate.NewRoot(list, nil, list); err != nil && !errors.Is(err, fault.ErrUsage) && !errors.Is(err, fault.ErrUnsupported) {
			t.Fatalf("no kind: %v", err)
		}
	})
}

// FuzzBundle: no bundle that alice did not sign is hers, and nothing panics.
func FuzzBundle(f *testing.F) {
	i, c := newInstance(), newCorp()
	stranger := newInstance() // with other keys, so that no seed is good
	for _, o := range []order{{}, {two: true}, {envelope: true}, {envelope: true, two: true}} {
		f.Add(must(protojson.Marshal(stranger.sign(o))))
		o.message = []byte("something else")
		f.Add(must(protojson.Marshal(i.sign(o)))) // gets as far as the signature
	}
	for _, name := range []string{"othername.sigstore.json", "sigstore.js@2.0.0-provenance.sigstore.json", "dsse.sigstore.json"} {
		f.Add(vector(f, "pkg", "testing", "data", "bundles", name))
	}
	f.Add(must(protojson.Marshal(own{by: c.sub, chain: []*pair{c.sub}, change: nil}.sign(newCorp()))))
	keyless := i.authority(f, nil, certificate.Identity{SubjectRegexp: "(?s).*", IssuerRegexp: "(?s).*"})
	r := must(certificate.NewRoot(certificates([]*pair{c.root}), nil, certificates([]*pair{c.root})))
	corp := must(certificate.New(r, certificate.Identity{SubjectRegexp: "(?s).*"}, certificate.Options{Now: then}))
	f.Fuzz(func(t *testing.T, data []byte) {
		env := bundle.NewEnvelope(sums, []bundle.Signature{{Entry: container.SigstoreName, Data: data}})
		if got, err := verify.Verify(env, verify.TrustAny(keyless, corp)); err == nil {
			t.Fatalf("signed by %v", got.Signers())
		}
		e, err := verify.ParseEvidence(data)
		if err != nil {
			return
		}
		for _, a := range []verify.Attesting{keyless, corp} {
			if list, err := a.Check(e, sums); (err == nil) == (list == nil) || err == nil {
				t.Fatalf("%v with %v", list, err)
			}
			// Attestations by i over "something else" are good ones.
			if list, err := a.CheckEnvelope(e); (err == nil) == (list == nil) {
				t.Fatalf("%v with %v", list, err)
			}
		}
	})
}

// FuzzLogEntry: whatever a log of the root signs, only an entry for this very
// signature counts. What the log says is fuzzed, and then proven and promised.
func FuzzLogEntry(f *testing.F) {
	i := newInstance()
	one, two := i.sign(order{}), i.sign(order{two: true})
	a := i.authority(f, nil, whoAlice)
	for _, pb := range []*bundlepb.Bundle{one, two, i.sign(order{envelope: true})} {
		e := entryOf(pb)
		f.Add(e.CanonicalizedBody, e.KindVersion.Kind, e.KindVersion.Version, e.InclusionProof.Checkpoint.Envelope, e.LogIndex, false)
		f.Add(e.CanonicalizedBody, e.KindVersion.Kind, e.KindVersion.Version, e.InclusionProof.Checkpoint.Envelope, e.LogIndex, true)
	}
	f.Add([]byte(`{"apiVersion":"0.0.2","kind":"intoto","spec":{"content":{"envelope":{"signatures":[{}]}}}}`), "intoto", "0.0.2", "", int64(0), true)
	f.Add([]byte(`{"apiVersion":"0.0.1","kind":"dsse","spec":{"signatures":[]}}`), "dsse", "0.0.1", "", int64(-1), true)
	f.Add([]byte(`{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{}},"signature":{"publicKey":{}}}}`), "hashedrekord", "0.0.1", "", int64(0), true)
	f.Fuzz(func(t *testing.T, body []byte, kind, version, checkpoint string, index int64, prove bool) {
		for _, good := range []*bundlepb.Bundle{one, two} {
			pb := protobuf.Clone(good).(*bundlepb.Bundle)
			e := entryOf(pb)
			e.CanonicalizedBody, e.LogIndex = body, index
			e.KindVersion.Kind, e.KindVersion.Version = kind, version
			if good == one {
				i.promise(e)
			}
			switch {
			case !prove:
				e.InclusionProof.Checkpoint.Envelope = checkpoint
			case good == one:
				i.proveOne(e)
			default:
				i.proveTwo(e)
			}
			if list, err := a.Check(verify.EvidenceOf(pb), sums); err == nil {
				if sig := base64.StdEncoding.EncodeToString(pb.GetMessageSignature().Signature); !bytes.Contains(body, []byte(sig)) {
					t.Fatalf("%v by an entry for something else", list)
				}
			}
		}
	})
}

// FuzzTimestamp: nobody but the timestamp authority makes one.
func FuzzTimestamp(f *testing.F) {
	i, other := newInstance(), newInstance()
	pb := i.sign(order{two: true})
	sig := pb.GetMessageSignature().Signature
	a := i.authority(f, nil, whoAlice)
	f.Add(stamp(other.tsa, sig, then, crypto.SHA256))
	f.Add(stamp(i.tsa, []byte("something else"), then, crypto.SHA512))
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, data []byte) {
		pb := protobuf.Clone(pb).(*bundlepb.Bundle)
		pb.VerificationMaterial.TimestampVerificationData.Rfc3161Timestamps[0].SignedTimestamp = data
		if list, err := a.Check(verify.EvidenceOf(pb), sums); err == nil {
			t.Fatalf("%v", list)
		}
	})
}
