package parts

import (
	"path/filepath"
	"testing"
)

// DockerCurrent starts a current engine that keeps images in containerd's
// store. It stops with the test, and its containerd with it.
func DockerCurrent(t testing.TB) *DockerPart {
	t.Helper()
	needDockerCurrent(t)
	return own(t, startDockerCurrent(t, `{"features": {"containerd-snapshotter": true}}`))
}

// DockerCurrentClassic starts a current engine that keeps images in the store
// that older ones have.
func DockerCurrentClassic(t testing.TB) *DockerPart {
	t.Helper()
	needDockerCurrent(t)
	return own(t, startDockerCurrent(t, `{"features": {"containerd-snapshotter": false}, "storage-driver": "overlay2"}`))
}

// SharedDockerCurrent is [SharedDocker] for [DockerCurrent].
func SharedDockerCurrent(t testing.TB) *DockerPart {
	t.Helper()
	needDockerCurrent(t)
	return sharedDockerCurrent.get(t, startDockerCurrent(t, `{"features": {"containerd-snapshotter": true}}`))
}

func needDockerCurrent(t testing.TB) {
	t.Helper()
	need(t, "dockerd-current", "dockerd-current", "containerd-current", "runc", "docker")
}

func startDockerCurrent(t testing.TB, config string) func() (*DockerPart, error) {
	t.Helper()
	dockerd, containerd := Tool(t, "dockerd-current"), Tool(t, "containerd-current")
	return func() (*DockerPart, error) {
		return startEngine(func(d *DockerPart) (err error) {
			name, err := d.config(config)
			if err != nil {
				return err
			}
			socket := filepath.Join(d.dir, "cd.sock")
			d.below, err = startDaemon(d.dir, d.env(), containerd, "--root", filepath.Join(d.dir, "cd-root"),
				"--state", filepath.Join(d.dir, "cd-state"), "--address", socket)
			if err != nil {
				return err
			}
			// It waits for its containerd.
			return d.start(dockerd, append(d.dockerd(name), "--ip6tables=false", "--containerd", socket)...)
		})
	}
}
