package transport

import (
	"context"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Referring is implemented by sources that can tell what is attached to a
// manifest: signatures, attestations, SBOMs.
type Referring interface {
	// Referrers returns what is attached to d, a manifest or index that belongs to
	// in, in a stable order, each once: manifests that name d as their subject
	// (distribution spec, "Listing Referrers"), called by their digest in the
	// repository of in, and images that carry d's digest in their tag, called by
	// that tag ([AttachedTag]). What is attached to those is not among them. That
	// there is nothing is no error; something that is listed and not there is a
	// [fault.ErrMissing].
	Referrers(ctx context.Context, in Image, d v1.Descriptor) ([]Image, error)
}
