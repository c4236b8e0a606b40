package registry

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/transport"
	"bale/transport/parts"
)

// TestSkopeoLogin uses what skopeo login has kept, for a registry and for one
// of its repositories.
func TestSkopeoLogin(t *testing.T) {
	home := alone(t)
	skopeo := parts.Tool(t, "skopeo")
	reg := parts.Registry(t, parts.WithBasicAuth("anna", "s3cret"))
	for _, key := range []string{reg.Addr, reg.Addr + "/team/app"} {
		file := filepath.Join(home, strings.ReplaceAll(key, "/", "-")+".json")
		cmd := exec.Command(skopeo, "login", "--authfile", file, "--tls-verify=false", "--username", "anna", "--password-stdin", key)
		cmd.Stdin = strings.NewReader("s3cret")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Setenv("REGISTRY_AUTH_FILE", file)
		c := newTestClient(t, Options{Keychain: NewKeychain(Options{})})
		d, open := bytesOpener([]byte("content of " + key))
		for name, want := range map[string]bool{"team/app:1": true, "team/other:1": key == reg.Addr} {
			err := c.Sink().WriteBlob(t.Context(), d, []transport.Image{at(t, transport.Image{}, reg.Image(name))}, open)
			if (err == nil) != want {
				t.Errorf("logged in to %s, %s: %v", key, name, err)
			}
		}
	}
}

// TestAsSkopeo resolves names by registries.conf files, and compares the
// outcome with skopeo's.
func TestAsSkopeo(t *testing.T) {
	home := alone(t)
	skopeo := parts.Tool(t, "skopeo")
	one, two := parts.Registry(t), parts.Registry(t)
	digests := map[string]string{}
	for _, ref := range []string{one.Image("app:1"), one.Image("a/app:1"), one.Image("x/a/app:1"), two.Image("app:1"), two.Image("a/app:1"), two.Image("a/b/app:1")} {
		digests[hashOf(t, pushImage(t, ref)).String()] = ref
	}
	table := func(lines ...string) string {
		return "[[registry]]\n" + strings.NewReplacer("ONE", one.Addr, "TWO", two.Addr).Replace(strings.Join(lines, "\n")) + "\n"
	}
	var pinned string // what only the first has
	for d, ref := range digests {
		if ref == one.Image("app:1") {
			pinned = "logical.test/app@" + d
		}
	}
	const mirror = "[[registry.mirror]]"
	confs := map[string]string{
		"location":   table(`prefix="logical.test"`, `location="ONE"`, `insecure=true`),
		"path":       table(`prefix="logical.test/a"`, `location="ONE/x/a"`, `insecure=true`),
		"longest":    table(`prefix="logical.test"`, `location="ONE"`, `insecure=true`) + table(`prefix="logical.test/a"`, `location="TWO/a"`, `insecure=true`),
		"boundary":   table(`prefix="logical.test/ap"`, `location="ONE/a"`, `insecure=true`) + table(`prefix="logical.test"`, `location="TWO"`, `insecure=true`),
		"repository": table(`prefix="logical.test/app"`, `location="ONE/a/app"`, `insecure=true`) + table(`prefix="logical.test"`, `location="TWO"`, `insecure=true`),
		"wild":       table(`prefix="*.test"`, `location="TWO"`, `insecure=true`),
		"wilder":     table(`prefix="*.test"`, `location="TWO"`, `insecure=true`) + table(`prefix="logical.test"`, `location="ONE"`, `insecure=true`),
		"mirrors":    table(`prefix="logical.test"`, `location="TWO"`, `insecure=true`, mirror, `location="ONE"`, `insecure=true`),
		"with path":  table(`prefix="logical.test"`, `location="TWO"`, `insecure=true`, mirror, `location="ONE/x"`, `insecure=true`),
		"by digest":  table(`prefix="logical.test"`, `location="TWO"`, `insecure=true`, `mirror-by-digest-only=true`, mirror, `location="ONE"`, `insecure=true`),
		"tags only":  table(`prefix="logical.test"`, `location="TWO"`, `insecure=true`, mirror, `location="ONE"`, `insecure=true`, `pull-from-mirror="tag-only"`),
		"not tags":   table(`prefix="logical.test"`, `location="TWO"`, `insecure=true`, mirror, `location="ONE"`, `insecure=true`, `pull-from-mirror="digest-only"`),
		"blocked":    table(`prefix="logical.test"`, `location="TWO"`, `insecure=true`) + table(`location="logical.test/a"`, `blocked=true`),
		"port":       table(`prefix="logical.test:5000"`, `location="TWO"`, `insecure=true`),
		"old":        "[registries.block]\nregistries=['logical.test']\n",
	}
	for name, conf := range confs {
		t.Run(name, func(t *testing.T) {
			found := 0
			file := put(t, home, ".config/containers/registries.conf", conf)
			c := newTestClient(t, Options{RegistriesConf: file, dial: dialNoFurther})
			for _, image := range []string{
				"logical.test/app:1", "logical.test/a/app:1", "logical.test/a/b/app:1", "logical.test/apples:1", "logical.test:5000/app:1", pinned,
			} {
				want := "nothing"
				cmd := exec.Command(skopeo, "inspect", "--raw", "docker://"+image)
				cmd.Env = append(cmd.Environ(), "HTTPS_PROXY=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1", "NO_PROXY=127.0.0.1")
				if out, err := cmd.Output(); err == nil {
					want = digests[digest.FromBytes(out).String()]
				}
				got := "nothing"
				if images, err := c.Source().Images(t.Context(), image); err == nil {
					got = digests[images[0].Root.Digest.String()]
				}
				if got != want {
					t.Errorf("%s: %s, but skopeo has %s", image, got, want)
				}
				if want != "nothing" {
					found++
				}
			}
			if found == 0 && name != "old" {
				t.Error("skopeo has nothing at all")
			}
		})
	}
}
