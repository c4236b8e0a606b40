package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
	conn     connection
	output   string
	keys     []string
	unsigned bool
	force    bool
	lists    []string
	level    string
	platform string
}

func newSave(a *app) *cobra.Command {
	var o saveOptions
	c := &cobra.Command{
		Use:   "save -o FILE --key KEY IMAGE...",
		Short: "Save images into one signed bundle",
		Long: `Save images, with all their platforms, into one bundle file. Content that images
share is stored once. The file appears when it is complete and signed, or not
at all.

Images are given as NAME or docker://NAME (a registry), docker-daemon:NAME (an
engine) or oci:DIR[:REF] (a layout; all its images without REF). An engine does not keep what
a registry would serve, so its images get a new manifest; their ids stay.

Credentials are those of docker login, credential helpers included. The password
of the key (one for all keys) is taken from COSIGN_PASSWORD or asked for.
SOURCE_DATE_EPOCH fixes the time written into the bundle.`,
		Example: `  bale save -o app.bale --key bale.key nginx:1.27 registry.example:5000/team/app@sha256:…
  bale save -o app.bale --key bale.key --images images.txt
  bale save -o app.bale --unsigned docker-daemon:my/app:1.0`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.save(cmd.Context(), o, args) },
	}
	o.conn.add(c)
	f := c.Flags()
	f.StringVarP(&o.output, "output", "o", "", "bundle `FILE` to write")
	f.StringArrayVar(&o.keys, "key", nil, "private key `FILE` to sign with; may be given several times")
	f.BoolVar(&o.unsigned, "unsigned", false, "do not sign")
	f.BoolVar(&o.force, "force", false, "replace the output file if it is there")
	f.StringArrayVar(&o.lists, "images", nil, "`FILE` with an image a line; # starts a comment, - is standard input")
	f.StringVar(&o.level, "level", "default", "effort of compression: fast, default, best")
	f.StringVar(&o.platform, "platform", "all", "save only os/arch[/variant] of each image, as an image of its own digest")
	a.jsonFlag(c)
	return c
}

func (o *saveOptions) check() error {
	switch {
	case o.output == "":
		return fault.WithHint(fault.Usage("no output file was given"), "for example: -o images.bale")
	case o.unsigned && len(o.keys) > 0:
		return fault.Usage("--key and --unsigned exclude each other")
	case len(o.keys) > container.MaxSignatures:
		return fault.Usage("%d keys are more than the %d that a bundle can be signed with", len(o.keys), container.MaxSignatures)
	case !o.unsigned && len(o.keys) == 0:
		return fault.WithHint(fault.Usage("no key was given to sign the bundle with"),
			"make one with bale keygen and give --key bale.key, or say --unsigned")
	}
	return nil
}

// savedImage is one image of the result.
type savedImage struct {
	Name      string   `json:"name"`
	Digest    string   `json:"digest"`
	MediaType string   `json:"mediaType"`
	Size      int64    `json:"size"`
	Platform  string   `json:"platform,omitempty"`
	Omitted   []string `json:"omitted,omitempty"`
}

func (a *app) save(ctx context.Context, o saveOptions, args []string) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	level, err := pack.ParseLevel(o.level)
	if err != nil {
		return fault.Usage("--level: %w", err)
	}
	platform, err := transport.ParsePlatform(o.platform)
	if err != nil {
		return err
	}
	args, err = a.imageList(ctx, args, o.lists)
	if err != nil {
		return err
	}
	created, fixed, err := creationTime()
	if err != nil {
		return err
	}
	keys, who, err := a.loadSigners(ctx, o.keys)
	if err != nil {
		return err
	}
	sink, err := bale.NewSink(bale.SinkOptions{
		Path: o.output, Overwrite: o.force, Signers: keys, Fixed: fixed,
		Writer: bundle.WriterOptions{Level: level, Created: created, Creator: "bale " + version},
	})
	if errors.Is(err, fs.ErrExist) {
		err = fault.WithHint(err, "choose another name, or replace it with --force")
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sink.Close()) }()
	m := a.progress()
	defer m.finish()
	src := newSources(&o.conn, m)
	defer func() { err = errors.Join(err, src.close()) }()

	m.Phase("find images", 0)
	requests, err := a.requests(ctx, src, args)
	if err != nil {
		return err
	}
	plan, err := transport.Copy(ctx, requests, sink, transport.Options{
		Platform: platform, Progress: m, SpoolDir: filepath.Dir(o.output),
		Planned: func(p *transport.Plan) error { return sink.Start(ctx, p) },
	})
	if err != nil {
		return err
	}
	m.finish()
	return a.saved(o.output, sink.Size(), plan, who)
}

