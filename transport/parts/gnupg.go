package parts

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// GnuPG is a real gpg with a home of its own.
type GnuPG struct {
	Home string // $GNUPGHOME

	t       testing.TB
	program string
}

// NewGnuPG returns a gpg without any keys. Its agent ends with the test.
func NewGnuPG(t testing.TB) *GnuPG {
	t.Helper()
	g := &GnuPG{t: t, program: Tool(t, "gpg")}
	conf := Tool(t, "gpgconf")
	// Sockets must have short paths, which t.TempDir does not give.
	home, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	g.Home = home
	// Or the agent takes seconds to open a key: these passwords guard nothing.
	g.Write("gpg-agent.conf", []byte("s2k-count 65536\n"))
	t.Cleanup(func() {
		cmd := exec.Command(conf, "--kill", "all")
		cmd.Env = g.Env()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", cmd, err, out)
		}
		if err := os.RemoveAll(home); err != nil {
			t.Error(err)
		}
	})
	return g
}

// Env is the environment for programs that use the same home.
func (g *GnuPG) Env() []string { return append(os.Environ(), "GNUPGHOME="+g.Home, "LC_ALL=C.UTF-8") }

// Try runs gpg and returns what it writes.
func (g *GnuPG) Try(input []byte, args ...string) ([]byte, error) {
	g.t.Helper()
	cmd := exec.CommandContext(g.t.Context(), g.program, append([]string{
		"--batch", "--no-tty", "--yes", "--utf8-strings", "--pinentry-mode", "loopback", "--no-auto-check-trustdb", "--trust-model", "always",
	}, args...)...)
	cmd.Env = g.Env()
	cmd.Stdin = bytes.NewReader(input)
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("gpg %s: %w: %s", strings.Join(args, " "), err, words.String())
	}
	return out.Bytes(), nil
}

// Run is Try that must succeed.
func (g *GnuPG) Run(input []byte, args ...string) []byte {
	g.t.Helper()
	out, err := g.Try(input, args...)
	if err != nil {
		g.t.Fatal(err)
	}
	return out
}

// Generate makes a key without a password and returns its fingerprint; usage
// and expiry are as gpg --quick-generate-key takes them. Options go before it.
func (g *GnuPG) Generate(user, algorithm, usage, expiry string, options ...string) string {
	g.t.Helper()
	return g.created(append([]string{"--passphrase", ""}, append(options, "--quick-generate-key", user, algorithm, usage, expiry)...)...)
}

// Subkey adds a subkey that can sign or authenticate and returns its fingerprint.
func (g *GnuPG) Subkey(fingerprint, algorithm, usage, expiry string, options ...string) string {
	g.t.Helper()
	if strings.HasPrefix(algorithm, "nistp") || strings.HasPrefix(algorithm, "brainpool") {
		algorithm += "/ecdsa" // else gpg takes it for encryption
	}
	before := g.subkeys(fingerprint)
	g.Run(nil, append([]string{"--passphrase", ""}, append(options, "--quick-add-key", fingerprint, algorithm, usage, expiry)...)...)
	for f := range g.subkeys(fingerprint) {
		if !before[f] {
			return f
		}
	}
	g.t.Fatal("gpg made no subkey")
	return ""
}

// subkeys lists the fingerprints of all keys of a certificate.
func (g *GnuPG) subkeys(fingerprint string) map[string]bool {
	g.t.Helper()
	found := make(map[string]bool)
	for line := range strings.Lines(string(g.Run(nil, "--with-colons", "--fingerprint", "--fingerprint", "--list-keys", fingerprint))) {
		if f := strings.Split(line, ":"); f[0] == "fpr" {
			found[f[9]] = true
		}
	}
	return found
}

// created runs gpg and returns the fingerprint of the key that it makes.
func (g *GnuPG) created(args ...string) string {
	g.t.Helper()
	for line := range strings.Lines(string(g.Run(nil, append([]string{"--status-fd", "1"}, args...)...))) {
		if f := strings.Fields(line); len(f) > 3 && f[1] == "KEY_CREATED" {
			return f[3]
		}
	}
	g.t.Fatal("gpg made no key")
	return ""
}

// Write writes a file into the home and returns its path.
func (g *GnuPG) Write(name string, data []byte) string {
	g.t.Helper()
	path := filepath.Join(g.Home, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		g.t.Fatal(err)
	}
	return path
}
