package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"bale/bundle/index"
	"bale/transport"
	"bale/transport/parts"
)

// Base content is looked for under the names that images and bases have at the
// target.
func TestNear(t *testing.T) {
	rename, err := under("far.example:5000/site")
	if err != nil {
		t.Fatal(err)
	}
	name := func(s string) transport.Name {
		n, err := transport.ParseName(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	plan := &transport.Plan{Images: []transport.Planned{
		{Target: transport.Image{Name: name("far.example:5000/site/team/app:2")}},
		{Target: transport.Image{Name: name("far.example:5000/site/team/tool:2")}},
	}}
	bases := []index.Base{
		{Images: []string{"here.example/team/app:1", "here.example/team/app:2", "far.example:5000/other/app:1"}},
		{Images: []string{"No Name", "", "library/old"}},
	}
	var got []string
	for _, n := range near(bases, &target{name: rename}, plan) {
		got = append(got, n.String())
	}
	want := []string{
		"far.example:5000/site/team/app:2", "far.example:5000/site/team/tool:2", "far.example:5000/site/team/app:1",
		"far.example:5000/other/app:1", "far.example:5000/site/other/app:1", "far.example:5000/site/library/old:latest",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for i := range 2 * maxNear {
		bases[0].Images = append(bases[0].Images, fmt.Sprintf("here.example/team/app:%d", i))
	}
	if n := len(near(bases, &target{name: rename}, plan)); n != maxNear {
		t.Errorf("%d names, want %d", n, maxNear)
	}
}

// A folder is searched for bundles, not for anything else, and not without end.
func TestBundlesIn(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"b.bale", "a.bale", ".hidden.bale", "a.receipt", "bale", "c.bale.txt"} {
		write(name)
	}
	got, err := bundlesIn(dir)
	if want := []string{filepath.Join(dir, "a.bale"), filepath.Join(dir, "b.bale")}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	for i := range maxEarlier - 2 {
		write(fmt.Sprintf("%d.bale", i))
	}
	if got, err := bundlesIn(dir); err != nil || len(got) != maxEarlier {
		t.Errorf("%d, %v", len(got), err)
	}
	write("z.bale")
	if _, err := bundlesIn(dir); exitCode(err) != exitUsage {
		t.Errorf("%v, want a usage error", err)
	}
}

// What happens to base content at the target while it is being fetched is
// noticed before anything is written: what does not have its hash is not there.
func TestBaseContentAtFault(t *testing.T) {
	dir := t.TempDir()
	key, pub := testdata(t, "keys", "ed25519.pem"), testdata(t, "keys", "ed25519.pub")
	path := func(name string) string { return filepath.Join(dir, name) }
	for n := 1; n <= 2; n++ {
		if err := writeRelease(path(fmt.Sprintf("r%d", n)), "app:1", n, nil); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, "save", "-o", path("1.bale"), "--key", key, "oci:"+path("r1"))
	mustRun(t, "save", "-o", path("2.bale"), "--key", key, "--base", path("1.bale"), "oci:"+path("r2"))
	gone := func(http.ResponseWriter, *httptest.ResponseRecorder) bool { return false }
	for name, c := range map[string]struct {
		answer func(to http.ResponseWriter, from *httptest.ResponseRecorder) bool
	}{
		"deleted since": {gone},
		"cut short": {func(to http.ResponseWriter, from *httptest.ResponseRecorder) bool {
			_, _ = to.Write(from.Body.Bytes()[:from.Body.Len()/2])
			return true
		}},
		"altered": {func(to http.ResponseWriter, from *httptest.ResponseRecorder) bool {
			b := bytes.Clone(from.Body.Bytes())
			for i := 1000; i < len(b); i += 1000 {
				b[i] ^= 0x10
			}
			_, _ = to.Write(b)
			return true
		}},
		"something else": {func(to http.ResponseWriter, from *httptest.ResponseRecorder) bool {
			_, _ = to.Write(make([]byte, from.Body.Len()))
			return true
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var faulty, wrote atomic.Bool
			reg := parts.MemoryRegistry(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if faulty.Load() && r.Method != http.MethodGet && r.Method != http.MethodHead {
						wrote.Store(true)
					}
					if !faulty.Load() || r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
						next.ServeHTTP(w, r)
						return
					}
					rec := httptest.NewRecorder()
					next.ServeHTTP(rec, r)
					if rec.Body.Len() < 100_000 { // a config
						_, _ = io.Copy(w, rec.Body)
						return
					}
					if !c.answer(w, rec) {
						w.WriteHeader(http.StatusNotFound)
					}
				})
			})
			to := "docker://" + reg.Addr
			mustRun(t, "load", "-i", path("1.bale"), "--key", pub, "--to", to)
			faulty.Store(true)
			o := inProcess(testContext, "load", "-i", path("2.bale"), "--key", pub, "--to", to)
			if wrong := o.refusal(exitIncomplete); wrong != "" || !strings.Contains(o.errout, "looked in "+to) {
				t.Errorf("exit %d: %s\n%s", o.code, wrong, o.errout)
			}
			if wrote.Load() {
				t.Error("something was written")
			}
			faulty.Store(false)
			if err := sameImage(dir, "oci:r1:docker.io/library/app:1", reg.Image("library/app:1")); err != nil {
				t.Errorf("the image there before: %v", err)
			}
		})
	}
}
