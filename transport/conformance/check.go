package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// sameManifest compares a manifest of a source with the set's.
func sameManifest(ctx context.Context, src transport.Source, want *Set, img transport.Image, d v1.Descriptor) error {
	got, err := src.Manifest(ctx, img, d)
	if err != nil {
		return fmt.Errorf("%s: manifest %s: %w", img.Name, d.Digest, err)
	}
	if !bytes.Equal(got, want.Content[d.Digest]) {
		return fmt.Errorf("%s: manifest %s: other bytes: %q", img.Name, d.Digest, got)
	}
	return nil
}

// sameBlob compares a blob of a source with the set's.
func sameBlob(ctx context.Context, src transport.Source, want *Set, img transport.Image, d v1.Descriptor) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: blob %s: %w", img.Name, d.Digest, err)
		}
	}()
	rc, err := src.Blob(ctx, img, d)
	if err != nil {
		return err
	}
	defer func() { _ = rc.Close() }()
	got, err := io.ReadAll(rc)
	if err != nil {
		return err
	}
	if w := want.Content[d.Digest]; !bytes.Equal(got, w) {
		return fmt.Errorf("%d bytes that differ from the %d that were written", len(got), len(w))
	}
	return nil
}

// sameImage compares an image of a source, found by its name, with the set's:
// the root and every object under it.
func sameImage(t *testing.T, src transport.Source, want *Set, img transport.Image) {
	t.Helper()
	found, err := src.Images(t.Context(), img.Name.String())
	if err != nil {
		t.Errorf("find %s: %v", img.Name, err)
		return
	}
	if g, w := roots(found), roots([]transport.Image{img}); !slices.Equal(g, w) {
		t.Errorf("found %v, want %v", g, w)
		return
	}
	g := want.Graph(t, img)
	for _, d := range g.Manifests {
		if err := sameManifest(t.Context(), src, want, found[0], d); err != nil {
			t.Error(err)
		}
	}
	for _, d := range g.Blobs() {
		if err := sameBlob(t.Context(), src, want, found[0], d); err != nil {
			t.Error(err)
		}
	}
}

// roots lists images and their roots, one string each, sorted.
func roots(images []transport.Image) []string {
	s := make([]string, 0, len(images))
	for _, img := range images {
		s = append(s, fmt.Sprintf("%s = %s %s %d", img.Name, img.Root.MediaType, img.Root.Digest, img.Root.Size))
	}
	slices.Sort(s)
	return s
}

// sameLines fails the test unless two sorted lists are the same, and tells in
// what they differ.
func sameLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	missing := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return slices.Contains(got, s) })
	more := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return slices.Contains(want, s) })
	t.Errorf("%s %d of %d; missing:\n%s\ntoo many:\n%s", what, len(got), len(want), strings.Join(missing, "\n"), strings.Join(more, "\n"))
}

func wantMissing(t *testing.T, what string, do func() error) {
	t.Helper()
	if err := do(); !errors.Is(err, fault.ErrMissing) {
		t.Errorf("%s: %v, want an ErrMissing", what, err)
	}
}
