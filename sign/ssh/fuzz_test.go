package ssh

import (
	"bytes"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"bale/bundle/fault"
)

// seed gives f the files of testdata that a pattern takes.
func seed(f *testing.F, pattern string, least int) {
	f.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil {
		f.Fatal(err)
	}
	if len(paths) < least {
		f.Fatalf("%d seeds of %s in testdata, fewer than %d", len(paths), pattern, least)
	}
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
}

// FuzzSignature puts what has no armor into one, to get below it. What is read is the whole of the data and has one form; nothing
// that is not a seed's signature verifies.
func FuzzSignature(f *testing.F) {
	seed(f, "*.sig", 14)
	for _, name := range []string{"ed25519", "ecdsa521", "rsa-sha256", "git", "certified"} {
		blob, err := unarmor(read(f, name+".sig"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(blob)
	}
	var keys []*PublicKey
	for name := range keyFiles {
		keys = append(keys, public(f, name))
	}
	message := append(read(f, "message"), "other"...)
	f.Fuzz(func(t *testing.T, data []byte) {
		if !bytes.HasPrefix(data, []byte("-")) {
			data = armor(data, armorWidth)
		}
		s, err := ParseSignature(data)
		if err != nil {
			if s != nil || !errors.Is(err, fault.ErrDamaged) && !errors.Is(err, fault.ErrUnsupported) {
				t.Fatalf("%v", err)
			}
			return
		}
		blob, err := unarmor(data)
		if err != nil {
			t.Fatal(err)
		}
		again := ssh.Marshal(head{Magic: [len(magic)]byte([]byte(magic)), Version: version, Fields: ssh.Marshal(fields{
			PublicKey: s.key, Namespace: s.namespace, Reserved: s.reserved, Hash: s.hash, Signature: s.blob,
		})})
		if !bytes.Equal(blob, again) {
			t.Fatalf("%x is read as %x", blob, again)
		}
		if s.Signer() == "" {
			t.Fatal("by nobody")
		}
		s.Touched()
		for _, k := range keys {
			if err := k.Verify(message, s); err == nil {
				t.Fatalf("verified by %s", k)
			}
		}
	})
}

// FuzzPublicKeys: keys that are read are of a known kind and say the same when
// they are read again; what is refused gives none.
func FuzzPublicKeys(f *testing.F) {
	seed(f, "*.pub", 9)
	seed(f, "allowed_signers*", 2)
	message, sig := read(f, "message"), read(f, "ed25519.sig")
	s, err := ParseSignature(sig)
	if err != nil {
		f.Fatal(err)
	}
	signer := public(f, "ed25519")
	f.Fuzz(func(t *testing.T, data []byte) {
		meant := IsPublicKey(data)
		keys, err := ParsePublicKeys(data)
		if err != nil {
			if keys != nil || !errors.Is(err, fault.ErrUsage) && !errors.Is(err, fault.ErrUnsupported) {
				t.Fatalf("%d keys, %v", len(keys), err)
			}
			return
		}
		if !meant || len(keys) == 0 {
			t.Fatalf("%d keys in what is not taken for keys", len(keys))
		}
		for _, k := range keys {
			again, err := newPublicKey(k.blob)
			if err != nil || again.Fingerprint() != k.Fingerprint() || k.Identity().Algorithm == "" {
				t.Fatalf("%s became %s: %v", k, again, err)
			}
			_ = k.Permits(time.Now())
			if err := k.Verify(message, s); (err == nil) != bytes.Equal(k.blob, signer.blob) {
				t.Fatalf("%s: %v", k, err)
			}
		}
	})
}

// FuzzPrivateKey puts what is not PEM into it. What is accepted signs so that its public half verifies, or says
// why not. Keys that ask for a password are refused, or their KDF would take all
// the time.
func FuzzPrivateKey(f *testing.F) {
	for name := range keyFiles {
		f.Add(read(f, name))
	}
	for name := range keyFiles {
		b, _ := pem.Decode(read(f, name))
		if b == nil {
			f.Fatal("no PEM")
		}
		f.Add(b.Bytes)
	}
	for _, name := range []string{"ed25519-ctr", "ed25519-gcm", "dsa", "rsa1024", "ed25519.pub"} {
		f.Add(read(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.HasPrefix(data, []byte(envelopeMagic)) {
			data = pem.EncodeToMemory(&pem.Block{Type: privateLabel, Bytes: data})
		}
		k, err := ParsePrivateKey(data, never)
		if err != nil {
			if k != nil {
				t.Fatal("a key came with the error")
			}
			return
		}
		sig, err := k.Sign(t.Context(), []byte("message"))
		if (err == nil) != (sig != nil) {
			t.Fatalf("signature %v with error %v", sig, err)
		}
		if sig != nil {
			if err := check(k.Public(), []byte("message"), sig.Data); err != nil {
				t.Fatal(err)
			}
		}
	})
}
