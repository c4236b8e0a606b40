package parts

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// TUFPart is a TUF repository, made as the real ones are.
type TUFPart struct {
	URL  string
	Root []byte // the root.json to begin with

	mu    sync.Mutex
	files map[string][]byte
	asked func() // at each request
}

// ServeHTTP implements [http.Handler].
func (r *TUFPart) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	data, ok := r.files[req.URL.Path]
	asked := r.asked
	r.mu.Unlock()
	if asked != nil {
		asked()
	}
	if !ok {
		http.NotFound(w, req)
		return
	}
	_, _ = w.Write(data) // the client is gone
}

// Alter changes a file whose path ends so.
func (r *TUFPart) Alter(t testing.TB, suffix string, f func([]byte) []byte) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for path, data := range r.files {
		if strings.HasSuffix(path, suffix) {
			r.files[path] = f(data)
			return
		}
	}
	t.Fatalf("no %s", suffix)
}

// TUF serves some files by their names, signed until a time, and ends with the
// test.
func TUF(t testing.TB, until time.Time, targets map[string][]byte) *TUFPart {
	t.Helper()
	r := &TUFPart{files: map[string][]byte{}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	signer, err := signature.LoadSigner(key, 0)
	must(err)
	pub, err := metadata.KeyFromPublicKey(key.Public())
	must(err)
	root := metadata.Root(until)
	root.Signed.ConsistentSnapshot = true
	for _, role := range []string{metadata.ROOT, metadata.TARGETS, metadata.SNAPSHOT, metadata.TIMESTAMP} {
		must(root.Signed.AddKey(pub, role))
	}
	list, snapshot, timestamp := metadata.Targets(until), metadata.Snapshot(until), metadata.Timestamp(until)
	for name, data := range targets {
		info, err := metadata.TargetFile().FromBytes(name, data, "sha256")
		must(err)
		list.Signed.Targets[name] = info
		r.files[fmt.Sprintf("/targets/%x.%s", sha256.Sum256(data), name)] = data
	}
	put := func(path string, b []byte, err error) []byte {
		t.Helper()
		must(err)
		r.files[path] = b
		return b
	}
	_, err = root.Sign(signer)
	must(err)
	b, err := root.ToBytes(false)
	r.Root = put("/1.root.json", b, err)
	_, err = list.Sign(signer)
	must(err)
	b, err = list.ToBytes(false)
	put("/1.targets.json", b, err)
	_, err = snapshot.Sign(signer)
	must(err)
	b, err = snapshot.ToBytes(false)
	put("/1.snapshot.json", b, err)
	_, err = timestamp.Sign(signer)
	must(err)
	b, err = timestamp.ToBytes(false)
	put("/timestamp.json", b, err)
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	r.URL = s.URL
	return r
}

// OnRequest has f called at each request.
func (r *TUFPart) OnRequest(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = f
}
