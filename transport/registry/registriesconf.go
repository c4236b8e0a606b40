package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/distribution/reference"

	"bale/bundle/fault"
	"bale/transport"
)

// Bounds on registries.conf.
const (
	maxRegistriesConf = 1 << 20 // bytes of one file
	maxDropIns        = 256     // files beside it
	maxConfEntries    = 4096    // registries in all, and aliases
	maxMirrors        = 32      // of one registry
	maxConfDepth      = 16      // brackets within brackets; the format needs 3
)

// registriesConf is what containers-registries.conf(5) files say together.
type registriesConf struct {
	entries []*registryEntry
	search  []string          // unqualified-search-registries
	aliases map[string]string // of short names
	// named is whether the user named the file, so that insecure and short
	// names are obeyed too.
	named bool
}

// registryEntry is a [[registry]] table.
type registryEntry struct {
	Prefix     string        `toml:"prefix"`
	Location   string        `toml:"location"`
	Insecure   bool          `toml:"insecure"`
	Blocked    bool          `toml:"blocked"`
	DigestOnly bool          `toml:"mirror-by-digest-only"`
	Mirrors    []mirrorEntry `toml:"mirror"`
	file       string        // that says so
}

// mirrorEntry is a [[registry.mirror]] table.
type mirrorEntry struct {
	Location string `toml:"location"`
	Insecure bool   `toml:"insecure"`
	Pull     string `toml:"pull-from-mirror"`
}

// What pull-from-mirror may be.
const (
	mirrorAll    = "all"
	mirrorDigest = "digest-only"
	mirrorTag    = "tag-only"
)

// registriesFile is one file, in the present form or in the first one.
type registriesFile struct {
	Search   []string          `toml:"unqualified-search-registries"`
	Registry []registryEntry   `toml:"registry"`
	Aliases  map[string]string `toml:"aliases"`
	Old      struct {
		Search, Insecure, Block struct {
			Registries []string `toml:"registries"`
		}
	} `toml:"registries"`
}

// loadRegistriesConf reads the file that the options name, else those of the
// machine.
func loadRegistriesConf(o Options) (*registriesConf, error) {
	c := &registriesConf{aliases: map[string]string{}, named: o.RegistriesConf != ""}
	if c.named {
		return c, c.add(o.RegistriesConf)
	}
	files, err := machineRegistriesConf()
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		err := c.add(f)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case errors.Is(err, fs.ErrPermission):
			o.note("%s is left out: it may not be read", f)
		case err != nil:
			// It may block registries, so it cannot be left out.
			return nil, fault.WithHint(err, "mend the file, or leave it out with --registries-conf %s", os.DevNull)
		}
	}
	return c, nil
}

// machineRegistriesConf returns the machine's files in their order: later ones
// replace what earlier ones say (containers-registries.conf.d(5)).
func machineRegistriesConf() ([]string, error) {
	const etc = "/etc/containers"
	main, dropIns := filepath.Join(etc, "registries.conf"), []string{filepath.Join(etc, "registries.conf.d")}
	if home := configHome(); home != "" {
		own := filepath.Join(home, "containers", "registries.conf")
		if _, err := os.Stat(own); err == nil {
			main, dropIns = own, nil
		}
		dropIns = append(dropIns, own+".d")
	}
	if p := os.Getenv("CONTAINERS_REGISTRIES_CONF"); p != "" {
		main = p
	}
	files := []string{main}
	for _, dir := range dropIns {
		entries, err := os.ReadDir(dir) // sorted
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return nil, fault.Usage("registries.conf: %w", err)
		}
		for _, e := range entries {
			if !e.IsDir() && filepath.Ext(e.Name()) == ".conf" {
				files = append(files, filepath.Join(dir, e.Name()))
			}
		}
	}
	if len(files) > maxDropIns {
		return nil, fault.Usage("registries.conf: more than %d files in %s", maxDropIns, strings.Join(dropIns, " and "))
	}
	return files, nil
}

// add reads one file.
func (c *registriesConf) add(path string) error {
	content, err := readConfig("registries.conf", path, maxRegistriesConf)
	if err != nil {
		return err
	}
	f, err := parseRegistriesConf(content)
	if err != nil {
		return fault.Usage("registries.conf %s: %w", path, err)
	}
	if f.Search != nil {
		c.search = f.Search
	}
	for name, value := range f.Aliases {
		if value == "" {
			delete(c.aliases, name)
		} else {
			c.aliases[name] = value
		}
	}
	// A table replaces one of an earlier file with the same prefix.
	known := map[string]int{}
	for i, e := range c.entries {
		known[e.Prefix] = i
	}
	before := len(c.entries)
	for i := range f.Registry {
		e := &f.Registry[i]
		e.file = path
		at, ok := known[e.Prefix]
		switch {
		case !ok:
			known[e.Prefix] = len(c.entries)
			c.entries = append(c.entries, e)
		case at < before:
			c.entries[at] = e
		}
	}
	if len(c.entries) > maxConfEntries || len(c.aliases) > maxConfEntries {
		return fault.Usage("registries.conf %s: more than %d entries", path, maxConfEntries)
	}
	return nil
}

