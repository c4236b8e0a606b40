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
	host   string // of the source's engine
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

Registries of both sides are reached with the same options, but for accounts: if
both sides are registries, --username and --password-stdin are the destination's, and
--src-username and --src-password-stdin the source's. Likewise with engines: if both
sides are engines, --host is the destination's address and --src-host the source's.`,
		Example: `  bale copy nginx:1.27 docker://registry.example:5000/nginx:1.27
  bale copy docker-daemon:my/app:1.0 containerd:k8s.io
  bale copy --images images.txt docker://registry.example:5000/mirror/
  bale copy --src-host ssh://old docker-daemon:my/app:1.0 docker-daemon:
  docker save my/app:1.0 | bale copy docker-archive:- oci:app`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.copy(cmd.Context(), o, args) },
	}
	o.conn.add(c)
	o.conn.addWriting(c)
	o.from.add(c, "src-")
	c.Flags().StringVar(&o.host, "src-host", "", "`ADDRESS` of the engine that is read, if the other side is an engine too")
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
	from, err := o.reading(args, to)
	if err != nil {
		return err
	}
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
	copying.Progress, copying.Foreign = m, src.foreign
	plan, err := transport.Copy(ctx, requests, t.sink, copying)
	if err != nil {
		return err
	}
	m.finish()
	return a.wrote(to, plan, t.sink.Properties(), nil, "copied")
}

// reading says how the sources are reached.
func (o *copyOptions) reading(args []string, to string) (connection, error) {
	from := o.conn
	kind, _, _, err := splitPlace(to)
	if err != nil {
		return from, err
	}
	switch {
	case o.from != (account{flag: o.from.flag}):
		from.account = o.from
	case kind == registryPlace:
		from.account = account{}
	}
	if o.from.stdin && o.conn.account.stdin {
		return from, fault.WithHint(fault.Usage("only one password can come through standard input"),
			"let docker login keep the other one")
	}
	if o.host != "" {
		from.host = o.host
		return from, nil
	}
	if o.conn.host == "" || !kind.engine {
		return from, nil
	}
	for _, arg := range args {
		if source, _, _, err := splitPlace(arg); err == nil && source.engine {
			return from, fault.WithHint(fault.Usage("%s and %s are engines, so --host is not enough to tell which is where", arg, to),
				"--host is the address of the destination; give that of the source with --src-host")
		}
	}
	return from, nil
}

// wrote tells what was copied to a place.
func (a *app) wrote(to string, plan *transport.Plan, p transport.Properties, by *vouched, done string) error {
	v := struct {
		identified
		copyResult
		Place        string `json:"place"`
		Copied       int    `json:"copiedBlobs"`
		CopiedBytes  int64  `json:"copiedBytes"`
		Skipped      int    `json:"skippedBlobs"`
		SkippedBytes int64  `json:"skippedBytes"`
		vouchedResult
	}{identified: by.of(), copyResult: newCopyResult(plan), Place: to, vouchedResult: by.result()}
	v.CopiedBytes, v.SkippedBytes = plan.Bytes()
	v.Copied, v.Skipped = plan.Blobs()
	a.forgets(p)
	return a.result(v, func(w io.Writer) {
		by.print(w)
		for _, i := range v.Images {
			i.printLoaded(w)
		}
		fmt.Fprintf(w, "%s %s: %s (%s) copied, %s (%s) there already\n", done, v.counted(),
			count(v.Copied, "blob"), size(v.CopiedBytes), count(v.Skipped, "blob"), size(v.SkippedBytes))
	})
}
