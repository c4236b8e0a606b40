package transport

import (
	"regexp"

	"github.com/opencontainers/go-digest"
)

// attachedTag is how tools name what they attach to a digest where there are no
// referrers: cosign's signatures, attestations and SBOMs, and the list of
// referrers itself (distribution spec, "Referrers Tag Schema").
var attachedTag = regexp.MustCompile(`^(sha256|sha512)-([0-9a-f]{64}|[0-9a-f]{128})(?:\.(sig|att|sbom))?$`)

// AttachedTags are the endings of tags that cosign makes of a digest.
var AttachedTags = []string{"sig", "att", "sbom"}

// AttachedTag returns the tag under which something of a kind is attached to
// the manifest d: "sha256-<hex>.sig". With kind "" it is the tag of d's list of
// referrers.
func AttachedTag(d digest.Digest, kind string) string {
	tag := d.Algorithm().String() + "-" + d.Encoded()
	if kind != "" {
		tag += "." + kind
	}
	return tag
}

// AttachedTo reads a tag that [AttachedTag] makes.
func AttachedTo(tag string) (d digest.Digest, kind string, ok bool) {
	m := attachedTag.FindStringSubmatch(tag)
	if m == nil {
		return "", "", false
	}
	d = digest.NewDigestFromEncoded(digest.Algorithm(m[1]), m[2])
	return d, m[3], d.Validate() == nil
}
