package transport_test

import (
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
)

// What could be run stands for itself, whatever it says it is attached to.
func TestAttachment(t *testing.T) {
	const simple = "application/vnd.dev.cosign.simplesigning.v1+json"
	to := digest.FromString("to")
	signature := transport.AttachedTag(to, "sig")
	manifest := func(config, layer string, subject digest.Digest) *transport.Manifest {
		return &transport.Manifest{Config: &v1.Descriptor{MediaType: config}, Layers: []v1.Descriptor{{MediaType: layer}}, Subject: subject}
	}
	for _, tt := range []struct {
		name, tag string
		m         *transport.Manifest
		attached  bool
	}{
		{"image", "1.0", manifest(v1.MediaTypeImageConfig, v1.MediaTypeImageLayerGzip, ""), false},
		{"cosign's signature", signature, manifest(v1.MediaTypeImageConfig, simple, ""), true},
		{"cosign's signature under another name", "1.0", manifest(v1.MediaTypeImageConfig, simple, ""), false},
		{"image under the name of a signature", signature, manifest(v1.MediaTypeImageConfig, v1.MediaTypeImageLayerZstd, ""), false},
		{"Docker's image under that name", signature, manifest(transport.DockerConfig, "application/vnd.docker.image.rootfs.diff.tar.gzip", ""), false},
		{"referrer", "", manifest("application/vnd.oci.empty.v1+json", "application/json", to), true},
		{"referrer with a tar", "", manifest("application/vnd.oci.empty.v1+json", v1.MediaTypeImageLayer, to), true},
		{"image that says it refers", "", manifest(v1.MediaTypeImageConfig, v1.MediaTypeImageLayer, to), false},
		{"image with a name that says it refers", "1.0", manifest(v1.MediaTypeImageConfig, v1.MediaTypeImageLayer, to), false},
		{"image with a name and another config", "1.0", manifest("application/json", v1.MediaTypeImageLayer, to), false},
		{"image with a name and no type of config", "1.0", manifest("", v1.MediaTypeImageLayer, to), false},
		{"image with a name and odd layers", "1.0", manifest("text/html", "application/x-anything", to), false},
		{"image with odd layers that says it refers", "1.0", manifest(v1.MediaTypeImageConfig, "application/x-anything", to), false},
		{"image with another config", "", manifest("application/octet-stream", v1.MediaTypeImageLayer, to), false},
		{"referrer with a name", "sbom", manifest("application/vnd.oci.empty.v1+json", "application/spdx+json", to), true},
		{"cosign's signature, another config", signature, manifest("application/octet-stream", simple, ""), true},
		{"index that says it refers", "", &transport.Manifest{Subject: to}, false},
		{"index under the name of a signature", signature, &transport.Manifest{}, false},
	} {
		i := transport.Image{Name: transport.Name{Domain: "registry.example", Path: "app", Tag: tt.tag}}
		got, ok := i.Attachment(tt.m)
		if ok != tt.attached || ok && got != to {
			t.Errorf("%s: attached %v to %q", tt.name, ok, got)
		}
	}
}
