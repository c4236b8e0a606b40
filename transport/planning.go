package transport

import "context"

// Planning is implemented by sinks that need to know an image before they can
// say what they have of it, such as an engine that knows layers by what they
// are unpacked and by what is below them.
type Planning interface {
	// Plan is called for each container image that the sink does not hold, after
	// Holds and before the first Has, with its manifest and its verified config.
	Plan(ctx context.Context, img Image, manifest, config []byte) error
}
