package verify

import (
	"errors"
	"fmt"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"

	"bale/bundle/container"
	"bale/sign"
)

// ErrOther is what [Authority.Check] returns for a signature that is not by
// whom it stands for and does not claim to be. It should say, wrapped, whose it
// is; see [Other].
var ErrOther = errors.New("by somebody else")

// Authority is trusted material: one signer whom the user knows, and all that
// it takes to check that a signature is by that signer, offline.
type Authority interface {
	// String names the signer for people.
	String() string
	// Form is the form of signature that it can check. Signatures of a form
	// that no authority is given for are not even parsed.
	Form() sign.Form
	// Check returns who made the signature, if that is the authority's signer,
	// or several where one entry holds several. It fails with
	//
	//   - [ErrOther]: the signature is not by the signer, or counts no more
	//     ([Stale]), and is passed over
	//   - [fault.ErrDamaged]: the entry is malformed, which refuses the bundle
	//   - any other kind: it claims to be by the signer and does not verify;
	//     that refuses the bundle. Only where it is a certificate that claims it,
	//     which anybody can write, another authority may still accept the entry
	//
	// The errors do not name the entry.
	Check(e *Evidence, message []byte) ([]Signer, error)
}

// Evidence is one signature entry of a form that is known. Nothing of it is
// believed yet.
type Evidence struct {
	Entry string
	Form  sign.Form
	Data  []byte

	bundle    *bundlepb.Bundle
	anonymous bool // it does not say which key it is by
}

// Sigstore returns the parsed Sigstore bundle, which is well-formed, in its one
// canonical form, and of version 0.3; nil for evidence of another form. It must
// not be changed.
func (e *Evidence) Sigstore() *bundlepb.Bundle { return e.bundle }

// certified reports whether the signature is by a certificate.
func (e *Evidence) certified() bool {
	return e.bundle != nil && e.bundle.GetVerificationMaterial().GetPublicKey() == nil
}

// newEvidence returns the evidence in an entry; nil if its form is unknown. It
// parses what is in Sigstore's form.
func newEvidence(entry string, data []byte) (*Evidence, error) {
	form, _ := container.SignatureForm(entry)
	if form == container.NoForm {
		return nil, nil
	}
	e := &Evidence{Entry: entry, Form: form, Data: data}
	if form != container.Sigstore {
		return e, nil
	}
	var err error
	e.bundle, err = parseSigstore(data)
	return e, err
}

// Other returns an [ErrOther] that says in words whose signature it is, such as
// "by key 3f2a-9c01-77de-4b10-88aa".
func Other(format string, args ...any) error {
	return &other{fmt.Sprintf(format, args...)}
}

// Stale returns an [ErrOther] for a signature that is by the signer, and fits, but
// counts no more or not yet, such as by a key that has expired: nobody altered
// anything, so it does not speak against the bundle. err says why.
func Stale(err error) error { return &stale{err} }

type stale struct{ error }

func (s *stale) Is(target error) bool { return target == ErrOther }
func (s *stale) Unwrap() error        { return s.error }

type other struct{ text string }

func (o *other) Error() string        { return o.text }
func (o *other) Is(target error) bool { return target == ErrOther }
