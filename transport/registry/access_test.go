package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/parts"
)

// identity is a keychain with an identity token for every registry.
type identity string

func (i identity) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig{IdentityToken: string(i)}), nil
}

var anna = parts.TokenAuth{Users: map[string]string{"anna": "pw"}}

// TestTokenAuth pushes and pulls through a real registry with a token server.
func TestTokenAuth(t *testing.T) {
	for name, o := range map[string]Options{
		"keychain": {Keychain: account{"anna", "pw"}},
		"options":  {Username: "anna", Password: "pw"},
		"identity": {Keychain: identity("refresh-me")},
		"token":    {Username: tokenUser, Password: "refresh-me"},
	} {
		t.Run(name, func(t *testing.T) {
			reg := parts.Registry(t, parts.WithTLS(), parts.WithTokenAuth(parts.TokenAuth{
				Users: map[string]string{"anna": "pw"}, Refresh: map[string]string{"refresh-me": "anna"},
			}))
			o.CAFile = reg.CAFile
			c := newTestClient(t, o)
			content := noise(300_000)
			d, open := bytesOpener(content)
			img := at(t, transport.Image{}, reg.Image("team/app:1"))
			if err := c.Sink().WriteBlob(t.Context(), d, []transport.Image{img}, open); err != nil {
				t.Fatal(err)
			}
			if got, err := readBlob(t, c.Source(), img, d); err != nil || !bytes.Equal(got, content) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			seen := reg.Tokens.Seen()
			if len(seen) != 2 {
				t.Errorf("one token to push and one to pull, but: %+v", seen)
			}
			for _, r := range seen {
				if oauth := name == "identity" || name == "token"; r.User != "anna" || r.OAuth != oauth {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// TestTokenAuthMount sees that a mount may read the repository that it takes
// from.
func TestTokenAuthMount(t *testing.T) {
	for _, strict := range []bool{false, true} {
		conf := anna
		conf.Strict = strict
		reg := parts.Registry(t, parts.WithTokenAuth(conf))
		c := newTestClient(t, Options{Keychain: account{"anna", "pw"}})
		d, open := bytesOpener([]byte("content"))
		var opened int
		counted := func(ctx context.Context) (io.ReadCloser, error) {
			opened++
			return open(ctx)
		}
		images := []transport.Image{at(t, transport.Image{}, reg.Image("one:1")), at(t, transport.Image{}, reg.Image("two:1"))}
		if err := c.Sink().WriteBlob(t.Context(), d, images, counted); err != nil {
			t.Fatal(err)
		}
		if opened != 1 {
			t.Errorf("strict %t: sent %d times, not mounted", strict, opened)
		}
		if got, err := readBlob(t, c.Source(), images[1], d); err != nil || string(got) != "content" {
			t.Errorf("%q, %v", got, err)
		}
		if !slices.ContainsFunc(reg.Tokens.Seen(), func(r parts.TokenRequest) bool {
			return slices.Contains(r.Scopes, "repository:one:pull") && slices.Contains(r.Scopes, "repository:two:push,pull")
		}) {
			t.Errorf("%+v", reg.Tokens.Seen())
		}
	}
}

// TestTokenExpires lets tokens end between requests, and in the middle of
// uploads and downloads. Told is what the server says about them: a server may
// be wrong, or have another clock.
func TestTokenExpires(t *testing.T) {
	const life = 2 * time.Second // 1 to 2 s, for tokens count in seconds
	pause := func() { time.Sleep(life + 200*time.Millisecond) }
	for what, told := range map[string]time.Duration{"right": 0, "too long": time.Hour} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			conf := anna
			conf.Life, conf.Told = life, told
			reg := parts.Registry(t, parts.WithTokenAuth(conf))
			c := newTestClient(t, Options{Keychain: account{"anna", "pw"}})
			img := at(t, transport.Image{}, reg.Image("app:1"))
			content := noise(1 << 20)
			sink := c.Sink()

			t.Run("before the body", func(t *testing.T) {
				d, open := bytesOpener(content)
				slow := func(ctx context.Context) (io.ReadCloser, error) {
					pause() // after the upload was begun
					return open(ctx)
				}
				if err := sink.WriteBlob(t.Context(), d, []transport.Image{img}, slow); err != nil {
					t.Fatal(err)
				}
				// Between requests.
				pause()
				if got, err := readBlob(t, c.Source(), img, d); err != nil || !bytes.Equal(got, content) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
			t.Run("in the body", func(t *testing.T) {
				other := content[1:]
				d, _ := bytesOpener(other)
				slow := func(context.Context) (io.ReadCloser, error) {
					half := len(other) / 2
					return blob.NewReader(io.MultiReader(bytes.NewReader(other[:half]),
						readFunc(func([]byte) (int, error) { pause(); return 0, io.EOF }),
						bytes.NewReader(other[half:])), d.Digest, d.Size)
				}
				if err := sink.WriteBlob(t.Context(), d, []transport.Image{img}, slow); err != nil {
					t.Fatal(err)
				}
				if got, err := readBlob(t, c.Source(), img, d); err != nil || !bytes.Equal(got, other) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
			t.Run("in a download", func(t *testing.T) {
				p := parts.FaultProxy(t, reg, parts.Fault{Kind: parts.GetBlob, Nth: 1, Do: parts.ResetMiddle})
				d, _ := bytesOpener(content)
				at := at(t, transport.Image{}, p.Image("app:1"))
				rc, err := openerOf(c.Source(), at, d)(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = rc.Close() }()
				pause()
				if got, err := io.ReadAll(rc); err != nil || !bytes.Equal(got, content) || p.Hits() != 1 {
					t.Errorf("%d bytes, %v, %d hits", len(got), err, p.Hits())
				}
			})
		})
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// TestOneToken sees that many requests at once do not ask for a token each.
func TestOneToken(t *testing.T) {
	reg := parts.Registry(t, parts.WithTokenAuth(anna))
	c := newTestClient(t, Options{Keychain: account{"anna", "pw"}})
	d, open := bytesOpener([]byte("content"))
	img := at(t, transport.Image{}, reg.Image("app:1"))
	if err := c.Sink().WriteBlob(t.Context(), d, []transport.Image{img}, open); err != nil {
		t.Fatal(err)
	}
	before := len(reg.Tokens.Seen())
	src := c.Source()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := readBlob(t, src, img, d); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(reg.Tokens.Seen()) - before; n != 1 {
		t.Errorf("%d tokens", n)
	}
}

// TestTokenRefused checks what is said about wrong accounts and missing rights.
func TestTokenRefused(t *testing.T) {
	readers := func(user, _ string) []string {
		if user == "" {
			return nil
		}
		return []string{"pull"}
	}
	for name, c := range map[string]struct {
		o      Options
		strict bool
		pull   string // "": it may pull, but there is nothing
		push   string
	}{
		"nobody":         {Options{}, false, "asks for credentials", "asks for credentials"},
		"nobody, strict": {Options{}, true, "denies access without credentials", "denies access without credentials"},
		"reader":         {Options{Keychain: account{"anna", "pw"}}, false, "", "denies access"},
		"reader, strict": {Options{Keychain: account{"anna", "pw"}}, true, "", "denies access"},
		"wrong password": {Options{Keychain: account{"anna", "PW"}}, false, "does not accept the credentials", "does not accept the credentials"},
		"wrong identity": {Options{Keychain: identity("old")}, false, "does not accept the credentials", "does not accept the credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			reg := parts.Registry(t, parts.WithTokenAuth(parts.TokenAuth{Users: anna.Users, Grant: readers, Strict: c.strict}))
			client := newTestClient(t, c.o)
			d, open := bytesOpener([]byte("content"))
			img := at(t, transport.Image{}, reg.Image("app:1"))
			_, pull := client.Source().Images(t.Context(), img.Name.String())
			push := client.Sink().WriteBlob(t.Context(), d, []transport.Image{img}, open)
			for _, one := range []struct {
				err  error
				says string
			}{{pull, c.pull}, {push, c.push}} {
				switch {
				case one.says == "" && !errors.Is(one.err, fault.ErrMissing):
					t.Errorf("%v", one.err)
				case one.says != "" && (one.err == nil || !strings.Contains(one.err.Error(), one.says) || fault.Hint(one.err) == ""):
					t.Errorf("%v (%s) does not say %q", one.err, fault.Hint(one.err), one.says)
				}
				if one.err != nil && (strings.Contains(one.err.Error(), "PW") || strings.Contains(one.err.Error(), "old")) {
					t.Errorf("a secret in %v", one.err)
				}
			}
		})
	}
}

// TestLateChallenge meets a registry that lets everybody greet it, and asks for
// credentials only then.
func TestLateChallenge(t *testing.T) {
	for _, scheme := range []string{"Basic", "Bearer"} {
		reg := parts.MemoryRegistry(t, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				want := "Basic YW5uYTpwdw=="
				if scheme == "Bearer" {
					want = "Bearer good"
				}
				switch {
				case r.URL.Path == "/token":
					_, _ = io.WriteString(w, `{"token":"good"}`)
				case r.URL.Path == "/v2/", r.Header.Get("Authorization") == want:
					next.ServeHTTP(w, r)
				default:
					w.Header().Set("WWW-Authenticate", scheme+` realm="http://`+r.Host+`/token",service="x"`)
					w.WriteHeader(http.StatusUnauthorized)
				}
			})
		})
		d, open := bytesOpener([]byte("content"))
		img := at(t, transport.Image{}, reg.Image("app:1"))
		c := newTestClient(t, Options{Keychain: account{"anna", "pw"}})
		if err := c.Sink().WriteBlob(t.Context(), d, []transport.Image{img}, open); err != nil {
			t.Errorf("%s: %v", scheme, err)
		}
	}
}

// TestOtherRegistry is sent on to a registry that wants a token from everybody.
func TestOtherRegistry(t *testing.T) {
	other := parts.Registry(t, parts.WithTokenAuth(parts.TokenAuth{
		Users: anna.Users, Grant: func(string, string) []string { return []string{"pull", "push"} },
	}))
	d, open := bytesOpener([]byte("content"))
	img := at(t, transport.Image{}, other.Image("app:1"))
	if err := newTestClient(t, Options{}).Sink().WriteBlob(t.Context(), d, []transport.Image{img}, open); err != nil {
		t.Fatal(err)
	}
	before := len(other.Tokens.Seen())
	front := liar(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+other.Addr+r.URL.Path, http.StatusTemporaryRedirect)
	})
	src := newTestClient(t, Options{Keychain: account{"anna", "pw"}}).Source()
	for range 2 {
		if got, err := readBlob(t, src, at(t, img, front+"/app:1"), d); err != nil || string(got) != "content" {
			t.Errorf("%q, %v", got, err)
		}
	}
	seen := other.Tokens.Seen()[before:]
	if len(seen) != 1 || seen[0].User != "" {
		t.Errorf("%+v", seen)
	}
}

// TestRealm sees that a registry cannot send passwords where it likes.
func TestRealm(t *testing.T) {
	for _, c := range []struct {
		reg, scheme, realm string
		ok                 bool
	}{
		{"registry.example.com", "https", "https://auth.example.com/token", true},
		{"registry.example.com", "https", "http://auth.example.com/token", false},
		{"registry.example.com", "http", "http://auth.example.com/token", true},
		{"registry.example.com", "https", "https://10.0.0.7/token", true}, // a closed network
		{"10.0.0.6:5000", "https", "https://10.0.0.7:5001/token", true},
		{"registry.example.com", "https", "https://127.0.0.1/token", false},
		{"registry.example.com", "https", "https://localhost:8080/token", false},
		{"127.0.0.1:5000", "http", "http://127.0.0.1:5001/token", true},
		{"registry.example.com", "https", "https://169.254.169.254/token", false},
		{"registry.example.com", "https", "file:///etc/passwd", false},
		{"registry.example.com", "https", "", false},
		{"registry.example.com", "https", "https://%zz", false},
	} {
		reg, err := name.NewRegistry(c.reg)
		if err != nil {
			t.Fatal(err)
		}
		var asked []*url.URL
		a := &access{
			reg: reg, scheme: c.scheme, auth: authn.Anonymous, turn: make(chan struct{}, 1), tokens: map[string]token{},
			challenge: &regtransport.Challenge{Scheme: "bearer", Insecure: c.scheme == "http", Parameters: map[string]string{"realm": c.realm}},
			next: tripper(func(r *http.Request) (*http.Response, error) {
				asked = append(asked, r.URL)
				return &http.Response{StatusCode: 200, Request: r, Body: io.NopCloser(strings.NewReader(`{"token":"x"}`))}, nil
			}),
		}
		_, err = a.token(t.Context(), []string{"repository:a:pull"}, false)
		if (err == nil) != c.ok || (len(asked) > 0) != c.ok {
			t.Errorf("%+v: %v, asked %v", c, err, asked)
		}
	}
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestNoCredentialsElsewhere sends requests of a session to other addresses.
func TestNoCredentialsElsewhere(t *testing.T) {
	reg, err := name.NewRegistry("registry.example.com")
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{
		"https://registry.example.com/v2/":      true,
		"https://registry.example.com:443/v2/":  true,
		"https://REGISTRY.example.com/v2/":      true,
		"https://registry.example.com:5000/v2/": false,
		"http://registry.example.com/v2/":       false,
		"https://storage.example.com/v2/":       false,
		"https://example.com/v2/":               false,
	} {
		var sent string
		a := &access{
			reg: reg, scheme: "https", auth: &authn.Basic{Username: "u", Password: "p"},
			challenge: &regtransport.Challenge{Scheme: "basic"},
			next: tripper(func(r *http.Request) (*http.Response, error) {
				sent = r.Header.Get("Authorization")
				if registryOf(r) != "registry.example.com" {
					t.Errorf("made for %q", registryOf(r))
				}
				return &http.Response{StatusCode: 200, Request: r, Body: http.NoBody}, nil
			}),
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.RoundTrip(req); err != nil || (sent != "") != want || req.Header.Get("Authorization") != "" {
			t.Errorf("%s: %q, %v", address, sent, err)
		}
	}
}

// TestWaitingForToken ends a request that waits for another one's token.
func TestWaitingForToken(t *testing.T) {
	stuck := make(chan struct{})
	reg := parts.MemoryRegistry(t, tokens(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-stuck:
		case <-r.Context().Done():
		}
	}))
	defer close(stuck)
	src := newTestClient(t, Options{}).Source()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if _, err := src.Images(ctx, reg.Image("app:1")); !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond) // most of them wait by then
	cancel()
	wg.Wait()
}

func TestParseChallenges(t *testing.T) {
	type params = map[string]string
	for line, want := range map[string][]regtransport.Challenge{
		``:           nil,
		`Basic`:      {{Scheme: "Basic", Parameters: params{}}},
		`realm="x"`:  nil,
		`Bearer a="`: {{Scheme: "Bearer", Parameters: params{}}},
		`Bearer realm="https://a/t",service="s, with comma",scope="repository:a:pull,push repository:b:pull"`: {
			{Scheme: "Bearer", Parameters: params{"realm": "https://a/t", "service": "s, with comma", "scope": "repository:a:pull,push repository:b:pull"}},
		},
		`Negotiate, Basic realm="a \"b\""`: {
			{Scheme: "Negotiate", Parameters: params{}}, {Scheme: "Basic", Parameters: params{"realm": `a "b"`}},
		},
		`bearer Realm = https://a/t , error=invalid_token`: {
			{Scheme: "bearer", Parameters: params{"realm": "https://a/t", "error": "invalid_token"}},
		},
		strings.Repeat("a ", maxChallenge): nil,
	} {
		got := parseChallenges(line)
		if len(got) != len(want) {
			t.Errorf("%.80s: %+v", line, got)
			continue
		}
		for i := range want {
			if got[i].Scheme != want[i].Scheme || !mapsEqual(got[i].Parameters, want[i].Parameters) {
				t.Errorf("%s: %+v", line, got[i])
			}
		}
	}
}

func mapsEqual(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

func FuzzParseChallenges(f *testing.F) {
	for _, s := range []string{`Bearer realm="https://a/t",service="s"`, `Negotiate, Basic realm="a \"b\""`, `a=b`, `Basic x=`, `Bearer a="`, "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, c := range parseChallenges(s) {
			if c.Scheme == "" || c.Parameters == nil {
				t.Errorf("%+v", c)
			}
			if got := moreScopes([]string{"repository:a:pull"}, c.Parameters["scope"]); len(got) > maxScopes+1 {
				t.Errorf("%d scopes", len(got))
			}
		}
	})
}

func TestMoreScopes(t *testing.T) {
	for asked, want := range map[string]string{
		"":                                      "repository:a:push,pull",
		"repository:a:pull":                     "repository:a:push,pull",
		"repository:a:pull,push":                "repository:a:push,pull",
		"repository:a:delete":                   "repository:a:delete repository:a:push,pull",
		"repository:b:pull repository:a:pull":   "repository:b:pull repository:a:push,pull",
		"repository:b:pull repository:b:pull":   "repository:b:pull repository:a:push,pull",
		"registry:catalog:*":                    "registry:catalog:* repository:a:push,pull",
		"repository:host:5000/b:pull something": "repository:host:5000/b:pull something repository:a:push,pull",
	} {
		if got := strings.Join(moreScopes([]string{"repository:a:push,pull"}, asked), " "); got != want {
			t.Errorf("%s: %s", asked, got)
		}
	}
}
