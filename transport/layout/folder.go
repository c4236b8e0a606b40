package layout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
)

// folder is a layout's folder, which nothing that is read leads out of.
type folder struct {
	dir  string // as the user wrote it
	root *os.Root
}

func openFolder(dir string) (*folder, error) {
	fi, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.Missing("oci:%s: there is no such folder", dir)
	case err != nil:
		return nil, fmt.Errorf("oci:%s: %w", dir, err)
	case !fi.IsDir():
		return nil, fault.WithHint(fault.Usage("oci:%s: not a folder", dir),
			"an OCI layout in one file is written oci-archive:FILE")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("oci:%s: %w", dir, err)
	}
	return &folder{dir: dir, root: root}, nil
}

func (f *folder) close() error { return f.root.Close() }

// blobPath is where a blob is in the layout. The digest must be valid.
func blobPath(d v1.Descriptor) string {
	return path.Join(v1.ImageBlobsDir, d.Digest.Algorithm().String(), d.Digest.Encoded())
}

// open opens a regular file of the layout; what says what it is, for errors.
func (f *folder) open(name, what string) (*os.File, int64, error) {
	// Looked at before it is opened: opening a pipe would wait for a writer.
	fi, err := f.root.Stat(name)
	if err != nil {
		return nil, 0, f.explain(what, err)
	}
	if !fi.Mode().IsRegular() {
		return nil, 0, fault.Damaged("oci:%s: %s is not a regular file", f.dir, what)
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, 0, f.explain(what, err)
	}
	return file, fi.Size(), nil
}

// explain turns an error of the file system into a fault.
func (f *folder) explain(what string, err error) error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.Missing("oci:%s: %s is not there", f.dir, what)
	case errors.As(err, &errno):
		return fmt.Errorf("oci:%s: %s: %w", f.dir, what, err)
	}
	// What os.Root refuses is no error of the system's.
	return fault.Damaged("oci:%s: %s leads out of the folder: %w", f.dir, what, err)
}

// openBlob opens a blob, whose size must be the descriptor's. Its digest is
// not checked.
func (f *folder) openBlob(d v1.Descriptor) (*os.File, error) {
	if err := blob.Check(d.Digest, d.Size); err != nil {
		return nil, fmt.Errorf("oci:%s: %w", f.dir, err)
	}
	what := "blob " + d.Digest.String()
	file, size, err := f.open(blobPath(d), what)
	if err != nil {
		return nil, err
	}
	if size != d.Size {
		_ = file.Close()
		return nil, fault.Damaged("oci:%s: %s has %d bytes, not %d", f.dir, what, size, d.Size)
	}
	return file, nil
}

// manifest reads a manifest or index and verifies it.
func (f *folder) manifest(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	file, err := f.openBlob(d)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	content, err := blob.ReadAll(contextReader{ctx, file}, d.Digest, d.Size, transport.MaxManifest)
	if err != nil {
		return nil, fmt.Errorf("oci:%s: %w", f.dir, err)
	}
	return content, nil
}

// readSmall reads one of the layout's own files.
func (f *folder) readSmall(name string, limit int64) ([]byte, error) {
	file, _, err := f.open(name, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("oci:%s: %w", f.dir, err)
	}
	if int64(len(content)) > limit {
		return nil, fault.Damaged("oci:%s: %s is longer than %d bytes", f.dir, name, limit)
	}
	return content, nil
}

// checkMarker reads the file that says that the folder is a layout, and of
// which version.
func (f *folder) checkMarker() error {
	content, err := f.readSmall(v1.ImageLayoutFile, maxMarker)
	if err != nil {
		return err
	}
	var m v1.ImageLayout
	if err := json.Unmarshal(content, &m); err != nil {
		return fault.Damaged("oci:%s: %s: %w", f.dir, v1.ImageLayoutFile, err)
	}
	if m.Version != v1.ImageLayoutVersion {
		return fault.Unsupported("oci:%s: image layout version %.200q is not %s, the only one known", f.dir, m.Version, v1.ImageLayoutVersion)
	}
	return nil
}

// contextReader ends with the context's error once the context has ended.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
