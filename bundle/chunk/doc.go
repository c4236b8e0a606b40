// Package chunk cuts content into chunks, the unit of deduplication.
//
// A raw tar is cut along its files: headers and padding go to a lane of their
// own, and no chunk of content crosses a file, so that a file which is the
// same in two layers gives the same chunks whatever stands around it. All
// else, and large files, are cut where the content says so (FastCDC).
//
// Where the cuts fall only decides how much is shared, never what is rebuilt:
// the pieces in order are always exactly the input.
package chunk

const (
	// MaxSize is the greatest size of a chunk that the format allows, in bytes.
	MaxSize = 1 << 20

	// Content is cut to 64 KiB on average, tar structure to 16 KiB: a change
	// of one time stamp should not cost the headers of a hundred files. The
	// values are part of what makes two bundles share chunks: changing them
	// costs every user one full update.
	minContent, normalContent, maxContent       = 16 << 10, 64 << 10, 256 << 10
	minStructure, normalStructure, maxStructure = 4 << 10, 16 << 10, 64 << 10
)

// Lane says which of a blob's two lists of chunks a piece belongs to.
type Lane uint8

// The lanes of a blob. Content that is no tar has only [Content].
const (
	Structure Lane = iota // tar headers, padding, end of archive
	Content               // content of files, or of a blob that is no tar
	Lanes                 // how many lanes there are
)

// Kind says what content is like, since like content compresses better together.
type Kind uint8

// The kinds of content.
const (
	Headers Kind = iota // tar structure
	Data                // anything not known to be compressed
	Packed              // compressed already, or encrypted: not worth an effort
	Kinds               // how many kinds there are
)
