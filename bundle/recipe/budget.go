package recipe

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// entryName returns the name of a blob's file.
func entryName(d digest.Digest) string {
	return d.Algorithm().String() + "-" + d.Encoded() + ".recipe"
}

// Only what has one of these names is ever removed: the folder is the user's.
var (
	entryNames = regexp.MustCompile(`^(sha256-[0-9a-f]{64}|sha512-[0-9a-f]{128})\.recipe$`)
	// What package commit leaves behind when its program is killed.
	temporary = regexp.MustCompile(`^\.(sha256-[0-9a-f]{64}|sha512-[0-9a-f]{128})\.recipe\.tmp-[0-9a-f]{8}$`)
)

const (
	// block is what a file takes at least.
	block = 4 << 10
	// abandoned is the age at which a temporary file is nobody's any more.
	abandoned = 24 * time.Hour
)

// budget keeps the store within its size. What other processes add is seen
// only now and then, so it may be exceeded a little for a while.
type budget struct {
	limit   int64
	used    int64
	counted bool
}

// take accounts for a file of n bytes, and makes room if there is too much.
func (b *budget) take(dir string, n int64) error {
	b.used += onDisk(n)
	if b.counted && b.used <= b.limit {
		return nil
	}
	list, err := entries(dir)
	if err != nil {
		return err
	}
	b.used, b.counted = 0, true
	for _, f := range list {
		b.used += onDisk(f.Size())
	}
	if b.used <= b.limit {
		return nil
	}
	// Some more go than must, so that not every file is counted every time.
	slices.SortStableFunc(list, func(a, c fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(c.ModTime()), strings.Compare(a.Name(), c.Name()))
	})
	for _, f := range list {
		if b.used <= b.limit-b.limit/4 {
			break
		}
		if err := os.Remove(filepath.Join(dir, f.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove an old recipe: %w", err)
		}
		b.used -= onDisk(f.Size())
	}
	return nil
}

func onDisk(n int64) int64 { return (n + block - 1) / block * block }

// entries lists the store's files, and removes what was left behind.
func entries(dir string) ([]fs.FileInfo, error) {
	all, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("count recipes: %w", err)
	}
	var list []fs.FileInfo
	for _, e := range all {
		mine, left := entryNames.MatchString(e.Name()), temporary.MatchString(e.Name())
		if !mine && !left {
			continue
		}
		fi, err := e.Info()
		if err != nil || !fi.Mode().IsRegular() {
			continue // gone meanwhile, or not ours
		}
		switch {
		case mine:
			list = append(list, fi)
		case time.Since(fi.ModTime()) > abandoned:
			_ = os.Remove(filepath.Join(dir, e.Name())) // it is tried again
		}
	}
	return list, nil
}
