package layout

import (
	"io"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Option changes how a layout is written.
type Option func(*options)

type options struct {
	ref       string
	hasRef    bool
	hybrid    *v1.Platform
	plain     bool
	overwrite bool
	stdout    io.Writer
	where     string
}

func newOptions(opts []Option) (options, error) {
	var o options
	for _, set := range opts {
		set(&o)
	}
	if o.hasRef {
		return o, checkRef(o.ref)
	}
	return o, nil
}

// WithRef calls the one image that is written ref, as in "oci:DIR:REF": a tag
// or a full name. A second image is a [fault.ErrUsage].
func WithRef(ref string) Option { return func(o *options) { o.ref, o.hasRef = ref, true } }

// Hybrid adds to a tar the list by which engines that know no OCI layouts find
// images (docker load before Docker 25): those for one platform, and of an
// index the one that suits p best. Folders get no such list.
func Hybrid(p v1.Platform) Option { return func(o *options) { o.hybrid = &p } }

// Plain leaves that list out of what [NewArchiveSink] writes, which has it for
// this machine's platform otherwise.
func Plain() Option { return func(o *options) { o.plain = true } }

// Overwrite lets [NewArchiveSink] replace a file.
func Overwrite() Option { return func(o *options) { o.overwrite = true } }

// Called sets what errors call the place.
func Called(where string) Option { return func(o *options) { o.where = where } }

// Stdout is what [NewArchiveSink] writes to if the file is "-".
func Stdout(w io.Writer) Option { return func(o *options) { o.stdout = w } }
