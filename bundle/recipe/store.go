package recipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"bale/bundle/blob"
	"bale/bundle/commit"
	"bale/bundle/deflate"
	"bale/bundle/spill"
)

const (
	// MaxBytes is what the store may take on disk. Most entries fill one block
	// of the file system, those of unknown compressors some per cent of a layer.
	MaxBytes = 512 << 20
	// maxEntry bounds the corrections that are remembered: no layer may drive
	// out all others.
	maxEntry = MaxBytes / 8
	// fresh is for how long the time of use of an entry is not renewed.
	fresh = time.Hour
)

// Store remembers proven recipes, and which blobs are kept as they came. It is
// safe for concurrent use, also by several processes. A nil Store remembers
// nothing.
type Store struct {
	dir    string
	key    []byte
	engine uint32

	mu      sync.Mutex
	room    budget
	refused error // a failed write: no other is tried
}

// Entry is a recipe for a blob.
type Entry struct {
	Params      []byte        // at most MaxParams bytes
	RawSize     int64         // what the blob decompresses to
	Corrections *spill.Buffer // of whoever has the entry; nil if there are none
}

// UserPaths returns where a user's recipes and the key that authenticates them
// are kept: in the cache folder, which may be emptied at any time, and in the
// configuration folder.
func UserPaths() (dir, key string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", "", fmt.Errorf("find the cache folder: %w", err)
	}
	config, err := os.UserConfigDir()
	if err != nil {
		return "", "", fmt.Errorf("find the configuration folder: %w", err)
	}
	return filepath.Join(cache, "bale", "recipes"), filepath.Join(config, "bale", "recipes.key"), nil
}

// Open returns the Store in a folder, which it makes if it is not there, with
// the key in a file, likewise. If it fails there is no store, and a caller
// goes on with nil.
func Open(dir, key string) (*Store, error) {
	k, err := readKey(key)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a folder for recipes: %w", err)
	}
	return &Store{dir: dir, key: k, engine: deflate.Engine, room: budget{limit: MaxBytes}}, nil
}

// path returns the file of a blob.
func (s *Store) path(d digest.Digest) string { return filepath.Join(s.dir, entryName(d)) }

// Get returns what is remembered of a blob: known says whether anything is;
// without an entry the blob is kept as it came. The caller closes the entry's
// corrections; scratch is the folder for large ones, "" the system's.
func (s *Store) Get(ctx context.Context, d digest.Digest, size int64, scratch string) (e *Entry, known bool) {
	if s == nil || blob.Check(d, size) != nil {
		return nil, false
	}
	path := s.path(d)
	// A pipe in the place of an entry would block.
	fi, err := os.Lstat(path)
	if err != nil || !fi.Mode().IsRegular() {
		return nil, false
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, false
	}
	e, err = s.decode(ctx, f, identity{d, size}, scratch)
	_ = f.Close() // it was only read
	if errors.Is(err, errForeign) {
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = os.Remove(path) // if it stays it is ignored the next time too
		s.room.counted = false
		return nil, false
	}
	if err != nil {
		return nil, false
	}
	if now := time.Now(); now.Sub(fi.ModTime()) > fresh {
		_ = os.Chtimes(path, now, now) // it may go earlier than others then
	}
	return e, true
}

// Put remembers a proven recipe, or with nil that a blob is kept as it came. A
// failure can be ignored: the blob is analysed again the next time.
func (s *Store) Put(ctx context.Context, d digest.Digest, size int64, e *Entry) error {
	if s == nil {
		return nil
	}
	if err := blob.Check(d, size); err != nil {
		return err
	}
	if e != nil && e.Corrections.Len() > maxEntry {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused != nil {
		return s.refused
	}
	err := s.write(ctx, identity{d, size}, e)
	if err != nil && ctx.Err() == nil {
		s.refused = err
	}
	return err
}

func (s *Store) write(ctx context.Context, id identity, e *Entry) error {
	path := s.path(id.digest)
	if fi, err := os.Lstat(path); err == nil && !fi.Mode().IsRegular() {
		return fmt.Errorf("remember a recipe: %s is not a file: %w", path, fs.ErrExist)
	}
	f, err := commit.Create(path, commit.Overwrite(), commit.Perm(0o600))
	if err != nil {
		return fmt.Errorf("remember a recipe: %w", err)
	}
	defer f.Discard()
	n, err := s.encode(f, id, e)
	if err != nil {
		return fmt.Errorf("remember a recipe: %w", err)
	}
	if err := f.Commit(ctx); err != nil {
		return fmt.Errorf("remember a recipe: %w", err)
	}
	return s.room.take(s.dir, n)
}
