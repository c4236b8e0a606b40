package bundle

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle/deflate"
)

// A full disk ends a save with its reason: a bundle must not depend on what
// else is on the disk.
func TestFullScratchFolder(t *testing.T) {
	skip := t.Skipf
	if os.Getenv("BALE_TEST_REQUIRE") == "all" {
		skip = t.Fatalf
	}
	dir := t.TempDir()
	if os.Geteuid() != 0 {
		skip("missing part: root for mounting a file system")
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		skip("missing part: the right to mount a file system: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil { // busy if a file is still open
			t.Error(err)
		}
	}()
	p := &Preparer{
		Scratch: dir, memory: 100, Recipes: openStore(t),
		analyze: func(_ context.Context, _ io.Reader, size int64, corrections io.Writer) (*deflate.Recipe, error) {
			_, err := corrections.Write(noise(1, int(size)))
			return nil, err
		},
	}
	data := gz(t, 6, layer(t))
	d, size := digest.FromBytes(data), int64(len(data))
	if r, err := p.Prepare(context.Background(), d, size, opener(data)); r != nil || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v %v", r, err)
	}
	if _, known := p.Recipes.Get(context.Background(), d, size, ""); known {
		t.Error("remembered")
	}
}
