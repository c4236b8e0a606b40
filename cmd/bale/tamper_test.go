package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"bale/transport/parts"
)

// watched is a registry that counts the manifests it is given: nothing is
// visible in a registry before there is one.
type watched struct {
	addr      string
	manifests atomic.Int64
}

func newWatched(t testing.TB) *watched {
	t.Helper()
	w := &watched{}
	w.addr = parts.MemoryRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
				w.manifests.Add(1)
			}
			next.ServeHTTP(rw, r)
		})
	}).Addr
	return w
}

// tampering runs verify and load on altered copies of a bundle.
type tampering struct {
	t    *testing.T
	dir  string
	path string
	key  string
	far  *watched
}

func newTampering(t *testing.T, good []byte, key string) *tampering {
	t.Helper()
	dir := t.TempDir()
	x := &tampering{t: t, dir: dir, path: filepath.Join(dir, "b.bale"), key: key, far: newWatched(t)}
	x.write(good)
	// What is refused later must be for what was altered.
	mustRun(t, "verify", "--key", x.key, x.path)
	other := newWatched(t)
	mustRun(t, "load", "-i", x.path, "--key", x.key, "--to", "docker://"+other.addr)
	if other.manifests.Load() == 0 {
		t.Fatal("a load puts no manifest; what is being watched?")
	}
	return x
}

func (x *tampering) write(b []byte) {
	x.t.Helper()
	if err := os.WriteFile(x.path, b, 0o600); err != nil {
		x.t.Fatal(err)
	}
}

// refused checks that both commands say that the bundle is damaged or not
// trusted, and that nothing became visible.
func (x *tampering) refused(what string, arg ...any) {
	x.t.Helper()
	for _, args := range [][]string{
		{"verify", "-q", "--key", x.key, x.path},
		{"load", "-q", "-i", x.path, "--key", x.key, "--to", "docker://" + x.far.addr},
	} {
		o := inProcess(context.Background(), args...)
		refused := o.code == exitDamaged || o.code == exitUntrusted
		// Without its packs of content a bundle is its own receipt.
		if done := fmt.Sprintf(what, arg...); strings.HasPrefix(done, "packs/") && strings.HasSuffix(done, " removed") {
			refused = refused || o.code == exitIncomplete && strings.Contains(o.errout, "this is a receipt")
		}
		if wrong := o.refusal(o.code); !refused || wrong != "" {
			x.t.Errorf("%s: "+what+": exit %d %s\n%s", append(append([]any{args[0]}, arg...), o.code, wrong, o.errout)...)
		}
	}
	if n := x.far.manifests.Load(); n > 0 {
		x.t.Fatalf(what+": %d manifests were put", append(arg, n)...)
	}
}

// flip alters one byte in place, and back.
func (x *tampering) flip(good []byte, at int, mask byte) {
	x.t.Helper()
	f, err := os.OpenFile(x.path, os.O_WRONLY, 0)
	if err != nil {
		x.t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			x.t.Error(err)
		}
	}()
	for _, b := range []byte{good[at] ^ mask, good[at]} {
		if _, err := f.WriteAt([]byte{b}, int64(at)); err != nil {
			x.t.Fatal(err)
		}
		if b != good[at] {
			x.refused("byte %d ^ %#x", at, mask)
		}
	}
}

// Every byte of a small bundle: tar headers, bale.json, packs, index.zst,
// SHA256SUMS, the signature, padding and end mark.
func TestEveryByteIsGuarded(t *testing.T) {
	good := forgery{}.make(t)
	const workers = 2
	for w := range workers {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			x := newTampering(t, good, testdata(t, "keys", forgePub))
			for i := w; i < len(good); i += workers {
				x.flip(good, i, 1<<(i%8))
			}
		})
	}
}

// A spread of a bundle of real images, most of which is packs.
func TestPacksAreGuarded(t *testing.T) {
	t.Parallel()
	const spread = 200
	good := realBundle(t)
	x := newTampering(t, good, testdata(t, "keys", forgePub))
	for n := range spread {
		x.flip(good, (n*len(good)+len(good)/2)/spread, 1<<(n%8))
	}
}

// realBundle is a signed bundle of all of testdata's images.
func realBundle(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "real.bale")
	mustRun(t, "save", "-q", "-o", path, "--key", testdata(t, "keys", forgeKey),
		"oci:"+testdata(t, "images", "busybox"), "oci:"+testdata(t, "images", "tools"))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A bundle that ends early, at every block of its tar and around it, and at
