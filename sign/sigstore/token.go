package sigstore

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"bale/bundle/fault"
	"bale/sign"
)

const (
	// DefaultClientID is who a token must be for, unless a private Fulcio says
	// otherwise.
	DefaultClientID = "sigstore"

	// TokenEnv is the variable that may hold a token, as for cosign.
	TokenEnv = "SIGSTORE_ID_TOKEN"
	// TokenFile is where Kubernetes may mount one, as for cosign.
	TokenFile = "/var/run/sigstore/cosign/oidc-token"

	// A job of GitHub Actions with "id-token: write" has these two.
	actionsURL   = "ACTIONS_ID_TOKEN_REQUEST_URL"
	actionsToken = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"

	maxToken = sign.MaxKeyFile
	maxClaim = 100 // of a claim that is shown
)

// TokenSource returns an OIDC identity token. No error of it holds one.
type TokenSource func(ctx context.Context) (string, error)

// Given returns the source of a token that is given itself, or as the path of a
// file with it, which is read only when the token is needed. The text is in no
// error: it might be a token that is cut short.
func Given(tokenOrPath string) (TokenSource, error) {
	if t := strings.TrimSpace(tokenOrPath); isToken(t) {
		return fixed(t)
	}
	read := func() (string, error) {
		data, err := sign.ReadKeyFile(tokenOrPath)
		if err != nil {
			return "", fault.WithHint(fault.Usage("identity token is neither a token nor a file that can be read: %s", reason(err)),
				"a token has three parts with dots between them")
		}
		t := string(bytes.TrimSpace(data))
		if !isToken(t) {
			return "", fault.WithHint(fault.Usage("the file given as identity token holds no token"), "a token has three parts with dots between them")
		}
		return t, nil
	}
	if _, err := read(); err != nil {
		return nil, err
	}
	return func(context.Context) (string, error) { return read() }, nil
}

// fixed returns the source of one token. If it has expired already, that is said
// before any work is done.
func fixed(token string) (TokenSource, error) {
	if err := checkToken(token); err != nil {
		return nil, err
	}
	return func(context.Context) (string, error) { return token, nil }, nil
}

// reason is why a file cannot be read, without its path.
func reason(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "no such file"
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return err.Error()
}

// Around returns the source of a token that the surroundings offer: the variable
// [TokenEnv], the file [TokenFile], or GitHub Actions. It is nil if there is none.
func Around(getenv func(string) string, clientID string) (TokenSource, error) {
	if t := strings.TrimSpace(getenv(TokenEnv)); t != "" {
		if !isToken(t) {
			return nil, fault.WithHint(fault.Usage("%s holds no token", TokenEnv), "a token has three parts with dots between them")
		}
		return fixed(t)
	}
	if _, err := sign.ReadKeyFile(TokenFile); err == nil {
		return Given(TokenFile)
	}
	address, bearer := getenv(actionsURL), getenv(actionsToken)
	if address == "" || bearer == "" {
		return nil, nil
	}
	if err := checkURL("GitHub Actions", address, true); err != nil {
		return nil, err
	}
	return func(ctx context.Context) (string, error) { return fromActions(ctx, address, bearer, clientID) }, nil
}

// fromActions asks GitHub for the token of a job, see "OpenID Connect reference"
// in its documentation.
func fromActions(ctx context.Context, address, bearer, clientID string) (string, error) {
	const hint = `the job needs the permission "id-token: write"`
	c := &client{ctx: ctx, server: "GitHub Actions at " + show(address), secret: bearer}
	u, err := url.Parse(address)
	if err != nil {
		return "", fault.Usage("%s is no address", actionsURL)
	}
	q := u.Query()
	q.Set("audience", clientID)
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", c.said(err, hint)
	}
	req.Header.Set("Authorization", "bearer "+bearer)
	resp, err := c.http().Do(req)
	if err != nil {
		return "", c.said(err, hint)
	}
	data, err := io.ReadAll(resp.Body) // in memory, see [client.try]
	if err != nil {
		return "", c.said(err, hint)
	}
	var answer struct{ Value string }
	if err := json.Unmarshal(data, &answer); err != nil || !isToken(answer.Value) {
		return "", c.said(errors.New("its answer holds no token"), hint)
	}
	return answer.Value, nil
}

// claims are what a token says of itself. Nothing of it is proven here: Fulcio
// does that.
type claims struct {
	Issuer   string          `json:"iss"`
	Subject  string          `json:"sub"`
	Email    string          `json:"email"`
	Audience json.RawMessage `json:"aud"`
	Expires  json.Number     `json:"exp"`
}

// isToken reports whether a text has the form of a signed JSON web token.
func isToken(s string) bool {
	_, err := parseToken(s)
	return err == nil
}

var errNoToken = errors.New("not a JSON web token")

func parseToken(s string) (*claims, error) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || len(s) > maxToken || parts[2] == "" {
		return nil, errNoToken
	}
	var head map[string]any
	var c claims
	for i, v := range []any{&head, &c} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(b, v) != nil {
			return nil, errNoToken
		}
	}
	return &c, nil
}

// expiry is when a token ends; false if it does not say.
func (c *claims) expiry() (time.Time, bool) {
	f, err := c.Expires.Float64()
	if err != nil || f <= 0 || f > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(int64(f), 0), true
}

// checkToken refuses what Fulcio would refuse with fewer words.
func checkToken(token string) error {
	c, err := parseToken(token)
	if err != nil {
		return fault.Usage("identity token is %w", err)
	}
	if end, ok := c.expiry(); ok && time.Now().After(end) {
		return fault.WithHint(fmt.Errorf("identity token expired at %s", end.UTC().Format(time.RFC3339)),
			"get a new one; tokens live for minutes, so have one made when it is needed: give the path of a file that is kept up to date")
	}
	return nil
}

// tokenHint is what to do when Fulcio does not take a token. What stands in its
// claims is no secret; its signature is.
func tokenHint(token, issuer string) string {
	c, err := parseToken(token)
	if err != nil {
		return ""
	}
	cut := func(s string) string {
		if len(s) > maxClaim {
			s = strings.ToValidUTF8(s[:maxClaim], "") + "..."
		}
		return fmt.Sprintf("%q", s)
	}
	hint := fmt.Sprintf("the token is by %s for the audience %s: Fulcio must know that issuer, and the audience is usually %q",
		cut(c.Issuer), cut(strings.Trim(string(c.Audience), `"`)), DefaultClientID)
	if issuer != "" && issuer != c.Issuer {
		hint += fmt.Sprintf("; the signing config names the issuer %s", cut(issuer))
	}
	return hint
}