// parseRegistriesConf reads the content of a file and checks it. What is for
// other programs is passed over.
func parseRegistriesConf(content []byte) (*registriesFile, error) {
	if tooDeep(content) {
		return nil, fmt.Errorf("more than %d brackets within brackets", maxConfDepth)
	}
	var f registriesFile
	if err := toml.Unmarshal(content, &f); err != nil {
		return nil, err
	}
	if err := f.takeOld(); err != nil {
		return nil, err
	}
	if len(f.Registry) > maxConfEntries || len(f.Aliases) > maxConfEntries || len(f.Search) > maxConfEntries {
		return nil, fmt.Errorf("more than %d entries", maxConfEntries)
	}
	for i := range f.Registry {
		if err := f.Registry[i].check(); err != nil {
			return nil, fmt.Errorf("registry %q: %w", f.Registry[i].Prefix, err)
		}
	}
	for i, s := range f.Search {
		if f.Search[i] = strings.TrimSuffix(s, "/"); !isLocation(f.Search[i]) {
			return nil, fmt.Errorf("unqualified-search-registries: %q is no registry", s)
		}
	}
	for short, full := range f.Aliases {
		if err := checkAlias(short, full); err != nil {
			return nil, err
		}
	}
	return &f, nil
}

// takeOld turns the first form of the file into the present one. A file has
// one form only.
func (f *registriesFile) takeOld() error {
	old := f.Old
	if old.Search.Registries == nil && old.Insecure.Registries == nil && old.Block.Registries == nil {
		return nil
	}
	if f.Search != nil || f.Registry != nil {
		return errors.New("it mixes the first form, with [registries.…], and the present one")
	}
	f.Search = old.Search.Registries
	at := map[string]*registryEntry{}
	entry := func(name string) *registryEntry {
		if at[name] == nil {
			at[name] = &registryEntry{Prefix: name}
		}
		return at[name]
	}
	for _, name := range old.Insecure.Registries {
		entry(name).Insecure = true
	}
	for _, name := range old.Block.Registries {
		entry(name).Blocked = true
	}
	for _, name := range append(old.Insecure.Registries, old.Block.Registries...) {
		if e := at[name]; e != nil {
			f.Registry = append(f.Registry, *e)
			delete(at, name)
		}
	}
	return nil
}

// check makes an entry whole and sees that it makes sense.
func (e *registryEntry) check() error {
	e.Prefix, e.Location = strings.TrimSuffix(e.Prefix, "/"), strings.TrimSuffix(e.Location, "/")
	if e.Prefix == "" {
		e.Prefix = e.Location
	}
	wild := strings.HasPrefix(e.Prefix, "*.")
	if tail := tagOf(e.Prefix); tail != "" && e.Location != "" {
		var same bool
		if e.Location, same = strings.CutSuffix(e.Location, tail); !same {
			return fmt.Errorf("location %q is of another tag or digest than the prefix", e.Location)
		}
	}
	switch {
	case e.Prefix == "":
		return errors.New("it has neither prefix nor location")
	case wild && strings.Contains(e.Prefix, "/"):
		return errors.New("a prefix that starts with *. cannot have a path")
	case !isPrefix(strings.TrimPrefix(e.Prefix, "*.")):
		return errors.New("the prefix is no name of a registry or repository")
	case e.Location != "" && !isLocation(e.Location):
		return fmt.Errorf("location %q is no name of a registry or repository", e.Location)
	case len(e.Mirrors) > maxMirrors:
		return fmt.Errorf("more than %d mirrors", maxMirrors)
	}
	for i := range e.Mirrors {
		m := &e.Mirrors[i]
		m.Location = strings.TrimSuffix(m.Location, "/")
		if !isLocation(m.Location) {
			return fmt.Errorf("mirror %q is no name of a registry or repository", m.Location)
		}
		switch m.Pull {
		case "":
			m.Pull = mirrorAll
			if e.DigestOnly {
				m.Pull = mirrorDigest
			}
		case mirrorAll, mirrorDigest, mirrorTag:
			if e.DigestOnly {
				return errors.New("mirror-by-digest-only and pull-from-mirror exclude each other")
			}
		default:
			return fmt.Errorf("pull-from-mirror is %q; it can be all, digest-only or tag-only", m.Pull)
		}
	}
	return nil
}

