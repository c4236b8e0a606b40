package certificate_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	"github.com/digitorus/timestamp"
	ct "github.com/google/certificate-transparency-go"
	cttls "github.com/google/certificate-transparency-go/tls"
	"github.com/google/certificate-transparency-go/x509util"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	dssepb "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	trustrootpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	tilespb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	tilesnote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	rekorutil "github.com/sigstore/rekor/pkg/util"
	"github.com/sigstore/sigstore/pkg/signature"
	formats "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	"bale/bundle"
	"bale/bundle/container"
	"bale/sign"
	"bale/verify"
	"bale/verify/certificate"
)

// Who signs in tests, and when: long ago, so that nothing passes because of the
// clock.
const (
	alice  = "alice@example.com"
	idp    = "https://idp.example.com"
	host   = "rekor.example.com"
	tsaURL = "https://tsa.example.com"
)

var (
	then = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	sums = []byte("0000000000000000000000000000000000000000000000000000000000000000  index.zst\n")
)

// must is for what fails only if the test itself is wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// pair is a certificate with its private key.
type pair struct {
	*x509.Certificate
	key crypto.Signer
}

func newKey() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

// issue has p issue a certificate for key; a nil p issues one for itself.
func issue(p *pair, key crypto.Signer, template x509.Certificate) *pair {
	if template.SerialNumber == nil {
		template.SerialNumber = must(rand.Int(rand.Reader, big.NewInt(1<<60)))
	}
	parent, signer := &template, key
	if p != nil {
		parent, signer = p.Certificate, p.key
	}
	der := must(x509.CreateCertificate(rand.Reader, &template, parent, key.Public(), signer))
	return &pair{must(x509.ParseCertificate(der)), key}
}

func caTemplate(cn string) x509.Certificate {
	return x509.Certificate{
		Subject:   pkix.Name{CommonName: cn, Organization: []string{"Example"}},
		NotBefore: then.AddDate(-5, 0, 0), NotAfter: then.AddDate(15, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true,
	}
}

// leafTemplate is what Fulcio writes, without certificate timestamps.
func leafTemplate() x509.Certificate {
	return x509.Certificate{
		NotBefore: then, NotAfter: then.Add(10 * time.Minute),
		KeyUsage:       x509.KeyUsageDigitalSignature,
		ExtKeyUsage:    []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		EmailAddresses: []string{alice},
		ExtraExtensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}, Value: []byte(idp)},
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}, Value: must(asn1.MarshalWithParams(idp, "utf8"))},
		},
	}
}

// newTSA returns a timestamp authority below ca. Its certificate lives long, since
// the library that makes timestamps notes the present time in them.
func newTSA(ca *pair) *pair {
	eku := must(asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}))
	return issue(ca, newKey(), x509.Certificate{
		Subject:   pkix.Name{CommonName: "Example TSA"},
		NotBefore: then.AddDate(-5, 0, 0), NotAfter: then.AddDate(15, 0, 0),
		KeyUsage:        x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: eku}},
	})
}

// stamp returns a timestamp over a signature.
func stamp(tsa *pair, sig []byte, at time.Time, hash crypto.Hash) []byte {
	h := hash.New()
	h.Write(sig)
	t := timestamp.Timestamp{
		HashAlgorithm: hash, HashedMessage: h.Sum(nil), Time: at,
		Policy: asn1.ObjectIdentifier{1, 2, 3, 4}, AddTSACertificate: true,
	}
	return must(t.CreateResponseWithOpts(tsa.Certificate, tsa.key, crypto.SHA256))
}

// instance is a Sigstore instance: Fulcio, its certificate log, Rekor in both
// versions, and a timestamp authority.
type instance struct {
	fulcioRoot, fulcio *pair
	tsaRoot, tsa       *pair
	rekor, rekor2, ct  *ecdsa.PrivateKey
}

func newInstance() *instance {
	i := &instance{rekor: newKey(), rekor2: newKey(), ct: newKey()}
	i.fulcioRoot = issue(nil, newKey(), caTemplate("Fulcio root"))
	below := caTemplate("Fulcio")
	below.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	i.fulcio = issue(i.fulcioRoot, newKey(), below)
	i.tsaRoot = issue(nil, newKey(), caTemplate("TSA root"))
	i.tsa = newTSA(i.tsaRoot)
	return i
}

func keyID(k crypto.Signer) []byte {
	id := sha256.Sum256(must(x509.MarshalPKIXPublicKey(k.Public())))
	return id[:]
}

