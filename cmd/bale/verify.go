package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func newVerify(a *app) *cobra.Command {
	var trust trustFlags
	var expected orderFlags
	c := &cobra.Command{
		Use:   "verify --key KEY FILE",
		Short: "Verify who signed a bundle and that all of it is there, unaltered",
		Long: `Verify the signature of a bundle with the keys that are given, then the sum of every
entry, then that everything its images are made of is there and can be rebuilt to
its digest, which takes as long as loading it into a registry. Nothing is written
and nothing is asked of the network.
` + orderHelp,
		Example: "  bale verify --key bale.pub app.bale\n  bale verify --key bale.pub --name edge edge.bale",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.verify(cmd, trust, expected, args[0]) },
	}
	trust.add(c)
	expected.add(c)
	a.jsonFlag(c)
	return c
}

func (a *app) verify(cmd *cobra.Command, trust trustFlags, expected orderFlags, path string) (err error) {
	file, r, res, err := a.open(cmd, path, trust)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	row, err := a.row(expected, r.Header(), res)
	if err == nil {
		err = row.check()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	m := a.progress()
	defer m.finish()
	m.Phase("verify", r.PackBytes())
	if err := r.Check(cmd.Context(), m.Add); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	m.Phase("rebuild", r.BlobBytes())
	if _, err := r.Rebuild(cmd.Context(), m.Add); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	m.finish()
	v := struct {
		Bundle   string   `json:"bundle"`
		ID       string   `json:"id"`
		Name     string   `json:"name,omitempty"`
		Sequence uint64   `json:"sequence,omitempty"`
		Sums     string   `json:"sums"`
		Signers  []signer `json:"signers"`
		Images   int      `json:"images"`
		Packs    int      `json:"packs"`
	}{path, r.Header().ID, r.Header().Name, r.Header().Sequence, res.SumsDigest().String(), signersOf(res), len(r.Index().Images), len(r.Index().Packs)}
	return a.result(v, func(w io.Writer) {
		printSigners(w, v.Signers)
		if text := order(r.Header()); text != "" {
			fmt.Fprintln(w, text)
		}
		fmt.Fprintf(w, "%s: good: %s, %s (%s), complete and unaltered\n",
			path, count(v.Images, "image"), count(v.Packs, "pack"), size(r.PackBytes()))
	})
}
