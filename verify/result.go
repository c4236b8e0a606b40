package verify

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"bale/bundle"
	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/sign"
)

// Result says which SHA256SUMS may be believed, and why. The zero value
// vouches for nothing.
type Result struct {
	sums     digest.Digest
	signers  []Signer
	accepted []string
}

// Signer is somebody trusted who signed. All fields are verified.
type Signer struct {
	Entry string // the signature's entry, such as "SHA256SUMS.sigstore.json"
	sign.Identity
	Name string // what a policy calls them; "" if no policy does
	// IDs tell whether two signers are one: then they have one in common. There
	// is at least one. See [sign.PublicKey.ID].
	IDs []string
	// Times are when it was signed, and who says so; none where nobody does.
	Times []Time
	// Evidence is what else was verified, in words: a log's entry, a chain.
	Evidence []string
	// Roles are the names, in the policy, of the rules that it counted for.
	Roles []string
}

// String says who it is, for people.
func (s Signer) String() string {
	if s.Name == "" {
		return s.Identity.String()
	}
	return s.Name + ", " + s.Identity.String()
}

// Time is a time at which a signature existed.
type Time struct {
	At     time.Time
	Source string // who says so, such as "timestamp authority tsa.example" or "the signer"
	Proven bool   // by somebody else whom the user trusts, not by the signer
}

// add notes who signed for an alternative that is met.
func (r *Result) add(a Alternative, x *examined) {
	for _, rule := range a.Rules {
		for _, who := range rule.Of {
			for _, s := range x.found[who] {
				i := slices.IndexFunc(r.signers, func(o Signer) bool { return o.same(s) })
				if i < 0 {
					i = len(r.signers)
					r.signers = append(r.signers, s)
				}
				for _, name := range []string{a.Name, rule.Name} {
					if name != "" && !slices.Contains(r.signers[i].Roles, name) {
						r.signers[i].Roles = append(slices.Clip(r.signers[i].Roles), name)
					}
				}
			}
		}
	}
	slices.SortStableFunc(r.signers, func(a, b Signer) int { return compareEntries(a.Entry, b.Entry) })
}

// same reports whether two signers are one.
func (s Signer) same(o Signer) bool {
	return slices.ContainsFunc(s.IDs, func(id string) bool { return slices.Contains(o.IDs, id) })
}

// compareEntries orders signature entries as they stand in a bundle.
func compareEntries(a, b string) int {
	fa, na := container.SignatureForm(a)
	fb, nb := container.SignatureForm(b)
	return cmp.Or(cmp.Compare(fa, fb), cmp.Compare(na, nb))
}

// Accepted returns the names of the alternatives of trust that are met.
func (r *Result) Accepted() []string { return slices.Clone(r.accepted) }

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
