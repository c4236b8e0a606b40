// Package kms signs with keys that never leave a key management service: the
// message's digest goes there, and the signature comes back.
//
// A key is named by a URI such as hashivault://release. Every build speaks to
// HashiCorp Vault and OpenBao. The clouds' libraries are large, so a build takes
// them by tags: awskms, gcpkms, azurekms, or kms for all three. Any build speaks
// to any other service, and to hardware, through a program named
// sigstore-kms-NAME in PATH, which is asked for NAME://… in Sigstore's plugin
// protocol:
// https://github.com/sigstore/sigstore/tree/main/pkg/signature/kms/cliplugin
//
// PKCS#11 is had in that way only: its modules are shared libraries of C, which
// a program without cgo cannot load.
//
// Verifying needs no service and never asks one: it takes the public key, which
// [Key.Public] gives, from a file.
package kms
