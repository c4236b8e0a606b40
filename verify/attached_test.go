package verify_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/sign"
	"bale/verify"
)

// theirs reads a signature that another tool made.
func theirs(t testing.TB, tool, name string) []byte {
	t.Helper()
	return read(t, filepath.Join("..", "sign", tool, "testdata", name))
}

func TestRecognize(t *testing.T) {
	ed := loadPrivate(t, "ed25519.pem")
	made := signed(t, ed, sums)
	key := "key " + ed.Public().Fingerprint()
	gpg, ssh := theirs(t, "openpgp", "ed25519.sig.asc"), theirs(t, "ssh", "ed25519.sig")
	without := change(t, made, func(b *bundlepb.Bundle) { b.GetMessageSignature().MessageDigest = &commonpb.HashOutput{} })
	for name, c := range map[string]struct {
		data []byte
		form sign.Form
		by   string // what it begins with
		kind error
		says string
	}{
		"Sigstore":                  {made, sign.Sigstore, key, nil, ""},
		"Sigstore, indented":        {append([]byte("\n"), indented(t, made)...), sign.Sigstore, key, nil, ""},
		"Sigstore, without digest":  {without, sign.Sigstore, key, nil, ""},
		"Sigstore, by certificate":  {change(t, made, certified), sign.Sigstore, "", nil, ""},
		"OpenPGP":                   {gpg, sign.OpenPGP, "OpenPGP key ", nil, ""},
		"several of OpenPGP":        {theirs(t, "openpgp", "several.sig.asc"), sign.OpenPGP, "OpenPGP key ", nil, ""},
		"SSH":                       {ssh, sign.SSH, "SSH key SHA256:", nil, ""},
		"over something else":       {signed(t, ed, []byte("other")), 0, "", fault.ErrUntrusted, "is over something with the SHA-256"},
		"attestation":               {change(t, made, attestation), 0, "", fault.ErrUnsupported, "attestation"},
		"cut":                       {made[:len(made)-2], 0, "", fault.ErrDamaged, "JSON"},
		"JSON of another kind":      {[]byte(`{"a":1}`), 0, "", fault.ErrDamaged, "media type"},
		"newer":                     {bytes.Replace(made, []byte("v0.3"), []byte("v0.9"), 1), 0, "", fault.ErrUnsupported, "another version"},
		"OpenPGP, cut":              {gpg[:len(gpg)-20], 0, "", fault.ErrDamaged, "armor"},
		"OpenPGP, twice":            {append(bytes.Clone(gpg), gpg...), 0, "", fault.ErrDamaged, "armor blocks"},
		"OpenPGP, something added":  {append(bytes.Clone(gpg), "x\n"...), 0, "", fault.ErrDamaged, "around its armor"},
		"OpenPGP, no detached one":  {theirs(t, "openpgp", "cleartext.sig.asc"), 0, "", fault.ErrUsage, "not a signature"},
		"SSH, cut":                  {ssh[:len(ssh)/2], 0, "", fault.ErrDamaged, "cut short"},
		"SSH, twice":                {append(bytes.Clone(ssh), ssh...), 0, "", fault.ErrDamaged, ""},
		"SSH, for Git":              {theirs(t, "ssh", "git.sig"), 0, "", fault.ErrUntrusted, "namespace \"git\""},
		"nothing":                   {nil, 0, "", fault.ErrUsage, "not a signature"},
		"the message":               {sums, 0, "", fault.ErrUsage, "not a signature"},
		"OpenPGP without its armor": {[]byte("\x88\x75\x04\x00"), 0, "", fault.ErrUsage, "not a signature"},
		"a private key":             {read(t, testKey("ed25519.pem")), 0, "", fault.ErrUsage, "not a signature"},
		"too large":                 {append(bytes.Clone(made), make([]byte, bundle.MaxSignature)...), 0, "", fault.ErrUsage, "too many"},
	} {
		got, err := verify.Recognize(c.data, sums)
		switch {
		case c.kind == nil && (err != nil || got.Form != c.form || !strings.HasPrefix(got.By, c.by) || c.by == "" && got.By != ""):
			t.Errorf("%s: %+v, %v", name, got, err)
		case c.kind != nil && (!errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) || got != verify.Attached{}):
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// What is taken in here is read on the far side, too.
func FuzzRecognize(f *testing.F) {
	f.Add(signed(f, loadPrivate(f, "ed25519.pem"), sums))
	f.Add(theirs(f, "openpgp", "ed25519.sig.asc"))
	f.Add(theirs(f, "openpgp", "several.sig.asc"))
	f.Add(theirs(f, "ssh", "ed25519.sig"))
	f.Add([]byte("{}"))
	f.Add([]byte("-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := verify.Recognize(data, sums)
		if err != nil {
			if got != (verify.Attached{}) {
				t.Fatal("an error and a form")
			}
			return
		}
		entry := map[sign.Form]string{sign.Sigstore: "SHA256SUMS.sigstore.json", sign.OpenPGP: "SHA256SUMS.asc", sign.SSH: "SHA256SUMS.sig"}[got.Form]
		if _, err := verify.Claims(bundle.NewEnvelope(sums, entries(entry, data))); err != nil {
			t.Fatalf("taken in as %s and then refused: %v", got.Form, err)
		}
	})
}

func TestSignersOf(t *testing.T) {
	ec, ed, rsa := loadPrivate(t, "sec1.pem"), loadPrivate(t, "ed25519.pem"), loadPrivate(t, "rsa.pem")
	env := bundle.NewEnvelope(sums, entries(entry, signed(t, ec, sums), entry+".1", signed(t, ed, sums), entry+".2", signed(t, ec, sums)))
	for name, c := range map[string]struct {
		of   []*sign.PublicKey
		want []*sign.PrivateKey
	}{
		"one":         {keys(ed), []*sign.PrivateKey{ed}},
		"both":        {keys(ed, ec), []*sign.PrivateKey{ec, ed}},
		"one of them": {keys(rsa, ec), []*sign.PrivateKey{ec}},
		"none":        {keys(rsa), nil},
		"nobody":      {nil, nil},
	} {
		got, err := verify.SignersOf(env, verify.Keys(c.of...)...)
		if err != nil || len(got) != len(c.want) {
			t.Errorf("%s: %v, %v", name, got, err)
			continue
		}
		for i, s := range got {
			if s.Identity != c.want[i].Public().Identity() {
				t.Errorf("%s: %d is %s", name, i, s.Identity)
			}
		}
	}
	other := bundle.NewEnvelope(sums, entries(entry, signed(t, ed, []byte("other"))))
	if got, err := verify.SignersOf(other, verify.Key(ed.Public())); !errors.Is(err, fault.ErrUntrusted) || got != nil {
		t.Errorf("a signature of something else: %v, %v", got, err)
	}
	if got, err := verify.SignersOf(other, verify.Key(ec.Public())); err != nil || got != nil {
		t.Errorf("somebody else's: %v, %v", got, err)
	}
}
