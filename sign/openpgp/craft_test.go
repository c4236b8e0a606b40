package openpgp

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/eddsa"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"bale/bundle/fault"
)

func file(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func key(t testing.TB, data []byte) *Key {
	t.Helper()
	list, err := ParseKeyring(data)
	if err != nil {
		t.Fatal(err)
	}
	return list[0]
}

// inside returns what is in an armored signature.
func inside(t testing.TB, entry []byte) []byte {
	t.Helper()
	b, err := dearmor(entry, true)
	if err != nil {
		t.Fatal(err)
	}
	return b[0].data
}

func armored(t testing.TB, data []byte) []byte {
	t.Helper()
	entry, err := enarmor(block{signatureType, data}, true)
	if err != nil {
		t.Fatal(err)
	}
	return entry
}

func TestVectors(t *testing.T) {
	message := file(t, "message")
	for _, name := range []string{"ed25519", "rsa2048", "nistp256", "subkey"} {
		k := key(t, file(t, name+".pub.asc"))
		times, err := k.Verify(message, file(t, name+".sig.asc"), time.Now())
		if err != nil || len(times) != 1 || !times[0].Equal(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: %v, %v", name, times, err)
		}
		priv, err := ParsePrivateKey(file(t, name+".key.asc"), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if priv.Public().String() != k.String() {
			t.Errorf("%s: %s has the public half %s", name, k, priv.Public())
		}
	}
	if _, err := ParsePrivateKey(file(t, "password.key.asc"), func() ([]byte, error) { return []byte("geheim"), nil }); err != nil {
		t.Error(err)
	}
}

// Nothing in a signature can change unseen, whatever the algorithm.
func TestEveryBitCounts(t *testing.T) {
	message, now := file(t, "message"), time.Now()
	for _, name := range []string{"ed25519", "nistp256", "rsa2048", "subkey"} {
		k := key(t, file(t, name+".pub.asc"))
		entry := file(t, name+".sig.asc")
		good := inside(t, entry)
		for i := range good {
			for bit := range 8 {
				bad := bytes.Clone(good)
				bad[i] ^= 1 << bit
				if times, err := k.Verify(message, armored(t, bad), now); err == nil || times != nil {
					t.Errorf("%s: bit %d of byte %d of the packet is not checked", name, bit, i)
				}
			}
		}
		for i := range good {
			if _, err := k.Verify(message, armored(t, good[:i]), now); err == nil {
				t.Errorf("%s: accepted without the last %d bytes", name, len(good)-i)
			}
		}
		for i := range entry {
			for bit := range 8 {
				bad := bytes.Clone(entry)
				bad[i] ^= 1 << bit
				if _, err := k.Verify(message, bad, now); err == nil && !bytes.Equal(inside(t, bad), good) {
					t.Errorf("%s: bit %d of byte %d of the armor makes another signature", name, bit, i)
				}
			}
		}
		for i := range len(entry) - 1 { // the last line end may be missing
			if _, err := k.Verify(message, entry[:i], now); !errors.Is(err, fault.ErrDamaged) {
				t.Errorf("%s: cut after %d bytes: %v", name, i, err)
			}
		}
	}
}

func TestArmor(t *testing.T) {
	message, now := file(t, "message"), time.Now()
	name := "" // of a vector whose base64 ends with one "="
	for _, n := range []string{"ed25519", "nistp256", "subkey", "rsa2048"} {
		if len(inside(t, file(t, n+".sig.asc")))%3 == 2 {
			name = n
		}
	}
	if name == "" {
		t.Fatal("no vector has padding: run testdata/make.sh again")
	}
	entry := string(file(t, name+".sig.asc"))
	k := key(t, file(t, name+".pub.asc"))
	lines := strings.Split(entry, "\n") // begin, empty, 2 of base64, 1 more, sum, end
	body := strings.Join(lines[2:len(lines)-3], "")
	sum := lines[len(lines)-3] + "\n"
	if len(sum) != 6 || sum[0] != '=' {
		t.Fatalf("no checksum in %q", entry)
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	last := len(body) - 2 // the last two bits of this character are no data
	loose := body[:last] + string(alphabet[strings.IndexByte(alphabet, body[last])|1]) + "="
	if loose == body {
		t.Fatalf("loose bits in %q", body)
	}
	begin, end := lines[0]+"\n", lines[len(lines)-2]+"\n"
	wrapped := func(width int) string {
		var s strings.Builder
		for part := range slices.Chunk([]byte(body), width) {
			s.Write(part)
			s.WriteByte('\n')
		}
		return s.String()
	}
	for name, c := range map[string]struct {
		entry string
		good  bool
	}{
		"as it is":              {entry, true},
		"without checksum":      {begin + "\n" + wrapped(64) + end, true},
		"headers":               {begin + "Version: GnuPG v1\nComment: x: y\n\n" + wrapped(64) + sum + end, true},
		"spaces for empty":      {begin + " \t\n" + wrapped(64) + sum + end, true},
		"short lines":           {begin + "\n" + wrapped(4) + sum + end, true},
		"longest lines":         {begin + "\n" + wrapped(76) + sum + end, true},
		"CRLF":                  {strings.ReplaceAll(entry, "\n", "\r\n"), true},
		"empty lines around":    {"\n \n" + entry + "\n\n", true},
		"no last line end":      {strings.TrimSuffix(entry, "\n"), true},
		"longer lines":          {begin + "\n" + wrapped(77) + sum + end, false},
		"no empty line":         {begin + wrapped(64) + sum + end, false},
		"header without colon":  {begin + "Version\n\n" + wrapped(64) + sum + end, false},
		"many headers":          {begin + strings.Repeat("A: b\n", 17) + "\n" + wrapped(64) + sum + end, false},
		"empty line within":     {begin + "\n\n" + wrapped(64) + sum + end, false},
		"space within":          {begin + "\n " + wrapped(64) + sum + end, false},
		"space at the end":      {begin + "\n" + strings.Replace(wrapped(64), "\n", " \n", 1) + sum + end, false},
		"CR within":             {begin + "\n" + wrapped(64)[:8] + "\r" + wrapped(64)[8:] + sum + end, false},
		"wrong checksum":        {begin + "\n" + wrapped(64) + "=AAAA\n" + end, false},
		"two checksums":         {begin + "\n" + wrapped(64) + sum + sum + end, false},
		"data behind checksum":  {begin + "\n" + wrapped(64) + sum + "AAAA\n" + end, false},
		"no end":                {begin + "\n" + wrapped(64) + sum, false},
		"another end":           {begin + "\n" + wrapped(64) + sum + "-----END PGP MESSAGE-----\n", false},
		"another type":          {strings.ReplaceAll(entry, "SIGNATURE", "MESSAGE"), false},
		"private key":           {strings.ReplaceAll(entry, "SIGNATURE", "PRIVATE KEY BLOCK"), false},
		"nothing in it":         {begin + "\n" + end, false},
		"loose bits":            {begin + "\n" + strings.Replace(wrapped(64), body[last-2:], loose[last-2:], 1) + end, false},
		"no padding":            {begin + "\n" + strings.Replace(wrapped(64), "=", "", 1) + end, false},
		"behind END":            {strings.TrimSuffix(entry, "\n") + " x\n", false},
		"block in a block":      {begin + "\n" + begin + "\n" + wrapped(64) + sum + end + end, false},
		"type without a name":   {"----------BEGIN -----\n", false},
		"begin that never ends": {"-----BEGIN PGP SIGNATURE\n\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			times, err := k.Verify(message, []byte(c.entry), now)
			if (err == nil) != c.good || (len(times) == 1) != c.good {
				t.Errorf("%v, %v", times, err)
			}
			if err != nil && !errors.Is(err, fault.ErrDamaged) && !errors.Is(err, fault.ErrUnsupported) {
				t.Errorf("error %v is neither damaged nor unsupported", err)
			}
		})
	}
}

// making keys as others than gpg make them.
var modern = &packet.Config{DefaultHash: crypto.SHA512, Algorithm: packet.PubKeyAlgoEd25519, V6Keys: true,
	NonDeterministicSignaturesViaNotation: packet.BoolPointer(false)}

func generate(t *testing.T, config *packet.Config) *pgp.Entity {
	t.Helper()
	e, err := pgp.NewEntity("Eve", "", "eve@example.com", config)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func serialized(t *testing.T, e *pgp.Entity, secret bool) []byte {
	t.Helper()
	var buf bytes.Buffer
	err := e.Serialize(&buf)
	if secret {
		buf.Reset()
		err = e.SerializePrivateWithoutSigning(&buf, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// Keys of version 6, which gpg does not have, and the algorithms that came with it.
func TestVersionSix(t *testing.T) {
	for _, algorithm := range []packet.PublicKeyAlgorithm{packet.PubKeyAlgoEd25519, packet.PubKeyAlgoEd448, packet.PubKeyAlgoRSA} {
		config := *modern
		config.Algorithm, config.RSABits = algorithm, 2048
		for _, v6 := range []bool{true, false} {
			config.V6Keys = v6
			e := generate(t, &config)
			k, err := ParsePrivateKey(serialized(t, e, true), nil)
			if err != nil {
				t.Fatal(err)
			}
			sig, err := k.Sign(t.Context(), []byte("message"))
			if err != nil {
				t.Fatal(err)
			}
			public := key(t, serialized(t, e, false))
			if n := len(public.Fingerprint()); v6 && n != 64 || !v6 && n != 40 {
				t.Errorf("fingerprint %s", public.Fingerprint())
			}
			if _, err := public.Verify([]byte("message"), sig.Data, time.Now()); err != nil {
				t.Errorf("algorithm %d, version 6 %v: %v", algorithm, v6, err)
			}
			if _, err := public.Verify([]byte("other"), sig.Data, time.Now()); !errors.Is(err, ErrMismatch) {
				t.Errorf("algorithm %d, version 6 %v: other message: %v", algorithm, v6, err)
			}
			if strings.Contains(string(sig.Data), "\n=") == v6 {
				t.Errorf("version 6 %v: checksum in %s", v6, sig.Data)
			}
		}
	}
}

// A subkey signs only if it has signed back to its primary key: else anybody
// could claim the subkey of another, and with it all that it ever signed.
func TestSubkeysSignBack(t *testing.T) {
	config := *modern
	config.V6Keys = false
	victim := generate(t, &config)
	if err := victim.AddSigningSubkey(&config); err != nil {
		t.Fatal(err)
	}
	sub := &victim.Subkeys[len(victim.Subkeys)-1]
	k, err := ParsePrivateKey(serialized(t, victim, true), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !k.signer.IsSubkey {
		t.Fatal("the subkey does not sign")
	}
	sig, err := k.Sign(t.Context(), []byte("message"))
	if err != nil {
		t.Fatal(err)
	}
	bind := func(e *pgp.Entity, back *packet.Signature) []byte {
		binding := *sub.Bindings[0].Packet
		binding.EmbeddedSignature = back
		binding.IssuerKeyId, binding.IssuerFingerprint = &e.PrimaryKey.KeyId, e.PrimaryKey.Fingerprint
		if err := binding.SignKey(sub.PublicKey, e.PrivateKey, &config); err != nil {
			t.Fatal(err)
		}
		taken := *sub
		taken.Primary, taken.Bindings = e, []*packet.VerifiableSignature{packet.NewVerifiableSig(&binding)}
		taken.PrivateKey = nil
		e.Subkeys = []pgp.Subkey{taken}
		return serialized(t, e, false)
	}
	back := sub.Bindings[0].Packet.EmbeddedSignature
	if _, err := key(t, bind(victim, back)).Verify([]byte("message"), sig.Data, time.Now()); err != nil {
		t.Fatalf("bound by its own primary key: %v", err)
	}
	thief := generate(t, &config)
	for name, public := range map[string][]byte{
		"no signature back":         bind(victim, nil),
		"stolen":                    bind(thief, nil),
		"stolen with the signature": bind(thief, back),
	} {
		stolen := key(t, public)
		if times, err := stolen.Verify([]byte("message"), sig.Data, time.Now()); times != nil || !errors.Is(err, fault.ErrUntrusted) || !strings.Contains(err.Error(), "no valid binding") {
			t.Errorf("%s: %v, %v", name, times, err)
		}
		if id := keyID(sub.PublicKey); slices.Contains(stolen.IDs(), id) {
			t.Errorf("%s: is the same as its victim", name)
		}
	}
	// And a back-signature over a weak digest is none.
	weak := *back
	weak.Hash = crypto.SHA1
	if err := weak.CrossSignKey(sub.PublicKey, victim.PrimaryKey, sub.PrivateKey, &config); err != nil {
		t.Fatal(err)
	}
	if _, err := key(t, bind(victim, &weak)).Verify([]byte("message"), sig.Data, time.Now()); !errors.Is(err, fault.ErrUntrusted) {
		t.Errorf("signed back over SHA-1: %v", err)
	}
}

// craft signs message with the vector's key, after a change of the packet.
func craft(t *testing.T, message []byte, change func(*packet.Signature)) []byte {
	t.Helper()
	k, err := ParsePrivateKey(file(t, "ed25519.key.asc"), nil)
	if err != nil {
		t.Fatal(err)
	}
	pk := &k.signer.PublicKey
	sig := &packet.Signature{
		Version: 4, SigType: packet.SigTypeBinary, PubKeyAlgo: pk.PubKeyAlgo, Hash: crypto.SHA512,
		CreationTime: time.Now(), IssuerKeyId: &pk.KeyId,
	}
	change(sig)
	h, err := sig.PrepareSign(making)
	if err != nil {
		t.Fatal(err)
	}
	h.Write(message)
	if err := sig.Sign(h, k.signer, making); err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := sig.Serialize(&buf); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// repack changes the body of the one signature packet in data.
func repack(t *testing.T, data []byte, change func([]byte) []byte) []byte {
	t.Helper()
	p, err := split(data, 1)
	if err != nil {
		t.Fatal(err)
	}
	body := change(bytes.Clone(p[0].body))
	return append([]byte{0x88 | 1, byte(len(body) >> 8), byte(len(body))}, body...)
}

// unhashed puts subpackets into the part that is not signed.
func unhashed(t *testing.T, data []byte, subpackets ...byte) []byte {
	return repack(t, data, func(body []byte) []byte {
		at := 6 + int(body[4])<<8 + int(body[5])
		n := int(body[at])<<8 + int(body[at+1]) + len(subpackets)
		body[at], body[at+1] = byte(n>>8), byte(n)
		return slices.Insert(body, at+2, subpackets...)
	})
}

func TestRefusesCrafted(t *testing.T) {
	message, now := []byte("message"), time.Now()
	k := key(t, file(t, "ed25519.pub.asc"))
	plain := craft(t, message, func(*packet.Signature) {})
	if _, err := k.Verify(message, armored(t, plain), now); err != nil {
		t.Fatal(err)
	}
	lifetime, stranger := uint32(1), uint64(1)
	past := func(s *packet.Signature) { s.CreationTime = now.AddDate(-1, 0, 0); s.SigLifetimeSecs = &lifetime }
	many := bytes.Repeat(plain, MaxSignatures)
	for name, c := range map[string]struct {
		data []byte
		kind error
		text string
	}{
		"expired":               {craft(t, message, past), fault.ErrUntrusted, "has expired"},
		"text":                  {craft(t, message, func(s *packet.Signature) { s.SigType = packet.SigTypeText }), fault.ErrUnsupported, "over text"},
		"certification":         {craft(t, message, func(s *packet.Signature) { s.SigType = packet.SigTypePositiveCert }), fault.ErrUnsupported, "kind 0x13"},
		"other key id":          {craft(t, message, func(s *packet.Signature) { s.IssuerKeyId = &stranger }), fault.ErrDamaged, "two keys"},
		"critical notation":     {craft(t, message, func(s *packet.Signature) { s.Notations = []*packet.Notation{{Name: "a@b", IsCritical: true}} }), fault.ErrUnsupported, "notation"},
		"weak":                  {craft(t, message, func(s *packet.Signature) { s.Hash = crypto.SHA1 }), fault.ErrUntrusted, "SHA-1"},
		"before the key":        {craft(t, message, func(s *packet.Signature) { s.CreationTime = time.Unix(1e9, 0) }), fault.ErrUntrusted, "younger"},
		"to come":               {craft(t, message, func(s *packet.Signature) { s.CreationTime = now.Add(2 * MaxSkew) }), fault.ErrUntrusted, "yet to come"},
		"unsigned notation":     {unhashed(t, plain, 2, 20, 0), fault.ErrUnsupported, "type 20 that is not signed"},
		"critical issuer":       {unhashed(t, plain, append([]byte{9, 16 | critical}, k.issuers[0].fingerprint[12:]...)...), fault.ErrUnsupported, "not signed"},
		"unsigned padding":      {unhashed(t, plain, 2, 100, 0), fault.ErrUnsupported, "type 100 that is not signed"},
		"unsigned other issuer": {unhashed(t, plain, 9, 16, 1, 2, 3, 4, 5, 6, 7, 8), fault.ErrDamaged, "two keys"},
		"short issuer":          {unhashed(t, plain, 2, 16, 0), fault.ErrDamaged, "key id of 1 bytes"},
		"short fingerprint":     {unhashed(t, plain, 2, 33, 4), fault.ErrDamaged, "fingerprint of 0 bytes"},
		"subpacket of nothing":  {unhashed(t, plain, 0), fault.ErrDamaged, "subpacket"},
		"subpacket cut":         {unhashed(t, plain, 200), fault.ErrDamaged, "subpacket"},
		"trailing byte":         {repack(t, plain, func(b []byte) []byte { return append(b, 0) }), fault.ErrDamaged, "other words"},
		"version 3":             {repack(t, plain, func([]byte) []byte { return v3(k) }), fault.ErrUnsupported, "version 3"},
		"literal behind":        {append(bytes.Clone(plain), 0xcb, 1, 'b'), fault.ErrUnsupported, "not a detached"},
		"compressed":            {[]byte{0xc8, 2, 1, 0}, fault.ErrUnsupported, "not a detached"},
		"marker behind":         {append(bytes.Clone(plain), 0xca, 3, 'P', 'G', 'P'), fault.ErrDamaged, "tag 10"},
		"garbage behind":        {append(bytes.Clone(plain), 0), fault.ErrDamaged, "how long"},
		"partial length":        {append([]byte{0xc2, 0xe1}, plain...), fault.ErrDamaged, "how long"},
		"endless":               {append([]byte{0x8b}, plain...), fault.ErrDamaged, "how long"},
		"huge":                  {[]byte{0xc2, 0xff, 0xff, 0xff, 0xff, 0xff, 4}, fault.ErrDamaged, "malformed"},
		"empty packet":          {[]byte{0xc2, 0}, fault.ErrDamaged, "cut short"},
		"too many":              {append(many, plain...), fault.ErrDamaged, "more than 32"},
		"one good, one bad":     {append(bytes.Clone(plain), craft(t, []byte("other"), func(*packet.Signature) {})...), fault.ErrUntrusted, "does not fit"},
	} {
		t.Run(name, func(t *testing.T) {
			times, err := k.Verify(message, armored(t, c.data), now)
			if times != nil || !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v, %v", times, err)
			}
		})
	}
	for name, data := range map[string][]byte{
		"many":                         many,
		"known issuer":                 unhashed(t, plain, append([]byte{9, 16}, k.issuers[0].fingerprint[12:]...)...),
		"clock ahead":                  craft(t, message, func(s *packet.Signature) { s.CreationTime = now.Add(MaxSkew / 2) }),
		"plain notation":               craft(t, message, func(s *packet.Signature) { s.Notations = []*packet.Notation{{Name: "a@b"}} }),
		"SHA-3":                        craft(t, message, func(s *packet.Signature) { s.Hash = crypto.SHA3_256 }),
		"lasting":                      craft(t, message, func(s *packet.Signature) { l := uint32(3600); s.SigLifetimeSecs = &l }),
		"a stranger's too":             append(bytes.Clone(plain), inside(t, file(t, "rsa2048.sig.asc"))...),
		"a stranger's, without a time": append(bytes.Clone(plain), 0xc2, 20, 4, 0, 22, 10, 0, 0, 0, 10, 9, 16, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0),
		"of the future":                append(bytes.Clone(plain), 0xc2, 2, 9, 9),
	} {
		if _, err := k.Verify(message, armored(t, data), now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, data := range map[string][]byte{
		"version 9":      {0xc2, 2, 9, 9},
		"nobody's":       {0xc2, 10, 4, 0, 22, 10, 0, 0, 0, 0, 0, 0},
		"wrong key kind": {0xc2, 10, 4, 0, 99, 10, 0, 0, 0, 0, 0, 0},
	} {
		var other *OtherError
		if _, err := k.Verify(message, armored(t, data), now); !errors.As(err, &other) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// v3 is the body of a signature of version 3 that names k.
func v3(k *Key) []byte {
	body := append([]byte{3, 5, 0, 0x60, 0, 0, 0}, k.issuers[0].fingerprint[12:]...)
	return append(body, 22, 8, 0, 0, 0, 1, 1, 0, 1, 1)
}

// unarmored takes the armor off a key.
func unarmored(t *testing.T, data []byte) []byte {
	t.Helper()
	b, err := dearmor(data, false)
	if err != nil {
		t.Fatal(err)
	}
	return b[0].data
}

// A key that somebody appointed has revoked, and revocations that cannot be
// read, do not pass for nothing.
func TestRevocationsOfOthers(t *testing.T) {
	config := *modern
	config.V6Keys = false
	e, revoker := generate(t, &config), generate(t, &config)
	public := serialized(t, e, false)
	revoke := func(by *pgp.Entity) []byte {
		sig := &packet.Signature{Version: 4, SigType: packet.SigTypeKeyRevocation, PubKeyAlgo: by.PrimaryKey.PubKeyAlgo,
			Hash: crypto.SHA512, CreationTime: time.Now(), IssuerKeyId: &by.PrimaryKey.KeyId}
		if err := sig.RevokeKey(e.PrimaryKey, by.PrivateKey, &config); err != nil {
			t.Fatal(err)
		}
		var buf bytes.Buffer
		if err := sig.Serialize(&buf); err != nil {
			t.Fatal(err)
		}
		return buf.Bytes()
	}
	k, err := ParsePrivateKey(serialized(t, e, true), nil)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := k.Sign(t.Context(), []byte("message"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(data []byte) error {
		_, err := key(t, data).Verify([]byte("message"), sig.Data, time.Now())
		return err
	}
	if err := check(public); err != nil {
		t.Fatal(err)
	}
	if err := check(append(bytes.Clone(public), revoke(e)...)); !errors.Is(err, fault.ErrUntrusted) {
		t.Errorf("revoked behind all else: %v", err)
	}
	another := file(t, "nistp256.pub.asc")
	for name, data := range map[string][]byte{
		"before": slices.Concat(revoke(e), public), "behind another": slices.Concat(public, unarmored(t, another), revoke(e)),
	} {
		if err := check(data); !errors.Is(err, fault.ErrUntrusted) {
			t.Errorf("revoked %s: %v", name, err)
		}
		list, err := ParseKeyring(data)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := list[len(list)-1].Verify(file(t, "message"), file(t, "nistp256.sig.asc"), time.Now()); len(list) == 2 && err != nil {
			t.Errorf("revoked %s: the other: %v", name, err)
		}
	}
	if _, err := ParseKeyring(slices.Concat(revoke(e), unarmored(t, another))); !errors.Is(err, fault.ErrUsage) || !strings.Contains(err.Error(), "not in it") {
		t.Errorf("a revocation of another: %v", err)
	}
	if err := check(append(bytes.Clone(public), revoke(revoker)...)); err != nil {
		t.Errorf("revoked by a stranger: %v", err)
	}
	// A direct signature that appoints the revoker; only its subpackets are looked at.
	appoint := []byte{0xc2, 0, 4, kindDirect, 27, 10, 0, 30, 5, subCreated, 0x60, 0, 0, 0, 23, subRevoker, 0x80, 27}
	appoint = append(appoint, revoker.PrimaryKey.Fingerprint...)
	appoint = append(appoint, 0, 22+1, 22, subFingerprint, 4)
	appoint = append(appoint, e.PrimaryKey.Fingerprint...)
	appoint = append(appoint, 0, 0)
	appoint = append(appoint, make([]byte, 64)...)
	appoint[1] = byte(len(appoint) - 2)
	if err := check(slices.Concat(public, appoint, revoke(revoker))); !errors.Is(err, fault.ErrUntrusted) {
		t.Errorf("revoked by somebody appointed: %v", err)
	}
	unreadable := repack(t, revoke(e), func(b []byte) []byte { b[3] = 1; return b }) // over MD5
	if _, err := ParseKeyring(append(bytes.Clone(public), unreadable...)); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("revoked over MD5: %v", err)
	}
}

// handmade makes a signature of version 4 by the vector's key out of its
// subpackets, which the library would not put together like that.
func handmade(t *testing.T, message, signed, unsigned []byte) []byte {
	t.Helper()
	k, err := ParsePrivateKey(file(t, "ed25519.key.asc"), nil)
	if err != nil {
		t.Fatal(err)
	}
	body := append([]byte{4, kindBinary, 22, 10, 0, byte(len(signed))}, signed...)
	digest := sha512.Sum512(slices.Concat(message, body, []byte{4, 0xff, 0, 0, 0, byte(len(body))}))
	sig := ed25519.Sign(ed25519.NewKeyFromSeed(k.signer.PrivateKey.(*eddsa.PrivateKey).D), digest[:])
	body = append(append(body, 0, byte(len(unsigned))), unsigned...)
	body = append(body, digest[0], digest[1])
	for half := range slices.Chunk(sig, 32) {
		n := new(big.Int).SetBytes(half)
		body = append(append(body, byte(n.BitLen()>>8), byte(n.BitLen())), n.Bytes()...)
	}
	return append([]byte{0x88, byte(len(body))}, body...)
}

func TestSubpackets(t *testing.T) {
	message, now := []byte("message"), time.Now()
	k := key(t, file(t, "ed25519.pub.asc"))
	f := k.issuers[0].fingerprint
	created := binary.BigEndian.AppendUint32([]byte{5, subCreated}, uint32(now.Unix()))
	named := append([]byte{22, subFingerprint, 4}, f...)
	id := append([]byte{9, subIssuer}, f[12:]...)
	stranger := []byte{9, subIssuer, 1, 2, 3, 4, 5, 6, 7, 8}
	other := new(OtherError)
	for name, c := range map[string]struct {
		signed, unsigned []byte
		kind             error // nil if it is good
		text             string
	}{
		"fingerprint":                {slices.Concat(created, named), nil, nil, ""},
		"fingerprint, not signed":    {created, named, nil, ""},
		"only the key id":            {slices.Concat(created, id), nil, nil, ""},
		"only the key id, unsigned":  {created, id, nil, ""}, // as GnuPG before 2.1.16
		"unknown":                    {slices.Concat(created, named, []byte{2, 100, 0}), nil, nil, ""},
		"unknown and critical":       {slices.Concat(created, named, []byte{2, 100 | critical, 0}), nil, fault.ErrUnsupported, "critical"},
		"two times":                  {slices.Concat(created, created, named), nil, fault.ErrDamaged, "two subpackets of type 2"},
		"no time":                    {named, nil, fault.ErrDamaged, "time"},
		"unsigned time":              {named, created, fault.ErrUnsupported, "not signed"},
		"two lives":                  {slices.Concat(created, named, []byte{5, subExpires, 0, 0, 0, 1}, []byte{5, subExpires, 0, 0, 0, 0}), nil, fault.ErrDamaged, "two subpackets"},
		"key id of another":          {slices.Concat(created, named), stranger, fault.ErrDamaged, "two keys"},
		"another's, and a hint":      {slices.Concat(created, stranger), named, fault.ErrDamaged, "two keys"},
		"nobody's":                   {created, nil, other, "unknown"},
		"another's":                  {slices.Concat(created, stranger), nil, other, "0102030405060708"},
		"embedded signature of none": {slices.Concat(created, named, []byte{2, 32, 4}), nil, fault.ErrDamaged, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			times, err := k.Verify(message, armored(t, handmade(t, message, c.signed, c.unsigned)), now)
			if c.kind == nil {
				if err != nil || len(times) != 1 {
					t.Errorf("%v, %v", times, err)
				}
				return
			}
			var o *OtherError
			if isOther := c.kind == other; isOther && !errors.As(err, &o) || !isOther && !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v, %v", times, err)
			}
		})
	}
}

// A user id is shown on terminals.
func TestSubjectIsClean(t *testing.T) {
	config := *modern
	config.V6Keys = false
	e, err := pgp.NewEntity("Eve\x1b[31m\u202e\xff\n"+strings.Repeat("e", 2*maxSubject), "", "", &config)
	if err != nil {
		t.Fatal(err)
	}
	s := key(t, serialized(t, e, false)).Identity().Subject
	if !strings.HasPrefix(s, "Eve?[31m???ee") || len(s) != maxSubject+3 {
		t.Errorf("%q", s)
	}
}
