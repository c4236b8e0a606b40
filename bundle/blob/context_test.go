package blob_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"bale/bundle/blob"
)

func TestWithContext(t *testing.T) {
	content := []byte("some content")
	if err := iotest.TestReader(blob.WithContext(t.Context(), bytes.NewReader(content)), content); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := blob.WithContext(ctx, bytes.NewReader(content))
	if _, err := io.ReadFull(r, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	cancel()
	for range 2 {
		if n, err := r.Read(make([]byte, 4)); n != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("%d bytes, %v; want context.Canceled", n, err)
		}
	}
	broken := errors.New("broken")
	r = blob.WithContext(t.Context(), iotest.TimeoutReader(io.MultiReader(iotest.ErrReader(broken))))
	for range 2 {
		if _, err := r.Read(make([]byte, 4)); !errors.Is(err, broken) {
			t.Errorf("%v, want the first error again", err)
		}
	}
}
