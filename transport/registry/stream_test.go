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
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/parts"
)

// large is content of some size that cannot be mistaken for another part of
// itself.
func large(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

// ranges serves content from the offset that is asked for.
func ranges(w http.ResponseWriter, r *http.Request, whole []byte) {
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(whole))
}

// cutting passes so many bytes of an answer, and then breaks the connection.
type cutting struct {
	http.ResponseWriter
	left int
	then func()
}

func (c *cutting) Write(p []byte) (int, error) {
	if len(p) > c.left {
		n, _ := c.ResponseWriter.Write(p[:c.left])
		c.left -= n
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		c.then()
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

func abort() { panic(http.ErrAbortHandler) }

// cut serves content, and breaks the connection after some bytes.
func cut(w http.ResponseWriter, r *http.Request, whole []byte, after int) {
	ranges(&cutting{w, after, abort}, r, whole)
}

// TestStreamGoesOn breaks downloads in ways that pass.
func TestStreamGoesOn(t *testing.T) {
	whole := large(1 << 20)
	d, _ := bytesOpener(whole)
	for _, c := range []struct {
		name   string
		times  int32 // connections at least
		answer func(w http.ResponseWriter, r *http.Request, nth int32)
	}{
		{"whole", 1, func(w http.ResponseWriter, r *http.Request, _ int32) { ranges(w, r, whole) }},
		{"cut once", 2, func(w http.ResponseWriter, r *http.Request, nth int32) {
			if nth == 1 {
				cut(w, r, whole, 300_000)
			}
			ranges(w, r, whole)
		}},
		{"cut at every step", 10, func(w http.ResponseWriter, r *http.Request, _ int32) { cut(w, r, whole, 100_000) }},
		{"cut at the last byte", 2, func(w http.ResponseWriter, r *http.Request, _ int32) { cut(w, r, whole, len(whole)-1) }},
		{"cut before the first byte", 3, func(w http.ResponseWriter, r *http.Request, nth int32) {
			if nth < 3 {
				cut(w, r, whole, 0)
			}
			ranges(w, r, whole)
		}},
		{"no ranges", 2, func(w http.ResponseWriter, r *http.Request, nth int32) {
			r.Header.Del("Range")
			if nth == 1 {
				cut(w, r, whole, 300_000)
			}
			ranges(w, r, whole)
		}},
		{"no ranges, cut while skipping", 3, func(w http.ResponseWriter, r *http.Request, nth int32) {
			r.Header.Del("Range")
			switch nth {
			case 1:
				cut(w, r, whole, 300_000)
			case 2:
				cut(w, r, whole, 200_000)
			}
			ranges(w, r, whole)
		}},
		{"no length", 1, func(w http.ResponseWriter, r *http.Request, _ int32) {
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write(whole)
		}},
		{"no length, a proper end too early", 2, func(w http.ResponseWriter, r *http.Request, nth int32) {
			if nth > 1 {
				ranges(w, r, whole)
				return
			}
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write(whole[:300_000])
		}},
		{"less than the rest", 3, func(w http.ResponseWriter, r *http.Request, nth int32) {
			switch nth {
			case 1:
				cut(w, r, whole, 300_000)
			case 2:
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 300000-399999/%d", len(whole)))
				w.WriteHeader(http.StatusPartialContent)
				_, _ = w.Write(whole[300_000:400_000])
			default:
				ranges(w, r, whole)
			}
		}},
		{"size unknown", 2, func(w http.ResponseWriter, r *http.Request, nth int32) {
			if nth == 1 {
				cut(w, r, whole, 300_000)
			}
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 300000-%d/*", len(whole)-1))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(whole[300_000:])
		}},
		{"silence", 2, func(w http.ResponseWriter, r *http.Request, nth int32) {
			if nth == 1 {
				ranges(&cutting{w, 300_000, func() { <-r.Context().Done(); abort() }}, r, whole)
			}
			ranges(w, r, whole)
		}},
		{"503 when asked again", 3, func(w http.ResponseWriter, r *http.Request, nth int32) {
			switch nth {
			case 1:
				cut(w, r, whole, 300_000)
			case 2:
				w.WriteHeader(http.StatusServiceUnavailable)
			default:
				ranges(w, r, whole)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var n atomic.Int32
			host := liar(t, func(w http.ResponseWriter, r *http.Request) { c.answer(w, r, n.Add(1)) })
			src := newTestClient(t, Options{patience: time.Second}).Source()
			got, err := readBlob(t, src, at(t, transport.Image{}, host+"/app:1"), d)
			if err != nil || !bytes.Equal(got, whole) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if n.Load() < c.times {
				t.Errorf("%d connections, want %d", n.Load(), c.times)
			}
		})
	}
}

// TestStreamGivesUp breaks downloads in ways that do not pass.
func TestStreamGivesUp(t *testing.T) {
	whole := large(1 << 20)
	d, _ := bytesOpener(whole)
	other := bytes.Clone(whole)
	other[500_000] ^= 1
	for _, c := range []struct {
		name   string
		kind   error
		says   string
		times  int32
		answer func(w http.ResponseWriter, r *http.Request, nth int32)
	}{
		{"always cut at the same byte", io.ErrUnexpectedEOF, "after 300000 of 1048576 bytes", int32(quick.Steps), func(w http.ResponseWriter, r *http.Request, nth int32) {
			if nth > 1 {
				cut(w, r, whole, 0)
			}
			cut(w, r, whole, 300_000)
		}},
		{"a few bytes a connection", io.ErrUnexpectedEOF, "of 1048576 bytes", int32(quick.Steps), func(w http.ResponseWriter, r *http.Request, _ int32) {
			cut(w, r, whole, 1000)
		}},
		{"always shorter", fault.ErrDamaged, "ends after 1000 of", int32(quick.Steps), func(w http.ResponseWriter, r *http.Request, _ int32) {
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write(whole[:1000])
		}},
		{"shorter, by the range", fault.ErrDamaged, "no more than", 2, func(w http.ResponseWriter, r *http.Request, nth int32) {
			if nth > 1 {
				ranges(w, r, whole[:1000])
				return
			}
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write(whole[:1000])
		}},
		{"another range", fault.ErrDamaged, "asked for the bytes from 300000", 2, func(w http.ResponseWriter, r *http.Request, nth int32) {
			if nth == 1 {
				cut(w, r, whole, 300_000)
			}
			r.Header.Set("Range", "bytes=300001-")
			ranges(w, r, whole)
		}},
		{"another size", fault.ErrDamaged, "1048570 bytes of it", 2, func(w http.ResponseWriter, r *http.Request, nth int32) {
			if nth == 1 {
				cut(w, r, whole, 300_000)
			}
			ranges(w, r, whole[:1048570])
		}},
		{"no range at all", fault.ErrDamaged, "asked for", 2, func(w http.ResponseWriter, r *http.Request, nth int32) {
			if nth == 1 {
				cut(w, r, whole, 300_000)
			}
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(whole[300_000:])
		}},
		{"other content the second time", fault.ErrDamaged, "digest", 2, func(w http.ResponseWriter, r *http.Request, nth int32) {
			if nth == 1 {
				cut(w, r, whole, 300_000)
			}
			ranges(w, r, other)
		}},
		{"gone the second time", fault.ErrMissing, "no such blob", 2, func(w http.ResponseWriter, r *http.Request, nth int32) {
			if nth == 1 {
				cut(w, r, whole, 300_000)
			}
			http.NotFound(w, r)
		}},
		{"longer", fault.ErrDamaged, "more than", 1, func(w http.ResponseWriter, r *http.Request, _ int32) {
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write(whole)
			_, _ = w.Write(whole)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var n atomic.Int32
			host := liar(t, func(w http.ResponseWriter, r *http.Request) { c.answer(w, r, n.Add(1)) })
			src := newTestClient(t, Options{patience: time.Second}).Source()
			_, err := readBlob(t, src, at(t, transport.Image{}, host+"/app:1"), d)
			if !errors.Is(err, c.kind) || errors.Is(err, io.EOF) || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %v, %q", err, c.kind, c.says)
			}
			if n.Load() != c.times {
				t.Errorf("%d connections, want %d", n.Load(), c.times)
			}
		})
	}
}

// TestStreamAsksTheRegistryAgain has storage whose addresses expire: they serve
// one connection each.
func TestStreamAsksTheRegistryAgain(t *testing.T) {
	whole := large(1 << 20)
	d, _ := bytesOpener(whole)
	var given, wanted atomic.Int32
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Query().Get("signature"))
		if err != nil || int32(n) != wanted.Add(1) {
			http.Error(w, "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>", http.StatusForbidden)
			return
		}
		cut(w, r, whole, 300_000)
	}))
	t.Cleanup(storage.Close)
	host := liar(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, fmt.Sprintf("%s/x?signature=%d", storage.URL, given.Add(1)), http.StatusTemporaryRedirect)
	})
	got, err := readBlob(t, newTestClient(t, Options{}).Source(), at(t, transport.Image{}, host+"/app:1"), d)
	if err != nil || !bytes.Equal(got, whole) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if given.Load() != 4 {
		t.Errorf("%d addresses, want 4", given.Load())
	}
}

// TestStreamAuthenticatesAgain has tokens that are good for one connection.
func TestStreamAuthenticatesAgain(t *testing.T) {
	whole := large(1 << 20)
	d, _ := bytesOpener(whole)
	var issued atomic.Int32
	used := map[string]bool{}
	reg := parts.MemoryRegistry(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/token" {
				fmt.Fprintf(w, `{"token":"t%d"}`, issued.Add(1))
				return
			}
			token := r.Header.Get("Authorization")
			if token != fmt.Sprintf("Bearer t%d", issued.Load()) || used[token] {
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test",error="invalid_token"`, r.Host))
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			used[token] = true
			cut(w, r, whole, 300_000)
		})
	})
	got, err := readBlob(t, newTestClient(t, Options{}).Source(), at(t, transport.Image{}, reg.Image("app:1")), d)
	if err != nil || !bytes.Equal(got, whole) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if issued.Load() != 4 {
		t.Errorf("%d tokens, want 4", issued.Load())
	}
}

// TestStreamClosed closes a stream while it waits for bytes.
func TestStreamClosed(t *testing.T) {
	d := v1.Descriptor{Digest: digest.FromString("x"), Size: 1 << 30}
	host := liar(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	rc, err := newTestClient(t, Options{}).Source().Blob(t.Context(), at(t, transport.Image{}, host+"/app:1"), d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(rc, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		_, err := rc.Read(make([]byte, 1))
		failed <- err
	}()
	if err := rc.Close(); err != nil {
		t.Error(err)
	}
	if err := <-failed; err == nil || errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
	if _, err := rc.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
}

// TestSlowReader takes longer than a connection may be silent.
func TestSlowReader(t *testing.T) {
	whole := large(1 << 20)
	d, _ := bytesOpener(whole)
	var n atomic.Int32
	host := liar(t, func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		ranges(w, r, whole)
	})
	const patience = 100 * time.Millisecond
	rc, err := newTestClient(t, Options{patience: patience}).Source().Blob(t.Context(), at(t, transport.Image{}, host+"/app:1"), d)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rc.Close() }()
	first := make([]byte, 1000)
	if _, err := io.ReadFull(rc, first); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * patience)
	rest, err := io.ReadAll(rc)
	if err != nil || !bytes.Equal(append(first, rest...), whole) {
		t.Errorf("%d bytes, %v", len(rest), err)
	}
	if n.Load() != 1 {
		t.Errorf("%d connections", n.Load())
	}
}

// TestUploadStalls sends to something that takes no bytes.
func TestUploadStalls(t *testing.T) {
	var over = make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-over:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(over) })
	c := newTestClient(t, Options{patience: 200 * time.Millisecond})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, s.URL, bytes.NewReader(large(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.wire.RoundTrip(req) //nolint:bodyclose // there is no answer
	var stall *stalledError
	if !errors.As(err, &stall) || !stall.sending {
		t.Errorf("%v", err)
	}
	err = (task{doing: "write", host: "h"}).explain(context.Background(), err)
	if !strings.Contains(err.Error(), "takes no more bytes") || fault.Hint(err) == "" {
		t.Errorf("%v", err)
	}
}

func TestContentRange(t *testing.T) {
	for header, want := range map[string][2]int64{
		"bytes 0-0/1": {0, 1}, "bytes 5-9/10": {5, 10}, "bytes 5-9/*": {5, -1},
		"bytes 5-9": {}, "5-9/10": {}, "bytes 9-5/10": {}, "bytes 5-10/10": {}, "bytes -5/10": {}, "bytes 5-/10": {},
		"bytes */10": {}, "": {}, "bytes +5-9/10": {}, "bytes 5-9/99999999999999999999": {}, "bytes 5-9/-1": {},
	} {
		first, all, ok := contentRange(header)
		if ok != (want != [2]int64{}) || ok && (first != want[0] || all != want[1]) {
			t.Errorf("%q: %d of %d, %t", header, first, all, ok)
		}
	}
}

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"", "bytes 0-1/2", "bytes 1-2/*", "bytes */3", "bytes 9223372036854775807-9223372036854775807/*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		first, all, ok := contentRange(header)
		if ok && (first < 0 || all >= 0 && first >= all || all < -1) {
			t.Errorf("%q: %d of %d", header, first, all)
		}
	})
}

// TestStreamHTTP2 breaks downloads on the other version of the protocol, whose
// errors have other types, and none that are exported.
func TestStreamHTTP2(t *testing.T) {
	whole := large(1 << 20)
	d, _ := bytesOpener(whole)
	var n atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("%s", r.Proto)
		}
		if r.URL.Path == "/v2/" {
			return
		}
		switch n.Add(1) {
		case 1:
			cut(w, r, whole, 300_000)
		case 2:
			ranges(&cutting{w, 300_000, func() { <-r.Context().Done(); abort() }}, r, whole)
		case 3:
			abort()
		default:
			ranges(w, r, whole)
		}
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	c := newTestClient(t, Options{SkipTLSVerify: true, patience: time.Second})
	got, err := readBlob(t, c.Source(), at(t, transport.Image{}, s.Listener.Addr().String()+"/app:1"), d)
	if err != nil || !bytes.Equal(got, whole) || n.Load() != 4 {
		t.Errorf("%d bytes, %d connections, %v", len(got), n.Load(), err)
	}
}
