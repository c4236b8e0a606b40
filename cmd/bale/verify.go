package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"bale/bundle"
	"bale/transport"
	"bale/transport/bale"
)

func newVerify(a *app) *cobra.Command {
	var trust trustFlags
	var expected orderFlags
	var signed imageTrustFlags
	var bases earlierFlags
	var there thereFlags
	c := &cobra.Command{
		Use:   "verify --key KEY FILE",
		Short: "Verify who signed a bundle and that all of it is there, unaltered",
		Long: `Verify the signature of a bundle with the keys that are given, then the sum of every
entry, then that everything its images are made of is there and can be rebuilt to
its digest, which takes as long as loading it into a registry. Nothing is written
and nothing is asked of the network.

An update carries only what its bases do not have. With --base, which names earlier
bundles, all of it is rebuilt; without, all that it carries is checked, and what can
be rebuilt from that alone, and it is said how many blobs need a base.

With --at the place that the bundle was loaded into is read as well, every byte of
it: each image must be there under its name, with every manifest and blob as its digest
says. Exit code 5 tells that something is missing, 3 that something is another.
` + certifiedHelp + policyHelp + "\n" + imageTrustHelp + orderHelp + expiryHelp,
		Example: "  bale verify --key bale.pub app.bale\n  bale verify --key bale.pub --name edge edge.bale\n  bale verify --key bale.pub --base app.bale update.bale",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			trust.images = &signed
			return a.verify(cmd, trust, expected, bases, there, args[0])
		},
	}
	trust.add(c)
	expected.add(c)
	expected.addIgnore(c)
	trust.expiry.add(c)
	trust.policy.addInsecure(c)
	signed.add(c)
	signed.addImages(c)
	bases.add(c)
	there.add(c)
	a.jsonFlag(c)
	return c
}

func (a *app) verify(cmd *cobra.Command, trust trustFlags, expected orderFlags, earlier earlierFlags, there thereFlags, path string) (err error) {
	o, err := a.open(cmd, path, trust)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	r, res := o.r, o.res
	row, err := a.row(expected, r.Header(), res, o.policy != nil)
	if err == nil {
		err = o.inOrder(row)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	bases, err := a.openEarlier(cmd.Context(), r, earlier, o.decision)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bases.close()) }()
	if len(earlier.paths) > 0 {
		if err := bases.Provide(cmd.Context(), r, blobsOf(r), false, nil); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		r.BuildOn(bases)
	}
	m := a.progress()
	defer m.finish()
	src := bale.NewSource(r)
	src.BuildOn(bases.Bases)
	by := (&vouched{who: signersOf(res)}).ruled(o.decision)
	if by.images, err = a.verifyImages(cmd.Context(), r, src, nil, o.images, o.tell); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	m.Phase("verify", r.PackBytes())
	if err := r.Check(cmd.Context(), m.Add); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	m.Phase("rebuild", r.BlobBytes())
	left, err := r.Rebuild(cmd.Context(), m.Add)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	at, err := a.verifyThere(cmd.Context(), there, r, m)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	m.finish()
	has, err := countImages(cmd.Context(), r)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	v := struct {
		identified
		counts
		Packs  int     `json:"packs"`
		Blobs  int     `json:"blobs"`
		Update bool    `json:"update"`
		Left   int     `json:"blobsNotRebuilt"` // because they need a base
		At     *proven `json:"at,omitempty"`
		vouchedResult
	}{
		identify(path, r.Header(), res),
		has, len(r.Index().Packs), len(r.Index().Blobs), isUpdate(r), left, at, by.result(),
	}
	return a.result(v, func(w io.Writer) {
		by.print(w)
		if text := order(r.Header()); text != "" {
			fmt.Fprintln(w, text)
		}
		if text := expiry(r.Header()); text != "" {
			fmt.Fprintln(w, text)
		}
		whole := "complete and unaltered"
		switch {
		case left > 0:
			whole = "unaltered"
		case v.Update:
			whole = "complete with its bases and unaltered"
		}
		fmt.Fprintf(w, "%s: good: %s, %s (%s), %s\n", path, v.counts, count(v.Packs, "pack"), size(r.PackBytes()), whole)
		if left > 0 {
			fmt.Fprintf(w, "an update: %d of %s need its bases and were not rebuilt; --base does that\n", left, count(v.Blobs, "blob"))
		}
		if at != nil {
			at.print(w)
		}
	})
}

// counts are how many images there are, and how many things attached to them.
type counts struct {
	Images    int `json:"images"`
	Referrers int `json:"referrers"`
}

func (c counts) String() string {
	s := count(c.Images, "image")
	if c.Referrers > 0 {
		s += " and " + count(c.Referrers, "referrer")
	}
	return s
}

// countImages counts what a bundle has.
func countImages(ctx context.Context, r *bundle.Reader) (c counts, err error) {
	src := bale.NewSource(r)
	images, err := src.Images(ctx, "")
	if err != nil {
		return c, err
	}
	for _, i := range images {
		m, err := manifestOf(ctx, src, i, i.Root)
		if err != nil {
			return c, err
		}
		if _, attached := i.Attachment(m); attached {
			c.Referrers++
			continue
		}
		c.Images++
	}
	return c, nil
}

// manifestOf reads a manifest or index of an image.
func manifestOf(ctx context.Context, src *bale.Source, i transport.Image, d v1.Descriptor) (*transport.Manifest, error) {
	content, err := src.Manifest(ctx, i, d)
	if err != nil {
		return nil, err
	}
	return transport.ParseManifest(d.MediaType, content)
}

// blobsOf returns the digests of all blobs of a bundle.
func blobsOf(r *bundle.Reader) []digest.Digest {
	var out []digest.Digest
	for i := range r.Index().Blobs {
		out = append(out, r.Index().Blobs[i].Digest)
	}
	return out
}
