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
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/commit"
	"bale/bundle/fault"
)

// checkWritable reports whether an existing folder may be written to: it is
// empty, or a layout that makes sense.
func (f *folder) checkWritable() error {
	if err := f.checkMarker(); errors.Is(err, fault.ErrMissing) {
		names, err := f.list()
		if err != nil {
			return err
		}
		if len(names) > 0 {
			return fault.WithHint(fault.Usage("oci:%s: the folder is not empty and no OCI layout: it has no file %s", f.dir, v1.ImageLayoutFile),
				"name a folder that does not exist yet")
		}
		return nil
	} else if err != nil {
		return err
	}
	// A run that was killed has left a layout without index.json.
	if _, err := f.readIndex(); err != nil && !errors.Is(err, fault.ErrMissing) {
		return err
	}
	return nil
}

// list returns the names of what is in the folder itself.
func (f *folder) list() ([]string, error) {
	d, err := f.root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("oci:%s: %w", f.dir, err)
	}
	defer func() { _ = d.Close() }()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("oci:%s: %w", f.dir, err)
	}
	return names, nil
}

// prepare makes what a blob needs to be written: the folder, the file that
// says that it is a layout, and the folder for blobs of an algorithm.
func (s *sink) prepare(ctx context.Context, a digest.Algorithm) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("oci:%s: %w", s.dir, fs.ErrClosed)
	}
	if s.ready[a] {
		return nil
	}
	if s.f == nil {
		if err := s.makeFolder(); err != nil {
			return err
		}
	}
	if err := s.makeLayout(ctx); err != nil {
		return err
	}
	for _, dir := range []string{v1.ImageBlobsDir, path.Join(v1.ImageBlobsDir, a.String())} {
		if err := s.makeInside(dir); err != nil {
			return err
		}
	}
	s.ready[a] = true
	return nil
}

// makeFolder makes the layout's folder and those above it that are missing.
func (s *sink) makeFolder() error {
	var missing []string
	for d := filepath.Clean(s.dir); ; d = filepath.Dir(d) {
		_, err := os.Stat(d)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || d == filepath.Dir(d) {
			return fmt.Errorf("oci:%s: %w", s.dir, err)
		}
		missing = append(missing, d)
	}
	for _, d := range slices.Backward(missing) {
		err := os.Mkdir(d, 0o755)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("oci:%s: %w", s.dir, err)
		}
		if err == nil {
			s.traces.folders = append(s.traces.folders, d)
		}
	}
	f, err := openFolder(s.dir)
	s.f = f
	return err
}

// makeLayout makes the folder a layout. This comes before all else, so that
// what a killed run leaves is known for what it is.
func (s *sink) makeLayout(ctx context.Context) error {
	err := s.f.checkMarker()
	if !errors.Is(err, fault.ErrMissing) {
		return err
	}
	content, err := json.Marshal(v1.ImageLayout{Version: v1.ImageLayoutVersion})
	if err != nil {
		return err
	}
	err = commit.WriteFile(ctx, filepath.Join(s.dir, v1.ImageLayoutFile), content)
	if errors.Is(err, fs.ErrExist) {
		return s.f.checkMarker() // another run was quicker
	}
	s.traces.marker = err == nil
	return err
}

// makeInside makes a folder inside the layout; one that is there must not lead
// out of it.
func (s *sink) makeInside(name string) error {
	err := s.f.root.Mkdir(name, 0o755)
	if err == nil {
		s.traces.inside = append(s.traces.inside, name)
		return nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return s.f.explain(name, err)
	}
	fi, err := s.f.root.Stat(name)
	if err != nil {
		return s.f.explain(name, err)
	}
	if !fi.IsDir() {
		return fault.Damaged("oci:%s: %s is not a folder", s.dir, name)
	}
	return nil
}

// put writes a blob's content and publishes it if it is what d says.
func (s *sink) put(ctx context.Context, d v1.Descriptor, r io.Reader) error {
	name := blobPath(d)
	_, err := s.f.root.Lstat(name)
	fresh := errors.Is(err, fs.ErrNotExist)
	file, err := commit.Create(filepath.Join(s.dir, filepath.FromSlash(name)), commit.Overwrite(), commit.Expect(d.Digest, d.Size))
	if err != nil {
		return fmt.Errorf("oci:%s: %w", s.dir, err)
	}
	defer file.Discard()
	// The opener's content is verified, but a layout is read by others for
	// years: what is published under a digest is hashed here, too.
	content := io.LimitReader(r, d.Size+1) // one more shows that there is too much
	if _, err := io.Copy(file, content); err != nil {
		return fmt.Errorf("write blob %s to oci:%s: %w", d.Digest, s.dir, err)
	}
	if fresh {
		s.mu.Lock()
		s.traces.blobs = append(s.traces.blobs, d)
		s.mu.Unlock()
	}
	if err := file.Commit(ctx); err != nil {
		return fmt.Errorf("write blob %s to oci:%s: %w", d.Digest, s.dir, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.good[d.Digest] = d.Size
	return nil
}
