// Package sign holds the keys that bale signs and verifies with, and makes
// signatures: bytes in, signature out.
//
// Keys are read in the formats that cosign and OpenSSL write, and a signature
// is a Sigstore bundle (version 0.3, with a public key and no certificate), so
// that cosign can check what bale signed and the other way round:
//
//	key                signs over           verified over
//	ECDSA P-256        SHA-256              SHA-256
//	ECDSA P-384        SHA-256              SHA-256, SHA-384
//	ECDSA P-521        SHA-256              SHA-256, SHA-512
//	ED25519            the message          the message
//	RSA 2048 to 8192   SHA-256, PKCS#1 v1.5 SHA-256, SHA-384, SHA-512
//
// The hash is bound to the key and to what the bundle says, and is never a
// weaker one. With the larger curves cosign signs over SHA-384 and SHA-512, and
// with a key file it verifies over SHA-256 only: so bale signs what cosign
// verifies, and verifies what cosign signs. Keys of other kinds, weak ones, and
// numbers that are no key are refused, and so are prehashed ED25519 and RSA-PSS,
// which cosign does not use with key files.
//
// An ECDSA signature (r, s) has a twin (r, n-s) that anybody can derive, and
// both are accepted: OpenSSL, Go and every KMS make either, so one of them
// cannot be demanded. The twin says the same, over the same message, by the same
// key, and counts as the same signer.
//
// The package decides nothing about trust; that is package verify. Keys that
// never leave a service are those of package kms.
package sign
