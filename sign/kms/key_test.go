package kms_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bale/bundle"
	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/sign"
	"bale/sign/kms"
	"bale/transport/parts"
	"bale/verify"
)

// leaked must not be shown.
const leaked = "hvs.CAESIJ0-secret-of-the-service"

var message = []byte("0000000000000000000000000000000000000000000000000000000000000000  index.zst\n")

// accepted checks a signature by k with bale, which must name the hash that it
// is over, and refuses what is altered.
func accepted(t *testing.T, k *kms.Key, s *sign.Signature, hash string) {
	t.Helper()
	if s.Form != sign.Sigstore || s.By != k.Public().Identity() {
		t.Errorf("a signature of form %s by %s", s.Form, s.By)
	}
	if !strings.Contains(string(s.Data), `"algorithm":"`+hash+`"`) {
		t.Errorf("signature does not name %s: %s", hash, s.Data)
	}
	sigs := []bundle.Signature{{Entry: container.SigstoreName, Data: s.Data}}
	trust := verify.TrustAny(verify.Key(k.Public()))
	if _, err := verify.Verify(bundle.NewEnvelope(message, sigs), trust); err != nil {
		t.Error(err)
	}
	if _, err := verify.Verify(bundle.NewEnvelope([]byte("other"), sigs), trust); !errors.Is(err, fault.ErrUntrusted) {
		t.Errorf("altered: %v", err)
	}
}

// cosignAccepts checks a signature by k with the real cosign and the public half.
func cosignAccepts(t *testing.T, cosign string, k *kms.Key, s *sign.Signature) {
	t.Helper()
	dir := t.TempDir()
	pub, err := k.Public().PEM()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"pub": pub, "sig": s.Data, "message": message} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), cosign, "verify-blob", "--key", "pub", "--bundle", "sig", "--insecure-ignore-tlog", "message")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("cosign refuses it: %v: %s", err, out)
	}
}

func TestPluginSigns(t *testing.T) {
	cosign := parts.Tool(t, "cosign") // before PATH has nothing but the plugin
	installPlugin(t)
	for _, tt := range []struct {
		key, algorithm, hash string
		cosign               bool
	}{
		{"good/pkcs8.pem", "ECDSA P-256", "SHA2_256", true},
		{"good/secp384r1.pem", "ECDSA P-384", "SHA2_256", true},
		{"good/secp521r1.pem", "ECDSA P-521", "SHA2_256", true},
		{"good/ed25519.pem", "ED25519", "SHA2_256", true},
		{"good/rsa.pem", "RSA 2048", "SHA2_256", true},
		{"large/secp384r1.pem", "ECDSA P-384", "SHA2_384", false}, // cosign verifies over SHA-256 only
		{"large/rsa.pem", "RSA 2048", "SHA2_384", false},
	} {
		t.Run(tt.key, func(t *testing.T) {
			uri := pluginName + "://" + tt.key
			k, err := kms.Load(t.Context(), uri)
			if err != nil {
				t.Fatal(err)
			}
			if k.Public().Algorithm() != tt.algorithm {
				t.Errorf("algorithm is %s", k.Public().Algorithm())
			}
			if want := uri + " (" + k.Public().String() + ")"; k.String() != want {
				t.Errorf("prints %q, want %q", k, want)
			}
			s, err := k.Sign(t.Context(), message)
			if err != nil {
				t.Fatal(err)
			}
			accepted(t, k, s, tt.hash)
			if tt.cosign {
				cosignAccepts(t, cosign, k, s)
			}
		})
	}
}

