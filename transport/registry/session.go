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
	anonymous bool // no credentials are known for it

	// turn lets one caller at a time shake hands. It is a channel, not a
	// sync.Once, so that waiting ends with the waiter's own context and a
	// failure may be tried again.
	turn chan struct{}
}

type sessionKey struct {
	repo  name.Repository
	scope string
}

// session returns the way to n's repository, shaking hands on first use.
// scope is the library's PullScope or PushScope; the latter can read too.
// A failure is explained as one of t, which learns about the credentials.
func (c *Client) session(ctx context.Context, n transport.Name, scope string, t *task) (*session, error) {
	repo, err := c.repository(n)
	if err != nil {
		return nil, err
	}
	key := sessionKey{repo, scope}
	c.mu.Lock()
	s := c.sessions[key]
	if s == nil {
		s = &session{repo: repo, turn: make(chan struct{}, 1)}
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
	auth, err := authn.Resolve(ctx, c.keychain, repo)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fault.WithHint(quiet(t.doing+": read credentials for "+n.Domain, err),
			"check Docker's config.json and the credential helper that it names")
	}
	s.anonymous = auth == authn.Anonymous
	t.anonymous = s.anonymous
	rt, err := regtransport.NewWithContext(ctx, repo.Registry, auth, c.retrying, []string{repo.Scope(scope)})
	if err != nil {
		greeting := *t
		greeting.greeting = true
		return nil, greeting.explain(ctx, err)
	}
	s.http = &http.Client{Transport: rt, CheckRedirect: checkRedirect}
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
	u := s.repo.Scheme() + "://" + s.repo.RegistryStr() + "/v2/" + s.repo.RepositoryStr() + "/" + path
	req, err := http.NewRequestWithContext(ctx, method, u, nil)
	if err != nil {
		return nil, err
	}
	if len(accept) > 0 {
		// One line: some registries read only the first Accept header.
		req.Header.Set("Accept", strings.Join(accept, ","))
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	if err := regtransport.CheckError(resp, codes...); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}
