package recipe

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
	"bale/bundle/spill"
)

// open returns a store with its own key in a fresh folder.
func open(t testing.TB) (s *Store, dir, key string) {
	t.Helper()
	top := t.TempDir()
	dir, key = filepath.Join(top, "cache", "recipes"), filepath.Join(top, "config", "key")
	return again(t, dir, key), dir, key
}

func again(t testing.TB, dir, key string) *Store {
	t.Helper()
	s, err := Open(dir, key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func entry(t testing.TB, params string, raw int64, corrections []byte) *Entry {
	t.Helper()
	e := &Entry{Params: []byte(params), RawSize: raw}
	if len(corrections) > 0 {
		e.Corrections = &spill.Buffer{}
		if _, err := e.Corrections.Write(corrections); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func put(t testing.TB, s *Store, d digest.Digest, size int64, e *Entry) {
	t.Helper()
	if err := s.Put(context.Background(), d, size, e); err != nil {
		t.Fatal(err)
	}
}

// show makes entries comparable.
func show(t testing.TB, e *Entry, known bool) string {
	t.Helper()
	if !known || e == nil {
		return fmt.Sprintln(known)
	}
	c, err := io.ReadAll(e.Corrections.Reader())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Corrections.Close(); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%v %q %d %x", known, e.Params, e.RawSize, sha256.Sum256(c))
}

func get(t testing.TB, s *Store, d digest.Digest, size int64) string {
	t.Helper()
	e, known := s.Get(context.Background(), d, size, t.TempDir())
	return show(t, e, known)
}

var (
	d1 = digest.FromString("1")
	d2 = digest.SHA512.FromString("2")
)

func TestStoreRemembers(t *testing.T) {
	s, dir, key := open(t)
	large := noise(1, spill.Limit+1000)
	for name, e := range map[string]*Entry{
		"kept": nil, "exact": entry(t, "p", 100, nil), "corrected": entry(t, "pp", 1<<40, []byte("c")),
		"large": entry(t, "ppp", 7, large), "longest parameters": entry(t, string(noise(2, MaxParams)), 0, nil),
	} {
		want := "false\n"
		if e == nil {
			want = "true\n"
		} else {
			c := []byte(nil)
			if name == "corrected" {
				c = []byte("c")
			} else if name == "large" {
				c = large
			}
			want = fmt.Sprintf("true %q %d %x", e.Params, e.RawSize, sha256.Sum256(c))
		}
		for _, d := range []digest.Digest{d1, d2} {
			if got := get(t, s, d, 999); got != "false\n" {
				t.Errorf("%s: before: %s", name, got)
			}
			put(t, s, d, 999, e)
			for _, s := range []*Store{s, again(t, dir, key)} {
				if got := get(t, s, d, 999); got != want {
					t.Errorf("%s: %s, not %s", name, got, want)
				}
			}
			if err := os.Remove(s.path(d)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Put(context.Background(), d1, 5, entry(t, string(noise(2, MaxParams+1)), 0, nil)); err == nil {
		t.Error("parameters over the limit")
	}
}

func TestStoreIsPrivate(t *testing.T) {
	s, dir, key := open(t)
	put(t, s, d1, 1, nil)
	for path, want := range map[string]fs.FileMode{dir: 0o700, key: 0o600, s.path(d1): 0o600} {
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v %v", path, fi.Mode(), err)
		}
	}
}

func TestUserPaths(t *testing.T) {
	t.Setenv("HOME", "/home/u")
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("XDG_CONFIG_HOME", "/config")
	if dir, key, err := UserPaths(); dir != "/home/u/.cache/bale/recipes" || key != "/config/bale/recipes.key" || err != nil {
		t.Error(dir, key, err)
	}
	t.Setenv("HOME", "")
	if _, _, err := UserPaths(); err == nil {
		t.Error("paths without a home")
	}
}

func TestNoStore(t *testing.T) {
	var s *Store
	put(t, s, d1, 1, nil)
	if got := get(t, s, d1, 1); got != "false\n" {
		t.Error(got)
	}
}

// Every byte of an entry is covered, and so is its name.
func TestDamagedEntriesAreRemoved(t *testing.T) {
	s, _, _ := open(t)
	path := s.path(d1)
	put(t, s, d1, 999, entry(t, "params", 100, []byte("corrections")))
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, d1, 999, nil)
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := get(t, s, d1, 999); got != "false\n" {
			t.Errorf("%s: %s", what, got)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: not removed: %v", what, err)
		}
	}
	for _, b := range [][]byte{good, kept} {
		for i := range b {
			for _, mask := range []byte{1, 0x80, 0xff} {
				c := bytes.Clone(b)
				c[i] ^= mask
				try(fmt.Sprintf("byte %d ^ %#x", i, mask), c)
			}
			try(fmt.Sprintf("the first %d bytes", i), b[:i])
		}
		try("a byte more", append(bytes.Clone(b), 0))
		try("twice", append(bytes.Clone(b), b...))
	}
	try("empty", nil)
	try("another file", noise(1, 10_000))
}

func TestForeignEntriesAreRemoved(t *testing.T) {
	s, dir, key := open(t)
	put(t, s, d1, 999, entry(t, "params", 100, []byte("corrections")))
	b, err := os.ReadFile(s.path(d1))
	if err != nil {
		t.Fatal(err)
	}
	other, _, _ := open(t)
	newer := again(t, dir, key)
	newer.engine++
	for name, c := range map[string]struct {
		s    *Store
		d    digest.Digest
		size int64
	}{
		"moved to another blob":     {s, digest.FromString("3"), 999},
		"moved to another kind":     {s, d2, 999},
		"of another size":           {s, d1, 998},
		"with another user's key":   {other, d1, 999},
		"of another engine version": {newer, d1, 999},
	} {
		if err := os.WriteFile(c.s.path(c.d), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := get(t, c.s, c.d, c.size); got != "false\n" {
			t.Errorf("%s: %s", name, got)
		}
		if _, err := os.Lstat(c.s.path(c.d)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: not removed: %v", name, err)
		}
	}
}

// Even with the right key an entry claims no more than the store would write.
func TestEntriesAreBounded(t *testing.T) {
	s, _, _ := open(t)
	put(t, s, d1, 999, entry(t, "params", 100, []byte("corrections")))
	b, err := os.ReadFile(s.path(d1))
	if err != nil {
		t.Fatal(err)
	}
	b = b[:len(b)-macSize]
	b[len(b)-len("corrections")-1] = 0x7f // 2^62 bytes of them
	mac := hmac.New(sha256.New, s.key)
	mac.Write(b)
	if err := os.WriteFile(s.path(d1), mac.Sum(b), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, d1, 999); got != "false\n" {
		t.Error(got)
	}
}

// What is in the folder besides is left alone, and does not get in the way.
func TestOtherThingsInTheFolder(t *testing.T) {
	s, dir, _ := open(t)
	if err := os.Mkdir(s.path(d1), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", s.path(d2)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"notes", "sha256-x.recipe", ".notes.tmp-12345678"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-10 * 24 * time.Hour)
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	before := names(t, dir)
	for _, d := range []digest.Digest{d1, d2} {
		if err := again(t, dir, dir+".key").Put(context.Background(), d, 1, nil); err == nil {
			t.Errorf("%s: put", d)
		}
		if got := get(t, s, d, 1); got != "false\n" {
			t.Errorf("%s: %s", d, got)
		}
	}
	s.room.limit = 1
	put(t, s, digest.FromString("3"), 1, nil)
	if got := names(t, dir); !slices.Equal(got, before) {
		t.Errorf("%v, before %v", got, before)
	}
}

func names(t testing.TB, dir string) (out []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

func TestOldestGoFirst(t *testing.T) {
	s, dir, key := open(t)
	s.room.limit = 20 * block
	var ds []digest.Digest
	start := time.Now().Add(-1000 * time.Hour)
	for i := range 20 {
		d := digest.FromString(fmt.Sprint("blob ", i))
		ds = append(ds, d)
		put(t, s, d, 1, nil)
		at := start.Add(time.Duration(i) * time.Hour)
		if err := os.Chtimes(s.path(d), at, at); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(names(t, dir)); n != 20 {
		t.Fatalf("%d entries", n)
	}
	// The first is used again, so it is the youngest. Another process adds more
	// than this one knows of.
	if got := get(t, s, ds[0], 1); got != "true\n" {
		t.Fatal(got)
	}
	left := filepath.Join(dir, "."+entryName(d1)+".tmp-0123abcd")
	if err := os.WriteFile(left, noise(1, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(left, start, start); err != nil {
		t.Fatal(err)
	}
	put(t, again(t, dir, key), d1, 1, nil)
	put(t, s, d2, 1, entry(t, "p", 1, noise(1, 3*block)))
	var gone []int
	for i, d := range ds {
		if get(t, s, d, 1) == "false\n" {
			gone = append(gone, i)
		}
	}
	if want := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}; !slices.Equal(gone, want) {
		t.Errorf("gone are %v, not %v", gone, want)
	}
	if _, err := os.Lstat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was left behind is still there: %v", err)
	}
	// None may drive out all others.
	s.room.limit = MaxBytes
	e := entry(t, "p", 1, nil)
	e.Corrections = &spill.Buffer{Dir: t.TempDir(), Limit: 1}
	for range maxEntry>>20 + 1 {
		if _, err := e.Corrections.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, s, digest.FromString("huge"), 1, e)
	if got := get(t, s, digest.FromString("huge"), 1); got != "false\n" {
		t.Error(got)
	}
	if err := e.Corrections.Close(); err != nil {
		t.Error(err)
	}
}

func TestKeys(t *testing.T) {
	for name, c := range map[string]struct {
		make func(path string) error
		ok   bool
	}{
		"none":        {func(string) error { return nil }, true},
		"too short":   {func(p string) error { return os.WriteFile(p, noise(1, keySize-1), 0o600) }, true},
		"too long":    {func(p string) error { return os.WriteFile(p, noise(1, keySize+1), 0o600) }, true},
		"empty":       {func(p string) error { return os.WriteFile(p, nil, 0o600) }, true},
		"public":      {func(p string) error { return os.WriteFile(p, noise(1, keySize), 0o604) }, true},
		"good":        {func(p string) error { return os.WriteFile(p, noise(2, keySize), 0o600) }, true},
		"a folder":    {func(p string) error { return os.Mkdir(p, 0o700) }, false},
		"a link":      {func(p string) error { return os.Symlink("/dev/zero", p) }, false},
		"not to have": {func(p string) error { return os.WriteFile(filepath.Dir(p), nil, 0o600) }, false},
	} {
		top := t.TempDir()
		path := filepath.Join(top, "config", "key")
		if name != "not to have" {
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.make(path); err != nil {
			t.Fatal(err)
		}
		s, err := Open(filepath.Join(top, "recipes"), path)
		if (err == nil) != c.ok || (s != nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if !c.ok {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(b, s.key) || bytes.Equal(b, noise(1, keySize)) || len(b) != keySize {
			t.Errorf("%s: key %x in the file, %x in use", name, b, s.key)
		}
		if name == "good" && !bytes.Equal(b, noise(2, keySize)) {
			t.Error("a good key was replaced")
		}
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, fi.Mode(), err)
		}
	}
}

// Several processes that begin at once agree about the key, and use one folder.
func TestManyAtOnce(t *testing.T) {
	top := t.TempDir()
	dir, key := filepath.Join(top, "recipes"), filepath.Join(top, "key")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			s, err := Open(dir, key)
			if err != nil {
				t.Error(err)
				return
			}
			s.room.limit = 10 * block
			for n := range 50 {
				d := digest.FromString(fmt.Sprint(n % 20))
				if err := s.Put(context.Background(), d, 1, entry(t, "p", int64(n%20), []byte("c"))); err != nil {
					t.Error(err)
				}
				e, known := s.Get(context.Background(), digest.FromString(fmt.Sprint((n+i)%20)), 1, "")
				if known && e.RawSize != int64((n+i)%20) {
					t.Errorf("entry of %d is that of %d", (n+i)%20, e.RawSize)
				}
			}
		})
	}
	wg.Wait()
	if n := len(names(t, dir)); n > 20 {
		t.Errorf("%d entries", n)
	}
}

func TestContext(t *testing.T) {
	s, dir, _ := open(t)
	put(t, s, d1, 1, entry(t, "p", 1, noise(1, 100_000)))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, known := s.Get(ctx, d1, 1, ""); known {
		t.Error("read in spite of it")
	}
	if got := get(t, s, d1, 1); got == "false\n" {
		t.Error("removed")
	}
	if err := s.Put(ctx, d2, 1, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	put(t, s, d2, 1, nil) // the store still works
	if n := len(names(t, dir)); n != 2 {
		t.Errorf("%v", names(t, dir))
	}
	for _, d := range []digest.Digest{"", "sha256:../../x", "md5:" + digest.Digest(d1.Encoded()[:32])} {
		if err := s.Put(context.Background(), d, 1, nil); !errors.Is(err, fault.ErrDamaged) && !errors.Is(err, fault.ErrUnsupported) {
			t.Errorf("%q: %v", d, err)
		}
		if got := get(t, s, d, 1); got != "false\n" {
			t.Errorf("%q: %s", d, got)
		}
	}
}

// FuzzEntry lets the fuzzer write entries with the right code.
func FuzzEntry(f *testing.F) {
	s, _, _ := open(f)
	var b bytes.Buffer
	for _, e := range []*Entry{nil, entry(f, "params", 100, []byte("corrections"))} {
		b.Reset()
		if _, err := s.encode(&b, identity{d1, 5}, e); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes()[:b.Len()-macSize])
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		mac := hmac.New(sha256.New, s.key)
		mac.Write(in)
		e, err := s.decode(context.Background(), bytes.NewReader(mac.Sum(in)), identity{d1, 5}, "")
		if err != nil {
			if e != nil {
				t.Fatal("error and a result")
			}
			return
		}
		var out bytes.Buffer
		if _, err := s.encode(&out, identity{d1, 5}, e); err != nil || !bytes.Equal(out.Bytes(), mac.Sum(in)) {
			t.Fatalf("accepted, but encodes otherwise: %v", err)
		}
	})
}
