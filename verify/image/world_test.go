package image_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	dssepb "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"google.golang.org/protobuf/encoding/protojson"

	"bale/bundle/fault"
	"bale/sign"
	"bale/verify"
	"bale/verify/image"
)

const (
	simpleSigning = "application/vnd.dev.cosign.simplesigning.v1+json"
	envelopeType  = "application/vnd.dsse.envelope.v1+json"
	statementType = "application/vnd.in-toto+json"
	provenance    = "https://slsa.dev/provenance/v1"

	signatureKey   = "dev.cosignproject.cosign/signature"
	certificateKey = "dev.sigstore.cosign/certificate"
	chainKey       = "dev.sigstore.cosign/chain"
	logKey         = "dev.sigstore.cosign/bundle"
	timestampKey   = "dev.sigstore.cosign/rfc3161timestamp"
)

// world is an image and what is attached to it, in memory.
type world struct {
	t        testing.TB
	blobs    map[digest.Digest][]byte
	children map[digest.Digest][]digest.Digest
	attached map[digest.Digest][]image.Attached
	gone     map[digest.Digest]bool // listed and not there

	index, amd, arm digest.Digest
}

func newWorld(t testing.TB) *world {
	w := &world{
		t: t, blobs: make(map[digest.Digest][]byte), children: make(map[digest.Digest][]digest.Digest),
		attached: make(map[digest.Digest][]image.Attached), gone: make(map[digest.Digest]bool),
	}
	w.amd, w.arm = w.put([]byte(`{"of":"amd64"}`)), w.put([]byte(`{"of":"arm64"}`))
	w.index = w.put([]byte(`{"lists":["amd64","arm64"]}`))
	w.children[w.index] = []digest.Digest{w.amd, w.arm}
	return w
}

func (w *world) put(b []byte) digest.Digest {
	d := digest.FromBytes(b)
	w.blobs[d] = b
	return d
}

func (w *world) Read(_ context.Context, d digest.Digest, limit int64) ([]byte, error) {
	b, ok := w.blobs[d]
	switch {
	case !ok || w.gone[d]:
		return nil, fault.Missing("blob %s is not there", d)
	case int64(len(b)) > limit:
		return nil, &image.TooLargeError{Err: fault.Damaged("%s has %d bytes", d, len(b))}
	case digest.FromBytes(b) != d:
		return nil, fault.Damaged("%s has another digest", d)
	}
	return b, nil
}

func (w *world) Children(_ context.Context, d digest.Digest) ([]digest.Digest, error) {
	return w.children[d], nil
}

func (w *world) Attached(_ context.Context, d digest.Digest) ([]image.Attached, error) {
	return w.attached[d], nil
}

// layer is one layer of a manifest with signatures.
type layer struct {
	mediaType   string
	content     []byte
	annotations map[string]string
}

// manifest puts a manifest together; extra are more members of it.
func (w *world) manifest(extra map[string]any, layers ...layer) digest.Digest {
	var list []any
	for _, l := range layers {
		list = append(list, map[string]any{
			"mediaType": l.mediaType, "size": len(l.content), "digest": w.put(l.content), "annotations": l.annotations,
		})
	}
	m := map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": list}
	for k, v := range extra {
		m[k] = v
	}
	b, err := json.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.put(b)
}

// tag attaches layers under one of cosign's tags.
func (w *world) tag(to digest.Digest, kind string, layers ...layer) {
	w.attached[to] = append(w.attached[to], image.Attached{
		Digest: w.manifest(nil, layers...), Tag: "sha256-" + to.Encoded() + "." + kind, Kind: kind,
	})
}

// refer attaches layers as a referrer.
func (w *world) refer(to digest.Digest, layers ...layer) {
	subject := map[string]any{"mediaType": "application/vnd.oci.image.index.v1+json", "size": 1, "digest": to}
	w.attached[to] = append(w.attached[to], image.Attached{Digest: w.manifest(map[string]any{"subject": subject}, layers...)})
}

