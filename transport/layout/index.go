package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
)

// annotationName is where containerd, Docker and nerdctl keep an image's full
// name.
const annotationName = "io.containerd.image.name"

// entry is one image in index.json.
type entry struct {
	desc v1.Descriptor // as it stands there
	ref  string        // its ref.name annotation
	full string        // its containerd name annotation
	name transport.Name
}

// nameless reports whether the entry has no name but its digest.
func (e *entry) nameless() bool { return e.ref == "" && e.full == "" }

func isImage(mediaType string) bool {
	return transport.IsIndex(mediaType) || transport.IsManifest(mediaType)
}

// parseIndex reads index.json and checks what image-spec (image-index.md)
// demands of it. Content of a kind that bale does not know is no error there.
func parseIndex(content []byte) (v1.Index, error) {
	var file struct {
		v1.Index
		Manifests descriptors `json:"manifests"` // in place of Index's own
	}
	if err := json.Unmarshal(content, &file); err != nil {
		if errors.Is(err, fault.ErrDamaged) || errors.Is(err, fault.ErrUnsupported) {
			return v1.Index{}, err
		}
		return v1.Index{}, fault.Damaged("not the JSON of an image index: %w", err)
	}
	idx := file.Index
	idx.Manifests = file.Manifests
	if idx.SchemaVersion != 2 {
		return v1.Index{}, fault.Unsupported("schema version %d is not 2", idx.SchemaVersion)
	}
	if idx.MediaType != "" && idx.MediaType != v1.MediaTypeImageIndex {
		return v1.Index{}, fault.Unsupported("media type %.200q is not that of an image index", idx.MediaType)
	}
	return idx, nil
}

// descriptors is a list that is read one by one and ends at the first entry
// that makes no sense: one that says nothing is two bytes in JSON and a
// hundred times that in memory.
type descriptors []v1.Descriptor

// UnmarshalJSON implements [json.Unmarshaler].
func (l *descriptors) UnmarshalJSON(b []byte) error {
	if *l != nil {
		return fault.Damaged("two lists of manifests")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if start, err := dec.Token(); err != nil || start == nil {
		return err // nil stands for null, which is no list
	} else if start != json.Delim('[') {
		return fault.Damaged("the manifests are no list")
	}
	*l = descriptors{}
	for i := 0; dec.More(); i++ {
		var d v1.Descriptor
		if err := dec.Decode(&d); err != nil {
			return err
		}
		if d.MediaType == "" {
			return fault.Damaged("entry %d has no media type", i)
		}
		if err := blob.Check(d.Digest, d.Size); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		if isImage(d.MediaType) && d.Size > transport.MaxManifest {
			return fault.Damaged("entry %d: a manifest of %d bytes is over the limit of %d", i, d.Size, transport.MaxManifest)
		}
		*l = append(*l, d)
	}
	return nil
}

// newIndex is the index of an empty layout.
func newIndex() v1.Index {
	return v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{}}
}

// images returns the entries that are images, in order. Those that have no more
// than a tag are in the repository local.
func images(local string, idx v1.Index) []entry {
	var entries []entry
	for _, d := range idx.Manifests {
		if isImage(d.MediaType) {
			entries = append(entries, entry{
				desc: d, ref: d.Annotations[v1.AnnotationRefName], full: d.Annotations[annotationName], name: nameOf(local, d),
			})
		}
	}
	return entries
}

// image returns what other places are told of the entry: what is of use inside
// this layout only, such as its annotations, is left out.
func (e entry) image() transport.Image {
	return transport.Image{Name: e.name, Root: v1.Descriptor{
		MediaType: e.desc.MediaType, Digest: e.desc.Digest, Size: e.desc.Size,
		Platform: e.desc.Platform, ArtifactType: e.desc.ArtifactType,
	}}
}
