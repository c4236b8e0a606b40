package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"bale/bundle/fault"
	"bale/sign"
)

// Attesting is an [Authority] that also checks what is attached to images. All
// authorities of Sigstore's form are.
type Attesting interface {
	Authority
	// CheckEnvelope verifies the one signature of the DSSE envelope in e, over
	// its payload and payload type; errors are as for Check.
	CheckEnvelope(e *Evidence) ([]Signer, error)
}

// EvidenceOf returns the evidence in a Sigstore bundle that does not come from
// an entry of a bale bundle. If it names a key with an empty hint, each key is
// tried: cosign's older signatures name none.
func EvidenceOf(pb *bundlepb.Bundle) *Evidence {
	key := pb.GetVerificationMaterial().GetPublicKey()
	return &Evidence{Form: sign.Sigstore, bundle: pb, anonymous: key != nil && key.GetHint() == ""}
}

// attachedTypes are the media types of Sigstore bundles that may be attached to
// images: cosign and others wrote the older ones too.
var attachedTypes = []string{
	sign.MediaType, mediaTypeLong,
	mediaTypePrefix + "+json;version=0.2",
	mediaTypePrefix + "+json;version=0.1",
}

// ParseEvidence reads a Sigstore bundle that is attached to an image. Its own
// form does not matter as it does for an entry of a bale bundle, since the
// image's own digests name it. Versions before 0.3 are taken too.
func ParseEvidence(data []byte) (*Evidence, error) {
	var pb bundlepb.Bundle
	if err := protojson.Unmarshal(data, &pb); err != nil {
		return nil, fault.Damaged("is not a Sigstore bundle: %s", Clip(err.Error()))
	}
	if !slices.Contains(attachedTypes, pb.GetMediaType()) {
		return nil, fault.Unsupported("is a Sigstore bundle of another version: %q", Clip(pb.GetMediaType()))
	}
	switch pb.GetVerificationMaterial().GetContent().(type) {
	case *bundlepb.VerificationMaterial_PublicKey, *bundlepb.VerificationMaterial_Certificate, *bundlepb.VerificationMaterial_X509CertificateChain:
	default:
		return nil, fault.Damaged("does not say which key made the signature")
	}
	if len(pb.GetMessageSignature().GetSignature()) == 0 && pb.GetDsseEnvelope() == nil {
		return nil, fault.Damaged("has no signature in it")
	}
	return EvidenceOf(&pb), nil
}

// CheckEnvelope implements [Attesting].
func (a keyAuthority) CheckEnvelope(e *Evidence) ([]Signer, error) {
	if err := a.named(e); err != nil {
		return nil, err
	}
	env := e.bundle.GetDsseEnvelope()
	if env == nil || len(env.GetSignatures()) != 1 {
		return nil, fault.Damaged("has no envelope with one signature")
	}
	err := a.key.Verify(dsse.PAE(env.GetPayloadType(), env.GetPayload()), env.GetSignatures()[0].GetSig())
	switch {
	case err != nil && e.anonymous:
		return nil, Other("by another key")
	case err != nil:
		err = fault.Untrusted("signature does not fit what it is attached to: %w", err)
		if a.key.IsED25519() {
			err = fault.WithHint(err, "unless it was altered: cosign 3 signs images with ED25519 keys in a form (ED25519ph) that it does not verify itself; "+
				"sign them with another kind of key")
		}
		return nil, err
	}
	return []Signer{{Identity: a.key.Identity(), IDs: []string{a.key.ID()}}}, nil
}

// CheckRules refuses rules that nobody could have meant, and those that cannot be
// met because their authorities are not [Attesting].
func CheckRules(rules []Rule) error {
	t := Trust{Alternatives: []Alternative{{Rules: rules}}}
	if err := t.check(); err != nil {
		return err
	}
	for _, r := range rules {
		n := 0
		for _, a := range r.Of {
			if _, ok := a.(Attesting); ok {
				n++
			}
		}
		if n < r.need() {
			can := "none of them can"
			if n > 0 {
				can = fmt.Sprintf("only %d of them can", n)
			}
			return fault.WithHint(fault.Usage("%s cannot be met: it needs %s, and %s sign images", r.title(), r.describe(), can),
				"images are signed as cosign does it: with a key in PEM form, or a certificate")
		}
	}
	return nil
}

// Lacking says in words which of some rules are not met by those who were found
// to have signed.
func Lacking(rules []Rule, found map[Authority][]Signer) []string {
	var list []string
	for _, r := range rules {
		n, missing := r.met(found)
		if n >= r.need() {
			continue
		}
		text := "needs " + r.describe()
		if r.Name != "" {
			text = r.title() + " " + text
		}
		if n > 0 {
			var names []string
			for _, m := range missing {
				names = append(names, m.String())
			}
			text = fmt.Sprintf("%s, has %d, without %s", text, n, strings.Join(names, ", "))
		}
		list = append(list, text)
	}
	return list
}
