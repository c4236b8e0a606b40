package registry

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"bale/bundle/fault"
)

// maxCertFiles bounds the files of one registry's folder.
const maxCertFiles = 100

// certDirs are the folders certs.d of Docker and of the containers tools: below
// each, a folder HOST[:PORT] says what certificates count for that registry
// (containers-certs.d(5)).
type certDirs struct {
	dirs []string
	note func(string, ...any)
}

func newCertDirs(o Options) *certDirs {
	dirs := o.CertDirs
	if dirs == nil {
		dirs = defaultCertDirs()
	}
	return &certDirs{dirs, o.note}
}

// defaultCertDirs returns the folders that Docker and Podman look into, the
// user's own first.
func defaultCertDirs() []string {
	var dirs []string
	if d := configHome(); d != "" {
		dirs = append(dirs, filepath.Join(d, "containers", "certs.d"), filepath.Join(d, "docker", "certs.d"))
	}
	return append(dirs, "/etc/containers/certs.d", "/etc/docker/certs.d")
}

// configHome is the folder of the user's settings (XDG Base Directory
// specification), "" if there is none.
func configHome() string {
	if d := os.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(d) {
		return d
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".config")
}

// apply returns base with what is said about the registry domain, and base
// itself if nothing is. The first folder that has the registry counts, as
// with the containers tools.
func (c *certDirs) apply(base *tls.Config, domain string) (*tls.Config, error) {
	if !filepath.IsLocal(domain) || domain == "." || strings.ContainsAny(domain, `/\`) {
		return base, nil // no name of a folder
	}
	for _, parent := range c.dirs {
		dir := filepath.Join(parent, domain)
		entries, err := os.ReadDir(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case errors.Is(err, fs.ErrPermission):
			// It is for others; a registry that needs it says so.
			c.note("certificates for %s in %s are left out: they may not be read", domain, dir)
			continue
		case err != nil:
			return nil, fault.Usage("certificates for %s: %w", domain, err)
		case len(entries) > maxCertFiles:
			return nil, fault.Usage("certificates for %s: %s has more than %d files", domain, dir, maxCertFiles)
		}
		return c.read(base, dir, entries)
	}
	return base, nil
}

// read adds the files of one registry's folder: *.crt are CAs, *.cert and *.key
// a client's certificates.
func (c *certDirs) read(base *tls.Config, dir string, entries []fs.DirEntry) (*tls.Config, error) {
	conf := base.Clone()
	if conf.RootCAs != nil {
		conf.RootCAs = conf.RootCAs.Clone()
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch filepath.Ext(path) {
		case ".crt":
			if conf.RootCAs == nil {
				conf.RootCAs = systemCAs()
			}
			if err := addCAs(conf.RootCAs, "CA file", path); err != nil {
				return nil, err
			}
		case ".cert":
			pair, err := loadPair(path, partner(path, ".cert", ".key"), c.note)
			if err != nil {
				return nil, partnerHint(err, path)
			}
			conf.Certificates = append(conf.Certificates[:len(conf.Certificates):len(conf.Certificates)], pair)
		case ".key":
			cert := partner(path, ".key", ".cert")
			if _, err := os.Stat(cert); err != nil {
				return nil, partnerHint(fault.Usage("key %s has no certificate: %w", path, err), path)
			}
		}
	}
	return conf, nil
}

func partner(path, ext, other string) string { return strings.TrimSuffix(path, ext) + other }

func partnerHint(err error, path string) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fault.WithHint(err, "in %s a client's certificate NAME.cert goes with its key NAME.key; a CA's certificate is NAME.crt",
		filepath.Dir(path))
}
