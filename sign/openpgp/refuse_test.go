package openpgp_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bale/bundle/fault"
	"bale/sign/openpgp"
	"bale/transport/parts"
)

// at is gpg's option for another time, days from now.
func at(days int) string {
	return "--faked-system-time=" + time.Now().AddDate(0, 0, days).UTC().Format("20060102T150405") + "!"
}

// refuses checks that a key refuses an entry for sums.
func refuses(t *testing.T, k *openpgp.Key, entry []byte, kind error, text string) {
	t.Helper()
	times, err := k.Verify(sums, entry, time.Now())
	if !errors.Is(err, kind) || times != nil {
		t.Errorf("error %v is not %v", err, kind)
		return
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("error %q does not say %q", err, text)
	}
}

// Entries that plain gpg makes and that are no good signatures here.
func TestRefusesWhatGPGMakes(t *testing.T) {
	g := parts.NewGnuPG(t)
	f := g.Generate("A", "ed25519", "sign", "never", at(-100))
	k := public(t, g, f)
	armored := func(user string, options ...string) []byte {
		return g.Run(sums, append([]string{"--armor", "--local-user", user, "--output", "-"}, options...)...)
	}
	for name, c := range map[string]struct {
		key   *openpgp.Key
		entry []byte
		kind  error
		text  string
	}{
		"cleartext":       {k, armored(f, "--clear-sign"), fault.ErrUnsupported, "cleartext"},
		"inline":          {k, armored(f, "--sign"), fault.ErrUnsupported, "signed message"},
		"inline, stored":  {k, armored(f, "--compress-algo", "none", "--sign"), fault.ErrUnsupported, "signed message"},
		"text":            {k, armored(f, "--textmode", "--detach-sign"), fault.ErrUnsupported, "over text"},
		"SHA-1":           {k, armored(f, "--digest-algo", "SHA1", "--detach-sign"), fault.ErrUntrusted, "weak digest SHA-1"},
		"RIPEMD-160":      {k, armored(f, "--digest-algo", "RIPEMD160", "--detach-sign"), fault.ErrUntrusted, "weak digest RIPEMD-160"},
		"SHA-224":         {k, armored(f, "--digest-algo", "SHA224", "--detach-sign"), fault.ErrUntrusted, "weak digest SHA-224"},
		"expired":         {k, armored(f, at(-10), "--default-sig-expire", "5d", "--detach-sign"), fault.ErrUntrusted, "has expired"},
		"to come":         {k, armored(f, at(10), "--detach-sign"), fault.ErrUntrusted, "yet to come"},
		"older than key":  {k, armored(f, at(-200), "--ignore-time-conflict", "--detach-sign"), fault.ErrUntrusted, "younger"},
		"critical":        {k, armored(f, "--set-notation", "!a@example.com=b", "--detach-sign"), fault.ErrUnsupported, "critical notation"},
		"not armored":     {k, g.Run(sums, "--local-user", f, "--output", "-", "--detach-sign"), fault.ErrDamaged, "text around"},
		"public key":      {k, g.Run(nil, "--armor", "--export", f), fault.ErrDamaged, "PUBLIC KEY"},
		"empty":           {k, nil, fault.ErrDamaged, "0 armor blocks"},
		"too big":         {k, bytes.Repeat([]byte("\n"), openpgp.MaxEntry+1), fault.ErrDamaged, "bytes"},
		"twice":           {k, append(detach(t, g, f), detach(t, g, f)...), fault.ErrDamaged, "2 armor blocks"},
		"text before":     {k, append([]byte("Hello\n"), detach(t, g, f)...), fault.ErrDamaged, "text around"},
		"text behind":     {k, append(detach(t, g, f), "Hello\n"...), fault.ErrDamaged, "text around"},
		"of another file": {k, g.Run(sums[1:], "--armor", "--local-user", f, "--output", "-", "--detach-sign"), fault.ErrUntrusted, "does not fit"},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, c.key, c.entry, c.kind, c.text) })
	}
}

