package certificate_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	trustrootpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"

	"bale/bundle/fault"
	"bale/verify/certificate"
)

func TestTrustedRootRefused(t *testing.T) {
	i := newInstance()
	good := i.trustedRoot(nil)
	with := i.trustedRoot
	leaf := i.leaf(order{key: newKey()})
	for name, c := range map[string]struct {
		data []byte
		kind error // fault.ErrUsage if nil
		want string
	}{
		"nothing":       {nil, nil, "is no JSON"},
		"no JSON":       {[]byte("-----BEGIN CERTIFICATE-----"), nil, "is no JSON"},
		"other JSON":    {[]byte("{}"), nil, `media type is ""`},
		"a bundle":      {[]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}`), nil, "media type is"},
		"a newer one":   {[]byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot.v0.2+json"}`), fault.ErrUnsupported, "of another version"},
		"unknown field": {bytes.Replace(good, []byte(`{`), []byte(`{"x":1,`), 1), nil, "is not a trusted root"},
		"field twice":   {bytes.Replace(good, []byte(`{`), []byte(`{"tlogs":[],`), 1), nil, "is not a trusted root"},
		"cut":           {good[:len(good)-2], nil, "is no JSON"},
		"too long":      {bytes.Repeat([]byte(" "), certificate.MaxTrustedRoot+1), nil, "too many for a trusted root"},
		"no CA":         {with(func(r *trustrootpb.TrustedRoot) { r.CertificateAuthorities = nil }), nil, "without a certificate authority"},
		"no witness":    {with(func(r *trustrootpb.TrustedRoot) { r.Tlogs, r.TimestampAuthorities = nil, nil }), nil, "nothing proves when"},
		"empty chain":   {with(func(r *trustrootpb.TrustedRoot) { r.CertificateAuthorities[0].CertChain.Certificates = nil }), nil, "cert chain is empty"},
		"a leaf as CA": {with(func(r *trustrootpb.TrustedRoot) {
			r.CertificateAuthorities[0].CertChain.Certificates = []*commonpb.X509Certificate{{RawBytes: leaf.Raw}}
		}), nil, "is not the certificate of a CA"},
		"broken CA": {with(func(r *trustrootpb.TrustedRoot) {
			r.CertificateAuthorities[0].CertChain.Certificates[0].RawBytes = []byte("x")
		}), nil, "failed to parse certificate"},
		"timestamp authority without a CA": {with(func(r *trustrootpb.TrustedRoot) {
			r.TimestampAuthorities[0].CertChain.Certificates = r.TimestampAuthorities[0].CertChain.Certificates[:1]
		}), nil, "timestamp authority without the certificate of a CA"},
		"log twice":      {with(func(r *trustrootpb.TrustedRoot) { r.Tlogs = append(r.Tlogs, r.Tlogs[0]) }), nil, "names a log twice"},
		"CT log twice":   {with(func(r *trustrootpb.TrustedRoot) { r.Ctlogs = append(r.Ctlogs, r.Ctlogs[0]) }), nil, "names a log twice"},
		"log, no window": {with(func(r *trustrootpb.TrustedRoot) { r.Tlogs[0].PublicKey.ValidFor = nil }), nil, "validity period"},
		"log, weak hash": {with(func(r *trustrootpb.TrustedRoot) { r.Tlogs[0].HashAlgorithm = 0 }), nil, "hash algorithm"},
		"log, bad key":   {with(func(r *trustrootpb.TrustedRoot) { r.Tlogs[0].PublicKey.RawBytes = []byte("x") }), nil, "public key"},
		"too many CAs": {with(func(r *trustrootpb.TrustedRoot) {
			for range 64 {
				r.CertificateAuthorities = append(r.CertificateAuthorities, r.CertificateAuthorities[0])
			}
		}), nil, "65 instances"},
	} {
		if c.kind == nil {
			c.kind = fault.ErrUsage
		}
		r, err := certificate.ParseTrustedRoot(c.data)
		if r != nil || !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q as %v", name, err, c.want, c.kind)
		}
	}
}

func TestParseCertificates(t *testing.T) {
	c := newCorp()
	block := func(typ string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}))
	}
	ca, sub := block("CERTIFICATE", c.root.Raw), block("CERTIFICATE", c.sub.Raw)
	for name, text := range map[string]string{
		"two": ca + sub, "with text": "Subject: CN=x\n" + ca + "\nand\n" + sub + "end\n", "with CRs": strings.ReplaceAll(ca+sub, "\n", "\r\n"),
	} {
		list, err := certificate.ParseCertificates([]byte(text))
		if err != nil || len(list) != 2 || !list[0].Equal(c.root.Certificate) || !list[1].Equal(c.sub.Certificate) {
			t.Errorf("%s: %d, %v", name, len(list), err)
		}
	}
	for name, r := range map[string]struct{ text, want string }{
		"nothing":         {"", "is not a certificate in PEM form"},
		"DER":             {string(c.root.Raw), "is not a certificate in PEM form"},
		"a private key":   {ca + block("PRIVATE KEY", []byte("geheim")), `holds "PRIVATE KEY"`},
		"a key's label":   {block("A\x1b[31m", c.root.Raw), `holds "A?[31m"`},
		"no certificate":  {ca + block("CERTIFICATE", []byte("x")), "certificate 2 cannot be read"},
		"damaged between": {strings.Replace(ca, "\n", "\n*", 1) + sub, "of which 1 cannot be read"},
		"cut":             {ca + sub[:len(sub)-30], "of which 1 cannot be read"},
		"too many":        {strings.Repeat(ca, 65), "holds 65 certificates, more than 64"},
	} {
		list, err := certificate.ParseCertificates([]byte(r.text))
		if list != nil || !errors.Is(err, fault.ErrUsage) || !strings.Contains(err.Error(), r.want) {
			t.Errorf("%s: %v, want %q", name, err, r.want)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: the key is in %q", name, err)
		}
	}
}