// trustedRoot is the instance's trusted_root.json, with changes.
func (i *instance) trustedRoot(change func(*trustrootpb.TrustedRoot)) []byte {
	since := &commonpb.TimeRange{Start: timestamppb.New(then.AddDate(-1, 0, 0))}
	log := func(base string, k *ecdsa.PrivateKey) *trustrootpb.TransparencyLogInstance {
		return &trustrootpb.TransparencyLogInstance{
			BaseUrl: base, HashAlgorithm: commonpb.HashAlgorithm_SHA2_256, LogId: &commonpb.LogId{KeyId: keyID(k)},
			PublicKey: &commonpb.PublicKey{
				RawBytes: must(x509.MarshalPKIXPublicKey(k.Public())), KeyDetails: commonpb.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
				ValidFor: proto(since),
			},
		}
	}
	chain := func(uri string, list ...*pair) *trustrootpb.CertificateAuthority {
		ca := &trustrootpb.CertificateAuthority{Uri: uri, ValidFor: proto(since), CertChain: &commonpb.X509CertificateChain{}}
		for _, c := range list {
			ca.CertChain.Certificates = append(ca.CertChain.Certificates, &commonpb.X509Certificate{RawBytes: c.Raw})
		}
		return ca
	}
	pb := &trustrootpb.TrustedRoot{
		MediaType:              "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		Tlogs:                  []*trustrootpb.TransparencyLogInstance{log("https://"+host, i.rekor), log("https://two."+host, i.rekor2)},
		Ctlogs:                 []*trustrootpb.TransparencyLogInstance{log("https://ct.example.com", i.ct)},
		CertificateAuthorities: []*trustrootpb.CertificateAuthority{chain("https://fulcio.example.com", i.fulcio, i.fulcioRoot)},
		TimestampAuthorities:   []*trustrootpb.CertificateAuthority{chain(tsaURL, i.tsa, i.tsaRoot)},
	}
	if change != nil {
		change(pb)
	}
	return must(protojson.Marshal(pb))
}

func proto(r *commonpb.TimeRange) *commonpb.TimeRange {
	return &commonpb.TimeRange{Start: r.Start, End: r.End}
}

// order is what a signature is to be like; nil functions change nothing.
type order struct {
	message   []byte
	envelope  bool // a DSSE envelope around message
	leaf      func(*x509.Certificate)
	key       crypto.Signer
	by        *pair // the CA, if not Fulcio
	hash      crypto.Hash
	two       bool // Rekor 2
	noSCT     bool
	sctAt     time.Time
	sctKey    *ecdsa.PrivateKey
	loggedAt  time.Time
	stampedAt time.Time
	stamps    func(sig []byte) [][]byte // instead of the one
	body      func(*body)               // what is logged
	change    func(*bundlepb.Bundle)
}

// body is what a log entry says.
type body struct{ digest, sig, cert []byte }

// sign makes a Sigstore bundle, all of it good but for what o changes.
func (i *instance) sign(o order) *bundlepb.Bundle {
	if o.message == nil {
		o.message = sums
	}
	if o.hash == 0 {
		o.hash = crypto.SHA256
	}
	if o.key == nil {
		o.key = newKey()
	}
	leaf := i.leaf(o)
	signed := o.message
	if o.envelope {
		signed = dsse.PAE("application/vnd.in-toto+json", o.message)
	}
	digest := sign.Sum(o.hash, signed)
	sig := signDigest(o.key, signed, digest, o.hash)
	b := &body{digest, sig, leaf.Raw}
	if o.body != nil {
		o.body(b)
	}
	if o.loggedAt.IsZero() {
		o.loggedAt = then.Add(2 * time.Minute)
	}
	if o.stampedAt.IsZero() {
		o.stampedAt = then.Add(time.Minute)
	}
	stamps := [][]byte{stamp(i.tsa, sig, o.stampedAt, crypto.SHA256)}
	if o.stamps != nil {
		stamps = o.stamps(sig)
	}
	pb := &bundlepb.Bundle{
		MediaType: sign.MediaType,
		VerificationMaterial: &bundlepb.VerificationMaterial{
			Content: &bundlepb.VerificationMaterial_Certificate{Certificate: &commonpb.X509Certificate{RawBytes: leaf.Raw}},
		},
	}
	for _, s := range stamps {
		m := pb.VerificationMaterial
		if m.TimestampVerificationData == nil {
			m.TimestampVerificationData = &bundlepb.TimestampVerificationData{}
		}
		m.TimestampVerificationData.Rfc3161Timestamps = append(m.TimestampVerificationData.Rfc3161Timestamps,
			&commonpb.RFC3161SignedTimestamp{SignedTimestamp: s})
	}
	if o.two {
		pb.VerificationMaterial.TlogEntries = append(pb.VerificationMaterial.TlogEntries, i.logTwo(b, o))
	} else {
		pb.VerificationMaterial.TlogEntries = append(pb.VerificationMaterial.TlogEntries, i.logOne(b, o))
	}
	if o.envelope {
		pb.Content = &bundlepb.Bundle_DsseEnvelope{DsseEnvelope: &dssepb.Envelope{
			Payload: o.message, PayloadType: "application/vnd.in-toto+json", Signatures: []*dssepb.Signature{{Sig: sig}},
		}}
	} else {
		pb.Content = &bundlepb.Bundle_MessageSignature{MessageSignature: &commonpb.MessageSignature{
			MessageDigest: &commonpb.HashOutput{Algorithm: hashName(o.hash), Digest: digest}, Signature: sig,
		}}
	}
	if o.change != nil {
		o.change(pb)
	}
	return pb
}

