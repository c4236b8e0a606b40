package ssh

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"bale/bundle/fault"
	"bale/sign"
)

// token is a FIDO token in software (PROTOCOL.u2f): there is none on this machine.
// That it is right, ssh-keygen says.
type token struct {
	public  *PublicKey
	kind    string
	key     crypto.Signer
	flags   byte
	counter uint32
}

const tokenApplication = "ssh:bale"

func newToken(t testing.TB, kind string) *token {
	t.Helper()
	tok := &token{kind: kind, flags: flagTouched, counter: 7}
	var blob []byte
	if kind == ssh.KeyAlgoSKED25519 {
		pub, priv, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		tok.key = priv
		blob = ssh.Marshal(struct {
			Kind        string
			Key         []byte
			Application string
		}{kind, pub, tokenApplication})
	} else {
		priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		tok.key = priv
		point, err := priv.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		blob = ssh.Marshal(struct {
			Kind, Curve string
			Key         []byte
			Application string
		}{kind, "nistp256", point, tokenApplication})
	}
	tok.public = one(t, tok.line(blob))
	return tok
}

func (tok *token) line(blob []byte) string {
	return tok.kind + " " + base64.StdEncoding.EncodeToString(blob) + " token\n"
}

// answer signs as a token does when OpenSSH asks it to.
func (tok *token) answer(data []byte) (*ssh.Signature, error) {
	application, message := sha256.Sum256([]byte(tokenApplication)), sha256.Sum256(data)
	rest := ssh.Marshal(struct {
		Flags   byte
		Counter uint32
	}{tok.flags, tok.counter})
	signed := append(append(application[:], rest...), message[:]...)
	if tok.kind == ssh.KeyAlgoSKED25519 {
		blob, err := tok.key.Sign(rand.Reader, signed, crypto.Hash(0))
		return &ssh.Signature{Format: tok.kind, Blob: blob, Rest: rest}, err
	}
	sum := sha256.Sum256(signed)
	der, err := tok.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return nil, err
	}
	return &ssh.Signature{Format: tok.kind, Blob: ssh.Marshal(rs), Rest: rest}, nil
}

func (tok *token) sign(t *testing.T, message []byte) *sign.Signature {
	t.Helper()
	sig, err := tok.public.made(message, tok.answer)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

var fidoKinds = []string{ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256}

func TestFIDO(t *testing.T) {
	message := []byte("message")
	for _, kind := range fidoKinds {
		tok := newToken(t, kind)
		if id := tok.public.Identity(); !strings.HasSuffix(id.Algorithm, " (FIDO)") {
			t.Errorf("%s: %+v", kind, id)
		}
		if !tok.public.NeedsTouch() || public(t, "ed25519").NeedsTouch() || new(PublicKey).NeedsTouch() {
			t.Errorf("%s: touch is needed: %v", kind, tok.public.NeedsTouch())
		}
		data := tok.sign(t, message).Data
		s, err := ParseSignature(data)
		if err != nil {
			t.Fatal(err)
		}
		if err := tok.public.Verify(message, s); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if err := tok.public.Verify([]byte("messages"), s); !errors.Is(err, fault.ErrUntrusted) {
			t.Errorf("%s: another message: %v", kind, err)
		}
		if s.Touched() != "a FIDO token, touched" {
			t.Errorf("%s: %q", kind, s.Touched())
		}
		tok.flags |= flagVerified
		if s, err := ParseSignature(tok.sign(t, message).Data); err != nil || !strings.Contains(s.Touched(), "PIN") {
			t.Errorf("%s: %q, %v", kind, s.Touched(), err)
		}
		// The same key for another application is another key.
		other := one(t, tok.line([]byte(strings.Replace(string(tok.public.blob), tokenApplication, "ssh:held", 1))))
		if s.By(other) {
			t.Errorf("%s: an application like another", kind)
		}
		eachBit(data, 8, func(bad []byte) {
			if err := check(tok.public, message, bad); err == nil {
				t.Errorf("%s: accepted\n%s", kind, bad)
			}
		})
		for name, c := range map[string]struct {
			f    func(p *pieces)
			kind error
			says string
		}{
			"no flags":     {func(p *pieces) { p.sig.Rest = nil }, fault.ErrDamaged, ""},
			"short flags":  {func(p *pieces) { p.sig.Rest = p.sig.Rest[:4] }, fault.ErrDamaged, ""},
			"more flags":   {func(p *pieces) { p.sig.Rest = append(p.sig.Rest, 0) }, fault.ErrDamaged, ""},
			"flags taken":  {func(p *pieces) { p.sig.Rest[0] = 0 }, fault.ErrUntrusted, "touch"},
			"flags added":  {func(p *pieces) { p.sig.Rest[0] |= flagVerified }, fault.ErrUntrusted, "fit"},
			"counter":      {func(p *pieces) { p.sig.Rest[4]++ }, fault.ErrUntrusted, "fit"},
			"plain format": {func(p *pieces) { p.sig.Format = ssh.KeyAlgoED25519 }, fault.ErrUnsupported, "format"},
			"web format":   {func(p *pieces) { p.sig.Format = "webauthn-sk-ecdsa-sha2-nistp256@openssh.com" }, fault.ErrUnsupported, "webauthn"},
		} {
			p := apart(t, data)
			p.head.Fields = nil
			c.f(p)
			if err := check(tok.public, message, p.together()); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %s: %v", kind, name, err)
			}
		}
		tok.flags = 0
		if sig, err := tok.public.made(message, tok.answer); err == nil || sig != nil || !strings.Contains(err.Error(), "touch") {
			t.Errorf("%s: without a touch: %v", kind, err)
		}
	}
}
