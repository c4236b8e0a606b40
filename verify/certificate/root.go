package certificate

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	trustrootpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"google.golang.org/protobuf/encoding/protojson"

	"bale/bundle/fault"
	"bale/verify"
)

// MaxTrustedRoot is the largest trusted root that is read, in bytes. That of the
// public instance has 7 KiB.
const MaxTrustedRoot = 1 << 20

// trustedRootPrefix begins the media types of all versions of trusted roots.
const trustedRootPrefix = "application/vnd.dev.sigstore.trustedroot"

const rootHint = "a trusted root is the file trusted_root.json of a Sigstore instance, or one made by cosign trusted-root create"

// Root is trusted material: who may issue certificates, and who may prove when
// something was signed. The zero value is none.
type Root struct {
	authorities []*authorityOfCAs
	timestamps  []root.TimestampingAuthority
	material    root.TrustedMaterial
	sigstore    bool
}

// authorityOfCAs is a CA with the certificates below it that the root names.
type authorityOfCAs = root.FulcioCertificateAuthority

// ParseTrustedRoot reads the trusted root of a Sigstore instance in JSON.
func ParseTrustedRoot(data []byte) (*Root, error) {
	pb, err := parseTrustedRoot(data)
	if err != nil {
		return nil, err
	}
	tr, err := root.NewTrustedRootFromProtobuf(pb)
	if err != nil {
		return nil, fault.WithHint(fault.Usage("is not a trusted root that bale reads: %s", verify.Clip(err.Error())), rootHint)
	}
	if len(pb.GetTlogs()) != len(tr.RekorLogs()) || len(pb.GetCtlogs()) != len(tr.CTLogs()) {
		return nil, fault.Usage("is a trusted root that names a log twice")
	}
	r := &Root{material: tr, timestamps: tr.TimestampingAuthorities(), sigstore: true}
	for _, ca := range tr.FulcioCertificateAuthorities() {
		f, ok := ca.(*authorityOfCAs)
		if !ok {
			return nil, fmt.Errorf("certificate authority of an unknown type %T", ca)
		}
		r.authorities = append(r.authorities, f)
	}
	switch {
	case len(r.authorities) == 0:
		return nil, fault.WithHint(fault.Usage("is a trusted root without a certificate authority"), rootHint)
	case len(r.timestamps) == 0 && len(tr.RekorLogs()) == 0:
		return nil, fault.WithHint(fault.Usage("is a trusted root without a log and without a timestamp authority, so nothing proves when something was signed"),
			"for certificates that live long, give the CA's certificate itself")
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return r, nil
}

// parseTrustedRoot reads the version before anything else, so that a newer root
// is told from what is none.
func parseTrustedRoot(data []byte) (*trustrootpb.TrustedRoot, error) {
	if len(data) > MaxTrustedRoot {
		return nil, fault.Usage("has more than %d bytes, too many for a trusted root", MaxTrustedRoot)
	}
	var head struct{ MediaType string }
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fault.WithHint(fault.Usage("is not a trusted root: it is no JSON: %w", err), rootHint)
	}
	switch {
	case head.MediaType == root.TrustedRootMediaType01:
	case strings.HasPrefix(head.MediaType, trustedRootPrefix):
		return nil, fault.WithHint(fault.Unsupported("is a trusted root of another version: %s", verify.Clip(head.MediaType)),
			"this version of bale reads 0.1 only; a newer bale may read it")
	default:
		return nil, fault.WithHint(fault.Usage("is not a trusted root: media type is %q", verify.Clip(head.MediaType)), rootHint)
	}
	pb := new(trustrootpb.TrustedRoot)
	if err := protojson.Unmarshal(data, pb); err != nil {
		return nil, fault.WithHint(fault.Usage("is not a trusted root: %s", verify.Clip(err.Error())), rootHint)
	}
	most := max(len(pb.GetCertificateAuthorities()), len(pb.GetTlogs()), len(pb.GetCtlogs()), len(pb.GetTimestampAuthorities()))
	if most > maxCertificates {
		return nil, fault.Usage("is a trusted root with %d instances of a kind, more than %d", most, maxCertificates)
	}
	return pb, nil
}

