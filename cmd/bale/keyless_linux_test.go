package main

import (
	"path/filepath"
	"testing"

	"bale/transport/parts"
)

// At a terminal, with no token around, a person agrees in a browser. Ctrl-C
// while they are waited for leaves nothing behind.
func TestKeylessAtTerminal(t *testing.T) {
	noToken(t)
	p := parts.Sigstore(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "b.bale")
	save := []string{
		"save", "-q", "-o", file, "--keyless", "--signing-config", p.SigningConfig, "--trusted-root", p.TrustedRoot,
		"oci:" + testdata(t, "images", "busybox"),
	}
	ask := "open " + p.Issuer.URL + "/type-it-here in a browser and type the code WXYZ-1234"

	p.Issuer.Device(1000, "")
	x := startAtTerminal(t, save...)
	x.expect(ask, 1)
	if _, err := x.user.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	if o := x.end(); o.code != exitBrokenOff {
		t.Errorf("exit %d: %s", o.code, x.screen())
	}
	if wrong := leftovers(dir); wrong != "" {
		t.Error(wrong)
	}

	p.Issuer.Device(1, "")
	x = startAtTerminal(t, save...)
	x.expect(ask, 1)
	if o := x.end(); o.code != exitDone {
		t.Fatalf("exit %d: %s", o.code, x.screen())
	}
	mustRun(t, "verify", "--trusted-root", p.TrustedRoot, "--certificate-identity", "person@example.com",
		"--certificate-oidc-issuer", p.Issuer.URL, file)
}
