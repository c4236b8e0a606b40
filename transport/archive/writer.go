package archive

import (
	"archive/tar"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport/savelist"
)

// Writer writes a docker-archive front to back. The same calls give the same
// bytes. It is not safe for concurrent use, and of no use after an error.
type Writer struct {
	tw      *tar.Writer
	written map[digest.Digest]string // names of entries
}

// NewWriter returns a Writer to w, which it does not close.
func NewWriter(w io.Writer) *Writer {
	return &Writer{tw: tar.NewWriter(w), written: map[digest.Digest]string{}}
}

// name returns the name of a blob's entry.
func name(d digest.Digest) string {
	return v1.ImageBlobsDir + "/" + d.Algorithm().String() + "/" + d.Encoded()
}

// WriteBlob adds a layer or config, whose content r must verify: it has to end
// with an error where it is not exactly d's. A blob that was written already
// is not written again, and r is not read then.
func (w *Writer) WriteBlob(d v1.Descriptor, r io.Reader) error {
	return w.write(d.Digest, name(d.Digest), d.Size, r)
}

// WriteRaw adds the layer d unpacked, in place of WriteBlob: size bytes, which
// are the caller's to verify.
func (w *Writer) WriteRaw(d v1.Descriptor, size int64, r io.Reader) error {
	// Not under a name that says what digest the content has.
	return w.write(d.Digest, name(d.Digest)+".tar", size, r)
}

func (w *Writer) write(d digest.Digest, name string, size int64, r io.Reader) error {
	if w.Has(d) {
		return nil
	}
	if err := w.header(name, size); err != nil {
		return err
	}
	n, err := io.Copy(w.tw, r)
	if err != nil {
		return fmt.Errorf("docker-archive: write %s: %w", d, err)
	}
	if n != size {
		return fault.Damaged("docker-archive: write %s: %d bytes came, not %d", d, n, size)
	}
	w.written[d] = name
	return nil
}

// Has reports whether a blob was written.
func (w *Writer) Has(d digest.Digest) bool { return w.Name(d) != "" }

// Name returns the name of a blob's entry, as an [Item] has it, or "" if it was
// not written.
func (w *Writer) Name(d digest.Digest) string { return w.written[d] }

// Close adds manifest.json, without which an archive is none, and ends the tar.
func (w *Writer) Close(items []Item) error {
	b, err := savelist.Marshal(items)
	if err != nil {
		return err
	}
	if err := w.file(savelist.Name, b); err != nil {
		return err
	}
	return w.end()
}

func (w *Writer) file(name string, b []byte) error {
	if err := w.header(name, int64(len(b))); err != nil {
		return err
	}
	if _, err := w.tw.Write(b); err != nil {
		return fmt.Errorf("docker-archive: write %s: %w", name, err)
	}
	return nil
}

func (w *Writer) end() error {
	if err := w.tw.Close(); err != nil {
		return fmt.Errorf("docker-archive: write end: %w", err)
	}
	return nil
}

func (w *Writer) header(name string, size int64) error {
	err := w.tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644})
	if err != nil {
		return fmt.Errorf("docker-archive: write %s: %w", name, err)
	}
	return nil
}
