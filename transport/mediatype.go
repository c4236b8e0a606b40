package transport

import v1 "github.com/opencontainers/image-spec/specs-go/v1"

// Docker's media types (distribution, "Image Manifest Version 2, Schema 2"),
// and schema 1, which is refused.
const (
	DockerIndex           = "application/vnd.docker.distribution.manifest.list.v2+json"
	DockerManifest        = "application/vnd.docker.distribution.manifest.v2+json"
	DockerConfig          = "application/vnd.docker.container.image.v1+json"
	DockerSchema1         = "application/vnd.docker.distribution.manifest.v1+json"
	DockerSchema1Signed   = "application/vnd.docker.distribution.manifest.v1+prettyjws"
	dockerForeignLayer    = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
	nondistributable      = "application/vnd.oci.image.layer.nondistributable.v1.tar"
	nondistributableGzip  = nondistributable + "+gzip"
	nondistributableZstd  = nondistributable + "+zstd"
	unknownPlatformMarker = "unknown" // os and architecture of attestations in an index
)

// IsIndex reports whether a media type is that of an image index.
func IsIndex(mediaType string) bool {
	return mediaType == v1.MediaTypeImageIndex || mediaType == DockerIndex
}

// IsManifest reports whether a media type is that of an image manifest.
func IsManifest(mediaType string) bool {
	return mediaType == v1.MediaTypeImageManifest || mediaType == DockerManifest
}

// isSchema1 reports whether a media type is that of a manifest of the first
// schema, which is no content that a digest names.
func isSchema1(mediaType string) bool {
	return mediaType == DockerSchema1 || mediaType == DockerSchema1Signed
}

// IsConfig reports whether a media type is that of a container image's config.
func IsConfig(mediaType string) bool {
	return mediaType == v1.MediaTypeImageConfig || mediaType == DockerConfig
}

// CanRun reports whether an engine could run what has a config of a media type.
// Docker's takes more than images have, since registries were wrong about it (moby,
// daemon/internal/distribution/registry.go).
func CanRun(mediaType string) bool {
	switch mediaType {
	case "", "application/octet-stream", "application/json", "text/html":
		return true
	}
	return IsConfig(mediaType)
}

// IsForeign reports whether a media type is that of a layer which registries
// do not keep, because its publisher forbids to distribute it.
func IsForeign(mediaType string) bool {
	switch mediaType {
	case dockerForeignLayer, nondistributable, nondistributableGzip, nondistributableZstd:
		return true
	}
	return false
}
