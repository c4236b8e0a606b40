package layout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// traces is what a run has put into the file system.
type traces struct {
	folders []string        // the layout's folder and those above it, outermost first
	marker  bool            // the file oci-layout
	inside  []string        // folders in the layout, outermost first
	blobs   []v1.Descriptor // blobs that were not there before
}

// remove takes away what no image of the layout needs. Folders that hold
// something else stay.
func (t *traces) remove(f *folder) error {
	if len(t.blobs) > 0 {
		// Another run may have committed images that need blobs of this one.
		needed, err := f.needed()
		if err != nil {
			return fmt.Errorf("oci:%s: what this run wrote stays, since what is in use cannot be told: %w", f.dir, err)
		}
		for _, d := range t.blobs {
			if needed[d.Digest] {
				continue
			}
			if err := f.root.Remove(blobPath(d)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("oci:%s: clean up: %w", f.dir, err)
			}
		}
	}
	for _, dir := range slices.Backward(t.inside) {
		_ = f.root.Remove(dir) // fails if it is not empty, as it should
	}
	if !t.marker {
		return nil
	}
	names, err := f.list()
	if err != nil {
		return err
	}
	if !slices.Equal(names, []string{v1.ImageLayoutFile}) {
		return nil
	}
	if err := f.root.Remove(v1.ImageLayoutFile); err != nil {
		return fmt.Errorf("oci:%s: clean up: %w", f.dir, err)
	}
	return nil
}

// removeFolders removes the folders that the run made, if they are empty.
func (t *traces) removeFolders() {
	for _, dir := range slices.Backward(t.folders) {
		_ = os.Remove(dir) // fails if it is not empty, as it should
	}
}

// needed returns every blob that index.json reaches. Content that is not there
// needs nothing; a manifest that cannot be understood is an error.
func (r *reader) needed() (map[digest.Digest]bool, error) {
	needed := make(map[digest.Digest]bool)
	idx, err := r.readIndex()
	if errors.Is(err, fault.ErrMissing) {
		return needed, nil
	}
	if err != nil {
		return nil, err
	}
	return needed, r.reach(needed, idx.Manifests, 0)
}

// reach adds to needed what descriptors lead to.
func (r *reader) reach(needed map[digest.Digest]bool, ds []v1.Descriptor, depth int) error {
	if depth > transport.MaxDepth {
		return fault.Damaged("indexes are nested deeper than %d", transport.MaxDepth)
	}
	for _, d := range ds {
		if needed[d.Digest] {
			continue
		}
		if len(needed) >= transport.MaxNodes {
			return fault.Damaged("more than %d blobs", transport.MaxNodes)
		}
		needed[d.Digest] = true
		if !isImage(d.MediaType) {
			continue
		}
		// Cleaning up goes on when the run's own context has ended.
		content, err := r.manifest(context.Background(), d)
		if errors.Is(err, fault.ErrMissing) {
			continue
		}
		if err != nil {
			return err
		}
		m, err := transport.ParseManifest(d.MediaType, content)
		if err != nil {
			return fmt.Errorf("manifest %s: %w", d.Digest, err)
		}
		below := slices.Concat(m.Manifests, m.Layers)
		if m.Config != nil {
			below = append(below, *m.Config)
		}
		if err := r.reach(needed, below, depth+1); err != nil {
			return err
		}
	}
	return nil
}
