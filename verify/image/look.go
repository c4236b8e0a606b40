package image

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"

	"bale/bundle/fault"
	"bale/verify"
)

// candidate is something attached that may be a signature or an attestation.
type candidate struct {
	Finding
	evidence *verify.Evidence
	message  []byte // that the signature is over; nil if it is over an envelope
	older    bool   // it is one of cosign's payloads, which can say a name
}

// look looks at all that one manifest attaches to a part. What was seen already
// is passed over.
func (x *examination) look(ctx context.Context, p *part, a Attached, seen map[string]bool) error {
	plain := Finding{Of: p.digest, In: a.name()}
	if a.Kind != "" && a.Kind != "sig" && a.Kind != "att" {
		return x.note(plain, verify.Noted, "is not a signature: %q", verify.Clip(a.Kind))
	}
	data, err := x.take(ctx, a.Digest, MaxManifest)
	if err != nil {
		return x.failed(plain, err)
	}
	layers, subject, err := parseLayers(data)
	if err != nil {
		return x.failed(plain, formError{err})
	}
	if a.Tag == "" && subject != p.digest {
		return x.note(plain, verify.Ignored, "is attached to another image")
	}
	if len(layers) == 0 {
		return x.note(plain, verify.Noted, "is not a signature: it is empty")
	}
	for i, l := range layers {
		f := plain
		if len(layers) > 1 {
			f.In = fmt.Sprintf("%s layer %d", a.name(), i+1)
		}
		limit := l.limit()
		if limit == 0 {
			if err := x.note(f, verify.Noted, "is not a signature: %q", verify.Clip(l.mediaType)); err != nil {
				return err
			}
			continue
		}
		key := l.key()
		if seen[key] {
			if err := x.note(f, verify.Ignored, "is there already"); err != nil {
				return err
			}
			continue
		}
		seen[key] = true
		c := &candidate{Finding: f}
		if err := x.open(ctx, c, l, limit); err != nil {
			if err := x.failed(c.Finding, err); err != nil {
				return err
			}
			continue
		}
		if err := x.weigh(p, c); err != nil {
			return err
		}
	}
	return nil
}

// key tells whether two layers are the same signature.
func (l layer) key() string {
	h := sha256.New()
	for _, s := range []string{l.mediaType, l.digest.String(), l.annotations[signatureKey], l.annotations[certificateKey], l.annotations[logKey]} {
		fmt.Fprintf(h, "%d %s", len(s), s)
	}
	return string(h.Sum(nil))
}

// take reads something of a bounded size, within what one image may have.
func (x *examination) take(ctx context.Context, d digest.Digest, limit int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, err := x.content.Read(ctx, d, limit)
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, &TooLargeError{fault.Damaged("has %d bytes, more than %d", len(data), limit)}
	}
	if x.read += int64(len(data)); x.read > MaxRead {
		return nil, errBound("what is attached to it has more than %d bytes", int64(MaxRead))
	}
	return data, nil
}

// boundError is a [fault.ErrDamaged] that ends the examination.
type boundError struct{ error }

func (e boundError) Unwrap() error { return e.error }

// formError is what is wrong with what somebody attached, whose bytes are what
// their digest says.
type formError struct{ error }

func (e formError) Unwrap() error { return e.error }

func errBound(format string, args ...any) error { return boundError{fault.Damaged(format, args...)} }

// note adds a finding that does not count.
func (x *examination) note(f Finding, v verify.Verdict, format string, args ...any) error {
	f.Verdict, f.Reason = v, fmt.Sprintf(format, args...)
	x.explain(v, "%s %s", f.In, f.Reason)
	return x.add(f)
}

func (x *examination) add(f Finding) error {
	if len(x.result.Findings) == MaxFindings {
		return errBound("more than %d signatures and attestations are attached to it", MaxFindings)
	}
	x.result.Findings = append(x.result.Findings, f)
	return nil
}

// failed adds a finding that could not be read. What is wrong with the content
// and not with what it says ends the examination.
func (x *examination) failed(f Finding, err error) error {
	var bound boundError
	var large *TooLargeError
	var form formError
	switch {
	case errors.As(err, &bound):
		return err
	case errors.As(err, &large):
		return x.note(f, verify.Ignored, "is too large to be looked at: %v", err)
	case errors.Is(err, fault.ErrMissing):
		x.missing = append(x.missing, fmt.Errorf("%s: %w", f.In, err))
		return x.note(f, verify.Ignored, "is not there: %v", err)
	case errors.As(err, &form):
		return x.note(f, verify.Ignored, "%v", err)
	}
	return fmt.Errorf("%s: %w", f.In, err)
}

