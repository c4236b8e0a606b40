package sign

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"bale/bundle/commit"
	"bale/bundle/fault"
)

// The endings and permissions of the files of a key pair.
const (
	PrivateSuffix = ".key"
	PublicSuffix  = ".pub"

	privatePerm = 0o600
	publicPerm  = 0o644
)

// WriteKeyPair writes private to prefix.key (0600) and public to prefix.pub
// (0644), both or neither. A file that is there already is an error that wraps
// [fs.ErrExist] unless overwrite is set.
//
// The public half goes first, so that with overwrite a failure never costs an
// old private key, which nothing brings back.
func WriteKeyPair(ctx context.Context, prefix string, private, public []byte, overwrite bool) error {
	key, err := prepare(prefix+PrivateSuffix, private, privatePerm, overwrite)
	if err != nil {
		return err
	}
	defer key.Discard()
	pub, err := prepare(prefix+PublicSuffix, public, publicPerm, overwrite)
	if err != nil {
		return err
	}
	defer pub.Discard()

	if err := pub.Commit(ctx); err != nil {
		return existsHint(err)
	}
	if err := key.Commit(ctx); err != nil {
		if rerr := os.Remove(prefix + PublicSuffix); rerr != nil {
			err = errors.Join(err, fmt.Errorf("remove the other half: %w", rerr))
		}
		return existsHint(err)
	}
	return nil
}

// prepare writes data under a temporary name beside path.
func prepare(path string, data []byte, perm fs.FileMode, overwrite bool) (*commit.File, error) {
	opts := []commit.Option{commit.Perm(perm)}
	if overwrite {
		opts = append(opts, commit.Overwrite())
	}
	f, err := commit.Create(path, opts...)
	if err != nil {
		return nil, existsHint(err)
	}
	if _, err := f.Write(data); err != nil {
		f.Discard()
		return nil, err
	}
	return f, nil
}

func existsHint(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fault.WithHint(err, "choose another name: a private key that is overwritten cannot be had back")
	}
	return err
}
