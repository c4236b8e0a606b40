package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/parts"
)

// mirrored returns options whose registries.conf gives a registry mirrors.
func mirrored(t *testing.T, n *notes, origin string, mirrors ...string) Options {
	t.Helper()
	conf := fmt.Sprintf("[[registry]]\nlocation=%q\n", origin)
	for _, m := range mirrors {
		conf += fmt.Sprintf("[[registry.mirror]]\nlocation=%q\n", m)
	}
	return Options{RegistriesConf: put(t, t.TempDir(), "registries.conf", conf), Note: n.note}
}

// TestMirrors reads an image through mirrors that are good, empty, down, half,
// and full of lies. The content is always that of the origin's name.
func TestMirrors(t *testing.T) {
	origin, mirror := parts.Registry(t), parts.Registry(t)
	image := pushImage(t, origin.Image("team/app:1"))
	img := one(t, newTestClient(t, Options{}).Source(), origin.Image("team/app:1"))
	copied := at(t, img, mirror.Image("copies/team/app:1"))
	plain := newTestClient(t, Options{})
	sink := plain.Sink()
	copyGraph(t, plain.Source(), img, img.Root, sink, []transport.Image{copied})
	if err := sink.Commit(t.Context(), []transport.Image{copied}); err != nil {
		t.Fatal(err)
	}
	empty := parts.Registry(t)
	down := parts.FreeAddr(t)
	liesAt := liar(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		w.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")
		_, _ = w.Write([]byte(`{"schemaVersion":2,"x":"not what was asked for"}`))
	})
	broken := parts.FaultProxy(t, mirror, parts.Fault{Kind: parts.GetBlob, Do: parts.ResetMiddle}, parts.Fault{Kind: parts.GetBlob, Do: parts.Error503})
	limited := liar(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	locked := parts.Registry(t, parts.WithBasicAuth("u", "p"))
	for name, c := range map[string]struct {
		mirrors []string
		says    string // in the notes
		origin  bool   // is asked
	}{
		"good":        {[]string{mirror.Addr + "/copies"}, "is read from mirror " + mirror.Addr + "/copies/team/app", false},
		"empty":       {[]string{empty.Addr}, "mirror " + empty.Addr + "/team/app does not have all", true},
		"down":        {[]string{down}, "mirror " + down + " is not used", true},
		"locked":      {[]string{locked.Addr}, "asks for credentials", true},
		"limited":     {[]string{limited}, "mirror " + limited + " is not used", true},
		"liar":        {[]string{liesAt}, "mirror " + liesAt + " is not used", true},
		"second":      {[]string{empty.Addr, down, mirror.Addr + "/copies"}, "is read from mirror " + mirror.Addr, false},
		"breaks off":  {[]string{broken.Addr + "/copies"}, "mirror " + broken.Addr + " is not used", true},
		"not https":   {[]string{"mirror.invalid:80/copies"}, "mirror mirror.invalid:80 is not used", true},
		"no mirrors":  {nil, "", true},
		"all of them": {[]string{liesAt, empty.Addr, down, broken.Addr + "/copies", mirror.Addr + "/copies"}, "is read from mirror " + mirror.Addr, false},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			proxy := httptestServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				proxyTo(origin).ServeHTTP(w, r)
			}))
			var n notes
			o := mirrored(t, &n, proxy, c.mirrors...)
			o.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr == "mirror.invalid:80" {
					addr = mirror.Addr // which would have the image
				}
				return new(net.Dialer).DialContext(ctx, network, addr)
			}
			src := newTestClient(t, o).Source()
			ref := ":1"
			if name == "liar" || name == "all of them" {
				// What a tag stands for, the mirror may say, as with Docker. Of a
				// digest it cannot tell lies.
				ref = "@" + img.Root.Digest.String()
			}
			got, err := src.Images(t.Context(), proxy+"/team/app"+ref)
			if err != nil {
				t.Fatal(err)
			}
			if got[0].Root.Digest != img.Root.Digest || got[0].Name.Domain != proxy {
				t.Errorf("%+v", got[0])
			}
			if _, err := src.Manifest(t.Context(), got[0], img.Root); err != nil {
				t.Error(err)
			}
			layers, err := image.Layers()
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range layers {
				size, _ := l.Size()
				d, _ := bytesOpener(nil)
				d.Digest, d.Size = hashOf(t, l), size
				b, err := readBlob(t, src, got[0], d)
				if err != nil || int64(len(b)) != size {
					t.Errorf("%d bytes, %v", len(b), err)
				}
			}
			if !strings.Contains(n.all(), c.says) || c.says == "" && n.all() != "" {
				t.Errorf("notes %q", n.all())
			}
			if (asked.Load() > 0) != c.origin {
				t.Errorf("%d requests to the origin; notes: %s", asked.Load(), n.all())
			}
			for _, line := range strings.Split(n.all(), "\n") {
				if line != "" && strings.Count(n.all(), line) > 1 {
					t.Errorf("said twice: %s", line)
				}
			}
		})
	}
}

