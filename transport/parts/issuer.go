package parts

import (
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

const (
	issuerAudience = "sigstore"
	issuerLife     = 5 * time.Minute
	// issuerEmail is who uses the device flow, and whose tokens have no other name.
	issuerEmail = "person@example.com"
	// issuerBearer lets a job ask for a token, as GitHub Actions has it.
	issuerBearer = "a-secret-of-the-job"
	// issuerUserCode is what a person types in the device flow.
	issuerUserCode = "WXYZ-1234"
)

// IssuerPart is an issuer of OIDC identity tokens: discovery, keys, the device
// flow (RFC 8628), and the way in which jobs of GitHub Actions get a token.
type IssuerPart struct {
	URL string // the issuer

	key    *ecdsa.PrivateKey
	server *httptest.Server

	mu      sync.Mutex
	device  string // what the token endpoint answers: "" is a token
	asked   int    // how often the token endpoint was asked
	pending int    // how often it still says that nobody has typed the code
}

// Issuer starts an issuer that ends with the test.
func Issuer(t testing.TB) *IssuerPart {
	t.Helper()
	p := &IssuerPart{key: newPartKey(t)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discover)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("POST /device", p.startDevice)
	mux.HandleFunc("POST /token", p.endDevice)
	mux.HandleFunc("GET /actions", p.actions)
	p.server = httptest.NewServer(mux)
	t.Cleanup(p.server.Close)
	p.URL = p.server.URL
	return p
}

// Token returns a token for an e-mail address that is good for Sigstore. Each
// change alters its claims; a nil value takes one away.
func (p *IssuerPart) Token(t testing.TB, email string, change ...map[string]any) string {
	t.Helper()
	claims := p.claims(email)
	for _, c := range change {
		for k, v := range c {
			if v == nil {
				delete(claims, k)
			} else {
				claims[k] = v
			}
		}
	}
	token, err := signJWT(p.key, map[string]any{"kid": "1"}, claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (p *IssuerPart) claims(email string) map[string]any {
	now := time.Now()
	return map[string]any{
		"iss": p.URL, "aud": issuerAudience, "sub": "id-of-" + email, "email": email, "email_verified": true,
		"iat": now.Add(-time.Minute).Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(issuerLife).Unix(),
	}
}

// Actions returns the environment of a job of GitHub Actions.
func (p *IssuerPart) Actions() map[string]string {
	return map[string]string{
		"ACTIONS_ID_TOKEN_REQUEST_URL":   p.URL + "/actions?api-version=2",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": issuerBearer,
	}
}

// Device sets how the device flow goes: how often the person has not typed the
// code yet, and the error at the end ("" for a token, see RFC 8628, 3.5).
func (p *IssuerPart) Device(pending int, failure string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending, p.device = pending, failure
}

// Asked returns how often a client has asked for the token of a device.
func (p *IssuerPart) Asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func (p *IssuerPart) discover(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, map[string]any{
		"issuer": p.URL, "jwks_uri": p.URL + "/keys", "token_endpoint": p.URL + "/token",
		"authorization_endpoint": p.URL + "/auth", "device_authorization_endpoint": p.URL + "/device",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"ES256"}, "code_challenge_methods_supported": []string{"S256"},
	})
}

func (p *IssuerPart) keys(w http.ResponseWriter, _ *http.Request) {
	point, err := p.key.PublicKey.Bytes() // 4, X, Y
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	enc := base64.RawURLEncoding
	answerJSON(w, http.StatusOK, map[string]any{"keys": []any{map[string]any{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1",
		"x": enc.EncodeToString(point[1:33]), "y": enc.EncodeToString(point[33:]),
	}}})
}

func (p *IssuerPart) startDevice(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("client_id") == "" || r.PostFormValue("code_challenge") == "" {
		answerJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_request"})
		return
	}
	answerJSON(w, http.StatusOK, map[string]any{
		"device_code": "the-device-code", "user_code": issuerUserCode, "verification_uri": p.URL + "/type-it-here",
		"expires_in": 60, "interval": 1,
	})
}

func (p *IssuerPart) endDevice(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	failure := p.device
	switch {
	case r.PostFormValue("device_code") != "the-device-code" || r.PostFormValue("code_verifier") == "":
		failure = "invalid_request"
	case p.pending > 0:
		p.pending--
		failure = "authorization_pending"
	}
	if failure != "" {
		answerJSON(w, http.StatusBadRequest, map[string]any{"error": failure})
		return
	}
	token, err := signJWT(p.key, map[string]any{"kid": "1"}, p.claims(issuerEmail))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answerJSON(w, http.StatusOK, map[string]any{"access_token": "x", "token_type": "bearer", "id_token": token})
}

// actions answers as GitHub does, see "OpenID Connect reference" in its docs.
func (p *IssuerPart) actions(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "bearer "+issuerBearer && r.Header.Get("Authorization") != "Bearer "+issuerBearer {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	claims := p.claims(issuerEmail)
	claims["aud"] = r.URL.Query().Get("audience")
	token, err := signJWT(p.key, map[string]any{"kid": "1"}, claims)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answerJSON(w, http.StatusOK, map[string]any{"count": len(token), "value": token})
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone
}
