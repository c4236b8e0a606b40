package archive

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
	"bale/transport/savelist"
	"bale/transport/tarfile"
)

// Archive is an indexed docker-archive. Its methods and those of its images
// may be called from several goroutines at once.
type Archive struct {
	where  string
	tar    *tarfile.Tar
	images []*Image

	mu     sync.Mutex
	layers map[int64]layer // by offset: what was found out by hashing
	blobs  map[digest.Digest]tarfile.File
}

// Open indexes the docker-archive of size bytes in r, which must stay readable
// as long as the archive is used. It reads headers, manifest.json and configs;
// layers are read by [Image.Manifest] and [Archive.Blob]. Malformed input is a
// [fault.ErrDamaged]; a tar of sparse files is a [fault.ErrUnsupported].
func Open(r io.ReaderAt, size int64) (*Archive, error) {
	const where = "docker-archive"
	t, err := tarfile.Open(context.Background(), r, size, where, savelist.Name)
	if err != nil {
		return nil, err
	}
	return newArchive(t, where)
}

// newArchive reads what the tar holds; where is what errors call it.
func newArchive(t *tarfile.Tar, where string) (*Archive, error) {
	a := &Archive{where: where, tar: t, layers: map[int64]layer{}, blobs: map[digest.Digest]tarfile.File{}}
	items, err := a.list()
	if err != nil {
		return nil, err
	}
	configs := map[int64]*config{} // images may share one
	for _, it := range items {
		m, err := a.image(it, configs)
		if err != nil {
			return nil, err
		}
		a.images = append(a.images, m)
	}
	return a, nil
}

// Images returns the images in the order of manifest.json.
func (a *Archive) Images() []*Image { return a.images }

// Blob returns the content of a config, or of a layer whose image's
// [Image.Manifest] was called, and whether there is such a blob.
func (a *Archive) Blob(d digest.Digest) (*io.SectionReader, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f, ok := a.blobs[d]
	if !ok {
		return nil, false
	}
	return a.tar.Section(f), true
}

// list reads manifest.json.
func (a *Archive) list() ([]Item, error) {
	if !a.tar.Has(savelist.Name) {
		return nil, fault.WithHint(fault.Damaged("%s: no %s in it", a.where, savelist.Name),
			"docker save writes one; an archive from before Docker 1.10 must be loaded and saved again")
	}
	f, err := a.file(savelist.Name)
	if err != nil {
		return nil, err
	}
	b, err := a.read(f, savelist.Name, savelist.MaxSize)
	if err != nil {
		return nil, err
	}
	var items []Item
	if err := json.Unmarshal(b, &items); err != nil {
		return nil, fault.Damaged("%s: %s: %w", a.where, savelist.Name, err)
	}
	if items == nil {
		return nil, fault.Damaged("%s: %s is null", a.where, savelist.Name)
	}
	return items, nil
}

// file finds the content behind a name from manifest.json, through links.
func (a *Archive) file(name string) (tarfile.File, error) {
	f, ok, err := a.tar.Find(name)
	if err == nil && !ok {
		err = fault.Damaged("%s: entry %q is not there", a.where, name)
	}
	return f, err
}

// read reads a whole file of at most limit bytes.
func (a *Archive) read(f tarfile.File, name string, limit int64) ([]byte, error) {
	if f.Size > limit {
		return nil, fault.Damaged("%s: %q has %d bytes, over the limit of %d", a.where, name, f.Size, limit)
	}
	b := make([]byte, f.Size)
	if _, err := io.ReadFull(a.tar.Section(f), b); err != nil {
		return nil, fmt.Errorf("%s: read %q: %w", a.where, name, err)
	}
	return b, nil
}
