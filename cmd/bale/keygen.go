package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bale/bundle/fault"
	"bale/sign"
)

func newKeygen(a *app) *cobra.Command {
	var prefix, kind string
	var force bool
	c := &cobra.Command{
		Use:   "keygen",
		Short: "Make a key pair to sign and verify bundles with",
		Long: `Make a key pair in cosign's format: bale.key to sign with, which stays here, and
bale.pub to verify with, which goes to the far side by a way that is trusted.

The private key is encrypted with a password: that in COSIGN_PASSWORD, or one
typed at the terminal. Keys that cosign made work just as well, and cosign takes
those made here, of every type.`,
		Example: "  bale keygen\n  COSIGN_PASSWORD=secret bale keygen --output-key-prefix release --type ed25519",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains(sign.KeyTypes(), kind) { // before a password is asked for
				return fault.WithHint(fault.Usage("--type: there is no type of key %q", kind), "use one of %s", strings.Join(sign.KeyTypes(), ", "))
			}
			password, err := a.newPassword(cmd.Context())
			if err != nil {
				return err
			}
			private, public, err := sign.GenerateKeyPair(sign.KeyType(kind), password)
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
	c.Flags().StringVar(&kind, "type", string(sign.DefaultKeyType), "`TYPE` of key: "+strings.Join(sign.KeyTypes(), ", "))
	a.jsonFlag(c)
	return c
}
