package registry

import (
	"bytes"
	"crypto/x509"
	"io"
	"os"

	"bale/bundle/fault"
)

// loadCAs returns the system's certificates and those of a PEM file.
func loadCAs(path string) (*x509.CertPool, error) {
	pool := systemCAs()
	if err := addCAs(pool, "CA file", path); err != nil {
		return nil, err
	}
	return pool, nil
}

// systemCAs returns a pool of its own with the system's certificates. A system
// without any trusts only what is added.
func systemCAs() *x509.CertPool {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return x509.NewCertPool()
	}
	return pool
}

// addCAs puts the certificates of a PEM file into a pool.
func addCAs(pool *x509.CertPool, what, path string) error {
	b, err := readConfig(what, path, MaxCAFile)
	if err != nil {
		return err
	}
	if !pool.AppendCertsFromPEM(b) {
		return fault.WithHint(fault.Usage("%s %s holds no certificate", what, path),
			"it must hold the registry's CA certificate in PEM form (-----BEGIN CERTIFICATE-----)")
	}
	return nil
}

// readConfig reads a file of settings, which is no larger than limit. The
// error says what it is; it is an [os.ErrNotExist] if there is no such file.
func readConfig(what, path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.Usage("%s: %w", what, err)
	}
	defer func() { _ = f.Close() }() // only read
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fault.Usage("%s: %w", what, err)
	}
	if int64(len(b)) > limit {
		return nil, fault.Usage("%s %s is larger than %d bytes", what, path, limit)
	}
	// Editors of some systems put a mark in front.
	return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), nil
}

// note tells the user something, once for the whole client.
func (o Options) note(format string, args ...any) {
	if o.Note != nil {
		o.Note(format, args...)
	}
}
