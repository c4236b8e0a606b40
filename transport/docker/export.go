package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/moby/moby/client"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

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
	f, size, err := e.save(ctx, ids)
	if err != nil {
		return nil, err
	}
	x := &export{spool: f, manifests: map[digest.Digest][]byte{}}
	if err := x.open(ctx, size, ids); err != nil {
		_ = f.Close() // its content is of no use any more
		return nil, fmt.Errorf("%s: export: %w", e, err)
	}
	return x, nil
}

func (x *export) open(ctx context.Context, size int64, ids []digest.Digest) (err error) {
	if x.archive, err = archive.Open(x.spool, size); err != nil {
		return err
	}
	for _, img := range x.archive.Images() {
		if x.manifests[img.ID], err = img.Manifest(ctx); err != nil {
			return err
		}
	}
	for _, id := range ids {
		if _, ok := x.manifests[id]; !ok {
			return fault.Damaged("image %s was asked for and is not in it", id)
		}
	}
	return nil
}

// save lets the engine export images, or no more than some platforms of them, to
// a nameless file.
func (e *engine) save(ctx context.Context, ids []digest.Digest, platforms ...v1.Platform) (f *os.File, size int64, err error) {
	f, err = commit.Scratch("")
	if err != nil {
		return nil, 0, fmt.Errorf("%s: export: %w", e, err)
	}
	if size, err = e.fill(ctx, f, ids, platforms); err != nil {
		_ = f.Close() // its content is of no use any more
		return nil, 0, err
	}
	return f, size, nil
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

func (e *engine) fill(ctx context.Context, f *os.File, ids []digest.Digest, platforms []v1.Platform) (int64, error) {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = id.String()
	}
	var opts []client.ImageSaveOption
	if len(platforms) > 0 {
		opts = append(opts, client.ImageSaveWithPlatforms(platforms...))
	}
	r, err := e.api.ImageSave(ctx, names, opts...)
	if err != nil {
		return 0, e.fail("export", err)
	}
	size, err := io.Copy(f, told{r, e.exported})
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if errors.Is(err, syscall.ENOSPC) {
		return 0, fault.WithHint(fmt.Errorf("%s: export: %w", e, err),
			"set TMPDIR to a folder with room for what the images have, unpacked if the engine unpacks them")
	}
	if err != nil {
		return 0, e.fail("export", err)
	}
	return size, nil
}
