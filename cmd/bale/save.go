package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"bale/bundle"
	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/bundle/pack"
	"bale/transport"
	"bale/transport/bale"
)

type saveOptions struct {
	conn    connection
	out     outputFlags
	lists   []string
	level   string
	layers  bool
	images  imageFlags
	place   placeFlags
	base    baseFlags
	receipt string
	format  string
}

func newSave(a *app) *cobra.Command {
	var o saveOptions
	c := &cobra.Command{
		Use:   "save -o FILE --key KEY IMAGE...",
		Short: "Save images into one signed bundle",
		Long: `Save images, with all their platforms, into one bundle file. Content that images
share is stored once. The file appears when it is complete and signed, or not
at all.

Layers come compressed, and gzip hides what they share. So bale takes gzip layers
apart: it stores the files in them, and what it takes to rebuild the very same
bytes. That is proven by rebuilding them before it is relied on; a layer for which
it cannot be done, or is not worth it, is stored as it came. bale probe shows what
becomes of a layer.

This costs time, here and where the bundle is loaded into a registry: a core
manages some 40 to 100 MB of unpacked files a second. Layers of level 9 take longest,
and those of compressors that bale has no model of, about 25 MB. With --layers all
blobs are kept as they came, which is fastest on both sides and makes the larger
bundle. A layer is
looked at once: what was found is remembered in the user's cache folder, or in the
folder that BALE_CACHE names; BALE_CACHE=off remembers nothing.

Images are taken from these places; without NAME or REF from the last four all:
` + placesHelp + `
A classic Docker engine and Podman do not keep what a registry would serve, so their
images get a new manifest; their ids stay. What is attached to an image in a
registry or layout comes along: signatures, attestations and SBOMs, of its index and of
every manifest in it, by the referrers API, the referrers tag and cosign's tags
(--no-referrers leaves them out). With --platform the index stays as it was, so that its digest
and signatures stay true, and lists more than the bundle has. Where an engine was
given one platform only, that is taken, and what is missing is listed; with --platform all it
is an error.

With --format docker-archive or oci-archive the output is not a bundle but what docker
load, podman load, ctr images import and skopeo read; it is as large as theirs, and
nobody signs it.

With --base the bundle is an update: it leaves out what the far side has already,
whatever image or path that was under, and compares changed files with what they were.
A base is an earlier bundle, its receipt (--receipt, bale receipt), an inventory of the
far side (bale inventory), or images at a place. Receipts and inventories are small but
hold no content, so with them alone changed files are not compared: give the old images
as a base too (--base docker://nginx:1.26), which makes the update several times smaller.
Of several bases the newest is best given last. Bases must be signed by the key that signs this bundle, or by
a --base-key. Loading an update needs content of its bases on the far side (see bale
load); bale merge makes it complete.

With --name and --sequence the bundle gets a place in a row, so that the far side
can tell an old one from a new one (see bale load): sequence 8 of edge is newer than
7. Without --sequence it is one more than the highest of the bases of that name, or
1. A name is 1 to 255 characters of printable ASCII, with no space or slash at either
end.

Credentials are those of docker login, credential helpers included. The password
of the key (one for all keys) is taken from COSIGN_PASSWORD or asked for.
SOURCE_DATE_EPOCH fixes the time written into the bundle.`,
		Example: `  bale save -o app.bale --key bale.key nginx:1.27 registry.example:5000/team/app@sha256:…
  bale save -o app.bale --key bale.key --images images.txt
  bale save -o app.bale --unsigned docker-daemon:my/app:1.0
  bale save -o app.bale --key bale.key --layers nginx:1.27
  bale save -o edge.bale --key bale.key --name edge --sequence 8 nginx:1.27
  bale save -o may.bale --key bale.key --base april.bale --receipt may.receipt nginx:1.27.1
  bale save -o may.bale --key bale.key --base docker://registry.example:5000/nginx:1.27 nginx:1.27.1`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.save(cmd.Context(), o, args) },
	}
	o.conn.add(c)
	o.out.add(c)
	f := c.Flags()
	f.StringArrayVar(&o.lists, "images", nil, "`FILE` with an image a line; # starts a comment, - is standard input")
	f.StringVar(&o.level, "level", "default", "effort of compression: fast, default, best")
	f.BoolVar(&o.layers, "layers", false, "keep layers exactly as they came; do not take them apart")
	o.images.add(c)
	o.images.addDownloads(c)
	o.place.add(c)
	o.base.add(c)
	f.StringVar(&o.receipt, "receipt", "", "write a receipt to `FILE`: what the bundle holds, without its content, to be a --base later")
	f.StringVar(&o.format, "format", bundleFormat, "`FORM` of the output: bundle, or docker-archive or oci-archive, which other tools read and nobody signs")
	a.jsonFlag(c)
	return c
}

func (o *saveOptions) check() error {
	if o.format != bundleFormat {
		return o.checkArchive()
	}
	if err := o.out.check("images.bale"); err != nil {
		return err
	}
	if err := o.base.check(); err != nil {
		return err
	}
	return o.place.check()
}

