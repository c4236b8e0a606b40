package ssh

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"bale/bundle/fault"
)

// check parses and verifies a signature as verify does.
func check(k *PublicKey, message, data []byte) error {
	s, err := ParseSignature(data)
	if err != nil {
		return err
	}
	return k.Verify(message, s)
}

// What ssh-keygen signed is accepted for its message and its key, and for no other.
func TestVerifiesSignaturesOfOpenSSH(t *testing.T) {
	message := read(t, "message")
	for name := range keyFiles {
		k := public(t, name)
		for _, file := range []string{name, name + "-sha256"} {
			data := read(t, file+".sig")
			s, err := ParseSignature(data)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if err := k.Verify(message, s); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			if !s.By(k) || s.Signer() != "SSH key "+k.Fingerprint() || s.Touched() != "" {
				t.Errorf("%s: by %s", file, s.Signer())
			}
			if err := k.Verify(append([]byte("1"), message[1:]...), s); !errors.Is(err, fault.ErrUntrusted) {
				t.Errorf("%s: another message: %v", file, err)
			}
			for other := range keyFiles {
				if other == name {
					continue
				}
				if o := public(t, other); s.By(o) || !errors.Is(o.Verify(message, s), fault.ErrUntrusted) {
					t.Errorf("%s: by %s too", file, other)
				}
			}
		}
	}
}

// pieces are the fields of a signature, taken apart to be changed.
type pieces struct {
	head   head
	fields fields
	sig    ssh.Signature
	raw    []byte // in place of sig
}