// The state of the key decides: expired, revoked, or not for signing.
func TestRefusesKeys(t *testing.T) {
	g := parts.NewGnuPG(t)
	t.Run("expired since", func(t *testing.T) {
		f := g.Generate("E", "ed25519", "sign", "30d", at(-100))
		entry := detach(t, g, f, at(-90))
		k := public(t, g, f)
		refuses(t, k, entry, fault.ErrUntrusted, "has expired")
		if _, err := k.Verify(sums, entry, time.Now().AddDate(0, 0, -80)); err != nil {
			t.Errorf("before it expired: %v", err)
		}
		// Published anew with a longer life, its old signatures count.
		g.Run(nil, "--quick-set-expire", f, "1y")
		k = public(t, g, f)
		if _, err := k.Verify(sums, entry, time.Now()); err != nil {
			t.Errorf("extended: %v", err)
		}
	})
	t.Run("expired subkey", func(t *testing.T) {
		f := g.Generate("ES", "ed25519", "cert", "never", at(-100))
		sub := g.Subkey(f, "ed25519", "sign", "30d", at(-100))
		refuses(t, public(t, g, f), detach(t, g, sub+"!", at(-90)), fault.ErrUntrusted, "has expired")
	})
	t.Run("certify only", func(t *testing.T) {
		f := g.Generate("C", "ed25519", "cert", "never")
		_, err := openpgp.ParseKeyring(g.Run(nil, "--export", f))
		if !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(err.Error(), "no key that may sign") {
			t.Errorf("alone: %v", err)
		}
	})
	t.Run("subkey for logging in", func(t *testing.T) {
		f := g.Generate("L", "ed25519", "sign", "never")
		before := len(public(t, g, f).IDs())
		g.Subkey(f, "ed25519", "auth", "never")
		if n := len(public(t, g, f).IDs()); n != before+1 {
			t.Errorf("%d ids, had %d", n, before)
		}
	})
	for _, reason := range []struct {
		code string
		hard bool
	}{{"0", true}, {"1", true}, {"2", false}, {"3", false}} {
		// gpg's menu: 0 none, 1 compromised, 2 superseded, 3 no longer used.
		t.Run("revoked "+reason.code, func(t *testing.T) {
			f := g.Generate("V"+reason.code, "ed25519", "sign", "never", at(-100))
			early, late := detach(t, g, f, at(-90)), detach(t, g, f, at(-10))
			original := g.Run(nil, "--armor", "--export", f)
			cert := g.Run([]byte("y\n"+reason.code+"\n\ny\n"), at(-50), "--command-fd", "0", "--armor", "--output", "-", "--no-batch", "--gen-revoke", f)
			g.Run(cert, "--import")
			revoked := g.Run(nil, "--armor", "--export", f)
			for name, data := range map[string][]byte{
				"by gpg": revoked, "behind it": append(bytes.Clone(original), cert...), "before it": append(bytes.Clone(cert), original...),
			} {
				k := parse(t, data)
				refuses(t, k, late, fault.ErrUntrusted, "is revoked")
				if reason.hard {
					refuses(t, k, early, fault.ErrUntrusted, "is revoked")
				} else if _, err := k.Verify(sums, early, time.Now()); err != nil {
					t.Errorf("%s: before: %v", name, err)
				}
			}
			if _, err := parse(t, original).Verify(sums, late, time.Now()); err != nil {
				t.Errorf("not revoked: %v", err)
			}
		})
	}
	t.Run("revoked subkey", func(t *testing.T) {
		f := g.Generate("VS", "ed25519", "cert,sign", "never", at(-100))
		sub := g.Subkey(f, "ed25519", "sign", "never", at(-100))
		entry := detach(t, g, sub+"!", at(-90))
		if _, err := public(t, g, f).Verify(sums, entry, time.Now()); err != nil {
			t.Fatal(err)
		}
		g.Run([]byte("key 1\nrevkey\ny\n0\n\ny\nsave\n"), "--no-batch", "--command-fd", "0", "--edit-key", f)
		k := public(t, g, f)
		refuses(t, k, entry, fault.ErrUntrusted, "has revoked the subkey")
		if _, err := k.Verify(sums, detach(t, g, f+"!"), time.Now()); err != nil {
			t.Errorf("by the primary key: %v", err)
		}
	})
}

