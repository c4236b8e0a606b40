package gnupg_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bale/bundle/fault"
	"bale/sign"
	"bale/sign/openpgp/gnupg"
	"bale/transport/parts"
)

var message = []byte("0000000000000000000000000000000000000000000000000000000000000000  index.zst\n")

// home returns a gpg whose home is that of this process.
func home(t *testing.T) *parts.GnuPG {
	t.Helper()
	g := parts.NewGnuPG(t)
	t.Setenv("GNUPGHOME", g.Home)
	t.Setenv("LC_ALL", "C.UTF-8")
	return g
}

// What gpg signs here, gpg verifies, and the key is the one that was asked for.
func TestSign(t *testing.T) {
	g := home(t)
	// Settings that would spoil the signature.
	g.Write("gpg.conf", []byte("armor\ntextmode\ncomment by hand\ndigest-algo SHA256\n"))
	f := g.Generate("Ada <ada@example.com>", "ed25519", "sign", "never")
	g.Generate("Bob <bob@example.com>", "ed25519", "sign", "never")
	sub := g.Subkey(f, "nistp256", "sign", "never")
	file := g.Write("SHA256SUMS", message)
	for id, by := range map[string]string{
		f: sub, f[24:]: sub, "0x" + f: sub, sub: sub, "ada@example.com": sub, "Ada": sub, f + "!": f, sub + "!": sub,
	} {
		t.Run(id, func(t *testing.T) {
			s, err := gnupg.Open(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if s.Key().Fingerprint() != f {
				t.Errorf("is %s", s.Key())
			}
			sig, err := s.Sign(t.Context(), message)
			if err != nil {
				t.Fatal(err)
			}
			if sig.Form != sign.OpenPGP || sig.By != s.Key().Identity() {
				t.Errorf("form %v, by %v", sig.Form, sig.By)
			}
			if _, err := s.Key().Verify(message, sig.Data, time.Now()); err != nil {
				t.Error(err)
			}
			asc := g.Write("SHA256SUMS.asc", sig.Data)
			status := string(g.Run(nil, "--status-fd", "1", "--verify", asc, file))
			if !strings.Contains(status, "VALIDSIG "+by+" ") || !strings.Contains(status, " 10 00 "+f) {
				t.Errorf("not by %s over SHA-512: %s", by, status)
			}
			if strings.Contains(string(sig.Data), "Comment") {
				t.Errorf("has headers: %s", sig.Data)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	g := home(t)
	f := g.Generate("Ada <ada@example.com>", "ed25519", "sign", "never")
	g.Generate("Ada the other <ada2@example.com>", "ed25519", "sign", "never")
	public := g.Generate("Pub", "ed25519", "sign", "never")
	g.Run(nil, "--delete-secret-keys", public)
	certify := g.Generate("Certify", "ed25519", "cert", "never")
	for name, c := range map[string]struct {
		id   string
		kind error
		text string
	}{
		"empty":       {"", fault.ErrUsage, "is empty"},
		"only !":      {"!", fault.ErrUsage, "is empty"},
		"option":      {"--version", fault.ErrUsage, "no name"},
		"control":     {"a\nb", fault.ErrUsage, "no name"},
		"long":        {strings.Repeat("a", 300), fault.ErrUsage, "no name"},
		"unknown":     {"nobody@example.com", fault.ErrUsage, "nobody@example.com"},
		"two":         {"Ada", fault.ErrUsage, "2 private keys"},
		"public only": {public, fault.ErrUsage, "gpg"},
		"cannot sign": {certify, fault.ErrUnsupported, "no key that may sign"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := gnupg.Open(t.Context(), c.id)
			if s != nil || !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) || fault.Hint(err) == "" {
				t.Errorf("%v, %v, hint %q", s, err, fault.Hint(err))
			}
		})
	}
	t.Run("no gpg", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		if _, err := gnupg.Open(t.Context(), f); !errors.Is(err, fault.ErrMissing) {
			t.Error(err)
		}
	})
	t.Run("ended", func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		end()
		if _, err := gnupg.Open(ctx, f); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// A key that cannot sign any more is refused when it should, and a gpg that
// hangs ends with the context.
func TestSignFails(t *testing.T) {
	g := home(t)
	f := g.Generate("Ada", "ed25519", "sign", "never")
	s, err := gnupg.Open(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("expired", func(t *testing.T) {
		long := time.Now().AddDate(0, 0, -100).UTC().Format("20060102T150405") + "!"
		old, err := gnupg.Open(t.Context(), g.Generate("Old", "ed25519", "sign", "30d", "--faked-system-time", long))
		if err != nil {
			t.Fatal(err)
		}
		sig, err := old.Sign(t.Context(), message)
		if sig != nil || !errors.Is(err, fault.ErrUsage) || fault.Hint(err) == "" {
			t.Errorf("%v, %v", sig, err)
		}
	})
	fake := func(t *testing.T, script string) {
		t.Helper()
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "gpg"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	}
	t.Run("gets no secrets", func(t *testing.T) {
		got := filepath.Join(t.TempDir(), "env")
		fake(t, "env >"+got+"; exit 2")
		t.Setenv("COSIGN_PASSWORD", "the-password")
		t.Setenv("SIGSTORE_ID_TOKEN", "the-token")
		if _, err := s.Sign(t.Context(), message); err == nil {
			t.Error("signed")
		}
		env, err := os.ReadFile(got)
		if err != nil || !strings.Contains(string(env), "GNUPGHOME=") || strings.Contains(string(env), "the-") {
			t.Errorf("%v: %s", err, env)
		}
	})
	t.Run("hangs", func(t *testing.T) {
		started := filepath.Join(t.TempDir(), "started")
		fake(t, "echo x >"+started+"; exec sleep 600")
		ctx, end := context.WithCancel(t.Context())
		defer end()
		go func() {
			for {
				if _, err := os.Stat(started); err == nil || ctx.Err() != nil {
					end()
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
		if _, err := s.Sign(ctx, message); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	for name, script := range map[string]string{
		"writes nothing":     "exit 0",
		"writes nonsense":    "echo nonsense",
		"writes without end": "cat /dev/zero | head -c 10000000",
		"says a lot":         "cat /dev/zero | head -c 10000000 >&2; cat /dev/zero | head -c 10000000 >&3; exit 2",
		"says odd things":    `printf 'gpg: \033[31mred\n' >&2; exit 2`,
	} {
		t.Run(name, func(t *testing.T) {
			fake(t, script)
			sig, err := s.Sign(t.Context(), message)
			if sig != nil || err == nil || strings.ContainsAny(err.Error(), "\x1b\x00\n") || len(err.Error()) > 1000 {
				t.Errorf("%v, %q", sig, err)
			}
		})
	}
	t.Run("signs something else", func(t *testing.T) {
		other := g.Write("other", g.Run([]byte("other"), "--local-user", f, "--output", "-", "--detach-sign"))
		fake(t, "cat "+other)
		if sig, err := s.Sign(t.Context(), message); sig != nil || err == nil || !strings.Contains(err.Error(), "own check") {
			t.Errorf("%v, %v", sig, err)
		}
	})
}
