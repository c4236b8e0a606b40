package sign_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bale/bundle/fault"
	"bale/sign"
)

func TestGenerateKeyPair(t *testing.T) {
	for _, pw := range [][]byte{[]byte("säcret\x00 "), {}, nil} {
		private, public, err := sign.GenerateKeyPair("", pw)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(private), "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n") {
			t.Errorf("password %q: private key begins with %.60q", pw, private)
		}
		k, err := sign.LoadPrivateKey(write(t, private), give(string(pw)))
		if err != nil {
			t.Fatalf("password %q: %v", pw, err)
		}
		pub, err := sign.ParsePublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		if k.Public().Hint() != pub.Hint() || pub.Algorithm() != "ECDSA P-256" {
			t.Errorf("private half of %s, public half %s", k.Public(), pub)
		}
		if _, err := sign.LoadPrivateKey(write(t, private), give(string(pw)+"x")); !errors.Is(err, fault.ErrUsage) {
			t.Errorf("another password: %v", err)
		}
	}
}

// Every type makes a pair of its own kind, encrypted in cosign's form.
func TestGenerateKeyPairOfEveryType(t *testing.T) {
	want := map[string]string{
		"ecdsa-p256": "ECDSA P-256", "ecdsa-p384": "ECDSA P-384", "ecdsa-p521": "ECDSA P-521",
		"ed25519": "ED25519", "rsa-3072": "RSA 3072", "rsa-4096": "RSA 4096",
	}
	if len(want) != len(sign.KeyTypes()) || sign.KeyTypes()[0] != string(sign.DefaultKeyType) {
		t.Errorf("types are %v", sign.KeyTypes())
	}
	for _, kind := range sign.KeyTypes() {
		private, public, err := sign.GenerateKeyPair(sign.KeyType(kind), []byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(private), "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n") {
			t.Errorf("%s: private key begins with %.60q", kind, private)
		}
		k, err := sign.LoadPrivateKey(write(t, private), give("secret"))
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		pub, err := sign.ParsePublicKey(public)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if k.Public().ID() != pub.ID() || pub.Algorithm() != want[kind] {
			t.Errorf("%s: private half of %s, public half %s", kind, k.Public(), pub)
		}
	}
	private, public, err := sign.GenerateKeyPair("dsa-1024", nil)
	refused(t, err, fault.ErrUsage, "dsa-1024", "ed25519")
	if private != nil || public != nil {
		t.Error("keys came with the error")
	}
}

func TestWriteKeyPair(t *testing.T) {
	ctx := context.Background()
	prefix := filepath.Join(t.TempDir(), "my")
	if err := sign.WriteKeyPair(ctx, prefix, []byte("private"), []byte("public"), false); err != nil {
		t.Fatal(err)
	}
	holds(t, prefix, map[string]string{"my.key": "private", "my.pub": "public"})
	for name, perm := range map[string]fs.FileMode{"my.key": 0o600, "my.pub": 0o644} {
		fi, err := os.Stat(filepath.Join(filepath.Dir(prefix), name))
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode() != perm {
			t.Errorf("%s has mode %v, want %v", name, fi.Mode(), perm)
		}
	}
	if err := sign.WriteKeyPair(ctx, prefix, []byte("2"), []byte("2"), false); !errors.Is(err, fs.ErrExist) || fault.Hint(err) == "" {
		t.Errorf("second pair: %v, hint %q", err, fault.Hint(err))
	}
	holds(t, prefix, map[string]string{"my.key": "private", "my.pub": "public"})
	if err := sign.WriteKeyPair(ctx, prefix, []byte("2"), []byte("3"), true); err != nil {
		t.Error(err)
	}
	holds(t, prefix, map[string]string{"my.key": "2", "my.pub": "3"})
}

func TestWriteKeyPairBothOrNeither(t *testing.T) {
	for _, half := range []string{"my.key", "my.pub"} {
		prefix := filepath.Join(t.TempDir(), "my")
		if err := os.WriteFile(filepath.Join(filepath.Dir(prefix), half), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := sign.WriteKeyPair(context.Background(), prefix, []byte("private"), []byte("public"), false)
		if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), half) {
			t.Errorf("with %s there: %v", half, err)
		}
		holds(t, prefix, map[string]string{half: "old"})
	}
	// Ended before the first and before the second file is published.
	for calls := range 2 {
		prefix := filepath.Join(t.TempDir(), "my")
		ctx := &endingContext{Context: context.Background(), left: calls}
		if err := sign.WriteKeyPair(ctx, prefix, []byte("private"), []byte("public"), false); !errors.Is(err, context.Canceled) {
			t.Errorf("ended after %d files: %v", calls, err)
		}
		if ctx.left != -1 {
			t.Errorf("ended after %d files: was not reached", calls)
		}
		holds(t, prefix, nil)
	}
	err := sign.WriteKeyPair(context.Background(), filepath.Join(t.TempDir(), "none", "my"), nil, nil, false)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

// endingContext ends after some calls of Err.
type endingContext struct {
	context.Context
	left int
}

func (c *endingContext) Err() error {
	if c.left <= 0 {
		c.left = -1
		return context.Canceled
	}
	c.left--
	return nil
}

// holds checks that the folder of prefix has these files and no others.
func holds(t *testing.T, prefix string, want map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(prefix))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := want[e.Name()]; !ok {
			t.Errorf("%s is there", e.Name())
		}
	}
	for name, content := range want {
		if got := read(t, filepath.Join(filepath.Dir(prefix), name)); string(got) != content {
			t.Errorf("%s holds %q, want %q", name, got, content)
		}
	}
}
