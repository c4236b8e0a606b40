package archive

import (
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport/layout"
)

// Option changes how an archive is written.
type Option func(*options)

type options struct {
	platform v1.Platform
	layout   []layout.Option
	ref      string
}

// Platform is which one of an image is written; without it, Linux on this
// machine's architecture.
func Platform(p v1.Platform) Option { return func(o *options) { o.platform = p } }

// WithRef calls the one image that is written ref, a name by Docker's rules. A
// second image is a [fault.ErrUsage].
func WithRef(ref string) Option { return func(o *options) { o.ref = ref } }

// Overwrite lets [NewSink] replace a file.
func Overwrite() Option { return pass(layout.Overwrite()) }

// Stdout is what [NewSink] writes to if the file is "-".
func Stdout(w io.Writer) Option { return pass(layout.Stdout(w)) }

func pass(l layout.Option) Option { return func(o *options) { o.layout = append(o.layout, l) } }
