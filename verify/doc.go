// Package verify decides whether a bundle is to be believed. Three things come
// together, as in sigstore-go: trusted material (an [Authority] for each signer
// that the user knows), evidence (SHA256SUMS and the signatures over it), and
// rules ([Trust]: who must have signed). They make a [Result], or a refusal with
// its reason.
//
// Nothing else of a bundle is looked at here, and nothing else may be looked
// at before: package bundle demands a Result that vouches for SHA256SUMS, and
// SHA256SUMS names the digest of every other entry. A Result comes from
// [Verify] or, where the user waived it in so many words, from
// [WithoutSignatureUnsafe]; its zero value vouches for nothing. Nothing is
// asked of the network, ever.
//
// The rules, which begin with those of C2SP's signed notes:
//
//   - Somebody must be trusted, and all rules of at least one [Alternative] must
//     be met.
//   - Signatures by others, and in forms that nobody is trusted for or that this
//     version does not know, are ignored and never counted.
//   - A signature that names a trusted signer and does not verify refuses the
//     whole bundle, whatever the others say.
//   - A threshold counts signers, not signatures: whoever signs twice, in two
//     forms, or under two names with one key, counts once.
//   - Every Sigstore signature must be well-formed (version 0.3) in the one JSON
//     form that protojson gives it, apart from white space and order, so that no
//     byte of it can change unseen. Other forms are read only if somebody is
//     trusted for them.
//   - A signature that fits but counts no more, such as by a key that has
//     expired, is passed over.
//
// An ECDSA signature (r, s) has a twin (r, n-s) that anybody can derive. Both are
// accepted, since OpenSSL, Go and key services make either. The twin says the
// same, over the same message, by the same key, and counts as the same signer.
//
// An old bundle is as well signed as a new one. So bundles can have a name and a
// sequence number, which are signed, and a [State] remembers for each name the
// last one that was loaded: [Loaded.After] refuses what is older.
package verify
