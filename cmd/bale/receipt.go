package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"bale/bundle/commit"
	"bale/bundle/fault"
	"bale/transport/bale"
)

func newReceipt(a *app) *cobra.Command {
	var trust trustFlags
	var output string
	var force bool
	c := &cobra.Command{
		Use:   "receipt -o RECEIPT --key KEY FILE",
		Short: "Take a receipt from a bundle, to be a base of updates later",
		Long: `Write the receipt of a bundle: what it holds, without the content. A receipt is
small, so the sending side can keep it in place of the bundle, and save the next
images as an update with --base RECEIPT. The signatures of the bundle stand in it
and are good for it too.

With a receipt alone changed files are not compared with what they were, since their
content is not there: give save the old images as a --base too, where they still are.

bale save --receipt writes it beside the bundle at once.`,
		Example: "  bale receipt -o app.receipt --key bale.pub app.bale",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.receipt(cmd, trust, output, force, args[0]) },
	}
	trust.add(c)
	trust.addInsecure(c)
	c.Flags().StringVarP(&output, "output", "o", "", "receipt `FILE` to write")
	c.Flags().BoolVar(&force, "force", false, "replace the output file if it is there")
	a.jsonFlag(c)
	return c
}

func (a *app) receipt(cmd *cobra.Command, trust trustFlags, output string, force bool, path string) (err error) {
	ctx := cmd.Context()
	if output == "" {
		return fault.WithHint(fault.Usage("no output file was given"), "for example: -o app.receipt")
	}
	trust.lenient = true
	o, err := a.open(cmd, path, trust)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	file, r, res := o.file, o.r, o.res
	if sameFile(path, output) {
		return fault.Usage("%s is the bundle itself, and would be lost", output)
	}
	var opts []commit.Option
	if force {
		opts = append(opts, commit.Overwrite())
	}
	out, err := commit.Create(output, opts...)
	if err != nil {
		return existing(err)
	}
	defer out.Discard()
	keep, err := bale.Metadata(ctx, r)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := r.WriteReceipt(ctx, out, keep); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := out.Commit(ctx); err != nil {
		return err
	}
	fi, err := os.Stat(output)
	if err != nil {
		return fmt.Errorf("look at the receipt: %w", err)
	}
	type image struct {
		Name   string `json:"name"`
		Digest string `json:"digest"`
	}
	v := struct {
		Receipt string   `json:"receipt"`
		Size    int64    `json:"size"`
		Bundle  string   `json:"bundle"`
		ID      string   `json:"id"`
		Signers []signer `json:"signers"`
		Images  []image  `json:"images"`
	}{Receipt: output, Size: fi.Size(), Bundle: path, ID: r.Header().ID, Signers: signersOf(res), Images: []image{}}
	for _, i := range r.Index().Images {
		v.Images = append(v.Images, image{i.Name, i.Digest.String()})
	}
	return a.result(v, func(w io.Writer) {
		for _, i := range v.Images {
			fmt.Fprintf(w, "%s  %s\n", i.Digest, i.Name)
		}
		fmt.Fprintf(w, "%s: receipt of %s, %s in %s; the bundle has %s\n", output, path, count(len(v.Images), "image"), size(v.Size), size(file.Size()))
		printSigners(w, v.Signers)
	})
}
