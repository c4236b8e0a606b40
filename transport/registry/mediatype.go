package registry

import (
	"encoding/json"
	"mime"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// known are the media types of what a name may stand for.
var known = []string{
	v1.MediaTypeImageIndex,
	v1.MediaTypeImageManifest,
	transport.DockerIndex,
	transport.DockerManifest,
}

// oldArtifact is the type of a manifest for artifacts that the image spec had in
// drafts of its version 1.1 and took back.
const oldArtifact = "application/vnd.oci.artifact.manifest.v1+json"

// acceptable returns what to ask for: the known types, and others first.
func acceptable(others ...string) []string {
	var list []string
	for _, o := range others {
		if o != "" && !slices.Contains(known, o) {
			list = append(list, o)
		}
	}
	return append(list, known...)
}

// mediaTypeOf finds out what a manifest is: from the answer's Content-Type,
// which is how the distribution spec names it, else from the manifest itself,
// for some registries and mirrors serve plain "application/json".
func mediaTypeOf(contentType string, content []byte) (string, error) {
	header, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		header = ""
	}
	if slices.Contains(known, header) {
		return header, nil
	}
	var m struct {
		SchemaVersion int             `json:"schemaVersion"`
		MediaType     string          `json:"mediaType"`
		Config        json.RawMessage `json:"config"`
		Manifests     json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(content, &m); err != nil {
		return "", fault.Damaged("not a manifest but %s: %w", printable(contentType), err)
	}
	switch {
	case header == transport.DockerSchema1, header == transport.DockerSchema1Signed, m.SchemaVersion == 1:
		return "", fault.WithHint(
			fault.Unsupported("the image is in Docker's schema 1 format, which was given up in 2017"),
			"pull and push it with a current Docker or skopeo, which converts it")
	case header == oldArtifact, m.MediaType == oldArtifact:
		return "", fault.WithHint(
			fault.Unsupported("an artifact manifest (%s), which drafts of the OCI image spec had and the spec has not", oldArtifact),
			"attach it anew with a current tool: it makes an image manifest of it")
	case slices.Contains(known, m.MediaType):
		return m.MediaType, nil
	case m.MediaType == "" && m.Manifests != nil && m.Config == nil:
		return v1.MediaTypeImageIndex, nil
	case m.MediaType == "" && m.Config != nil && m.Manifests == nil:
		return v1.MediaTypeImageManifest, nil
	case m.MediaType == "":
		return "", fault.Unsupported("neither an image nor an index but %q", printable(header))
	}
	return "", fault.Unsupported("neither an image nor an index but %q", printable(m.MediaType))
}
