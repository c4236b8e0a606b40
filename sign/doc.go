// Package sign holds the keys that bale signs and verifies with, and makes
// signatures: bytes in, signature out.
//
// Keys are read in the formats that cosign and OpenSSL write, and a signature
// is a Sigstore bundle (version 0.3, with a public key and no certificate), so
// that cosign can check what bale signed and the other way round. What cosign
// does not treat the same way when it signs and when it verifies is refused
// here, such as ECDSA on other curves than P-256.
//
// The package decides nothing about trust; that is package verify.
package sign
