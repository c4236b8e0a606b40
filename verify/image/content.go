package image

import (
	"context"

	"github.com/opencontainers/go-digest"
)

// Content is what an image and what is attached to it are read from. Something
// that is listed and not there is a [fault.ErrMissing].
type Content interface {
	// Read returns a manifest or blob of at most limit bytes, checked against its
	// digest. What is larger is a [*TooLargeError].
	Read(ctx context.Context, d digest.Digest, limit int64) ([]byte, error)
	// Children returns what an index lists and is there, in its order; nothing
	// for an image manifest.
	Children(ctx context.Context, d digest.Digest) ([]digest.Digest, error)
	// Attached returns what is attached to d, in a stable order.
	Attached(ctx context.Context, d digest.Digest) ([]Attached, error)
}

// Attached is a manifest that is attached to another one.
type Attached struct {
	Digest digest.Digest
	// Tag is its name if it is attached by that, as cosign does:
	// "sha256-….sig". It is "" for a manifest that names its subject.
	Tag string
	// Kind is what the tag says it is: "sig", "att" or another.
	Kind string
}

// name is what it is called in messages.
func (a Attached) name() string {
	if a.Tag != "" {
		return a.Tag
	}
	return a.Digest.String()
}

// TooLargeError is what [Content] fails with if something exceeds the limit.
type TooLargeError struct{ Err error }

// Error implements error.
func (e *TooLargeError) Error() string { return e.Err.Error() }

// Unwrap returns what was wrong.
func (e *TooLargeError) Unwrap() error { return e.Err }
