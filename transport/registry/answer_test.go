package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/parts"
)

// answered returns what a pull and a push say when a registry answers so.
func answered(t testing.TB, o Options, answer http.HandlerFunc) (host string, pull, push error) {
	t.Helper()
	host = liar(t, answer)
	c := newTestClient(t, o)
	_, pull = c.Source().Images(t.Context(), host+"/app:1")
	d, open := bytesOpener([]byte("x"))
	push = c.Sink().WriteBlob(t.Context(), d, []transport.Image{at(t, transport.Image{}, host+"/app:1")}, open)
	return host, pull, push
}

func code(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusNotFound) // the questions before a push
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func said(code, message string) string {
	return fmt.Sprintf(`{"errors":[{"code":%q,"message":%q}]}`, code, message)
}

func TestAnswers(t *testing.T) {
	me := account{"me", "my-password"}
	for _, c := range []struct {
		name                           string
		keys                           authn.Keychain
		answer                         http.HandlerFunc
		pull, push, pullHint, pushHint string
	}{
		{"rate limit", nil, code(429, said("TOOMANYREQUESTS", "slow down")), "slow down", "slow down", "wait", "docker login"},
		{"server error", nil, code(500, said("UNKNOWN", "disc full")), "disc full", "disc full", "later", "log"},
		{"bad gateway", nil, code(502, "<html>\x1b[31mupstream"), "502 Bad Gateway: <html> [31mupstream", "upstream", "later", "later"},
		{"read-only", nil, code(405, said("UNSUPPORTED", "The operation is unsupported.")), "unsupported", "takes no writes", "", "read-only"},
		{"too large", nil, code(413, "<h1>nginx</h1>"), "413", "nginx", "limit", "proxy"},
		{"storage full", nil, code(507, "full"), "507", "full", "room", "room"},
		{"quota", me, code(403, said("DENIED", "quota of 10 GiB exceeded")), "quota", "quota of 10 GiB", "may read", "quota"},
		{"denied to strangers", nil, code(403, said("DENIED", "no")), "without credentials", "without credentials", "spelling", "docker login"},
		{"strangers", nil, code(401, said("UNAUTHORIZED", "who are you")), "who are you", "asks for credentials", "spelling", "docker login"},
		{"wrong password", me, code(401, said("UNAUTHORIZED", "who are you")), "does not accept the credentials", "does not accept", "again", "again"},
		{"no repository", nil, code(404, said("NAME_UNKNOWN", "create it")), "no such image", "no such repository", "spelling", "created"},
		{"no repository, odd status", nil, code(400, said("NAME_UNKNOWN", "create it")), "no such image", "no such repository", "spelling", "created"},
		{"bad request", nil, code(400, said("MANIFEST_INVALID", "odd")), "odd", "odd", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			host, pull, push := answered(t, Options{Keychain: c.keys}, c.answer)
			for _, x := range []struct {
				err        error
				says, hint string
			}{{pull, c.pull, c.pullHint}, {push, c.push, c.pushHint}} {
				if x.err == nil || !strings.Contains(x.err.Error(), x.says) {
					t.Errorf("%v does not say %q", x.err, x.says)
					continue
				}
				if !strings.Contains(x.err.Error(), host) || strings.ContainsAny(x.err.Error(), "\x1b\n") {
					t.Errorf("%q", x.err)
				}
				if h := fault.Hint(x.err); !strings.Contains(h, x.hint) || (x.hint == "") != (h == "") {
					t.Errorf("%v: hint %q lacks %q", x.err, h, x.hint)
				}
				if missing := strings.HasPrefix(c.name, "no repository"); errors.Is(x.err, fault.ErrMissing) != missing {
					t.Errorf("%v: missing is %t", x.err, !missing)
				}
				if strings.Contains(x.err.Error(), me.password) {
					t.Errorf("a password in %v", x.err)
				}
			}
		})
	}
}

// TestAnswersAreBounded meets a registry that has much to say.
func TestAnswersAreBounded(t *testing.T) {
	_, pull, push := answered(t, Options{}, code(500, strings.Repeat("ä\u202e<", 1<<20)))
	for _, err := range []error{pull, push} {
		if err == nil || len(err.Error()) > 1000 || !strings.Contains(err.Error(), "500") || strings.Contains(err.Error(), "\u202e") {
			t.Errorf("%v", err)
		}
	}
}

func TestNotARegistry(t *testing.T) {
	reg := parts.MemoryRegistry(t, func(http.Handler) http.Handler { return http.NotFoundHandler() })
	_, err := newTestClient(t, Options{}).Source().Images(t.Context(), reg.Image("app:1"))
	if err == nil || !strings.Contains(err.Error(), "not a registry") || errors.Is(err, fault.ErrMissing) || fault.Hint(err) == "" {
		t.Errorf("%v", err)
	}
}

