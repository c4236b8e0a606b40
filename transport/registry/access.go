package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"bale/bundle/fault"
)

const (
	// tokenLife is how long a token is good for if the server does not say so
	// (distribution's token specification).
	tokenLife = 60 * time.Second
	// maxTokens is how many tokens are kept, one for each set of scopes.
	maxTokens = 64
	// maxStrangers is how many other registries are remembered.
	maxStrangers = 16
)

// access adds to requests what a registry asks for: nothing, a user and
// password, or a token. It is the RoundTripper of a session.
//
// Tokens are renewed ahead of their end, and once more for a request that is
// answered by 401 all the same; if its body is gone by then, it fails with
// [errBodyGone], and may be sent again. Requests to other hosts, such as the storage
// that a registry sends its clients to, get no credentials.
type access struct {
	next   http.RoundTripper
	reg    name.Registry
	scheme string   // that the registry answered by
	scopes []string // that every request needs
	auth   authn.Authenticator
	mirror bool // another place is asked if this one fails

	turn chan struct{} // to fetch a token, which only one caller does at a time

	mu        sync.Mutex
	challenge *regtransport.Challenge // how the registry wants it
	tokens    map[string]token        // by their scopes
	refresh   string                  // a token server's own token for the next request
	strangers map[string]*access      // registries that this one sends its clients to
}

// token is a bearer token with its time.
type token struct {
	value string
	got   time.Time
	life  time.Duration
}

// fresh reports whether the token is good for a request that is made now. A
// body that can be sent only once wants more time.
func (t token) fresh(once bool) bool {
	reserve := t.life / 10
	if once {
		reserve = t.life / 2
	}
	return t.value != "" && time.Since(t.got) < t.life-reserve
}

