package transport

import (
	"context"

	"github.com/opencontainers/go-digest"
)

// Layer is a layer that is looked for at a place: as the very blob, or as any
// blob that decompresses to the same.
type Layer struct {
	Digest digest.Digest // of the blob; "" if only the diff id is known
	Size   int64         // of the blob, in bytes; must be known if Digest is
	DiffID digest.Digest // of what the blob decompresses to; "" if it is not known
}

// FoundLayer is one of them that a place has.
type FoundLayer struct {
	// Index is the layer's place in what was looked for.
	Index int

	// Digest is that of the blob as it is there. If it is the layer's DiffID the
	// content is as it was before compression; else it may be gzip or zstd, as
	// its first bytes say, and is to be decompressed.
	Digest digest.Digest

	// Open opens the blob. Unlike what other openers give, content is not
	// verified: whoever takes parts of it must check those. What was deleted
	// since it was found is a [fault.ErrMissing]. It works until the source is
	// closed.
	Open Opener
}

// Holding is implemented by sources whose place may hold layers that an update
// builds on, whatever tags they have now.
type Holding interface {
	// FindLayers looks for layers and says which ones the place has, in the
	// order of want, each once. Nothing is fetched but manifests and configs.
	//
	// near are names whose repositories to look in, whether there is such a tag
	// or not; a place that is one whole looks everywhere, there first. What is
	// not found, or lies in a repository that is not there or does not let itself
	// be listed, is left out and no error; a place that cannot be asked is one.
	FindLayers(ctx context.Context, near []Name, want []Layer) ([]FoundLayer, error)
}
