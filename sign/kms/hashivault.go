package kms

// HashiCorp Vault, and OpenBao. It needs no tag, since most of what it needs
// bale has anyway.
import _ "github.com/sigstore/sigstore/pkg/signature/kms/hashivault"
