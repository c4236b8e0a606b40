package image

import (
	"encoding/json"
	"strings"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
)

// The media types of what signatures and attestations are kept in.
const (
	simpleSigning  = "application/vnd.dev.cosign.simplesigning.v1+json"
	envelopeType   = "application/vnd.dsse.envelope.v1+json"
	sigstoreBundle = "application/vnd.dev.sigstore.bundle"
)

// layer is one layer of a manifest that is attached to an image.
type layer struct {
	mediaType   string
	digest      digest.Digest
	size        int64
	annotations map[string]string
}

// parseLayers reads the layers of a manifest, and its subject if it has one.
func parseLayers(data []byte) (layers []layer, subject digest.Digest, err error) {
	top, err := parseObject(data)
	if err != nil {
		return nil, "", err
	}
	var of descriptor
	if err := of.read(top["subject"]); err != nil {
		return nil, "", err
	}
	list, err := top.list("layers", MaxFindings)
	if err != nil {
		return nil, "", err
	}
	for _, raw := range list {
		var d descriptor
		if err := d.read(raw); err != nil {
			return nil, "", err
		}
		layers = append(layers, layer(d))
	}
	return layers, of.digest, nil
}

type descriptor layer

// read takes a descriptor, or nothing.
func (d *descriptor) read(raw json.RawMessage) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	o, err := parseObject(raw)
	if err != nil {
		return fault.Damaged("descriptor %w", err)
	}
	for _, err := range []error{
		o.get("mediaType", &d.mediaType), o.get("digest", &d.digest), o.get("size", &d.size), o.get("annotations", &d.annotations),
	} {
		if err != nil {
			return err
		}
	}
	if err := d.digest.Validate(); err != nil {
		return fault.Damaged("descriptor with the digest %.200q", string(d.digest))
	}
	return nil
}

// limit is how many bytes a layer may have for what it is; 0 if it is nothing
// that bale reads.
func (l layer) limit() int64 {
	switch {
	case l.mediaType == simpleSigning:
		return MaxPayload
	case l.mediaType == envelopeType, strings.HasPrefix(l.mediaType, sigstoreBundle):
		return MaxEnvelope
	}
	return 0
}
