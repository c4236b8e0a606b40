// Package parts starts the real parts that bale's tests run against: a
// distribution registry, a Docker engine, cosign and others, installed by
// .ci/setup. It is for tests only.
//
// A test whose part is missing is skipped and the skip names the part; with
// BALE_TEST_REQUIRE=all in the environment, as in CI, it fails instead.
package parts

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Tool returns the path of a program from PATH or from .ci/setup's cache.
func Tool(t testing.TB, name string) string {
	t.Helper()
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	if p := filepath.Join(cacheDir(), "bin", name); isFile(p) {
		return p
	}
	Missing(t, name)
	return ""
}

// Missing ends the test because a part is not there: a skip, or a failure
// where BALE_TEST_REQUIRE=all demands every part.
func Missing(t testing.TB, part string) {
	t.Helper()
	if os.Getenv("BALE_TEST_REQUIRE") == "all" {
		t.Fatalf("missing part: %s (run .ci/setup)", part)
	}
	t.Skipf("missing part: %s (run .ci/setup)", part)
}

// cacheDir is where .ci/setup keeps the programs it builds.
func cacheDir() string {
	if d := os.Getenv("BALE_CI_CACHE"); d != "" {
		return d
	}
	d, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(d, "bale-ci")
}

func isFile(p string) bool {
	fi, err := os.Stat(p)
	return err == nil && fi.Mode().IsRegular()
}

// FreeAddr returns a loopback address that nothing listens on just now.
func FreeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
