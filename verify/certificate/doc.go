// Package certificate decides whether a signature was made by somebody whom a
// certificate names: by Sigstore's keyless signing, where a certificate lives
// for minutes and a log or a timestamp says when, or by an organisation's own
// CA. Everything needed is in a [Root], which the user has as a file; nothing is
// ever asked over a network, and no root is built in.
//
// # What is demanded
//
// Always: the certificate has the [Identity] that was asked for; it chains to a
// CA of the root by code signing certificates, with signatures over SHA-2 and
// keys that are not weak; it is no CA itself; its key made the signature; and
// whatever the bundle says of itself agrees with that.
//
// With a Sigstore trusted root ([ParseTrustedRoot]) also:
//
//   - subject and issuer must both be given
//   - if the root has certificate transparency logs, a signed certificate
//     timestamp of one of them in the certificate
//   - if the root has transparency logs, an entry in one of them for this very
//     signature, certificate and digest. It needs a proof of inclusion with a
//     signed checkpoint. An entry of Rekor 1 needs the log's promise too, which
//     covers its time. A promise alone is enough in bundles of version 0.1,
//     which knew no more; as the signature of a bale bundle these are not read
//   - a time proven by a log of Rekor 1 or by a timestamp authority of the root.
//     The whole chain must be valid at each proven time, and whoever proves it
//     must have been in use then
//
// With an organisation's own CA ([NewRoot]):
//
//   - the subject must be given, and the issuer (Fulcio's extension) may be
//   - if timestamp authorities are given, a timestamp (RFC 3161) by one of them
//     at which the whole chain was valid. The certificate may have ended since
//   - if none is given, the whole chain must be valid now
//   - intermediate certificates may come with the signature, and must then be
//     part of its chain
//
// Timestamps and log entries by somebody whom the root does not know are passed
// over and not counted. Revocation is not checked: it would need a network, or
// lists that nobody carries along. Short certificates and a new root serve.
//
// The clock of this machine matters only for an own CA without timestamps.
//
// # What others demand
//
// cosign (3.1) and sigstore-go (1.3) demand the same of a keyless signature: one
// log entry, one certificate timestamp and one proven time. They are laxer in
// that they take a promise for an entry, certificates that are not for code
// signing in so many words, a regular expression that matches a part, an entry
// of Rekor 2 that claims a time or is of a log out of use, an entry whose fields
// do not agree with each other or with its checkpoint, and the body of an entry
// of Rekor 2 for something else if it stands under a checkpoint of Rekor 1. A
// keyless signature that is accepted here is accepted by sigstore-go, which tests
// compare, but for ED25519 that is not prehashed and for DNS names.
package certificate
