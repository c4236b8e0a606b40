package registry

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"bale/bundle/fault"
)

// maxDaemonConfig is the greatest size of Docker's daemon.json.
const maxDaemonConfig = 1 << 20

// daemonConfig is what Docker's daemon.json says about registries.
type daemonConfig struct {
	file    string
	mirrors []string // host[:port] of Docker Hub's mirrors
}

// loadDaemonConfig reads the file that the options name, else the machine's
// own. What is wrong with the latter is noted, and it is left out: its mirrors
// are a help, not a rule.
func loadDaemonConfig(o Options) (*daemonConfig, error) {
	if o.DaemonConfig != "" {
		return readDaemonConfig(o.DaemonConfig, o.note)
	}
	for _, path := range machineDaemonConfig() {
		c, err := readDaemonConfig(path, o.note)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			o.note("its mirrors are left out: %v", err)
			return &daemonConfig{}, nil
		}
		return c, nil
	}
	return &daemonConfig{}, nil
}

// machineDaemonConfig returns where engines have their settings, the user's own
// engine first.
func machineDaemonConfig() []string {
	var list []string
	if d := configHome(); d != "" {
		list = append(list, filepath.Join(d, "docker", "daemon.json"))
	}
	if home, err := os.UserHomeDir(); err == nil {
		list = append(list, filepath.Join(home, ".docker", "daemon.json"))
	}
	return append(list, "/etc/docker/daemon.json")
}

func readDaemonConfig(path string, note func(string, ...any)) (*daemonConfig, error) {
	content, err := readConfig("Docker's daemon.json", path, maxDaemonConfig)
	if err != nil {
		return nil, err
	}
	c := &daemonConfig{file: path}
	if len(strings.TrimSpace(string(content))) == 0 {
		return c, nil
	}
	var f struct {
		Mirrors []string `json:"registry-mirrors"`
	}
	if err := json.Unmarshal(content, &f); err != nil {
		return nil, fault.Usage("Docker's daemon.json %s is malformed: %w", path, err)
	}
	if len(f.Mirrors) > maxMirrors {
		return nil, fault.Usage("Docker's daemon.json %s has more than %d mirrors", path, maxMirrors)
	}
	for _, m := range f.Mirrors {
		host, ok := mirrorHost(m)
		if !ok {
			note("mirror %s in %s is left out: it must be https://HOST[:PORT]", withoutPassword(m), path)
			continue
		}
		c.mirrors = append(c.mirrors, host)
	}
	return c, nil
}

// mirrorHost returns host and port of a mirror's address. Whether it may be
// spoken to without TLS is decided as for all registries.
func mirrorHost(address string) (string, bool) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || !isLocation(u.Host) {
		return "", false
	}
	host := u.Host
	if u.Scheme == "http" && u.Port() == "" {
		host += ":80"
	}
	return host, true
}

// withoutPassword returns an address as it may be shown.
func withoutPassword(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "of malformed address"
	}
	u.User = nil
	return printable(u.String())
}