// every single byte of the last blocks.
func TestEveryTruncationIsRefused(t *testing.T) {
	t.Parallel()
	good := forgery{}.make(t)
	x := newTampering(t, good, testdata(t, "keys", forgePub))
	ends := []int{}
	for end := 0; end < len(good); end++ {
		if off := end % 512; off < 2 || off > 510 || off == 256 || end > len(good)-20 || end < 20 {
			ends = append(ends, end)
		}
	}
	for _, end := range ends {
		x.write(good[:end])
		x.refused("the first %d bytes", end)
	}
}

// The same for real images, where a cut falls into a pack most of the time.
func TestTruncatedPacksAreRefused(t *testing.T) {
	t.Parallel()
	good := realBundle(t)
	x := newTampering(t, good, testdata(t, "keys", forgePub))
	const cuts = 100
	for n := range cuts {
		end := n * len(good) / cuts
		x.write(good[:end])
		x.refused("the first %d bytes", end)
	}
}

// Entries in another order, twice, under another name, not there, or more of
// them: all that somebody without the key can do to whole entries.
func TestEntriesAreGuarded(t *testing.T) {
	t.Parallel()
	x := newTampering(t, forgery{}.make(t), testdata(t, "keys", forgePub))
	var entries []entryFile
	forgery{after: func(e []entryFile) []entryFile { entries = e; return e }}.make(t)
	try := func(what string, change func(e []entryFile) []entryFile) {
		x.write(pile(t, change(slices.Clone(entries))))
		x.refused("%s", what)
	}
	names := []string{"bale.json", "index.zst", "packs/" + zeroes64 + ".pack", "SHA256SUMS", "a", "SHA256SUMS.sigstore.json.1", "bale.jso"}
	for i, e := range entries {
		try(e.name+" removed", func(e []entryFile) []entryFile { return slices.Delete(e, i, i+1) })
		try(e.name+" emptied", func(e []entryFile) []entryFile { e[i].data = nil; return e })
		try(e.name+" repeated", func(e []entryFile) []entryFile { return slices.Insert(e, i, e[i]) })
		try(e.name+" repeated at the end", func(e []entryFile) []entryFile { return append(e, e[i]) })
		for j := range i {
			try(e.name+" and "+entries[j].name+" swapped", func(e []entryFile) []entryFile { e[i], e[j] = e[j], e[i]; return e })
			try(e.name+" and "+entries[j].name+" exchanged", func(e []entryFile) []entryFile {
				e[i].data, e[j].data = e[j].data, e[i].data
				return e
			})
		}
		for _, name := range names {
			if name == e.name || e.name == "SHA256SUMS.sigstore.json" && strings.HasPrefix(name, e.name) {
				continue // a signature may stand under any of its names
			}
			try(e.name+" renamed to "+name, func(e []entryFile) []entryFile { e[i].name = name; return e })
		}
		for _, name := range []string{"packs/" + zeroes64 + ".pack", "parity/0.0", "x", "README", "SHA256SUMS.minisig"} {
			try(name+" added before "+e.name, func(e []entryFile) []entryFile { return slices.Insert(e, i, entryFile{name, []byte("x")}) })
		}
	}
}

// What anybody may add is a signature, since it counts for nothing unless its
// key is one of those that were given. It must not be in the way either.
func TestSignaturesMayBeAdded(t *testing.T) {
	t.Parallel()
	var sums []byte
	forgery{after: func(e []entryFile) []entryFile { sums = e[len(e)-2].data; return e }}.make(t)
	strange := signWith(strangeKey)(t, sums)[0]
	x := newTampering(t, forgery{after: func(e []entryFile) []entryFile {
		return append(e, entryFile{"SHA256SUMS.sigstore.json.31", strange}, entryFile{"SHA256SUMS.asc", []byte("x")})
	}}.make(t), testdata(t, "keys", forgePub))
	// One that claims to be by the key and is not condemns the bundle.
	x.write(forgery{after: func(e []entryFile) []entryFile {
		return append(e, entryFile{"SHA256SUMS.sigstore.json.1", signWith(forgeKey)(t, []byte("other"))[0]})
	}}.make(t))
	x.refused("a false claim")
}
