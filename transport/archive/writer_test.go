package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
)

func descOf(s string) v1.Descriptor {
	return v1.Descriptor{Digest: digest.FromString(s), Size: int64(len(s))}
}

func TestWriter(t *testing.T) {
	layer := layerOf(t, "f", "content")
	packed, config := gzipped(t, layer), configOf(t, layer)
	write := func() []byte {
		var b bytes.Buffer
		w := NewWriter(&b)
		for _, s := range []string{packed, config, packed} { // a blob twice is written once
			if err := w.WriteBlob(descOf(s), strings.NewReader(s)); err != nil {
				t.Fatal(err)
			}
		}
		if !w.Has(descOf(packed).Digest) || w.Has(descOf(layer).Digest) {
			t.Error("Has is wrong")
		}
		it := Item{Config: w.Name(descOf(config).Digest), RepoTags: []string{"docker.io/library/app:1"}, Layers: []string{w.Name(descOf(packed).Digest)}}
		if err := w.Close([]Item{it}); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	out := write()
	if !bytes.Equal(out, write()) {
		t.Error("a second archive has other bytes")
	}

	var names []string
	for tr := tar.NewReader(bytes.NewReader(out)); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
	if want := []string{"blobs/sha256/" + digest.FromString(packed).Encoded(), "blobs/sha256/" + digest.FromString(config).Encoded(), "manifest.json"}; !slices.Equal(names, want) {
		t.Errorf("entries %v, want %v", names, want)
	}

	a, err := open(out)
	if err != nil {
		t.Fatal(err)
	}
	m := a.Images()[0]
	if m.ID != digest.FromString(config) || !slices.Equal(m.Tags, []string{"docker.io/library/app:1"}) {
		t.Errorf("image %s %v", m.ID, m.Tags)
	}
	if _, err := m.Manifest(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWriterEmpty(t *testing.T) {
	var b bytes.Buffer
	if err := NewWriter(&b).Close(nil); err != nil {
		t.Fatal(err)
	}
	if a, err := open(b.Bytes()); err != nil || len(a.Images()) != 0 {
		t.Errorf("%v, %v", a, err)
	}
}

func TestWriterBadContent(t *testing.T) {
	d := descOf("content")
	bad := errors.New("bad content")
	for _, c := range []struct {
		name string
		r    io.Reader
		want error
	}{
		{"short", strings.NewReader("conten"), fault.ErrDamaged},
		{"long", strings.NewReader("content!"), tar.ErrWriteTooLong},
		{"fails", io.MultiReader(strings.NewReader("con"), iotest.ErrReader(bad)), bad},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := NewWriter(io.Discard)
			if err := w.WriteBlob(d, c.r); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if w.Has(d.Digest) {
				t.Error("counts as written")
			}
		})
	}
}

// TestWriterFull writes to something that takes only so much.
func TestWriterFull(t *testing.T) {
	full := errors.New("full")
	for room := 0; room < 3*512; room += 256 {
		w := NewWriter(&limited{left: room, err: full})
		err := w.WriteBlob(descOf("content"), strings.NewReader("content"))
		if err == nil {
			err = w.Close(nil)
		}
		if !errors.Is(err, full) {
			t.Errorf("room for %d bytes: %v", room, err)
		}
	}
}

type limited struct {
	left int
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if n < len(p) {
		return n, l.err
	}
	return n, nil
}
