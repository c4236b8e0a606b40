package docker

import (
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// leftOut reports whether a layer may be missing: its publisher keeps it to itself,
// and a manifest refers to it where that has it.
func leftOut(d v1.Descriptor) bool {
	return transport.IsForeign(d.MediaType) && len(d.URLs) > 0
}

// notWritten is the error about a manifest that has a blob which the engine was
// not sent and has not.
func (e *engine) notWritten(d v1.Descriptor, manifest digest.Digest) error {
	if !leftOut(d) {
		return fault.Missing("%s: blob %s of manifest %s was not written", e, d.Digest, manifest)
	}
	return fault.WithHint(fault.Missing("%s: layer %s of manifest %s was left out: its publisher keeps it to itself, and an engine cannot do without", e, d.Digest, manifest),
		"--foreign-layers fetches it; registries and OCI layouts can do without")
}
