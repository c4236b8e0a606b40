package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"bale/bundle"
	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/transport"
	"bale/transport/bale"
	"bale/verify"
	"bale/verify/certificate"
	"bale/verify/image"
	"bale/verify/keyring"
	"bale/verify/policy"
)

// imageTrustFlags say who must have signed the images of a bundle, beside what a
// policy demands. Any one of those who are named is enough.
type imageTrustFlags struct {
	images       bool
	keys         []string
	who          certificate.Identity
	attestations []string
	options      image.Options
	sameName     bool
}

const imageTrustHelp = `
Images in a bundle can carry signatures and attestations that cosign made where they
were built. --image-key, --image-certificate-identity or the images of a policy say
whose each image must carry; they are checked offline. A signature of an index covers all
that it lists; else each image of it that is in the bundle must be signed.
`

func (f *imageTrustFlags) add(c *cobra.Command) {
	fl := c.Flags()
	fl.StringArrayVar(&f.keys, "image-key", nil, "public key `FILE` with which every image must be signed; of several one is enough")
	fl.StringVar(&f.who.Subject, "image-certificate-identity", "", "`IDENTITY` in the certificate with which every image must be signed, see --trusted-root")
	fl.StringVar(&f.who.SubjectRegexp, "image-certificate-identity-regexp", "", "the same as a regular `EXPRESSION` that matches all of it")
	fl.StringVar(&f.who.Issuer, "image-certificate-oidc-issuer", "", "`ISSUER` that vouches for the identity, in the same certificate")
	fl.StringVar(&f.who.IssuerRegexp, "image-certificate-oidc-issuer-regexp", "", "the same as a regular `EXPRESSION` that matches all of it")
	fl.StringArrayVar(&f.attestations, "image-attestation", nil, "`TYPE` of an attestation that every image must have by the same signers, as cosign attest --type takes it; may be given several times")
	fl.BoolVar(&f.sameName, "image-same-name", false, "count older cosign signatures only if they were made for the image's own repository")
	fl.BoolVar(&f.options.AllowPromise, "image-allow-promise", false, "count older signatures by certificates for which the log gave a promise and no proof, as cosign 2 made them")
}

// addImages adds the flag of a command that checks images only if it is told to.
func (f *imageTrustFlags) addImages(c *cobra.Command) {
	c.Flags().BoolVar(&f.images, "images", false, "check the signatures and attestations that the images carry too")
}

// named reports whether the flags name somebody.
func (f *imageTrustFlags) named() bool {
	return len(f.keys) > 0 || f.who != certificate.Identity{}
}

// check refuses what would be ignored. policy tells whether there is one that
// demands something of images.
func (f *imageTrustFlags) check(policy bool) error {
	switch {
	case f.images && !f.named() && !policy:
		return fault.WithHint(fault.Usage("nobody was named who must have signed the images"),
			"give a public key with --image-key, or --image-certificate-identity, or a policy with images")
	case len(f.attestations) > 0 && !f.named():
		return fault.WithHint(fault.Usage("--image-attestation does not say whose"), "give a public key with --image-key too")
	case (f.sameName || f.options.AllowPromise) && !f.named() && !policy:
		return fault.WithHint(fault.Usage("no signature of an image is asked for"), "give a public key with --image-key too")
	}
	return nil
}

// requirement returns what the flags demand of every image; nothing if they name
// nobody. root is what certificates are checked with, and may be nil.
func (f *imageTrustFlags) requirement(root *certificate.Root) (req image.Requirement, err error) {
	var of []verify.Authority
	for _, path := range f.keys {
		list, err := keyring.Load(path)
		if err != nil {
			return req, err
		}
		of = append(of, list...)
	}
	if f.who != (certificate.Identity{}) {
		if root == nil {
			return req, fault.WithHint(fault.Usage("nothing was given to check the images' certificates with"),
				"give the trusted root of the Sigstore instance: --trusted-root FILE")
		}
		a, err := certificate.New(root, f.who, certificate.Options{})
		if err != nil {
			return req, err
		}
		of = append(of, a)
	}
	if len(of) == 0 {
		return req, nil
	}
	rules := []verify.Rule{{Of: of, Threshold: 1}}
	req.Signed = rules
	for _, t := range f.attestations {
		req.Attestations = append(req.Attestations, image.Attestation{Type: image.PredicateType(t), Rules: rules})
	}
	return req, req.Check()
}

// imageDemand is what must be signed, and by whom: what the flags demand of every
// image, and what a policy demands of some. Either may be missing.
type imageDemand struct {
	all     image.Requirement
	policy  *policy.Policy
	options image.Options
	named   bool // older signatures must be for the image's own name
}