func hashName(h crypto.Hash) commonpb.HashAlgorithm {
	return map[crypto.Hash]commonpb.HashAlgorithm{
		crypto.SHA256: commonpb.HashAlgorithm_SHA2_256, crypto.SHA384: commonpb.HashAlgorithm_SHA2_384,
		crypto.SHA512: commonpb.HashAlgorithm_SHA2_512, crypto.SHA1: commonpb.HashAlgorithm_HASH_ALGORITHM_UNSPECIFIED,
	}[h]
}

func signDigest(k crypto.Signer, message, digest []byte, h crypto.Hash) []byte {
	if _, ok := k.(ed25519.PrivateKey); ok {
		if h == crypto.SHA512 {
			return must(k.Sign(nil, digest, &ed25519.Options{Hash: h}))
		}
		return must(k.Sign(nil, message, crypto.Hash(0)))
	}
	return must(k.Sign(rand.Reader, digest, h))
}

// leaf issues a certificate as Fulcio does: a precertificate for the log, then
// the same with the log's promise.
func (i *instance) leaf(o order) *pair {
	by := o.by
	if by == nil {
		by = i.fulcio
	}
	template := leafTemplate()
	template.SerialNumber = must(rand.Int(rand.Reader, big.NewInt(1<<60)))
	if o.leaf != nil {
		o.leaf(&template)
	}
	pre := issue(by, o.key, template)
	if o.noSCT {
		return pre
	}
	at, key := o.sctAt, o.sctKey
	if at.IsZero() {
		at = then
	}
	if key == nil {
		key = i.ct
	}
	sct := ct.SignedCertificateTimestamp{SCTVersion: ct.V1, Timestamp: uint64(at.UnixMilli())}
	copy(sct.LogID.KeyID[:], keyID(key))
	entry := ct.LogEntry{Leaf: ct.MerkleTreeLeaf{TimestampedEntry: &ct.TimestampedEntry{
		EntryType: ct.PrecertLogEntryType,
		PrecertEntry: &ct.PreCert{
			IssuerKeyHash: sha256.Sum256(by.RawSubjectPublicKeyInfo), TBSCertificate: pre.RawTBSCertificate,
		},
	}}}
	sct.Signature = ct.DigitallySigned(must(cttls.CreateSignature(*key, cttls.SHA256, must(ct.SerializeSCTSignatureInput(sct, entry)))))
	list := must(x509util.MarshalSCTsIntoSCTList([]*ct.SignedCertificateTimestamp{&sct}))
	template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{
		Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}, Value: must(asn1.Marshal(must(cttls.Marshal(*list)))),
	})
	return issue(by, o.key, template)
}

// logOne makes an entry of Rekor 1, the second of two in its shard.
func (i *instance) logOne(b *body, o order) *rekorpb.TransparencyLogEntry {
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.cert})
	kind, version := "hashedrekord", "0.0.1"
	algorithm := strings.ReplaceAll(strings.ToLower(o.hash.String()), "-", "")
	spec := map[string]any{
		"data":      map[string]any{"hash": map[string]any{"algorithm": algorithm, "value": hex.EncodeToString(b.digest)}},
		"signature": map[string]any{"content": b.sig, "publicKey": map[string]any{"content": certPEM}},
	}
	if o.envelope {
		payload := sha256.Sum256(o.message)
		hash := map[string]any{"algorithm": "sha256", "value": hex.EncodeToString(payload[:])}
		kind = "dsse"
		spec = map[string]any{
			"envelopeHash": hash, "payloadHash": hash,
			"signatures": []any{map[string]any{"signature": b.sig, "verifier": certPEM}},
		}
	}
	raw := must(jsoncanonicalizer.Transform(must(json.Marshal(map[string]any{"apiVersion": version, "kind": kind, "spec": spec}))))
	e := &rekorpb.TransparencyLogEntry{
		LogIndex: 1234, LogId: &commonpb.LogId{KeyId: keyID(i.rekor)}, IntegratedTime: o.loggedAt.Unix(),
		KindVersion: &rekorpb.KindVersion{Kind: kind, Version: version}, CanonicalizedBody: raw,
	}
	i.promise(e)
	i.proveOne(e)
	return e
}

