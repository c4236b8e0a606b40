package layout_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/layout"
)

// FuzzTar takes bytes as an archive with a layout.
func FuzzTar(f *testing.F) {
	files := tarParts(f)
	var list []tarEntry
	for _, name := range []string{"oci-layout", "c", "l", "m", "index.json"} {
		list = append(list, tarEntry{tar.Header{Typeflag: tar.TypeReg, Name: files[name].name}, files[name].content})
	}
	whole := tarOfEntries(f, list)
	f.Add(whole)
	f.Add(whole[:len(whole)-2000])
	f.Add(tarOfEntries(f, list[3:]))
	f.Fuzz(checkTar)
}

// FuzzTarEntries builds a tar that is one from fuzz bytes, so that what is
// looked for is behind the tar's checksums. Each entry takes a byte for its
// name, one for its type or content, and perhaps a length and as many bytes.
func FuzzTarEntries(f *testing.F) {
	files := tarParts(f)
	names := []string{"oci-layout", "index.json", files["m"].name, files["c"].name, files["l"].name, "./index.json", "..", "", "blobs", "moved"}
	contents := [][]byte{
		files["oci-layout"].content, files["index.json"].content, files["m"].content, files["c"].content, files["l"].content,
		[]byte(`{}`), []byte(`{"schemaVersion":2,"manifests":[]}`), []byte(`{"imageLayoutVersion":"2"}`), nil,
	}
	f.Add([]byte{0, 0, 3, 3, 4, 4, 2, 2, 1, 1})      // a whole layout
	f.Add([]byte{0, 0, 1, 1})                        // one that is sparse
	f.Add([]byte{0, 0, 9, 1, 1, 100, 9, 2, 2})       // index.json is a link
	f.Add([]byte{0, 0, 2, 2, 1, 200, 2, '{', '}'})   // index.json from the bytes
	f.Add([]byte{0, 0, 1, 1, 5, 1})                  // two of index.json
	f.Add([]byte{0, 0, 1, 1, 2, 180, 4, 4, 3, 3, 3}) // a folder for the manifest
	f.Fuzz(func(t *testing.T, program []byte) {
		var list []tarEntry
		next := func() byte {
			if len(program) == 0 {
				return 0
			}
			b := program[0]
			program = program[1:]
			return b
		}
		for len(program) > 0 && len(list) < 64 {
			e := tarEntry{Header: tar.Header{Typeflag: tar.TypeReg, Name: names[int(next())%len(names)]}}
			switch b := next(); {
			case b >= 200:
				n := min(int(next()), len(program))
				e.content, program = program[:n], program[n:]
			case b >= 180:
				e.Typeflag = tar.TypeDir
			case b >= 150:
				e.Typeflag, e.Linkname = tar.TypeLink, names[int(next())%len(names)]
			case b >= 100:
				e.Typeflag, e.Linkname = tar.TypeSymlink, names[int(next())%len(names)]
			default:
				e.content = contents[int(b)%len(contents)]
			}
			list = append(list, e)
		}
		checkTar(t, tarOfEntries(t, list))
	})
}

type tarPart struct {
	name    string
	content []byte
}

// tarParts are the files of a small layout.
func tarParts(f *testing.F) map[string]tarPart {
	f.Helper()
	blob := func(b []byte, mediaType string) (tarPart, v1.Descriptor) {
		d := digest.FromBytes(b)
		return tarPart{"blobs/sha256/" + d.Encoded(), b}, v1.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(b))}
	}
	marshal := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	config, cd := blob([]byte("{}"), v1.MediaTypeImageConfig)
	layer, ld := blob([]byte("layer"), v1.MediaTypeImageLayer)
	subject := cd
	subject.MediaType = v1.MediaTypeImageManifest
	manifest, md := blob(marshal(v1.Manifest{Config: cd, Layers: []v1.Descriptor{ld}, Subject: &subject}), v1.MediaTypeImageManifest)
	md.Annotations = map[string]string{v1.AnnotationRefName: "1.0"}
	index := v1.Index{Manifests: []v1.Descriptor{md}}
	index.SchemaVersion = 2
	return map[string]tarPart{
		"oci-layout": {"oci-layout", marshal(v1.ImageLayout{Version: v1.ImageLayoutVersion})},
		"index.json": {"index.json", marshal(index)},
		"m":          manifest, "c": config, "l": layer,
	}
}

// checkTar holds for any input: opening and reading fail with a known kind, or
// what was read is true.
func checkTar(t *testing.T, data []byte) {
	t.Helper()
	known := func(err error) {
		t.Helper()
		for _, kind := range []error{fault.ErrDamaged, fault.ErrUnsupported, fault.ErrMissing, fault.ErrUsage} {
			if errors.Is(err, kind) && !errors.Is(err, io.EOF) {
				return
			}
		}
		t.Errorf("error of no kind: %v", err)
	}
	opened, err := layout.OpenTar(t.Context(), bytes.NewReader(data), int64(len(data)), "test")
	if err != nil {
		known(err)
		return
	}
	src := opened.(layout.Source)
	images, err := src.Images(t.Context(), "")
	if err != nil {
		known(err)
		return
	}
	for _, img := range images {
		if found, err := src.Images(t.Context(), img.Root.Digest.String()); err != nil || found[0].Root.Digest != img.Root.Digest {
			t.Errorf("%s is not found by its digest: %v", img.Name, err)
		}
		if _, err := src.Referrers(t.Context(), img, img.Root); err != nil {
			known(err)
		}
		if _, err := src.Lacks(t.Context(), img, img.Root); err != nil {
			known(err)
			continue
		}
		content, err := src.Manifest(t.Context(), img, img.Root)
		if err != nil {
			known(err)
			continue
		}
		if digest.FromBytes(content) != img.Root.Digest {
			t.Fatalf("manifest %s is another", img.Root.Digest)
		}
		m, err := transport.ParseManifest(img.Root.MediaType, content)
		if err != nil {
			known(err)
			continue
		}
		for _, d := range m.Layers {
			rc, err := src.Blob(t.Context(), img, d)
			if err != nil {
				known(err)
				continue
			}
			if n, err := io.Copy(io.Discard, rc); err != nil || n != d.Size {
				t.Errorf("layer %s: %d bytes, %v", d.Digest, n, err)
			}
			_ = rc.Close()
		}
	}
}
