// Package archive reads and writes docker-archives: the tar that docker save
// makes and docker load takes.
//
// The form is defined by the engine's code only. manifest.json lists the
// images, each with the name of its config entry, its tags and the names of
// its layer entries; the rest of the tar is those entries, in any order.
// Engines before 25.0 name them after the layers' old ids and replace a layer
// that is there already by a link; later ones name them blobs/sha256/…, add an
// OCI index beside manifest.json and, where they keep images in containerd,
// leave the layers compressed. [Open] reads all of these by manifest.json.
//
// An archive holds no image manifest, so [Image.Manifest] makes one: always
// the same bytes for the same image.
package archive

const (
	// MaxEntries is how many entries an archive may have. An image has about
	// four for each layer.
	MaxEntries = 1 << 18
	// MaxNames is how many bytes the names and link targets of all entries may
	// have together.
	MaxNames = 64 << 20
	// MaxList is the greatest size of manifest.json in bytes.
	MaxList = 32 << 20
	// MaxConfig is the greatest size of an image's config in bytes.
	MaxConfig = 8 << 20
	// MaxWindow is the greatest window of a layer's Zstandard frames in bytes,
	// and so the memory that it takes to unpack one.
	MaxWindow = 128 << 20

	maxLinks = 8 // links followed from one name
)

// listName is the entry that makes a tar a docker-archive.
const listName = "manifest.json"

// Item is one image in manifest.json.
type Item struct {
	Config   string   // name of the config's entry
	RepoTags []string // "repo:tag", host and all or as Docker's users write it
	Layers   []string // names of the layers' entries, the lowest first
}
