//go:build !(awskms || gcpkms || azurekms || kms)

package kms_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"bale/bundle/fault"
	"bale/sign/kms"
)

// A build without tags speaks to Vault and OpenBao, and says how to get the rest.
func TestProviders(t *testing.T) {
	if got, want := kms.Providers(), []string{"hashivault", "openbao"}; !slices.Equal(got, want) {
		t.Errorf("providers are %v, want %v", got, want)
	}
	t.Setenv("PATH", t.TempDir())
	for _, uri := range []string{
		"awskms:///alias/release", "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k", "azurekms://vault.example/key",
	} {
		_, err := kms.Load(t.Context(), uri)
		name, _, _ := strings.Cut(uri, "://")
		if !errors.Is(err, fault.ErrUsage) || !strings.Contains(fault.Hint(err), "built with the tag "+name+" or kms") {
			t.Errorf("%s: %v, hint %q", uri, err, fault.Hint(err))
		}
	}
}
