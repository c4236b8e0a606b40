package registry

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/parts"
)

func (n *notes) all() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.list, "\n")
}

// certsD makes a certs.d folder with files for one registry.
func certsD(t *testing.T, domain string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, filepath.Join(domain, "README"), "no certificate")
	for name, from := range files {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		put(t, dir, filepath.Join(domain, name), string(b))
	}
	return dir
}

func TestMutualTLS(t *testing.T) {
	reg := parts.Registry(t, parts.WithMutualTLS())
	other := parts.Registry(t, parts.WithTLS())
	d, open := bytesOpener([]byte("content"))
	img := at(t, transport.Image{}, reg.Image("app:1"))
	whole := map[string]string{"ca.crt": reg.CAFile, "client.cert": reg.CertFile, "client.key": reg.KeyFile}
	for name, o := range map[string]Options{
		"options":        {CAFile: reg.CAFile, CertFile: reg.CertFile, KeyFile: reg.KeyFile},
		"certs.d":        {CertDirs: []string{t.TempDir(), certsD(t, reg.Addr, whole), certsD(t, reg.Addr, map[string]string{"x.crt": "/dev/null"})}},
		"certs.d and CA": {CAFile: other.CAFile, CertDirs: []string{certsD(t, reg.Addr, whole)}},
	} {
		c := newTestClient(t, o)
		if err := c.Sink().WriteBlob(t.Context(), d, []transport.Image{img}, open); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := readBlob(t, c.Source(), img, d); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, o := range map[string]Options{
		"no certificate":    {CAFile: reg.CAFile},
		"for others":        {CertDirs: []string{certsD(t, other.Addr, whole)}, CAFile: reg.CAFile},
		"another's":         {CAFile: reg.CAFile, CertFile: filepath.Join(filepath.Dir(other.CAFile), "cert.pem"), KeyFile: filepath.Join(filepath.Dir(other.CAFile), "key.pem")},
		"no check of peers": {SkipTLSVerify: true},
	} {
		_, err := newTestClient(t, o).Source().Images(t.Context(), img.Name.String())
		if err == nil || !strings.Contains(err.Error(), "client certificate") || !strings.Contains(fault.Hint(err), "certs.d") {
			t.Errorf("%s: %v (%s)", name, err, fault.Hint(err))
		}
	}
	// What is said of one registry is not believed of another.
	c := newTestClient(t, Options{CertDirs: []string{certsD(t, reg.Addr, whole)}})
	if _, err := readBlob(t, c.Source(), img, d); err != nil {
		t.Error(err)
	}
	_, err := c.Source().Images(t.Context(), other.Image("app:1"))
	if err == nil || !strings.Contains(err.Error(), "not trusted") {
		t.Errorf("%v", err)
	}
}

// TestCertsOfTokenServer sees that a registry's CA counts for its token server.
func TestCertsOfTokenServer(t *testing.T) {
	reg := parts.Registry(t, parts.WithTLS(), parts.WithTokenAuth(anna))
	c := newTestClient(t, Options{Keychain: account{"anna", "pw"}, CertDirs: []string{certsD(t, reg.Addr, map[string]string{"ca.crt": reg.CAFile})}})
	d, open := bytesOpener([]byte("content"))
	if err := c.Sink().WriteBlob(t.Context(), d, []transport.Image{at(t, transport.Image{}, reg.Image("app:1"))}, open); err != nil {
		t.Error(err)
	}
}

func TestCertsMalformed(t *testing.T) {
	reg := parts.Registry(t, parts.WithMutualTLS())
	text := put(t, t.TempDir(), "text", "no certificate")
	encrypted := put(t, t.TempDir(), "key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
	for name, c := range map[string]struct {
		files map[string]string
		says  string // the file to blame
	}{
		"CA":              {map[string]string{"ca.crt": text}, "ca.crt"},
		"no key":          {map[string]string{"a.cert": reg.CertFile, "b.key": reg.KeyFile}, "a.key"},
		"no certificate":  {map[string]string{"b.key": reg.KeyFile}, "b.key"},
		"key":             {map[string]string{"a.cert": reg.CertFile, "a.key": text}, "a.key"},
		"encrypted key":   {map[string]string{"a.cert": reg.CertFile, "a.key": encrypted}, "a.key"},
		"another's key":   {map[string]string{"a.cert": reg.CertFile, "a.key": filepath.Join(filepath.Dir(reg.CAFile), "key.pem")}, "a.cert"},
		"too large":       {map[string]string{"ca.crt": put(t, t.TempDir(), "x", strings.Repeat("x", MaxCAFile+1))}, "ca.crt"},
		"certificate, CA": {map[string]string{"a.cert": text, "a.key": reg.KeyFile}, "a.cert"},
	} {
		dir := certsD(t, "registry.example.com", c.files)
		_, err := newTestClient(t, Options{CertDirs: []string{dir}}).Source().Images(t.Context(), "registry.example.com/app:1")
		if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "registry.example.com", c.says)) || fault.Hint(err) == "" && name != "too large" {
			t.Errorf("%s: %v (%s)", name, err, fault.Hint(err))
		}
	}
	for _, o := range []Options{{CertFile: reg.CertFile}, {KeyFile: reg.KeyFile}, {CertFile: text, KeyFile: reg.KeyFile}} {
		if _, err := NewClient(o); !errors.Is(err, fault.ErrUsage) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestOpenKey warns of a key that others may read.
func TestOpenKey(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes of files")
	}
	reg := parts.Registry(t, parts.WithMutualTLS())
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o644: true} {
		if err := os.Chmod(reg.KeyFile, mode); err != nil {
			t.Fatal(err)
		}
		var n notes
		newTestClient(t, Options{CertFile: reg.CertFile, KeyFile: reg.KeyFile, Note: n.note})
		if strings.Contains(n.all(), reg.KeyFile) != want {
			t.Errorf("%04o: %q", mode, n.all())
		}
	}
}

// TestCertDirNames sees that a name leads to no other folder.
func TestCertDirNames(t *testing.T) {
	dir := certsD(t, "x", map[string]string{})
	put(t, dir, "bad.crt", "no certificate")
	c := &certDirs{dirs: []string{filepath.Join(dir, "x"), dir}, note: func(string, ...any) {}}
	l, err := newLanes(Options{CertDirs: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, domain := range []string{"..", ".", "", "../x", "/", `..\x`, "x/.."} {
		if got, err := c.apply(l.base, domain); err != nil || got != l.base {
			t.Errorf("%q: %v", domain, err)
		}
	}
}
