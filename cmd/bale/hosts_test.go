package main

import (
	"path/filepath"
	"strings"
	"testing"

	"bale/transport/parts"
)

// --host is the address of one engine. Where two are meant, nothing goes to the
// wrong one.
func TestHostOfTwoEngines(t *testing.T) {
	docker, podman := parts.SharedDocker(t), parts.SharedPodman(t)
	t.Setenv("CONTAINER_HOST", podman.Host)
	layout := "oci:" + testdata(t, "images", "tools") + ":docker.io/library/tools:1.0"
	const name = "localhost/two-engines:1"
	mustRun(t, "copy", "--host", docker.Host, layout, "docker-daemon:"+name)
	for _, args := range [][]string{
		{"copy", "--host", docker.Host, "docker-daemon:" + name, "containers-storage:"},
		{"copy", "--host", docker.Host, "docker-daemon:" + name, "docker-daemon:localhost/two-engines:2"},
		{"save", "-o", filepath.Join(t.TempDir(), "b.bale"), "--unsigned", "--host", docker.Host, "docker-daemon:" + name, "containers-storage:" + name},
	} {
		o := inProcess(testContext, args...)
		if wrong := o.refusal(exitUsage); wrong != "" {
			t.Errorf("%s: exit %d: %s\n%s", strings.Join(args, " "), o.code, wrong, o.errout)
		}
	}
	has := func(host string) bool {
		return inProcess(testContext, "copy", "--host", host, "docker-daemon:"+name, "oci:"+filepath.Join(t.TempDir(), "l")).code == exitDone
	}
	if has(podman.Host) {
		t.Error("Podman has the image too early")
	}
	mustRun(t, "copy", "--src-host", docker.Host, "docker-daemon:"+name, "containers-storage:")
	if !has(podman.Host) {
		t.Error("Podman does not have the image")
	}
	mustRun(t, "copy", "--src-host", podman.Host, "--host", docker.Host, "containers-storage:"+name, "docker-daemon:localhost/two-engines:2")
}
