package verify

import (
	"crypto/sha256"
	"slices"

	"github.com/opencontainers/go-digest"

	"bale/bundle"
	"bale/bundle/fault"
)

// Result says which SHA256SUMS may be believed, and why. The zero value
// vouches for nothing.
type Result struct {
	sums    digest.Digest
	signers []Signer
}

// Signer is a trusted key that signed. All fields are verified.
type Signer struct {
	Entry       string // the signature's entry, such as "SHA256SUMS.sigstore.json"
	Hint        string // see [sign.PublicKey.Hint]
	Fingerprint string // see [sign.Fingerprint]
	Algorithm   string // see [sign.PublicKey.Algorithm]
}

// WithoutSignatureUnsafe returns a result that vouches for env's SHA256SUMS
// without any check and has no signers. It is for a user who said that no
// signature is wanted, and for nothing else.
func WithoutSignatureUnsafe(env *bundle.Envelope) *Result {
	if env == nil {
		return new(Result)
	}
	return newResult(sha256.Sum256(env.Sums()), nil)
}

func newResult(sum [sha256.Size]byte, signers []Signer) *Result {
	return &Result{sums: digest.NewDigestFromBytes(digest.SHA256, sum[:]), signers: signers}
}

// Signers returns who signed, each key once, in the order of the entries. It
// is empty only after [WithoutSignatureUnsafe].
func (r *Result) Signers() []Signer { return slices.Clone(r.signers) }

// SumsDigest returns the SHA-256 of the SHA256SUMS that the result vouches
// for; it is empty for the zero value.
func (r *Result) SumsDigest() digest.Digest { return r.sums }

// Vouches fails with [fault.ErrUntrusted] unless sums are exactly the bytes of
// SHA256SUMS that the result was made for.
func (r *Result) Vouches(sums []byte) error {
	if r == nil || r.sums == "" {
		return fault.Untrusted("bundle was not verified")
	}
	if got := digest.FromBytes(sums); got != r.sums {
		return fault.Untrusted("SHA256SUMS has digest %s, and %s was verified", got, r.sums)
	}
	return nil
}

var _ bundle.Voucher = (*Result)(nil)