// TestBasicAuth meets a real registry that wants a password, which comes from
// Docker's config file.
func TestBasicAuth(t *testing.T) {
	const user, password = "someone", "correct horse"
	reg := parts.Registry(t, parts.WithBasicAuth(user, password))
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("DOCKER_CONFIG", home)
	login := func(password string) *Client {
		t.Helper()
		text := fmt.Sprintf(`{"auths":{%q:{"username":%q,"password":%q}}}`, reg.Addr, user, password)
		if password == "" {
			text = `{}`
		}
		if err := os.WriteFile(filepath.Join(home, "config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return newTestClient(t, Options{Keychain: authn.DefaultKeychain})
	}
	d, open := bytesOpener([]byte("content"))
	images := []transport.Image{at(t, transport.Image{}, reg.Image("app:1"))}
	good := login(password)
	if err := good.Sink().WriteBlob(t.Context(), d, images, open); err != nil {
		t.Fatal(err)
	}
	if _, err := readBlob(t, good.Source(), images[0], d); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ password, says string }{{"wrong battery", "does not accept the credentials"}, {"", "asks for credentials"}} {
		client := login(c.password)
		_, err := client.Source().Images(t.Context(), reg.Image("app:1"))
		for _, err := range []error{err, client.Sink().WriteBlob(t.Context(), d, images, open)} {
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "battery") {
				t.Errorf("%v", err)
			}
			if h := fault.Hint(err); !strings.Contains(h, "docker login "+reg.Addr) {
				t.Errorf("hint %q", h)
			}
			if errors.Is(err, fault.ErrMissing) {
				t.Errorf("missing: %v", err)
			}
		}
	}
}

// TestCredentialsThatCannotBeRead has a config that names no real helper.
func TestCredentialsThatCannotBeRead(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("DOCKER_CONFIG", home)
	if err := os.WriteFile(filepath.Join(home, "config.json"), []byte(`{"auths":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	reg := parts.MemoryRegistry(t)
	_, err := newTestClient(t, Options{Keychain: authn.DefaultKeychain}).Source().Images(t.Context(), reg.Image("app:1"))
	if err == nil || !strings.Contains(err.Error(), "read credentials for "+reg.Addr) || !strings.Contains(fault.Hint(err), "config.json") {
		t.Errorf("%v", err)
	}
}

// TestProjects meets registries that do not create what is missing, by the
// answers that they give to an account that is right.
func TestProjects(t *testing.T) {
	me := account{"robot$me", "my-password"}
	for _, c := range []struct {
		name                           string
		status                         int
		body                           string
		bearer                         bool
		pull, push, pullHint, pushHint string
	}{
		{"Harbor, no project", 401, said("UNAUTHORIZED", "project team not found"), true,
			"denies access", "denies access", "spelling", "the project team must exist"},
		{"Harbor, no project, older", 404, said("NOT_FOUND", "project team not found"), true,
			"no such image", "no such repository", "spelling", "Harbor the project team"},
		{"Harbor, no rights", 401, said("UNAUTHORIZED", "unauthorized to access repository: team/app, action: push"), true,
			"denies access", "denies access", "may read", "right to push"},
		{"Harbor, quota", 403, said("DENIED", "adding 2.1 MiB of storage resource will exceed the configured upper limit"), true,
			"upper limit", "upper limit", "", "quota"},
		{"Harbor, read-only", 403, said("DENIED", "The system is in read only mode."), true,
			"read only", "read only", "", "read-only"},
		{"Harbor, rule", 412, said("PRECONDITION", "tag 1 is immutable"), true,
			"immutable", "immutable", "project team", "another tag"},
		{"Quay, read-only", 405, said("METHOD NOT ALLOWED", "Pushes to the registry are currently disabled."), true,
			"disabled", "takes no writes", "", "read-only"},
		{"ECR, immutable tag", 400, said("TAG_INVALID", "The image tag already exists"), false,
			"already exists", "already exists", "", "keep its tags"},
		{"wrong password of a robot", 401, said("UNAUTHORIZED", "bad"), false,
			"does not accept", "does not accept", "single quotes", "single quotes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			reg := parts.MemoryRegistry(t, func(http.Handler) http.Handler {
				h := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/v2/" {
						code(c.status, c.body)(w, r)
					}
				}))
				if c.bearer {
					h = tokens(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"token":"good"}`) })(h)
				}
				return h
			})
			client := newTestClient(t, Options{Keychain: me})
			img := at(t, transport.Image{}, reg.Image("team/app:1"))
			_, pull := client.Source().Images(t.Context(), img.Name.String())
			d, open := bytesOpener([]byte("x"))
			push := client.Sink().WriteBlob(t.Context(), d, []transport.Image{img}, open)
			for _, x := range []struct {
				err        error
				says, hint string
			}{{pull, c.pull, c.pullHint}, {push, c.push, c.pushHint}} {
				if x.err == nil || !strings.Contains(x.err.Error(), x.says) || !strings.Contains(fault.Hint(x.err), x.hint) {
					t.Errorf("%v (%s) lacks %q or %q", x.err, fault.Hint(x.err), x.says, x.hint)
				}
			}
		})
	}
}

