package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"bale/bundle/fault"
	"bale/transport"
)

// imageFlags say what of each image is copied, and how fast.
type imageFlags struct {
	platforms   []string
	noReferrers bool
	foreign     bool
	downloads   int
	uploads     int
	cmd         *cobra.Command
}

func (f *imageFlags) addPlatform(c *cobra.Command, help string) {
	f.cmd = c
	c.Flags().StringSliceVar(&f.platforms, "platform", nil, help)
}

func (f *imageFlags) add(c *cobra.Command) {
	f.addPlatform(c, "take only `OS/ARCH[/VARIANT]` of each image; may be given several times; all: every platform must be there")
	fl := c.Flags()
	fl.BoolVar(&f.noReferrers, "no-referrers", false, "leave out what is attached to the images: signatures, attestations, SBOMs")
	fl.BoolVar(&f.foreign, "foreign-layers", false, "fetch layers that their publisher keeps to itself (Windows), in place of referring to them")
}

func (f *imageFlags) addDownloads(c *cobra.Command) {
	c.Flags().IntVar(&f.downloads, "max-concurrent-downloads", transport.DefaultDownloads, "how many blobs are read from registries at a time")
}

func (f *imageFlags) addUploads(c *cobra.Command) {
	c.Flags().IntVar(&f.uploads, "max-concurrent-uploads", transport.DefaultUploads, "how many blobs are written to a registry at a time")
}

// maxConcurrent bounds what a user may ask a registry to bear.
const maxConcurrent = 64

// options returns the flags as the engine takes them.
func (f *imageFlags) options() (o transport.Options, err error) {
	for flag, n := range map[string]int{"max-concurrent-downloads": f.downloads, "max-concurrent-uploads": f.uploads} {
		if f.cmd.Flags().Changed(flag) && (n < 1 || n > maxConcurrent) {
			return o, fault.Usage("--%s %d: from 1 to %d", flag, n, maxConcurrent)
		}
	}
	if f.cmd.Flags().Changed("platform") && len(f.platforms) == 0 {
		return o, fault.Usage("--platform is empty") // such as a variable that was not set
	}
	o = transport.Options{NoReferrers: f.noReferrers, ForeignLayers: f.foreign, Downloads: f.downloads, Uploads: f.uploads}
	if o.Platforms, o.Complete, err = transport.ParsePlatforms(f.platforms); err != nil {
		return o, err
	}
	return o, nil
}

// copied is one image of a result.
type copied struct {
	Name   string `json:"name"`
	Target string `json:"target"` // what it is called there
	Digest string `json:"digest"`
	// Source is the digest at the source if it is another.
	Source    string   `json:"sourceDigest,omitempty"`
	MediaType string   `json:"mediaType"`
	Size      int64    `json:"size"`
	Platforms []string `json:"platforms,omitempty"`
	Part      bool     `json:"partOfIndex,omitempty"` // the index is as it was, and not all that it lists is there
	Subject   string   `json:"subject,omitempty"`     // what it is attached to
	Held      bool     `json:"held,omitempty"`        // the target had it
	Omitted   []string `json:"omitted,omitempty"`
}

// copyResult is what became of the images of a plan.
type copyResult struct {
	Images    []copied `json:"images"`
	Referrers []copied `json:"referrers"`
}

func newCopyResult(plan *transport.Plan) copyResult {
	out := copyResult{Images: []copied{}, Referrers: []copied{}}
	for _, i := range plan.Images {
		c := copied{
			Name: i.Source.Name.String(), Target: i.Target.Name.String(), Digest: i.Target.Root.Digest.String(), MediaType: i.Target.Root.MediaType, Size: i.Size,
			Platforms: i.Platforms, Part: i.Part(), Subject: i.Subject.String(), Held: i.Held,
		}
		if i.Target.Root.Digest != i.Source.Root.Digest {
			c.Source = i.Source.Root.Digest.String()
		}
		for _, o := range i.Omitted {
			c.Omitted = append(c.Omitted, omission(o))
		}
		if i.Subject != "" {
			out.Referrers = append(out.Referrers, c)
			continue
		}
		out.Images = append(out.Images, c)
	}
	return out
}

func omission(o transport.Omission) string {
	words := []string{o.Descriptor.Digest.String()}
	if p := o.Descriptor.Platform; p != nil && p.OS != "unknown" {
		words = append(words, transport.FormatPlatform(*p))
	}
	return strings.Join(append(words, string(o.Reason)), " ")
}

// print shows an image, by the name that it has now.
func (c *copied) print(w io.Writer) {
	fmt.Fprintf(w, "%s  %s  %s\n", c.Digest, size(c.Size), c.Target)
	c.printDigest(w)
	for _, o := range c.Omitted {
		fmt.Fprintf(w, "  left out: %s\n", o)
	}
}

// printLoaded shows an image where it is now. What was left out is in the
// bundle's own words.
func (c *copied) printLoaded(w io.Writer) {
	fmt.Fprintf(w, "%s  %s\n", c.Digest, c.Target)
	c.printDigest(w)
	for _, o := range c.Omitted {
		fmt.Fprintf(w, "  left out: %s\n", o)
	}
}

// printDigest says what became of an index of which not all was copied.
func (c *copied) printDigest(w io.Writer) {
	what := strings.Join(c.Platforms, ", ")
	if what == "" {
		what = "what was at the source"
	}
	switch {
	case c.Part:
		fmt.Fprintf(w, "  the index as it was, with %s only\n", what)
	case c.Source != "" && transport.IsIndex(c.MediaType):
		fmt.Fprintf(w, "  a new index of %s, in place of %s\n", what, c.Source)
	case c.Source != "":
		fmt.Fprintf(w, "  %s of %s\n", what, c.Source)
	}
}

// counted says how many images there are, and what is attached to them.
func (o *copyResult) counted() string {
	return counts{len(o.Images), len(o.Referrers)}.String()
}

// foreign opens layers that their publisher keeps, where a place does not have
// them and they are wanted.
func (p *placing) foreign(ctx context.Context, in transport.Image, d v1.Descriptor, refused error) (io.ReadCloser, error) {
	c, err := p.client(ctx)
	if err != nil {
		return nil, err
	}
	return c.Foreign(ctx, in, d, refused)
}
