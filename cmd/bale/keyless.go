package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"bale/bundle/fault"
	"bale/sign"
	"bale/sign/sigstore"
	"bale/verify/certificate"
)

// keylessFlags say what stands in a signature beside or in place of a key: a
// certificate, and who says when it was made.
type keylessFlags struct {
	keyless       bool
	token         string
	signingConfig string
	trustedRoot   string
	issuer        string
	clientID      string
	certificate   string
	stamps        []string
}

func (f *keylessFlags) add(c *cobra.Command) {
	fl := c.Flags()
	fl.BoolVar(&f.keyless, "keyless", false, "sign with a certificate of Sigstore's, for whom an OIDC identity token is")
	fl.StringVar(&f.token, "identity-token", "", "identity `TOKEN` for --keyless, or the path of a file with one; "+
		sigstore.TokenEnv+", GitHub Actions or a browser give one otherwise")
	fl.StringVar(&f.signingConfig, "signing-config", "", "`FILE` with the servers of a Sigstore instance, for --keyless; the public instance's are fetched otherwise")
	fl.StringVar(&f.trustedRoot, "trusted-root", "", "trusted_root.json `FILE` of that instance, to check what its servers sign")
	fl.StringVar(&f.issuer, "oidc-issuer", "", "`URL` of the OIDC issuer to ask for a token in a browser; that of the signing config otherwise")
	fl.StringVar(&f.clientID, "oidc-client-id", sigstore.DefaultClientID, "`NAME` that the OIDC issuer knows this kind of program by")
	fl.StringVar(&f.certificate, "certificate", "", "`FILE` with the certificate that an own CA issued for the --key")
	fl.StringArrayVar(&f.stamps, "timestamp-server", nil, "`URL` of a timestamp authority (RFC 3161) that is to say when a --key signed; may be given several times")
}

// check refuses what contradicts itself, with a number of keys to sign with.
func (f *keylessFlags) check(keys int) error {
	switch {
	case !f.keyless && (f.token != "" || f.signingConfig != "" || f.trustedRoot != "" || f.issuer != "" || f.clientID != sigstore.DefaultClientID):
		return fault.WithHint(fault.Usage("--identity-token, --signing-config, --trusted-root, --oidc-issuer and --oidc-client-id say nothing without --keyless"), "add --keyless")
	case f.keyless && (f.signingConfig == "") != (f.trustedRoot == ""):
		return fault.WithHint(fault.Usage("--signing-config and --trusted-root go together: what is signed is checked with the root"),
			"give both files of the instance, or neither for the public one")
	case f.certificate != "" && keys != 1:
		return fault.WithHint(fault.Usage("--certificate is for exactly one --key, and there are %d", keys), "sign with the others later: bale sign")
	case len(f.stamps) > 0 && keys == 0:
		return fault.WithHint(fault.Usage("--timestamp-server is for a --key"), "with --keyless the signing config names the timestamp authorities")
	}
	return nil
}

// around puts certificate and timestamps around what a key signs.
func (f *keylessFlags) around(key sigstore.Key) (sign.Signer, error) {
	switch {
	case f.certificate != "":
		leaf, err := readLeaf(f.certificate)
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", f.certificate, err)
		}
		s, err := sigstore.Certified(key, leaf, f.stamps...)
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", f.certificate, err)
		}
		return s, nil
	case len(f.stamps) > 0:
		return sigstore.Timestamped(key, f.stamps...)
	}
	return key, nil
}

// readLeaf reads the certificate of a key. Those of CAs may stand beside it, as
// CAs give them out; they go to the far side in another way.
func readLeaf(path string) (*x509.Certificate, error) {
	data, err := sign.ReadKeyFile(path)
	if err != nil {
		return nil, err
	}
	list, err := certificate.ParseCertificates(data)
	if err != nil {
		return nil, err
	}
	var leaf *x509.Certificate
	for _, c := range list {
		switch {
		case c.IsCA:
		case leaf != nil:
			return nil, fault.Usage("holds several certificates that are not of a CA")
		default:
			leaf = c
		}
	}
	if leaf == nil {
		return nil, fault.WithHint(fault.Usage("holds certificates of CAs only"), "give the certificate that the CA issued for the key")
	}
	return leaf, nil
}

