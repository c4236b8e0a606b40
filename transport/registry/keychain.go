package registry

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"bale/bundle/fault"
)

// keepSecrets is how long an account is used before its file or helper is
// asked again: those of clouds hand out passwords that end after some hours.
const keepSecrets = 10 * time.Minute

// NewKeychain returns the credentials that others keep on this machine. The
// first of these that has some for a repository, or for its registry, counts:
//
//   - the file o.AuthFile, else $REGISTRY_AUTH_FILE; no other is asked then
//   - $DOCKER_AUTH_CONFIG, which is a Docker config.json in the environment
//   - config.json of Docker in $DOCKER_CONFIG or ~/.docker
//   - containers/auth.json in $XDG_RUNTIME_DIR, and in ~/.config
//
// In each file the longest key that the repository starts with counts, and
// credential helpers (credHelpers, then credsStore) come before what the file
// holds itself. A repository for which there is nothing is asked for
// anonymously.
func NewKeychain(o Options) authn.Keychain {
	return authn.RefreshingKeychain(&keychain{explicit: o.AuthFile, note: o.note, helpers: newHelpers()}, keepSecrets)
}

// keychain implements authn.ContextKeychain.
type keychain struct {
	explicit string // Options.AuthFile
	note     func(string, ...any)
	helpers  *helpers
}

var _ authn.ContextKeychain = (*keychain)(nil)

// Resolve implements authn.Keychain.
func (k *keychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), r)
}

// ResolveContext implements authn.ContextKeychain.
func (k *keychain) ResolveContext(ctx context.Context, r authn.Resource) (authn.Authenticator, error) {
	keys := keysFor(r)
	for _, f := range k.files() {
		found, err := k.lookIn(ctx, f, keys)
		if err != nil {
			return nil, err
		}
		if found != nil {
			return authn.FromConfig(*found), nil
		}
	}
	return authn.Anonymous, nil
}

// authPlace is a place that credentials are kept in.
type authPlace struct {
	what, path string
	content    string // of one that is no file
	must       bool   // it was named, so it has to be there
}

// files returns the places to look in, in their order.
func (k *keychain) files() []authPlace {
	if k.explicit != "" {
		return []authPlace{{what: "credentials file", path: k.explicit, must: true}}
	}
	if p := os.Getenv("REGISTRY_AUTH_FILE"); p != "" {
		return []authPlace{{what: "credentials file of REGISTRY_AUTH_FILE", path: p, must: true}}
	}
	var list []authPlace
	if c := os.Getenv("DOCKER_AUTH_CONFIG"); c != "" {
		list = append(list, authPlace{what: "DOCKER_AUTH_CONFIG", content: c})
	}
	home, _ := os.UserHomeDir() // without one, the files in it are not there
	if d := os.Getenv("DOCKER_CONFIG"); d != "" {
		list = append(list, authPlace{what: "Docker's config", path: filepath.Join(d, "config.json")})
	} else if home != "" {
		list = append(list, authPlace{what: "Docker's config", path: filepath.Join(home, ".docker", "config.json")})
	}
	if d := os.Getenv("XDG_RUNTIME_DIR"); d != "" {
		list = append(list, authPlace{what: "credentials file", path: filepath.Join(d, "containers", "auth.json")})
	}
	if d := configHome(); d != "" {
		list = append(list, authPlace{what: "credentials file", path: filepath.Join(d, "containers", "auth.json")})
	}
	return list
}

// lookIn returns what a place has for the first of keys that it knows, nil if
// there is none.
func (k *keychain) lookIn(ctx context.Context, p authPlace, keys []string) (*authn.AuthConfig, error) {
	f, err := readAuthFile(p)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !p.must:
		return nil, nil
	case errors.Is(err, fs.ErrPermission) && !p.must:
		k.note("%s %s is left out: it may not be read", p.what, p.path)
		return nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.WithHint(err, "docker login and podman login write such a file")
	case err != nil:
		return nil, err
	}
	for _, key := range keys {
		if name := f.CredentialHelpers[key]; name != "" {
			return k.helpers.get(ctx, name, key)
		}
	}
	if name := f.CredentialsStore; name != "" {
		// A store knows registries, not repositories.
		for _, key := range keys {
			if isRepository(key) || key == hubIndex || key == hubHost {
				continue
			}
			if a, err := k.helpers.get(ctx, name, key); a != nil || err != nil {
				return a, err
			}
		}
	}
	for _, key := range keys {
		if a := f.account(key); a != nil {
			return a, nil
		}
	}
	return nil, nil
}

// keysFor returns the names that credentials for r may be kept under, the most
// special first.
func keysFor(r authn.Resource) []string {
	host := r.RegistryStr()
	domain := domainOf(host)
	path := strings.TrimPrefix(strings.TrimPrefix(r.String(), host), "/")
	var keys []string
	for path != "" {
		keys = append(keys, domain+"/"+path)
		path = path[:max(0, strings.LastIndexByte(path, '/'))]
	}
	if domain == hub {
		return append(keys, hubURL, hub, hubIndex, hubHost)
	}
	return append(keys, domain)
}

// isRepository reports whether one of keysFor is more than a registry.
func isRepository(key string) bool { return key != hubURL && strings.Contains(key, "/") }

// oneAccount is an account for one registry only.
type oneAccount struct {
	auth authn.Authenticator

	mu   sync.Mutex
	host string // "" before the first question
}

func newOneAccount(o Options) (*oneAccount, error) {
	if o.Username == "" || o.Password == "" {
		return nil, fault.Usage("a user name needs a password, and a password its user name")
	}
	if strings.Contains(o.Username, ":") {
		return nil, fault.Usage("a user name cannot have a colon") // RFC 7617
	}
	conf := authn.AuthConfig{Username: o.Username, Password: o.Password}
	if o.Username == tokenUser {
		conf = authn.AuthConfig{IdentityToken: o.Password}
	}
	return &oneAccount{auth: authn.FromConfig(conf)}, nil
}

// Resolve implements authn.Keychain.
func (a *oneAccount) Resolve(r authn.Resource) (authn.Authenticator, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	host := domainOf(r.RegistryStr())
	if a.host == "" {
		a.host = host
	}
	if a.host != host {
		pair := []string{a.host, host}
		slices.Sort(pair)
		return nil, fault.WithHint(fault.Usage("one user name and password are given for two registries, %s and %s", pair[0], pair[1]),
			"give each registry its own with docker login")
	}
	return a.auth, nil
}
