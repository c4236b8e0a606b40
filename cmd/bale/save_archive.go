package main

import (
	"context"
	"errors"

	"bale/bundle/fault"
	"bale/transport"
)

// bundleFormat is what save writes unless it is told otherwise.
const bundleFormat = "bundle"

// archivePlaces are what else it writes, by --format.
var archivePlaces = map[string]*place{"docker-archive": dockerArchivePlace, "oci-archive": ociArchivePlace}

// checkArchive refuses what only makes sense for a bundle.
func (o *saveOptions) checkArchive() error {
	_, ok := archivePlaces[o.format]
	b := o.base
	switch {
	case !ok:
		return fault.Usage("--format %q is none of bundle, docker-archive, oci-archive", o.format)
	case o.out.path == "":
		return fault.WithHint(fault.Usage("no output file was given"), "for example: -o images.tar, or -o - for standard output")
	case !o.out.who.none():
		return fault.WithHint(fault.Usage("an archive of --format %s cannot be signed", o.format), "a bundle can: leave --format out")
	case len(b.bases) > 0 || b.trust.named() || o.receipt != "" || o.layers || o.place != (placeFlags{}) || o.out.expires.text != "":
		return fault.Usage("--base, --receipt, --layers, --name, --sequence and --expires are for bundles, not for --format %s", o.format)
	}
	return nil
}

// saveArchive writes what docker load, podman load, ctr images import and
// skopeo read.
func (a *app) saveArchive(ctx context.Context, o saveOptions, args []string, copying transport.Options) (err error) {
	m := a.progress()
	defer m.finish()
	src := a.sources(&o.conn, m)
	defer func() { err = errors.Join(err, src.close()) }()
	kind := archivePlaces[o.format]
	sink, err := kind.sink(ctx, &placing{app: a, conn: &o.conn, progress: m, force: o.out.force, platforms: copying.Platforms}, o.out.path, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sink.Close()) }()
	m.Phase("find images", 0)
	requests, err := a.requests(ctx, src, args)
	if err != nil {
		return err
	}
	copying.Progress, copying.SpoolDir, copying.Foreign = m, o.out.dir(), src.foreign
	plan, err := transport.Copy(ctx, requests, sink, copying)
	if err != nil {
		return err
	}
	m.finish()
	return a.wrote(kind.prefix+o.out.path, plan, sink.Properties(), nil, "saved")
}
