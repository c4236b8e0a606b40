package registry

import (
	"crypto/x509"
	"io"
	"os"

	"bale/bundle/fault"
)

// loadCAs returns the system's certificates and those of a PEM file.
func loadCAs(path string) (*x509.CertPool, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Usage("CA file: %w", err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, MaxCAFile+1))
	if err != nil {
		return nil, fault.Usage("CA file: %w", err)
	}
	if len(b) > MaxCAFile {
		return nil, fault.Usage("CA file %s is larger than %d bytes", path, MaxCAFile)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		// A system without certificates of its own trusts the file's alone.
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(b) {
		return nil, fault.WithHint(fault.Usage("CA file %s holds no certificate", path),
			"it must hold the registry's CA certificate in PEM form (-----BEGIN CERTIFICATE-----)")
	}
	return pool, nil
}
