package ssh

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"bale/bundle/fault"
	"bale/sign"
)

// password opens every encrypted key of testdata.
const password = "bale-test"

// keyFiles are the keys of testdata that are used, and what they are.
var keyFiles = map[string]string{
	"ed25519": "ED25519", "ecdsa256": "ECDSA P-256", "ecdsa384": "ECDSA P-384", "ecdsa521": "ECDSA P-521", "rsa": "RSA 2048",
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// public reads the one key in a file of testdata.
func public(t testing.TB, name string) *PublicKey {
	t.Helper()
	return one(t, string(read(t, name+".pub")))
}

// one reads the one key in a text.
func one(t testing.TB, text string) *PublicKey {
	t.Helper()
	keys, err := ParsePublicKeys([]byte(text))
	if err != nil || len(keys) != 1 {
		t.Fatalf("%d keys: %v", len(keys), err)
	}
	return keys[0]
}

// bare returns the type and base64 of a key of testdata, without its comment.
func bare(t testing.TB, name string) string {
	t.Helper()
	f := strings.Fields(string(read(t, name+".pub")))
	return f[0] + " " + f[1]
}

func TestPublicKeyFiles(t *testing.T) {
	for name, algorithm := range keyFiles {
		data := read(t, name+".pub")
		if !IsPublicKey(data) || IsPrivateKey(data) {
			t.Errorf("%s: not taken for a public key", name)
		}
		k := public(t, name)
		id := k.Identity()
		if id.Kind != sign.KindSSH || id.Algorithm != algorithm || id.Fingerprint != k.Fingerprint() || id.Subject != "" {
			t.Errorf("%s: %+v", name, id)
		}
		if want := "SSH key " + algorithm + " " + k.Fingerprint(); k.String() != want {
			t.Errorf("%s: %q, want %q", name, k, want)
		}
		ids := k.IDs()
		if !slices.Contains(ids, "ssh:"+k.Fingerprint()) {
			t.Errorf("%s: ids %q", name, ids)
		}
		pem, err := sign.NewPublicKey(k.key.(ssh.CryptoPublicKey).CryptoPublicKey())
		if err == nil && !slices.Contains(ids, pem.ID()) {
			t.Errorf("%s: ids %q without that of PEM", name, ids)
		}
		if err != nil && name == "ed25519" {
			t.Error(err)
		}
		ids[0] = "changed"
		if k.IDs()[0] == "changed" {
			t.Errorf("%s: ids can be changed from outside", name)
		}
	}
}

func TestZeroKeys(t *testing.T) {
	var k PublicKey
	if k.Fingerprint() != "" || k.String() != "no SSH key" || len(k.IDs()) != 0 {
		t.Errorf("%s %q", &k, k.IDs())
	}
	s, err := ParseSignature(read(t, "ed25519.sig"))
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Verify(read(t, "message"), s); !errors.Is(err, fault.ErrUsage) {
		t.Error(err)
	}
	if s.By(&k) {
		t.Error("by an empty key")
	}
	if sig, err := new(PrivateKey).Sign(t.Context(), nil); err == nil || sig != nil {
		t.Error("an empty key signs")
	}
	if _, err := Agent(t.Context(), nil); !errors.Is(err, fault.ErrUsage) {
		t.Error(err)
	}
}

func TestAllowedSigners(t *testing.T) {
	ed, ec, rsa := bare(t, "ed25519"), bare(t, "ecdsa256"), bare(t, "rsa")
	text := "# who may sign\n\n" +
		"  alice@example.com " + ed + " a comment, with \"quotes\r\n" +
		"bob@example.com,!eve@example.com\tNameSpaces=\"git,file\",valid-before=\"20990101Z\"\t " + ec + "\n" +
		rsa + "\n" +
		"*@example.com namespaces=\"git\" " + ed
	if !IsPublicKey([]byte(text)) {
		t.Error("not taken for keys")
	}
	keys, err := ParsePublicKeys([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		subject, algorithm string
		permitted          bool
	}{
		{"alice@example.com", "ED25519", true},
		{"bob@example.com,!eve@example.com", "ECDSA P-256", true},
		{"", "RSA 2048", true},
		{"*@example.com", "ED25519", false},
	}
	if len(keys) != len(want) {
		t.Fatalf("%d keys", len(keys))
	}
	for i, w := range want {
		id := keys[i].Identity()
		if id.Subject != w.subject || id.Algorithm != w.algorithm || (keys[i].Permits(time.Now()) == nil) != w.permitted {
			t.Errorf("%d: %+v, %v", i, id, keys[i].Permits(time.Now()))
		}
	}
}

func TestPublicKeysRefused(t *testing.T) {
	ed := bare(t, "ed25519")
	blob := strings.Fields(ed)[1]
	raw, err := base64.StdEncoding.DecodeString(blob)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(name string, v any) string {
		return name + " " + base64.StdEncoding.EncodeToString(ssh.Marshal(v))
	}
	point := append([]byte{4}, make([]byte, 64)...)
	for name, c := range map[string]struct {
		text string
		kind error
		says string
	}{
		"empty":                  {"", fault.ErrUsage, "no SSH key"},
		"comments only":          {"# nobody\n\n", fault.ErrUsage, "no SSH key"},
		"DSA":                    {string(read(t, "dsa.pub")), fault.ErrUnsupported, "ssh-dss"},
		"RSA of 1024 bits":       {string(read(t, "rsa1024.pub")), fault.ErrUnsupported, "1024"},
		"certificate":            {string(read(t, "certified-cert.pub")), fault.ErrUnsupported, "certificate"},
		"private":                {string(read(t, "ed25519")), fault.ErrUsage, "private"},
		"RFC 4716":               {"---- BEGIN SSH2 PUBLIC KEY ----\n" + blob + "\n---- END SSH2 PUBLIC KEY ----\n", fault.ErrUnsupported, "4716"},
		"post-quantum":           {"ssh-mldsa-65 AAAADHNzaC1tbGRzYS02NQ==", fault.ErrUnsupported, "ssh-mldsa-65"},
		"second line bad":        {ed + "\n" + ed[:30] + "\n", fault.ErrUsage, "line 2 "},
		"no base64":              {"ssh-ed25519", fault.ErrUsage, "line 1 "},
		"bad base64":             {"ssh-ed25519 " + blob + "=", fault.ErrUsage, "base64"},
		"bits after the base64":  {"ssh-ed25519 " + loose(blob), fault.ErrUsage, "base64"},
		"cut":                    {"ssh-ed25519 " + base64.StdEncoding.EncodeToString(raw[:len(raw)-1]), fault.ErrUsage, "cannot be read"},
		"something added":        {"ssh-ed25519 " + base64.StdEncoding.EncodeToString(append(slices.Clone(raw), 0)), fault.ErrUsage, "cannot be read"},
		"another type":           {"ssh-rsa " + blob, fault.ErrUsage, "another"},
		"unknown type":           {"alice ssh-foo " + blob, fault.ErrUnsupported, "ssh-foo"},
		"principals only":        {"alice", fault.ErrUsage, ""},
		"options without key":    {`alice namespaces="file"`, fault.ErrUsage, "no key"},
		"CA":                     {"*@example.com cert-authority " + ed, fault.ErrUnsupported, "CA"},
		"CA, in other letters":   {"*@example.com CERT-Authority " + ed, fault.ErrUnsupported, "CA"},
		"CA of authorized_keys":  {"cert-authority " + ed, fault.ErrUnsupported, "cert-authority"},
		"login option":           {"restrict " + ed, fault.ErrUnsupported, "restrict"},
		"login options":          {`No-PTY,command="true" ` + ed, fault.ErrUnsupported, "no-pty"},
		"option as principal":    {`namespaces="git" ` + ed, fault.ErrUnsupported, "namespaces"},
		"unknown option":         {`alice valid-until="2020" ` + ed, fault.ErrUnsupported, "valid-until"},
		"option twice":           {`alice namespaces="a",namespaces="file" ` + ed, fault.ErrUsage, "twice"},
		"option without quotes":  {`alice namespaces=file ` + ed, fault.ErrUsage, "quotes"},
		"option without value":   {`alice namespaces ` + ed, fault.ErrUsage, "quotes"},
		"option with half quote": {`alice namespaces="file ` + ed, fault.ErrUsage, ""},
		"empty option":           {`alice namespaces="file",,valid-after="20200101" ` + ed, fault.ErrUsage, "empty"},
		"option with comma last": {`alice namespaces="file", ` + ed, fault.ErrUsage, "empty"},
		"empty namespaces":       {`alice namespaces="" ` + ed, fault.ErrUsage, "empty"},
		"bad time":               {`alice valid-after="2020" ` + ed, fault.ErrUsage, "valid-after"},
		"window backwards":       {`alice valid-after="20200101",valid-before="20190101" ` + ed, fault.ErrUsage, "valid"},
		"control characters":     {"al\x1b[31mice " + ed, fault.ErrUsage, "control"},
		"not UTF-8":              {"al\xffice " + ed, fault.ErrUsage, "control"},
		"quoted principals":      {`"alice bob" ` + ed, fault.ErrUsage, ""},
		"long line":              {strings.Repeat("a", maxLine) + " " + ed, fault.ErrUsage, "bytes"},
		"long principals":        {strings.Repeat("a", maxPrincipals+1) + " " + ed, fault.ErrUsage, "principals"},
		"too many keys":          {strings.Repeat(ed+"\n", MaxKeys+1), fault.ErrUsage, "more than"},
		"ECDSA not on the curve": {encode("ecdsa-sha2-nistp256", struct {
			Name, Curve string
			Key         []byte
		}{"ecdsa-sha2-nistp256", "nistp256", point}), fault.ErrUsage, "cannot be read"},
		"RSA with leading zeros": {encode("ssh-rsa", struct {
			Name string
			E, N []byte
		}{"ssh-rsa", []byte{0, 1, 0, 1}, rsaModulus(t)}), fault.ErrUsage, "one form"},
		"FIDO key for the web": {encode("sk-ssh-ed25519@openssh.com", struct {
			Name        string
			Key         []byte
			Application string
		}{"sk-ssh-ed25519@openssh.com", raw[len(raw)-32:], "https://example.com"}), fault.ErrUnsupported, "not for SSH"},
	} {
		keys, err := ParsePublicKeys([]byte(c.text))
		if !errors.Is(err, c.kind) || keys != nil {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
			continue
		}
		if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q does not say %q", name, err, c.says)
		}
		if strings.ContainsAny(err.Error(), "\x1b\n") || !utf8.ValidString(err.Error()) {
			t.Errorf("%s: %q", name, err)
		}
	}
}

// loose sets a bit after the end of what base64 with padding holds, or returns
// text that is as wrong.
func loose(text string) string {
	s := strings.TrimRight(text, "=")
	if s == text {
		return text + "A==="
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	last := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + alphabet[last+1:last+2] + text[len(s):]
}

// rsaModulus is that of the RSA key of testdata on the wire.
func rsaModulus(t *testing.T) []byte {
	var w struct {
		Name string
		E, N []byte
	}
	if err := ssh.Unmarshal(public(t, "rsa").blob, &w); err != nil {
		t.Fatal(err)
	}
	return w.N
}

func TestIsKey(t *testing.T) {
	sigstore := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "keys", name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for name, c := range map[string]struct {
		data            []byte
		public, private bool
	}{
		"nothing":              {nil, false, false},
		"private":              {read(t, "ed25519"), false, true},
		"encrypted":            {read(t, "ed25519-ctr"), false, true},
		"refused public":       {read(t, "dsa.pub"), true, false},
		"certificate":          {read(t, "certified-cert.pub"), true, false},
		"RFC 4716":             {[]byte(ssh2Line), true, false},
		"PEM public":           {sigstore("ecdsa.pub"), false, false},
		"PEM private":          {sigstore("pkcs8.pem"), false, false},
		"PEM RSA":              {sigstore("rsa.pem"), false, false},
		"cosign":               {sigstore("ecdsa.key"), false, false},
		"certificate of X.509": {sigstore("certificate.pem"), false, false},
		"signature":            {read(t, "ed25519.sig"), false, false},
		"text":                 {[]byte("an ssh-ed25519 key is what you need\n"), false, false},
		"comment":              {[]byte("# ssh-ed25519 AAAA\n"), false, false},
		"OpenPGP":              {[]byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END PGP PUBLIC KEY BLOCK-----\n"), false, false},
	} {
		if p, q := IsPublicKey(c.data), IsPrivateKey(c.data); p != c.public || q != c.private {
			t.Errorf("%s: public %v, private %v", name, p, q)
		}
	}
}
