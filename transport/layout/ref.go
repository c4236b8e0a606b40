package layout

import (
	"regexp"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// refPattern is the grammar of a ref.name (image-spec, annotations.md), which
// skopeo insists on.
var refPattern = func() *regexp.Regexp {
	const component = `[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*`
	return regexp.MustCompile(`^` + component + `(?:/` + component + `)*$`)
}()

// checkRef reports whether an image can be called ref in index.json.
func checkRef(ref string) error {
	if len(ref) > transport.MaxName || !refPattern.MatchString(ref) {
		return fault.WithHint(fault.Usage("%q cannot be the name of an image in an OCI layout", ref),
			"a name is a tag such as 1.0, or a full name such as registry.example/team/app:1.0")
	}
	if _, err := digest.Parse(ref); err == nil {
		return fault.Usage("%s is a digest, which an image has and cannot be given", ref)
	}
	return nil
}

// newEntry returns what index.json is to say of an image: its full name under
// both annotations or, if the user said so, ref.
func newEntry(img transport.Image, ref string) v1.Descriptor {
	names := make(map[string]string)
	if ref == "" {
		names[v1.AnnotationRefName] = img.Name.String()
		names[annotationName] = img.Name.String()
	} else {
		names[v1.AnnotationRefName] = ref
		if n, ok := fullName(ref); ok {
			names[annotationName] = n.String()
		}
	}
	return v1.Descriptor{
		MediaType: img.Root.MediaType, Digest: img.Root.Digest, Size: img.Root.Size,
		Platform: img.Root.Platform, ArtifactType: img.Root.ArtifactType, Annotations: names,
	}
}

// merge puts entries, which have names of their own, into an index: each takes
// the place of the one that has its name, or goes to the end. All else stays
// as it is.
func merge(local string, idx v1.Index, entries []v1.Descriptor) v1.Index {
	update := make(map[nameKey]v1.Descriptor)
	for _, d := range entries {
		update[keyOf(nameOf(local, d))] = d
	}
	placed := make(map[nameKey]bool)
	merged := []v1.Descriptor{}
	for _, d := range idx.Manifests {
		key := keyOf(nameOf(local, d))
		u, ok := update[key]
		switch {
		case !isImage(d.MediaType) || !ok:
			merged = append(merged, d)
		case !placed[key]:
			merged = append(merged, u)
			placed[key] = true
		}
	}
	for _, d := range entries {
		if key := keyOf(nameOf(local, d)); !placed[key] {
			merged = append(merged, d)
			placed[key] = true
		}
	}
	idx.Manifests = merged
	return idx
}
