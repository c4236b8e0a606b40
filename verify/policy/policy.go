package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v3"

	"bale/bundle/fault"
	"bale/sign"
	"bale/verify"
	"bale/verify/certificate"
)

// Version is the version of the format that this package reads.
const Version = 1

// MaxFiles is how many files a policy may name.
const MaxFiles = 256

// policyFields are the fields at the top of the file.
var policyFields = []string{"version", "signers", "roles", "bundles", "images"}

// Policy is a policy that was read and makes sense. The zero value takes nothing.
type Policy struct {
	name    string // of the file, in messages
	files   []string
	signers []*signer
	roles   []*role
	bundles []*Rule
	images  []*imageRule
}

// String returns what the file is called.
func (p *Policy) String() string { return p.name }

// Files returns the paths of the policy and of all files that it names.
func (p *Policy) Files() []string { return slices.Clone(p.files) }

// Exposed says, in words, which of the files others may change, and with them
// what is trusted.
func (p *Policy) Exposed() []string {
	var out []string
	for _, f := range p.files {
		if text := verify.Exposed(f); text != "" && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

// Find returns the path of the policy that is in force when none is named: that
// of the user, then that of the system. That none is there is no error; what is
// there and cannot be looked at is one, since it may demand something.
func Find() (path string, found bool, err error) {
	dir := os.Getenv("XDG_CONFIG_HOME")
	switch {
	case dir == "":
		home, err := os.UserHomeDir()
		if err == nil { // who has no home has no policy there
			dir = filepath.Join(home, ".config")
		}
	case !filepath.IsAbs(dir):
		return "", false, fault.Usage("XDG_CONFIG_HOME is %q, which is not an absolute path", dir)
	}
	var places []string
	if dir != "" {
		places = append(places, filepath.Join(dir, "bale", "policy.yaml"))
	}
	return find(append(places, filepath.Join(string(filepath.Separator)+"etc", "bale", "policy.yaml")))
}

// find returns the first of some files that is there.
func find(places []string) (string, bool, error) {
	for _, p := range places {
		// A link that leads nowhere is there: somebody wants a policy.
		switch _, err := os.Lstat(p); {
		case err == nil:
			return p, true, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", false, fmt.Errorf("look for a policy: %w", err)
		}
	}
	return "", false, nil
}

// Load reads a policy from a file of at most [sign.MaxKeyFile] bytes, and the
// files that it names. Whatever is wrong with it is a [fault.ErrUsage], with
// file, line and column; that it is not there is a [fault.ErrMissing].
func Load(path string) (*Policy, error) {
	if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() && fi.Size() > sign.MaxKeyFile {
		return nil, fault.WithHint(fault.Usage("policy %s: has %d bytes, more than %d", path, fi.Size(), sign.MaxKeyFile),
			"give the policy itself; keys can stand in files of their own")
	}
	data, err := sign.ReadKeyFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.WithHint(fault.Missing("policy %s: %w", path, fs.ErrNotExist), "check the path of the policy; bale policy example prints one to begin with")
	case errors.Is(err, fault.ErrUsage):
		// Its hint is about keys.
		return nil, fault.WithHint(fault.Usage("policy %s: %v", sign.KeyName(path), err), "give a policy in a regular file of at most %d KiB", sign.MaxKeyFile>>10)
	case err != nil:
		return nil, fmt.Errorf("policy %s: %w", path, err)
	}
	dir := filepath.Dir(path)
	p, err := Parse(path, data, func(name string) ([]byte, string, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		data, err := sign.ReadKeyFile(name)
		return data, name, err
	})
	if err != nil {
		return nil, err
	}
	p.files = append([]string{path}, p.files...)
	return p, nil
}

// Files reads the files that a policy names: it returns the content of one, and
// the path that it was found at.
type Files func(name string) (data []byte, path string, err error)

// Parse reads a policy; name is what messages call it. Its form is strict:
// unknown fields, fields that are there twice, anchors, aliases, tags and a
// second document are refused.
func Parse(name string, data []byte, files Files) (*Policy, error) {
	l := &loader{
		reader: &reader{name: name}, p: &Policy{name: name}, files: files,
		signers: make(map[string]*signer), roles: make(map[string]*role),
		content: make(map[string]content), roots: make(map[string]*certificate.Root),
	}
	top, err := l.document(data)
	if err != nil {
		return nil, err
	}
	l.readTop(top)
	if err := l.err(); err != nil {
		return nil, err
	}
	return l.p, nil
}

// loader reads a policy.
type loader struct {
	*reader
	p       *Policy
	files   Files
	signers map[string]*signer
	roles   map[string]*role
	content map[string]content // of files that were read, by name
	roots   map[string]*certificate.Root
}

// content is what a file has.
type content struct {
	data   []byte
	path   string
	failed bool
}

func (l *loader) readTop(n *yaml.Node) {
	if n.Kind == yaml.MappingNode && !l.readVersion(n) {
		return // who knows what it means
	}
	o, _ := l.object(n, "the policy", policyFields)
	if n.Kind != yaml.MappingNode {
		return
	}
	for _, part := range []struct {
		name string
		must bool
		read func(*yaml.Node)
	}{
		{"signers", true, l.readSigners},
		{"roles", false, l.readRoles},
		{"bundles", true, l.readBundles},
		{"images", false, l.readImages},
	} {
		switch f := o.fields[part.name]; {
		case f != nil:
			part.read(f)
		case part.must:
			l.badHint(n, "bale policy example prints a policy to begin with", "the policy has no %s", part.name)
		}
	}
}

// readVersion looks at the version before anything else, so that a newer policy
// is told from a wrong one.
func (l *loader) readVersion(n *yaml.Node) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != "version" {
			continue
		}
		if v := n.Content[i+1]; v.Kind != yaml.ScalarNode || v.Tag != "!!int" || v.Value != fmt.Sprint(Version) {
			l.badHint(v, "a newer bale may read it", "version must be %d, and is %q", Version, verify.Clip(v.Value))
			return false
		}
		return true
	}
	l.badHint(n, fmt.Sprintf("write version: %d", Version), "the policy has no version")
	return false
}

// file reads a file that the policy names, each once.
func (l *loader) file(n *yaml.Node, what string) (data []byte, path string, ok bool) {
	name, ok := l.text(n, what)
	if !ok {
		return nil, "", false
	}
	if c, ok := l.content[name]; ok {
		return c.data, c.path, !c.failed // which was told
	}
	if len(l.content) == MaxFiles {
		l.bad(n, "the policy names more than %d files", MaxFiles)
		return nil, "", false
	}
	data, path, err := l.files(name)
	if err != nil {
		l.content[name] = content{failed: true}
		l.badFrom(n, err, "%s %s", what, verify.Clip(name))
		return nil, "", false
	}
	l.content[name] = content{data: data, path: path}
	l.p.files = append(l.p.files, path)
	return data, path, true
}

// badFrom notes that something which a node names is wrong. Its own hint stays.
func (l *loader) badFrom(n *yaml.Node, err error, format string, args ...any) {
	l.badHint(n, fault.Hint(err), "%s: %w", fmt.Sprintf(format, args...), err)
}
