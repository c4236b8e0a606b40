package main

import (
	"path/filepath"
	"strings"
	"testing"

	"bale/transport/parts"
)

// One bundle goes to every kind of place, is proved to be there, and comes back
// from there into a registry: with the same digests where a place keeps
// manifests, and the same image ids everywhere.
func TestEveryPlaceEndToEnd(t *testing.T) {
	here := parts.Registry(t)
	pushImages(t, here.Addr)
	key, pub := testdata(t, "keys", "ed25519.pem"), testdata(t, "keys", "ed25519.pub")
	bundle := filepath.Join(t.TempDir(), "images.bale")
	names := []string{here.Image("library/busybox:1.35"), here.Image("library/tools:1.0")}
	mustRun(t, append([]string{"save", "-o", bundle, "--key", key}, names...)...)
	crane := parts.Tool(t, "crane")
	digest := func(image string) string { return tool(t, crane, "digest", "--insecure", image) }
	config := func(image string) string {
		return tool(t, crane, "config", "--insecure", "--platform", "linux/amd64", image)
	}
	dir := t.TempDir()
	for _, c := range []struct {
		name  string
		place string
		flags func(t *testing.T) []string
		keeps bool // manifests, and all platforms
	}{
		{"Docker with containerd's store", "docker-daemon:", func(t *testing.T) []string { return []string{"--host", parts.DockerCurrent(t).Host} }, true},
		{"Docker with the classic store", "docker-daemon:", func(t *testing.T) []string { return []string{"--host", parts.SharedDocker(t).Host} }, false},
		{"Podman", "containers-storage:", func(t *testing.T) []string { return []string{"--host", parts.Podman(t).Host} }, false},
		{"containerd", "containerd:k8s.io/", func(t *testing.T) []string { return []string{"--containerd-address", parts.Containerd(t).Address} }, true},
		{"layout", "oci:" + filepath.Join(dir, "layout") + ":", nil, true},
		{"oci-archive", "oci-archive:" + filepath.Join(dir, "oci.tar") + ":", nil, true},
		{"docker-archive", "docker-archive:" + filepath.Join(dir, "docker.tar") + ":", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var flags []string
			if c.flags != nil {
				flags = c.flags(t)
			}
			far := parts.Registry(t)
			place := strings.TrimRight(c.place, "/:")
			if c.flags != nil && !strings.Contains(place, ":") {
				place += ":" // an engine
			}
			run := func(args ...string) { t.Helper(); mustRun(t, append(args, flags...)...) }
			run("load", "-i", bundle, "--key", pub, "--to", place)
			run("verify", "--key", pub, "--at", place, bundle)
			if !strings.Contains(c.place, "archive") {
				// Once more is no work.
				run("load", "-i", bundle, "--key", pub, "--to", place)
			}
			for n, name := range names {
				to := far.Image([]string{"one:1", "two:2"}[n])
				run("copy", c.place+name, "docker://"+to)
				if c.keeps && digest(to) != digest(name) {
					t.Errorf("%s comes back as %s, was %s", name, digest(to), digest(name))
				}
				if got, want := config(to), config(name); got != want {
					t.Errorf("%s comes back with config %s, was %s", name, got, want)
				}
			}
			o := inProcess(testContext, append([]string{"copy", c.place + here.Image("library/nosuch:1"), "docker://" + far.Image("never:1")}, flags...)...)
			if wrong := o.refusal(exitIncomplete); wrong != "" {
				t.Errorf("what is not there: exit %d: %s\n%s", o.code, wrong, o.errout)
			}
		})
	}
}