// httptestServer serves on loopback and returns the address.
func httptestServer(t *testing.T, h http.Handler) string {
	t.Helper()
	return liar(t, h.ServeHTTP)
}

// TestMirrorsOfHub reads Docker Hub's images through the mirrors of daemon.json.
func TestMirrorsOfHub(t *testing.T) {
	mirror := parts.Registry(t)
	pushImage(t, mirror.Image("library/busybox:latest"))
	pushImage(t, mirror.Image("team/app:1"))
	var n notes
	c := newTestClient(t, Options{
		Note: n.note,
		DaemonConfig: put(t, t.TempDir(), "daemon.json",
			fmt.Sprintf(`{"debug":true,"registry-mirrors":["https://u:p@x.example","ftp://y.example","https://z.example/path","http://%s/"]}`, mirror.Addr)),
	})
	for _, name := range []string{"busybox", "docker.io/team/app:1"} {
		one(t, c.Source(), name)
		if !strings.Contains(n.all(), "is read from mirror "+mirror.Addr) {
			t.Errorf("%q", n.all())
		}
	}
	if got := strings.Count(n.all(), "is left out"); got != 3 || strings.Contains(n.all(), "u:p") {
		t.Errorf("%q", n.all())
	}
	// Of Docker Hub only.
	at, err := c.places.mirrors(parseName(t, "other.example/library/busybox"))
	if err != nil || len(at) != 0 {
		t.Errorf("%v, %v", at, err)
	}
}

func TestDaemonConfig(t *testing.T) {
	home := alone(t)
	for name, content := range map[string]string{
		"text": "x", "types": `{"registry-mirrors":"https://a.example"}`, "large": strings.Repeat(" ", maxDaemonConfig+1),
		"many": `{"registry-mirrors":["` + strings.Repeat(`https://a.example","`, maxMirrors) + `https://a.example"]}`,
	} {
		file := put(t, home, "daemon.json", content)
		if _, err := loadDaemonConfig(Options{DaemonConfig: file}); !errors.Is(err, fault.ErrUsage) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
		// The machine's own is no reason to stop.
		put(t, home, ".config/docker/daemon.json", content)
		var n notes
		c, err := loadDaemonConfig(Options{Note: n.note})
		if err != nil || len(c.mirrors) != 0 || !strings.Contains(n.all(), "daemon.json") {
			t.Errorf("%s: %v, %q", name, err, n.all())
		}
	}
	put(t, home, ".config/docker/daemon.json", `{"registry-mirrors":["https://a.example:5000","http://b.example","https://[::1]:5000/"]}`)
	c, err := loadDaemonConfig(Options{})
	if err != nil || strings.Join(c.mirrors, " ") != "a.example:5000 b.example:80 [::1]:5000" {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestMirrorsAreNotWrittenTo pushes to a registry that has a mirror and another
// location. Names are written to as they are.
func TestMirrorsAreNotWrittenTo(t *testing.T) {
	reg, other := parts.Registry(t), parts.Registry(t)
	var j journal
	mirror := parts.MemoryRegistry(t, j.wrap)
	conf := fmt.Sprintf("[[registry]]\nprefix=%q\nlocation=%q\n[[registry.mirror]]\nlocation=%q\n[[registry]]\nprefix=\"blocked.example\"\nblocked=true\n",
		reg.Addr, other.Addr+"/moved", mirror.Addr)
	var n notes
	c := newTestClient(t, Options{RegistriesConf: put(t, t.TempDir(), "registries.conf", conf), Note: n.note})
	d, open := bytesOpener([]byte("content"))
	img := at(t, transport.Image{}, reg.Image("app:1"))
	if err := c.Sink().WriteBlob(t.Context(), d, []transport.Image{img}, open); err != nil {
		t.Fatal(err)
	}
	if len(j.list) != 0 {
		t.Errorf("%d requests to the mirror", len(j.list))
	}
	if _, err := readBlob(t, newTestClient(t, Options{}).Source(), img, d); err != nil {
		t.Error(err)
	}
	// It is read from the other location, which does not have it.
	if _, err := readBlob(t, c.Source(), img, d); !errors.Is(err, fault.ErrMissing) || !strings.Contains(n.all(), "is read from "+other.Addr+"/moved/app") {
		t.Errorf("%v, %q", err, n.all())
	}
	moved := at(t, transport.Image{}, other.Image("moved/app:1"))
	if err := newTestClient(t, Options{}).Sink().WriteBlob(t.Context(), d, []transport.Image{moved}, open); err != nil {
		t.Fatal(err)
	}
	if got, err := readBlob(t, c.Source(), img, d); err != nil || !bytes.Equal(got, []byte("content")) {
		t.Errorf("%q, %v", got, err)
	}
	err := c.Sink().WriteBlob(t.Context(), d, []transport.Image{at(t, transport.Image{}, "blocked.example/app:1")}, open)
	if !errors.Is(err, fault.ErrUsage) || !strings.Contains(err.Error(), "blocked") {
		t.Errorf("%v", err)
	}
}

// TestMirrorsGetNoAccount sees that a user name and password that are given for
// a registry do not go to its mirrors.
func TestMirrorsGetNoAccount(t *testing.T) {
	alone(t)
	reg := parts.Registry(t, parts.WithBasicAuth("anna", "s3cret"))
	var sent atomic.Int32
	mirror := parts.MemoryRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				sent.Add(1)
			}
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		})
	})
	var n notes
	o := mirrored(t, &n, reg.Addr, mirror.Addr)
	o.Username, o.Password, o.Backoff, o.DaemonConfig, o.CertDirs = "anna", "s3cret", quick, "/dev/null", []string{}
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	d, open := bytesOpener([]byte("content"))
	img := at(t, transport.Image{}, reg.Image("app:1"))
	if err := c.Sink().WriteBlob(t.Context(), d, []transport.Image{img}, open); err != nil {
		t.Fatal(err)
	}
	if _, err := readBlob(t, c.Source(), img, d); err != nil || sent.Load() != 0 {
		t.Errorf("%v, sent %d times", err, sent.Load())
	}
}

