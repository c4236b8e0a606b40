package verify_test

import (
	"encoding/base64"
	"encoding/json"
	encpem "encoding/pem"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cryptossh "golang.org/x/crypto/ssh"

	"bale/bundle"
	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/sign/ssh"
	"bale/verify"
)

// sshFile is the content of a file that sign/ssh/testdata/make.sh made.
func sshFile(t testing.TB, name string) []byte {
	t.Helper()
	return read(t, filepath.Join("..", "sign", "ssh", "testdata", name))
}

// sshKeys reads lines of public keys.
func sshKeys(t testing.TB, lines string) []*ssh.PublicKey {
	t.Helper()
	keys, err := ssh.ParsePublicKeys([]byte(lines))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func sshPublic(t testing.TB, name string) *ssh.PublicKey {
	t.Helper()
	return sshKeys(t, string(sshFile(t, name+".pub")))[0]
}

// sshEnv is an envelope with the signatures in some files of make.sh.
func sshEnv(t testing.TB, files ...string) *bundle.Envelope {
	t.Helper()
	var list []any
	for i, f := range files {
		list = append(list, container.SignatureName(container.SSH, i), sshFile(t, f))
	}
	return bundle.NewEnvelope(sshFile(t, "message"), entries(list...))
}

func trustSSH(keys ...*ssh.PublicKey) verify.Trust {
	var list []verify.Authority
	for _, k := range keys {
		list = append(list, verify.SSH(k))
	}
	return verify.TrustAny(list...)
}

func TestSSH(t *testing.T) {
	for _, name := range []string{"ed25519", "ecdsa256", "ecdsa384", "ecdsa521", "rsa"} {
		for _, file := range []string{name + ".sig", name + "-sha256.sig"} {
			k := sshPublic(t, name)
			r, err := verify.Verify(sshEnv(t, file), trustSSH(k))
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			s := r.Signers()
			if len(s) != 1 || s[0].Entry != container.SSHName || s[0].Identity != k.Identity() || !slices.Equal(s[0].IDs, k.IDs()) || len(s[0].Times) != 0 {
				t.Errorf("%s: %+v", file, s)
			}
			if _, err := json.Marshal(s); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestSSHRefused(t *testing.T) {
	key := sshPublic(t, "ed25519")
	line := "alice@example.com %s " + strings.TrimSpace(string(sshFile(t, "ed25519.pub")))
	options := func(o string) []*ssh.PublicKey { return sshKeys(t, strings.Replace(line, "%s", o, 1)) }
	altered := bundle.NewEnvelope([]byte("other sums\n"), entries(container.SSHName, sshFile(t, "ed25519.sig")))
	cut := bundle.NewEnvelope(sshFile(t, "message"), entries(container.SSHName, sshFile(t, "ed25519.sig")[:100]))
	for name, c := range map[string]struct {
		env  *bundle.Envelope
		keys []*ssh.PublicKey
		kind error
		says string
	}{
		"other key":         {sshEnv(t, "rsa.sig"), []*ssh.PublicKey{key}, fault.ErrUntrusted, "by SSH key " + sshPublic(t, "rsa").Fingerprint()},
		"certificate":       {sshEnv(t, "certified.sig"), []*ssh.PublicKey{key}, fault.ErrUntrusted, "certificate"},
		"altered":           {altered, []*ssh.PublicKey{key}, fault.ErrUntrusted, "fit"},
		"cut":               {cut, []*ssh.PublicKey{key}, fault.ErrDamaged, container.SSHName},
		"for git":           {sshEnv(t, "git.sig"), []*ssh.PublicKey{key}, fault.ErrUntrusted, `"git"`},
		"for git, and good": {sshEnv(t, "git.sig", "ed25519.sig"), []*ssh.PublicKey{key}, fault.ErrUntrusted, `"git"`},
		"no signature":      {sshEnv(t), []*ssh.PublicKey{key}, fault.ErrUntrusted, "not signed"},
		"empty key":         {sshEnv(t, "ed25519.sig"), []*ssh.PublicKey{new(ssh.PublicKey)}, fault.ErrUsage, "empty key"},
		"nil key":           {sshEnv(t, "ed25519.sig"), []*ssh.PublicKey{nil}, fault.ErrUsage, "empty key"},
		"expired":           {sshEnv(t, "ed25519.sig"), options(`valid-before="20200101Z"`), fault.ErrUntrusted, "not valid after 2020-01-01"},
		"not yet valid":     {sshEnv(t, "ed25519.sig"), options(`valid-after="20990101Z"`), fault.ErrUntrusted, "not valid before 2099-01-01"},
		"for git only":      {sshEnv(t, "ed25519.sig"), options(`namespaces="git"`), fault.ErrUntrusted, `"git"`},
		"expired, altered":  {altered, options(`valid-before="20200101Z"`), fault.ErrUntrusted, "fit"},
	} {
		r, err := verify.Verify(c.env, trustSSH(c.keys...))
		if !errors.Is(err, c.kind) || r != nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, keys := range map[string][]*ssh.PublicKey{
		"in its time":         options(`valid-after="20200101Z",valid-before="20990101Z"`),
		"for files":           options(`namespaces="git,file"`),
		"another has expired": append(options(`valid-before="20200101Z"`), key),
	} {
		r, err := verify.Verify(sshEnv(t, "ed25519.sig"), trustSSH(keys...))
		if err != nil || len(r.Signers()) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A foreign signature beside it does no harm, whichever comes first.
	for _, files := range [][]string{{"rsa.sig", "ed25519.sig"}, {"ed25519.sig", "certified.sig"}} {
		if _, err := verify.Verify(sshEnv(t, files...), trustSSH(key)); err != nil {
			t.Errorf("%s: %v", files, err)
		}
	}
}

// A key counts once, however often it signs and in whatever form it is trusted.
func TestSSHKeyCountsOnce(t *testing.T) {
	pem := loadPrivate(t, "sec1.pem")
	raw, err := cryptossh.ParseRawPrivateKey(read(t, testKey("sec1.pem")))
	if err != nil {
		t.Fatal(err)
	}
	block, err := cryptossh.MarshalPrivateKey(raw, "")
	if err != nil {
		t.Fatal(err)
	}
	priv, err := ssh.ParsePrivateKey(encpem.EncodeToMemory(block), nil)
	if err != nil {
		t.Fatal(err)
	}
	asPEM := signed(t, pem, sums)
	asSSH, err := priv.Sign(t.Context(), sums)
	if err != nil {
		t.Fatal(err)
	}
	env := bundle.NewEnvelope(sums, entries(container.SigstoreName, asPEM, container.SSHName, asSSH.Data, "SHA256SUMS.sig.1", asSSH.Data))
	both := []verify.Authority{verify.Key(pem.Public()), verify.SSH(priv.Public())}
	if r, err := verify.Verify(env, verify.TrustSome(1, both...)); err != nil || len(r.Signers()) != 1 {
		t.Errorf("one of two: %v", err)
	}
	if _, err := verify.Verify(env, verify.TrustSome(2, both...)); !errors.Is(err, fault.ErrUntrusted) {
		t.Errorf("two of two: %v", err)
	}
	// Two lines of allowed_signers for one key are one signer too.
	text := "ecdsa-sha2-nistp256 " + base64.StdEncoding.EncodeToString(wire(t, raw))
	lines := sshKeys(t, "alice@example.com "+text+"\nbob@example.com "+text+"\n")
	if r, err := verify.Verify(env, verify.TrustAny(verify.SSH(lines[0]), verify.SSH(lines[1]))); err != nil || len(r.Signers()) != 1 {
		t.Errorf("one of two names: %v", err)
	}
	if _, err := verify.Verify(env, verify.TrustSome(2, verify.SSH(lines[0]), verify.SSH(lines[1]))); !errors.Is(err, fault.ErrUntrusted) {
		t.Errorf("two names: %v", err)
	}
	// And another key is another.
	other, err := ssh.ParsePrivateKey(sshFile(t, "ed25519"), nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := other.Sign(t.Context(), sums)
	if err != nil {
		t.Fatal(err)
	}
	env = bundle.NewEnvelope(sums, entries(container.SigstoreName, asPEM, container.SSHName, second.Data))
	if r, err := verify.Verify(env, verify.TrustSome(2, verify.Key(pem.Public()), verify.SSH(other.Public()))); err != nil || len(r.Signers()) != 2 {
		t.Errorf("two keys: %v", err)
	}
}

// wire is the wire form of the public half of a key.
func wire(t testing.TB, priv any) []byte {
	t.Helper()
	s, err := cryptossh.NewSignerFromKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	return s.PublicKey().Marshal()
}

// What a bundle can carry is not refused for its length alone.
func TestSSHLength(t *testing.T) {
	if ssh.MaxSignature != bundle.MaxSignature {
		t.Errorf("%d bytes, and an entry of a bundle has %d", ssh.MaxSignature, bundle.MaxSignature)
	}
}

// An SSH signature is never parsed where no SSH key is trusted.
func TestSSHWithoutSSHKeys(t *testing.T) {
	k := loadPrivate(t, "sec1.pem")
	env := bundle.NewEnvelope(sums, entries(entry, signed(t, k, sums), container.SSHName, []byte("nonsense")))
	if _, err := verify.Verify(env, trust(k.Public())); err != nil {
		t.Error(err)
	}
	if _, err := verify.Verify(env, verify.TrustAny(verify.Key(k.Public()), verify.SSH(sshPublic(t, "rsa")))); !errors.Is(err, fault.ErrDamaged) {
		t.Error(err)
	}
}
