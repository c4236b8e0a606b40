package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"bale/bundle/fault"
	"bale/transport"
)

type probeOptions struct {
	conn   connection
	images imageFlags
}

func newProbe(a *app) *cobra.Command {
	var o probeOptions
	c := &cobra.Command{
		Use:   "probe FILE|IMAGE...",
		Short: "Take gzip layers apart without saving them, and show how well that goes",
		Long: `Take gzip streams apart and rebuild them, as save and load would, and show for each
which model of a compressor fits, where it predicts wrongly, how many bytes of
corrections that takes, whether the rebuilt bytes are the same, and how long it
took. Nothing is written, and nothing that was found out before is used. One layer
comes after the other, so that the times tell what one core does.

An argument that is the path of a file is that file: a layer, or any other .gz. All
others are images, given as for save. save keeps a layer as it came where nothing
fits, and where taking it apart saves less than 5 %.`,
		Example: "  bale probe rootfs.tar.gz\n  bale probe nginx:1.27 oci:build/out\n  bale probe --json docker://nginx:1.27",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.probe(cmd.Context(), o, args) },
	}
	o.conn.add(c)
	o.images.addPlatform(c, "probe only `OS/ARCH[/VARIANT]` of each image; may be given several times")
	a.jsonFlag(c)
	return c
}

func (a *app) probe(ctx context.Context, o probeOptions, args []string) (err error) {
	copying, err := o.images.options()
	if err != nil {
		return err
	}
	m := a.progress()
	defer m.finish()
	out := []probed{}
	var images []string
	for _, arg := range args {
		isFile, err := isFile(arg)
		if err != nil {
			return err
		}
		if !isFile {
			images = append(images, arg)
			continue
		}
		one, err := probeFile(ctx, arg, m)
		if err != nil {
			return err
		}
		out = append(out, one)
	}
	if len(images) > 0 {
		src := a.sources(&o.conn, m)
		defer func() { err = errors.Join(err, src.close()) }()
		m.Phase("find images", 0)
		requests, err := a.requests(ctx, src, images)
		if err != nil {
			return err
		}
		sink := &probeSink{found: make(map[digest.Digest]probed)}
		copying.Progress, copying.Workers, copying.NoReferrers = m, 1, true
		_, err = transport.Copy(ctx, requests, sink, copying)
		if err != nil {
			return err
		}
		out = append(out, sink.layers...)
	}
	m.finish()
	return a.result(struct {
		Layers []probed `json:"layers"`
	}{out}, func(w io.Writer) {
		for _, p := range out {
			p.print(w)
		}
	})
}

// isFile tells a file from an image. What looks like a path is no image.
func isFile(arg string) (bool, error) {
	fi, err := os.Stat(arg)
	switch {
	case err == nil && fi.Mode().IsRegular():
		return true, nil
	case err == nil && fi.IsDir():
		return false, fault.WithHint(fault.Usage("%s is a folder", arg), "a layout's images are written oci:%s", arg)
	case err == nil:
		return false, fault.Usage("%s is not a regular file, and it is read twice", arg)
	case strings.HasPrefix(arg, "/") || strings.HasPrefix(arg, "."):
		if errors.Is(err, fs.ErrNotExist) {
			return false, fault.Missing("%s: %w", arg, fs.ErrNotExist)
		}
		return false, err
	}
	return false, nil
}

func probeFile(ctx context.Context, path string, m *meter) (probed, error) {
	f, err := os.Open(path)
	if err != nil {
		return probed{}, err
	}
	defer func() { _ = f.Close() }() // only read from
	fi, err := f.Stat()
	if err != nil {
		return probed{}, err
	}
	phases := []string{"analyse", "rebuild"} // one for each time that it is read
	p, err := takeApart(ctx, fi.Size(), func(context.Context) (io.ReadCloser, error) {
		if len(phases) > 0 {
			m.Phase(phases[0], fi.Size())
			phases = phases[1:]
		}
		return io.NopCloser(told{io.NewSectionReader(f, 0, fi.Size()), m}), nil
	})
	p.Name = path
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return p, err
}

// told tells of what is read.
type told struct {
	r io.Reader
	p transport.Progress
}

func (t told) Read(b []byte) (int, error) {
	n, err := t.r.Read(b)
	t.p.Add(int64(n))
	return n, err
}

// probeSink is a place that takes layers apart and keeps nothing. It only
// prepares them: so each is fetched once.
type probeSink struct {
	layers []probed // in the plan's order

	mu    sync.Mutex
	found map[digest.Digest]probed
}

var _ transport.Preparing = (*probeSink)(nil)

// Properties implements [transport.Sink].
func (s *probeSink) Properties() transport.Properties { return transport.Properties{Ordered: true} }

// Holds implements [transport.Sink].
func (s *probeSink) Holds(context.Context, transport.Image, []byte) (bool, error) { return false, nil }

// Has implements [transport.Sink]: of configs there is nothing to find out.
func (s *probeSink) Has(_ context.Context, d v1.Descriptor, _ []transport.Image) (bool, error) {
	return transport.IsConfig(d.MediaType), nil
}

// Prepares implements [transport.Preparing].
func (s *probeSink) Prepares(d v1.Descriptor) bool { return !transport.IsConfig(d.MediaType) }

// Prepare implements [transport.Preparing].
func (s *probeSink) Prepare(ctx context.Context, d v1.Descriptor, open transport.Opener) error {
	p, err := takeApart(ctx, d.Size, open)
	if err != nil {
		return err
	}
	p.Name = d.Digest.String()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found[d.Digest] = p
	return nil
}

// WriteBlob implements [transport.Sink].
func (s *probeSink) WriteBlob(_ context.Context, d v1.Descriptor, _ []transport.Image, _ transport.Opener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.found[d.Digest]; ok {
		s.layers = append(s.layers, p)
	}
	return nil
}

// WriteManifest implements [transport.Sink].
func (s *probeSink) WriteManifest(context.Context, v1.Descriptor, []transport.Image, []byte) error {
	return nil
}

// Commit implements [transport.Sink].
func (s *probeSink) Commit(context.Context, []transport.Image) error { return nil }

// Close implements [transport.Sink].
func (s *probeSink) Close() error { return nil }
