package transport

// Bounds on what is believed from the far side.
const (
	// MaxManifest is the greatest size of a manifest or index, in bytes. The
	// distribution spec asks registries to take 4 MiB; some take more.
	MaxManifest = 8 << 20
	// MaxBlob is the greatest size of a layer or config, in bytes: 4 TiB. So
	// sizes can be added up without running over.
	MaxBlob = 1 << 42
	// MaxDepth is how deep indexes may be nested.
	MaxDepth = 8
	// MaxNodes is how many manifests and blobs one run may touch.
	MaxNodes = 1 << 20
	// maxMemberships is how often an image of one run may hold a manifest or
	// blob, all together: each takes 4 bytes of memory.
	maxMemberships = 1 << 24
	// omissionCost is as how many of these something that is left out counts.
	omissionCost = 64
	// maxDigest is the length in bytes of the longest digest, SHA-512.
	maxDigest = 7 + 128
	// maxURLs is how many URLs a descriptor may have.
	maxURLs = 16
)