// greet asks a registry how it is to be reached, and gets a token if it wants
// one, so that wrong credentials are noticed at once.
func greet(ctx context.Context, reg name.Registry, auth authn.Authenticator, next http.RoundTripper, scope string, mirror bool) (*access, error) {
	ctx = withRegistry(ctx, reg.RegistryStr())
	if mirror {
		ctx = withMirror(ctx)
	}
	c, err := regtransport.Ping(ctx, reg, next)
	if err != nil {
		return nil, err
	}
	a := &access{
		next: next, reg: reg, scheme: "https", scopes: []string{scope}, auth: auth, mirror: mirror, challenge: c,
		turn: make(chan struct{}, 1), tokens: map[string]token{},
	}
	if c.Insecure {
		a.scheme = "http"
	}
	if a.wantsToken() {
		if _, err := a.token(ctx, a.scopes, false); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// RoundTrip implements http.RoundTripper.
func (a *access) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := withRegistry(req.Context(), a.reg.RegistryStr())
	if a.mirror {
		ctx = withMirror(ctx)
	}
	req = req.Clone(ctx)
	if !a.isOurs(req.URL) {
		return a.elsewhere(req)
	}
	req.URL.Scheme = a.scheme
	scopes := moreScopes(a.scopes, scopesOf(req))
	used, err := a.authorize(req, scopes)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := a.next.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	c := challengeOf(resp)
	if c == nil || !a.learn(c, scopes, used) {
		return resp, nil
	}
	again, err := a.repeat(req, moreScopes(scopes, c.Parameters["scope"]), used)
	if again == nil && err == nil {
		return resp, nil
	}
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	return a.next.RoundTrip(again)
}

// elsewhere sends a request to another host, without credentials. Some registries
// send their clients to others that want a token even from strangers.
func (a *access) elsewhere(req *http.Request) (*http.Response, error) {
	a.mu.Lock()
	s := a.strangers[req.URL.Host]
	a.mu.Unlock()
	if s != nil {
		return s.RoundTrip(req)
	}
	resp, err := a.next.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || req.Body != nil && req.Body != http.NoBody {
		return resp, err
	}
	c := challengeOf(resp)
	if c == nil || !strings.EqualFold(c.Scheme, "bearer") {
		return resp, nil
	}
	reg, err := name.NewRegistry(req.URL.Host)
	if err != nil {
		return resp, nil // no registry
	}
	_ = resp.Body.Close()
	s = &access{
		next: a.next, reg: reg, scheme: req.URL.Scheme, scopes: moreScopes(nil, c.Parameters["scope"]),
		auth: authn.Anonymous, challenge: c, turn: make(chan struct{}, 1), tokens: map[string]token{},
	}
	a.mu.Lock()
	if len(a.strangers) >= maxStrangers || a.strangers == nil {
		a.strangers = map[string]*access{}
	}
	a.strangers[req.URL.Host] = s
	a.mu.Unlock()
	return s.RoundTrip(req)
}

// repeat returns the request with new credentials, nil if there are no others
// than those that were used.
func (a *access) repeat(req *http.Request, scopes []string, used string) (*http.Request, error) {
	again := req.Clone(req.Context())
	again.Header.Del("Authorization")
	sent, err := a.authorize(again, scopes)
	switch {
	case err != nil:
		return nil, err
	case sent == used:
		return nil, nil
	case req.Body == nil || req.Body == http.NoBody:
		return again, nil
	case req.GetBody == nil:
		return nil, errBodyGone
	}
	again.Body, err = req.GetBody()
	return again, err
}

// authorize puts credentials into a request, and returns the header's value.
func (a *access) authorize(req *http.Request, scopes []string) (string, error) {
	ctx := req.Context()
	var value string
	if a.wantsToken() {
		t, err := a.token(ctx, scopes, req.Body != nil && req.Body != http.NoBody && req.GetBody == nil)
		if err != nil {
			return "", err
		}
		value = "Bearer " + t
	} else {
		conf, err := authn.Authorization(ctx, a.auth)
		if err != nil {
			return "", err
		}
		switch {
		case conf.RegistryToken != "":
			value = "Bearer " + conf.RegistryToken
		case conf.Username != "" && conf.Password != "":
			value = "Basic " + base64.StdEncoding.EncodeToString([]byte(conf.Username+":"+conf.Password))
		case conf.Auth != "":
			value = "Basic " + conf.Auth
		}
	}
	if value != "" {
		req.Header.Set("Authorization", value)
	}
	return value, nil
}

// learn takes note of a challenge to a request that used a header's value, and
// reports whether another try may help.
func (a *access) learn(c *regtransport.Challenge, scopes []string, used string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !strings.EqualFold(c.Scheme, "bearer") {
		// A registry that let everybody in until now.
		first := a.challenge.Scheme == ""
		if first {
			a.challenge = c
		}
		return first
	}
	if !strings.EqualFold(a.challenge.Scheme, "bearer") {
		a.challenge = c
	}
	// Somebody else may have renewed the token by now.
	key := strings.Join(scopes, " ")
	if t, ok := a.tokens[key]; ok && "Bearer "+t.value == used {
		delete(a.tokens, key)
	}
	return true
}

func (a *access) wantsToken() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.EqualFold(a.challenge.Scheme, "bearer")
}

// token returns a token for scopes that is good for some time.
func (a *access) token(ctx context.Context, scopes []string, once bool) (string, error) {
	key := strings.Join(scopes, " ")
	if t, ok := a.known(key); ok && t.fresh(once) {
		return t.value, nil
	}
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if t, ok := a.known(key); ok && t.fresh(once) {
		return t.value, nil
	}
	t, err := a.fetch(ctx, scopes)
	if err != nil {
		return "", err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.tokens) >= maxTokens {
		clear(a.tokens)
	}
	a.tokens[key] = t
	return t.value, nil
}

func (a *access) known(key string) (token, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.tokens[key]
	return t, ok
}

