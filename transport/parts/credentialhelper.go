package parts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// CredentialPassPart is Docker's credential helper docker-credential-pass over
// a password store of its own.
type CredentialPassPart struct {
	// Dir is a DOCKER_CONFIG folder whose config.json names the helper.
	Dir string

	program string
}

// CredentialPass makes a password store with a fresh GnuPG key, and sets this
// process's environment so that the helper finds it: DOCKER_CONFIG, GNUPGHOME,
// PASSWORD_STORE_DIR and PATH. The key has no passphrase.
func CredentialPass(t *testing.T) *CredentialPassPart {
	t.Helper()
	c := &CredentialPassPart{Dir: t.TempDir(), program: Tool(t, "docker-credential-pass")}
	gpg, pass := Tool(t, "gpg"), Tool(t, "pass")
	home, err := os.MkdirTemp("/tmp", "bale-gpg-") // the agent's socket needs a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GNUPGHOME", home)
	t.Setenv("PASSWORD_STORE_DIR", filepath.Join(t.TempDir(), "store"))
	t.Setenv("DOCKER_CONFIG", c.Dir)
	t.Setenv("PATH", filepath.Dir(c.program)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	t.Cleanup(func() {
		// The agent that gpg has started ends by itself too, when its home goes.
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "gpg-agent").Run()
		if err := os.RemoveAll(home); err != nil {
			t.Error(err)
		}
	})
	runPart(t, "", gpg, "--batch", "--passphrase", "", "--quick-generate-key", "bale test <bale@example.com>", "default", "default", "1d")
	runPart(t, "", pass, "init", "bale@example.com")
	writePart(t, filepath.Join(c.Dir, "config.json"), []byte(`{"credsStore":"pass"}`))
	return c
}

// Store keeps a user and password for a registry, as docker login does.
func (c *CredentialPassPart) Store(t testing.TB, server, user, secret string) {
	t.Helper()
	runPart(t, fmt.Sprintf(`{"ServerURL":%q,"Username":%q,"Secret":%q}`, server, user, secret), c.program, "store")
}

// runPart runs a program that must succeed.
func runPart(t testing.TB, in, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(in)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, out)
	}
}
