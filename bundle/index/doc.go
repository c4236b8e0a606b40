// Package index holds the table of contents of a bundle: packs, frames,
// chunks, bases, blobs with their recipes, and images (FORMAT.md, section 5).
//
// An Index that [Read] returns is consistent in itself: ordinals are in range
// and sizes add up. Whether it fits the packs of its bundle is for package
// bundle to check.
package index

import (
	"sort"
	"sync"

	"github.com/opencontainers/go-digest"

	"bale/bundle/pack"
)

// Limits of version 1 of the format.
const (
	MaxChunks     = 1 << 31  // with external ones
	MaxReferences = 1 << 31  // from blobs and frames to chunks, all together
	MaxSegments   = 1 << 16  // in the root
	MaxSegment    = 64 << 20 // raw bytes of a segment
	MaxFrames     = 1 << 20
	MaxBlobs      = 1 << 20
	MaxParams     = 64 << 10 // bytes of a recipe's parameters
	MaxName       = 512      // bytes of an image's name
	MaxMediaType  = 255      // bytes
	MaxImages     = 1 << 16
	MaxBases      = 1 << 12
	MaxBaseBlobs  = 1 << 20 // of all bases
	MaxBaseImages = 1 << 16 // names, of all bases
	Version       = 1
	targetSegment = 4 << 20 // raw bytes after which the writer starts another
	maxLanes      = 2
	// What an index may take when it is decompressed: a little for nothing,
	// and more the larger it is itself. Tables of hashes hardly compress, so
	// there a small index cannot claim a large table at all.
	freeRaw        = 64 << 20
	rawPerStored   = 8
	freeHashes     = 64 << 10
	rawPerHashes   = 2
	maxChunkLength = 1 << 20
)

// Index is the whole table of contents.
type Index struct {
	Packs  []Pack
	Frames []Frame
	Chunks Chunks
	Bases  []Base
	Blobs  []Blob // sorted by digest
	Images []Image

	raw       map[digest.Digest]Hash
	once      sync.Once // fills in externals
	externals []externalRun
}

// Pack is one pack. Its frames follow those of the pack before it.
type Pack struct {
	Digest digest.Digest // always SHA-256
	Size   int64
	Frames int
}

// Frame is one frame. Its chunks follow those of the frame before it.
type Frame struct {
	Kind       pack.Kind
	Pack       uint32 // ordinal of its pack
	FirstChunk uint32 // ordinal of its first chunk
	Chunks     uint32 // how many
	Offset     int64  // in its pack
	Stored     int64  // bytes in its pack
	Raw        int64  // bytes it decompresses to
	Dictionary []Run  // chunks that it builds on, for kinds Dictionary and Patch
	Patch      int64  // bytes of the patch, for kind Patch
}

// Base is earlier content that external chunks come from: a bundle, or images
// at a place. The external chunks of a base follow those of the base before.
type Base struct {
	ID     [16]byte
	Chunks int        // external chunks that come from it
	Blobs  []BaseBlob // where these are found in images; first those of Blobs[0], and so on
	Images []string   // what the images were called
}

// BaseBlob is a blob of a base in whose raw bytes external chunks are found by
// cutting them again as package chunk does.
type BaseBlob struct {
	Digest  digest.Digest
	Size    int64
	Raw     Hash  // SHA-256 of the raw bytes: a layer's diff id
	RawSize int64 // bytes of the blob itself, or of what it decompresses to
	Chunks  int   // external chunks that are found here, and in no blob before
}

// Recipe is how a blob is rebuilt from its raw bytes.
type Recipe uint64

// The recipes that the format names.
const (
	Stored  Recipe = 0 // the blob is its raw bytes
	Deflate Recipe = 1 // a gzip stream, rebuilt from raw bytes and corrections
	Listed  Recipe = 2 // only what its raw bytes are: it cannot be rebuilt
)

// String returns the recipe's name.
func (r Recipe) String() string {
	switch r {
	case Stored:
		return "stored"
	case Deflate:
		return "deflate"
	case Listed:
		return "listed"
	}
	return "unknown"
}

// Run is a stretch of consecutive chunks.
type Run struct{ First, Count uint32 }

// Blob is one blob and its recipe.
type Blob struct {
	Digest  digest.Digest
	Size    int64
	Recipe  Recipe
	Params  []byte
	RawSize int64
	Lanes   [][]Run // one or two
	Weave   Weave   // with two lanes: how they alternate
	Extra   []Run   // chunks that the recipe needs besides
}

// Reason says why something that an image's graph names is not in the bundle.
type Reason uint8

// The reasons.
const (
	OtherPlatform Reason = 1 // of a platform that was not wanted
	Foreign       Reason = 2 // a layer that its publisher keeps to itself
	Absent        Reason = 3 // not there at the source
)

// String returns the reason in words.
func (r Reason) String() string {
	switch r {
	case OtherPlatform:
		return "platform not wanted"
	case Foreign:
		return "foreign layer"
	case Absent:
		return "absent at the source"
	}
	return "unknown"
}

// Omission is something that an image's graph names and the bundle leaves out.
type Omission struct {
	Digest digest.Digest
	Reason Reason
}

// Image is one image: a name and the root of its graph.
type Image struct {
	Name      string
	MediaType string
	Digest    digest.Digest
	Size      int64
	Platform  string // "" or os/arch[/variant], if only that one was taken
	Omitted   []Omission
}

// Blob finds a blob by its digest.
func (x *Index) Blob(d digest.Digest) (*Blob, bool) {
	i := sort.Search(len(x.Blobs), func(i int) bool { return !digestLess(x.Blobs[i].Digest, d) })
	if i == len(x.Blobs) || x.Blobs[i].Digest != d {
		return nil, false
	}
	return &x.Blobs[i], true
}

// RawHash returns the SHA-256 of what a blob decompresses to, and false if the
// blob is stored as it came or that is not known.
func (x *Index) RawHash(d digest.Digest) (Hash, bool) {
	h, ok := x.raw[d]
	return h, ok
}

// SetRawHash notes the SHA-256 of what a blob decompresses to. An index has it
// for all blobs that are not stored, or for none.
func (x *Index) SetRawHash(d digest.Digest, h Hash) {
	if x.raw == nil {
		x.raw = make(map[digest.Digest]Hash)
	}
	x.raw[d] = h
}

// Frame returns the ordinal of the frame that holds a chunk, and false for an
// external chunk.
func (x *Index) Frame(chunk uint32) (int, bool) {
	i := sort.Search(len(x.Frames), func(i int) bool {
		f := &x.Frames[i]
		return uint64(f.FirstChunk)+uint64(f.Chunks) > uint64(chunk)
	})
	return i, i < len(x.Frames)
}
