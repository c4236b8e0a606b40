package tarfile_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"bale/bundle/fault"
	"bale/transport/tarfile"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// oneFile is a tar of one file.
func oneFile(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o644}))
	_, err := w.Write(content)
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	must(t, err)
	must(t, w.Close())
	return out.Bytes()
}

func zstdOf(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out)
	must(t, err)
	_, err = w.Write(b)
	must(t, err)
	must(t, w.Close())
	return out.Bytes()
}

func TestOpenFile(t *testing.T) {
	content := oneFile(t, "a", bytes.Repeat([]byte("content"), 100_000))
	for name, packed := range map[string][]byte{
		"plain": content, "gzip": gzipped(t, content), "zstd": zstdOf(t, content),
		"gzip of two parts": append(gzipped(t, content[:1000]), gzipped(t, content[1000:])...),
		"zstd of two parts": append(zstdOf(t, content[:1000]), zstdOf(t, content[1000:])...),
	} {
		path := filepath.Join(t.TempDir(), "a.tar")
		must(t, os.WriteFile(path, packed, 0o600))
		for form, open := range map[string]func() (*os.File, int64, error){
			"file": func() (*os.File, int64, error) { return tarfile.OpenFile(t.Context(), path, nil, "test") },
			"stream": func() (*os.File, int64, error) {
				return tarfile.OpenFile(t.Context(), "-", iotest.OneByteReader(bytes.NewReader(packed)), "test")
			},
		} {
			f, size, err := open()
			must(t, err)
			got := make([]byte, size)
			if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s, %s: %d bytes of other content, %v", name, form, size, err)
			}
			must(t, f.Close())
		}
	}
}

// A source that fails is no damaged archive.
func TestSpoolOfWhatFails(t *testing.T) {
	broken := errors.New("broken")
	content := oneFile(t, "a", bytes.Repeat([]byte("content"), 100_000))
	for name, packed := range map[string][]byte{"plain": content, "gzip": gzipped(t, content), "zstd": zstdOf(t, content)} {
		for _, n := range []int{0, 3, 100, len(packed) / 2} {
			_, _, err := tarfile.Spool(t.Context(), io.MultiReader(bytes.NewReader(packed[:n]), iotest.ErrReader(broken)), "test")
			if !errors.Is(err, broken) || errors.Is(err, fault.ErrDamaged) {
				t.Errorf("%s after %d bytes: %v, want it as it was", name, n, err)
			}
		}
	}
}

// A stream that asks for more memory to unpack than it may have is refused.
func TestWindow(t *testing.T) {
	// A frame with a window of 256 MiB and one empty block (RFC 8878, 3.1.1).
	packed := []byte("\x28\xb5\x2f\xfd\x00\x90\x01\x00\x00")
	if _, _, err := tarfile.Spool(t.Context(), bytes.NewReader(packed), "test"); !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("%v, want an ErrDamaged", err)
	}
	packed[5] = 0x80 // 64 MiB
	f, _, err := tarfile.Spool(t.Context(), bytes.NewReader(packed), "test")
	must(t, err)
	must(t, f.Close())
}

// Without room for the copy, it says where room is needed.
func TestSpoolWithoutRoom(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "nothing"))
	if _, _, err := tarfile.Spool(t.Context(), bytes.NewReader(oneFile(t, "a", nil)), "test"); err == nil {
		t.Error("it found room where there is no folder")
	}
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full")
	}
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	must(t, err)
	defer func() { _ = f.Close() }()
	_, err = tarfile.Unpack(t.Context(), f, bytes.NewReader(zstdOf(t, make([]byte, 1<<20))), "test")
	if err == nil || errors.Is(err, fault.ErrDamaged) || fault.Hint(err) == "" {
		t.Errorf("%v (%s), want an error with a hint", err, fault.Hint(err))
	}
}

// endless is a stream that never gives anything.
type endless struct{ wait chan struct{} }

func (e endless) Read([]byte) (int, error) { <-e.wait; return 0, io.EOF }

// Breaking off does not wait for whoever is to write into a pipe.
func TestSpoolDoesNotWait(t *testing.T) {
	wait := make(chan struct{})
	defer close(wait)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, _, err := tarfile.Spool(ctx, endless{wait}, "test")
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

func TestFind(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeReg, Name: "dir/file", Size: 7},
		{Typeflag: tar.TypeSymlink, Name: "dir/near", Linkname: "file"},
		{Typeflag: tar.TypeSymlink, Name: "far", Linkname: "/dir/near"},
		{Typeflag: tar.TypeLink, Name: "other/hard", Linkname: "dir/file"},
		{Typeflag: tar.TypeSymlink, Name: "dangling", Linkname: "nothing"},
		{Typeflag: tar.TypeSymlink, Name: "round", Linkname: "round"},
		{Typeflag: tar.TypeSymlink, Name: "out", Linkname: "../../dir/file"},
		{Typeflag: tar.TypeDir, Name: "dir/"},
		{Typeflag: tar.TypeFifo, Name: "pipe"},
	} {
		must(t, w.WriteHeader(&h))
		if h.Size > 0 {
			_, err := w.Write([]byte("content"))
			must(t, err)
		}
	}
	must(t, w.Close())
	tf, err := tarfile.Open(t.Context(), bytes.NewReader(b.Bytes()), int64(b.Len()), "test")
	must(t, err)
	for name, want := range map[string]struct {
		ok  bool
		err error
	}{
		"dir/file": {true, nil}, "./dir//file": {true, nil}, "/dir/../dir/file": {true, nil}, "dir/near": {true, nil}, "far": {true, nil},
		"other/hard": {true, nil}, "out": {true, nil}, "nothing": {false, nil}, "dangling": {false, nil},
		"round": {false, fault.ErrDamaged}, "dir": {false, fault.ErrDamaged}, "pipe": {false, fault.ErrDamaged},
	} {
		f, ok, err := tf.Find(name)
		if ok != want.ok || !errors.Is(err, want.err) {
			t.Errorf("%s: %t, %v; want %t, %v", name, ok, err, want.ok, want.err)
		}
		if !ok {
			continue
		}
		if got, err := io.ReadAll(tf.Section(f)); err != nil || string(got) != "content" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tarfile.Open(ended, bytes.NewReader(b.Bytes()), int64(b.Len()), "test"); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}