func TestHintsOfHosts(t *testing.T) {
	u := "https://registry/v2/team/app/manifests/1"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, u, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer x")
	for _, c := range []struct {
		host string
		e    *regtransport.Error
		hint string
	}{
		{"123456789012.dkr.ecr.eu-central-1.amazonaws.com", &regtransport.Error{StatusCode: 404, Request: req}, "aws ecr create-repository --repository-name team/app"},
		{"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", &regtransport.Error{StatusCode: 404, Request: req}, "aws ecr create-repository"},
		{"amazonaws.com.example.com", &regtransport.Error{StatusCode: 404, Request: req}, "Harbor the project team"},
		{dockerHub, &regtransport.Error{StatusCode: 401, Request: req}, "team must be its own name"},
		{dockerHub, &regtransport.Error{StatusCode: 403}, "right to push"},
	} {
		err := task{doing: "push", object: "repository", host: c.host, push: true}.explain(t.Context(), c.e)
		if h := fault.Hint(err); !strings.Contains(h, c.hint) {
			t.Errorf("%s: %v (%s)", c.host, err, h)
		}
	}
}

func TestRepositoryOf(t *testing.T) {
	for address, want := range map[string]string{
		"/v2/app/manifests/1": "app", "/v2/a/b/c/blobs/sha256:1": "a/b/c", "/v2/a/b/blobs/uploads/": "a/b",
		"/v2/a/blobs/b/tags/list": "a/blobs/b", "/v2/": "", "/x": "", "/v2/manifests/1": "",
		"/token?scope=repository:team/app:pull,push&service=x": "team/app", "/token?scope=registry:catalog:*": "",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://r"+address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := repositoryOf(req); got != want {
			t.Errorf("%s: %q", address, got)
		}
	}
	if projectOf(nil) != "" {
		t.Error("a project of no request")
	}
}

// tokens wraps a registry that wants a bearer token of its own token server.
func tokens(answer http.HandlerFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/token":
				answer(w, r)
			case r.Header.Get("Authorization") != "Bearer good":
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, r.Host))
				w.WriteHeader(http.StatusUnauthorized)
			default:
				next.ServeHTTP(w, r)
			}
		})
	}
}

func TestBearerTokens(t *testing.T) {
	var scopes []string
	reg := parts.MemoryRegistry(t, tokens(func(w http.ResponseWriter, r *http.Request) {
		scopes = append(scopes, r.URL.Query()["scope"]...)
		_, _ = io.WriteString(w, `{"token":"good"}`)
	}))
	d, open := bytesOpener([]byte("content"))
	images := []transport.Image{at(t, transport.Image{}, reg.Image("app:1"))}
	c := newTestClient(t, Options{})
	if err := c.Sink().WriteBlob(t.Context(), d, images, open); err != nil {
		t.Fatal(err)
	}
	if _, err := readBlob(t, c.Source(), images[0], d); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(scopes, " "); got != "repository:app:push,pull repository:app:pull" {
		t.Errorf("scopes %q", got)
	}
}

func TestBearerTokenRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		keys   authn.Keychain
		answer http.HandlerFunc
		says   string
	}{
		{"stranger", nil, code(403, said("DENIED", "no access")), "denies access without credentials"},
		{"wrong password", account{"me", "my-password"}, code(401, said("UNAUTHORIZED", "bad")), "does not accept the credentials"},
		{"denied", account{"me", "my-password"}, code(403, said("DENIED", "no access")), "denies access"},
		{"no token", nil, code(200, `{"refresh_token":"very-secret"}`), "no token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			reg := parts.MemoryRegistry(t, tokens(c.answer))
			client := newTestClient(t, Options{Keychain: c.keys})
			_, err := client.Source().Images(t.Context(), reg.Image("app:1"))
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "app:1") {
				t.Errorf("%v does not say %q", err, c.says)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "my-password") {
				t.Errorf("credentials in %v", err)
			}
			if c.name != "no token" && !strings.Contains(fault.Hint(err), "docker login") {
				t.Errorf("hint %q", fault.Hint(err))
			}
		})
	}
}

// TestReadOnly reads from a real read-only registry and fails to write.
func TestReadOnly(t *testing.T) {
	rw := parts.Registry(t)
	pushImage(t, rw.Image("app:1"))
	ro := parts.Registry(t, parts.WithStorage(rw.Dir), parts.WithReadOnly())
	c := newTestClient(t, Options{})
	img := one(t, c.Source(), ro.Image("app:1"))
	d, open := bytesOpener([]byte("new"))
	m := v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromString(manifestText), Size: int64(len(manifestText))}
	for what, err := range map[string]error{
		"blob":     c.Sink().WriteBlob(t.Context(), d, []transport.Image{img}, open),
		"manifest": c.Sink().WriteManifest(t.Context(), m, []transport.Image{img}, []byte(manifestText)),
		"name":     c.Sink().Commit(context.WithoutCancel(t.Context()), []transport.Image{at(t, img, ro.Image("app:2"))}),
	} {
		if err == nil || !strings.Contains(err.Error(), "takes no writes") || !strings.Contains(fault.Hint(err), "read-only") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestLogin(t *testing.T) {
	for host, want := range map[string]string{"docker.io": "docker login", "registry.example": "docker login registry.example"} {
		if got := (task{host: host}).login(); got != want {
			t.Errorf("%s: %q", host, got)
		}
	}
}
