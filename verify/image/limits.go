package image

// Bounds on what is read of an image that somebody else put together.
const (
	// MaxManifest is the greatest size in bytes of a manifest with signatures.
	MaxManifest = 8 << 20
	// MaxPayload is the greatest size in bytes of what cosign's older signatures
	// are over.
	MaxPayload = 1 << 20
	// MaxEnvelope is the greatest size in bytes of a Sigstore bundle or envelope:
	// there are SBOMs in some.
	MaxEnvelope = 32 << 20
	// MaxRead is how many bytes of payloads and envelopes one image may have.
	MaxRead = 1 << 30
	// MaxFindings is how many signatures and attestations one image may have.
	MaxFindings = 4096
	// MaxParts is how many manifests and indexes an image may have.
	MaxParts = 4096
	// MaxDepth is how deep indexes may be nested.
	MaxDepth = 8

	maxAnnotation = 256 << 10 // bytes of one that is looked at
	maxChain      = 8         // certificates of a chain
	maxSubjects   = 1024      // of a statement
	maxSignatures = 64        // of an envelope, to be counted
	maxJSONDepth  = 256
	maxNames      = 1 << 18 // of an object of JSON, and of those around it
	maxWays       = 1 << 16 // through indexes that share what they list
	maxReasons    = 8       // in an error
)