// requests resolves the arguments to images.
func (a *app) requests(ctx context.Context, src *sources, args []string) ([]transport.Request, error) {
	var requests []transport.Request
	seen := make(map[string]transport.Image)
	list, err := src.all(ctx, args)
	if err != nil {
		return nil, err
	}
	for _, w := range list {
		images, err := w.source.Images(ctx, w.selector)
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
			requests = append(requests, transport.Request{Source: w.source, Image: i, Target: i.Name})
		}
	}
	return requests, nil
}

// imageList adds the images of files to those of the command line.
func (a *app) imageList(ctx context.Context, args, files []string) ([]string, error) {
	for _, f := range files {
		list, err := a.readList(ctx, f)
		if err != nil {
			return nil, err
		}
		args = append(args, list...)
	}
	if len(args) == 0 {
		return nil, fault.WithHint(fault.Usage("no image was given"), "for example: nginx:1.27, docker-daemon:my/app:1.0, or --images FILE")
	}
	return args, nil
}

// readList reads a list of images, which may come through a pipe: Ctrl-C leaves
// the read behind.
func (a *app) readList(ctx context.Context, path string) ([]string, error) {
	type answer struct {
		list []string
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		list, err := a.scanList(path)
		answered <- answer{list, err}
	}()
	select {
	case got := <-answered:
		return got.list, got.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a *app) scanList(path string) ([]string, error) {
	in := a.in
	if path != "-" {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fault.Missing("list of images %s: %w", path, fs.ErrNotExist)
		}
		if err != nil {
			return nil, fmt.Errorf("read list of images: %w", err)
		}
		defer func() { _ = f.Close() }() // only read from
		in = f
	}
	var list []string
	lines := bufio.NewScanner(in)
	n := 0
	for lines.Scan() {
		n++
		// Editors on Windows begin a file with a byte order mark.
		line, _, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "\ufeff"), "#")
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read list of images %s, line %d: %w", path, n+1, err)
	}
	return list, nil
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

func (a *app) saved(path string, bytes int64, plan *transport.Plan, who []signer) error {
	blobs, _ := plan.Bytes()
	v := struct {
		Bundle  string       `json:"bundle"`
		Size    int64        `json:"size"`
		Content int64        `json:"content"`
		Signers []signer     `json:"signers"`
		Images  []savedImage `json:"images"`
	}{Bundle: path, Size: bytes, Content: blobs, Signers: append([]signer{}, who...)}
	for _, i := range plan.Images {
		s := savedImage{
			Name: i.Target.Name.String(), Digest: i.Target.Root.Digest.String(), MediaType: i.Target.Root.MediaType,
			Size: i.Size, Platform: i.Platform,
		}
		for _, o := range i.Omitted {
			s.Omitted = append(s.Omitted, o.Descriptor.Digest.String()+" "+o.Reason)
		}
		v.Images = append(v.Images, s)
	}
	return a.result(v, func(w io.Writer) {
		for _, i := range v.Images {
			fmt.Fprintf(w, "%s  %s  %s\n", i.Digest, size(i.Size), i.Name)
			for _, o := range i.Omitted {
				fmt.Fprintf(w, "  left out: %s\n", o)
			}
		}
		fmt.Fprintf(w, "%s: %s, %s as bundle\n", path, count(len(v.Images), "image"), size(bytes))
		if len(who) == 0 {
			fmt.Fprintln(w, "not signed")
		} else {
			printSigners(w, who)
		}
	})
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
