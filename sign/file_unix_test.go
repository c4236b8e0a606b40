//go:build unix

package sign_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bale/bundle/fault"
	"bale/sign"
)

// Kubernetes and Nix keep secrets behind links, and some behind several.
func TestKeyBehindLinks(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "..2026_11_21")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{"cosign.key": "sec1.pem", "cosign.pub": "sec1.pub"} {
		if err := os.WriteFile(filepath.Join(data, name), read(t, testKey(file)), 0o600); err != nil {
			t.Fatal(err)
		}
		symlink(t, "..data/"+name, filepath.Join(dir, name))
	}
	symlink(t, "..2026_11_21", filepath.Join(dir, "..data"))
	k := loadPrivate(t, filepath.Join(dir, "cosign.key"))
	if pub := loadPublic(t, filepath.Join(dir, "cosign.pub")); pub.ID() != k.Public().ID() {
		t.Errorf("private half of %s, public half %s", k.Public(), pub)
	}
}

// What is no file is refused in words, behind a link too, and at once: a FIFO
// that nobody writes to must not make bale wait.
func TestKeyFilesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := syscall.Mkfifo(at("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(at("folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	for link, target := range map[string]string{
		"to-fifo": "fifo", "to-folder": "folder", "to-socket": "socket", "to-device": "/dev/null",
		"dangling": "not-there", "loop": "loop", "one": "two", "two": "one",
	} {
		symlink(t, target, at(link))
	}
	for _, tt := range []struct {
		path       string
		kind       error
		text, hint string
	}{
		{at("fifo"), fault.ErrUsage, "not a regular file", "regular file"},
		{"/dev/null", fault.ErrUsage, "not a regular file", "regular file"},
		{at("socket"), fault.ErrUsage, "not a regular file", "regular file"},
		{at("folder"), fault.ErrUsage, "is a folder", "key file itself"},
		{at("to-fifo"), fault.ErrUsage, "not a regular file", "regular file"},
		{at("to-device"), fault.ErrUsage, "not a regular file", "regular file"},
		{at("to-socket"), fault.ErrUsage, "not a regular file", "regular file"},
		{at("to-folder"), fault.ErrUsage, "is a folder", "key file itself"},
		{at("dangling"), fault.ErrMissing, "link to what is not there", "where the link leads"},
		{at("loop"), fault.ErrUsage, "leads back to itself", "key file itself"},
		{at("one"), fault.ErrUsage, "leads back to itself", "key file itself"},
		{at("not-there"), fault.ErrMissing, "not exist", "check the path"},
		{at("fifo") + "/x", nil, "not a directory", ""},
	} {
		for name, load := range map[string]func(string) (any, error){
			"private": func(p string) (any, error) { return sign.LoadPrivateKey(p, nil) },
			"public":  func(p string) (any, error) { return sign.LoadPublicKey(p) },
		} {
			_, err := load(tt.path)
			if err == nil || !strings.HasPrefix(err.Error(), name+" key "+tt.path+": ") || strings.Count(err.Error(), tt.path) != 1 {
				t.Errorf("%s key %s: %v", name, tt.path, err)
				continue
			}
			if tt.kind != nil {
				refused(t, err, tt.kind, tt.text, tt.hint)
			} else if !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%q does not say %q", err, tt.text)
			}
		}
	}
}

func symlink(t *testing.T, target, link string) {
	t.Helper()
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
}
