// Package verify decides whether a bundle is to be believed: trust (the keys
// the user named) and evidence (SHA256SUMS and the signatures over it) make a
// [Result], or a refusal with its reason.
//
// Nothing else of a bundle is looked at here, and nothing else may be looked
// at before: package bundle demands a Result that vouches for SHA256SUMS, and
// SHA256SUMS names the digest of every other entry. A Result comes from
// [Verify] or, where the user waived it in so many words, from
// [WithoutSignatureUnsafe]; its zero value vouches for nothing.
//
// The rules, which are those of C2SP's signed notes:
//
//   - At least one key must be given, and at least one of the keys given must
//     have signed.
//   - Signatures by other keys, by certificates, and in forms that this
//     version does not check are ignored and never counted.
//   - A signature that names a given key and does not verify refuses the whole
//     bundle, whatever the others say.
//   - Every signature must be a well-formed Sigstore bundle (version 0.3) in
//     the one JSON form that protojson gives it, apart from white space and
//     order, so that no byte of it can change unseen. (A holder of an ECDSA
//     signature can still derive its twin (r, n-s), which says the same.)
//
// An old bundle is as well signed as a new one. So bundles can have a name and a
// sequence number, which are signed, and a [State] remembers for each name the
// last one that was loaded: [Loaded.After] refuses what is older.
package verify