func (a *app) save(ctx context.Context, o saveOptions, args []string) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	level, err := pack.ParseLevel(o.level)
	if err != nil {
		return fault.Usage("--level: %w", err)
	}
	copying, err := o.images.options()
	if err != nil {
		return err
	}
	args, err = a.imageList(ctx, args, o.lists)
	if err != nil {
		return err
	}
	if o.format != bundleFormat {
		return a.saveArchive(ctx, o, args, copying)
	}
	keys, err := a.loadSigners(ctx, o.out.who)
	if err != nil {
		return err
	}
	opts := bale.SinkOptions{
		Receipt: o.receipt,
		Writer:  bundle.WriterOptions{Level: level, Name: string(o.place.name)},
	}
	var kept keptLayers
	if !o.layers {
		opts.Preparer = &bundle.Preparer{Recipes: a.recipes(), Scratch: o.out.dir(), Kept: kept.add}
	}
	sink, err := o.out.sink(a, keys, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sink.Close()) }()
	m := a.progress()
	defer m.finish()
	src := a.sources(&o.conn, m)
	defer func() { err = errors.Join(err, src.close()) }()

	bases, err := a.openBases(ctx, o.base, keys, src, o.out.dir(), m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bases.close()) }()
	sequence, err := o.place.number(bases.headers())
	if err != nil {
		return err
	}
	sink.BuildOn(bases.readers, sequence)
	m.Phase("find images", 0)
	requests, err := a.requests(ctx, src, args)
	if err != nil {
		return err
	}
	copying.Progress, copying.SpoolDir, copying.Foreign = m, o.out.dir(), src.foreign
	copying.Planned = func(p *transport.Plan) error { return sink.Start(ctx, p) }
	plan, err := transport.Copy(ctx, requests, sink, copying)
	if err != nil {
		return err
	}
	m.finish()
	kept.warn(a)
	return a.saved(o.out.path, sink, plan, keys.who(), bundle.Header{Name: opts.Writer.Name, Sequence: sequence, Expires: o.out.until}, bases.used)
}

// requests resolves the arguments to images.
func (a *app) requests(ctx context.Context, src *sources, args []string) ([]transport.Request, error) {
	var requests []transport.Request
	seen := make(map[string]transport.Image)
	list, err := src.all(ctx, args)
	if err != nil {
		return nil, err
	}
	var missing []error
	for _, w := range list {
		images, err := w.source.Images(ctx, w.selector)
		if errors.Is(err, fault.ErrMissing) {
			missing = append(missing, err) // to tell of all at once
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, i := range images {
			name := i.Name.String()
			if other, ok := seen[name]; ok {
				if other.Root.Digest != i.Root.Digest {
					return nil, fault.WithHint(fault.Usage("%s is asked for twice, and is %s in one place and %s in the other",
						name, other.Root.Digest, i.Root.Digest), "save them into two bundles")
				}
				continue
			}
			seen[name] = i
			requests = append(requests, transport.Request{Source: w.source, Image: i, Target: i.Name, Listed: w.selector == ""})
		}
	}
	return requests, errors.Join(missing...)
}

// creationTime is now, or what SOURCE_DATE_EPOCH says (reproducible-builds.org).
func creationTime() (t time.Time, fixed bool, err error) {
	s := os.Getenv("SOURCE_DATE_EPOCH")
	if s == "" {
		return time.Now(), false, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > container.MaxTime {
		return t, false, fault.Usage("SOURCE_DATE_EPOCH is %q, not a number of seconds that a tar can say", s)
	}
	return time.Unix(n, 0), true, nil
}

func (a *app) saved(path string, sink *bale.Sink, plan *transport.Plan, who []signer, place bundle.Header, bases []usedBase) error {
	v := struct {
		Bundle   string     `json:"bundle"`
		Size     int64      `json:"size"`
		Name     string     `json:"name,omitempty"`
		Sequence uint64     `json:"sequence,omitempty"`
		Expires  *time.Time `json:"expires,omitempty"`
		Content  int64      `json:"content"` // bytes of layers and configs
		Blobs    int        `json:"blobs"`
		Apart    int        `json:"blobsTakenApart"` // of these
		Held     int        `json:"blobsOfBases"`    // that a base has, and that were not even read
		HeldSize int64      `json:"contentOfBases"`
		Bases    []usedBase `json:"bases,omitempty"`
		Signers  []signer   `json:"signers"`
		copyResult
	}{Bundle: path, Size: sink.Size(), Name: place.Name, Sequence: place.Sequence, Expires: place.Expires, Apart: sink.Apart(), Bases: bases, Signers: who}
	v.Content, _ = plan.Bytes()
	v.Blobs, _ = plan.Blobs()
	v.copyResult = newCopyResult(plan)
	v.Held, v.HeldSize = sink.Held()
	return a.result(v, func(w io.Writer) {
		for _, i := range v.Images {
			i.print(w)
		}
		fmt.Fprintf(w, "%s: %s, %s in %s, %s as bundle%s\n", path, v.counted(),
			size(v.Content), count(v.Blobs, "blob"), size(v.Size), less(v.Content, v.Size))
		if v.Held > 0 {
			fmt.Fprintf(w, "%s more, %s, as the bases have them\n", count(v.Held, "blob"), size(v.HeldSize))
		}
		for _, b := range v.Bases {
			fmt.Fprintf(w, "builds on %s %s (id %s)\n", b.Kind, b.Base, b.ID)
		}
		if text := order(place); text != "" {
			fmt.Fprintln(w, text)
		}
		if text := expiry(place); text != "" {
			fmt.Fprintln(w, text)
		}
		printWho(w, who)
	})
}

// printWho says who signs what was written.
func printWho(w io.Writer, who []signer) {
	if len(who) == 0 {
		fmt.Fprintln(w, "not signed")
		return
	}
	printSigners(w, who)
}

// less tells how much smaller than whole something is, if it is.
func less(whole, part int64) string {
	if part >= whole {
		return ""
	}
	return ", " + share(whole-part, whole) + " less"
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
