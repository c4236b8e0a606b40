package main

import (
	"crypto/x509"
	"fmt"

	"github.com/spf13/cobra"

	"bale/bundle/fault"
	"bale/sign"
	"bale/verify"
	"bale/verify/certificate"
)

// certifiedFlags say whose certificates count, and by which authorities they are
// checked.
type certifiedFlags struct {
	root   string
	cas    []string
	stamps []string
	who    certificate.Identity
}

// certifiedHelp is part of the help of what decides.
const certifiedHelp = `
In place of a key, --certificate-identity and --certificate-oidc-issuer name who must have
signed without one (keyless), with the --trusted-root of that Sigstore instance (bale
trusted-root fetches it); or --certificate-identity whom an own --ca says its
certificates are for. Nothing is asked of the network.`

func (f *certifiedFlags) add(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVar(&f.root, "trusted-root", "", "trusted_root.json `FILE` of a Sigstore instance: its CAs, logs and timestamp authorities")
	fl.StringArrayVar(&f.cas, "ca", nil, "PEM `FILE` with the root, and what is between, of an own CA; may be given several times")
	fl.StringArrayVar(&f.stamps, "timestamp-authority", nil, "PEM `FILE` with the certificates of a timestamp authority: with --ca signatures must be stamped by it, and certificates valid then in place of now")
	fl.StringVar(&f.who.Subject, "certificate-identity", "", "`IDENTITY` that a signer's certificate must be for: an email address, a URI, a DNS name")
	fl.StringVar(&f.who.SubjectRegexp, "certificate-identity-regexp", "", "the same as a regular `EXPRESSION` that matches all of it")
	fl.StringVar(&f.who.Issuer, "certificate-oidc-issuer", "", "`ISSUER` that must have vouched for the identity")
	fl.StringVar(&f.who.IssuerRegexp, "certificate-oidc-issuer-regexp", "", "the same as a regular `EXPRESSION` that matches all of it")
}

// named reports whether an identity is named that must have signed.
func (f *certifiedFlags) named() bool { return f.who != certificate.Identity{} }

// check refuses what says nothing. others tells whether somebody else has a use
// for the root: images.
func (f *certifiedFlags) check(others bool) error {
	switch {
	case f.root != "" && len(f.cas) > 0:
		return fault.WithHint(fault.Usage("--trusted-root and --ca exclude each other"), "a policy can name several: bale policy example")
	case len(f.stamps) > 0 && len(f.cas) == 0:
		return fault.WithHint(fault.Usage("--timestamp-authority says nothing without --ca"), "a trusted root has timestamp authorities of its own")
	case f.named() && f.root == "" && len(f.cas) == 0:
		return fault.WithHint(fault.Usage("nothing was given to check certificates with"), "give the --trusted-root of the Sigstore instance, or an own --ca")
	case !f.named() && !others && (f.root != "" || len(f.cas) > 0):
		return fault.WithHint(fault.Usage("nobody was named whose certificates count"), "name who must have signed with --certificate-identity")
	}
	return nil
}

// load reads what certificates are checked with; nil if nothing was given.
func (f *certifiedFlags) load() (*certificate.Root, error) {
	switch {
	case f.root != "":
		data, err := sign.ReadKeyFile(f.root)
		if err != nil {
			return nil, fmt.Errorf("trusted root %s: %w", sign.KeyName(f.root), err)
		}
		r, err := certificate.ParseTrustedRoot(data)
		if err != nil {
			return nil, fmt.Errorf("trusted root %s: %w", sign.KeyName(f.root), err)
		}
		return r, nil
	case len(f.cas) > 0:
		cas, err := readCertificates("CA", f.cas)
		if err != nil {
			return nil, err
		}
		stamps, err := readCertificates("timestamp authority", f.stamps)
		if err != nil {
			return nil, err
		}
		return certificate.NewRoot(cas, nil, stamps)
	}
	return nil, nil
}

// authority returns who must have signed; nil if no identity is named.
func (f *certifiedFlags) authority(r *certificate.Root) (verify.Authority, error) {
	if !f.named() {
		return nil, nil
	}
	return certificate.New(r, f.who, certificate.Options{})
}

func readCertificates(what string, paths []string) (all []*x509.Certificate, err error) {
	for _, path := range paths {
		data, err := sign.ReadKeyFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", what, sign.KeyName(path), err)
		}
		list, err := certificate.ParseCertificates(data)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", what, sign.KeyName(path), err)
		}
		all = append(all, list...)
	}
	return all, nil
}
