package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func newVerify(a *app) *cobra.Command {
	var trust trustFlags
	c := &cobra.Command{
		Use:   "verify --key KEY FILE",
		Short: "Verify who signed a bundle and that all of it is there, unaltered",
		Long: `Verify the signature of a bundle with the keys that are given, then the sum of every
entry, then that everything its images are made of is there and can be rebuilt to
its digest, which takes as long as loading it into a registry. Nothing is written
and nothing is asked of the network.`,
		Example: "  bale verify --key bale.pub app.bale",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.verify(cmd, trust, args[0]) },
	}
	trust.add(c)
	a.jsonFlag(c)
	return c
}

func (a *app) verify(cmd *cobra.Command, trust trustFlags, path string) (err error) {
	file, r, res, err := a.open(cmd, path, trust)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	m := a.progress()
	defer m.finish()
	m.Phase("verify", r.PackBytes())
	if err := r.Check(cmd.Context(), m.Add); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	m.Phase("rebuild", r.BlobBytes())
	if err := r.Rebuild(cmd.Context(), m.Add); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	m.finish()
	v := struct {
		Bundle  string   `json:"bundle"`
		ID      string   `json:"id"`
		Sums    string   `json:"sums"`
		Signers []signer `json:"signers"`
		Images  int      `json:"images"`
		Packs   int      `json:"packs"`
	}{path, r.Header().ID, res.SumsDigest().String(), signersOf(res), len(r.Index().Images), len(r.Index().Packs)}
	return a.result(v, func(w io.Writer) {
		printSigners(w, v.Signers)
		fmt.Fprintf(w, "%s: good: %s, %s (%s), complete and unaltered\n",
			path, count(v.Images, "image"), count(v.Packs, "pack"), size(r.PackBytes()))
	})
}
