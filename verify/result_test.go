package verify_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/verify"
)

func TestResult(t *testing.T) {
	k := loadPrivate(t, "ed25519.pem")
	env := bundle.NewEnvelope(sums, entries(entry, signed(t, k, sums)))
	good, err := verify.Verify(env, trust(k.Public()))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("sha256:%x", sha256.Sum256(sums))
	for name, r := range map[string]*verify.Result{"verified": good, "waived": verify.WithoutSignatureUnsafe(env)} {
		if got := r.SumsDigest().String(); got != want {
			t.Errorf("%s: digest %s, want %s", name, got, want)
		}
		if err := r.Vouches(bytes.Clone(sums)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, other := range [][]byte{nil, {}, sums[1:], append(bytes.Clone(sums), 0)} {
			if err := r.Vouches(other); !errors.Is(err, fault.ErrUntrusted) {
				t.Errorf("%s: vouches for %q: %v", name, other, err)
			}
		}
	}
	if n := len(verify.WithoutSignatureUnsafe(env).Signers()); n != 0 {
		t.Errorf("%d signers without a signature", n)
	}
	good.Signers()[0].Subject = "changed"
	if good.Signers()[0].Subject != "" {
		t.Error("the list of signers can be changed from outside")
	}
}

func TestZeroResultVouchesForNothing(t *testing.T) {
	for name, r := range map[string]*verify.Result{
		"nil": nil, "zero": new(verify.Result), "no envelope": verify.WithoutSignatureUnsafe(nil),
	} {
		for _, s := range [][]byte{nil, {}, sums} {
			if err := r.Vouches(s); !errors.Is(err, fault.ErrUntrusted) {
				t.Errorf("%s result vouches for %q: %v", name, s, err)
			}
		}
	}
}

// Whoever changes the envelope's bytes afterwards gets no vouching for them.
func TestResultDoesNotFollowTheEnvelope(t *testing.T) {
	mine := bytes.Clone(sums)
	r := verify.WithoutSignatureUnsafe(bundle.NewEnvelope(mine, nil))
	mine[0]++
	if err := r.Vouches(mine); !errors.Is(err, fault.ErrUntrusted) {
		t.Errorf("vouches for what was changed later: %v", err)
	}
}
