//go:build ignore

package main

import (
	"bytes"
	"compress/gzip"
	_ "crypto/sha256" // for go-digest
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// part is one layer of an image and what it says about itself.
type part struct {
	what  string
	layer layer
	gzip  bool
}

// layout is an image layout on its way to dir.
type layout struct {
	dir  string
	tops v1.Index
}

func newLayout(dir string) (*layout, error) {
	l := &layout{dir: dir, tops: v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex}}
	return l, os.MkdirAll(filepath.Join(dir, v1.ImageBlobsDir, "sha256"), 0o755)
}

func (l *layout) blob(mediaType string, data []byte) v1.Descriptor {
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	must(os.WriteFile(filepath.Join(l.dir, v1.ImageBlobsDir, "sha256", d.Digest.Encoded()), data, 0o644))
	return d
}

func (l *layout) json(mediaType string, v any) v1.Descriptor {
	b, err := json.Marshal(v)
	must(err)
	return l.blob(mediaType, b)
}

func (l *layout) image(p v1.Platform, parts ...part) v1.Descriptor {
	c := v1.Image{Created: &epoch, Platform: p}
	c.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	c.Config.Cmd = []string{"/bin/sh"}
	c.RootFS.Type = "layers"
	m := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest}
	for _, part := range parts {
		raw := part.layer.tar()
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, digest.FromBytes(raw))
		c.History = append(c.History, v1.History{Created: &epoch, CreatedBy: "testdata/images/make.sh", Comment: part.what})
		if part.gzip {
			m.Layers = append(m.Layers, l.blob(v1.MediaTypeImageLayerGzip, pack(raw)))
		} else {
			m.Layers = append(m.Layers, l.blob(v1.MediaTypeImageLayer, raw))
		}
	}
	m.Config = l.json(v1.MediaTypeImageConfig, c)
	d := l.json(v1.MediaTypeImageManifest, m)
	d.Platform = &p
	return d
}

func (l *layout) index(children []v1.Descriptor) v1.Descriptor {
	return l.json(v1.MediaTypeImageIndex, v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex, Manifests: children,
	})
}

func (l *layout) name(name string, root v1.Descriptor) {
	root.Annotations = map[string]string{v1.AnnotationRefName: name, "io.containerd.image.name": name}
	l.tops.Manifests = append(l.tops.Manifests, root)
}

func (l *layout) close() error {
	for file, v := range map[string]any{
		v1.ImageLayoutFile: v1.ImageLayout{Version: v1.ImageLayoutVersion},
		v1.ImageIndexFile:  l.tops,
	} {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(l.dir, file), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pack compresses as image builders do: Go's gzip at its default level.
func pack(raw []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(raw)
	must(err)
	must(w.Close())
	return b.Bytes()
}
