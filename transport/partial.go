package transport

import (
	"context"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Partial is implemented by sources that may hold an index without all that it
// lists, as an engine does that has pulled one platform.
type Partial interface {
	// Lacks reports whether d, which an index of in lists, is not at the place, or
	// something below it is not, though the place is in order: that nobody brought
	// it there is no damage. It looks at nothing but manifests and whether blobs
	// are there.
	Lacks(ctx context.Context, in Image, d v1.Descriptor) (bool, error)
}

// Sparse is implemented by sinks that can keep an index without all that it
// lists. Others get a new index of what is copied.
type Sparse interface {
	// TakesSparse reports whether the place accepts img's index, whose bytes are
	// content, if of its children only those in kept are written. It is called
	// before anything is written. A place that can only find out by trying may
	// write the index itself, without a name, and what it would need for that.
	TakesSparse(ctx context.Context, img Image, content []byte, kept []v1.Descriptor) (bool, error)
}
