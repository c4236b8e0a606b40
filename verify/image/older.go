package image

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"strings"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	dssepb "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"

	"bale/bundle/fault"
)

// The annotations in which cosign keeps what Sigstore bundles have inside.
const (
	signatureKey   = "dev.cosignproject.cosign/signature"
	certificateKey = "dev.sigstore.cosign/certificate"
	chainKey       = "dev.sigstore.cosign/chain"
	logKey         = "dev.sigstore.cosign/bundle"
	timestampKey   = "dev.sigstore.cosign/rfc3161timestamp"
)

// olderType is the version of the bundle that older signatures are put into: one
// that takes chains, and entries that a log only promised to take in.
const olderType = "application/vnd.dev.sigstore.bundle+json;version=0.1"

// signature returns the bundle of one of cosign's older signatures, which is over
// data, the layer's content.
func (l layer) signature(data []byte) (*bundlepb.Bundle, error) {
	text, err := l.annotation(signatureKey)
	if err != nil {
		return nil, err
	}
	sig, err := decodeBase64(text)
	if err != nil || len(sig) == 0 {
		return nil, fault.Damaged("has no signature in its annotations")
	}
	m, err := l.material()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	return &bundlepb.Bundle{
		MediaType:            olderType,
		VerificationMaterial: m,
		Content: &bundlepb.Bundle_MessageSignature{MessageSignature: &commonpb.MessageSignature{
			MessageDigest: &commonpb.HashOutput{Algorithm: commonpb.HashAlgorithm_SHA2_256, Digest: sum[:]},
			Signature:     sig,
		}},
	}, nil
}

// envelope returns the bundle of one of cosign's older attestations: data is the
// layer's content.
func (l layer) envelope(data []byte) (*bundlepb.Bundle, error) {
	env, err := parseEnvelope(data)
	if err != nil {
		return nil, err
	}
	m, err := l.material()
	if err != nil {
		return nil, err
	}
	return &bundlepb.Bundle{
		MediaType:            olderType,
		VerificationMaterial: m,
		Content:              &bundlepb.Bundle_DsseEnvelope{DsseEnvelope: env},
	}, nil
}

// parseEnvelope reads a DSSE envelope with one signature. What it says of whose
// key it is, is up to who wrote it and not looked at.
func parseEnvelope(data []byte) (*dssepb.Envelope, error) {
	top, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	var content, kind string
	for name, to := range map[string]any{"payload": &content, "payloadType": &kind} {
		if err := top.get(name, to); err != nil {
			return nil, err
		}
	}
	signatures, err := top.list("signatures", maxSignatures)
	if err != nil {
		return nil, err
	}
	if len(signatures) != 1 {
		return nil, fault.Unsupported("is an envelope with %d signatures, not one", len(signatures))
	}
	one, err := parseObject(signatures[0])
	if err != nil {
		return nil, err
	}
	var text string
	if err := one.get("sig", &text); err != nil {
		return nil, err
	}
	env := &dssepb.Envelope{PayloadType: kind}
	if env.Payload, err = decodeBase64(content); err != nil {
		return nil, err
	}
	sig, err := decodeBase64(text)
	if err != nil {
		return nil, err
	}
	if len(sig) == 0 {
		return nil, fault.Damaged("is an envelope with an empty signature")
	}
	env.Signatures = []*dssepb.Signature{{Sig: sig}}
	return env, nil
}

// material returns whose signature it is, as the annotations say: a certificate's,
// or that of a key which they do not name.
func (l layer) material() (*bundlepb.VerificationMaterial, error) {
	m := &bundlepb.VerificationMaterial{Content: &bundlepb.VerificationMaterial_PublicKey{PublicKey: &commonpb.PublicKeyIdentifier{}}}
	chain, err := l.chain()
	if err != nil {
		return nil, err
	}
	if len(chain) > 0 {
		m.Content = &bundlepb.VerificationMaterial_X509CertificateChain{X509CertificateChain: &commonpb.X509CertificateChain{Certificates: chain}}
	}
	text, err := l.annotation(logKey)
	if err != nil {
		return nil, err
	}
	if text != "" {
		entry, err := parseLogged([]byte(text))
		if err != nil {
			return nil, fault.Damaged("annotation %s: %w", logKey, err)
		}
		m.TlogEntries = []*rekorpb.TransparencyLogEntry{entry}
	}
	if text, err = l.annotation(timestampKey); err != nil {
		return nil, err
	}
	if text != "" {
		stamp, err := parseTimestamp([]byte(text))
		if err != nil {
			return nil, fault.Damaged("annotation %s: %w", timestampKey, err)
		}
		m.TimestampVerificationData = &bundlepb.TimestampVerificationData{
			Rfc3161Timestamps: []*commonpb.RFC3161SignedTimestamp{{SignedTimestamp: stamp}},
		}
	}
	return m, nil
}

