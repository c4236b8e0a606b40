package verify

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/sign"
)

// Media types of Sigstore bundles, see
// https://github.com/sigstore/protobuf-specs/blob/v0.5.1/protos/sigstore_bundle.proto
const (
	mediaTypePrefix = "application/vnd.dev.sigstore.bundle"
	mediaTypeLong   = "application/vnd.dev.sigstore.bundle+json;version=0.3"
)

// parseSigstore reads a Sigstore bundle in JSON. Errors do not name the entry.
//
// Log entries, timestamps and certificates may be there: an [Authority] looks
// at them if it needs them.
func parseSigstore(data []byte) (*bundlepb.Bundle, error) {
	if len(data) > bundle.MaxSignature {
		return nil, fault.Damaged("has %d bytes, more than the %d of a signature", len(data), bundle.MaxSignature)
	}
	if err := checkMediaType(data); err != nil {
		return nil, err
	}
	var pb bundlepb.Bundle
	if err := protojson.Unmarshal(data, &pb); err != nil {
		return nil, fault.Damaged("is not a Sigstore bundle: %s", Clip(err.Error()))
	}
	if err := checkCanonical(data, &pb); err != nil {
		return nil, err
	}
	switch pb.GetVerificationMaterial().GetContent().(type) {
	case *bundlepb.VerificationMaterial_PublicKey, *bundlepb.VerificationMaterial_Certificate, *bundlepb.VerificationMaterial_X509CertificateChain:
	default:
		return nil, fault.Damaged("does not say which key made the signature")
	}
	switch c := pb.GetContent().(type) {
	case *bundlepb.Bundle_MessageSignature:
		if len(c.MessageSignature.GetSignature()) == 0 {
			return nil, fault.Damaged("has an empty signature")
		}
	case *bundlepb.Bundle_DsseEnvelope:
	default:
		return nil, fault.Damaged("has no signature in it")
	}
	return &pb, nil
}

// checkMediaType looks at the version before anything else, so that a newer
// bundle is told from a damaged one.
func checkMediaType(data []byte) error {
	var head struct{ MediaType string }
	if err := json.Unmarshal(data, &head); err != nil {
		return fault.Damaged("is not JSON: %w", err)
	}
	switch {
	case head.MediaType == sign.MediaType || head.MediaType == mediaTypeLong:
		return nil
	case strings.HasPrefix(head.MediaType, mediaTypePrefix):
		return fault.WithHint(fault.Unsupported("is a Sigstore bundle of another version: %s", Clip(head.MediaType)),
			"this version of bale reads 0.3 only; a newer bale may read it, or ask for a signature by bale or cosign 3")
	}
	return fault.Damaged("is not a Sigstore bundle: media type is %q", Clip(head.MediaType))
}

// checkCanonical refuses every other spelling of the same bundle that the
// parser lets through: other field names, base64 alphabets and padding bits,
// numbers for names, nulls, fields that are empty.
func checkCanonical(data []byte, pb *bundlepb.Bundle) error {
	again, err := protojson.Marshal(pb)
	if err != nil {
		return fault.Damaged("cannot be encoded again: %w", err)
	}
	was, err := decodeJSON(data)
	if err != nil {
		return fault.Damaged("is not JSON: %w", err)
	}
	is, err := decodeJSON(again)
	if err != nil {
		return fault.Damaged("cannot be encoded again: %w", err)
	}
	if !reflect.DeepEqual(was, is) {
		return fault.Damaged("is a Sigstore bundle in other words than its own: a field is altered or not in canonical form")
	}
	return nil
}

// decodeJSON keeps numbers as they are written.
func decodeJSON(data []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}
