package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle"
	"bale/bundle/index"
	"bale/bundle/pack"
	"bale/transport"
	"bale/verify/attack"
)

// trustMade is when most bases were made.
var trustMade = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// trustBase is a bundle, not signed, with one image of some hundred bytes.
type trustBase struct {
	name string
	o    bundle.WriterOptions
	// image is what the image is called; cosign, if not nil, returns the digest
	// that a signature of cosign's older form beside it is for.
	image  string
	cosign func(digest.Digest) digest.Digest
	posing bool // another image is there under the name of an attestation
}

func trustBases() []trustBase {
	at := func(year int, month time.Month, day int) time.Time {
		return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	}
	const team = "registry.example/team/tiny:1"
	never, over, far := at(9000, 1, 1), at(2026, 1, 2), at(2241, 1, 1)
	itself := func(d digest.Digest) digest.Digest { return d }
	another := func(digest.Digest) digest.Digest { return digest.FromString("another image") }
	list := []trustBase{
		{"edge", bundle.WriterOptions{Created: trustMade, Name: "edge", Sequence: 7, Expires: &never}, team, nil, false},
		{"expired", bundle.WriterOptions{Created: trustMade, Name: "edge", Sequence: 7, Expires: &over}, team, nil, false},
		{"unnamed", bundle.WriterOptions{Created: trustMade}, "registry.example:5000/team/tiny:1", nil, false},
		{"old", bundle.WriterOptions{Created: at(2001, 1, 1), Name: "edge", Sequence: 1}, "docker.io/library/tiny:1", nil, false},
		{"future", bundle.WriterOptions{Created: at(2240, 1, 1), Name: "edge", Sequence: 8}, team, nil, false},
		{"future-expires", bundle.WriterOptions{Created: at(2240, 1, 1), Name: "edge", Sequence: 8, Expires: &far}, team, nil, false},
		{"image-signed", bundle.WriterOptions{Created: trustMade, Name: "edge", Sequence: 7}, team, itself, false},
		{"image-signed-other", bundle.WriterOptions{Created: trustMade, Name: "edge", Sequence: 7}, team, another, false},
		{"image-posing", bundle.WriterOptions{Created: trustMade, Name: "edge", Sequence: 7}, team, itself, true},
	}
	for i := range list {
		o := &list[i].o
		o.ID, o.Creator, o.Level, o.Workers = [16]byte{0xba, 0x1e, byte(i)}, "bale test", pack.Default, 1
	}
	return list
}

// write makes the base and keeps it.
func (b trustBase) write(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	var out bytes.Buffer
	w, err := bundle.NewWriter(ctx, &out, b.o)
	if err != nil {
		t.Fatal(err)
	}
	add := func(data []byte, meta bool) ocispec.Descriptor {
		d := ocispec.Descriptor{Digest: digest.FromBytes(data), Size: int64(len(data))}
		if err := w.AddBlob(ctx, d.Digest, d.Size, bytes.NewReader(data), bundle.BlobOptions{Meta: meta}); err != nil {
			t.Fatal(err)
		}
		return d
	}
	// manifest adds an image with one layer.
	manifest := func(called, layerType string, layer, config []byte, annotations map[string]string) digest.Digest {
		m := ocispec.Manifest{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
			Config: add(config, true), Layers: []ocispec.Descriptor{add(layer, false)},
		}
		m.Config.MediaType, m.Layers[0].MediaType, m.Layers[0].Annotations = ocispec.MediaTypeImageConfig, layerType, annotations
		root := add(mustJSON(t, m), true)
		if err := w.AddImage(index.Image{Name: called, MediaType: m.MediaType, Digest: root.Digest, Size: root.Size}); err != nil {
			t.Fatal(err)
		}
		return root.Digest
	}
	c := newTiny(t, false)
	image := manifest(b.image, ocispec.MediaTypeImageLayer, c.layer, c.config, nil)
	if b.cosign != nil {
		const repository = "registry.example/team/tiny"
		payload := fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":%q},"image":{"docker-manifest-digest":%q},"type":"cosign container image signature"},"optional":null}`,
			repository, b.cosign(image))
		manifest(repository+":"+transport.AttachedTag(image, "sig"), "application/vnd.dev.cosign.simplesigning.v1+json", payload,
			mustJSON(t, ocispec.Image{RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(payload)}}}),
			map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(signRSA(t, payload))})
	}
	if b.posing {
		manifest("registry.example/team/tiny:"+transport.AttachedTag(image, "att"), ocispec.MediaTypeImageLayer, c.layer,
			bytes.Replace(c.config, []byte("amd64"), []byte("arm64"), 1), nil)
	}
	if _, err := w.Finish(ctx); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := attack.WriteNew(attack.BasePath(b.name), out.Bytes()); err != nil {
		t.Fatal(err)
	}
}

// rsaKey is bob's.
func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	data, err := os.ReadFile(testdata(t, "keys", "rsa.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	k, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func signRSA(t *testing.T, message []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(message)
	sig, err := rsa.SignPKCS1v15(rand.Reader, rsaKey(t), crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return sig
}
