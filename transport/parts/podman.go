package parts

import (
	"path/filepath"
	"testing"
)

// Podman starts a Podman that answers Docker's API, with a storage of its own.
// It stops with the test.
func Podman(t testing.TB) *DockerPart {
	t.Helper()
	needPodman(t)
	return own(t, startPodman)
}

// SharedPodman is [SharedDocker] for [Podman].
func SharedPodman(t testing.TB) *DockerPart {
	t.Helper()
	needPodman(t)
	return sharedPodman.get(t, startPodman)
}

func needPodman(t testing.TB) {
	t.Helper()
	need(t, "podman", "podman", "runc", "docker")
}

func startPodman() (*DockerPart, error) {
	return startEngine(func(d *DockerPart) error {
		return d.start("podman", "--root", filepath.Join(d.dir, "root"), "--runroot", filepath.Join(d.dir, "run"),
			"--tmpdir", filepath.Join(d.dir, "tmp"), "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "none",
			"system", "service", "--time=0", d.Host)
	})
}
