package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"bale/transport/parts"
)

// answer is what a bad registry does with some requests.
type answer func(w http.ResponseWriter, r *http.Request, next http.Handler)

// badRegistry answers the requests that match in its own way, once armed.
func badRegistry(t *testing.T, method, path string, a answer) (addr string, arm func(bool)) {
	t.Helper()
	match := regexp.MustCompile(path)
	armed := make(chan bool, 1)
	armed <- false
	reg := parts.MemoryRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			on := <-armed
			armed <- on
			if on && r.Method == method && match.MatchString(r.URL.Path) {
				a(w, r, next)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	return reg.Addr, func(on bool) { <-armed; armed <- on }
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(code int)        { r.code = code }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

// change answers with something else than the registry would.
func change(f func(b []byte) []byte) answer {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := &recorder{header: http.Header{}, code: http.StatusOK}
		next.ServeHTTP(rec, r)
		b := f(rec.body.Bytes())
		for k, v := range rec.header {
			w.Header()[k] = v
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		w.WriteHeader(rec.code)
		_, _ = w.Write(b) // the client may be gone
	}
}

// status answers with a code.
func status(code int) answer {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body) // the client may be gone
		w.WriteHeader(code)
	}
}

// hangUp breaks the connection.
func hangUp(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

// A registry that does not give what it says leads to no bundle.
func TestSaveFromBadRegistry(t *testing.T) {
	flip := change(func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	for name, c := range map[string]struct {
		path   string
		answer answer
		code   int
	}{
		"layer altered":      {`/blobs/`, flip, exitDamaged},
		"layer short":        {`/blobs/`, change(func(b []byte) []byte { return b[:len(b)-1] }), exitDamaged},
		"layer long":         {`/blobs/`, change(func(b []byte) []byte { return append(b, 0) }), exitDamaged},
		"layer gone":         {`/blobs/`, status(http.StatusNotFound), exitIncomplete},
		"layer denied":       {`/blobs/`, status(http.StatusForbidden), exitFailed},
		"manifest altered":   {`/manifests/sha256:`, flip, exitDamaged},
		"manifest gone":      {`/manifests/sha256:`, status(http.StatusNotFound), exitIncomplete},
		"no JSON":            {`/manifests/1.35`, change(func([]byte) []byte { return []byte("<html>") }), exitDamaged},
		"not a registry":     {`^/v2/$`, status(http.StatusNotFound), exitFailed},
		"always out of work": {`/blobs/`, status(http.StatusServiceUnavailable), exitFailed},
		"always hangs up":    {`/blobs/`, hangUp, exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, arm := badRegistry(t, http.MethodGet, c.path, c.answer)
			pushImages(t, addr)
			arm(true)
			dir := t.TempDir()
			o := inProcess(context.Background(), "save", "-o", filepath.Join(dir, "b.bale"), "--key", testdata(t, "keys", forgeKey), addr+"/library/busybox:1.35")
			if wrong := o.refusal(c.code); wrong != "" {
				t.Errorf("exit %d, want %d: %s\n%s", o.code, c.code, wrong, o.errout)
			}
			if wrong := leftovers(dir); wrong != "" {
				t.Error(wrong)
			}
		})
	}
}

// A registry that does not take what it is given has no tag in the end.
func TestLoadIntoBadRegistry(t *testing.T) {
	file := filepath.Join(t.TempDir(), "b.bale")
	mustRun(t, "save", "-o", file, "--key", testdata(t, "keys", forgeKey), "oci:"+testdata(t, "images", "busybox"))
	for name, c := range map[string]struct {
		method, path string
		answer       answer
		code         int
	}{
		"no uploads":          {http.MethodPost, `/blobs/uploads/`, status(http.StatusForbidden), exitFailed},
		"too large":           {http.MethodPatch, `/blobs/uploads/`, status(http.StatusRequestEntityTooLarge), exitFailed},
		"full":                {http.MethodPut, `/blobs/uploads/`, status(http.StatusInsufficientStorage), exitFailed},
		"refuses a manifest":  {http.MethodPut, `/manifests/sha256:`, status(http.StatusForbidden), exitFailed},
		"refuses a tag":       {http.MethodPut, `/manifests/1.35`, status(http.StatusForbidden), exitFailed},
		"out of work":         {http.MethodPut, `/manifests/1.35`, status(http.StatusInternalServerError), exitFailed},
		"hangs up at a layer": {http.MethodPatch, `/blobs/uploads/`, hangUp, exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, arm := badRegistry(t, c.method, c.path, c.answer)
			arm(true)
			o := inProcess(context.Background(), "load", "-i", file, "--key", testdata(t, "keys", forgePub), "--to", "docker://"+addr)
			if wrong := o.refusal(c.code); wrong != "" {
				t.Errorf("exit %d, want %d: %s\n%s", o.code, c.code, wrong, o.errout)
			}
			arm(false)
			if tags, err := registryTags(addr); err != nil || len(tags) > 0 {
				t.Errorf("the registry has tags %q, %v", tags, err)
			}
		})
	}
}
