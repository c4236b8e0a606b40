// Package tarfile finds the files of a tar by name, so that each can be read
// by itself: the tars of docker-archive and oci-archive.
//
// A tar's names and links are not believed: no name leads out of it, and how
// many there are is bounded. [OpenFile] and [Spool] make of a file, which may
// be compressed, or of a stream something that can be read anywhere.
package tarfile

const (
	// MaxEntries is how many entries a tar may have. An image has about four for
	// each layer.
	MaxEntries = 1 << 18
	// MaxNames is how many bytes the names and link targets of all entries may
	// have together.
	MaxNames = 64 << 20
	// MaxWindow is the greatest window of Zstandard frames in bytes, and so the
	// memory that it takes to unpack one.
	MaxWindow = 128 << 20
	// MaxSpooled is the greatest size in bytes of a tar that has to be copied to
	// be read, because it is compressed or comes through a pipe: 4 TiB.
	MaxSpooled = 1 << 42

	maxLinks = 8 // links followed from one name
)