func apart(t testing.TB, data []byte) *pieces {
	t.Helper()
	blob, err := unarmor(data)
	if err != nil {
		t.Fatal(err)
	}
	var p pieces
	for _, err := range []error{
		ssh.Unmarshal(blob, &p.head), ssh.Unmarshal(p.head.Fields, &p.fields), ssh.Unmarshal(p.fields.Signature, &p.sig),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return &p
}

// together is the other way.
func (p *pieces) together() []byte {
	f := p.fields
	if f.Signature = p.raw; p.raw == nil {
		f.Signature = ssh.Marshal(p.sig)
	}
	h := p.head
	h.Fields = append(ssh.Marshal(f), p.head.Fields...)
	return armor(ssh.Marshal(h), armorWidth)
}

// change gives back a signature of testdata with something changed in it.
func change(t testing.TB, file string, f func(p *pieces)) []byte {
	t.Helper()
	p := apart(t, read(t, file+".sig"))
	p.head.Fields = nil // what is put there is added at the end
	f(p)
	return p.together()
}

// mpints are the numbers of an ECDSA signature as they are given, strict or not.
func mpints(r, s []byte) []byte {
	return ssh.Marshal(struct{ R, S []byte }{r, s})
}

func TestChangedSignatures(t *testing.T) {
	message := read(t, "message")
	if !bytes.Equal(change(t, "rsa", func(*pieces) {}), read(t, "rsa.sig")) {
		t.Fatal("not the same when put together again")
	}
	var rs struct{ R, S *big.Int }
	if err := ssh.Unmarshal(apart(t, read(t, "ecdsa256.sig")).sig.Blob, &rs); err != nil {
		t.Fatal(err)
	}
	order, _ := new(big.Int).SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
	strict := func(n *big.Int) []byte { return ssh.Marshal(struct{ N *big.Int }{n})[4:] }
	for name, c := range map[string]struct {
		file string
		f    func(p *pieces)
		kind error
		says string
	}{
		"magic":              {"ed25519", func(p *pieces) { p.head.Magic[0] = 's' }, fault.ErrDamaged, ""},
		"version 0":          {"ed25519", func(p *pieces) { p.head.Version = 0 }, fault.ErrUnsupported, "version 0"},
		"version 2":          {"ed25519", func(p *pieces) { p.head.Version = 2 }, fault.ErrUnsupported, "version 2"},
		"something added":    {"ed25519", func(p *pieces) { p.head.Fields = []byte{0} }, fault.ErrDamaged, ""},
		"no key":             {"ed25519", func(p *pieces) { p.fields.PublicKey = nil }, fault.ErrDamaged, "no key"},
		"no kind of key":     {"ed25519", func(p *pieces) { p.fields.PublicKey = []byte{0, 0, 0, 0} }, fault.ErrDamaged, "no key"},
		"namespace git":      {"ed25519", func(p *pieces) { p.fields.Namespace = "git" }, fault.ErrUntrusted, `"git"`},
		"namespace empty":    {"ed25519", func(p *pieces) { p.fields.Namespace = "" }, fault.ErrUntrusted, "namespace"},
		"namespace longer":   {"ed25519", func(p *pieces) { p.fields.Namespace = "file\x00\x1b[31m" }, fault.ErrUntrusted, `\x1b`},
		"reserved":           {"ed25519", func(p *pieces) { p.fields.Reserved = []byte("x") }, fault.ErrUnsupported, "reserved"},
		"hash sha1":          {"ed25519", func(p *pieces) { p.fields.Hash = "sha1" }, fault.ErrUnsupported, "sha1"},
		"hash sha384":        {"ed25519", func(p *pieces) { p.fields.Hash = "sha384" }, fault.ErrUnsupported, "sha384"},
		"hash in capitals":   {"ed25519", func(p *pieces) { p.fields.Hash = "SHA512" }, fault.ErrUnsupported, "SHA512"},
		"the other hash":     {"ed25519", func(p *pieces) { p.fields.Hash = sha256Name }, fault.ErrUntrusted, "fit"},
		"no signature":       {"ed25519", func(p *pieces) { p.raw = []byte{} }, fault.ErrDamaged, ""},
		"format of another":  {"ed25519", func(p *pieces) { p.sig.Format = ssh.KeyAlgoECDSA256 }, fault.ErrUnsupported, "format"},
		"format of FIDO":     {"ed25519", func(p *pieces) { p.sig.Format = ssh.KeyAlgoSKED25519 }, fault.ErrUnsupported, "format"},
		"ED25519 and more":   {"ed25519", func(p *pieces) { p.sig.Rest = []byte{0} }, fault.ErrDamaged, ""},
		"ED25519 with flags": {"ed25519", func(p *pieces) { p.sig.Rest = make([]byte, fidoRest) }, fault.ErrDamaged, ""},
		"ED25519 too short":  {"ed25519", func(p *pieces) { p.sig.Blob = p.sig.Blob[:63] }, fault.ErrDamaged, ""},
		"ED25519 too long":   {"ed25519", func(p *pieces) { p.sig.Blob = append(p.sig.Blob, 0) }, fault.ErrDamaged, ""},
		"ED25519 by another": {"ed25519", func(p *pieces) { p.sig.Blob = make([]byte, 64) }, fault.ErrUntrusted, "fit"},
		"RSA is SHA-1":       {"rsa", func(p *pieces) { p.sig = sha1Signature(t, message) }, fault.ErrUntrusted, "SHA-1"},
		"RSA as SHA-256":     {"rsa", func(p *pieces) { p.sig.Format = ssh.KeyAlgoRSASHA256 }, fault.ErrUntrusted, "fit"},
		"RSA too long":       {"rsa", func(p *pieces) { p.sig.Blob = append([]byte{0}, p.sig.Blob...) }, fault.ErrDamaged, ""},
		"RSA without zeros":  {"rsa", func(p *pieces) { p.sig.Blob = p.sig.Blob[1:] }, fault.ErrDamaged, ""},
		"RSA and more":       {"rsa", func(p *pieces) { p.sig.Rest = []byte{0} }, fault.ErrDamaged, ""},
		"RSA plus N":         {"rsa", func(p *pieces) { p.sig.Blob = bytes.Repeat([]byte{0xff}, 256) }, fault.ErrUntrusted, "fit"},
		"ECDSA on another":   {"ecdsa256", func(p *pieces) { p.sig.Format = ssh.KeyAlgoECDSA384 }, fault.ErrUnsupported, "format"},
		"ECDSA with zeros": {"ecdsa256", func(p *pieces) {
			p.sig.Blob = mpints(append([]byte{0, 0}, strict(rs.R)...), strict(rs.S))
		}, fault.ErrDamaged, ""},
		"ECDSA with zeros in S": {"ecdsa256", func(p *pieces) {
			p.sig.Blob = mpints(strict(rs.R), append([]byte{0, 0}, strict(rs.S)...))
		}, fault.ErrDamaged, ""},
		"ECDSA negative":  {"ecdsa256", func(p *pieces) { p.sig.Blob = ssh.Marshal(struct{ R, S *big.Int }{new(big.Int).Neg(rs.R), rs.S}) }, fault.ErrDamaged, ""},
		"ECDSA zero":      {"ecdsa256", func(p *pieces) { p.sig.Blob = mpints(nil, strict(rs.S)) }, fault.ErrDamaged, ""},
		"ECDSA S is zero": {"ecdsa256", func(p *pieces) { p.sig.Blob = mpints(strict(rs.R), nil) }, fault.ErrDamaged, ""},
		"ECDSA R and N":   {"ecdsa256", func(p *pieces) { p.sig.Blob = mpints(strict(new(big.Int).Add(rs.R, order)), strict(rs.S)) }, fault.ErrUntrusted, "fit"},
		"ECDSA S and N":   {"ecdsa256", func(p *pieces) { p.sig.Blob = mpints(strict(rs.R), strict(new(big.Int).Add(rs.S, order))) }, fault.ErrUntrusted, "fit"},
		"ECDSA and more":  {"ecdsa256", func(p *pieces) { p.sig.Blob = append(p.sig.Blob, 0) }, fault.ErrDamaged, ""},
		"ECDSA half":      {"ecdsa256", func(p *pieces) { p.sig.Blob = p.sig.Blob[:37] }, fault.ErrDamaged, ""},
		"ECDSA in DER":    {"ecdsa256", func(p *pieces) { p.sig.Blob = []byte{0x30, 6, 2, 1, 1, 2, 1, 1} }, fault.ErrDamaged, ""},
		"ECDSA huge":      {"ecdsa521", func(p *pieces) { p.sig.Blob = mpints(bytes.Repeat([]byte{1}, 8000), []byte{1}) }, fault.ErrUntrusted, "fit"},
	} {
		k := public(t, c.file)
		err := check(k, message, change(t, c.file, c.f))
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) || strings.ContainsAny(err.Error(), "\x1b\x00") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sha1Signature is what ssh-rsa meant: valid, and no longer good enough.
func sha1Signature(t *testing.T, message []byte) ssh.Signature {
	data, err := toSign(sha512Name, message)
	if err != nil {
		t.Fatal(err)
	}
	priv, err := ssh.ParseRawPrivateKey(read(t, "rsa"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(data)
	blob, err := rsa.SignPKCS1v15(rand.Reader, priv.(*rsa.PrivateKey), crypto.SHA1, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := ssh.Signature{Format: ssh.KeyAlgoRSA, Blob: blob}
	if err := public(t, "rsa").key.Verify(data, &sig); err != nil {
		t.Fatal("the test's own signature:", err)
	}
	return sig
}

// A signature for another purpose is well made, and does not count.
func TestOtherNamespaces(t *testing.T) {
	k, message := public(t, "ed25519"), read(t, "message")
	for _, name := range []string{"git", "email", "file2"} {
		err := check(k, message, read(t, name+".sig"))
		if !errors.Is(err, fault.ErrUntrusted) || !strings.Contains(err.Error(), `"`+name+`"`) || fault.Hint(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestForeignSigners(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"certificate": {read(t, "certified.sig"), "certificate"},
		"a kind of key that is not known": {change(t, "ed25519", func(p *pieces) {
			p.fields.PublicKey = ssh.Marshal(struct{ Kind, Key string }{"ssh-new\x1b", "abc"})
		}), `of the kind "ssh-new\x1b"`},
		"the key in another form": {change(t, "rsa", func(p *pieces) {
			p.fields.PublicKey = append(p.fields.PublicKey, 0)
		}), "SSH key SHA256:"},
	} {
		s, err := ParseSignature(c.data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := s.Signer(); !strings.Contains(got, c.says) || strings.ContainsAny(got, "\x1b") {
			t.Errorf("%s: by %s", name, got)
		}
		for file := range keyFiles {
			if k := public(t, file); s.By(k) || !errors.Is(k.Verify(read(t, "message"), s), fault.ErrUntrusted) {
				t.Errorf("%s: by %s", name, file)
			}
		}
	}
}

func TestArmor(t *testing.T) {
	good := read(t, "ed25519.sig")
	blob, err := unarmor(good)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(armor(blob, armorWidth), good) {
		t.Error("ssh-keygen writes it otherwise")
	}
	text := base64.StdEncoding.EncodeToString(blob)
	for name, data := range map[string][]byte{
		"76":              armor(blob, 76),
		"64":              armor(blob, 64),
		"1":               armor(blob, 1),
		"one line":        armor(blob, len(text)),
		"no last newline": bytes.TrimSuffix(good, []byte("\n")),
	} {
		if got, err := unarmor(data); err != nil || !bytes.Equal(got, blob) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := string(good)
	for name, data := range map[string]string{
		"empty":              "",
		"header":             beginLine,
		"header line":        beginLine + "\n",
		"no body":            beginLine + "\n" + endLine + "\n",
		"empty body":         beginLine + "\n\n" + endLine + "\n",
		"text before":        "x\n" + s,
		"newline before":     "\n" + s,
		"BOM":                "\ufeff" + s,
		"text after":         s + "x",
		"newline after":      s + "\n",
		"another after":      s + s,
		"CRLF":               strings.ReplaceAll(s, "\n", "\r\n"),
		"one CRLF":           strings.Replace(s, "\n", "\r\n", 2),
		"space in it":        strings.Replace(s, "AAAA", "AA AA", 1),
		"space at an end":    strings.Replace(s, "\n"+endLine, " \n"+endLine, 1),
		"empty line":         strings.Replace(s, "\n", "\n\n", 1),
		"empty line last":    strings.Replace(s, "\n"+endLine, "\n\n"+endLine, 1),
		"lines of no length": beginLine + "\n" + text[:70] + "\n" + text[70:130] + "\n" + text[130:] + "\n" + endLine + "\n",
		"last one longer":    beginLine + "\n" + text[:4] + "\n" + text[4:] + "\n" + endLine + "\n",
		"header of PEM":      strings.Replace(s, "\n", "\nComment: x\n\n", 1),
		"other label":        strings.ReplaceAll(s, "SSH", "PGP"),
		"no padding":         strings.ReplaceAll(string(armor(make([]byte, 70), armorWidth)), "=", ""),
		"bits after the end": strings.ReplaceAll(string(armor(make([]byte, 70), armorWidth)), "A==", "B=="),
		"more padding":       strings.Replace(s, "\n"+endLine, "=\n"+endLine, 1),
		"URL alphabet":       strings.NewReplacer("+", "-", "/", "_").Replace(s[len(beginLine):]),
		"too long":           beginLine + "\n" + strings.Repeat("A", MaxSignature) + "\n" + endLine + "\n",
	} {
		if data == s {
			t.Errorf("%s: nothing changed", name)
		}
		if got, err := unarmor([]byte(data)); !errors.Is(err, fault.ErrDamaged) || got != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nothing of a signature can be left out.
func TestTruncatedSignatures(t *testing.T) {
	message := read(t, "message")
	for name := range keyFiles {
		k, data := public(t, name), read(t, name+".sig")
		for n := range len(data) - 1 { // the last newline may be missing
			if err := check(k, message, data[:n]); !errors.Is(err, fault.ErrDamaged) {
				t.Errorf("%s: %d bytes: %v", name, n, err)
			}
		}
		blob, err := unarmor(data)
		if err != nil {
			t.Fatal(err)
		}
		for n := range blob {
			if err := check(k, message, armor(blob[:n], armorWidth)); !errors.Is(err, fault.ErrDamaged) {
				t.Errorf("%s: %d bytes in the armor: %v", name, n, err)
			}
		}
	}
}

// No bit of a signature can change unseen, in its armor or below it.
func TestEveryBitCounts(t *testing.T) {
	message := read(t, "message")
	for name := range keyFiles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, data := public(t, name), read(t, name+".sig")
			blob, err := unarmor(data)
			if err != nil {
				t.Fatal(err)
			}
			bits := 8
			if name == "ecdsa384" || name == "ecdsa521" {
				bits = 1 // of each byte: they are slow, and the rest is as with P-256
			}
			flipped := 0
			eachBit(data, bits, func(bad []byte) {
				flipped++
				if err := check(k, message, bad); err == nil {
					t.Errorf("accepted\n%s", bad)
				}
			})
			eachBit(blob, bits, func(bad []byte) {
				flipped++
				if err := check(k, message, armor(bad, armorWidth)); err == nil {
					t.Errorf("accepted %x", bad)
				}
			})
			if want := bits * (len(data) + len(blob)); flipped != want {
				t.Errorf("flipped %d bits, want %d", flipped, want)
			}
		})
	}
}

// eachBit calls f with data once for each of the lowest bits of its bytes, that
// bit flipped.
func eachBit(data []byte, bits int, f func([]byte)) {
	bad := bytes.Clone(data)
	for i := range bad {
		for bit := range bits {
			bad[i] ^= 1 << bit
			f(bad)
			bad[i] ^= 1 << bit
		}
	}
}