// annotation returns an annotation of a bounded size; "" if there is none.
func (l layer) annotation(key string) (string, error) {
	s := l.annotations[key]
	if len(s) > maxAnnotation {
		return "", fault.Damaged("annotation %s has %d bytes, more than %d", key, len(s), maxAnnotation)
	}
	return s, nil
}

// chain returns the certificate and those above it; none if a key signed.
func (l layer) chain() (list []*commonpb.X509Certificate, err error) {
	for _, key := range []string{certificateKey, chainKey} {
		text, err := l.annotation(key)
		if err != nil {
			return nil, err
		}
		for rest := []byte(text); len(strings.TrimSpace(string(rest))) > 0; {
			var b *pem.Block
			if b, rest = pem.Decode(rest); b == nil || b.Type != "CERTIFICATE" {
				return nil, fault.Damaged("annotation %s holds something else than certificates", key)
			}
			list = append(list, &commonpb.X509Certificate{RawBytes: b.Bytes})
			if len(list) > maxChain {
				return nil, fault.Damaged("has a chain of more than %d certificates", maxChain)
			}
		}
		if key == certificateKey && len(list) > 1 {
			return nil, fault.Damaged("annotation %s holds %d certificates", key, len(list))
		}
		if len(list) == 0 {
			break // a chain above nothing says nothing
		}
	}
	return list, nil
}

// parseLogged reads what Rekor answered when the signature was made: the entry,
// and the log's signed promise to take it in.
func parseLogged(data []byte) (*rekorpb.TransparencyLogEntry, error) {
	top, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	var promise string
	if err := top.get("SignedEntryTimestamp", &promise); err != nil {
		return nil, err
	}
	said, err := top.object("Payload", "body", "integratedTime", "logIndex", "logID")
	if err != nil {
		return nil, err
	}
	var body, log string
	e := new(rekorpb.TransparencyLogEntry)
	for name, to := range map[string]any{"body": &body, "logID": &log, "integratedTime": &e.IntegratedTime, "logIndex": &e.LogIndex} {
		if err := said.get(name, to); err != nil {
			return nil, err
		}
	}
	set, err := decodeBase64(promise)
	if err != nil {
		return nil, err
	}
	if len(set) == 0 {
		return nil, fault.Damaged("has no promise of the log")
	}
	e.InclusionPromise = &rekorpb.InclusionPromise{SignedEntryTimestamp: set}
	if e.CanonicalizedBody, err = decodeBase64(body); err != nil {
		return nil, err
	}
	id, err := hex.DecodeString(log)
	if err != nil {
		return nil, fault.Damaged("names the log %.100q", log)
	}
	e.LogId = &commonpb.LogId{KeyId: id}
	entry, err := parseObject(e.CanonicalizedBody)
	if err != nil {
		return nil, err
	}
	e.KindVersion = new(rekorpb.KindVersion)
	if err := entry.get("kind", &e.KindVersion.Kind); err != nil {
		return nil, err
	}
	return e, entry.get("apiVersion", &e.KindVersion.Version)
}

func parseTimestamp(data []byte) ([]byte, error) {
	top, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	var text string
	if err := top.get("SignedRFC3161Timestamp", &text); err != nil {
		return nil, err
	}
	stamp, err := decodeBase64(text)
	if err == nil && len(stamp) == 0 {
		err = fault.Damaged("has no timestamp")
	}
	return stamp, err
}

// decodeBase64 takes the one spelling of standard base64, without line breaks.
func decodeBase64(s string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") {
		return nil, fault.Damaged("holds something that is not base64")
	}
	return b, nil
}
