package keyring_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"bale/bundle/fault"
	"bale/sign"
	"bale/verify/keyring"
)

func read(t testing.TB, elem ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What a file holds is told by its content.
func TestKeys(t *testing.T) {
	for file, want := range map[string]struct {
		kind sign.Kind
		form sign.Form
		n    int
	}{
		"dave.pub":      {sign.KindKey, sign.Sigstore, 1},
		"dave-ssh.pub":  {sign.KindSSH, sign.SSH, 1},
		"two-ssh.pub":   {sign.KindSSH, sign.SSH, 2},
		"grace.asc":     {sign.KindOpenPGP, sign.OpenPGP, 1},
		"two.asc":       {sign.KindOpenPGP, sign.OpenPGP, 2},
		"alice-ssh.pub": {sign.KindSSH, sign.SSH, 1},
	} {
		keys, err := keyring.Keys(read(t, "..", "policy", "testdata", "keys", file))
		if err != nil || len(keys) != want.n {
			t.Errorf("%s: %d keys, %v", file, len(keys), err)
		}
		for _, k := range keys {
			if k.Identity.Kind != want.kind || k.Form() != want.form || k.Identity.Fingerprint == "" || len(k.IDs) == 0 {
				t.Errorf("%s: %+v", file, k)
			}
		}
		list, err := keyring.Load(filepath.Join("..", "policy", "testdata", "keys", file))
		if err != nil || len(list) != want.n {
			t.Errorf("%s: %v, %v", file, list, err)
		}
	}
}

// One key in two forms is one key.
func TestKeysInTwoForms(t *testing.T) {
	one, err := keyring.Keys(read(t, "..", "policy", "testdata", "keys", "dave.pub"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := keyring.Keys(read(t, "..", "policy", "testdata", "keys", "dave-ssh.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(one[0].IDs, func(id string) bool { return slices.Contains(two[0].IDs, id) }) {
		t.Errorf("%v and %v", one[0].IDs, two[0].IDs)
	}
}

func TestKeysRefuses(t *testing.T) {
	for name, data := range map[string][]byte{
		"nothing":     nil,
		"private key": read(t, "..", "..", "testdata", "keys", "sec1.pem"),
		"certificate": read(t, "..", "policy", "testdata", "keys", "ca.pem"),
		"PEM and SSH": append(read(t, "..", "policy", "testdata", "keys", "dave.pub"), read(t, "..", "policy", "testdata", "keys", "alice-ssh.pub")...),
		"SSH and PEM": append(read(t, "..", "policy", "testdata", "keys", "alice-ssh.pub"), read(t, "..", "policy", "testdata", "keys", "dave.pub")...),
		"PGP and PEM": append(read(t, "..", "policy", "testdata", "keys", "grace.asc"), read(t, "..", "policy", "testdata", "keys", "dave.pub")...),
		"half a line": read(t, "..", "policy", "testdata", "keys", "alice-ssh.pub")[:40],
	} {
		if keys, err := keyring.Keys(data); !errors.Is(err, fault.ErrUsage) && !errors.Is(err, fault.ErrUnsupported) || keys != nil {
			t.Errorf("%s: %v, %v", name, keys, err)
		}
	}
}
