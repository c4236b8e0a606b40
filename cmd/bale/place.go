package main

import (
	"context"
	"io"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/archive"
	"bale/transport/containerd"
	"bale/transport/docker"
	"bale/transport/layout"
	"bale/transport/tarfile"
)

// place is a kind of place, as it is written in front of an image
// (containers-transports).
type place struct {
	prefix string
	// split takes what follows the prefix to pieces: which place, and which image
	// of it.
	split func(rest string) (at, selector string, err error)
	// whole is set if a place without a selector stands for all its images.
	whole bool
	// engine is set if --host says where it is.
	engine bool
	// refs is set if the selector of a place to write to is its sink's affair.
	refs   bool
	source func(ctx context.Context, p *placing, at string) (transport.Source, error)
	sink   func(ctx context.Context, p *placing, at, selector string) (transport.Sink, error)
}

// placing is what opening a place may need.
type placing struct {
	*app
	conn      *connection
	progress  transport.Progress
	dry       bool          // nothing will be written
	platforms []v1.Platform // that are asked for, at a target
	force     bool          // a file that is there may be replaced
}

// only is what is left of a place that is one: an engine, or all registries.
func only(rest string) (at, selector string, err error) { return "", rest, nil }

const (
	dockerPrefix = "docker-daemon:"
	podmanPrefix = "containers-storage:"
)

// The places, in the order in which help shows them.
var (
	registryPlace = &place{
		prefix: "docker://", split: only,
		source: func(ctx context.Context, p *placing, _ string) (transport.Source, error) {
			c, err := p.client(ctx)
			if err != nil {
				return nil, err
			}
			return c.Source(), nil
		},
		sink: func(ctx context.Context, p *placing, _, _ string) (transport.Sink, error) {
			c, err := p.client(ctx)
			if err != nil {
				return nil, err
			}
			return c.Sink(), nil
		},
	}
	enginePlace = enginePlaceOf(dockerPrefix, false)
	podmanPlace = enginePlaceOf(podmanPrefix, true)
	nodePlace   = &place{
		prefix: "containerd:", split: containerd.Split, whole: true,
		source: func(ctx context.Context, p *placing, at string) (transport.Source, error) {
			return containerd.NewSource(ctx, p.node(at))
		},
		sink: func(ctx context.Context, p *placing, at, _ string) (transport.Sink, error) {
			return containerd.NewSink(ctx, p.node(at))
		},
	}
	layoutPlace = &place{
		prefix: "oci:", split: layout.Split, whole: true, refs: true,
		source: func(_ context.Context, _ *placing, at string) (transport.Source, error) { return layout.Open(at) },
		sink: func(_ context.Context, _ *placing, at, selector string) (transport.Sink, error) {
			var opts []layout.Option
			if selector != "" {
				opts = append(opts, layout.WithRef(selector))
			}
			return layout.NewSink(at, opts...)
		},
	}
	ociArchivePlace = &place{
		prefix: "oci-archive:", split: layout.SplitArchive, whole: true, refs: true,
		source: func(ctx context.Context, p *placing, at string) (transport.Source, error) {
			in, err := p.stdinFor(at)
			if err != nil {
				return nil, err
			}
			return layout.OpenArchive(ctx, at, layout.Stdin(in))
		},
		sink: newOCIArchive,
	}
	dockerArchivePlace = &place{
		prefix: "docker-archive:", split: archive.Split, whole: true, refs: true,
		source: func(ctx context.Context, p *placing, at string) (transport.Source, error) {
			in, err := p.stdinFor(at)
			if err != nil {
				return nil, err
			}
			return archive.OpenFile(ctx, at, archive.Stdin(in))
		},
		sink: newDockerArchive,
	}
	places []*place
)

// init breaks a circle: what is near to a place only the list of all tells.
func init() {
	places = []*place{registryPlace, enginePlace, podmanPlace, nodePlace, layoutPlace, ociArchivePlace, dockerArchivePlace}
}

