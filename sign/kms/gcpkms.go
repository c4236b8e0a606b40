//go:build gcpkms || kms

package kms

import _ "github.com/sigstore/sigstore/pkg/signature/kms/gcp" // Google Cloud
