package registry

import (
	"crypto/tls"
	"encoding/pem"
	"os"
	"runtime"
	"strings"

	"bale/bundle/fault"
)

// loadPair reads a client's certificate and its key, and notes if others may
// read the key.
func loadPair(certFile, keyFile string, note func(string, ...any)) (tls.Certificate, error) {
	if certFile == "" || keyFile == "" {
		return tls.Certificate{}, fault.Usage("a client certificate needs its key, and a key its certificate")
	}
	cert, err := readConfig("client certificate", certFile, MaxCAFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := readConfig("key of client certificate", keyFile, MaxCAFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	if isEncrypted(key) {
		return tls.Certificate{}, fault.WithHint(fault.Unsupported("key %s is encrypted", keyFile),
			"bale cannot ask for its passphrase here: give a key without one, readable by its owner only")
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fault.WithHint(fault.Usage("client certificate %s with key %s: %w", certFile, keyFile, err),
			"both must be in PEM form, and belong together")
	}
	if fi, err := os.Stat(keyFile); err == nil && runtime.GOOS != "windows" && fi.Mode().Perm()&0o077 != 0 {
		note("others than its owner may read the key %s (mode %04o); chmod 600 mends that", keyFile, fi.Mode().Perm())
	}
	return pair, nil
}

// isEncrypted reports whether a PEM file's first key wants a passphrase.
func isEncrypted(content []byte) bool {
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			return false
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			// PKCS #8 says it in the type, the older form in a header (RFC 1421).
			return block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")
		}
	}
}