// key returns one of the keys of testdata/keys.
func key(t testing.TB, name string) *sign.PrivateKey {
	t.Helper()
	k, err := sign.LoadPrivateKey(filepath.Join("..", "..", "testdata", "keys", name), nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// raw returns the bare signature of a key.
func raw(t testing.TB, k *sign.PrivateKey, message []byte) []byte {
	t.Helper()
	sig, err := k.Sign(t.Context(), message)
	if err != nil {
		t.Fatal(err)
	}
	var pb bundlepb.Bundle
	if err := protojson.Unmarshal(sig.Data, &pb); err != nil {
		t.Fatal(err)
	}
	return pb.GetMessageSignature().GetSignature()
}

// payloadFor is what cosign's older signatures are over.
func payloadFor(d digest.Digest, reference string) []byte {
	return []byte(`{"critical":{"identity":{"docker-reference":"` + reference + `"},"image":{"docker-manifest-digest":"` + d.String() +
		`"},"type":"cosign container image signature"},"optional":null}`)
}

// older is one of cosign's older signatures.
func older(t testing.TB, k *sign.PrivateKey, payload []byte) layer {
	return layer{simpleSigning, payload, map[string]string{signatureKey: base64.StdEncoding.EncodeToString(raw(t, k, payload))}}
}

// statementFor is an in-toto statement about d.
func statementFor(d digest.Digest, predicate string) []byte {
	return []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"` + d.Encoded() +
		`"}}],"predicateType":"` + predicate + `","predicate":{"x":1}}`)
}

// olderEnvelope is one of cosign's older attestations.
func olderEnvelope(t testing.TB, k *sign.PrivateKey, statement []byte) layer {
	b, err := json.Marshal(map[string]any{
		"payload": statement, "payloadType": statementType,
		"signatures": []any{map[string]any{"keyid": "", "sig": raw(t, k, dsse.PAE(statementType, statement))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return layer{envelopeType, b, map[string]string{signatureKey: "", "predicateType": provenance}}
}

// newer is a Sigstore bundle over a statement, changed before it is written.
func newer(t testing.TB, k *sign.PrivateKey, statement []byte, change ...func(*bundlepb.Bundle)) layer {
	return sigstore(t, &bundlepb.Bundle{
		MediaType: sign.MediaType, VerificationMaterial: material(k),
		Content: &bundlepb.Bundle_DsseEnvelope{DsseEnvelope: &dssepb.Envelope{
			Payload: statement, PayloadType: statementType,
			Signatures: []*dssepb.Signature{{Sig: raw(t, k, dsse.PAE(statementType, statement))}},
		}},
	}, change...)
}

func material(k *sign.PrivateKey) *bundlepb.VerificationMaterial {
	return &bundlepb.VerificationMaterial{Content: &bundlepb.VerificationMaterial_PublicKey{
		PublicKey: &commonpb.PublicKeyIdentifier{Hint: k.Public().Hint()},
	}}
}

func sigstore(t testing.TB, pb *bundlepb.Bundle, change ...func(*bundlepb.Bundle)) layer {
	t.Helper()
	for _, c := range change {
		c(pb)
	}
	b, err := protojson.Marshal(pb)
	if err != nil {
		t.Fatal(err)
	}
	return layer{sign.MediaType, b, nil}
}

// by asks for a signature by all of some keys.
func by(keys ...*sign.PrivateKey) []verify.Rule {
	var r verify.Rule
	for _, k := range keys {
		r.Of = append(r.Of, verify.Key(k.Public()))
	}
	return []verify.Rule{r}
}

// check decides about the image of the world.
func (w *world) check(req image.Requirement, o image.Options) (*image.Result, error) {
	return image.Check(w.t.Context(), w, image.Image{Name: "app:1", Digest: w.index}, req, o)
}
