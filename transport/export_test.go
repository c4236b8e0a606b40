package transport

// Bounds that tests go up to.
const (
	AheadBytes   = aheadBytes
	AheadCount   = aheadCount
	InMemory     = inMemory
	MaxManifests = maxManifests
	MaxURLs      = maxURLs
)