// demand returns what the flags and a policy demand; nil if that is nothing.
func (f *imageTrustFlags) demand(root *certificate.Root, p *policy.Policy) (*imageDemand, error) {
	if p != nil && !p.DemandsOfImages() {
		p = nil
	}
	if err := f.check(p != nil); err != nil {
		return nil, err
	}
	all, err := f.requirement(root)
	if err != nil || all.Empty() && p == nil {
		return nil, err
	}
	return &imageDemand{all: all, policy: p, options: f.options, named: f.sameName}, nil
}

// of returns what is demanded of one image, and which rule of the policy says so.
func (d *imageDemand) of(i transport.Image) (req image.Requirement, rule string, err error) {
	if d.policy != nil {
		if req, rule, err = d.policy.Requirement(policy.Image{Name: i.Name.String(), Digest: i.Root.Digest}); err != nil {
			return req, rule, err
		}
	}
	req.Signed = append(req.Signed[:len(req.Signed):len(req.Signed)], d.all.Signed...)
	req.Attestations = append(req.Attestations[:len(req.Attestations):len(req.Attestations)], d.all.Attestations...)
	return req, rule, nil
}

// verifiedImage is one image that has all that is demanded of it.
type verifiedImage struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
	// Demanded is false if nothing is demanded of it, and nothing was checked.
	Demanded     bool       `json:"demanded"`
	Rule         string     `json:"rule,omitempty"` // of the policy
	Signers      []signer   `json:"signers,omitempty"`
	Attestations []attested `json:"attestations,omitempty"`
	// Ignored is what is attached and did not count, in words.
	Ignored []string `json:"ignored,omitempty"`
}

// attested is who attests something of a type.
type attested struct {
	Type    string   `json:"type"`
	Signers []signer `json:"signers"`
}

// verifyImages checks that images of a bundle, or all of them if there are none,
// are signed as is demanded. Nothing is written anywhere. The errors of several
// images are told at once. Each step is told to explain, which may be nil.
func (a *app) verifyImages(ctx context.Context, r *bundle.Reader, src *bale.Source, images []transport.Image, d *imageDemand, explain func(verify.Step)) ([]verifiedImage, error) {
	if d == nil {
		return nil, nil
	}
	if images == nil {
		var err error
		if images, err = src.Images(ctx, ""); err != nil {
			return nil, err
		}
	}
	images, err := standing(ctx, r, src, images)
	if err != nil {
		return nil, err
	}
	var out []verifiedImage
	var refused []error
	for _, i := range images {
		v, err := verifyImage(ctx, r, src, i, d, explain)
		switch {
		case err == nil:
			out = append(out, v)
		case ctx.Err() == nil && (errors.Is(err, fault.ErrUntrusted) || errors.Is(err, fault.ErrMissing)):
			refused = append(refused, err)
		default:
			return nil, err
		}
	}
	if len(refused) > 0 {
		return nil, errors.Join(refused...)
	}
	return out, nil
}

func verifyImage(ctx context.Context, r *bundle.Reader, src *bale.Source, i transport.Image, d *imageDemand, explain func(verify.Step)) (v verifiedImage, err error) {
	v = verifiedImage{Name: i.Name.String(), Digest: i.Root.Digest.String()}
	req, rule, err := d.of(i)
	if err != nil {
		return v, err
	}
	v.Rule = rule
	o := d.options
	if explain != nil {
		o.Explain = func(s verify.Step) { explain(verify.Step{Verdict: s.Verdict, Text: v.Name + ": " + s.Text}) }
	}
	if req.Empty() {
		if explain != nil {
			explain(verify.Step{Verdict: verify.Noted, Text: v.Name + ": no signature is demanded"})
		}
		return v, nil
	}
	if d.named {
		o.Named = func(reference string) bool {
			n, err := transport.ParseName(reference)
			return err == nil && n.Repository() == i.Name.Repository()
		}
	}
	res, err := image.Check(ctx, newImageContent(r, src, i), image.Image{Name: v.Name, Digest: i.Root.Digest}, req, o)
	if err != nil {
		return v, err
	}
	v.Demanded = true
	v.Signers = verifiedSigners(res.Signers())
	for _, t := range res.Attestations() {
		v.Attestations = append(v.Attestations, attested{t.Type, verifiedSigners(t.By)})
	}
	for _, f := range res.Findings {
		if f.Verdict == verify.Ignored {
			v.Ignored = append(v.Ignored, f.In+" "+f.Reason)
		}
	}
	return v, nil
}

// maxIgnored is how many lines about what did not count people are shown for an
// image.
const maxIgnored = 8