// What comes from a service is no signature before bale has verified it.
func TestPluginSignsWrongly(t *testing.T) {
	installPlugin(t)
	for key, text := range map[string]string{
		"rotated/secp384r1.pem": "own check", "altered/pkcs8.pem": "own check",
		"altered/ed25519.pem": "own check", "PSS/rsa.pem": "own check", "small/rsa.pem": "own check", "small/pkcs8.pem": "own check",
		"large/pkcs8.pem": "own check", "empty/pkcs8.pem": "own check", "fails/pkcs8.pem": "the key was disabled",
	} {
		k, err := kms.Load(t.Context(), pluginName+"://"+key)
		if err != nil {
			t.Fatal(err)
		}
		s, err := k.Sign(t.Context(), message)
		if err == nil || s != nil {
			t.Errorf("%s: signed", key)
			continue
		}
		if !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), key) || fault.Hint(err) == "" {
			t.Errorf("%s: %v, hint %q", key, err, fault.Hint(err))
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	installPlugin(t)
	t.Setenv("SOME_TOKEN", "this-is-in-the-environment")
	t.Setenv("VAULT_ADDR", "") // of whoever runs this
	t.Setenv("BAO_ADDR", "")
	for _, tt := range []struct {
		uri        string
		kind       error
		text, hint string
	}{
		{"", fault.ErrUsage, "no URI", "NAME://KEY"},
		{"bale.key", fault.ErrUsage, "no URI", "NAME://KEY"},
		{"../x://key", fault.ErrUsage, "no URI", "NAME://KEY"},
		{"UP://key", fault.ErrUsage, "no URI", "NAME://KEY"},
		{"://key", fault.ErrUsage, "no URI", "NAME://KEY"},
		{"nobody://key", fault.ErrUsage, "no program sigstore-kms-nobody in PATH", "plugin"},
		{"https://user:hunter2hunter2@example.org/key", fault.ErrUsage, "sigstore-kms-https", "plugin"},
		{"pkcs11:token=bale;object=key?pin-value=1234", fault.ErrUnsupported, "shared library", "sigstore-kms-pkcs11"},
		{"pkcs11://key", fault.ErrUsage, "sigstore-kms-pkcs11", "plugin"},
		{pluginName + "://" + strings.Repeat("k", 4000), fault.ErrUsage, "bytes", ""},
		{pluginName + "://good/rsa1024.pem", fault.ErrUnsupported, "RSA with 1024 bits", "2048"},
		{pluginName + "://good/secp224r1.pem", fault.ErrUnsupported, "curve P-224", "P-256"},
		{pluginName + "://good/none.pem", nil, "no such file", "credentials"},
		{pluginName + "://leaks/rsa.pem", nil, "permission denied", "credentials"},
		{pluginName + "://garbled/rsa.pem", nil, "plugin response", "credentials"},
		{pluginName + "://silent/rsa.pem", nil, "plugin response", "credentials"},
		{"hashivault://", nil, "hashivault", "credentials"},
		{"hashivault://key", nil, "VAULT_ADDR", "credentials"},
		{"openbao://key", nil, "BAO_ADDR", "credentials"},
	} {
		k, err := kms.Load(t.Context(), tt.uri)
		if err == nil || k != nil {
			t.Errorf("%s: loaded", tt.uri)
			continue
		}
		text := err.Error() + fault.Hint(err)
		if tt.kind != nil && !errors.Is(err, tt.kind) || tt.kind == nil && (errors.Is(err, fault.ErrUsage) || errors.Is(err, fault.ErrUnsupported)) {
			t.Errorf("%s: wrong kind: %v", tt.uri, err)
		}
		if !strings.Contains(err.Error(), tt.text) || !strings.Contains(fault.Hint(err), tt.hint) {
			t.Errorf("%s: %q does not say %q, or hint %q not %q", tt.uri, err, tt.text, fault.Hint(err), tt.hint)
		}
		for _, secret := range []string{leaked, "hunter2", "pin-value", "\n", "\x1b"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: %q shows %q", tt.uri, text, secret)
			}
		}
		if len(text) > 1000 {
			t.Errorf("%s: %d bytes of error", tt.uri, len(text))
		}
	}
}

// A service that does not answer keeps nobody from leaving.
func TestInterrupted(t *testing.T) {
	installPlugin(t)
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	k, err := kms.Load(t.Context(), pluginName+"://signing hangs/pkcs8.pem")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 2)
	go func() { _, err := kms.Load(ctx, pluginName+"://hangs/pkcs8.pem"); done <- err }()
	go func() { _, err := k.Sign(ctx, message); done <- err }()
	cancel(why)
	for range 2 {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	}
	if _, err := kms.Load(ctx, pluginName+"://good/pkcs8.pem"); !errors.Is(err, context.Canceled) {
		t.Errorf("loaded after the end: %v", err)
	}
}

// A key outlives the context that it was loaded in: a save takes hours.
func TestKeyOutlivesLoad(t *testing.T) {
	installPlugin(t)
	ctx, cancel := context.WithCancel(t.Context())
	k, err := kms.Load(ctx, pluginName+"://good/pkcs8.pem")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	s, err := k.Sign(t.Context(), message)
	if err != nil {
		t.Fatal(err)
	}
	accepted(t, k, s, "SHA2_256")
}

func TestZeroKeySignsNothing(t *testing.T) {
	k := new(kms.Key)
	if s, err := k.Sign(t.Context(), message); err == nil || s != nil {
		t.Errorf("signs %v", s)
	}
	if got := fmt.Sprint(k); got != "no key" {
		t.Errorf("prints %q", got)
	}
}

func TestIsURI(t *testing.T) {
	for s, want := range map[string]bool{
		"hashivault://key": true, "awskms:///alias/x": true, "my-hsm://slot/1": true, "pkcs11:object=x": true, "gcpkms://projects/p": true,
		"": false, "bale.key": false, "/etc/keys/bale.key": false, "C:\\keys\\bale.key": false, "a:b": false, "C://x": false,
		"../../x://y": false, "keys/x://y": false, "://y": false, "1x://y": false,
	} {
		if got := kms.IsURI(s); got != want {
			t.Errorf("IsURI(%q) is %v", s, got)
		}
	}
}
