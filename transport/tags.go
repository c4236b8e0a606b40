package transport

import "context"

// Tagging is implemented by sources that can list the tags of a repository.
type Tagging interface {
	// Tags returns the images of a repository, of which name has neither tag nor
	// digest: as their names, in a stable order, each once. One that is not there is
	// a [fault.ErrMissing], as is one without tags.
	Tags(ctx context.Context, name Name) ([]Name, error)
}
