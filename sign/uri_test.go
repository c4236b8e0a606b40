package sign_test

import (
	"testing"

	"bale/sign"
)

func TestKeyName(t *testing.T) {
	for path, want := range map[string]string{
		"bale.pub":                           "bale.pub",
		"a?b@c":                              "a?b@c",
		"hashivault://release":               "hashivault://release",
		"awskms:///alias/release":            "awskms:///alias/release",
		"hashivault://user:hunter2@h/k":      "hashivault://h/k",
		"hashivault://user:hunt@er2@h/k?t=x": "hashivault://h/k",
		"pkcs11:token=a?pin-value=hunter2":   "pkcs11:...",
		"pkcs11:object=b;pin-value=hunter2":  "pkcs11:...",
	} {
		if got := sign.KeyName(path); got != want {
			t.Errorf("%s is called %s, want %s", path, got, want)
		}
	}
}