func (i *instance) proveOne(e *rekorpb.TransparencyLogEntry) {
	prove(e, func(root []byte) string {
		return string(must(rekorutil.CreateAndSignCheckpoint(context.Background(), host, 99, 2, root, signer(i.rekor))))
	})
}

// promise adds Rekor 1's signed entry timestamp.
func (i *instance) promise(e *rekorpb.TransparencyLogEntry) {
	payload := must(jsoncanonicalizer.Transform(must(json.Marshal(map[string]any{
		"body": base64.StdEncoding.EncodeToString(e.CanonicalizedBody), "integratedTime": e.IntegratedTime,
		"logIndex": e.LogIndex, "logID": hex.EncodeToString(e.LogId.KeyId),
	}))))
	sum := sha256.Sum256(payload)
	e.InclusionPromise = &rekorpb.InclusionPromise{SignedEntryTimestamp: must(ecdsa.SignASN1(rand.Reader, i.rekor, sum[:]))}
}

// logTwo makes an entry of Rekor 2.
func (i *instance) logTwo(b *body, o order) *rekorpb.TransparencyLogEntry {
	details := commonpb.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
	if _, ok := o.key.(ed25519.PrivateKey); ok {
		details = commonpb.PublicKeyDetails_PKIX_ED25519_PH
	}
	entry := &tilespb.Entry{ApiVersion: "0.0.2", Kind: "hashedrekord", Spec: &tilespb.Spec{Spec: &tilespb.Spec_HashedRekordV002{
		HashedRekordV002: &tilespb.HashedRekordLogEntryV002{
			Data: &commonpb.HashOutput{Algorithm: hashName(o.hash), Digest: b.digest},
			Signature: &tilespb.Signature{Content: b.sig, Verifier: &tilespb.Verifier{
				KeyDetails: details,
				Verifier:   &tilespb.Verifier_X509Certificate{X509Certificate: &commonpb.X509Certificate{RawBytes: b.cert}},
			}},
		},
	}}}
	e := &rekorpb.TransparencyLogEntry{
		LogIndex: 1, LogId: &commonpb.LogId{KeyId: keyID(i.rekor2)},
		KindVersion:       &rekorpb.KindVersion{Kind: "hashedrekord", Version: "0.0.2"},
		CanonicalizedBody: must(jsoncanonicalizer.Transform(must(protojson.Marshal(entry)))),
	}
	i.proveTwo(e)
	return e
}

func (i *instance) proveTwo(e *rekorpb.TransparencyLogEntry) {
	const origin = "two." + host
	prove(e, func(root []byte) string {
		s := must(tilesnote.NewNoteSigner(context.Background(), origin, signer(i.rekor2)))
		text := formats.Checkpoint{Origin: origin, Size: 2, Hash: root}.Marshal()
		return string(must(note.Sign(&note.Note{Text: string(text)}, s)))
	})
}

func signer(k *ecdsa.PrivateKey) signature.Signer {
	return must(signature.LoadECDSASigner(k, crypto.SHA256))
}

// prove adds a proof that e is the second of two leaves.
func prove(e *rekorpb.TransparencyLogEntry, checkpoint func(root []byte) string) {
	first := sha256.Sum256([]byte("\x00first"))
	this := sha256.Sum256(append([]byte{0}, e.CanonicalizedBody...))
	root := sha256.Sum256(bytes.Join([][]byte{{1}, first[:], this[:]}, nil))
	e.InclusionProof = &rekorpb.InclusionProof{
		LogIndex: 1, TreeSize: 2, RootHash: root[:], Hashes: [][]byte{first[:]},
		Checkpoint: &rekorpb.Checkpoint{Envelope: checkpoint(root[:])},
	}
}

// entryOf returns the bundle's one log entry.
func entryOf(pb *bundlepb.Bundle) *rekorpb.TransparencyLogEntry {
	return pb.VerificationMaterial.TlogEntries[0]
}

// envelope is a bale bundle's, with signatures.
func envelope(message []byte, list ...*bundlepb.Bundle) *bundle.Envelope {
	var sigs []bundle.Signature
	for n, pb := range list {
		sigs = append(sigs, bundle.Signature{Entry: container.SignatureName(container.Sigstore, n), Data: must(protojson.Marshal(pb))})
	}
	return bundle.NewEnvelope(message, sigs)
}

var whoAlice = certificate.Identity{Subject: alice, Issuer: idp}

// authority trusts alice by the instance's trusted root, with changes.
func (i *instance) authority(t testing.TB, change func(*trustrootpb.TrustedRoot), who certificate.Identity) verify.Attesting {
	t.Helper()
	r, err := certificate.ParseTrustedRoot(i.trustedRoot(change))
	if err != nil {
		t.Fatal(err)
	}
	a, err := certificate.New(r, who, certificate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}
