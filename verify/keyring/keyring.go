// Package keyring reads the files that say whose signatures count: public keys
// in whichever form they are kept. What a file holds is told by its content,
// never by its name.
package keyring

import (
	"fmt"

	"bale/sign"
	"bale/verify"
)

// Load reads the public keys in a file of at most [sign.MaxKeyFile] bytes, of
// which there is at least one.
func Load(path string) ([]verify.Authority, error) {
	data, err := sign.ReadKeyFile(path)
	if err != nil {
		return nil, fmt.Errorf("public key %s: %w", sign.KeyName(path), err)
	}
	list, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("public key %s: %w", sign.KeyName(path), err)
	}
	return list, nil
}

// Parse is [Load] for the content of a file.
func Parse(data []byte) ([]verify.Authority, error) {
	keys, err := Keys(data)
	if err != nil {
		return nil, err
	}
	list := make([]verify.Authority, len(keys))
	for i, k := range keys {
		list[i] = k.Authority
	}
	return list, nil
}
