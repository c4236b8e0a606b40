package ssh

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"bale/bundle/fault"
	"bale/sign"
)

func give(password string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(password), nil }
}

func never() ([]byte, error) { return nil, errors.New("asked for a password") }

func private(t testing.TB, name string) *PrivateKey {
	t.Helper()
	k, err := ParsePrivateKey(read(t, name), give(password))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestPrivateKeys(t *testing.T) {
	message := read(t, "message")
	for _, name := range []string{"ed25519", "ecdsa256", "ecdsa384", "ecdsa521", "rsa", "ed25519-ctr", "ecdsa256-cbc", "rsa-ctr"} {
		asked := 0
		k, err := ParsePrivateKey(read(t, name), func() ([]byte, error) { asked++; return []byte(password), nil })
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := strings.Count(name, "-"); asked != want {
			t.Errorf("%s: asked %d times", name, asked)
		}
		pub := public(t, name)
		if k.Public().Fingerprint() != pub.Fingerprint() || !strings.Contains(k.String(), pub.Fingerprint()) {
			t.Errorf("%s: %s is not %s", name, k, pub)
		}
		sig, err := k.Sign(t.Context(), message)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if sig.Form != sign.SSH || sig.By != pub.Identity() {
			t.Errorf("%s: form %s, by %+v", name, sig.Form, sig.By)
		}
		if err := check(pub, message, sig.Data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// What does not change from one call to the next is as ssh-keygen makes it.
		if !strings.HasPrefix(name, "ecdsa") {
			if want := read(t, strings.TrimSuffix(name, "-ctr")+".sig"); !bytes.Equal(sig.Data, want) {
				t.Errorf("%s: signed\n%s, ssh-keygen\n%s", name, sig.Data, want)
			}
		}
	}
}

func TestSignEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if sig, err := private(t, "ed25519").Sign(ctx, nil); !errors.Is(err, context.Canceled) || sig != nil {
		t.Error(err)
	}
}

func TestPrivateKeysRefused(t *testing.T) {
	plain := string(read(t, "ed25519"))
	foreign, err := os.ReadFile(filepath.Join("..", "..", "testdata", "keys", "pkcs8.pem"))
	if err != nil {
		t.Fatal(err)
	}
	asking := errors.New("no terminal")
	for name, c := range map[string]struct {
		data     string
		password func() ([]byte, error)
		kind     error
		says     string
	}{
		"empty":            {"", never, fault.ErrUsage, "OpenSSH"},
		"public":           {string(read(t, "ed25519.pub")), never, fault.ErrUsage, "OpenSSH"},
		"PKCS#8":           {string(foreign), never, fault.ErrUsage, "OpenSSH"},
		"two":              {plain + plain, never, fault.ErrUsage, "more than one"},
		"text after":       {plain + "text", never, fault.ErrUsage, "more than one"},
		"no password":      {string(read(t, "ed25519-ctr")), nil, fault.ErrUsage, "no password"},
		"wrong password":   {string(read(t, "ed25519-ctr")), give("wrong"), fault.ErrUsage, "wrong password"},
		"wrong for RSA":    {string(read(t, "rsa-ctr")), give("wrong"), fault.ErrUsage, "wrong password"},
		"wrong for CBC":    {string(read(t, "ecdsa256-cbc")), give("wrong"), fault.ErrUsage, "wrong password"},
		"empty password":   {string(read(t, "ed25519-ctr")), give(""), fault.ErrUsage, "wrong password"},
		"cannot ask":       {string(read(t, "ed25519-ctr")), func() ([]byte, error) { return nil, asking }, asking, "password"},
		"GCM":              {string(read(t, "ed25519-gcm")), give(password), fault.ErrUnsupported, "aes256-gcm"},
		"ChaCha":           {string(read(t, "ed25519-chacha")), give(password), fault.ErrUnsupported, "chacha20"},
		"DSA":              {string(read(t, "dsa")), never, fault.ErrUnsupported, "ssh-dss"},
		"RSA of 1024 bits": {string(read(t, "rsa1024")), never, fault.ErrUnsupported, "1024"},
		"cut":              {repack(t, "ed25519", func(b []byte) []byte { return b[:len(b)-20] }), never, fault.ErrUsage, "damaged"},
		"something added":  {repack(t, "ed25519", func(b []byte) []byte { return append(b, 0) }), never, fault.ErrUsage, "damaged"},
		"no magic":         {repack(t, "ed25519", func(b []byte) []byte { return b[1:] }), never, fault.ErrUsage, "damaged"},
		"nothing in it":    {repack(t, "ed25519", func([]byte) []byte { return nil }), never, fault.ErrUsage, "damaged"},
		"another's public": {envelopeWith(t, "ed25519", func(e *envelope) { e.Public = public(t, "ecdsa256").blob }), never, fault.ErrUsage, "damaged"},
		"two keys":         {envelopeWith(t, "ed25519", func(e *envelope) { e.Number = 2 }), never, fault.ErrUsage, "damaged"},
		"no keys":          {envelopeWith(t, "ed25519", func(e *envelope) { e.Number = 0 }), never, fault.ErrUsage, "damaged"},
		"unknown KDF":      {envelopeWith(t, "ed25519-ctr", func(e *envelope) { e.KDF = "scrypt" }), give(password), fault.ErrUsage, "decrypted"},
		"endless KDF":      {envelopeWith(t, "ed25519-ctr", func(e *envelope) { e.Options = rounds(e.Options, 1<<31) }), give(password), fault.ErrUsage, "decrypted"},
		"FIDO":             {envelopeWith(t, "ed25519", func(e *envelope) { e.Public = newToken(t, ssh.KeyAlgoSKED25519).public.blob }), never, fault.ErrUnsupported, "FIDO"},
		"unequal halves":   {unequalHalves(t), never, fault.ErrUsage, "damaged"},
	} {
		k, err := ParsePrivateKey([]byte(c.data), c.password)
		if !errors.Is(err, c.kind) || k != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error()+fault.Hint(err), password) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// repack changes the bytes of a private key.
func repack(t testing.TB, name string, f func([]byte) []byte) string {
	t.Helper()
	b, _ := pem.Decode(read(t, name))
	if b == nil {
		t.Fatal("no PEM")
	}
	b.Bytes = f(b.Bytes)
	return string(pem.EncodeToMemory(b))
}

func envelopeWith(t testing.TB, name string, f func(*envelope)) string {
	t.Helper()
	return repack(t, name, func(b []byte) []byte {
		var e envelope
		if err := ssh.Unmarshal(b[len(envelopeMagic):], &e); err != nil {
			t.Fatal(err)
		}
		f(&e)
		return append([]byte(envelopeMagic), ssh.Marshal(e)...)
	})
}

// rounds sets how often the KDF hashes, which stands last.
func rounds(options string, n uint32) string {
	b := []byte(options)
	binary.BigEndian.PutUint32(b[len(b)-4:], n)
	return string(b)
}

// unequalHalves is an ED25519 key whose public half belongs to another.
func unequalHalves(t *testing.T) string {
	pub, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	copy(priv[ed25519.SeedSize:], pub)
	b, err := ssh.MarshalPrivateKey(priv, "")
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(b))
}
