package registry

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"bale/bundle/fault"
	"bale/transport"
)

// session is an authenticated way to one repository.
type session struct {
	repo      name.Repository
	http      *http.Client
	anonymous bool   // no credentials are known for it
	mirror    *place // where it is, if that is a mirror

	// turn lets one caller at a time shake hands. It is a channel, not a
	// sync.Once, so that waiting ends with the waiter's own context and a
	// failure may be tried again.
	turn chan struct{}
}

type sessionKey struct {
	repo   name.Repository
	scope  string
	mirror bool
}

// session returns the way to n's repository, shaking hands on first use.
// scope is the library's PullScope or PushScope; the latter can read too. To
// pull, it is the repository that registries.conf says, but never a mirror.
// A failure is explained as one of t, which learns about the credentials.
func (c *Client) session(ctx context.Context, n transport.Name, scope string, t *task) (*session, error) {
	if scope != regtransport.PullScope {
		if err := c.places.target(n); err != nil {
			return nil, err
		}
		return c.connect(ctx, n, scope, nil, t)
	}
	at, err := c.places.origin(n)
	if err != nil {
		return nil, err
	}
	if at.file != "" {
		c.places.once("%s is read from %s, as %s says", n.Repository(), at.name.Repository(), at.file)
		t.host = at.name.Domain
	}
	w, err := c.connect(ctx, at.name, scope, nil, t)
	if err != nil && at.denied {
		c.places.once("%s is called insecure in registries.conf, which bale does not obey: name the file with --registries-conf, or use --plain-http or --tls-verify=false", at.name.Domain)
	}
	return w, err
}

// connect returns the way to the repository n itself, which may be a mirror.
func (c *Client) connect(ctx context.Context, n transport.Name, scope string, mirror *place, t *task) (*session, error) {
	repo, err := c.repository(n)
	if err != nil {
		return nil, err
	}
	key := sessionKey{repo, scope, mirror != nil}
	c.mu.Lock()
	s := c.sessions[key]
	if s == nil {
		s = &session{repo: repo, mirror: mirror, turn: make(chan struct{}, 1)}
		c.sessions[key] = s
	}
	c.mu.Unlock()

	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.http != nil {
		t.anonymous = s.anonymous
		return s, nil
	}
	keychain := c.keychain
	if mirror != nil {
		keychain = c.strange
	}
	auth, err := authn.Resolve(ctx, keychain, repo)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fault.WithHint(quiet(t.doing+": read credentials for "+n.Domain, err),
			"check Docker's config.json and the credential helper that it names")
	}
	s.anonymous = auth == authn.Anonymous
	t.anonymous = s.anonymous
	a, err := greet(ctx, repo.Registry, auth, c.retrying, repo.Scope(scope), mirror != nil)
	if err != nil {
		greeting := *t
		greeting.greeting = true
		return nil, greeting.explain(ctx, err)
	}
	s.http = &http.Client{Transport: a, CheckRedirect: checkRedirect}
	return s, nil
}

// checkRedirect follows a registry to its storage, wherever that is, but not
// from another machine back into this one.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return errors.New("too many redirects")
	}
	if isLoopback(req.URL.Hostname()) && !isLoopback(via[0].URL.Hostname()) {
		return errors.New("redirected to a loopback address")
	}
	return nil
}

// do sends a request below the repository and expects one of the status
// codes. The answer's body is the caller's to close.
func (s *session) do(ctx context.Context, method, path string, accept []string, codes ...int) (*http.Response, error) {
	header := http.Header{}
	if len(accept) > 0 {
		// One line: some registries read only the first Accept header.
		header.Set("Accept", strings.Join(accept, ","))
	}
	return s.ask(ctx, method, path, header, codes...)
}

// ask is do with any headers.
func (s *session) ask(ctx context.Context, method, path string, header http.Header, codes ...int) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.address(path), nil)
	if err != nil {
		return nil, err
	}
	req.Header = header
	return s.send(req, codes...)
}
