package openpgp_test

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"bale/bundle/fault"
	"bale/sign"
	"bale/sign/openpgp"
	"bale/transport/parts"
)

var sums = []byte("0000000000000000000000000000000000000000000000000000000000000000  index.zst\n")

// public returns a key as gpg exports it.
func public(t testing.TB, g *parts.GnuPG, fingerprint string) *openpgp.Key {
	t.Helper()
	return parse(t, g.Run(nil, "--armor", "--export", fingerprint))
}

func parse(t testing.TB, data []byte) *openpgp.Key {
	t.Helper()
	list, err := openpgp.ParseKeyring(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 {
		t.Fatalf("%d keys", len(list))
	}
	return list[0]
}

// detach has gpg sign; options go before.
func detach(t testing.TB, g *parts.GnuPG, user string, options ...string) []byte {
	t.Helper()
	return g.Run(sums, append(options, "--armor", "--local-user", user, "--output", "-", "--detach-sign")...)
}

// accepts checks that a key accepts an entry for sums and for nothing else.
func accepts(t *testing.T, k *openpgp.Key, entry []byte, n int) {
	t.Helper()
	now := time.Now()
	times, err := k.Verify(sums, entry, now)
	if err != nil {
		t.Error(err)
		return
	}
	if len(times) != n {
		t.Errorf("%d signatures, want %d", len(times), n)
	}
	for _, at := range times {
		if ago := now.Sub(at); ago < -time.Minute || ago > time.Hour {
			t.Errorf("signed at %v, now is %v", at, now)
		}
	}
	if _, err := k.Verify(sums[1:], entry, now); !errors.Is(err, fault.ErrUntrusted) || !errors.Is(err, openpgp.ErrMismatch) {
		t.Errorf("other message: %v", err)
	}
}

// What gpg signs is accepted, from primary keys and from subkeys of all kinds.
func TestVerifyWhatGPGSigns(t *testing.T) {
	g := parts.NewGnuPG(t)
	stranger := public(t, g, g.Generate("Stranger", "ed25519", "sign", "never"))
	for algorithm, name := range map[string]string{
		"rsa3072": "RSA 3072", "ed25519": "ED25519", "nistp256": "ECDSA P-256", "nistp384": "ECDSA P-384",
		"nistp521": "ECDSA P-521", "brainpoolP256r1": "ECDSA brainpoolP256r1",
	} {
		t.Run(algorithm, func(t *testing.T) {
			user := "Ölaf " + algorithm + " <o@example.com>"
			f := g.Generate(user, algorithm, "sign", "1y")
			k := public(t, g, f)
			want := sign.Identity{Kind: sign.KindOpenPGP, Algorithm: name, Fingerprint: f, Subject: user}
			if k.Identity() != want {
				t.Errorf("identity %+v, want %+v", k.Identity(), want)
			}
			ids := 2
			if strings.HasPrefix(algorithm, "brainpool") {
				ids = 1 // no other form has such keys
			}
			if len(k.IDs()) != ids || k.IDs()[0] != "openpgp:"+f {
				t.Errorf("ids %v", k.IDs())
			}
			accepts(t, k, detach(t, g, f), 1)

			sub := g.Subkey(f, algorithm, "sign", "1y")
			k = public(t, g, f)
			accepts(t, k, detach(t, g, sub+"!"), 1)
			accepts(t, k, detach(t, g, f+"!"), 1)
			if len(k.IDs()) != 2*ids-1 {
				t.Errorf("ids %v", k.IDs())
			}
			_, err := stranger.Verify(sums, detach(t, g, sub+"!"), time.Now())
			var other *openpgp.OtherError
			if !errors.As(err, &other) || !slices.Equal(other.By, []string{sub}) {
				t.Errorf("as a stranger: %v", err)
			}
		})
	}
}

// One entry can hold the signatures of several, and armor may vary.
func TestVerifySeveralSigners(t *testing.T) {
	g := parts.NewGnuPG(t)
	a, b := g.Generate("A", "ed25519", "sign", "never"), g.Generate("B", "nistp256", "sign", "never")
	c := g.Generate("C", "nistp256", "sign", "never")
	both := g.Run(sums, "--armor", "--local-user", a, "--local-user", b, "--comment", "made by hand: twice", "--comment", "and: more", "--output", "-", "--detach-sign")
	accepts(t, public(t, g, a), both, 1)
	accepts(t, public(t, g, b), both, 1)
	_, err := public(t, g, c).Verify(sums, both, time.Now())
	var other *openpgp.OtherError
	if !errors.As(err, &other) || len(other.By) != 2 {
		t.Errorf("by another: %v", err)
	}
	accepts(t, public(t, g, a), []byte(strings.ReplaceAll(string(both), "\n", "\r\n")), 1)
	for _, digest := range []string{"SHA256", "SHA384", "SHA512"} {
		accepts(t, public(t, g, b), detach(t, g, b, "--digest-algo", digest), 1)
	}
	accepts(t, public(t, g, b), detach(t, g, b, "--set-notation", "a@example.com=b", "--sig-policy-url", "https://example.com", "--default-sig-expire", "1y"), 1)
}

// Several certificates can be in one file, armored once or several times or not
// at all.
func TestParseKeyringOfSeveral(t *testing.T) {
	g := parts.NewGnuPG(t)
	a, b := g.Generate("A", "ed25519", "sign", "never"), g.Generate("B", "nistp256", "sign", "never")
	binary := g.Run(nil, "--export")
	one := g.Run(nil, "--armor", "--export")
	two := "Our keys:\n" + string(g.Run(nil, "--armor", "--export", a)) + "\nand\n" + string(g.Run(nil, "--armor", "--export", b))
	for name, data := range map[string][]byte{"binary": binary, "one block": one, "two blocks": []byte(two)} {
		if !openpgp.IsKey(data) || openpgp.IsPrivateKey(data) {
			t.Errorf("%s: is taken for something else", name)
		}
		list, err := openpgp.ParseKeyring(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var found []string
		for _, k := range list {
			found = append(found, k.Fingerprint())
			again, err := k.Armored()
			if err != nil {
				t.Fatal(err)
			}
			if r := parse(t, again); r.String() != k.String() || !slices.Equal(r.IDs(), k.IDs()) {
				t.Errorf("%s became %s", k, r)
			}
		}
		if !slices.Contains(found, a) || !slices.Contains(found, b) || len(found) != 2 {
			t.Errorf("%s: %v", name, found)
		}
	}
}

// What bale signs, gpg, gpgv and Sequoia's sqv accept, whatever the key and
// however it is exported.
func TestOthersVerifyWhatIsSigned(t *testing.T) {
	const password = "ein geheimes Wort"
	g := parts.NewGnuPG(t)
	gpgv, sqv := parts.Tool(t, "gpgv"), parts.Tool(t, "sqv")
	file := g.Write("SHA256SUMS", sums)
	for algorithm, forms := range map[string][]string{
		"ed25519": {"plain", "password", "binary", "subkey", "subkeys only"}, "rsa3072": {"password"},
		"nistp256": {"plain", "subkeys only"}, "nistp384": {"plain"}, "nistp521": {"password"}, "brainpoolP384r1": {"plain"},
	} {
		for _, form := range forms {
			t.Run(algorithm+" "+form, func(t *testing.T) {
				pw := ""
				if form == "password" || form == "subkeys only" {
					pw = password
				}
				usage := "sign"
				if form == "subkeys only" {
					usage = "cert"
				}
				user := algorithm + " " + form
				f := g.Generate(user, algorithm, usage, "1y", "--passphrase", pw)
				if strings.HasPrefix(form, "subkey") {
					g.Subkey(f, algorithm, "sign", "1y", "--passphrase", pw)
				}
				args := []string{"--passphrase", pw, "--armor", "--export-secret-keys", f}
				switch form {
				case "binary":
					args = append(args[:2], "--export-secret-keys", f)
				case "subkeys only":
					args[3] = "--export-secret-subkeys"
				}
				secret := g.Run(nil, args...)
				if !openpgp.IsPrivateKey(secret) || openpgp.IsKey(secret) {
					t.Error("is taken for something else")
				}
				asked := 0
				k, err := openpgp.ParsePrivateKey(secret, func() ([]byte, error) {
					asked++
					return []byte(pw), nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if (asked == 1) != (pw != "") || asked > 1 {
					t.Errorf("asked %d times for a password", asked)
				}
				if k.Public().Fingerprint() != f {
					t.Errorf("is %s, want %s", k, f)
				}
				if pw != "" {
					_, err := openpgp.ParsePrivateKey(secret, func() ([]byte, error) { return []byte(pw + "x"), nil })
					if !errors.Is(err, fault.ErrUsage) || !strings.Contains(err.Error(), "wrong password") || strings.Contains(err.Error(), pw) {
						t.Errorf("wrong password: %v", err)
					}
					if _, err := openpgp.ParsePrivateKey(secret, nil); !errors.Is(err, fault.ErrUsage) {
						t.Errorf("no password: %v", err)
					}
				}
				sig, err := k.Sign(t.Context(), sums)
				if err != nil {
					t.Fatal(err)
				}
				if sig.Form != sign.OpenPGP || sig.By != k.Public().Identity() {
					t.Errorf("form %v, by %v", sig.Form, sig.By)
				}
				accepts(t, public(t, g, f), sig.Data, 1)
				asc := g.Write("SHA256SUMS.asc", sig.Data)
				g.Run(nil, "--verify", asc, file)
				ring := g.Write("ring.gpg", g.Run(nil, "--export", f))
				others := []string{gpgv, sqv}
				if strings.HasPrefix(algorithm, "brainpool") {
					others = others[:1] // sqv of Debian 12 does not know the curves
				}
				for _, program := range others {
					cmd := exec.CommandContext(t.Context(), program, "--keyring", ring, asc, file)
					cmd.Env = g.Env()
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Errorf("%s: %v: %s", cmd, err, out)
					}
				}
				bad := g.Write("other", sums[1:])
				if _, err := g.Try(nil, "--verify", asc, bad); err == nil {
					t.Error("gpg accepts it over something else")
				}
			})
		}
	}
}
