// Package savelist is manifest.json: the list of images that docker save puts
// into a tar, and by which docker load finds them there.
package savelist

import (
	"encoding/json"

	"bale/bundle/fault"
)

const (
	// Name is that of the list's entry in the tar.
	Name = "manifest.json"
	// MaxSize is the greatest size of the list in bytes.
	MaxSize = 32 << 20
)

// Item is one image in the list.
type Item struct {
	Config   string   // name of the config's entry
	RepoTags []string // "repo:tag", host and all or as Docker's users write it
	Layers   []string // names of the layers' entries, the lowest first
}

// Marshal writes a list.
func Marshal(items []Item) ([]byte, error) {
	if items == nil {
		items = []Item{} // engines refuse null
	}
	b, err := json.Marshal(items)
	if err != nil {
		return nil, err
	}
	if len(b) > MaxSize {
		return nil, fault.Unsupported("%s would have %d bytes, over the limit of %d", Name, len(b), MaxSize)
	}
	return b, nil
}
