package main

import (
	"bytes"
	"crypto"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"bale/sign/openpgp"
	"bale/transport/parts"
	"bale/verify/attack"
)

// pgpDays are days after trustMade, as a clock.
func pgpDays(days int) func() time.Time {
	return func() time.Time { return trustMade.AddDate(0, 0, days) }
}

func pgpConfig(days int) *packet.Config {
	return &packet.Config{
		DefaultHash: crypto.SHA512, Algorithm: packet.PubKeyAlgoEdDSA, Time: pgpDays(days),
		NonDeterministicSignaturesViaNotation: packet.BoolPointer(false),
	}
}

// pgpPair is an OpenPGP key as the cases use it.
type pgpPair struct {
	t      *testing.T
	entity *pgp.Entity
	public []byte
}

func armorPGP(t *testing.T, label string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	a, err := armor.EncodeWithChecksumOption(&b, label, nil, true)
	if err == nil {
		_, err = a.Write(data)
	}
	if err == nil {
		err = a.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// pair returns the key as it is published now.
func (w *trustWorld) pgpPair(e *pgp.Entity) *pgpPair {
	w.t.Helper()
	var b bytes.Buffer
	if err := e.Serialize(&b); err != nil {
		w.t.Fatal(err)
	}
	return &pgpPair{w.t, e, armorPGP(w.t, "PGP PUBLIC KEY BLOCK", b.Bytes())}
}

func (w *trustWorld) newPGP(config *packet.Config) *pgp.Entity {
	w.t.Helper()
	e, err := pgp.NewEntity("Frank", "", "frank@example.com", config)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// bobPGP is bob's RSA key in OpenPGP's form.
func (w *trustWorld) bobPGP() *pgpPair {
	w.t.Helper()
	key := packet.NewRSAPrivateKey(trustMade, rsaKey(w.t))
	e := &pgp.Entity{PrimaryKey: &key.PublicKey, PrivateKey: key, Identities: make(map[string]*pgp.Identity)}
	if err := e.AddUserId("Bob", "", "bob@example.com", pgpConfig(0)); err != nil {
		w.t.Fatal(err)
	}
	return w.pgpPair(e)
}

func (p *pgpPair) sign(message []byte) []byte {
	return armorPGP(p.t, "PGP SIGNATURE", signPGP(p.t, p.entity.PrivateKey, message, func(*packet.Signature) {}))
}

// signPGP signs after a change of the packet.
func signPGP(t *testing.T, priv *packet.PrivateKey, message []byte, change func(*packet.Signature)) []byte {
	t.Helper()
	sig := &packet.Signature{
		Version: 4, SigType: packet.SigTypeBinary, PubKeyAlgo: priv.PubKeyAlgo, Hash: crypto.SHA512,
		CreationTime: pgpDays(10)(), IssuerKeyId: &priv.KeyId,
	}
	change(sig)
	h, err := sig.PrepareSign(pgpConfig(10))
	if err != nil {
		t.Fatal(err)
	}
	h.Write(message)
	if err := sig.Sign(h, priv, pgpConfig(10)); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := sig.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pgpBy signs with a key of sign/openpgp/testdata, as bale does.
func (w *trustWorld) pgpBy(name string, message []byte) []byte {
	w.t.Helper()
	k, err := openpgp.ParsePrivateKey(w.read("sign", "openpgp", "testdata", name+".key.asc"), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := k.Sign(w.t.Context(), message)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Data
}

func (w *trustWorld) erin(message []byte) []byte { return w.pgpBy("ed25519", message) }

// openpgpCases are about OpenPGP signatures by a key that is given. Some are by
// gpg itself.
func (w *trustWorld) openpgpCases() []*attack.Case {
	sums := w.sums["edge"]
	good := w.erin(sums)
	is := func(code int, name, reason, says string, data []byte) *attack.Case {
		return trustCase("openpgp-"+name, reason, code, says, "--key keys/erin.asc", file(pgpEntry, data))
	}
	list, err := pgp.ReadArmoredKeyRing(bytes.NewReader(w.read("sign", "openpgp", "testdata", "ed25519.key.asc")))
	if err != nil {
		w.t.Fatal(err)
	}
	erin := list[0].PrivateKey
	made := func(code int, name, reason, says string, change func(*packet.Signature)) *attack.Case {
		return is(code, name, reason, says, armorPGP(w.t, "PGP SIGNATURE", signPGP(w.t, erin, sums, change)))
	}
	packetOf := func(change func([]byte) []byte) []byte {
		return armorPGP(w.t, "PGP SIGNATURE", change(signPGP(w.t, erin, sums, func(*packet.Signature) {})))
	}
	keyed := func(code int, name, reason, says string, p *pgpPair, data []byte) *attack.Case {
		return trustCase("openpgp-"+name, reason, code, says, "--key given.asc", file(pgpEntry, data), file("given.asc", p.public))
	}
	lifetime, day := uint32(86400), uint32(86400)
	other := uint64(1)

	g := parts.NewGnuPG(w.t)
	g.Run(w.read("sign", "openpgp", "testdata", "ed25519.key.asc"), "--import")
	gpg := func(options ...string) []byte {
		return g.Run(sums, append([]string{"--armor", "--local-user", "ed25519", "--output", "-"}, options...)...)
	}

	revoked := w.newPGP(pgpConfig(0))
	byRevoked := w.pgpPair(revoked).sign(sums)
	if err := revoked.Revoke(packet.KeyCompromised, "", pgpConfig(20)); err != nil {
		w.t.Fatal(err)
	}
	brief := pgpConfig(0)
	brief.KeyLifetimeSecs = 30 * day
	expired := w.pgpPair(w.newPGP(brief))

	escaping, err := pgp.NewEntity("\x1b[2J\x1b]0;good\aFrank", "", "frank@example.com", pgpConfig(0))
	if err != nil {
		w.t.Fatal(err)
	}

	// A subkey of two keys, to both of which it has signed back.
	owner, second := w.newPGP(pgpConfig(0)), w.newPGP(pgpConfig(0))
	if err := owner.AddSigningSubkey(pgpConfig(0)); err != nil {
		w.t.Fatal(err)
	}
	both := owner.Subkeys[len(owner.Subkeys)-1]
	byBoth := armorPGP(w.t, "PGP SIGNATURE", signPGP(w.t, both.PrivateKey, sums, func(*packet.Signature) {}))
	rebound, back := *both.Bindings[0].Packet, *both.Bindings[0].Packet.EmbeddedSignature
	if err := back.CrossSignKey(both.PublicKey, second.PrimaryKey, both.PrivateKey, pgpConfig(0)); err != nil {
		w.t.Fatal(err)
	}
	rebound.EmbeddedSignature = &back
	rebound.IssuerKeyId, rebound.IssuerFingerprint = &second.PrimaryKey.KeyId, second.PrimaryKey.Fingerprint
	if err := rebound.SignKey(both.PublicKey, second.PrivateKey, pgpConfig(0)); err != nil {
		w.t.Fatal(err)
	}
	shared := both
	shared.Primary, shared.Bindings = second, []*packet.VerifiableSignature{packet.NewVerifiableSig(&rebound)}
	second.Subkeys = []pgp.Subkey{shared}

	// A subkey that has not signed back: anybody could claim it.
	claimed := w.newPGP(pgpConfig(0))
	if err := claimed.AddSigningSubkey(pgpConfig(0)); err != nil {
		w.t.Fatal(err)
	}
	sub := &claimed.Subkeys[len(claimed.Subkeys)-1]
	bySub := armorPGP(w.t, "PGP SIGNATURE", signPGP(w.t, sub.PrivateKey, sums, func(*packet.Signature) {}))
	binding := *sub.Bindings[0].Packet
	binding.EmbeddedSignature = nil
	if err := binding.SignKey(sub.PublicKey, claimed.PrivateKey, pgpConfig(0)); err != nil {
		w.t.Fatal(err)
	}
	sub.Bindings = []*packet.VerifiableSignature{packet.NewVerifiableSig(&binding)}

	return []*attack.Case{
		is(exitUntrusted, "other-content", "an OpenPGP signature over another bundle's SHA256SUMS", "does not fit", w.erin(w.sums["unnamed"])),
		is(exitUntrusted, "stranger", "a signature by another key", "not signed by a given key", w.bobPGP().sign(sums)),
		is(exitUntrusted, "text", "a signature over text (gpg --textmode), which leaves line ends open", "over text", gpg("--textmode", "--detach-sign")),
		is(exitUntrusted, "cleartext", "a cleartext-signed message (gpg --clear-sign), which brings its own content", "cleartext", gpg("--clear-sign")),
		is(exitUntrusted, "inline", "a signed message (gpg --sign), which brings its own content", "signed message", gpg("--sign")),
		is(exitUntrusted, "sha1", "a signature over SHA-1 by gpg", "weak digest SHA-1", gpg("--digest-algo", "SHA1", "--detach-sign")),
		is(exitUntrusted, "ripemd", "a signature over RIPEMD-160 by gpg", "weak digest RIPEMD-160", gpg("--digest-algo", "RIPEMD160", "--detach-sign")),
		is(exitUntrusted, "md5", "a signature that says it is over MD5", "weak digest MD5", packetOf(func(b []byte) []byte { b[2+3] = 1; return b })),
		is(exitUntrusted, "notation", "a signature with a critical notation that is not known", "critical notation", gpg("--set-notation", "!a@example.com=b", "--detach-sign")),
		is(exitDamaged, "binary", "a signature without armor", "SHA256SUMS.asc", g.Run(sums, "--local-user", "ed25519", "--output", "-", "--detach-sign")),
		made(exitUntrusted, "expired", "a signature that was good for a day", "has expired", func(s *packet.Signature) { s.SigLifetimeSecs = &lifetime }),
		made(exitUntrusted, "to-come", "a signature of the year 2100", "yet to come", func(s *packet.Signature) { s.CreationTime = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC) }),
		made(exitUntrusted, "older-than-key", "a signature that is older than its key", "younger", func(s *packet.Signature) { s.CreationTime = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) }),
		made(exitUntrusted, "certification", "a certification of a user, not a signature over a file", "kind 0x13", func(s *packet.Signature) { s.SigType = packet.SigTypePositiveCert }),
		made(exitDamaged, "two-issuers", "a signature that names two keys", "two keys", func(s *packet.Signature) {
			s.IssuerKeyId, s.IssuerFingerprint = &other, erin.Fingerprint
		}),
		is(exitUntrusted, "altered", "an OpenPGP signature with a bit altered", "does not fit", packetOf(func(b []byte) []byte { b[len(b)-5] ^= 1; return b })),
		is(exitDamaged, "packet-cut", "a packet that is cut off", "SHA256SUMS.asc", packetOf(func(b []byte) []byte { return b[:len(b)-5] })),
		is(exitDamaged, "packet-more", "a packet of another kind after the signature", "tag", packetOf(func(b []byte) []byte { return append(b, 0xb4, 1, 'x') })),
		is(exitDamaged, "checksum", "an armor whose checksum does not fit", "checksum", pgpChecksum(good)),
		is(exitDamaged, "armor-text", "text after the armor of OpenPGP", "text around", append(bytes.Clone(good), "hello\n"...)),
		is(exitDamaged, "armor-twice", "two armors of OpenPGP in one entry", "2 armor blocks", append(bytes.Clone(good), good...)),
		is(exitDamaged, "public-key", "a public key in place of a signature", "PUBLIC KEY", w.read("sign", "openpgp", "testdata", "ed25519.pub.asc")),
		trustCase("openpgp-shared-subkey", "one subkey of two keys signed, and two signers are asked for", exitUntrusted, "has 1", "--threshold 2 --key given.asc --key second.asc",
			file(pgpEntry, byBoth), file("given.asc", w.pgpPair(owner).public), file("second.asc", w.pgpPair(second).public)),
		keyed(exitUntrusted, "escapes", "a stranger's signature, and a key whose user name acts on terminals", "not signed by a given key", w.pgpPair(escaping), good),
		keyed(exitUntrusted, "revoked", "the key was revoked since it signed, as compromised", "is revoked", w.pgpPair(revoked), byRevoked),
		keyed(exitUntrusted, "key-expired", "the key has expired since it signed", "has expired", expired, expired.sign(sums)),
		keyed(exitUntrusted, "subkey-unbound", "the subkey that signed has not signed back to its primary key", "no valid binding", w.pgpPair(claimed), bySub),
	}
}

// pgpChecksum puts another checksum in an armor.
func pgpChecksum(entry []byte) []byte {
	i := bytes.LastIndex(entry, []byte("\n="))
	out := bytes.Clone(entry)
	copy(out[i+2:], "AAAA")
	return out
}
