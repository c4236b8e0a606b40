package registry

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/parts"
)

// alone leads all places of credentials into empty folders, and returns the
// home folder among them.
func alone(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	for k, v := range map[string]string{
		"HOME": home, "XDG_CONFIG_HOME": "", "XDG_RUNTIME_DIR": filepath.Join(home, "run"),
		"DOCKER_CONFIG": "", "DOCKER_AUTH_CONFIG": "", "REGISTRY_AUTH_FILE": "", "CONTAINERS_REGISTRIES_CONF": "",
	} {
		t.Setenv(k, v)
	}
	return home
}

// put writes a file below dir and returns its path.
func put(t testing.TB, dir, name, content string) string {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// auths returns a file with a user for each key, whose password is the key.
func auths(keys ...string) string {
	var list []string
	for _, k := range keys {
		list = append(list, fmt.Sprintf("%q:{\"auth\":%q}", k, base64.StdEncoding.EncodeToString([]byte("user:"+k))))
	}
	return `{"auths":{` + strings.Join(list, ",") + `}}`
}

// asked returns the password that a keychain has for a repository, "" if none.
func asked(t testing.TB, k authn.Keychain, image string) (string, error) {
	t.Helper()
	n, err := transport.ParseName(image)
	if err != nil {
		t.Fatal(err)
	}
	repo, err := newTestClient(t, Options{}).repository(n)
	if err != nil {
		t.Fatal(err)
	}
	auth, err := authn.Resolve(t.Context(), k, repo)
	if err != nil || auth == authn.Anonymous {
		return "", err
	}
	conf, err := authn.Authorization(t.Context(), auth)
	if err != nil {
		t.Fatal(err)
	}
	return conf.Password + conf.IdentityToken, nil
}

func TestKeychainKeys(t *testing.T) {
	home := alone(t)
	put(t, home, ".docker/config.json", auths("https://index.docker.io/v1/", "r.example", "r.example/team", "r.example/team/app", "https://old.example:5000/v1/", "[::1]:5000"))
	k := NewKeychain(Options{})
	for image, want := range map[string]string{
		"busybox":                "https://index.docker.io/v1/",
		"docker.io/me/app":       "https://index.docker.io/v1/",
		"r.example/app":          "r.example",
		"r.example/teams/app":    "r.example",
		"r.example/team/other":   "r.example/team",
		"r.example/team/app":     "r.example/team/app",
		"r.example/team/app/x:1": "r.example/team/app",
		"old.example:5000/app":   "https://old.example:5000/v1/",
		"old.example/app":        "",
		"sub.r.example/app":      "",
		"r.example:5000/app":     "",
		"other.example/app":      "",
		"localhost:5000/app":     "",
	} {
		if got, err := asked(t, k, image); err != nil || got != want {
			t.Errorf("%s: %q, %v", image, got, err)
		}
	}
}

// TestKeychainPlaces checks which of several files counts.
func TestKeychainPlaces(t *testing.T) {
	home := alone(t)
	k := NewKeychain(Options{})
	expect := func(image, want string) {
		t.Helper()
		if got, err := asked(t, k, image); err != nil || got != want {
			t.Errorf("%s: %q instead of %q, %v", image, got, want, err)
		}
	}
	expect("all.example/app", "")
	put(t, home, ".config/containers/auth.json", auths("podman.example", "all.example/app", "docker.io"))
	expect("all.example/app", "all.example/app")
	expect("busybox", "docker.io")
	put(t, home, "run/containers/auth.json", auths("run.example", "all.example"))
	expect("all.example/app", "all.example")
	// A Docker config does not hide what only Podman has.
	put(t, home, ".docker/config.json", `{"auths":{"empty.example":{}}}`)
	expect("podman.example/app", "podman.example")
	expect("run.example/app", "run.example")
	t.Setenv("DOCKER_CONFIG", filepath.Dir(put(t, home, "elsewhere/config.json", auths("https://all.example"))))
	expect("all.example/app", "https://all.example")
	t.Setenv("DOCKER_AUTH_CONFIG", auths("env.example"))
	expect("env.example/app", "env.example")
	expect("run.example/app", "run.example")
	t.Setenv("REGISTRY_AUTH_FILE", put(t, home, "own.json", auths("own.example")))
	expect("own.example/app", "own.example")
	expect("run.example/app", "")
	k = NewKeychain(Options{AuthFile: put(t, home, "named.json", auths("named.example"))})
	expect("named.example/app", "named.example")
	expect("own.example/app", "")
}

// TestKeychainMalformed sees that no error repeats a secret.
func TestKeychainMalformed(t *testing.T) {
	home := alone(t)
	for name, content := range map[string]string{
		"text":      "s3cret",
		"no base64": `{"auths":{"r.example":{"auth":"s3cret!"}}}`,
		"no colon":  `{"auths":{"r.example":{"auth":"czNjcmV0"}}}`,
		"types":     `{"auths":["s3cret"]}`,
		"too large": `{"auths":{"s3cret":{}}}` + strings.Repeat(" ", maxAuthFile),
	} {
		file := put(t, home, "auth.json", content)
		_, err := asked(t, NewKeychain(Options{AuthFile: file}), "r.example/app")
		if !errors.Is(err, fault.ErrUsage) || !strings.Contains(err.Error(), file) || strings.Contains(err.Error()+fault.Hint(err), "s3cret") {
			t.Errorf("%s: %v (%s)", name, err, fault.Hint(err))
		}
	}
	_, err := asked(t, NewKeychain(Options{AuthFile: filepath.Join(home, "none")}), "r.example/app")
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(fault.Hint(err), "login") {
		t.Errorf("%v (%s)", err, fault.Hint(err))
	}
}

// TestCredentialPass keeps a password in docker-credential-pass, with GnuPG, and
// pushes and pulls with it.
func TestCredentialPass(t *testing.T) {
	alone(t)
	pass := parts.CredentialPass(t)
	reg := parts.Registry(t, parts.WithBasicAuth("anna", "s3cret"))
	pass.Store(t, reg.Addr, "anna", "s3cret")
	tokens := parts.Registry(t, parts.WithTokenAuth(parts.TokenAuth{Refresh: map[string]string{"refresh-me": "anna"}}))
	pass.Store(t, tokens.Addr, tokenUser, "refresh-me")
	open := parts.Registry(t)

	c := newTestClient(t, Options{Keychain: NewKeychain(Options{})})
	for _, r := range []*parts.RegistryPart{reg, tokens, open} {
		d, opener := bytesOpener([]byte("content"))
		img := at(t, transport.Image{}, r.Image("team/app:1"))
		if err := c.Sink().WriteBlob(t.Context(), d, []transport.Image{img}, opener); err != nil {
			t.Fatal(err)
		}
		if got, err := readBlob(t, c.Source(), img, d); err != nil || string(got) != "content" {
			t.Errorf("%q, %v", got, err)
		}
	}
	// For one registry only.
	put(t, pass.Dir, "config.json", fmt.Sprintf(`{"credHelpers":{%q:"pass"}}`, reg.Addr))
	k := NewKeychain(Options{})
	for image, want := range map[string]string{reg.Image("app"): "s3cret", tokens.Image("app"): ""} {
		if got, err := asked(t, k, image); err != nil || got != want {
			t.Errorf("%s: %q, %v", image, got, err)
		}
	}
	// A store that cannot be opened is not the same as one without an entry.
	t.Setenv("GNUPGHOME", t.TempDir())
	_, err := asked(t, NewKeychain(Options{}), reg.Image("app"))
	if err == nil || !strings.Contains(err.Error(), "docker-credential-pass") || !strings.Contains(fault.Hint(err), "docker-credential-pass get") {
		t.Errorf("%v (%s)", err, fault.Hint(err))
	}
}

// helper puts a credential helper docker-credential-NAME on PATH.
func helper(t *testing.T, name, script string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("a shell script")
	}
	dir := t.TempDir()
	p := put(t, dir, "docker-credential-"+name, "#!/bin/sh\n"+script+"\n")
	if err := os.Chmod(p, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
}

func TestHelper(t *testing.T) {
	for name, c := range map[string]struct {
		script, says, hint, password string
	}{
		"finds":     {`cat >/dev/null; echo '{"Username":"u","Secret":"s3cret"}'`, "", "", "s3cret"},
		"identity":  {`cat >/dev/null; echo '{"Username":"<token>","Secret":"s3cret"}'`, "", "", "s3cret"},
		"empty":     {`cat >/dev/null; echo '{"Username":"","Secret":""}'`, "", "", ""},
		"not there": {`cat >/dev/null; echo 'credentials not found in native keychain'; exit 1`, "", "", ""},
		"fails":     {`cat >/dev/null; echo 'the keyring is locked'; exit 1`, "the keyring is locked", "docker-credential-fails get", ""},
		"stderr":    {`cat >/dev/null; echo 'no bus' >&2; exit 3`, "no bus", "docker-credential-stderr get", ""},
		"leaks":     {`cat >/dev/null; echo '{"Secret":"s3cret"}'; exit 1`, "exit status 1", "docker-credential-leaks get", ""},
		"babbles":   {`cat >/dev/null; echo 's3cret'`, "no answer of the right form", "JSON", ""},
		"floods":    {`cat >/dev/null; yes s3cret | head -c 10000000`, "no answer of the right form", "JSON", ""},
	} {
		t.Run(name, func(t *testing.T) {
			name := strings.ReplaceAll(name, " ", "-")
			helper(t, name, c.script)
			got, err := newHelpers().get(t.Context(), name, "r.example")
			switch {
			case c.says == "" && err != nil:
				t.Error(err)
			case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(fault.Hint(err), c.hint)):
				t.Errorf("%v (%s)", err, fault.Hint(err))
			case err != nil && strings.Contains(err.Error()+fault.Hint(err), "s3cret"):
				t.Errorf("a secret in %v", err)
			case (got != nil) != (c.password != "") || got != nil && got.Password+got.IdentityToken != c.password:
				t.Errorf("%v", got)
			}
		})
	}
	for name, says := range map[string]string{"never-installed": "not installed", "../../bin/sh": "no name of a program", "": "no name of a program"} {
		_, err := newHelpers().get(t.Context(), name, "r.example")
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestHelperHangs ends a helper that waits for somebody, by the context and by
// its own time.
func TestHelperHangs(t *testing.T) {
	helper(t, "hangs", "sleep 600 & wait") // its child keeps the pipes open
	h := newHelpers()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 { // one runs it, two wait for their turn
		wg.Go(func() {
			if _, err := h.get(ctx, "hangs", "r.example"); !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	cancel()
	wg.Wait()

	h.limit = 50 * time.Millisecond
	_, err := h.get(t.Context(), "hangs", "r.example")
	if err == nil || !strings.Contains(err.Error(), "no answer within") || !strings.Contains(fault.Hint(err), "passphrase") {
		t.Errorf("%v (%s)", err, fault.Hint(err))
	}
}

// TestHelperOnce sees that a helper is not run for every repository.
func TestHelperOnce(t *testing.T) {
	home := alone(t)
	count := filepath.Join(home, "count")
	helper(t, "counts", `cat >/dev/null; echo >>`+count+`; echo '{"Username":"u","Secret":"s"}'`)
	put(t, home, ".docker/config.json", `{"credsStore":"counts"}`)
	k := NewKeychain(Options{})
	for _, image := range []string{"r.example/a", "r.example/b", "r.example/a"} {
		if got, err := asked(t, k, image); err != nil || got != "s" {
			t.Errorf("%q, %v", got, err)
		}
	}
	if b, err := os.ReadFile(count); err != nil || !bytes.Equal(b, []byte("\n")) {
		t.Errorf("%q, %v", b, err)
	}
}

// TestUsername gives an account to the first registry only, and never to its
// mirrors.
func TestUsername(t *testing.T) {
	one := parts.Registry(t, parts.WithBasicAuth("anna", "s3cret"))
	two := parts.Registry(t, parts.WithBasicAuth("anna", "s3cret"))
	c := newTestClient(t, Options{Username: "anna", Password: "s3cret"})
	d, open := bytesOpener([]byte("content"))
	for _, name := range []string{"app:1", "other:1"} {
		if err := c.Sink().WriteBlob(t.Context(), d, []transport.Image{at(t, transport.Image{}, one.Image(name))}, open); err != nil {
			t.Fatal(err)
		}
	}
	err := c.Sink().WriteBlob(t.Context(), d, []transport.Image{at(t, transport.Image{}, two.Image("app:1"))}, open)
	if !errors.Is(err, fault.ErrUsage) || !strings.Contains(err.Error(), one.Addr) || !strings.Contains(err.Error(), two.Addr) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%v", err)
	}
	for _, o := range []Options{{Username: "anna"}, {Password: "pw"}, {Username: "a:b", Password: "pw"}} {
		if _, err := NewClient(o); !errors.Is(err, fault.ErrUsage) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func FuzzAuthFile(f *testing.F) {
	for _, s := range []string{auths("r.example", "https://old.example/v1/", "docker.io"), "", "x", `{"auths":{"":{"username":"u"}},"credHelpers":{"r.example":"x"}}`,
		`{"auths":{"http://[::1":{"auth":"dTpw"}}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		file, err := readAuthFile(authPlace{what: "file", content: s})
		if err != nil {
			return
		}
		for _, key := range append(file.names, "r.example", hubURL) {
			if a := file.account(key); a != nil && a.Username == "" && a.IdentityToken == "" && a.RegistryToken == "" {
				t.Errorf("%q: an empty account", key)
			}
		}
	})
}
