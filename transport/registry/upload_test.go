package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/parts"
)

// noise returns bytes that are the same in every run.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
}

// counted returns an opener that counts, and checks at the end of the test that
// every stream was closed.
func counted(t testing.TB, open transport.Opener) (transport.Opener, *atomic.Int32) {
	var opened, closed atomic.Int32
	t.Cleanup(func() {
		if opened.Load() != closed.Load() {
			t.Errorf("%d streams opened, %d closed", opened.Load(), closed.Load())
		}
	})
	return func(ctx context.Context) (io.ReadCloser, error) {
		rc, err := open(ctx)
		if err != nil {
			return nil, err
		}
		opened.Add(1)
		return &closing{rc, sync.OnceFunc(func() { closed.Add(1) })}, nil
	}, &opened
}

type closing struct {
	io.ReadCloser
	closed func()
}

func (c *closing) Close() error {
	c.closed()
	return c.ReadCloser.Close()
}

// wantBlob fails the test unless a registry has a blob as it should be.
func wantBlob(t testing.TB, reg *parts.RegistryPart, repo string, d v1.Descriptor, want []byte) {
	t.Helper()
	got, err := readBlob(t, newTestClient(t, Options{}).Source(), at(t, transport.Image{}, reg.Image(repo)), d)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestUploadGoesOn breaks connections to a real registry in the middle of a
// blob: what has arrived is not sent again.
func TestUploadGoesOn(t *testing.T) {
	content := noise(24 << 20)
	d, open := bytesOpener(content)
	reg := parts.Registry(t)
	for _, chunk := range []int64{0, 10 << 20} {
		t.Run(fmt.Sprint(chunk), func(t *testing.T) {
			// More often than there are tries, but each time some is there.
			proxy := parts.FaultProxy(t, reg, parts.Fault{Kind: parts.PatchUpload, Nth: 1, Do: parts.ResetBody},
				parts.Fault{Kind: parts.PatchUpload, Nth: 2, Do: parts.ResetBody},
				parts.Fault{Kind: parts.PatchUpload, Nth: 3, Do: parts.ResetBody},
				parts.Fault{Kind: parts.PatchUpload, Nth: 4, Do: parts.ResetBody})
			open, opened := counted(t, open)
			repo := fmt.Sprintf("app%d:1", chunk)
			// The registry may still be busy with what has arrived when it is asked.
			patient := remote.Backoff{Duration: 20 * time.Millisecond, Factor: 2, Steps: 5}
			sink := newTestClient(t, Options{ChunkSize: chunk, Backoff: patient}).Sink()
			if err := sink.WriteBlob(t.Context(), d, []transport.Image{at(t, transport.Image{}, proxy.Image(repo))}, open); err != nil {
				t.Fatal(err)
			}
			if proxy.Hits() != 4 || proxy.Count(parts.PostUpload) != 1 || proxy.Count(parts.GetUpload) < 4 || opened.Load() < 5 {
				t.Errorf("%d faults, %d openings:\n%s", proxy.Hits(), opened.Load(), strings.Join(proxy.Seen(), "\n"))
			}
			wantBlob(t, reg, repo, d, content)
		})
	}
}

// TestUploadGivesUp breaks all connections early, so that nothing helps.
func TestUploadGivesUp(t *testing.T) {
	d, open := bytesOpener(noise(1 << 20))
	proxy := parts.FaultProxy(t, parts.Registry(t), parts.Fault{Kind: parts.PatchUpload, Do: parts.ResetBefore})
	open, opened := counted(t, open)
	err := newTestClient(t, Options{}).Sink().WriteBlob(t.Context(), d, []transport.Image{at(t, transport.Image{}, proxy.Image("app:1"))}, open)
	if err == nil || !strings.Contains(err.Error(), "broke") || fault.Hint(err) == "" {
		t.Errorf("%v", err)
	}
	if n := proxy.Count(parts.PatchUpload); n != quick.Steps || int(opened.Load()) != quick.Steps {
		t.Errorf("%d tries, %d openings", n, opened.Load())
	}
}

// pieces is a registry behind something that wants blobs otherwise.
func pieces(t *testing.T, wrap func(http.Handler) http.Handler) (*parts.RegistryPart, *journal, string) {
	var j journal
	reg := parts.Registry(t)
	s := httptest.NewServer(j.wrap(wrap(proxyTo(reg))))
	t.Cleanup(s.Close)
	return reg, &j, s.Listener.Addr().String()
}

func (j *journal) method(m string) int {
	return j.count(func(r *http.Request) bool { return r.Method == m })
}

// TestUploadInPieces sends blobs through proxies that limit requests.
func TestUploadInPieces(t *testing.T) {
	for _, c := range []struct {
		limit int64
		size  int
		fails bool
	}{
		{limit: 3 << 20, size: 2 << 20},
		{limit: 3 << 20, size: 5 << 20},
		{limit: 600 << 10, size: 3 << 20},
		{limit: 100 << 10, size: 1 << 20, fails: true},
	} {
		t.Run(fmt.Sprintf("%d of %d", c.limit, c.size), func(t *testing.T) {
			reg, j, host := pieces(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.ContentLength > c.limit {
						http.Error(w, "too large", http.StatusRequestEntityTooLarge)
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			content := noise(c.size)
			d, open := bytesOpener(content)
			open, _ = counted(t, open)
			sink := newTestClient(t, Options{}).Sink()
			err := sink.WriteBlob(t.Context(), d, []transport.Image{at(t, transport.Image{}, host+"/app:1")}, open)
			if c.fails {
				if err == nil || !strings.Contains(fault.Hint(err), "limit on the size") {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wantBlob(t, reg, "app:1", d, content)
			small, open := bytesOpener(noise(c.size - 1))
			before := j.method(http.MethodPatch)
			if err := sink.WriteBlob(t.Context(), small, []transport.Image{at(t, transport.Image{}, host+"/app:1")}, open); err != nil {
				t.Fatal(err)
			}
			again := j.method(http.MethodPatch) - before
			if refused := before - again; int64(c.size) > c.limit && refused < 1 || int64(c.size) <= c.limit && refused != 0 {
				t.Errorf("%d requests for the first blob, %d for the second", before, again)
			}
		})
	}
}

// TestUploadInNoPieces meets a registry that finds everything too large that is
// large enough for it.
func TestUploadInNoPieces(t *testing.T) {
	_, j, host := pieces(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength > 1<<20 {
				w.WriteHeader(http.StatusRequestEntityTooLarge)
				return
			}
			w.Header().Set(leastHeader, fmt.Sprint(2<<20))
			next.ServeHTTP(w, r)
		})
	})
	d, open := bytesOpener(noise(9 << 20))
	err := newTestClient(t, Options{}).Sink().WriteBlob(t.Context(), d, []transport.Image{at(t, transport.Image{}, host+"/app:1")}, open)
	if err == nil || !strings.Contains(err.Error(), "413") || j.method(http.MethodPatch) != 3 {
		t.Errorf("%v after %d requests", err, j.method(http.MethodPatch))
	}
}

// TestUploadAtOnce meets registries that take no PATCH.
func TestUploadAtOnce(t *testing.T) {
	content := noise(1 << 20)
	d, open := bytesOpener(content)
	for name, refuse := range map[string]http.HandlerFunc{
		"405": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) },
		"404": http.NotFound,
		"501": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotImplemented) },
		"unsupported": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"errors":[{"code":"UNSUPPORTED"}]}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			broken := false
			reg, j, host := pieces(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case r.Method == http.MethodPatch:
						refuse(w, r)
						return
					case r.Method == http.MethodPut && !broken:
						broken = true
						_, _ = io.CopyN(io.Discard, r.Body, 1000)
						panic(http.ErrAbortHandler)
					}
					next.ServeHTTP(w, r)
				})
			})
			open, opened := counted(t, open)
			sink := newTestClient(t, Options{}).Sink()
			if err := sink.WriteBlob(t.Context(), d, []transport.Image{at(t, transport.Image{}, host+"/app:1")}, open); err != nil {
				t.Fatal(err)
			}
			if j.method(http.MethodPatch) != 1 || j.method(http.MethodPut) != 2 || opened.Load() != 3 {
				t.Errorf("%d openings, %d PATCH, %d PUT", opened.Load(), j.method(http.MethodPatch), j.method(http.MethodPut))
			}
			wantBlob(t, reg, "app:1", d, content)
		})
	}
}

