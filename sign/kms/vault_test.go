//go:build vault

package kms_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bale/bundle"
	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/sign/kms"
	"bale/transport/parts"
	"bale/verify"
)

// vault starts a real Vault, and points what Vault's own tools read at it.
func vault(t *testing.T) *parts.VaultPart {
	t.Helper()
	v := parts.Vault(t)
	at(t, v.URL, v.Token)
	return v
}

func at(t *testing.T, url, token string) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	for name, value := range map[string]string{
		"VAULT_ADDR": url, "VAULT_TOKEN": token, "BAO_ADDR": "", "BAO_TOKEN": "", "VAULT_NAMESPACE": "", "VAULT_CACERT": "",
		"TRANSIT_SECRET_ENGINE_PATH": "", "VAULT_MAX_RETRIES": "0",
	} {
		t.Setenv(name, value)
	}
}

// What Vault signs, bale and cosign verify, with every kind of key.
func TestVaultSigns(t *testing.T) {
	cosign := parts.Tool(t, "cosign")
	v := vault(t)
	for kind, algorithm := range map[string]string{
		"ecdsa-p256": "ECDSA P-256", "ecdsa-p384": "ECDSA P-384", "ecdsa-p521": "ECDSA P-521",
		"ed25519": "ED25519", "rsa-2048": "RSA 2048", "rsa-4096": "RSA 4096",
	} {
		t.Run(kind, func(t *testing.T) {
			v.Do(t, "transit/keys/"+kind, map[string]any{"type": kind})
			for _, scheme := range []string{"hashivault", "openbao"} {
				k, err := kms.Load(t.Context(), scheme+"://"+kind)
				if err != nil {
					t.Fatal(err)
				}
				if k.Public().Algorithm() != algorithm {
					t.Errorf("algorithm is %s", k.Public().Algorithm())
				}
				s, err := k.Sign(t.Context(), message)
				if err != nil {
					t.Fatal(err)
				}
				accepted(t, k, s, "SHA2_256")
				cosignAccepts(t, cosign, k, s)
			}
		})
	}
}

// A key that is rotated between its loading and the signature signs as another.
func TestVaultRotates(t *testing.T) {
	v := vault(t)
	v.Do(t, "transit/keys/release", map[string]any{"type": "ecdsa-p256"})
	k, err := kms.Load(t.Context(), "hashivault://release")
	if err != nil {
		t.Fatal(err)
	}
	v.Do(t, "transit/keys/release/rotate", nil)
	s, err := k.Sign(t.Context(), message)
	if err == nil || s != nil || !strings.Contains(err.Error(), "own check") || !strings.Contains(fault.Hint(err), "rotation") {
		t.Fatalf("signs with %v, hint %q", err, fault.Hint(err))
	}
	next, err := kms.Load(t.Context(), "hashivault://release")
	if err != nil {
		t.Fatal(err)
	}
	if next.Public().ID() == k.Public().ID() {
		t.Error("the new version has the same key")
	}
	if s, err = next.Sign(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	accepted(t, next, s, "SHA2_256")
}

// What Vault says when it refuses has no credentials in it by the time it is shown.
func TestVaultRefuses(t *testing.T) {
	v := vault(t)
	v.Do(t, "transit/keys/release", map[string]any{"type": "ecdsa-p256"})
	v.Do(t, "transit/keys/secret", map[string]any{"type": "aes256-gcm96"})
	v.Do(t, "sys/policies/acl/reader", map[string]any{"policy": `path "transit/keys/*" { capabilities = ["read"] }`})
	reader, _ := v.Do(t, "auth/token/create", map[string]any{"policies": []string{"reader"}})["token"].(string)
	if reader == "" {
		t.Fatal("no token")
	}
	const userinfo = "somebody:hunter2hunter2@"
	withUser := strings.Replace(v.URL, "://", "://"+userinfo, 1)
	for _, tt := range []struct{ name, url, token, key, text string }{
		{"no such key", v.URL, v.Token, "none", "transit key path"},
		{"not for signing", v.URL, v.Token, "secret", "public key"},
		{"wrong token", v.URL, "hvs.this-is-not-the-token", "release", "denied"},
		{"wrong token, address with a user", withUser, "hvs.this-is-not-the-token", "release", "denied"},
		{"nobody there", "http://" + userinfo + parts.FreeAddr(t), v.Token, "release", "refused"},
	} {
		at(t, tt.url, tt.token)
		k, err := kms.Load(t.Context(), "hashivault://"+tt.key)
		if err == nil || k != nil {
			t.Errorf("%s: loaded", tt.name)
			continue
		}
		shown(t, tt.name, err, tt.text, tt.token, "hunter2")
	}
	at(t, withUser, reader)
	k, err := kms.Load(t.Context(), "hashivault://release")
	if err != nil {
		t.Fatal(err)
	}
	s, err := k.Sign(t.Context(), message)
	if err == nil || s != nil {
		t.Fatal("signed without permission")
	}
	shown(t, "may only read", err, "permission denied", reader, "hunter2")
}

func shown(t *testing.T, name string, err error, text string, secrets ...string) {
	t.Helper()
	if !strings.Contains(err.Error(), text) || fault.Hint(err) == "" || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: %q does not say %q in a line, or has no hint", name, err, text)
	}
	for _, s := range secrets {
		if strings.Contains(err.Error()+fault.Hint(err), s) {
			t.Errorf("%s: %q shows %q", name, err, s)
		}
	}
}

// A server that takes connections and says nothing keeps nobody from leaving,
// although Vault's provider does not listen to the context.
func TestVaultInterrupted(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	at(t, "http://"+l.Addr().String(), "hvs.bale-test")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := kms.Load(ctx, "hashivault://release"); done <- err }()
	taken, err := l.Accept() // so it asks already
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

// What cosign signs with a key in Vault, bale verifies with the public half. The
// larger curves are not here: cosign 3.1.3 hands Vault a digest of another
// length than it says, and fails.
func TestVaultSignsForCosign(t *testing.T) {
	cosign := parts.Tool(t, "cosign")
	v := vault(t)
	for _, kind := range []string{"ecdsa-p256", "rsa-3072"} {
		t.Run(kind, func(t *testing.T) {
			v.Do(t, "transit/keys/"+kind, map[string]any{"type": kind})
			k, err := kms.Load(t.Context(), "hashivault://"+kind)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "message"), message, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), cosign, "sign-blob", "--key", "hashivault://"+kind, "--bundle", "sig",
				"--tlog-upload=false", "--use-signing-config=false", "-y", "message")
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			data, err := os.ReadFile(filepath.Join(dir, "sig"))
			if err != nil {
				t.Fatal(err)
			}
			sigs := []bundle.Signature{{Entry: container.SigstoreName, Data: data}}
			if _, err := verify.Verify(bundle.NewEnvelope(message, sigs), verify.TrustAny(verify.Key(k.Public()))); err != nil {
				t.Errorf("%v: %s", err, data)
			}
		})
	}
}