// placesHelp is shown where places are explained.
const placesHelp = `
  NAME, docker://NAME            a registry; bare names follow Docker's rules
  docker-daemon:NAME             a Docker engine
  containers-storage:NAME        Podman, through its socket
  containerd:NAMESPACE/NAME      containerd, such as a Kubernetes node's (k8s.io)
  oci:DIR[:REF]                  an OCI image layout
  oci-archive:FILE[:REF]         the same as a tar
  docker-archive:FILE[:REF]      what docker save writes
`

func enginePlaceOf(prefix string, podman bool) *place {
	return &place{
		prefix: prefix, split: only, engine: true,
		source: func(ctx context.Context, p *placing, _ string) (transport.Source, error) {
			o, err := p.engine(podman)
			if err != nil {
				return nil, err
			}
			return docker.NewSource(ctx, o)
		},
		sink: func(ctx context.Context, p *placing, _, _ string) (transport.Sink, error) {
			o, err := p.engine(podman)
			if err != nil {
				return nil, err
			}
			return docker.NewSink(ctx, o)
		},
	}
}

func (p *placing) engine(podman bool) (docker.Options, error) {
	host, err := p.conn.engine(podman)
	return docker.Options{Host: host, Podman: podman, Exported: p.progress.Add}, err
}

func (p *placing) node(namespace string) containerd.Options {
	return containerd.Options{Address: p.conn.containerd, Namespace: namespace, Snapshotter: p.conn.snapshotter}
}

// output is where an archive is written to.
func (p *placing) output(file string) (string, io.Writer, error) {
	switch {
	case p.dry:
		return tarfile.Stdin, io.Discard, nil
	case file != tarfile.Stdin:
		return file, nil, nil
	}
	w, err := p.takeStdout("an archive")
	return file, w, err
}

// stdinFor returns standard input if that is where a file is.
func (p *placing) stdinFor(file string) (io.Reader, error) {
	if file != tarfile.Stdin {
		return nil, nil
	}
	return p.takeStdin("an archive")
}

func newOCIArchive(_ context.Context, p *placing, at, selector string) (transport.Sink, error) {
	at, out, err := p.output(at)
	if err != nil {
		return nil, err
	}
	opts := []layout.Option{layout.Stdout(out)}
	if selector != "" {
		opts = append(opts, layout.WithRef(selector))
	}
	if len(p.platforms) == 1 {
		opts = append(opts, layout.Hybrid(p.platforms[0]))
	}
	if p.force {
		opts = append(opts, layout.Overwrite())
	}
	s, err := layout.NewArchiveSink(at, opts...)
	return s, existing(err)
}

func newDockerArchive(_ context.Context, p *placing, at, selector string) (transport.Sink, error) {
	at, out, err := p.output(at)
	if err != nil {
		return nil, err
	}
	opts := []archive.Option{archive.Stdout(out)}
	if selector != "" {
		opts = append(opts, archive.WithRef(selector))
	}
	if len(p.platforms) == 1 {
		opts = append(opts, archive.Platform(p.platforms[0]))
	}
	if p.force {
		opts = append(opts, archive.Overwrite())
	}
	s, err := archive.NewSink(at, opts...)
	return s, existing(err)
}

// isPlace reports whether an argument says what kind of place it is.
func isPlace(arg string) bool {
	return slices.ContainsFunc(places, func(p *place) bool { return strings.HasPrefix(arg, p.prefix) })
}

// splitPlace takes an argument to pieces. A bare name is a registry's.
func splitPlace(arg string) (p *place, at, selector string, err error) {
	for _, p := range places {
		if rest, ok := strings.CutPrefix(arg, p.prefix); ok {
			at, selector, err = p.split(rest)
			return p, at, selector, err
		}
	}
	switch {
	case strings.HasPrefix(arg, "dir:"):
		return nil, "", "", fault.WithHint(fault.Unsupported("%s: folders of skopeo's own form are not supported", arg), "write oci:DIR, which skopeo knows too")
	case strings.HasPrefix(arg, "bale:"):
		return nil, "", "", fault.WithHint(fault.Usage("%s: a bundle is no place to copy from, since it must be verified first", arg), "use bale load -i FILE")
	case strings.Contains(arg, "://"):
		return nil, "", "", fault.WithHint(fault.Usage("%q is not a place of images", arg),
			"registries are written docker://HOST/NAME, without http:// or https://")
	}
	return registryPlace, "", arg, noName(arg)
}
