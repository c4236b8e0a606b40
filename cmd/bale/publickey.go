package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"bale/bundle/fault"
	"bale/sign"
	"bale/sign/kms"
	"bale/sign/openpgp"
	"bale/sign/openpgp/gnupg"
	"bale/sign/ssh"
)

func newPublicKeyCommand(a *app) *cobra.Command {
	var key, output string
	var force bool
	c := &cobra.Command{
		Use:   "public-key --key KEY",
		Short: "Show the public half of a key, to verify with",
		Long: `Show the public half of a private key: what the far side gives to --key of verify and
load, in PEM form, of an SSH key as a line of authorized_keys, of an OpenPGP key armored. Verifying never asks the network, so the public half of a
key in a service is taken out once, here, and carried over by a way that is trusted.

KEY is as for signing: a private key file, whose password is asked for, gpg:ID, or the
URI of a key in a service, such as hashivault://release. ` + servicesHelp(),
		Example: "  bale public-key --key bale.key\n  bale public-key --key hashivault://release -o release.pub",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.publicKey(cmd.Context(), key, output, force)
		},
	}
	c.Flags().StringVar(&key, "key", "", "private `KEY`: a file, gpg:ID, or the URI of a key in a service")
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
	p, err := a.loadSigner(ctx, key)
	if err != nil {
		return err
	}
	data, err := p.publicHalf()
	if err != nil {
		return err
	}
	if output != "" {
		if err := writePublic(ctx, output, data, force); err != nil {
			return err
		}
	}
	v := struct {
		Public string `json:"public,omitempty"`
		signer
		Text string `json:"text"` // the key itself
	}{output, newSigner(p.Identity()), string(data)}
	return a.result(v, func(w io.Writer) {
		if output == "" {
			fmt.Fprint(w, v.Text)
			return
		}
		fmt.Fprintf(w, "%s  verify with it, take it to the far side\n%s\n", output, v.who)
	})
}

// publicHalf returns the public half of a key in the form that its own programs
// read.
func (p *pair) publicHalf() ([]byte, error) {
	switch s := p.Signer.(type) {
	case interface{ Public() *sign.PublicKey }:
		return s.Public().PEM()
	case *ssh.PrivateKey:
		return s.Public().Line(), nil
	case *openpgp.PrivateKey:
		return s.Public().Armored()
	case *gnupg.Signer:
		return s.Key().Armored()
	}
	return nil, fault.Usage("this is a public key already")
}
