package image

import (
	"slices"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
)

// payloadType is what the payload of one of cosign's older signatures says it
// is (containers/image, "atomic container signature", with cosign's own value).
const payloadType = "cosign container image signature"

// payload is what one of cosign's older signatures is over.
type payload struct {
	image     digest.Digest
	reference string // what the image was called
}

// parsePayload reads a "simple signing" payload. Members that bale does not know
// are passed over unless they are critical.
func parsePayload(data []byte) (payload, error) {
	var p payload
	top, err := parseObject(data)
	if err != nil {
		return p, err
	}
	critical, err := top.object("critical", "identity", "image", "type")
	if err != nil {
		return p, err
	}
	image, err := critical.object("image", "docker-manifest-digest")
	if err != nil {
		return p, err
	}
	var kind string
	if err := critical.get("type", &kind); err != nil {
		return p, err
	}
	if kind != payloadType {
		return p, fault.Unsupported("is a payload of the type %.100q", kind)
	}
	if err := image.get("docker-manifest-digest", &p.image); err != nil {
		return p, err
	}
	if err := p.image.Validate(); err != nil {
		return p, fault.Damaged("names the image %.200q, which is no digest", string(p.image))
	}
	if _, ok := critical["identity"]; ok {
		identity, err := critical.object("identity", "docker-reference")
		if err != nil {
			return p, err
		}
		if err := identity.get("docker-reference", &p.reference); err != nil {
			return p, err
		}
	}
	return p, nil
}

// object returns a member that is an object and must be there, and have no
// others than the known ones.
func (o object) object(name string, known ...string) (object, error) {
	raw, ok := o[name]
	if !ok {
		return nil, fault.Damaged("has no %q", name)
	}
	inner, err := parseObject(raw)
	if err != nil {
		return nil, fault.Damaged("%q %w", name, err)
	}
	for member := range inner {
		if !slices.Contains(known, member) {
			return nil, fault.Unsupported("has the critical member %.100q, which bale does not know", member)
		}
	}
	return inner, nil
}
