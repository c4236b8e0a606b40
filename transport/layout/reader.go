package layout

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
)

// files is what a layout's files are in: a folder or a tar.
type files interface {
	// open opens a regular file by its path in the layout; what says what it is,
	// for errors. One that is not there is a [fault.ErrMissing], one that leads
	// elsewhere or is no file a [fault.ErrDamaged].
	open(name, what string) (io.ReadCloser, int64, error)
	close() error
}

// reader reads a layout, wherever it lies.
type reader struct {
	where string // what errors call it, as the user wrote it: oci:DIR
	local string // repository of images that have no more than a tag
	files files
}

// blobPath is where a blob is in the layout. The digest must be valid.
func blobPath(d v1.Descriptor) string {
	return path.Join(v1.ImageBlobsDir, d.Digest.Algorithm().String(), d.Digest.Encoded())
}

// openBlob opens a blob, whose size must be the descriptor's. Its digest is
// not checked.
func (r *reader) openBlob(d v1.Descriptor) (io.ReadCloser, error) {
	if err := blob.Check(d.Digest, d.Size); err != nil {
		return nil, fmt.Errorf("%s: %w", r.where, err)
	}
	what := "blob " + d.Digest.String()
	file, size, err := r.files.open(blobPath(d), what)
	if err != nil {
		return nil, err
	}
	if size != d.Size {
		_ = file.Close()
		return nil, fault.Damaged("%s: %s has %d bytes, not %d", r.where, what, size, d.Size)
	}
	return file, nil
}

// manifest reads a manifest or index and verifies it.
func (r *reader) manifest(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	file, err := r.openBlob(d)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	content, err := blob.ReadAll(blob.WithContext(ctx, file), d.Digest, d.Size, transport.MaxManifest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.where, err)
	}
	return content, nil
}

// readSmall reads one of the layout's own files.
func (r *reader) readSmall(name string, limit int64) ([]byte, error) {
	file, _, err := r.files.open(name, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.where, err)
	}
	if int64(len(content)) > limit {
		return nil, fault.Damaged("%s: %s is longer than %d bytes", r.where, name, limit)
	}
	return content, nil
}

// checkMarker reads the file that says that this is a layout, and of
// which version.
func (r *reader) checkMarker() error {
	content, err := r.readSmall(v1.ImageLayoutFile, maxMarker)
	if err != nil {
		return err
	}
	var m v1.ImageLayout
	if err := json.Unmarshal(content, &m); err != nil {
		return fault.Damaged("%s: %s: %w", r.where, v1.ImageLayoutFile, err)
	}
	if m.Version != v1.ImageLayoutVersion {
		return fault.Unsupported("%s: image layout version %.200q is not %s, the only one known", r.where, m.Version, v1.ImageLayoutVersion)
	}
	return nil
}

// readIndex reads and checks index.json.
func (r *reader) readIndex() (v1.Index, error) {
	content, err := r.readSmall(v1.ImageIndexFile, maxIndex)
	if err != nil {
		return v1.Index{}, err
	}
	idx, err := parseIndex(content)
	if err != nil {
		return v1.Index{}, fmt.Errorf("%s: %s: %w", r.where, v1.ImageIndexFile, err)
	}
	return idx, nil
}
