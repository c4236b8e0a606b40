//go:build unix

package layout_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"bale/bundle/fault"
	"bale/transport/conformance"
)

// A pipe that nobody writes to must not make bale wait.
func TestPipeInsteadOfLayer(t *testing.T) {
	set := conformance.New(t, team).Only("plain")
	g := set.Graph(t, set.Images...)
	dir := filepath.Join(t.TempDir(), "images")
	fill(t, dir, set)
	file := filepath.Join(dir, "blobs", "sha256", g.Layers[0].Digest.Encoded())
	must(t, os.Remove(file))
	must(t, syscall.Mkfifo(file, 0o644))
	if err := readAll(t.Context(), g, dir); !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("%v, want an ErrDamaged", err)
	}
}
