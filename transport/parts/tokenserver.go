package parts

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	tokenService = "bale test registry"
	tokenIssuer  = "bale test tokens"
	// tokenLeeway is how much longer than it says a token is good for in a
	// distribution registry (registry/auth/token, Leeway). Tokens are dated
	// back by it, so that they end when they should.
	tokenLeeway = 60 * time.Second
)

// TokenAuth says what a token server gives to whom.
type TokenAuth struct {
	// Users are the passwords of users. Others, and anonymous ones, are users
	// with the name "".
	Users map[string]string
	// Refresh are the users of identity tokens (OAuth2).
	Refresh map[string]string
	// Grant returns what a user may do in a repository: "pull", "push",
	// "delete". nil allows users all, and others nothing.
	Grant func(user, repository string) []string
	// Strict refuses a request with a scope that is not granted in full, where
	// others give a token without it.
	Strict bool
	// Life is how long tokens are good for, a minute if it is 0. Told is how
	// long the server says they are, Life if it is 0. Both count in whole
	// seconds, as tokens do.
	Life, Told time.Duration
}

// TokenRequest is a request that a token server has seen.
type TokenRequest struct {
	User   string
	Scopes []string
	OAuth  bool // a POST with a refresh token
	Status int  // how it was answered
}

// TokenServerPart gives out tokens for a registry, by distribution's
// specification of token authentication.
type TokenServerPart struct {
	Addr string

	key  *ecdsa.PrivateKey
	cert []byte // DER, for rootcertbundle

	mu   sync.Mutex
	conf TokenAuth
	seen []TokenRequest
}

// WithTokenAuth asks for tokens of a server that is started with the registry,
// over https if the registry is.
func WithTokenAuth(a TokenAuth) RegistryOption { return func(c *registryConfig) { c.tokens = &a } }

// Seen returns the requests until now.
func (s *TokenServerPart) Seen() []TokenRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// Change changes what the server does from now on.
func (s *TokenServerPart) Change(f func(*TokenAuth)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.conf)
}

// startTokens starts a token server that ends with the test.
func startTokens(t testing.TB, a TokenAuth, conf *tls.Config) *TokenServerPart {
	t.Helper()
	s := &TokenServerPart{conf: a, key: newPartKey(t)}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(4), Subject: pkix.Name{CommonName: tokenIssuer},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	s.cert = signCertificate(t, cert, cert, s.key, s.key)
	server := httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	if conf != nil {
		server.TLS = conf
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	s.Addr = server.Listener.Addr().String()
	return s
}

func (s *TokenServerPart) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	req := TokenRequest{Status: http.StatusOK}
	var refresh string
	known := true
	switch r.Method {
	case http.MethodGet:
		req.Scopes = r.URL.Query()["scope"]
		if user, password, ok := r.BasicAuth(); ok {
			want, there := s.conf.Users[user]
			req.User, known = user, there && want == password
		}
	case http.MethodPost:
		req.OAuth = true
		req.Scopes = strings.Fields(r.PostFormValue("scope"))
		refresh = r.PostFormValue("refresh_token")
		req.User, known = s.conf.Refresh[refresh]
		known = known && r.PostFormValue("grant_type") == "refresh_token"
	default:
		known = false
	}
	access, whole := s.access(req)
	switch {
	case !known:
		req.Status = http.StatusUnauthorized
	case s.conf.Strict && !whole:
		req.Status = http.StatusForbidden
	}
	s.seen = append(s.seen, req)
	w.Header().Set("Content-Type", "application/json")
	if req.Status != http.StatusOK {
		w.WriteHeader(req.Status)
		_, _ = w.Write([]byte(`{"errors":[{"code":"UNAUTHORIZED","message":"not with these credentials"}]}`))
		return
	}
	life, told := s.conf.Life, s.conf.Told
	if life == 0 {
		life = time.Minute
	}
	if told == 0 {
		told = life
	}
	token, err := s.sign(req.User, access, time.Now().Add(life-tokenLeeway))
	if err != nil {
		http.Error(w, "cannot sign", http.StatusInternalServerError)
		return
	}
	answer := map[string]any{"token": token, "expires_in": int(told / time.Second)}
	if req.OAuth {
		delete(answer, "token")
		answer["access_token"], answer["refresh_token"] = token, refresh
	}
	_ = json.NewEncoder(w).Encode(answer) // the client is gone
}

// tokenAccess is one right in a token.
type tokenAccess struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// access returns the rights that a request gets, and whether these are all that
// it wanted.
func (s *TokenServerPart) access(r TokenRequest) (list []tokenAccess, whole bool) {
	whole = true
	list = []tokenAccess{}
	for _, scope := range r.Scopes {
		for _, one := range strings.Fields(scope) {
			p := strings.Split(one, ":")
			if len(p) != 3 || p[0] != "repository" {
				whole = false
				continue
			}
			may := []string{}
			switch {
			case s.conf.Grant != nil:
				may = s.conf.Grant(r.User, p[1])
			case r.User != "":
				may = []string{"pull", "push", "delete"}
			}
			a := tokenAccess{Type: p[0], Name: p[1], Actions: []string{}}
			for action := range strings.SplitSeq(p[2], ",") {
				if slices.Contains(may, action) {
					a.Actions = append(a.Actions, action)
				} else {
					whole = false
				}
			}
			list = append(list, a)
		}
	}
	return list, whole
}

// sign returns a token that ends at a time.
func (s *TokenServerPart) sign(user string, access []tokenAccess, end time.Time) (string, error) {
	begin := end.Add(-time.Hour).Unix()
	return signJWT(s.key, map[string]any{"x5c": []string{base64.StdEncoding.EncodeToString(s.cert)}}, map[string]any{
		"iss": tokenIssuer, "sub": user, "aud": tokenService, "exp": end.Unix(),
		"nbf": begin, "iat": begin, "jti": rand.Text(), "access": access,
	})
}
