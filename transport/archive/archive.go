package archive

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
)

// Archive is an indexed docker-archive. Its methods and those of its images
// may be called from several goroutines at once.
type Archive struct {
	r       io.ReaderAt
	entries table
	images  []*Image

	mu     sync.Mutex
	layers map[int64]layer // by offset: what was found out by hashing
	blobs  map[digest.Digest]entry
}

// Open indexes the docker-archive of size bytes in r, which must stay readable
// as long as the archive is used. It reads headers, manifest.json and configs;
// layers are read by [Image.Manifest] and [Archive.Blob]. Malformed input is a
// [fault.ErrDamaged]; a tar of sparse files is a [fault.ErrUnsupported].
func Open(r io.ReaderAt, size int64) (*Archive, error) {
	entries, err := scan(r, size)
	if err != nil {
		return nil, err
	}
	a := &Archive{r: r, entries: entries, layers: map[int64]layer{}, blobs: map[digest.Digest]entry{}}
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
	e, ok := a.blobs[d]
	if !ok {
		return nil, false
	}
	return a.section(e), true
}

func (a *Archive) section(e entry) *io.SectionReader { return io.NewSectionReader(a.r, e.off, e.size) }

// list reads manifest.json.
func (a *Archive) list() ([]Item, error) {
	if _, ok := a.entries[listName]; !ok {
		return nil, fault.WithHint(fault.Damaged("docker-archive: no %s in it", listName),
			"docker save writes one; an archive from before Docker 1.10 must be loaded and saved again")
	}
	e, err := a.entries.file(listName)
	if err != nil {
		return nil, err
	}
	b, err := a.read(e, listName, MaxList)
	if err != nil {
		return nil, err
	}
	var items []Item
	if err := json.Unmarshal(b, &items); err != nil {
		return nil, fault.Damaged("docker-archive: %s: %w", listName, err)
	}
	if items == nil {
		return nil, fault.Damaged("docker-archive: %s is null", listName)
	}
	return items, nil
}

// read reads a whole entry of at most limit bytes.
func (a *Archive) read(e entry, name string, limit int64) ([]byte, error) {
	if e.size > limit {
		return nil, fault.Damaged("docker-archive: %q has %d bytes, over the limit of %d", name, e.size, limit)
	}
	b := make([]byte, e.size)
	if _, err := io.ReadFull(a.section(e), b); err != nil {
		return nil, fmt.Errorf("docker-archive: read %q: %w", name, err)
	}
	return b, nil
}
