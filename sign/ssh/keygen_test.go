package ssh

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bale/transport/parts"
)

// openssh runs one of the real programs of OpenSSH in dir, with no settings and no
// agent of this machine, and returns what it printed.
func openssh(t *testing.T, dir, program string, stdin []byte, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), parts.Tool(t, program), args...)
	cmd.Dir = dir
	cmd.Env = append([]string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}, env...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func keygen(t *testing.T, dir string, stdin []byte, args ...string) (string, error) {
	return openssh(t, dir, "ssh-keygen", stdin, nil, args...)
}

// must is for programs that must succeed.
func must(t *testing.T, out string, err error) string {
	t.Helper()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return out
}

func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, dir, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sums is what is signed.
var sums = []byte(strings.Repeat("0", 64) + "  index.zst\n")

// accepts has ssh-keygen check a signature over sums by a key with a line in
// allowed_signers, and returns what it said.
func accepts(t *testing.T, line, sig string, message []byte) (string, error) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "allowed_signers", []byte(line))
	write(t, dir, "SHA256SUMS.sig", []byte(sig))
	if out, err := keygen(t, dir, message, "-Y", "check-novalidate", "-n", Namespace, "-s", "SHA256SUMS.sig"); err != nil {
		return out, err
	}
	return keygen(t, dir, message, "-Y", "verify", "-f", "allowed_signers", "-I", "alice@example.com", "-n", Namespace, "-s", "SHA256SUMS.sig")
}

// realKeys are the keys that ssh-keygen makes without a token.
var realKeys = map[string][]string{
	"ED25519":     {"-t", "ed25519"},
	"ECDSA P-256": {"-t", "ecdsa", "-b", "256"},
	"ECDSA P-384": {"-t", "ecdsa", "-b", "384"},
	"ECDSA P-521": {"-t", "ecdsa", "-b", "521"},
	"RSA 2048":    {"-t", "rsa", "-b", "2048"},
	"RSA 3072":    {"-t", "rsa", "-b", "3072"},
}

// Keys that ssh-keygen makes, plain and with a passphrase, sign both ways.
func TestOpenSSHBothWays(t *testing.T) {
	for algorithm, args := range realKeys {
		for _, passphrase := range []string{"", "a passphrase"} {
			t.Run(algorithm+","+passphrase, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				out, err := keygen(t, dir, nil, append(args, "-q", "-N", passphrase, "-C", "a comment", "-f", "key")...)
				must(t, out, err)
				pub := one(t, string(load(t, dir, "key.pub")))
				out, err = keygen(t, dir, nil, "-l", "-f", "key.pub")
				if listed := strings.Fields(must(t, out, err)); listed[1] != pub.Fingerprint() {
					t.Errorf("%s, listed as %s", pub, listed[1])
				}
				if pub.Identity().Algorithm != algorithm {
					t.Errorf("is %s", pub)
				}

				// Its signatures for us.
				write(t, dir, "SHA256SUMS", sums)
				for _, hash := range []string{"sha512", "sha256"} {
					_ = os.Remove(filepath.Join(dir, "SHA256SUMS.sig"))
					out, err := openssh(t, dir, "ssh-keygen", nil, askpass(t, dir, passphrase),
						"-Y", "sign", "-f", "key", "-n", "file", "-O", "hashalg="+hash, "SHA256SUMS")
					must(t, out, err)
					theirs := load(t, dir, "SHA256SUMS.sig")
					if err := check(pub, sums, theirs); err != nil {
						t.Errorf("%s: %v", hash, err)
					}
					if err := check(pub, sums[1:], theirs); err == nil {
						t.Errorf("%s: accepted for another message", hash)
					}
				}

				// Ours for it.
				k, err := ParsePrivateKey(load(t, dir, "key"), give(passphrase))
				if err != nil {
					t.Fatal(err)
				}
				sig, err := k.Sign(t.Context(), sums)
				if err != nil {
					t.Fatal(err)
				}
				line := "alice@example.com namespaces=\"file\" " + string(load(t, dir, "key.pub"))
				out, err = accepts(t, line, string(sig.Data), sums)
				if !strings.Contains(must(t, out, err), pub.Fingerprint()) {
					t.Errorf("ssh-keygen says %s", out)
				}
				if out, err := accepts(t, line, string(sig.Data), sums[1:]); err == nil {
					t.Errorf("ssh-keygen accepts another message: %s", out)
				}
			})
		}
	}
}

