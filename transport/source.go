package transport

import (
	"context"
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Image is one image at a place: its name there and the root of its graph, a
// manifest or an index (image-spec, descriptor.md).
type Image struct {
	Name Name
	Root v1.Descriptor // MediaType, Digest and Size are always set
}

// Source is a place that images are read from. It never writes to the place.
//
// All methods may be called from several goroutines at once and honour their
// context. A source need not check digests: [Copy] passes everything it reads
// through one verifying reader.
type Source interface {
	// Images finds what selector names: an image's name by the place's rules,
	// or "" for all that the place holds (in a stable order). Something that
	// is not there is a [fault.ErrMissing]; a place that cannot list itself
	// answers "" with a [fault.ErrUsage].
	Images(ctx context.Context, selector string) ([]Image, error)

	// Manifest returns the bytes of a manifest or index that belongs to in.
	// Its size is at most [MaxManifest].
	Manifest(ctx context.Context, in Image, d v1.Descriptor) ([]byte, error)

	// Blob opens a layer or config that belongs to in. The caller closes it.
	// It may be opened several times.
	Blob(ctx context.Context, in Image, d v1.Descriptor) (io.ReadCloser, error)

	// Close releases what the source holds. No stream may be in use.
	Close() error
}

// Preparer is implemented by sources for which it is much cheaper to be asked
// for everything at once. Prepare is told what Images will be asked; selectors
// are as there.
type Preparer interface {
	Prepare(ctx context.Context, selectors []string) error
}

// Local is implemented by sources that need no fetching ahead because their
// content lies on this machine.
type Local interface{ Local() bool }

// RawLayers is implemented by local sources that have some layers unpacked, and
// would have to compress them to give the blob. They are asked for it by sinks
// that are [Unpacking].
type RawLayers interface {
	// RawSize returns how many bytes a layer has unpacked; ok is false if the
	// source has the blob only.
	RawSize(d v1.Descriptor) (size int64, ok bool)

	// OpenRaw opens a layer unpacked: exactly the bytes that RawSize says, an
	// error in place of io.EOF otherwise. Nobody can check them by d's digest,
	// so the source vouches for them as well as it can.
	OpenRaw(ctx context.Context, in Image, d v1.Descriptor) (io.ReadCloser, error)
}