// NewRoot returns the root of an organisation's own CA. Among cas, what is
// self-signed is an anchor, of which there must be one, and the rest are
// intermediate certificates, as are all of intermediates. timestampAuthorities
// are the same for those whose timestamps count, and may hold the certificate of
// one itself, which is then the only one that is taken; there may be none.
func NewRoot(cas, intermediates, timestampAuthorities []*x509.Certificate) (*Root, error) {
	if max(len(cas), len(intermediates), len(timestampAuthorities)) > maxCertificates {
		return nil, fault.Usage("more than %d certificates of a kind", maxCertificates)
	}
	anchors, between, leaves := sort(cas)
	switch {
	case len(leaves) > 0:
		return nil, notCA(leaves[0])
	case len(anchors) == 0:
		return nil, noAnchor("CA", cas)
	}
	more, rest, leaves := sort(intermediates)
	switch {
	case len(leaves) > 0:
		return nil, notCA(leaves[0])
	case len(more) > 0:
		return nil, fault.WithHint(fault.Usage("%s signed itself and is no intermediate certificate", name(more[0])),
			"give it as a CA if it is to be trusted")
	}
	between = append(between, rest...)
	r := new(Root)
	for _, a := range anchors {
		r.authorities = append(r.authorities, &authorityOfCAs{Root: a, Intermediates: between})
	}
	var err error
	if r.timestamps, err = newTimestampAuthorities(timestampAuthorities); err != nil {
		return nil, err
	}
	r.material, err = root.NewTrustedRoot(root.TrustedRootMediaType01, nil, nil, r.timestamps, nil)
	if err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return r, nil
}

func newTimestampAuthorities(list []*x509.Certificate) ([]root.TimestampingAuthority, error) {
	if len(list) == 0 {
		return nil, nil
	}
	anchors, between, leaves := sort(list)
	if len(anchors) == 0 {
		return nil, noAnchor("timestamp authority", list)
	}
	if len(leaves) == 0 {
		leaves = []*x509.Certificate{nil}
	}
	var out []root.TimestampingAuthority
	for _, a := range anchors {
		for _, leaf := range leaves {
			called := name(a)
			if leaf != nil {
				called = name(leaf)
			}
			out = append(out, &root.SigstoreTimestampingAuthority{Root: a, Intermediates: between, Leaf: leaf, URI: called})
		}
	}
	return out, nil
}

// sort tells CAs that signed themselves from other CAs and from what is no CA.
func sort(list []*x509.Certificate) (anchors, between, leaves []*x509.Certificate) {
	for _, c := range list {
		switch {
		case c == nil:
		case !isCA(c):
			leaves = append(leaves, c)
		case c.CheckSignatureFrom(c) == nil:
			anchors = append(anchors, c)
		default:
			between = append(between, c)
		}
	}
	return anchors, between, leaves
}

func isCA(c *x509.Certificate) bool {
	return c.BasicConstraintsValid && c.IsCA && (c.KeyUsage == 0 || c.KeyUsage&x509.KeyUsageCertSign != 0)
}

func notCA(c *x509.Certificate) error {
	return fault.WithHint(fault.Usage("%s is not the certificate of a CA", name(c)),
		"give the certificate of the CA, not one that it issued")
}

func noAnchor(what string, list []*x509.Certificate) error {
	if len(list) == 0 {
		return fault.Usage("no certificate of a %s given", what)
	}
	return fault.WithHint(fault.Usage("no certificate of a %s signed itself: %s is below another", what, name(list[0])),
		"give the certificate of the root CA too")
}

// check refuses roots whose own keys are weak.
func (r *Root) check() error {
	for _, a := range r.authorities {
		if a.Root == nil {
			return fault.Usage("has a certificate authority without a certificate")
		}
		if !isCA(a.Root) {
			return notCA(a.Root)
		}
		if err := strong(append([]*x509.Certificate{a.Root}, a.Intermediates...)); err != nil {
			return err
		}
	}
	for _, t := range r.timestamps {
		s, ok := t.(*root.SigstoreTimestampingAuthority)
		if !ok || s.Root == nil {
			return fault.Usage("has a timestamp authority without the certificate of a CA")
		}
		list := append([]*x509.Certificate{s.Root}, s.Intermediates...)
		if s.Leaf != nil {
			list = append(list, s.Leaf)
		}
		if err := strong(list); err != nil {
			return err
		}
	}
	return nil
}

// name names a certificate for people.
func name(c *x509.Certificate) string {
	if n := c.Subject.String(); n != "" {
		return verify.Clip(n)
	}
	return "a certificate without a name"
}

// day writes a time for people.
func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
