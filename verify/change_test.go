package verify_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	dssepb "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

func parsed(t testing.TB, sig []byte) *bundlepb.Bundle {
	t.Helper()
	b := new(bundlepb.Bundle)
	if err := protojson.Unmarshal(sig, b); err != nil {
		t.Fatal(err)
	}
	return b
}

// change returns sig with f done to it.
func change(t testing.TB, sig []byte, f func(*bundlepb.Bundle)) []byte {
	t.Helper()
	b := parsed(t, sig)
	f(b)
	data, err := protojson.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func certified(b *bundlepb.Bundle) {
	b.VerificationMaterial.Content = &bundlepb.VerificationMaterial_Certificate{
		Certificate: &commonpb.X509Certificate{RawBytes: []byte("certificate")},
	}
}

func attestation(b *bundlepb.Bundle) {
	b.Content = &bundlepb.Bundle_DsseEnvelope{DsseEnvelope: &dssepb.Envelope{
		Payload: sums, PayloadType: "text/plain", Signatures: []*dssepb.Signature{{Sig: []byte("signature")}},
	}}
}

func logged(b *bundlepb.Bundle) {
	b.VerificationMaterial.TlogEntries = []*rekorpb.TransparencyLogEntry{{
		LogIndex: 1 << 60, IntegratedTime: 1700000000, CanonicalizedBody: []byte("body"),
		InclusionProof: &rekorpb.InclusionProof{LogIndex: 7, TreeSize: 8, Hashes: [][]byte{[]byte("hash")}},
	}}
	b.VerificationMaterial.TimestampVerificationData = &bundlepb.TimestampVerificationData{
		Rfc3161Timestamps: []*commonpb.RFC3161SignedTimestamp{{SignedTimestamp: []byte("timestamp")}},
	}
}

// urlBase64 returns sig with the signature in the other base64 alphabet.
func urlBase64(t testing.TB, sig []byte) []byte {
	t.Helper()
	before, after, ok := bytes.Cut(sig, []byte(`"signature":`))
	changed := strings.NewReplacer("+", "-", "/", "_").Replace(string(after))
	if !ok || changed == string(after) {
		t.Fatalf("no letter to change in %s", sig)
	}
	return fmt.Appendf(nil, `%s"signature":%s`, before, changed)
}

func indented(t testing.TB, sig []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, sig, "", "\t"); err != nil {
		t.Fatal(err)
	}
	out.WriteString("\r\n")
	return out.Bytes()
}
