package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/bundle/pack"
	"bale/transport"
	"bale/transport/bale"
)

type inventoryOptions struct {
	conn    connection
	out     outputFlags
	lists   []string
	allTags bool
}

func newInventory(a *app) *cobra.Command {
	var o inventoryOptions
	c := &cobra.Command{
		Use:   "inventory -o FILE --key KEY PLACE...",
		Short: "List what a place holds, to be a base of updates for it",
		Long: `Read images on the far side and list what is in them, without content: a small
signed file that is carried to the sending side. There bale save --base FILE makes
updates that leave out what it lists.

Images are given as for bale save. A place without a name stands for all its images
that have one: docker-daemon:, containers-storage:, containerd:k8s.io, oci:DIR. A
registry cannot be asked for all that it has, but with --all-tags a name
without a tag stands for all tags of its repository.

All content is read, unpacked and cut to pieces, so that what is listed is what is
really there. An engine is asked to export its images, for which TMPDIR needs room.

The sender has to have the public key: bale save --base-key far.pub. SOURCE_DATE_EPOCH
fixes the time written into the file.`,
		Example: `  bale inventory -o site.bale --key far.key --all-tags docker://registry.example:5000/team/app
  bale inventory -o site.bale --key far.key docker-daemon:
  bale inventory -o site.bale --key far.key containerd:k8s.io
  bale save -o update.bale --key bale.key --base site.bale --base-key far.pub team/app:2`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.inventory(cmd.Context(), o, args) },
	}
	o.conn.add(c)
	o.out.add(c)
	c.Flags().StringArrayVar(&o.lists, "images", nil, "`FILE` with a place a line; # starts a comment, - is standard input")
	c.Flags().BoolVar(&o.allTags, "all-tags", false, "of names of registries without a tag take all tags, not latest")
	a.jsonFlag(c)
	return c
}

func (a *app) inventory(ctx context.Context, o inventoryOptions, args []string) (err error) {
	if err := o.out.check("site.bale"); err != nil {
		return err
	}
	args, err = a.imageList(ctx, args, o.lists)
	if err != nil {
		return err
	}
	keys, err := a.loadSigners(ctx, o.out.who)
	if err != nil {
		return err
	}
	sink, err := o.out.sink(a, keys, bale.SinkOptions{
		Unpack: true, Writer: bundle.WriterOptions{Inventory: true, Level: pack.Default},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sink.Close()) }()
	m := a.progress()
	defer m.finish()
	src := a.sources(&o.conn, m)
	src.whole = true
	defer func() { err = errors.Join(err, src.close()) }()
	m.Phase("find images", 0)
	if o.allTags {
		if args, err = src.allTags(ctx, args); err != nil {
			return err
		}
	}
	requests, err := a.requests(ctx, src, args)
	if err != nil {
		return err
	}
	if len(requests) == 0 {
		return fault.WithHint(fault.Missing("there are no images in %s", strings.Join(args, ", ")), "without an inventory save everything, without --base")
	}
	plan, err := transport.Copy(ctx, requests, sink, transport.Options{
		Progress: m, SpoolDir: o.out.dir(), NoReferrers: true, // too small to build on
		Planned: func(p *transport.Plan) error { return sink.Start(ctx, p) },
	})
	if err != nil {
		return err
	}
	m.finish()
	v := struct {
		Inventory string     `json:"inventory"`
		Size      int64      `json:"size"`
		Content   int64      `json:"content"` // bytes of layers and configs
		Blobs     int        `json:"blobs"`
		Expires   *time.Time `json:"expires,omitempty"`
		Signers   []signer   `json:"signers"`
		copyResult
	}{Inventory: o.out.path, Expires: o.out.until, Size: sink.Size(), Signers: keys.who(), copyResult: newCopyResult(plan)}
	v.Content, _ = plan.Bytes()
	v.Blobs, _ = plan.Blobs()
	return a.result(v, func(w io.Writer) {
		for _, i := range v.Images {
			i.print(w)
		}
		fmt.Fprintf(w, "%s: inventory of %s, %s in %s, listed in %s\n", o.out.path, count(len(v.Images), "image"),
			size(v.Content), count(v.Blobs, "blob"), size(v.Size))
		if text := expiry(bundle.Header{Expires: v.Expires}); text != "" {
			fmt.Fprintln(w, text)
		}
		printWho(w, v.Signers)
	})
}

// allTags puts the tags of repositories in the place of names without a tag.
func (s *sources) allTags(ctx context.Context, args []string) ([]string, error) {
	var out []string
	for _, arg := range args {
		kind, _, rest, err := splitPlace(arg)
		if err != nil {
			return nil, err
		}
		if kind != registryPlace || rest == "" {
			out = append(out, arg)
			continue
		}
		n, err := transport.ParseName(rest)
		if err != nil {
			return nil, err
		}
		if n.Digest != "" || n.Tag != "latest" || strings.HasSuffix(rest, ":latest") {
			out = append(out, arg)
			continue
		}
		w, err := s.parse(ctx, arg)
		if err != nil {
			return nil, err
		}
		t, ok := w.source.(transport.Tagging)
		if !ok {
			return nil, fault.Unsupported("%s: its tags cannot be listed", arg)
		}
		names, err := t.Tags(ctx, transport.Name{Domain: n.Domain, Path: n.Path})
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			out = append(out, registryPlace.prefix+n.String())
		}
	}
	return out, nil
}
