package transport

// Bounds that tests go up to.
const (
	AheadBytes   = aheadBytes
	AheadCount   = aheadCount
	AheadLarge   = aheadLarge
	InMemory     = inMemory
	MaxAsks      = maxAsks
	MaxLooks     = maxLooks
	MaxManifests = maxManifests
	MaxURLs      = maxURLs
)
