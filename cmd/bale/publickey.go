package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"bale/bundle/commit"
	"bale/bundle/fault"
	"bale/sign"
	"bale/sign/kms"
)

func newPublicKeyCommand(a *app) *cobra.Command {
	var key, output string
	var force bool
	c := &cobra.Command{
		Use:   "public-key --key KEY",
		Short: "Show the public half of a key, to verify with",
		Long: `Show the public half of a private key in PEM form: what the far side gives to
--key of verify and load. Verifying never asks the network, so the public half of a
key in a service is taken out once, here, and carried over by a way that is trusted.

KEY is a private key file, whose password is asked for as when signing, or the URI of
a key in a service, such as hashivault://release. ` + servicesHelp(),
		Example: "  bale public-key --key bale.key\n  bale public-key --key hashivault://release -o release.pub",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.publicKey(cmd.Context(), key, output, force)
		},
	}
	c.Flags().StringVar(&key, "key", "", "private `KEY`: a file, or the URI of a key in a service")
	c.Flags().StringVarP(&output, "output", "o", "", "`FILE` to write it to; standard output if not given")
	c.Flags().BoolVar(&force, "force", false, "replace the output file if it is there")
	a.jsonFlag(c)
	return c
}

// servicesHelp says which services this build speaks to.
func servicesHelp() string {
	here := "This bale speaks to no service by\nitself,"
	if list := kms.Providers(); len(list) > 0 {
		here = fmt.Sprintf("This bale speaks to\n%s,", strings.Join(list, ", "))
	}
	return here + " and to NAME://… through a program sigstore-kms-NAME in PATH."
}

func (a *app) publicKey(ctx context.Context, key, output string, force bool) error {
	if key == "" {
		return fault.WithHint(fault.Usage("no key was given"), "for example: --key bale.key")
	}
	pub, err := a.publicHalf(ctx, key)
	if err != nil {
		return err
	}
	data, err := pub.PEM()
	if err != nil {
		return err
	}
	if output != "" {
		opts := []commit.Option{commit.Perm(0o644)}
		if force {
			opts = append(opts, commit.Overwrite())
		}
		if err := commit.WriteFile(ctx, output, data, opts...); err != nil {
			return existing(err)
		}
	}
	v := struct {
		Public      string `json:"public,omitempty"`
		Algorithm   string `json:"algorithm"`
		Fingerprint string `json:"fingerprint"`
		PEM         string `json:"pem"`
	}{output, pub.Algorithm(), pub.Fingerprint(), string(data)}
	return a.result(v, func(w io.Writer) {
		if output == "" {
			fmt.Fprint(w, v.PEM)
			return
		}
		fmt.Fprintf(w, "%s  verify with it, take it to the far side\n%s key %s\n", output, v.Algorithm, v.Fingerprint)
	})
}

// publicHalf returns the public half of a private key, wherever that is.
func (a *app) publicHalf(ctx context.Context, key string) (*sign.PublicKey, error) {
	if kms.IsURI(key) {
		k, err := kms.Load(ctx, key)
		if err != nil {
			return nil, err
		}
		return k.Public(), nil
	}
	k, err := sign.LoadPrivateKey(key, func() ([]byte, error) { return a.password(ctx) })
	if err != nil {
		return nil, err
	}
	return k.Public(), nil
}
