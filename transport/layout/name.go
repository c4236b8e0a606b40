package layout

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
)

var tagPattern = regexp.MustCompile(`^` + reference.TagRegexp.String() + `$`)

// nameOf returns what an entry of index.json is called: by its containerd name
// or its ref.name if that is a full name; else as podman names what it finds
// on the local machine, local:tag or, without any name, local@digest.
func nameOf(local string, d v1.Descriptor) transport.Name {
	ref := d.Annotations[v1.AnnotationRefName]
	for _, s := range []string{d.Annotations[annotationName], ref} {
		n, ok := fullName(s)
		if !ok {
			continue
		}
		// A digest in a name that is not the entry's would be a lie: an index
		// may have been resolved to one platform when it was copied here.
		if n.Digest != d.Digest {
			n.Digest = ""
		}
		return n.WithDigest(d.Digest)
	}
	n := transport.Name{Domain: "localhost", Path: local}
	if tagPattern.MatchString(ref) {
		n.Tag = ref
	}
	return n.WithDigest(d.Digest)
}

// fullName reads s as an image's full name by Docker's rules. A mere tag or
// digest is none, although those rules would take it for a repository.
func fullName(s string) (transport.Name, bool) {
	if _, err := digest.Parse(s); err == nil || !strings.ContainsAny(s, "/:@") {
		return transport.Name{}, false
	}
	n, err := transport.ParseName(s)
	return n, err == nil
}

// archiveSuffixes are what a file's name ends in that says only what it is.
var archiveSuffixes = []string{".gz", ".zst", ".tgz", ".tar", ".oci"}

// LocalRepository is the repository of images in an archive that have no more
// than a tag: the file's name without what says only that it is one.
func LocalRepository(file string) string {
	base := filepath.Base(file)
	for _, suffix := range archiveSuffixes {
		base = strings.TrimSuffix(base, suffix)
	}
	return component(base)
}

// localRepository is the repository of images in a folder that have no more
// than a tag: the folder's name.
func localRepository(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return component(filepath.Base(dir))
}

// component makes a name fit the grammar of a repository's path component
// (distribution/reference).
func component(name string) string {
	var b strings.Builder
	var sep string
	for _, r := range strings.ToLower(name) {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			sep += string(r)
			continue
		}
		if b.Len()+len(sep) >= maxLocalName {
			break
		}
		if b.Len() > 0 {
			b.WriteString(separator(sep))
		}
		sep = ""
		b.WriteRune(r)
	}
	if b.Len() == 0 {
		return noName
	}
	return b.String()
}

// noName is the repository of images in a layout whose own name makes none.
const noName = "layout"

// separator returns s if it may stand between two words of a path component,
// else what may.
func separator(s string) string {
	switch {
	case s == "", s == ".", s == "_", s == "__", strings.Trim(s, "-") == "":
		return s
	}
	return "-"
}

// nameKey is equal for images that cannot be told apart by name: the same
// repository and tag or, where there is no tag, digest.
type nameKey struct {
	repository, tag string
	digest          digest.Digest
}

func keyOf(n transport.Name) nameKey {
	k := nameKey{repository: n.Repository(), tag: n.Tag}
	if n.Tag == "" {
		k.digest = n.Digest
	}
	return k
}
