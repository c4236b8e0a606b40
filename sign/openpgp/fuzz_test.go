package openpgp

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"bale/bundle/fault"
)

// seed adds all vectors that fit.
func seed(f *testing.F, pattern string, least int) {
	paths, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil {
		f.Fatal(err)
	}
	if len(paths) < least {
		f.Fatalf("only %d seeds", len(paths))
	}
	for _, p := range paths {
		data := file(f, filepath.Base(p))
		f.Add(data)
		blocks, err := dearmor(data, false)
		if err == nil && len(blocks) == 1 {
			f.Add(blocks[0].data)
		}
	}
}

// FuzzEntry: whatever is accepted, the library accepts too (without what others
// signed), and it is a vector in another armor: nobody signs by chance. What is not
// accepted gives no times.
func FuzzEntry(f *testing.F) {
	seed(f, "*.sig.asc", 8)
	message := file(f, "message")
	ring, err := ParseKeyring(slices.Concat(file(f, "several.pub.asc"), file(f, "rsa2048.pub.asc")))
	if err != nil {
		f.Fatal(err)
	}
	var good [][]byte // what was signed
	for _, name := range []string{"ed25519", "nistp256", "rsa2048", "subkey", "several"} {
		list, err := parseEntry(file(f, name+".sig.asc"))
		if err != nil {
			f.Fatal(err)
		}
		for _, s := range list {
			good = append(good, s.body)
		}
	}
	now := time.Now()
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, entry := range [][]byte{data, armoredAs(t, data)} {
			for _, k := range ring {
				times, err := k.Verify(message, entry, now)
				if (err == nil) != (len(times) > 0) {
					t.Fatalf("%v with error %v", times, err)
				}
				var other *OtherError
				if err != nil {
					if !errors.As(err, &other) && !errors.Is(err, fault.ErrDamaged) && !errors.Is(err, fault.ErrUntrusted) && !errors.Is(err, fault.ErrUnsupported) {
						t.Fatalf("error %v of no kind", err)
					}
					continue
				}
				list, err := parseEntry(entry)
				if err != nil {
					t.Fatal(err)
				}
				var own []byte
				for _, s := range list {
					if k.isIssuer(s.head) {
						own = append(own, s.whole...)
					}
					if k.isIssuer(s.head) && !slices.ContainsFunc(good, func(g []byte) bool { return bytes.Equal(g, s.body) }) {
						t.Fatalf("accepts a signature that nobody made: %x", s.body)
					}
				}
				c, err := k.certificate()
				if err != nil {
					t.Fatal(err)
				}
				if _, _, err := pgp.VerifyArmoredDetachedSignature(pgp.EntityList{c.Entity}, bytes.NewReader(message), bytes.NewReader(armoredAs(t, own)), nil); err != nil {
					t.Fatalf("the library says %v", err)
				}
			}
		}
	})
}

func armoredAs(t *testing.T, data []byte) []byte {
	entry, err := enarmor(block{signatureType, data}, true)
	if err != nil {
		t.Fatal(err)
	}
	return entry
}

// FuzzKeyring: what is accepted is what it is after another turn, can be shown,
// and verifies no nonsense.
func FuzzKeyring(f *testing.F) {
	seed(f, "*.pub.asc", 5)
	message, entry := file(f, "message"), file(f, "text.sig.asc")
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := ParseKeyring(data)
		if err != nil {
			if list != nil {
				t.Fatal("keys came with the error")
			}
			return
		}
		if len(list) == 0 || !IsKey(data) && !bytes.Contains(data, []byte(armorBegin)) && data[0]&0x80 == 0 {
			t.Fatalf("%d keys in what is no keyring", len(list))
		}
		for _, k := range list {
			out, err := k.Armored()
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseKeyring(out)
			if err != nil || len(again) != 1 {
				t.Fatalf("%v: %v", again, err)
			}
			if again[0].Identity() != k.Identity() || !slices.Equal(again[0].IDs(), k.IDs()) || clean(k.Identity().Subject) != k.Identity().Subject {
				t.Fatalf("%s became %s", k, again[0])
			}
			if times, err := k.Verify(message, entry, time.Now()); err == nil || times != nil {
				t.Fatal("verifies a signature over text")
			}
		}
	})
}

// FuzzPrivateKey: what is accepted signs so that its public half verifies (Sign
// checks it), or says why not.
func FuzzPrivateKey(f *testing.F) {
	seed(f, "*.key.asc", 5)
	noPassword := func() ([]byte, error) { return nil, errors.New("no password") }
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ParsePrivateKey(data, noPassword)
		if err != nil {
			if k != nil {
				t.Fatal("a key came with the error")
			}
			return
		}
		if sig, err := k.Sign(t.Context(), []byte("message")); (err == nil) != (sig != nil) {
			t.Fatalf("signature %v with error %v", sig, err)
		}
	})
}

// The memory that Argon2 may take is bounded before it is taken.
func TestCostOfPasswords(t *testing.T) {
	const version, aead, argon2 = 4, 253, 4
	for memory, good := range map[byte]bool{16: true, maxArgon2Memory: true, maxArgon2Memory + 1: false, 31: false} {
		body := append([]byte{version, 0, 0, aead, 9, 2, argon2}, make([]byte, 16)...)
		err := raw{tag: tagPrivateKey, body: append(body, 3, 4, memory)}.checkCost(3)
		if (err == nil) != good {
			t.Errorf("memory 2^%d KiB: %v", memory, err)
		}
	}
}
