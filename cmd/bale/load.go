package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/bale"
)

type loadOptions struct {
	conn    connection
	trust   trustFlags
	order   orderFlags
	signed  imageTrustFlags
	earlier earlierFlags
	input   string
	to      string
	force   bool
	images  imageFlags
}

func newLoad(a *app) *cobra.Command {
	var o loadOptions
	c := &cobra.Command{
		Use:   "load -i FILE --key KEY --to PLACE [IMAGE...]",
		Short: "Verify a bundle and load its images into a registry, an engine or a layout",
		Long: `Verify a bundle and load its images, or only those that are named. Nothing of the
bundle is parsed before its signature is verified, and no name at the target
changes before everything that belongs to it is there.

  --to docker://HOST[/PATH]   a registry: docker.io/library/nginx:1 becomes
                              HOST/PATH/library/nginx:1
  --to docker-daemon:         a Docker engine, under the images' own names
  --to containers-storage:    Podman, through its socket
  --to containerd:k8s.io      containerd, here for a Kubernetes node, which then needs
                              no registry; other namespaces likewise
  --to oci:DIR                an OCI image layout
  --to oci-archive:FILE       the same as a tar; - is standard output
  --to docker-archive:FILE    what docker load, podman load and ctr import read

A classic Docker engine and Podman keep one platform of an image (its own, or
--platform) and nothing that is attached to it; a classic engine no manifest either. The
image's id stays the same. They are sent only the layers that they lack.

Of an index, only the platforms asked for with --platform, or those in the bundle, are
loaded. Where the target takes an index in part it keeps its digest; most registries do
not, and get a new index of what there is: both digests are shown.

FILE may be an archive of images, or - for standard input. Archives are not signed, so they
are loaded with --insecure-skip-verify only.

Gzip layers that were taken apart are rebuilt for a registry or a layout, bit for
bit, and compared with their digests: some 40 to 100 MB of unpacked files a second
and core, 25 MB if no model knows the compressor. An engine gets them unpacked,
which takes no time, and compared with the image's config.

An update carries only what its bases do not have. The rest is taken from the target,
out of layers of the images that are there, whatever tags they have now, and from the
earlier bundles that --base names; which of them has it does not matter, nor in what
order updates were made. All of it is found and verified before anything is written
to the target; if something is missing the command says so and exits with 5. What is
taken from the target is kept meanwhile in TMPDIR.
` + certifiedHelp + policyHelp + "\n" + imageTrustHelp + orderHelp + expiryHelp + `

Every signed bundle with a name is remembered there when it was loaded, even if
only some of its images were; the number never goes down. It is the same
for all targets, so targets that are kept at different releases need a BALE_STATE
each; BALE_STATE=off remembers nothing. Without --name an older bundle is loaded with
a warning.`,
		Example: `  bale load -i app.bale --key bale.pub --to docker://registry.example:5000
  bale load -i app.bale --key bale.pub --to docker-daemon: nginx:1.27
  bale load -i edge.bale --key bale.pub --name edge --to docker://registry.example:5000
  bale load -i update.bale --key bale.pub --base kept/ --to docker://registry.example:5000`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.load(cmd, o, args) },
	}
	o.conn.add(c)
	o.conn.addWriting(c)
	o.trust.add(c)
	o.trust.addInsecure(c)
	o.order.add(c)
	o.order.addIgnore(c)
	o.trust.expiry.add(c)
	o.trust.policy.addInsecure(c)
	o.signed.add(c)
	o.earlier.add(c)
	f := c.Flags()
	f.StringVarP(&o.input, "input", "i", "", "bundle `FILE` to load")
	f.StringVar(&o.to, "to", "", "`PLACE` to load the images into")
	o.images.add(c)
	o.images.addUploads(c)
	f.BoolVar(&o.force, "force", false, "replace the archive that is the target if it is there")
	a.jsonFlag(c)
	return c
}

func (o *loadOptions) check() error {
	switch {
	case o.input == "":
		return fault.WithHint(fault.Usage("no bundle was given"), "for example: -i images.bale")
	case o.to == "":
		return fault.WithHint(fault.Usage("no target was given"), "for example: --to docker://registry.example:5000, or --to docker-daemon:")
	}
	if err := o.trust.check(); err != nil {
		return err
	}
	return o.order.check(o.trust)
}

