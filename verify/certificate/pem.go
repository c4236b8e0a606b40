package certificate

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"

	"bale/bundle/fault"
	"bale/verify"
)

// maxCertificates bounds the certificates of one file, and the instances of one
// kind in a trusted root.
const maxCertificates = 64

// pemBegin begins each PEM block. pem.Decode passes over blocks that it cannot
// read, and nothing must be passed over here.
var pemBegin = []byte("-----BEGIN ")

// ParseCertificates reads certificates in PEM form, one or more. Text between
// them is passed over, as openssl writes it; other blocks are refused.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	blocks := bytes.Count(data, pemBegin)
	switch {
	case blocks == 0:
		return nil, fault.WithHint(fault.Usage("is not a certificate in PEM form"),
			`a certificate file begins with the line "-----BEGIN CERTIFICATE-----"; openssl x509 -inform DER -in FILE makes it of DER`)
	case blocks > maxCertificates:
		return nil, fault.Usage("holds %d certificates, more than %d", blocks, maxCertificates)
	}
	var list []*x509.Certificate
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		if b.Type != "CERTIFICATE" {
			return nil, fault.WithHint(fault.Usage("holds %q, which is no certificate", verify.Clip(b.Type)),
				"give the file with the CA's certificates and nothing else")
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fault.Usage("certificate %d cannot be read: %w", len(list)+1, err)
		}
		list = append(list, c)
	}
	if len(list) != blocks {
		return nil, fault.WithHint(fault.Usage("holds %d PEM blocks, of which %d cannot be read", blocks, blocks-len(list)),
			"the file is damaged: get it again")
	}
	return list, nil
}
