//go:build azurekms || kms

package kms

import _ "github.com/sigstore/sigstore/pkg/signature/kms/azure" // Azure Key Vault
