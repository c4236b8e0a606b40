package recipe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"bale/bundle/commit"
)

const keySize = 32 // bytes

// readKey reads the key, or makes it. One that others may read, or that is no
// key, is replaced: then all entries are foreign.
func readKey(path string) ([]byte, error) {
	key, err := loadKey(path)
	if err == nil {
		return key, nil
	}
	var opts []commit.Option
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, errNoKey):
		opts = append(opts, commit.Overwrite())
	default:
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make a key for recipes: %w", err)
	}
	key = make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("make a key for recipes: %w", err)
	}
	err = commit.WriteFile(context.Background(), path, key, append(opts, commit.Perm(0o600))...)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make a key for recipes: %w", err)
	}
	// Another process may have been faster: what is in the file counts.
	return loadKey(path)
}

// errNoKey says that a file is there, but holds no key that can be relied on.
var errNoKey = errors.New("not a private key for recipes")

func loadKey(path string) ([]byte, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("read the key for recipes: %w", err)
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("read the key for recipes: %s is not a regular file", path)
	}
	if fi.Size() != keySize || fi.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s: %w", path, errNoKey)
	}
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the key for recipes: %w", err)
	}
	if len(key) != keySize {
		return nil, fmt.Errorf("%s: %w", path, errNoKey)
	}
	return key, nil
}
