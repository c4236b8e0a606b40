package verify

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"

	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"

	"bale/bundle"
	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/sign"
)

// Verify returns a result if at least one key of trust signed env's
// SHA256SUMS and nothing speaks against it; see the package comment for the
// rules. Its errors are of the kinds
//
//   - [fault.ErrUsage]: trust names no key
//   - [fault.ErrUntrusted]: not signed, not by a key of trust, or altered since
//   - [fault.ErrDamaged]: a signature entry is malformed
//   - [fault.ErrUnsupported]: a signature is in a newer or another form
func Verify(env *bundle.Envelope, trust Trust) (*Result, error) {
	keys, err := trust.byHint()
	if err != nil {
		return nil, err
	}
	if env == nil || len(env.Sums()) == 0 {
		return nil, fault.Damaged("SHA256SUMS is empty")
	}
	if n := len(env.Signatures()); n > maxSignatures {
		return nil, fault.Damaged("bundle has %d signatures, more than %d", n, maxSignatures)
	}

	var (
		sums    = env.Sums()
		sum     = sha256.Sum256(sums)
		signers []Signer
		ignored []string // what was found and did not count, in words
		entries = make(map[string]bool)
		counted = make(map[string]bool) // by hint
	)
	for _, sig := range env.Signatures() {
		if entries[sig.Entry] {
			return nil, fault.Damaged("bundle has the entry %q twice", clip(sig.Entry))
		}
		entries[sig.Entry] = true
		if !isSigstore(sig.Entry) {
			ignored = append(ignored, otherEntry(sig.Entry))
			continue
		}
		ev, err := parseEvidence(sig.Data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", sig.Entry, err)
		}
		key := keys[ev.hint]
		switch {
		case !ev.keyed:
			ignored = append(ignored, sig.Entry+" by a certificate")
			continue
		case key == nil:
			ignored = append(ignored, sig.Entry+" by key "+sign.Fingerprint(ev.hint))
			continue
		}
		if err := ev.check(key, sums, sum); err != nil {
			return nil, fmt.Errorf("%s by key %s: %w", sig.Entry, key, err)
		}
		if !counted[ev.hint] {
			counted[ev.hint] = true
			signers = append(signers, Signer{
				Entry: sig.Entry, Hint: ev.hint, Fingerprint: key.Fingerprint(), Algorithm: key.Algorithm(),
			})
		}
	}
	if len(signers) == 0 {
		return nil, noSigner(ignored, trust)
	}
	return newResult(sum, signers), nil
}

// check tells whether ev is key's signature over sums, whose SHA-256 is sum.
// The key is one that the user trusts, so whatever is wrong here refuses the
// bundle.
func (ev *evidence) check(key *sign.PublicKey, sums []byte, sum [sha256.Size]byte) error {
	if !ev.plain {
		return fault.WithHint(fault.Unsupported("is an attestation, not a signature over SHA256SUMS"),
			"sign it with bale, or cosign sign-blob")
	}
	if err := ev.checkDigest(key, sum); err != nil {
		return err
	}
	if err := key.Verify(sums, ev.signature); err != nil {
		return altered(fault.Untrusted("signature does not fit SHA256SUMS: %w", err))
	}
	return nil
}

// checkDigest compares the digest that stands beside the signature. It proves
// nothing, but a wrong one means that somebody was there.
func (ev *evidence) checkDigest(key *sign.PublicKey, sum [sha256.Size]byte) error {
	switch ev.algorithm {
	case commonpb.HashAlgorithm_SHA2_256:
		if len(ev.digest) != len(sum) {
			return fault.Damaged("has a digest of %d bytes", len(ev.digest))
		}
		if !bytes.Equal(ev.digest, sum[:]) {
			return altered(fault.Untrusted("signature is for a SHA256SUMS with the digest %x, not %x", ev.digest, sum))
		}
		return nil
	case commonpb.HashAlgorithm_HASH_ALGORITHM_UNSPECIFIED:
		// cosign leaves the digest out with ED25519, which signs the message.
		if key.IsED25519() && len(ev.digest) == 0 {
			return nil
		}
		return fault.Damaged("has no digest of what was signed")
	case commonpb.HashAlgorithm_SHA2_512:
		if key.IsED25519() {
			return fault.WithHint(fault.Unsupported("is a prehashed ED25519 signature (ED25519ph), as cosign makes for its log"),
				"sign with cosign sign-blob --tlog-upload=false --use-signing-config=false, or with bale")
		}
	}
	return fault.Unsupported("is over the digest %s, not SHA2_256", ev.algorithm)
}

func altered(err error) error {
	return fault.WithHint(err, "SHA256SUMS or the signature was altered after signing: do not use this bundle, get it again from its source")
}

func otherEntry(entry string) string {
	if entry == container.OpenPGPName {
		return entry + " in OpenPGP form, which this version of bale does not check"
	}
	return fmt.Sprintf("%q in an unknown form", clip(entry))
}

// noSigner is the refusal of a bundle that no trusted key signed.
func noSigner(ignored []string, trust Trust) error {
	if len(ignored) == 0 {
		return fault.WithHint(fault.Untrusted("bundle is not signed"),
			"have the sender sign it (save with --key), or take it as it is with --insecure-skip-verify")
	}
	tried := make([]string, len(trust.Keys))
	for i, k := range trust.Keys {
		tried[i] = k.String()
	}
	return fault.WithHint(
		fault.Untrusted("bundle is not signed by a given key: found %s; tried %s", strings.Join(ignored, ", "), strings.Join(tried, ", ")),
		"ask the sender, by another way than the bundle came, for the .pub file of the key that signs")
}
