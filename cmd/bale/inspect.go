package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/sign"
	"bale/transport"
	"bale/transport/bale"
	"bale/verify"
)

func newInspect(a *app) *cobra.Command {
	var trust trustFlags
	var blobs bool
	c := &cobra.Command{
		Use:   "inspect [--key KEY] FILE",
		Short: "Show what is in a bundle",
		Long: `Show the images of a bundle, their platforms, and how they are stored; with
--blobs also each blob: its recipe, which is how it is rebuilt, by which model of a
compressor, and how many bytes of corrections that takes. Of an update it shows what
that builds on, and what it carries itself. Receipts and inventories are shown too.

Nothing of a bundle is parsed before its signature is verified. Without a key only
what lies outside of that is shown: that the file is a bundle, how many entries
SHA256SUMS lists (with --json, which ones), and which keys claim to have signed it.`,
		Example: "  bale inspect --key bale.pub app.bale\n  bale inspect --key bale.pub --blobs app.bale\n  bale inspect app.bale",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !trust.named() && !trust.insecure {
				if blobs {
					return fault.WithHint(fault.Usage("--blobs shows what is only known of a verified bundle"), "give the sender's public key: --key bale.pub")
				}
				return a.inspectEnvelope(cmd.Context(), args[0])
			}
			return a.inspect(cmd, trust, args[0], blobs)
		},
	}
	trust.add(c)
	trust.addInsecure(c)
	c.Flags().BoolVar(&blobs, "blobs", false, "list all blobs and how they are stored (--json always does)")
	a.jsonFlag(c)
	return c
}

