package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"

	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/archive"
	"bale/transport/bale"
	"bale/transport/tarfile"
)

// input is what load reads: a bundle, or an archive of images that is none.
type input struct {
	bundle *bale.File       // of which nothing is believed yet
	images transport.Source // nil if it is a bundle
}

// openInput opens a file to load from; the path - is standard input.
func (a *app) openInput(ctx context.Context, path string) (*input, error) {
	if path != tarfile.Stdin {
		file, err := a.openFile(ctx, path)
		if !errors.Is(err, fault.ErrDamaged) {
			return &input{bundle: file}, err
		}
		// No bundle, or a damaged one: unless it is an archive, that is told.
		src, aerr := a.openArchive(ctx, path)
		if aerr == nil || ctx.Err() != nil {
			return &input{images: src}, aerr
		}
		if f, ferr := os.Open(path); ferr == nil && errors.Is(aerr, fault.ErrDamaged) {
			defer func() { _ = f.Close() }() // only read from
			if beginsLikeArchive(f) {
				return nil, aerr
			}
		}
		return nil, err
	}
	in, err := a.takeStdin("a bundle")
	if err != nil {
		return nil, err
	}
	f, size, err := tarfile.Spool(ctx, in, stdinName)
	if err != nil {
		return nil, err
	}
	src, aerr := openImages(ctx, f, size, stdinName)
	switch {
	case aerr == nil:
		return &input{images: src}, nil
	case errors.Is(aerr, fault.ErrDamaged) && beginsLikeArchive(f):
		_ = f.Close() // only read from
		return nil, aerr
	}
	file, err := bale.FromFile(ctx, f, stdinName)
	return &input{bundle: file}, err
}

// beginsLikeArchive tells an archive that was cut from what never was one: a
// compressed file, or a tar whose first entry is not a bundle's.
func beginsLikeArchive(r io.ReaderAt) bool {
	head := make([]byte, tarBlock)
	n, err := r.ReadAt(head, 0)
	if err != nil {
		return false
	}
	if tarfile.Detect(head[:n]) != tarfile.None {
		return true
	}
	hdr, err := tar.NewReader(bytes.NewReader(head)).Next()
	return err == nil && hdr.Name != container.HeaderName
}

// tarBlock is the size of a tar's header.
const tarBlock = 512

// openArchive opens an archive of images. What has a bundle's header is none,
// whatever else is in it: a bundle that is damaged must not pass for something
// that need not be signed.
func (a *app) openArchive(ctx context.Context, path string) (transport.Source, error) {
	f, size, err := tarfile.OpenFile(ctx, path, nil, path)
	if err != nil {
		return nil, err
	}
	src, err := openImages(ctx, f, size, path)
	if err != nil {
		_ = f.Close() // only read from
	}
	return src, err
}

func openImages(ctx context.Context, f *os.File, size int64, where string) (transport.Source, error) {
	t, err := tarfile.Open(ctx, f, size, where)
	if err != nil {
		return nil, err
	}
	if t.Has(container.HeaderName) {
		return nil, fault.Damaged("%s: a bundle", where)
	}
	return archive.Images(ctx, f, size, where)
}
