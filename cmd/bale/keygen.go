package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"bale/sign"
)

func newKeygen(a *app) *cobra.Command {
	var prefix string
	var force bool
	c := &cobra.Command{
		Use:   "keygen",
		Short: "Make a key pair to sign and verify bundles with",
		Long: `Make an ECDSA P-256 key pair in cosign's format: bale.key to sign with, which stays
here, and bale.pub to verify with, which goes to the far side by a way that is
trusted.

The private key is encrypted with a password: that in COSIGN_PASSWORD, or one
typed at the terminal. Keys that cosign made work just as well.`,
		Example: "  bale keygen\n  COSIGN_PASSWORD=secret bale keygen --output-key-prefix release",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			password, err := a.newPassword(cmd.Context())
			if err != nil {
				return err
			}
			private, public, err := sign.GenerateKeyPair(password)
			if err != nil {
				return err
			}
			if err := sign.WriteKeyPair(cmd.Context(), prefix, private, public, force); err != nil {
				return err
			}
			pub, err := sign.ParsePublicKey(public)
			if err != nil {
				return err
			}
			v := struct {
				Private     string `json:"private"`
				Public      string `json:"public"`
				Fingerprint string `json:"fingerprint"`
			}{prefix + sign.PrivateSuffix, prefix + sign.PublicSuffix, pub.Fingerprint()}
			return a.result(v, func(w io.Writer) {
				fmt.Fprintf(w, "%s  sign with it, keep it\n%s  verify with it, take it to the far side\n%s key %s\n",
					v.Private, v.Public, pub.Algorithm(), v.Fingerprint)
			})
		},
	}
	c.Flags().StringVar(&prefix, "output-key-prefix", "bale", "write PREFIX.key and PREFIX.pub")
	c.Flags().BoolVar(&force, "force", false, "replace files that are there")
	a.jsonFlag(c)
	return c
}
