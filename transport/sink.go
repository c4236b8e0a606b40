package transport

import (
	"context"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Properties says what a sink can do, so that the engine need not ask what it is.
type Properties struct {
	// Ordered sinks write one stream, so the engine calls WriteBlob and
	// WriteManifest one at a time and in the plan's order: the result depends
	// on nothing else. Others are called from several goroutines at once.
	Ordered bool

	// Platform is set if the place keeps one platform of an image only (a
	// classic Docker engine): indexes are resolved to it before planning, and
	// WriteManifest never gets an index.
	Platform *v1.Platform

	// NoReferrers is set if the place cannot keep what is attached to an image
	// ([Referring]), nor any artifact that is no container image.
	NoReferrers bool

	// ForgetsManifest is set if the place does not keep manifests as they
	// are, so that an image's digest there may differ.
	ForgetsManifest bool
}

// Opener opens a blob's content: exactly the descriptor's bytes, verified, an
// error in place of io.EOF otherwise. It may be called again to try again.
// The caller closes what it gets.
type Opener func(ctx context.Context) (io.ReadCloser, error)

// Sink is a place that images are written to. What was written becomes visible
// under names by Commit only; until then, and after any failure, no name at
// the place has changed.
//
// The order of calls is: Holds and Has for the plan, WriteBlob for layers and
// then configs, WriteManifest (children before their index), Commit, Close.
// What else a sink can do it says by [Preparing] and [Unpacking].
type Sink interface {
	Properties() Properties

	// Holds reports whether the place already has the whole image, so that
	// none of it need be copied and Commit only sets its name. A sink that
	// cannot tell cheaply and surely answers false.
	Holds(ctx context.Context, img Image, manifest []byte) (bool, error)

	// Has reports whether the place already has a blob for every one of the
	// images, so that it need not be copied.
	Has(ctx context.Context, d v1.Descriptor, images []Image) (bool, error)

	// WriteBlob stores a layer or config that belongs to images. It returns
	// after the place has accepted it for all of them.
	WriteBlob(ctx context.Context, d v1.Descriptor, images []Image, open Opener) error

	// WriteManifest stores a manifest or index that belongs to images. All
	// that it refers to and that the plan holds has been written.
	WriteManifest(ctx context.Context, d v1.Descriptor, images []Image, content []byte) error

	// Commit gives the images their names. After an error none, or as few as
	// the place allows, have changed.
	Commit(ctx context.Context, images []Image) error

	// Close releases what the sink holds and, without a successful Commit,
	// removes what it can of what was written.
	Close() error
}

// Preparing is implemented by ordered sinks that can do most of their work on a
// blob before its turn to be written has come, for several blobs at a time.
type Preparing interface {
	// Prepares reports whether the sink wants to prepare a blob.
	Prepares(d v1.Descriptor) bool

	// Prepare does what can be done for a blob before WriteBlob is called for
	// it. It is called by several goroutines at once, while another blob is
	// written, and may open the blob several times. What it keeps is used up by
	// WriteBlob or, if it does not come to that, released by Close.
	Prepare(ctx context.Context, d v1.Descriptor, open Opener) error
}

// Unpacking is implemented by sinks that keep layers unpacked, to which it
// would be a waste to send them compressed if the source has them as they need
// them ([RawLayers]).
type Unpacking interface {
	// WriteRaw stores a layer in place of WriteBlob. open gives what the blob d
	// decompresses to, which is size bytes. They are verified no further than
	// the source could: the sink checks them by the image's config.
	WriteRaw(ctx context.Context, d v1.Descriptor, size int64, images []Image, open Opener) error
}
