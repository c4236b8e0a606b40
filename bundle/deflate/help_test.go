package deflate

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// realLayers returns the paths of gzip layers that real tools made.
func realLayers(t testing.TB) []string {
	t.Helper()
	found, err := filepath.Glob("../../testdata/images/*/blobs/sha256/*")
	if err != nil {
		t.Fatal(err)
	}
	var layers []string
	for _, name := range found {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		var magic [3]byte
		_, err = io.ReadFull(f, magic[:])
		_ = f.Close()
		if err == nil && isMember(magic[:]) {
			layers = append(layers, name)
		}
	}
	// and whatever a developer offers
	more, err := filepath.Glob(os.Getenv("BALE_TEST_LAYERS"))
	if err != nil {
		t.Fatal(err)
	}
	if layers = append(layers, more...); len(layers) == 0 {
		t.Fatal("no layers to test with")
	}
	return layers
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func gunzip(t testing.TB, gz []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(gz))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
