package transport_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
	"bale/transport/conformance"
)

// unpacked is a source that has some layers unpacked.
type unpacked struct {
	transport.Source
	raw map[digest.Digest]string
}

func (s *unpacked) Local() bool { return true }

func (s *unpacked) RawSize(d v1.Descriptor) (int64, bool) {
	raw, ok := s.raw[d.Digest]
	return int64(len(raw)), ok
}

func (s *unpacked) OpenRaw(_ context.Context, _ transport.Image, d v1.Descriptor) (io.ReadCloser, error) {
	if s.raw[d.Digest] == "fails" {
		return nil, errBoom
	}
	return io.NopCloser(bytes.NewReader([]byte(s.raw[d.Digest]))), nil
}

// unpacker is a sink that wants layers unpacked.
type unpacker struct {
	discard
	mu  sync.Mutex
	got map[digest.Digest]string
}

func (s *unpacker) WriteRaw(ctx context.Context, d v1.Descriptor, size int64, _ []transport.Image, open transport.Opener) error {
	rc, err := open(ctx)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(rc)
	if int64(len(b)) != size {
		err = errBoom
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got[d.Digest] = string(b)
	return errors.Join(err, rc.Close())
}

// What a source has unpacked goes unpacked to a sink that wants it so, and all
// else as it is.
func TestRawLayers(t *testing.T) {
	lib := newLibrary(t)
	packed, empty, plain := lib.layer("packed"), lib.layer("packed nothing"), lib.layer("plain")
	img := lib.name(team+"/app:1", lib.image(amd64, packed, plain, empty))
	src := &unpacked{lib.Source(), map[digest.Digest]string{packed.Digest: "this is longer when it is unpacked", empty.Digest: ""}}
	for _, ordered := range []bool{false, true} {
		p := &steps{}
		s := newSpy(way{ordered: ordered})
		sink := &unpacker{discard: discard{s}, got: make(map[digest.Digest]string)}
		_, err := transport.Copy(t.Context(), all(src, img), sink, transport.Options{Progress: p})
		must(t, err)
		if len(sink.got) != 2 || sink.got[packed.Digest] != src.raw[packed.Digest] || sink.got[empty.Digest] != "" {
			t.Errorf("got %q", sink.got)
		}
		if written := s.of("blob"); len(written) != 2 || slices.Contains(written, packed.Digest) {
			t.Errorf("written as they are: %v", written)
		}
		if p.total != p.seen {
			t.Errorf("progress: %d of %d bytes", p.seen, p.total)
		}

		// A sink that does not ask gets the blob.
		var place conformance.Memory
		_, err = transport.Copy(t.Context(), all(src, img), s.sink(&place), transport.Options{})
		must(t, err)
		wantWhole(t, &place, &lib.Set, img)
	}

	src.raw[packed.Digest] = "fails"
	sink := &unpacker{discard: discard{newSpy(way{ordered: true})}, got: make(map[digest.Digest]string)}
	_, err := transport.Copy(t.Context(), all(src, img), sink, transport.Options{})
	var side *transport.Error
	if !errors.As(err, &side) || side.Side != transport.AtSource || side.Object != packed.Digest.String() || !errors.Is(err, errBoom) {
		t.Errorf("%v, want a failure of the source", err)
	}
}