func TestRefusesWeakKeys(t *testing.T) {
	for name, text := range map[string]string{"sha1": "self-signature", "dsa": "DSA", "rsa1024": "1024"} {
		data, err := os.ReadFile(filepath.Join("testdata", name+".weak.asc"))
		if err != nil {
			t.Fatal(err)
		}
		list, err := openpgp.ParseKeyring(data)
		if list != nil || !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(err.Error(), text) || fault.Hint(err) == "" {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
}

// Files that are not what they should be.
func TestRefusesFiles(t *testing.T) {
	g := parts.NewGnuPG(t)
	f := g.Generate("A", "ed25519", "sign", "never")
	other := g.Generate("B", "ed25519", "sign", "never")
	pub, sec := g.Run(nil, "--armor", "--export", f), g.Run(nil, "--armor", "--export-secret-keys", f)
	binary := g.Run(nil, "--export", f)
	box, err := os.ReadFile(filepath.Join(g.Home, "pubring.kbx"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data       []byte
		text, hint string
	}{
		"keybox":          {box, "gpg's own form", "--export"},
		"private":         {sec, "is a private key", "--export"},
		"private, binary": {g.Run(nil, "--export-secret-keys", f), "is a private key", "--export"},
		"both":            {append(bytes.Clone(pub), sec...), "is a private key", "--export"},
		"twice":           {append(bytes.Clone(pub), pub...), "twice", "newer"},
		"signature":       {detach(t, g, f), "PGP SIGNATURE", ""},
		"empty":           {nil, "no public key", "--export"},
		"cut":             {binary[:len(binary)-1], "damaged", "anew"},
		"armor cut":       {pub[:len(pub)-10], "does not end as it begins", "anew"},
		"a lone subkey":   {binary[bytes.IndexByte(binary, 0xb4):], "damaged", "anew"},
		"big":             {make([]byte, openpgp.MaxKeyring+1), "too many", "minimal"},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := openpgp.ParseKeyring(c.data)
			if list != nil || !errors.Is(err, fault.ErrUsage) || !strings.Contains(err.Error(), c.text) || !strings.Contains(fault.Hint(err), c.hint) {
				t.Errorf("%v, %v, hint %q", list, err, fault.Hint(err))
			}
		})
	}
	if !openpgp.IsKey(box) || openpgp.IsKey(sec) || !openpgp.IsPrivateKey(sec) || openpgp.IsPrivateKey(pub) || !openpgp.IsKey(binary) {
		t.Error("kinds of files are mixed up")
	}
	for _, data := range [][]byte{nil, []byte("-----BEGIN PUBLIC KEY-----\n"), []byte("ssh-ed25519 AAAA"), {0x30, 0x82}, {0x99}, {0xc6}, {0xc6, 0xff}} {
		if openpgp.IsKey(data) || openpgp.IsPrivateKey(data) {
			t.Errorf("%q is taken for a key", data)
		}
	}

	expired := g.Generate("X", "ed25519", "sign", "30d", at(-100))
	dummy := g.Generate("Y", "ed25519", "cert,sign", "never")
	for name, c := range map[string]struct {
		data       []byte
		text, hint string
	}{
		"public":  {pub, "is a public key", "gpg:"},
		"binary":  {binary, "is a public key", "gpg:"},
		"two":     {g.Run(nil, "--armor", "--export-secret-keys", f, other), "more than one", "one key"},
		"expired": {g.Run(nil, "--export-secret-keys", expired), "has expired", "extend"},
		"empty":   {nil, "damaged", "anew"},
		"offline": {withoutSecret(t, g, dummy), "holds no secret that can sign", "gpg:"},
	} {
		t.Run("private "+name, func(t *testing.T) {
			k, err := openpgp.ParsePrivateKey(c.data, nil)
			if k != nil || !errors.Is(err, fault.ErrUsage) || !strings.Contains(err.Error(), c.text) || !strings.Contains(fault.Hint(err), c.hint) {
				t.Errorf("%v, %v, hint %q", k, err, fault.Hint(err))
			}
		})
	}
}

// withoutSecret exports a key whose only secret that signs is elsewhere: gpg
// writes a stub for the primary key.
func withoutSecret(t *testing.T, g *parts.GnuPG, f string) []byte {
	t.Helper()
	g.Run(nil, "--passphrase", "", "--quick-add-key", f, "cv25519", "encr", "never")
	return g.Run(nil, "--export-secret-subkeys", f)
}
