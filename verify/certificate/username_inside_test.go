package certificate

import (
	"crypto"
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bale/sign"
	"bale/verify"
)

// A real signature of Fulcio, its log and Rekor 1 with a name of Fulcio's own
// kind. What it is over is known by its digest only, so one step is done here.
func TestRealUserName(t *testing.T) {
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/sigstore/sigstore-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	read := func(path ...string) []byte {
		data, err := os.ReadFile(filepath.Join(append([]string{strings.TrimSpace(string(dir)), "pkg", "testing", "data"}, path...)...))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	r, err := ParseTrustedRoot(read("trusted-roots", "scaffolding.json"))
	if err != nil {
		t.Fatal(err)
	}
	who := Identity{Subject: "foo!oidc.local", Issuer: "http://oidc.local:8080"}
	made, err := New(r, who, Options{})
	if err != nil {
		t.Fatal(err)
	}
	a := made.(*authority)
	e, err := verify.ParseEvidence(read("bundles", "othername.sigstore.json"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.claim(e)
	if err != nil {
		t.Fatal(err)
	}
	digest, _ := hex.DecodeString("bc103b4a84971ef6459b294a2b98568a2bfb72cded09d4acd1e16366a401f95b")
	sig := e.Sigstore().GetMessageSignature().GetSignature()
	list, err := a.check(c, &signed{
		signature: sig,
		digest:    func(crypto.Hash) []byte { return digest },
		verify: func() error {
			if !ecdsa.VerifyASN1(c.leaf.PublicKey.(*ecdsa.PublicKey), digest, sig) {
				return errors.New("does not fit")
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := list[0]; s.Subject != who.Subject || s.Kind != sign.KindCertificate || len(s.Times) != 1 || s.Times[0].At.Year() != 2024 {
		t.Errorf("%+v", s)
	}
}