// TestInsecureRegistry reaches a registry without a good certificate because
// the user's own file says so.
func TestInsecureRegistry(t *testing.T) {
	reg := parts.Registry(t, parts.WithTLS())
	for _, insecure := range []bool{false, true} {
		conf := fmt.Sprintf("[[registry]]\nlocation='%s'\ninsecure=%t\n", reg.Addr, insecure)
		c := newTestClient(t, Options{RegistriesConf: put(t, t.TempDir(), "registries.conf", conf)})
		d, open := bytesOpener([]byte("content"))
		img := at(t, transport.Image{}, reg.Image("app:1"))
		err := c.Sink().WriteBlob(t.Context(), d, []transport.Image{img}, open)
		if (err == nil) != insecure {
			t.Errorf("insecure %t: %v", insecure, err)
		}
		if _, err := c.Source().Images(t.Context(), img.Name.String()); errors.Is(err, fault.ErrMissing) != insecure {
			t.Errorf("insecure %t: %v", insecure, err)
		}
	}
}

func FuzzMirrorHost(f *testing.F) {
	for _, s := range []string{"https://a.example", "http://b.example:5000/", "https://u:p@c.example", "https://[::1]:1", "a.example", "https://", "https://a.example/x?y#z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, ok := mirrorHost(s)
		if ok != (host != "") || strings.ContainsAny(host, "/@?# ") {
			t.Errorf("%q, %t", host, ok)
		}
		if shown := withoutPassword(s); strings.Contains(s, "://u:s3cret@") && strings.Contains(shown, "s3cret") && !strings.Contains(strings.SplitN(s, "@", 2)[1], "s3cret") {
			t.Errorf("a secret in %q", shown)
		}
	})
}

// What is attached is asked of the registry itself; of a mirror only where that
// cannot be reached, and that is said.
func TestReferrersOfMirrors(t *testing.T) {
	mirror := parts.Registry(t)
	set := signedSet(t, mirror.Image("copies"))
	sink := newTestClient(t, Options{}).Sink()
	if _, err := transport.Copy(t.Context(), requestsFor(set.Source(), set.Images), sink, transport.Options{}); err != nil {
		t.Fatal(err)
	}
	down := parts.FreeAddr(t)
	var n notes
	src := newTestClient(t, mirrored(t, &n, down, mirror.Addr+"/copies")).Source()
	defer func() { _ = src.Close() }()
	img := one(t, src, down+"/multi:1.0")
	found, err := src.(transport.Referring).Referrers(t.Context(), img, img.Root)
	if err != nil || len(found) != 1 || found[0].Root.Digest != set.Images[2].Root.Digest || found[0].Name.Domain != down {
		t.Errorf("found %v, %v", found, err)
	}
	if !strings.Contains(strings.Join(n.list, "\n"), "may not have all of it") {
		t.Errorf("noted %q", n.list)
	}
	// A registry that can be reached and has none decides.
	empty := parts.Registry(t)
	src = newTestClient(t, mirrored(t, &n, empty.Addr, mirror.Addr+"/copies")).Source()
	defer func() { _ = src.Close() }()
	img = one(t, src, empty.Addr+"/multi:1.0")
	if found, err := src.(transport.Referring).Referrers(t.Context(), img, img.Root); err != nil || len(found) > 0 {
		t.Errorf("found %v, %v; want none", found, err)
	}
	src = newTestClient(t, Options{RegistriesConf: put(t, t.TempDir(), "registries.conf", "")}).Source()
	defer func() { _ = src.Close() }()
	if _, err := src.(transport.Referring).Referrers(t.Context(), at(t, img, down+"/multi:1.0"), img.Root); err == nil {
		t.Error("nobody was asked, and that is no error")
	}
}
