package transport

import (
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
)

// MaxName is the greatest length in bytes of an image's name, tag and digest
// included. The repository alone may have 255 (distribution spec).
const MaxName = 512

// Name is what an image is called: a repository with the host it belongs to,
// and a tag, a digest, or both. The zero value is no name.
type Name struct {
	Domain string        // host and port; "docker.io" for bare names
	Path   string        // repository below the host: "library/busybox"
	Tag    string        // "" when the image is named by digest alone
	Digest digest.Digest // "" when the image is named by tag alone
}

// ParseName reads a name by Docker's rules: "busybox" is
// docker.io/library/busybox:latest. A malformed name is a [fault.ErrUsage].
func ParseName(s string) (Name, error) {
	if len(s) > MaxName {
		return Name{}, tooLong(len(s))
	}
	named, err := reference.ParseDockerRef(s)
	if err != nil {
		return Name{}, nameHint(fault.Usage("image name %q: %w", s, err))
	}
	// ParseDockerRef drops the tag of name:tag@digest; bale keeps it, to set
	// it again on the far side.
	full, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return Name{}, fault.Usage("image name %q: %w", s, err)
	}
	n := Name{Domain: reference.Domain(named), Path: reference.Path(named)}
	if t, ok := named.(reference.Tagged); ok {
		n.Tag = t.Tag()
	}
	if t, ok := full.(reference.Tagged); ok {
		n.Tag = t.Tag()
	}
	if d, ok := named.(reference.Digested); ok {
		n.Digest = d.Digest()
	}
	// The library takes some hosts that no registry can have, and drops them.
	if n.Domain == "" {
		return Name{}, nameHint(fault.Usage("image name %q does not start with a registry's host", s))
	}
	if full := len(n.String()); full > MaxName {
		return Name{}, tooLong(full)
	}
	return n, nil
}

func nameHint(err error) error {
	return fault.WithHint(err, "a name looks like busybox, busybox:1.36, host:5000/team/app:1.0 or app@sha256:…")
}

func tooLong(n int) error {
	return fault.Usage("image name of %d bytes is longer than %d", n, MaxName)
}

// Repository returns the name without tag and digest.
func (n Name) Repository() string { return n.Domain + "/" + n.Path }

// String returns the full name, host and all: "docker.io/library/busybox:latest".
func (n Name) String() string {
	var b strings.Builder
	b.WriteString(n.Repository())
	if n.Tag != "" {
		b.WriteString(":" + n.Tag)
	}
	if n.Digest != "" {
		b.WriteString("@" + n.Digest.String())
	}
	return b.String()
}

// WithDigest returns the name pinned to d if it has no tag, else unchanged:
// what to call an image whose digest has been found out.
func (n Name) WithDigest(d digest.Digest) Name {
	if n.Tag == "" {
		n.Digest = d
	}
	return n
}