// printImages says in words who signed what.
func printImages(w io.Writer, list []verifiedImage) {
	for _, v := range list {
		if !v.Demanded {
			fmt.Fprintf(w, "image %s: no signature is demanded\n", v.Name)
			continue
		}
		fmt.Fprintf(w, "image %s (%s)\n", v.Name, v.Digest)
		var b strings.Builder
		if len(v.Signers) > 0 {
			printSigners(&b, v.Signers)
		}
		for _, t := range v.Attestations {
			fmt.Fprintf(&b, "attestation %s\n", verify.Clip(t.Type))
			printSigners(&b, t.Signers)
		}
		for n, text := range v.Ignored {
			if n == maxIgnored {
				fmt.Fprintf(&b, "ignored: %d more\n", len(v.Ignored)-n)
				break
			}
			fmt.Fprintf(&b, "ignored: %s\n", text)
		}
		for line := range strings.Lines(b.String()) {
			fmt.Fprint(w, "  "+line)
		}
	}
}

// standing leaves out what is attached to other images of the bundle: nobody
// signs signatures. What could be run under a name of its own stands for itself,
// whatever it says it is attached to.
func standing(ctx context.Context, r *bundle.Reader, src *bale.Source, images []transport.Image) (list []transport.Image, err error) {
	for _, i := range images {
		attached, err := isAttached(ctx, r, src, i)
		if err != nil {
			return nil, err
		}
		if !attached {
			list = append(list, i)
		}
	}
	return list, nil
}

func isAttached(ctx context.Context, r *bundle.Reader, src *bale.Source, i transport.Image) (there bool, err error) {
	m, err := manifestOf(ctx, src, i, i.Root)
	if err != nil {
		return false, err
	}
	if to, ok := i.Attachment(m); ok {
		_, there = r.Index().Blob(to)
	}
	return there, nil
}

// imageContent reads an image of a bundle for package image.
type imageContent struct {
	r     *bundle.Reader
	src   *bale.Source
	in    transport.Image
	types map[digest.Digest]string // media types that indexes gave
}

func newImageContent(r *bundle.Reader, src *bale.Source, in transport.Image) *imageContent {
	return &imageContent{r, src, in, map[digest.Digest]string{in.Root.Digest: in.Root.MediaType}}
}

// blob returns what the bundle knows of a blob that it has.
func (c *imageContent) blob(d digest.Digest) (*index.Blob, bool) {
	b, ok := c.r.Index().Blob(d)
	return b, ok && b.Recipe != index.Listed
}

// Read implements [image.Content].
func (c *imageContent) Read(ctx context.Context, d digest.Digest, limit int64) (_ []byte, err error) {
	b, ok := c.blob(d)
	switch {
	case !ok:
		return nil, fault.Missing("blob %s is not in the bundle", d)
	case b.Size > limit:
		return nil, &image.TooLargeError{Err: fault.Damaged("%s has %d bytes, more than %d", d, b.Size, limit)}
	}
	rc, err := c.src.Blob(ctx, c.in, v1.Descriptor{Digest: d, Size: b.Size})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d, err)
	}
	defer func() { err = errors.Join(err, rc.Close()) }()
	return blob.ReadAll(blob.WithContext(ctx, rc), d, b.Size, limit)
}

// Children implements [image.Content].
func (c *imageContent) Children(ctx context.Context, d digest.Digest) ([]digest.Digest, error) {
	mediaType := c.types[d]
	if !transport.IsIndex(mediaType) {
		return nil, nil
	}
	data, err := c.Read(ctx, d, transport.MaxManifest)
	if err != nil {
		return nil, err
	}
	m, err := transport.ParseManifest(mediaType, data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d, err)
	}
	var list []digest.Digest
	for _, child := range m.Manifests {
		if _, ok := c.blob(child.Digest); !ok {
			continue
		}
		if c.types[child.Digest] == "" {
			c.types[child.Digest] = child.MediaType
		}
		list = append(list, child.Digest)
	}
	return list, nil
}

// Attached implements [image.Content].
func (c *imageContent) Attached(ctx context.Context, d digest.Digest) ([]image.Attached, error) {
	found, err := c.src.Referrers(ctx, c.in, v1.Descriptor{Digest: d})
	if err != nil {
		return nil, err
	}
	var list []image.Attached
	for _, i := range found {
		a := image.Attached{Digest: i.Root.Digest}
		if _, kind, ok := transport.AttachedTo(i.Name.Tag); ok && kind != "" {
			a.Tag, a.Kind = i.Name.Tag, kind
		}
		list = append(list, a)
	}
	return list, nil
}