// open reads a candidate. It fails with a [formError] if it is nothing that could
// count.
func (x *examination) open(ctx context.Context, c *candidate, l layer, limit int64) error {
	data, err := x.take(ctx, l.digest, limit)
	if err != nil {
		return err
	}
	switch {
	case l.mediaType == simpleSigning:
		err = c.payload(l, data)
	case l.mediaType == envelopeType:
		var pb *bundlepb.Bundle
		if pb, err = l.envelope(data); err == nil {
			err = c.envelope(verify.EvidenceOf(pb))
		}
	default:
		var e *verify.Evidence
		if e, err = verify.ParseEvidence(data); err != nil {
			break
		}
		if e.Sigstore().GetDsseEnvelope() != nil {
			err = c.envelope(e)
			break
		}
		// Over the bytes of the image's manifest, so that it can be for no other.
		c.Kind, c.evidence = KindSignature, e
		if c.message, err = x.take(ctx, c.Of, MaxManifest); err != nil {
			return err
		}
	}
	if err != nil {
		return formError{err}
	}
	return nil
}

// payload takes in one of cosign's older signatures.
func (c *candidate) payload(l layer, data []byte) error {
	c.Kind, c.older = KindSignature, true
	p, err := parsePayload(data)
	if err != nil {
		return err
	}
	c.Reference = p.reference
	if p.image != c.Of {
		return otherImage(p.image.String())
	}
	pb, err := l.signature(data)
	if err != nil {
		return err
	}
	c.evidence, c.message = verify.EvidenceOf(pb), data
	return nil
}

// envelope takes in a statement in an envelope.
func (c *candidate) envelope(e *verify.Evidence) error {
	env := e.Sigstore().GetDsseEnvelope()
	if env.GetPayloadType() != statementType {
		return fault.Unsupported("is an envelope with %q in it, no statement", verify.Clip(env.GetPayloadType()))
	}
	s, err := parseStatement(env.GetPayload())
	if err != nil {
		return err
	}
	if c.Kind = KindAttestation; s.predicate == SignaturePredicate {
		c.Kind = KindSignature
	} else {
		c.Type = s.predicate
	}
	if !s.about(c.Of) {
		return otherImage(s.of())
	}
	c.evidence = e
	return nil
}

func otherImage(of string) error { return fault.Untrusted("is for another image, %s", verify.Clip(of)) }

// weigh has the authorities look at a candidate.
func (x *examination) weigh(p *part, c *candidate) error {
	if c.older && x.options.Named != nil && (c.Reference == "" || !x.options.Named(c.Reference)) {
		return x.note(c.Finding, verify.Ignored, "was made for the name %q", verify.Clip(c.Reference))
	}
	if !x.options.AllowPromise && promised(c.evidence.Sigstore()) {
		x.promised = true
		return x.note(c.Finding, verify.Ignored, "is by a certificate for which the log gave a promise only, and no proof")
	}
	var others []string
	var refused error
	by := make(found)
	for _, a := range x.authorities {
		signers, err := c.check(a)
		switch {
		case errors.Is(err, fault.ErrUsage):
			return err
		case errors.Is(err, verify.ErrOther):
			others = append(others, "is "+err.Error())
		case errors.Is(err, fault.ErrDamaged):
			others = append(others, err.Error())
		case err != nil && refused == nil:
			refused = fault.Untrusted("%s by %s does not verify: %w", c.what(), a, err)
		case err != nil:
		default:
			for _, s := range signers {
				s.Entry = c.In
				by[a] = append(by[a], s)
				c.Signers = append(c.Signers, s)
			}
		}
	}
	switch {
	case len(c.Signers) > 0:
		c.Verdict = verify.Passed
		for a, signers := range by {
			p.add(c.Type, a, signers)
		}
		for _, s := range c.Signers {
			x.explain(verify.Passed, "%s: %s by %s", c.In, c.what(), verify.Clip(s.String()))
		}
		return x.add(c.Finding)
	case refused != nil:
		x.refused = append(x.refused, fmt.Errorf("%s: %w", short(c.In), refused))
		return x.note(c.Finding, verify.Failed, "%v", refused)
	}
	slices.Sort(others)
	return x.note(c.Finding, verify.Ignored, "%s", strings.Join(slices.Compact(others), ", "))
}

// check has one authority look at it.
func (c *candidate) check(a verify.Attesting) ([]verify.Signer, error) {
	if c.message == nil {
		return a.CheckEnvelope(c.evidence)
	}
	return a.Check(c.evidence, c.message)
}

// what says what a finding is.
func (f *Finding) what() string {
	if f.Kind == KindAttestation {
		return fmt.Sprintf("attestation %s", verify.Clip(f.Type))
	}
	return string(f.Kind)
}

// add notes who signed.
func (p *part) add(kind string, a verify.Authority, signers []verify.Signer) {
	if p.found[kind] == nil {
		p.found[kind] = make(found)
	}
	p.found[kind][a] = append(p.found[kind][a], signers...)
}

// promised reports whether a certificate's signature is in a log of which it has
// the promise only.
func promised(pb *bundlepb.Bundle) bool {
	m := pb.GetVerificationMaterial()
	return m.GetPublicKey() == nil && slices.ContainsFunc(m.GetTlogEntries(), func(e *rekorpb.TransparencyLogEntry) bool {
		return e.GetInclusionProof() == nil
	})
}
