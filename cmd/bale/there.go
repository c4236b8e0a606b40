package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/bale"
)

// thereFlags say where a bundle was loaded, to look whether it is there.
type thereFlags struct {
	place  string
	conn   connection
	images imageFlags
}

func (f *thereFlags) add(c *cobra.Command) {
	f.conn.add(c)
	f.images.add(c)
	f.images.addUploads(c)
	c.Flags().Lookup("max-concurrent-uploads").Usage = "how many blobs are read at the place at a time"
	c.Flags().StringVar(&f.place, "at", "", "read `PLACE` too, where the bundle was loaded (see bale load --to), and check that all of it is there")
}

// proven is what was found at a place.
type proven struct {
	Place string `json:"place"`
	counts
	Blobs int   `json:"blobs"`
	Size  int64 `json:"size"`
	// Manifests is set if the place keeps manifests, so that digests are the same.
	Manifests bool `json:"digests"`
}

func (p *proven) print(w io.Writer) {
	same := "every digest the same"
	if !p.Manifests {
		same = "every image id the same"
	}
	fmt.Fprintf(w, "%s: all is there: %s, %s (%s), %s\n", p.Place, p.counts, count(p.Blobs, "blob"), size(p.Size), same)
}

// verifyThere checks that the images of a bundle are at the place, if there is
// one.
func (a *app) verifyThere(ctx context.Context, f thereFlags, r *bundle.Reader, m *meter) (_ *proven, err error) {
	if f.place == "" {
		return nil, nil
	}
	o, err := f.images.options()
	if err != nil {
		return nil, err
	}
	// Nothing is written, but what a place can keep its sink knows best.
	to, err := openTarget(ctx, f.place, &placing{app: a, conn: &f.conn, progress: m, dry: true}, false)
	if err != nil {
		return nil, err
	}
	properties := to.sink.Properties()
	if err := to.sink.Close(); err != nil {
		return nil, err
	}
	place, err := to.source(ctx)
	if err != nil {
		return nil, lacking(err)
	}
	defer func() { err = errors.Join(err, place.Close()) }()
	src := bale.NewSource(r)
	images, err := src.Images(ctx, "")
	if err != nil {
		return nil, err
	}
	requests, err := to.requests(src, images, true)
	if err != nil {
		return nil, err
	}
	o.Progress = reading{m}
	plan, err := transport.Prove(ctx, requests, place, properties, o)
	if err != nil {
		return nil, lacking(err)
	}
	out := &proven{Place: f.place, Manifests: !properties.ForgetsManifest && properties.Platform == nil}
	for _, i := range plan.Images {
		if i.Subject != "" {
			out.Referrers++
			continue
		}
		out.Images++
	}
	out.Blobs, _ = plan.Blobs()
	out.Size, _ = plan.Bytes()
	return out, nil
}

// lacking gives what is not there the advice that helps: a place, asked for an
// image, would have it fetched from elsewhere.
func lacking(err error) error {
	const again = "load the bundle there again: what is there is not copied twice"
	if errors.Is(err, fault.ErrMissing) {
		err = unadvised{err}
	}
	return fault.WithHint(err, again)
}

// unadvised is an error without the hints that are in it.
type unadvised struct{ error }

// Is implements what [errors.Is] asks for.
func (u unadvised) Is(kind error) bool { return errors.Is(u.error, kind) }

// reading is the progress of a copy that only reads.
type reading struct{ transport.Progress }

func (r reading) Phase(name string, total int64) {
	switch name {
	case transport.PhaseCopy:
		name = "read back"
	case transport.PhaseCommit:
		name = "compare names"
	}
	r.Progress.Phase(name, total)
}
