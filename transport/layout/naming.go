package layout

import (
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// naming is how a sink calls the images that are written to it.
type naming struct {
	where  string // what errors call the place: oci:DIR
	local  string // repository of images that have no more than a tag
	ref    string // what the one image is called, if hasRef
	hasRef bool

	admitting sync.Mutex
	only      *transport.Image // the image that ref is for
}

// admit refuses a second image if the user gave a name for one.
func (n *naming) admit(images ...transport.Image) error {
	if !n.hasRef {
		return nil
	}
	n.admitting.Lock()
	defer n.admitting.Unlock()
	for _, img := range images {
		if n.only == nil {
			n.only = &img
		}
		if n.only.Name != img.Name || n.only.Root.Digest != img.Root.Digest {
			return fault.WithHint(fault.Usage("%s:%s names one image, but there are several: %s, %s", n.where, n.ref, n.only.Name, img.Name),
				"write to %s, where every image keeps its own name", n.where)
		}
	}
	return nil
}

// fullName returns what an image is called at the place, if that is more than a
// tag; the zero value otherwise.
func (n *naming) fullName(img transport.Image) transport.Name {
	if !n.hasRef {
		return img.Name
	}
	name, _ := fullName(n.ref)
	return name
}

// entries returns what index.json is to say of images, whose roots must have
// been written.
func (n *naming) entries(images []transport.Image, written func(transport.Image) (bool, error)) ([]v1.Descriptor, error) {
	if err := n.admit(images...); err != nil {
		return nil, err
	}
	if n.hasRef && len(images) != 1 {
		return nil, fault.Usage("%s:%s names one image, but there are %d", n.where, n.ref, len(images))
	}
	known := make(map[nameKey]digest.Digest)
	var entries []v1.Descriptor
	for _, img := range images {
		if img.Name == (transport.Name{}) && !n.hasRef {
			return nil, fault.Usage("%s: image %s has no name", n.where, img.Root.Digest)
		}
		if !isImage(img.Root.MediaType) {
			return nil, fault.Unsupported("%s: %s has media type %q, which is not an image's", n.where, img.Name, img.Root.MediaType)
		}
		ok, err := written(img)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fault.Missing("%s: %s: its manifest %s was not written", n.where, img.Name, img.Root.Digest)
		}
		d := newEntry(img, n.ref)
		name := nameOf(n.local, d)
		if other, ok := known[keyOf(name)]; ok && other != d.Digest {
			return nil, fault.Usage("%s: two images are to be called %s: %s and %s", n.where, name, other, d.Digest)
		}
		known[keyOf(name)] = d.Digest
		entries = append(entries, d)
	}
	return entries, nil
}
