package archive

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/commit"
	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/tarfile"
)

// writeLayer writes a layer, unpacked if old engines could not do that.
func (s *sink) writeLayer(ctx context.Context, d v1.Descriptor, images []transport.Image, open transport.Opener) error {
	if has, err := s.Has(ctx, d, images); has || err != nil {
		return err
	}
	rc, err := open(ctx)
	if err != nil {
		return fmt.Errorf("write blob %s to %s: %w", d.Digest, s.where, err)
	}
	defer func() { _ = rc.Close() }() // only read from; its end was reached or is of no use
	in := bufio.NewReader(rc)
	// A failure is told again to whoever reads on.
	if head, _ := in.Peek(tarfile.HeadSize); tarfile.Detect(head) != tarfile.Zstd {
		return s.Sink.WriteBlob(ctx, d, images, again(in))
	}
	f, raw, err := s.unpack(ctx, d, in)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it has no name and was read, or is of no use
	if err := s.Sink.WriteBlob(ctx, raw, images, again(io.NewSectionReader(f, 0, raw.Size))); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unpacked[d.Digest] = raw
	return nil
}

// again gives what was opened already.
func again(r io.Reader) transport.Opener {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(r), nil }
}

// unpack keeps what a layer unpacks to in a file, since its size must be known
// before it is written.
func (s *sink) unpack(ctx context.Context, d v1.Descriptor, r io.Reader) (*os.File, v1.Descriptor, error) {
	f, err := commit.Scratch("")
	if err != nil {
		return nil, v1.Descriptor{}, fmt.Errorf("%s: %w", s.where, err)
	}
	sum := digest.SHA256.Digester()
	size, err := tarfile.Unpack(ctx, io.MultiWriter(f, sum.Hash()), r, "layer "+d.Digest.String())
	if err != nil {
		_ = f.Close() // its content is of no use any more
		return nil, v1.Descriptor{}, err
	}
	return f, v1.Descriptor{MediaType: v1.MediaTypeImageLayer, Digest: sum.Digest(), Size: size}, nil
}

// diffIDs are what configs say their images' layers unpack to, by the digest of
// the config.
type diffIDs struct {
	mu    sync.Mutex
	known map[digest.Digest][]digest.Digest
	total int
}

// note reads a config.
func (l *diffIDs) note(config digest.Digest, content []byte) error {
	var c struct {
		RootFS v1.RootFS `json:"rootfs"`
	}
	if err := json.Unmarshal(content, &c); err != nil {
		return fault.Damaged("config %s: %w", config, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total += len(c.RootFS.DiffIDs); l.total > transport.MaxNodes {
		return fault.Unsupported("configs list more than %d layers", transport.MaxNodes)
	}
	if l.known == nil {
		l.known = make(map[digest.Digest][]digest.Digest)
	}
	l.known[config] = c.RootFS.DiffIDs
	return nil
}

func (l *diffIDs) of(config digest.Digest) []digest.Digest {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known[config]
}
