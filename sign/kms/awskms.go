//go:build awskms || kms

package kms

import _ "github.com/sigstore/sigstore/pkg/signature/kms/aws" // AWS