// inspectEnvelope shows what may be read without trust.
func (a *app) inspectEnvelope(ctx context.Context, path string) (err error) {
	file, err := a.openFile(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	sums, err := bundle.ParseSums(file.Envelope().Sums())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	type claim struct {
		signatureClaim
		Fingerprint string `json:"fingerprint,omitempty"`
	}
	v := struct {
		Bundle   string   `json:"bundle"`
		Verified bool     `json:"verified"`
		Claims   []claim  `json:"claims"`
		Entries  []string `json:"entries"`
	}{Bundle: path, Claims: []claim{}}
	claims, err := verify.Claims(file.Envelope())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, c := range claims {
		one := claim{signatureClaim: newClaim(c)}
		if c.Hint != "" {
			one.Fingerprint = sign.Fingerprint(c.Hint)
		}
		v.Claims = append(v.Claims, one)
	}
	for _, s := range sums {
		v.Entries = append(v.Entries, s.Name)
	}
	return a.result(v, func(w io.Writer) {
		fmt.Fprintf(w, "%s: a bale bundle of %s, not verified\n", path, count(len(v.Entries), "listed file"))
		for _, c := range v.Claims {
			fmt.Fprintln(w, c.signatureClaim)
		}
		if len(v.Claims) == 0 {
			fmt.Fprintln(w, "not signed")
		}
		fmt.Fprintln(w, "give --key, or --policy, to verify it and to see its images")
	})
}

type inspectedImage struct {
	Name      string   `json:"name"`
	Digest    string   `json:"digest"`
	MediaType string   `json:"mediaType"`
	Size      int64    `json:"size"`
	Platforms []string `json:"platforms,omitempty"`
	Layers    int      `json:"layers"`
	Subject   string   `json:"subject,omitempty"` // what it is attached to
	Omitted   []string `json:"omitted,omitempty"`
}

type inspected struct {
	Bundle  string           `json:"bundle"`
	Kind    string           `json:"kind"` // bundle, update, receipt or inventory
	Size    int64            `json:"size"` // bytes of the bundle
	Header  bundle.Header    `json:"header"`
	Signers []signer         `json:"signers"`
	Images  []inspectedImage `json:"images"`
	Blobs   int              `json:"blobs"`
	Content int64            `json:"content"` // bytes of all blobs
	Saved   int64            `json:"saved"`   // bytes that the bundle has less than that; negative if it has more
	Unique  int64            `json:"unique"`  // raw bytes of all chunks
	Packed  int64            `json:"packed"`  // bytes of all packs
	Packs   int              `json:"packs"`
	Frames  int              `json:"frames"`
	Chunks  int              `json:"chunks"`
	Apart   takenApart       `json:"takenApart"`

	Bases    []inspectedBase `json:"bases,omitempty"`
	External external        `json:"external"`
	Stored   []inspectedBlob `json:"recipes"`
}

func (a *app) inspect(cmd *cobra.Command, trust trustFlags, path string, blobs bool) (err error) {
	trust.lenient = true
	o, err := a.openAs(cmd, path, trust, (*bale.File).TrustIndex)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	file, r, res := o.file, o.r, o.res
	x := r.Index()
	v := inspected{
		Bundle: path, Kind: kindOf(r), Size: file.Size(), Header: r.Header(), Signers: signersOf(res), Images: []inspectedImage{},
		Blobs: len(x.Blobs), Packs: len(x.Packs), Frames: len(x.Frames), Chunks: x.Chunks.Own(), Stored: []inspectedBlob{},
	}
	if v.Kind == bundleBase && isUpdate(r) {
		v.Kind = updateKind
	}
	for i := range x.Packs {
		v.Packed += x.Packs[i].Size
	}
	v.Bases, v.External = inspectBases(r)
	for i := range x.Blobs {
		b := &x.Blobs[i]
		v.Content += b.Size
		one := inspectBlob(r, b)
		v.Stored = append(v.Stored, one)
		if one.Corrections != nil {
			v.Apart.Blobs++
			v.Apart.Size += b.Size
			v.Apart.RawSize += b.RawSize
			v.Apart.Corrections += *one.Corrections
		}
	}
	v.Saved = v.Content - v.Size
	for i := range x.Frames {
		v.Unique += x.Frames[i].Raw
	}
	src := bale.NewSource(r)
	images, err := src.Images(cmd.Context(), "")
	if err != nil {
		return err
	}
	for n, i := range images {
		one, err := describe(cmd.Context(), src, i, &x.Images[n])
		if err != nil {
			return fmt.Errorf("%s: image %s: %w", path, i.Name, err)
		}
		v.Images = append(v.Images, one)
	}
	return a.result(v, func(w io.Writer) { v.print(w, blobs) })
}

// describe walks through an image's graph, whose completeness was checked.
func describe(ctx context.Context, src *bale.Source, i transport.Image, x *index.Image) (inspectedImage, error) {
	out := inspectedImage{Name: x.Name, Digest: x.Digest.String(), MediaType: x.MediaType}
	if x.Platform != "" && !transport.IsIndex(x.MediaType) {
		out.Platforms = []string{x.Platform}
	}
	if d, kind, ok := transport.AttachedTo(i.Name.Tag); ok && kind != "" {
		out.Subject = d.String()
	}
	omitted := make(map[string]bool)
	for _, o := range x.Omitted {
		omitted[o.Digest.String()] = true
		out.Omitted = append(out.Omitted, o.Digest.String()+" "+o.Reason.String())
	}
	seen := make(map[string]bool)
	var walk func(d v1.Descriptor) error
	walk = func(d v1.Descriptor) error {
		if seen[d.Digest.String()] || omitted[d.Digest.String()] {
			return nil
		}
		seen[d.Digest.String()] = true
		out.Size += d.Size
		if !transport.IsIndex(d.MediaType) && !transport.IsManifest(d.MediaType) {
			return nil
		}
		content, err := src.Manifest(ctx, i, d)
		if err != nil {
			return err
		}
		m, err := transport.ParseManifest(d.MediaType, content)
		if err != nil {
			return err
		}
		if d.Digest == x.Digest && m.Subject != "" {
			out.Subject = m.Subject.String()
		}
		for _, l := range m.Layers {
			if !seen[l.Digest.String()] {
				out.Layers++
			}
			if err := walk(l); err != nil {
				return err
			}
		}
		if m.Config != nil {
			if err := walk(*m.Config); err != nil {
				return err
			}
			if d.Digest == x.Digest && x.Platform == "" {
				p, err := configPlatform(ctx, src, i, *m.Config)
				if err != nil {
					return err
				}
				out.Platforms = append(out.Platforms, p...)
			}
		}
		for _, c := range m.Manifests {
			if c.Platform != nil && c.Platform.OS != "unknown" && !omitted[c.Digest.String()] {
				out.Platforms = append(out.Platforms, transport.FormatPlatform(*c.Platform))
			}
			if err := walk(c); err != nil {
				return err
			}
		}
		return nil
	}
	return out, walk(i.Root)
}

// configPlatform reads the platform of an image that has no index. Artifacts
// that are no container images have none.
func configPlatform(ctx context.Context, src *bale.Source, i transport.Image, d v1.Descriptor) ([]string, error) {
	if !transport.IsConfig(d.MediaType) || d.Size > transport.MaxManifest {
		return nil, nil
	}
	content, err := src.Manifest(ctx, i, d)
	if err != nil {
		return nil, err
	}
	var p v1.Platform
	if json.Unmarshal(content, &p) != nil || p.OS == "" {
		return nil, nil
	}
	return []string{transport.FormatPlatform(p)}, nil
}

func (v *inspected) print(w io.Writer, blobs bool) {
	printSigners(w, v.Signers)
	switch v.Kind {
	case receiptBase:
		fmt.Fprintf(w, "a receipt of bundle %s: content is not here\n", v.Header.ID)
	case inventoryBase:
		fmt.Fprintln(w, "an inventory of what a place held: content is not here")
	case updateKind:
		fmt.Fprintln(w, "an update, which needs its bases")
	}
	fmt.Fprintf(w, "made %s by %s, id %s\n", v.Header.Created.Format(time.RFC3339), v.Header.Creator, v.Header.ID)
	if text := order(v.Header); text != "" {
		fmt.Fprintln(w, text)
	}
	if text := expiry(v.Header); text != "" {
		fmt.Fprintln(w, text)
	}
	for _, i := range v.Images {
		fmt.Fprintf(w, "\n%s\n  digest     %s\n  type       %s\n", i.Name, i.Digest, i.MediaType)
		for n, p := range i.Platforms {
			label := "platforms"
			if n > 0 {
				label = ""
			}
			fmt.Fprintf(w, "  %-9s  %s\n", label, p)
		}
		if i.Subject != "" {
			fmt.Fprintf(w, "  belongs to %s\n", i.Subject)
		}
		fmt.Fprintf(w, "  content    %s in %s\n", size(i.Size), count(i.Layers, "layer"))
		for _, o := range i.Omitted {
			fmt.Fprintf(w, "  left out   %s\n", o)
		}
	}
	if v.Kind != inventoryBase {
		for _, b := range v.Bases {
			b.print(w)
		}
	}
	if blobs {
		fmt.Fprintln(w)
		for _, b := range slices.SortedStableFunc(slices.Values(v.Stored), func(a, b inspectedBlob) int { return cmp.Compare(b.Size, a.Size) }) {
			b.print(w)
		}
	}
	fmt.Fprintf(w, "\n%s of content in %s; %s unique in %s; %s packed in %s\n",
		size(v.Content), count(v.Blobs, "blob"), size(v.Unique), count(v.Chunks, "chunk"), size(v.Packed), count(v.Packs, "pack"))
	if a := v.Apart; a.Blobs > 0 {
		fmt.Fprintf(w, "%s of %s taken apart to %s, with %s of corrections (%s)\n",
			count(a.Blobs, "blob"), size(a.Size), size(a.RawSize), size(a.Corrections), share(a.Corrections, a.Size))
	}
	switch {
	case v.Kind == inventoryBase:
		fmt.Fprintf(w, "lists %s unpacked in %s\n", size(v.External.Bytes), count(v.External.Chunks, "chunk"))
	case v.External.Chunks > 0:
		fmt.Fprintf(w, "carries %s for %s of blobs (%s); %s unpacked in %s come from its bases\n",
			size(v.Packed), size(v.Content), share(v.Packed, v.Content), size(v.External.Bytes), count(v.External.Chunks, "chunk"))
	case v.Kind == receiptBase:
	case v.Saved >= 0:
		fmt.Fprintf(w, "%s as bundle: %s (%s) less than its blobs\n", size(v.Size), size(v.Saved), share(v.Saved, v.Content))
	default:
		fmt.Fprintf(w, "%s as bundle: %s more than its blobs\n", size(v.Size), size(-v.Saved))
	}
}
