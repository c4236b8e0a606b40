package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// pattern is a pattern of image names; see the package comment.
type pattern struct {
	text   string
	any    bool // ** in place of host and path
	host   string
	path   []string
	tag    string // "" is any or none
	digest string // "" is any
}

// hubHost is the host that names without one belong to, and hubPath what stands
// before their last part.
const (
	hubHost = "docker.io"
	hubPath = "library"
)

// parsePattern reads a pattern, and refuses what no name can fit.
func parsePattern(s string) (*pattern, error) {
	p := &pattern{text: s}
	name, d, pinned := strings.Cut(s, "@")
	if pinned {
		if _, err := digest.Parse(d); err != nil {
			return nil, fmt.Errorf("%q is not a digest in full", d)
		}
		p.digest = d
	}
	if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
		name, p.tag = name[:i], name[i+1:]
		if strings.Contains(name, "/") || name == "**" {
			if !fits(reference.TagRegexp.FindString(literal(p.tag)), p.tag) {
				return nil, fmt.Errorf("%q is not a tag that an image can have", p.tag)
			}
		} else {
			return nil, fmt.Errorf("says no path: write %s:%s/** for all images of that host, or %s for those of Docker Hub",
				name, p.tag, inFull(name)+":"+p.tag)
		}
	}
	if name == "**" {
		p.any = true
		return p, nil
	}
	parts := strings.Split(name, "/")
	p.host, p.path = strings.ToLower(parts[0]), parts[1:]
	switch {
	case strings.Contains(p.host, "*"):
		return nil, errors.New("the host must stand there as it is: * is for what follows it (** alone is every image)")
	case !isHost(parts[0]):
		return nil, fmt.Errorf("does not begin with a registry's host: in full it is %s", inFull(name))
	case len(p.path) == 0:
		return nil, fmt.Errorf("says no path: write %s/** for all images of that host", p.host)
	case p.host == "index.docker.io":
		return nil, errors.New("no name has the host index.docker.io: write docker.io")
	case p.host == hubHost && len(p.path) == 1 && p.path[0] != "**":
		return nil, fmt.Errorf("fits nothing: in full it is %s/%s/%s", hubHost, hubPath, p.path[0])
	}
	for i, part := range p.path {
		if strings.Contains(part, "**") && part != "**" {
			return nil, fmt.Errorf("%q: ** stands for whole parts between slashes", part)
		}
		p.path[i] = part
	}
	// With letters in place of the stars it must be a name, or nothing fits.
	if _, err := reference.ParseNamed(p.host + "/" + literal(strings.Join(p.path, "/"))); err != nil {
		return nil, fmt.Errorf("no image can have a name like this (%w)", err)
	}
	return p, nil
}

// literal puts a letter in place of each star.
func literal(s string) string { return strings.ReplaceAll(s, "*", "a") }

func fits(found, whole string) bool { return whole != "" && found == literal(whole) }

// isHost tells a host from the first part of a path as Docker's rules do.
func isHost(s string) bool {
	return s != "" && (s == "localhost" || strings.ContainsAny(s, ".:") || strings.ToLower(s) != s)
}

// inFull writes a name as Docker's rules complete it.
func inFull(name string) string {
	if strings.Contains(name, "/") {
		return hubHost + "/" + name
	}
	return hubHost + "/" + hubPath + "/" + name
}

// name is an image's name, taken apart.
type name struct {
	host   string
	path   []string
	tag    string
	digest string
	attach bool // only host and path count
}

// parseName takes an image's name apart, which is one in full.
func parseName(i Image) (*name, error) {
	named, err := reference.ParseNamed(i.Name)
	if err != nil {
		return nil, err
	}
	n := &name{
		host: strings.ToLower(reference.Domain(named)), path: strings.Split(reference.Path(named), "/"),
		digest: i.Digest.String(), attach: i.Attached,
	}
	if n.host == "" {
		return nil, errors.New("a name without a host")
	}
	if t, ok := named.(reference.Tagged); ok {
		n.tag = t.Tag()
	}
	return n, nil
}

// fits reports whether a name fits the pattern. denying is for a list of what is
// denied.
func (p *pattern) fits(n *name, denying bool) bool {
	if !p.any {
		host := n.host
		if denying && !hasPort(p.host) {
			host = withoutPort(host)
		}
		if p.host != host || !globPath(p.path, n.path, false) {
			return false
		}
	}
	if n.attach {
		// A tag or digest that is denied does not deny all that is attached.
		return !denying || p.tag == "" && p.digest == ""
	}
	return (p.tag == "" || n.tag != "" && glob(p.tag, n.tag)) && (p.digest == "" || p.digest == n.digest)
}

// covers reports whether all that fits another pattern fits this one.
func (p *pattern) covers(o *pattern) bool {
	if !p.any && (o.any || p.host != o.host || !globPath(p.path, o.path, true)) {
		return false
	}
	return (p.tag == "" || o.tag != "" && glob(p.tag, o.tag)) && (p.digest == "" || p.digest == o.digest)
}

func hasPort(host string) bool { return withoutPort(host) != host }

// withoutPort takes the port from a host; an address in brackets has colons too.
func withoutPort(host string) string {
	if i := strings.LastIndex(host, ":"); i > strings.LastIndex(host, "]") {
		return host[:i]
	}
	return host
}
