// Package openpgp reads the keys of OpenPGP (RFC 9580 and its forerunner RFC
// 4880), makes detached signatures with them, and checks such signatures, so
// that
//
//	gpg --verify SHA256SUMS.asc SHA256SUMS
//
// agrees with what bale says. Where there is a choice, it is stricter than gpg.
//
// Signatures:
//
//   - An entry is one armored block with one or several signature packets, and
//     nothing before or behind it. Headers of the armor, the length of its lines
//     (up to 76) and line ends may vary; a checksum may be there and then fits.
//   - A signature is of version 4 or 6, over the bytes as they are, with SHA-256,
//     SHA-384, SHA-512 or SHA-3, by RSA of 2048 bits or more, ECDSA over NIST or
//     Brainpool curves, ED25519 or ED448. Critical subpackets and notations that
//     nobody here knows refuse it. Outside what is signed there is only the name
//     of the issuer.
//   - The fingerprint in it says whose it is; the key id does so only where there
//     is no fingerprint, and must not contradict it.
//
// Keys:
//
//   - The key that signed is the primary key or a subkey, may sign as its newest
//     self-signature says, and a subkey has signed back to its primary key.
//   - Self-signatures over SHA-1 do not count.
//   - When a signature was made is only what its signer says. So a key that has
//     expired by the time of verifying does not count, whatever the signature's
//     time: whoever has an old key could set back the clock. Who extends the
//     life of a key publishes it anew, and then its old signatures count again.
//   - A key revoked because it was compromised, or without a reason, never counts.
//     One that is superseded or retired still counts for what it signed before.
//   - Revocations by others whom the key itself appointed for that are believed
//     without a check.
package openpgp