func (a *app) load(cmd *cobra.Command, o loadOptions, args []string) (err error) {
	ctx := cmd.Context()
	if err := o.check(); err != nil {
		return err
	}
	copying, err := o.images.options()
	if err != nil {
		return err
	}
	o.trust.images = &o.signed
	d, err := a.newDecision(o.trust)
	if err != nil {
		return err
	}
	m := a.progress()
	defer m.finish()
	m.Phase("verify", 0)
	in, err := a.openInput(ctx, o.input)
	if err != nil {
		return err
	}
	if in.images != nil {
		defer func() { err = errors.Join(err, in.images.Close()) }()
		return a.loadImages(ctx, o, in.images, args, copying, m)
	}
	of, err := d.open(ctx, in.bundle, (*bale.File).Trust)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, of.Close()) }()
	r, res := of.r, of.res
	row, err := a.row(o.order, r.Header(), res, d.policy != nil)
	if err != nil {
		return fmt.Errorf("%s: %w", of.file.Path(), err)
	}
	if err := row.reserve(ctx); err != nil {
		return err
	}
	defer row.end()
	if err := d.inOrder(row); err != nil {
		return fmt.Errorf("%s: %w", of.file.Path(), err)
	}
	src := bale.NewSource(r)
	bases, err := a.openEarlier(ctx, r, o.earlier, d)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bases.close()) }()
	src.BuildOn(bases.Bases)
	images, err := chosen(ctx, src, args)
	if err != nil {
		return err
	}
	to, err := openTarget(ctx, o.to, o.placing(a, m, copying), false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.sink.Close()) }()
	requests, err := to.requests(src, images, len(args) == 0)
	if err != nil {
		return err
	}
	copying.Progress, copying.Foreign = m, o.placing(a, m, copying).foreign
	by := &vouched{who: signersOf(res), bundle: identify(o.input, r.Header(), res)}
	copying.Planned = func(p *transport.Plan) error {
		if err := a.provide(ctx, r, bases, to, p, m); err != nil {
			return err
		}
		if by.images, err = a.verifyImages(ctx, r, src, images, d.images, d.tell); err != nil {
			return fmt.Errorf("%s: %w", of.file.Path(), err)
		}
		return nil
	}
	plan, err := transport.Copy(ctx, requests, to.sink, copying)
	if err != nil {
		return err
	}
	m.finish()
	if err := row.record(ctx); err != nil {
		return err
	}
	return a.wrote(o.to, plan, to.sink.Properties(), by.ruled(d), "loaded")
}

func (o *loadOptions) placing(a *app, m *meter, copying transport.Options) *placing {
	return &placing{app: a, conn: &o.conn, progress: m, force: o.force, platforms: copying.Platforms}
}

// loadImages loads an archive that is no bundle: nobody vouches for it.
func (a *app) loadImages(ctx context.Context, o loadOptions, src transport.Source, args []string, copying transport.Options, m *meter) error {
	switch {
	case !o.trust.insecure:
		return fault.WithHint(fault.Untrusted("%s: an archive of images, and not signed", o.input),
			"whoever trusts it all the same says so with --insecure-skip-verify; bale save makes a signed bundle")
	case o.order.name != "" || len(o.earlier.paths) > 0:
		return fault.Usage("%s is an archive of images and no bundle: --name and --base make no sense for it", o.input)
	case o.signed.named():
		return fault.WithHint(fault.Usage("%s is an archive of images and no bundle: what its images are signed with is not checked", o.input),
			"make a bundle of it (bale save --unsigned), which is checked; or leave out --image-key and its like")
	}
	a.waive("the archive is not signed: nobody knows who made it")
	images, err := chosen(ctx, src, args)
	if err != nil {
		return err
	}
	to, err := openTarget(ctx, o.to, o.placing(a, m, copying), false)
	if err != nil {
		return err
	}
	requests, err := to.requests(src, images, len(args) == 0)
	if err != nil {
		return errors.Join(err, to.sink.Close())
	}
	copying.Progress, copying.Foreign = m, o.placing(a, m, copying).foreign
	plan, err := transport.Copy(ctx, requests, to.sink, copying)
	if err := errors.Join(err, to.sink.Close()); err != nil {
		return err
	}
	m.finish()
	return a.wrote(o.to, plan, to.sink.Properties(), &vouched{who: []signer{}, app: a}, "loaded")
}

// chosen returns the images that were named, or all.
func chosen(ctx context.Context, src transport.Source, names []string) ([]transport.Image, error) {
	if len(names) == 0 {
		return src.Images(ctx, "")
	}
	var out []transport.Image
	seen := make(map[string]bool)
	for _, n := range names {
		images, err := src.Images(ctx, n)
		if err != nil {
			return nil, err
		}
		for _, i := range images {
			if !seen[i.Name.String()] {
				seen[i.Name.String()] = true
				out = append(out, i)
			}
		}
	}
	return out, nil
}

// forgets says once what a place cannot keep.
func (a *app) forgets(p transport.Properties) {
	if p.ForgetsManifest {
		a.note("this place does not keep manifests as they are, so it may show other digests than those below; image ids are the same")
	}
	if p.NoReferrers {
		a.note("this place keeps nothing that is attached to images: signatures, attestations, SBOMs")
	}
}
