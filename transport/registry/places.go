package registry

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"bale/bundle/fault"
	"bale/transport"
)

// A mirror is asked with less patience than a registry: there are others.
const (
	mirrorTries = 2
	mirrorWait  = 5 * time.Second // that it may ask for
)

// mirrorKey marks the contexts of requests to mirrors.
type mirrorKey struct{}

func withMirror(ctx context.Context) context.Context {
	return context.WithValue(ctx, mirrorKey{}, true)
}

func isMirror(ctx context.Context) bool { return ctx.Value(mirrorKey{}) != nil }

// places says where images are read from: names are names of people, and
// registries.conf and daemon.json may say that their content lives elsewhere.
// Writing always goes where the name says.
type places struct {
	opts  Options
	lanes *lanes
	load  func() (*settings, error)

	mu    sync.Mutex
	down  map[string]bool // mirrors that are asked no more
	noted map[string]bool
}

// settings is what the files say.
type settings struct {
	conf   *registriesConf
	daemon *daemonConfig
}

func newPlaces(o Options, l *lanes) *places {
	return &places{
		opts: o, lanes: l, down: map[string]bool{}, noted: map[string]bool{},
		// Not before a registry is needed: what is wrong with the files is of
		// no matter to other work.
		load: sync.OnceValues(func() (*settings, error) {
			conf, err := loadRegistriesConf(o)
			if err != nil {
				return nil, err
			}
			daemon, err := loadDaemonConfig(o)
			if err != nil {
				return nil, err
			}
			return &settings{conf, daemon}, nil
		}),
	}
}

// place is a repository that content may be read from.
type place struct {
	name   transport.Name // with tag and digest of the name that was asked for
	file   string         // that says so, "" for the name's own repository
	denied bool           // insecure there, which is not obeyed
}

// origin returns the repository that a name stands for when it is read.
func (p *places) origin(n transport.Name) (place, error) {
	s, err := p.load()
	if err != nil {
		return place{}, err
	}
	e := s.conf.find(n)
	if e == nil {
		return place{name: n}, nil
	}
	if e.Blocked {
		return place{}, blocked(e, n)
	}
	if e.Location == "" || e.Location == e.Prefix {
		return p.place(s, e, n, "", e.Insecure), nil
	}
	at, err := e.at(e.Location, n)
	if err != nil {
		return place{}, err
	}
	return p.place(s, e, at, e.file, e.Insecure), nil
}

// target checks that a name may be written to.
func (p *places) target(n transport.Name) error {
	s, err := p.load()
	if err != nil {
		return err
	}
	e := s.conf.find(n)
	if e == nil {
		return nil
	}
	if e.Blocked {
		return blocked(e, n)
	}
	p.place(s, e, n, "", e.Insecure && (e.Location == "" || e.Location == e.Prefix))
	return nil
}

func blocked(e *registryEntry, n transport.Name) error {
	return fault.WithHint(fault.Usage("%s is blocked in %s", n.Repository(), e.file), "that file forbids %s", e.Prefix)
}

// place makes a place of a name, and lets it be insecure if the user's own file
// says so.
func (p *places) place(s *settings, e *registryEntry, n transport.Name, file string, insecure bool) place {
	if insecure && s.conf.named {
		if n.Domain != hub && !isLoopback(hostOf(n.Domain)) {
			p.once("%s is reached without checks of its certificate, or without TLS, as %s says", n.Domain, e.file)
		}
		p.lanes.allowInsecure(n.Domain)
	}
	return place{n, file, insecure && !s.conf.named}
}

// mirrors returns the places to ask before the origin.
func (p *places) mirrors(n transport.Name) ([]place, error) {
	s, err := p.load()
	if err != nil {
		return nil, err
	}
	var list []place
	if e := s.conf.find(n); e != nil {
		for _, m := range e.Mirrors {
			if m.Pull == mirrorDigest && n.Digest == "" || m.Pull == mirrorTag && n.Digest != "" {
				continue
			}
			at, err := e.at(m.Location, n)
			if err != nil {
				return nil, err
			}
			list = append(list, p.place(s, e, at, e.file, m.Insecure))
		}
	}
	if n.Domain == hub && len(list) == 0 {
		for _, host := range s.daemon.mirrors {
			at := n
			at.Domain = host
			list = append(list, place{name: at, file: s.daemon.file})
		}
	}
	return list, nil
}

// once notes something that has not been noted yet.
func (p *places) once(format string, args ...any) {
	key := strings.Join(append([]string{format}, texts(args)...), "\x00")
	p.mu.Lock()
	known := p.noted[key]
	p.noted[key] = true
	p.mu.Unlock()
	if !known {
		p.opts.note(format, args...)
	}
}

func texts(args []any) []string {
	var list []string
	for _, a := range args {
		if s, ok := a.(string); ok {
			list = append(list, s)
		}
	}
	return list
}

// isDown reports whether a mirror is not worth asking any more.
func (p *places) isDown(n transport.Name) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.down[n.Domain]
}

// gaveUp tells why a mirror was not of use. It is asked again only if it just
// lacks something.
func (p *places) gaveUp(at place, n transport.Name, err error) {
	if errors.Is(err, fault.ErrMissing) {
		p.once("mirror %s does not have all of %s", at.name.Repository(), n.Repository())
		return
	}
	p.mu.Lock()
	known := p.down[at.name.Domain]
	p.down[at.name.Domain] = true
	p.mu.Unlock()
	if known {
		return // of requests that were under way together, one reason will do
	}
	p.opts.note("mirror %s is not used any more: %v", at.name.Domain, err)
	if at.denied {
		p.once("%s calls %s insecure, which bale does not obey: name the file with --registries-conf, or use --plain-http or --tls-verify=false",
			at.file, at.name.Domain)
	}
}

// reading calls f with a way to each place that the content of n may be read
// from, until it succeeds: mirrors first, the origin last. Whatever is wrong with
// a mirror leads to the next place. f gets a task like t that is about the place,
// and explains its errors as those of that one.
//
// Only what is named by its digest, or resolves a tag, may be read so: a mirror
// need not have all tags and referrers, so lists are asked of the origin, by
// [Client.session].
func (c *Client) reading(ctx context.Context, n transport.Name, t task, f func(*session, task) error) error {
	mirrors, err := c.places.mirrors(n)
	if err != nil {
		return err
	}
	for _, m := range mirrors {
		if c.places.isDown(m.name) {
			continue
		}
		err := c.readFrom(ctx, m, t, f)
		switch {
		case err == nil:
			c.places.once("%s is read from mirror %s, as %s says", n.Repository(), m.name.Repository(), m.file)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
		c.places.gaveUp(m, n, err)
	}
	w, err := c.session(ctx, n, regtransport.PullScope, &t)
	if err != nil {
		return err
	}
	return f(w, t)
}

func (c *Client) readFrom(ctx context.Context, m place, t task, f func(*session, task) error) error {
	t.host, t.doing = m.name.Domain, t.doing+" from mirror "+m.name.Domain
	w, err := c.connect(ctx, m.name, regtransport.PullScope, &m, &t)
	if err != nil {
		return err
	}
	return f(w, t)
}
