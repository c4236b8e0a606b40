package transport

import (
	"encoding/json"
	"errors"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
)

// Manifest is what bale needs to know of a manifest or index. Of descriptors
// it has media type, digest, size, URLs, platform, and which manifest they attest to.
type Manifest struct {
	Config    *v1.Descriptor  // nil for an index
	Layers    []v1.Descriptor // of an image manifest
	Manifests []v1.Descriptor // of an index
	Subject   digest.Digest   // what it refers to as its subject; "" if nothing
}

// ParseManifest reads a manifest or index of a media type. Schema 1 and types
// that bale does not know are a [fault.ErrUnsupported]; content that is not
// what its type says, or that could be taken for either (CVE-2021-41190), a
// [fault.ErrDamaged]. It takes a few times the memory of content, whatever
// that says.
func ParseManifest(mediaType string, content []byte) (*Manifest, error) {
	switch {
	case isSchema1(mediaType):
		return nil, fault.WithHint(fault.Unsupported("manifest of Docker schema 1 (%s), which no current tool writes", mediaType),
			"pull and push the image with a current Docker, and save that")
	case !IsIndex(mediaType) && !IsManifest(mediaType):
		return nil, fault.Unsupported("media type %.200q is neither an image manifest nor an index", mediaType)
	}
	var m struct {
		MediaType string           `json:"mediaType"`
		Config    *descriptor      `json:"config"`
		Layers    descriptors      `json:"layers"`
		Manifests descriptors      `json:"manifests"`
		FSLayers  *json.RawMessage `json:"fsLayers"`
		Subject   *descriptor      `json:"subject"`
	}
	if err := json.Unmarshal(content, &m); err != nil {
		if errors.Is(err, fault.ErrDamaged) || errors.Is(err, fault.ErrUnsupported) {
			return nil, err
		}
		return nil, fault.Damaged("manifest is not JSON of its kind: %w", err)
	}
	if m.MediaType != "" && m.MediaType != mediaType {
		return nil, fault.Damaged("manifest calls itself %.200q but is referred to as %s", m.MediaType, mediaType)
	}
	if m.FSLayers != nil {
		return nil, fault.Damaged("manifest of type %s looks like Docker schema 1", mediaType)
	}
	var subject digest.Digest // one that cannot be is none
	if m.Subject != nil && blob.Check(m.Subject.Digest, m.Subject.Size) == nil {
		subject = m.Subject.Digest
	}
	if IsIndex(mediaType) {
		if m.Config != nil || m.Layers != nil {
			return nil, fault.Damaged("index has config or layers too")
		}
		return &Manifest{Manifests: m.Manifests, Subject: subject}, nil
	}
	if m.Manifests != nil {
		return nil, fault.Damaged("manifest has manifests too")
	}
	if m.Config == nil {
		return nil, fault.Damaged("manifest has no config")
	}
	config, err := m.Config.checked()
	if err != nil {
		return nil, err
	}
	return &Manifest{Config: &config, Layers: m.Layers, Subject: subject}, nil
}
