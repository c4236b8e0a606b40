package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"bale/bundle/fault"
	"bale/transport"
)

type copyOptions struct {
	conn   connection
	from   account
	images imageFlags
	lists  []string
	force  bool
}

func newCopy(a *app) *cobra.Command {
	var o copyOptions
	c := &cobra.Command{
		Use:   "copy IMAGE... DESTINATION",
		Short: "Copy images from place to place, without a bundle",
		Long: `Copy images from one place to another, with all their platforms and with what is
attached to them. What the destination has is not copied again, and no name there
changes before all that belongs to it is there.

Places of images are:
` + placesHelp + `
A destination that names an image gives one image that name: docker://HOST/NAME:TAG,
docker-daemon:NAME:TAG, oci:DIR:TAG. One that does not keeps the images' names:
docker://HOST or docker://HOST/PATH/, docker-daemon:, containerd:k8s.io, oci:DIR. An
archive - is standard input or output.

Registries of both sides are reached with the same options, but for accounts:
--username and --password-stdin are the destination's, --src-username and
--src-password-stdin the source's.`,
		Example: `  bale copy nginx:1.27 docker://registry.example:5000/nginx:1.27
  bale copy docker-daemon:my/app:1.0 containerd:k8s.io
  bale copy --images images.txt docker://registry.example:5000/mirror/
  docker save my/app:1.0 | bale copy docker-archive:- oci:app`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.copy(cmd.Context(), o, args) },
	}
	o.conn.add(c)
	o.conn.addWriting(c)
	o.from.add(c, "src-")
	o.images.add(c)
	o.images.addDownloads(c)
	o.images.addUploads(c)
	c.Flags().StringArrayVar(&o.lists, "images", nil, "`FILE` with an image a line; # starts a comment, - is standard input")
	c.Flags().BoolVar(&o.force, "force", false, "replace the archive that is the destination if it is there")
	a.jsonFlag(c)
	return c
}

func (a *app) copy(ctx context.Context, o copyOptions, args []string) (err error) {
	copying, err := o.images.options()
	if err != nil {
		return err
	}
	to := args[len(args)-1]
	args, err = a.imageList(ctx, args[:len(args)-1], o.lists)
	if err != nil {
		return err
	}
	from := o.conn
	from.account = o.from
	m := a.progress()
	defer m.finish()
	src := a.sources(&from, m)
	defer func() { err = errors.Join(err, src.close()) }()
	m.Phase("find images", 0)
	found, err := a.requests(ctx, src, args)
	if err != nil {
		return err
	}
	t, err := openTarget(ctx, to, &placing{app: a, conn: &o.conn, progress: m, force: o.force, platforms: copying.Platforms}, len(found) == 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.sink.Close()) }()
	var requests []transport.Request
	for _, r := range found {
		list, err := t.requests(r.Source, []transport.Image{r.Image}, r.Listed)
		if err != nil {
			return err
		}
		requests = append(requests, list...)
	}
	if len(requests) == 0 {
		return fault.Missing("there are no images in %s", args)
	}
	copying.Progress = m
	plan, err := transport.Copy(ctx, requests, t.sink, copying)
	if err != nil {
		return err
	}
	m.finish()
	return a.wrote(to, plan, t.sink.Properties(), nil, "copied")
}

// wrote tells what was copied to a place.
func (a *app) wrote(to string, plan *transport.Plan, p transport.Properties, who []signer, done string) error {
	v := struct {
		copyResult
		Place        string   `json:"place"`
		Signers      []signer `json:"signers,omitempty"`
		Copied       int      `json:"copiedBlobs"`
		CopiedBytes  int64    `json:"copiedBytes"`
		Skipped      int      `json:"skippedBlobs"`
		SkippedBytes int64    `json:"skippedBytes"`
	}{copyResult: newCopyResult(plan), Place: to, Signers: who}
	v.CopiedBytes, v.SkippedBytes = plan.Bytes()
	v.Copied, v.Skipped = plan.Blobs()
	a.forgets(p)
	if to == dockerArchivePlace.prefix+"-" || to == ociArchivePlace.prefix+"-" {
		return nil // the images themselves are the result
	}
	return a.result(v, func(w io.Writer) {
		if who != nil {
			printSigners(w, who)
		}
		for _, i := range v.Images {
			i.printLoaded(w)
		}
		fmt.Fprintf(w, "%s %s: %s (%s) copied, %s (%s) there already\n", done, v.counted(),
			count(v.Copied, "blob"), size(v.CopiedBytes), count(v.Skipped, "blob"), size(v.SkippedBytes))
	})
}
