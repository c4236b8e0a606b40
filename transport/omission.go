package transport

import v1 "github.com/opencontainers/image-spec/specs-go/v1"

// Reason says why something that an image names is not copied.
type Reason string

// The reasons.
const (
	// ForeignLayer is a layer that its publisher keeps to itself; the target
	// refers to it as the source does.
	ForeignLayer Reason = "foreign layer"
	// OtherPlatform is a manifest for a platform that is not wanted.
	OtherPlatform Reason = "platform not wanted"
	// NotAtSource is a manifest that the source does not have, or not whole,
	// because nobody brought it there ([Partial]).
	NotAtSource Reason = "not at the source"
	// NotKept is something attached to an image that the target cannot keep.
	NotKept Reason = "the target keeps nothing but images"
	// SubjectReplaced is something attached to an index that gets a new digest,
	// since the target takes no index in part.
	SubjectReplaced Reason = "attached to the index that was replaced"
)

// Omission is something that an image names, or that is attached to it, and
// that is not copied.
type Omission struct {
	Descriptor v1.Descriptor // with the platform, if an index gives one
	Reason     Reason
}