// TestUploadNeverWhole checks that content which turns out bad with its last
// byte never reaches a registry as a whole, in whichever way it is sent.
func TestUploadNeverWhole(t *testing.T) {
	content := noise(1 << 20)
	d, _ := bytesOpener(content)
	broken := errors.New("bad in the end")
	open := func(context.Context) (io.ReadCloser, error) {
		return &failing{bytes.NewReader(content), broken, &atomic.Int32{}}, nil
	}
	for _, way := range []manner{{}, {chunk: 1 << 18}, {whole: true}} {
		t.Run(fmt.Sprintf("%+v", way), func(t *testing.T) {
			var got atomic.Int64
			reg := parts.MemoryRegistry(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPatch || r.Method == http.MethodPut {
						n, _ := io.Copy(io.Discard, r.Body)
						got.Add(n)
						w.Header().Set("Location", r.URL.Path)
						w.WriteHeader(map[string]int{http.MethodPatch: http.StatusAccepted, http.MethodPut: http.StatusCreated}[r.Method])
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			s := newTestClient(t, Options{}).Sink().(*sink)
			img := at(t, transport.Image{}, reg.Image("app:1"))
			repo, err := s.c.repository(img.Name)
			if err != nil {
				t.Fatal(err)
			}
			s.manners.learn(repo.Registry, way)
			if err := s.WriteBlob(t.Context(), d, []transport.Image{img}, open); !errors.Is(err, broken) {
				t.Errorf("%v", err)
			}
			if got.Load() >= d.Size {
				t.Errorf("all %d bytes were sent", d.Size)
			}
		})
	}
}

// TestUploadOfNothing sends blobs without a byte.
func TestUploadOfNothing(t *testing.T) {
	for name, reg := range map[string]*parts.RegistryPart{"distribution": parts.Registry(t), "memory": parts.MemoryRegistry(t)} {
		for _, way := range []manner{{}, {chunk: 1 << 20}, {whole: true}} {
			t.Run(fmt.Sprintf("%s %+v", name, way), func(t *testing.T) {
				d, open := bytesOpener(nil)
				open, _ = counted(t, open)
				s := newTestClient(t, Options{}).Sink().(*sink)
				repo := fmt.Sprintf("app-%t-%d:1", way.whole, way.chunk)
				img := at(t, transport.Image{}, reg.Image(repo))
				r, err := s.c.repository(img.Name)
				if err != nil {
					t.Fatal(err)
				}
				s.manners.learn(r.Registry, way)
				if err := s.WriteBlob(t.Context(), d, []transport.Image{img}, open); err != nil {
					t.Fatal(err)
				}
				wantBlob(t, reg, repo, d, nil)
			})
		}
	}
}

// TestUploadAnswerLost takes away the registry's word that a blob is complete.
func TestUploadAnswerLost(t *testing.T) {
	content := noise(1 << 20)
	d, open := bytesOpener(content)
	reg := parts.Registry(t)
	for _, f := range []parts.Fault{
		{Kind: parts.PutUpload, Nth: 1, Do: parts.ResetAnswer},
		{Kind: parts.PutUpload, Do: parts.ResetAnswer},
	} {
		t.Run(fmt.Sprint(f.Nth), func(t *testing.T) {
			proxy := parts.FaultProxy(t, reg, f)
			repo := fmt.Sprintf("app%d:1", f.Nth)
			open, opened := counted(t, open)
			if err := newTestClient(t, Options{}).Sink().WriteBlob(t.Context(), d, []transport.Image{at(t, transport.Image{}, proxy.Image(repo))}, open); err != nil {
				t.Fatal(err)
			}
			if opened.Load() != 1 || proxy.Hits() == 0 {
				t.Errorf("%d openings, %d faults", opened.Load(), proxy.Hits())
			}
			wantBlob(t, reg, repo, d, content)
		})
	}
}

// TestUploadStoredOtherwise meets a registry that says another digest.
func TestUploadStoredOtherwise(t *testing.T) {
	d, open := bytesOpener(noise(1000))
	proxy := parts.FaultProxy(t, parts.Registry(t), parts.Fault{Kind: parts.PutUpload, Do: parts.WrongDigest})
	err := newTestClient(t, Options{}).Sink().WriteBlob(t.Context(), d, []transport.Image{at(t, transport.Image{}, proxy.Image("app:1"))}, open)
	if !errors.Is(err, fault.ErrDamaged) || fault.Hint(err) == "" || proxy.Hits() != 1 {
		t.Errorf("%v, %d faults", err, proxy.Hits())
	}
}

// TestUploadTokenExpires has the token refused in the middle of uploads.
func TestUploadTokenExpires(t *testing.T) {
	content := noise(8 << 20)
	d, open := bytesOpener(content)
	reg := parts.Registry(t, parts.WithTokenAuth(parts.TokenAuth{Users: map[string]string{"me": "secret"}}))
	for i, kind := range []parts.RequestKind{parts.PostUpload, parts.PatchUpload, parts.PutUpload, parts.GetUpload} {
		t.Run(string(kind), func(t *testing.T) {
			faults := []parts.Fault{{Kind: kind, Nth: 1, Do: parts.Unauthorized}}
			if kind == parts.GetUpload {
				faults = append(faults, parts.Fault{Kind: parts.PatchUpload, Nth: 1, Do: parts.ResetBody})
			}
			proxy := parts.FaultProxy(t, reg, faults...)
			repo := fmt.Sprintf("app%d:1", i)
			open, _ := counted(t, open)
			c := newTestClient(t, Options{Keychain: account{"me", "secret"}})
			if err := c.Sink().WriteBlob(t.Context(), d, []transport.Image{at(t, transport.Image{}, proxy.Image(repo))}, open); err != nil {
				t.Fatal(err)
			}
			if proxy.Hits() != len(faults) {
				t.Errorf("%d faults", proxy.Hits())
			}
			got, err := readBlob(t, newTestClient(t, Options{Keychain: account{"me", "secret"}}).Source(), at(t, transport.Image{}, reg.Image(repo)), d)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

func TestTaken(t *testing.T) {
	for header, want := range map[string]int64{
		"0-1023": 1024, "bytes=0-1": 2, " 0-9 ": 10,
		"": -1, "0-0": -1, "1-5": -1, "0-": -1, "0--1": -1, "5": -1, "0-x": -1, "0-99999999999999999999": -1, "0-9223372036854775807": -1,
	} {
		n, ok := taken(header)
		if !ok {
			n = -1
		}
		if n != want {
			t.Errorf("%q: %d", header, n)
		}
	}
}

func FuzzTaken(f *testing.F) {
	for _, s := range []string{"0-1023", "bytes=0-5", "0-0", "", "1-2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := taken(s); ok && (n < 2 || n > transport.MaxBlob) || !ok && n != 0 {
			t.Errorf("%q: %d, %t", s, n, ok)
		}
	})
}

func TestNextLocation(t *testing.T) {
	for _, c := range []struct{ from, location, want string }{
		{"https://reg.example/v2/a/blobs/uploads/", "/v2/a/blobs/uploads/1?_state=x%2Fy", "https://reg.example/v2/a/blobs/uploads/1?_state=x%2Fy"},
		{"https://reg.example/v2/a/blobs/uploads/", "https://store.example/1", "https://store.example/1"},
		{"https://reg.example/v2/a/blobs/uploads/", "http://reg.example/1", "https://reg.example/1"},
		{"https://reg.example/v2/a/blobs/uploads/", "http://store.example/1", "http://store.example/1"}, // which wire does not allow
		{"https://reg.example/v2/a/blobs/uploads/", "", "<nil>"},
		{"https://reg.example/v2/a/blobs/uploads/", "https://127.0.0.1/1", "loopback"},
		{"https://reg.example/v2/a/blobs/uploads/", "http://localhost:2375/1", "loopback"},
		{"http://127.0.0.1:5000/v2/a/blobs/uploads/", "http://127.0.0.1:6000/1", "http://127.0.0.1:6000/1"},
		{"https://reg.example/v2/a/blobs/uploads/", "https://\x7f/", "none"},
	} {
		u, err := url.Parse(c.from)
		if err != nil {
			t.Fatal(err)
		}
		to, err := next(&http.Response{Request: &http.Request{URL: u}, Header: http.Header{"Location": {c.location}}})
		got := fmt.Sprint(to)
		if err != nil {
			got = err.Error()
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%q: %s, want %s", c.location, got, c.want)
		}
	}
}

func TestSmallerPieces(t *testing.T) {
	m, ok := manner{}, true
	sent := int64(10 << 30)
	var sizes []int64
	for {
		if m, ok = m.smaller(sent); !ok {
			break
		}
		sent = m.chunk
		sizes = append(sizes, m.chunk>>10)
	}
	if got := fmt.Sprint(sizes); got != "[65536 16384 4096 1024 512]" {
		t.Error(got)
	}
	if _, ok := (manner{whole: true}).smaller(1 << 30); ok {
		t.Error("smaller than the whole")
	}
}