// find returns the entry with the longest prefix of a name, nil if there is
// none.
func (c *registriesConf) find(n transport.Name) *registryEntry {
	var best *registryEntry
	for _, e := range c.entries {
		if _, ok := e.rest(n); ok && (best == nil || len(e.Prefix) > len(best.Prefix)) {
			best = e
		}
	}
	return best
}

// rest returns what follows the entry's prefix in a name's repository, with the
// slash in front, and whether the name has that prefix at all. What is blocked
// without a port is blocked on all ports; else a port makes it another registry.
func (e *registryEntry) rest(n transport.Name) (string, bool) {
	if suffix, ok := strings.CutPrefix(e.Prefix, "*"); ok {
		ok = strings.HasSuffix(n.Domain, suffix) || e.Blocked && strings.HasSuffix(hostOf(n.Domain), suffix)
		return "/" + n.Path, ok
	}
	host, path, _ := strings.Cut(e.Prefix, "/")
	if host != n.Domain && (!e.Blocked || host != hostOf(n.Domain)) {
		return "", false
	}
	if path == "" {
		return "/" + n.Path, true
	}
	full := n
	full.Domain = ""
	after, ok := strings.CutPrefix(strings.TrimPrefix(full.String(), "/"), path)
	switch {
	case !ok:
		return "", false
	case after == "" || strings.IndexByte("/:@", after[0]) >= 0:
		if len(path) > len(n.Path) {
			return "", true // the prefix goes on into the tag
		}
		return n.Path[len(path):], true
	}
	return "", false
}

// at returns a name's repository at another location.
func (e *registryEntry) at(location string, n transport.Name) (transport.Name, error) {
	rest, _ := e.rest(n)
	domain, path, _ := strings.Cut(location+rest, "/")
	if _, err := reference.WithName(domain + "/" + path); err != nil || path == "" {
		return transport.Name{}, fault.Usage("%s: %s would be at %.300q, which is no repository", e.file, n.Repository(), location+rest)
	}
	n.Domain, n.Path = domain, path
	return n, nil
}

// tagOf returns the tag and digest at the end of a prefix, with the signs in
// front of them.
func tagOf(prefix string) string {
	slash := strings.LastIndexByte(prefix, '/')
	if slash < 0 {
		return "" // a host with its port
	}
	n := strings.IndexAny(prefix[slash:], ":@")
	if n < 0 {
		return ""
	}
	return prefix[slash+n:]
}

// isPrefix reports whether s is host, host/path, or those with a tag or digest.
func isPrefix(s string) bool {
	_, err := reference.Parse(s)
	return len(s) <= transport.MaxName && err == nil || isLocation(s)
}

// isLocation reports whether s is host[:port] or host[:port]/path.
func isLocation(s string) bool {
	host, path, ok := strings.Cut(s, "/")
	if !ok {
		path = "x"
	}
	named, err := reference.WithName(host + "/" + path)
	return err == nil && len(s) <= transport.MaxName && reference.Domain(named) == host
}

// checkAlias checks one line of [aliases].
func checkAlias(short, full string) error {
	if !isShort(short) || strings.ContainsAny(short, ":@") {
		return fmt.Errorf("alias %q: no short name", short)
	}
	if _, err := reference.ParseNormalizedNamed(short); err != nil {
		return fmt.Errorf("alias %q: %w", short, err)
	}
	if full == "" {
		return nil // takes an earlier alias back
	}
	named, err := reference.ParseNormalizedNamed(full)
	if err != nil {
		return fmt.Errorf("alias %q: %w", short, err)
	}
	if isShort(full) || !reference.IsNameOnly(named) {
		return fmt.Errorf("alias %q: %q is no full name without tag and digest", short, full)
	}
	return nil
}

// isShort reports whether a name is without a registry, by the rules of
// Docker's names.
func isShort(s string) bool {
	host, _, ok := strings.Cut(s, "/")
	return !ok || host != "localhost" && !strings.ContainsAny(host, ".:") && strings.ToLower(host) == host
}

// tooDeep reports whether a file has deeper brackets than any of use: the TOML
// library reads them by calling itself.
func tooDeep(content []byte) bool {
	depth := 0
	for _, b := range content {
		switch b {
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(0, depth-1)
		}
		if depth > maxConfDepth {
			return true
		}
	}
	return false
}