// keylessSigner returns the signer that --keyless asks for; nil if it does not. The
// public instance's servers are asked for here, and a token only when there is
// something to sign, since tokens live for minutes.
func (a *app) keylessSigner(ctx context.Context, f *keylessFlags) (sign.Signer, error) {
	if !f.keyless {
		return nil, nil
	}
	var token sigstore.TokenSource
	var err error
	if f.token != "" {
		token, err = sigstore.Given(f.token)
	} else {
		token, err = sigstore.Around(os.Getenv, f.clientID)
	}
	if err != nil {
		return nil, err
	}
	if token == nil && !a.atTerminal() {
		return nil, fault.WithHint(fault.Usage("there is no identity token, and no terminal to ask for one at"),
			`give one with --identity-token or in %s; in GitHub Actions the job needs the permission "id-token: write"`, sigstore.TokenEnv)
	}
	at, err := a.instance(ctx, f)
	if err != nil {
		return nil, err
	}
	if token == nil {
		issuer := f.issuer
		if issuer == "" {
			issuer = at.Issuer()
		}
		token, err = sigstore.Device(issuer, f.clientID, func(address, code string) {
			// The answer is waited for, so this is no note that --quiet could hide.
			fmt.Fprintf(a.err, "bale: to sign, open %s in a browser and type the code %s\n", address, code)
		})
		if err != nil {
			return nil, err
		}
	}
	return sigstore.Keyless(at, token), nil
}

// instance reads the instance that is given, or fetches the public one.
func (a *app) instance(ctx context.Context, f *keylessFlags) (*sigstore.Instance, error) {
	if f.signingConfig == "" {
		a.note("signing with Sigstore's public instance: its log will show for ever who signed what, by digest, and when")
		return sigstore.Repository{}.Instance(ctx)
	}
	config, err := sign.ReadKeyFile(f.signingConfig)
	if err != nil {
		return nil, fmt.Errorf("signing config %s: %w", sign.KeyName(f.signingConfig), err)
	}
	trusted, err := sign.ReadKeyFile(f.trustedRoot)
	if err != nil {
		return nil, fmt.Errorf("trusted root %s: %w", sign.KeyName(f.trustedRoot), err)
	}
	return sigstore.ParseInstance(config, trusted)
}

// atTerminal reports whether a person reads what is said.
func (a *app) atTerminal() bool {
	f, ok := a.err.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// newTrustedRoot returns the command that fetches a trusted root.
func newTrustedRoot(a *app) *cobra.Command {
	var output, tufURL, tufRoot string
	var force bool
	c := &cobra.Command{
		Use:   "trusted-root",
		Short: "Fetch the trusted root of a Sigstore instance, to verify with offline",
		Long: `Fetch trusted_root.json of Sigstore's public instance, or of another: the CAs, logs and
timestamp authorities that keyless signatures are verified with. Verifying never asks
the network, so the file is carried to the far side, by a way that is trusted, and
given there as --trusted-root. Fetch it again now and then: keys are replaced.

It comes from a TUF repository. The keys of the public instance's keepers are
built into bale; another instance's are in the root.json given as --tuf-root.`,
		Example: `  bale trusted-root -o trusted_root.json
  bale trusted-root --tuf-url https://tuf.example --tuf-root root.json -o trusted_root.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r := sigstore.Repository{URL: tufURL}
			if tufRoot != "" {
				data, err := sign.ReadKeyFile(tufRoot)
				if err != nil {
					return fmt.Errorf("TUF root %s: %w", tufRoot, err)
				}
				r.Root = data
			}
			return a.trustedRoot(cmd.Context(), r, output, force)
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "`FILE` to write it to; standard output if not given")
	c.Flags().StringVar(&tufURL, "tuf-url", "", "`URL` of the TUF repository of another instance")
	c.Flags().StringVar(&tufRoot, "tuf-root", "", "root.json `FILE` of that repository, which is trusted to begin with")
	c.Flags().BoolVar(&force, "force", false, "replace the output file if it is there")
	a.jsonFlag(c)
	return c
}

func (a *app) trustedRoot(ctx context.Context, r sigstore.Repository, output string, force bool) error {
	data, err := r.TrustedRoot(ctx)
	if err != nil {
		return err
	}
	if output == "" {
		_, err := a.out.Write(data)
		return err
	}
	if err := writePublic(ctx, output, data, force); err != nil {
		return err
	}
	v := struct {
		Output string `json:"output"`
		Bytes  int    `json:"bytes"`
	}{output, len(data)}
	return a.result(v, func(w io.Writer) {
		fmt.Fprintf(w, "%s  verify keyless signatures with it, take it to the far side\n", output)
	})
}
