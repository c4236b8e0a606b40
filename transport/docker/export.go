package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/opencontainers/go-digest"

	"bale/bundle/commit"
	"bale/bundle/fault"
	"bale/transport/archive"
)

// export is one export of an engine: the archive, the nameless file that it
// is in, and the manifests made for the images asked for, by image ID.
type export struct {
	spool     *os.File
	archive   *archive.Archive
	manifests map[digest.Digest][]byte
}

// export lets the engine export images. They go by ID, so that a tag that is
// moved meanwhile changes nothing.
func (e *engine) export(ctx context.Context, ids []digest.Digest) (*export, error) {
	f, err := commit.Scratch("")
	if err != nil {
		return nil, fmt.Errorf("docker engine %s: export: %w", e.host, err)
	}
	x := &export{spool: f, manifests: map[digest.Digest][]byte{}}
	if err := e.fill(ctx, x, ids); err != nil {
		_ = f.Close() // its content is of no use any more
		return nil, err
	}
	return x, nil
}

// told tells how much is read through it.
type told struct {
	r    io.Reader
	tell func(int64)
}

func (t told) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.tell(int64(n))
	return n, err
}

func (e *engine) fill(ctx context.Context, x *export, ids []digest.Digest) error {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = id.String()
	}
	r, err := e.api.ImageSave(ctx, names)
	if err != nil {
		return e.fail("export", err)
	}
	size, err := io.Copy(x.spool, told{r, e.exported})
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if errors.Is(err, syscall.ENOSPC) {
		return fault.WithHint(fmt.Errorf("docker engine %s: export: %w", e.host, err),
			"set TMPDIR to a folder with room for the images' unpacked layers")
	}
	if err != nil {
		return e.fail("export", err)
	}
	if x.archive, err = archive.Open(x.spool, size); err != nil {
		return fmt.Errorf("docker engine %s: export: %w", e.host, err)
	}
	for _, img := range x.archive.Images() {
		if x.manifests[img.ID], err = img.Manifest(ctx); err != nil {
			return fmt.Errorf("docker engine %s: export: %w", e.host, err)
		}
	}
	for _, id := range ids {
		if _, ok := x.manifests[id]; !ok {
			return fault.Damaged("docker engine %s: export: image %s was asked for and is not in it", e.host, id)
		}
	}
	return nil
}