// askpass returns the environment in which OpenSSH gets a passphrase.
func askpass(t *testing.T, dir, passphrase string) []string {
	t.Helper()
	path := filepath.Join(dir, "askpass")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho '"+passphrase+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{"SSH_ASKPASS=" + path, "SSH_ASKPASS_REQUIRE=force"}
}

// What the token in software signs is what OpenSSH takes for a token's.
func TestOpenSSHAcceptsFIDO(t *testing.T) {
	for _, kind := range fidoKinds {
		tok := newToken(t, kind)
		line := "alice@example.com " + tok.line(tok.public.blob)
		out, err := accepts(t, line, string(tok.sign(t, sums).Data), sums)
		if !strings.Contains(must(t, out, err), tok.public.Fingerprint()) {
			t.Errorf("%s: ssh-keygen says %s", kind, out)
		}
		if out, err := accepts(t, line, string(tok.sign(t, sums[1:]).Data), sums); err == nil {
			t.Errorf("%s: ssh-keygen accepts another message: %s", kind, out)
		}
	}
}

// What bale accepts in another armor, OpenSSH accepts as well.
func TestOpenSSHAcceptsOtherLines(t *testing.T) {
	blob, err := unarmor(read(t, "rsa.sig"))
	if err != nil {
		t.Fatal(err)
	}
	line := "alice@example.com " + bare(t, "rsa")
	for name, data := range map[string][]byte{
		"76": armor(blob, 76), "64": armor(blob, 64), "1": armor(blob, 1), "one line": armor(blob, 4*len(blob)),
		"no last newline": bytes.TrimSuffix(armor(blob, 70), []byte("\n")),
	} {
		out, err := accepts(t, line, string(data), read(t, "message"))
		must(t, out, err)
		if err := check(public(t, "rsa"), read(t, "message"), data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Lines of allowed_signers mean to bale what they mean to ssh-keygen.
func TestOpenSSHReadsTheSameLines(t *testing.T) {
	key, sig, message := bare(t, "ed25519"), string(read(t, "ed25519.sig")), read(t, "message")
	for _, options := range []string{
		``, `namespaces="file"`, `namespaces="git"`, `namespaces="git,f*"`, `namespaces="*,!file"`, `namespaces="!git"`,
		`NAMESPACES="f?le"`, `namespaces="!git,*"`, `valid-after="20200101"`, `valid-after="20200101Z",valid-before="20990101Z"`,
		`valid-before="20200101"`, `valid-before="202001011200Z"`, `valid-after="20990101120000Z"`,
		`namespaces="file",valid-before="20200101"`, `namespaces="file",valid-after="20200101",valid-before="20990101"`,
	} {
		line := "alice@example.com " + options + " " + key + "\n"
		out, err := accepts(t, line, sig, message)
		k := one(t, line)
		ours := check(k, message, []byte(sig))
		if ours == nil {
			ours = k.Permits(time.Now())
		}
		if (err == nil) != (ours == nil) {
			t.Errorf("%s: ssh-keygen %v %s, bale %v", options, err, out, ours)
		}
	}
	// What bale refuses to read, ssh-keygen accepts nothing by.
	for _, options := range []string{
		`namespaces=file`, `namespaces="file",namespaces="file"`, `valid-after="2020"`, `nonsense`, `cert-authority`,
		`valid-after="20200101",valid-before="20190101"`, `namespaces=""`,
	} {
		line := "alice@example.com " + options + " " + key + "\n"
		if _, err := ParsePublicKeys([]byte(line)); err == nil {
			t.Errorf("bale reads %s", options)
		}
		if out, err := accepts(t, line, sig, message); err == nil {
			t.Errorf("%s: ssh-keygen accepts: %s", options, out)
		}
	}
}