// fetch asks the token server. Only the holder of the turn does so.
func (a *access) fetch(ctx context.Context, scopes []string) (token, error) {
	conf, err := authn.Authorization(ctx, a.auth)
	if err != nil {
		return token{}, err
	}
	if conf.RegistryToken != "" {
		return token{conf.RegistryToken, time.Now(), tokenLife}, nil
	}
	a.mu.Lock()
	challenge := a.challenge
	a.mu.Unlock()
	reg, err := a.realm(challenge)
	if err != nil {
		return token{}, err
	}
	if a.refresh != "" {
		t, err := a.exchange(ctx, reg, authn.FromConfig(authn.AuthConfig{IdentityToken: a.refresh}), scopes, challenge)
		var refused *regtransport.Error
		if !errors.As(err, &refused) {
			return t, err
		}
		a.refresh = "" // it has ended; the account itself may do
	}
	return a.exchange(ctx, reg, a.auth, scopes, challenge)
}

func (a *access) exchange(ctx context.Context, reg name.Registry, auth authn.Authenticator, scopes []string, c *regtransport.Challenge) (token, error) {
	asked := time.Now()
	got, err := regtransport.Exchange(ctx, reg, auth, a.next, scopes, c)
	if err != nil {
		return token{}, err
	}
	if got.RefreshToken != "" {
		a.refresh = got.RefreshToken
	}
	t := token{value: got.Token, got: asked, life: tokenLife}
	if got.AccessToken != "" {
		t.value = got.AccessToken
	}
	if got.ExpiresIn > 0 {
		t.life = time.Duration(got.ExpiresIn) * time.Second
	}
	return t, nil
}

// realm checks where a registry sends its clients for tokens, with their
// passwords, and returns the registry to name to the library for that.
//
// The library takes no address of a private network but the registry's own.
// In closed networks both have such addresses, so these are allowed here; a
// registry elsewhere must not lead into this machine all the same.
func (a *access) realm(c *regtransport.Challenge) (name.Registry, error) {
	u, err := url.Parse(c.Parameters["realm"])
	if err != nil || u.Host == "" {
		return name.Registry{}, fault.Damaged("%s does not say where its tokens are to be had", a.reg.RegistryStr())
	}
	switch host := u.Hostname(); {
	case u.Scheme != "https" && (u.Scheme != "http" || a.scheme != "http"):
		return name.Registry{}, fmt.Errorf("%s wants passwords to be sent to %s without https", a.reg.RegistryStr(), u.Host)
	case isLoopback(host) && !isLoopback(hostOf(a.reg.RegistryStr())):
		return name.Registry{}, fmt.Errorf("%s wants passwords to be sent to %s, a loopback address", a.reg.RegistryStr(), u.Host)
	case isLoopback(host) || isPrivate(host):
		if reg, err := name.NewRegistry(u.Host); err == nil {
			return reg, nil
		}
	}
	return a.reg, nil
}

// isPrivate reports whether host (without port) is an address of a private
// network (RFC 1918, RFC 4193).
func isPrivate(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsPrivate()
}

// isOurs reports whether an address is the registry's own.
func (a *access) isOurs(u *url.URL) bool {
	if u.Scheme != a.scheme && u.Scheme != a.reg.Scheme() {
		return false
	}
	return withPort(u.Host, a.scheme) == withPort(a.reg.RegistryStr(), a.scheme)
}

// withPort returns a host with its port, be it the usual one.
func withPort(host, scheme string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return strings.ToLower(host)
	}
	port := "443"
	if scheme == "http" {
		port = "80"
	}
	return strings.ToLower(net.JoinHostPort(strings.Trim(host, "[]"), port))
}

// scopesOf returns what a request needs beside the session's own scopes: a mount
// reads the repository that it takes from.
func scopesOf(req *http.Request) string {
	if req.Method != http.MethodPost || !strings.HasSuffix(req.URL.Path, "/blobs/uploads/") {
		return ""
	}
	from := req.URL.Query().Get("from")
	if from == "" {
		return ""
	}
	return "repository:" + from + ":" + regtransport.PullScope
}

// closeBody keeps the contract of a RoundTripper that does not send.
func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
