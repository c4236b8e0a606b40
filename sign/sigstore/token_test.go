package sigstore_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bale/bundle/fault"
	"bale/sign/sigstore"
	"bale/transport/parts"
)

func TestGiven(t *testing.T) {
	token := parts.Issuer(t).Token(t, who)
	dir := t.TempDir()
	for name, arg := range map[string]string{
		"itself": token, "with white space": " " + token + "\n", "file": write(t, dir, "token", []byte(token+"\n")),
	} {
		got, err := given(t, arg)(t.Context())
		if err != nil || got != token {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	parted := strings.Split(token, ".")
	for name, arg := range map[string]string{
		"cut short": token[:len(token)/2], "no signature": parted[0] + "." + parted[1] + ".", "two parts": parted[0] + "." + parted[1],
		"four parts": token + ".x", "not base64": "a.b!.c", "no claims": parted[0] + ".e30x." + parted[2],
		"nothing": "", "no file": filepath.Join(dir, "none"), "folder": dir, "file without one": write(t, dir, "other", []byte("hello")),
		"file with half": write(t, dir, "half", []byte(token[:len(token)/2])), "large": strings.Repeat("x", 100_000),
	} {
		s, err := sigstore.Given(arg)
		if s != nil || !errors.Is(err, fault.ErrUsage) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		says(t, err, []string{token}, "token")
		if len(arg) > 3 && strings.Contains(err.Error(), arg) {
			t.Errorf("%s: %q shows what was given", name, err)
		}
	}
}

// That a token has expired is said before any work is done.
func TestGivenExpired(t *testing.T) {
	token := parts.Issuer(t).Token(t, who, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()})
	_, err := sigstore.Given(token)
	plainFailure(t, err, []string{token}, "identity token expired at")
	_, err = around(t, map[string]string{"SIGSTORE_ID_TOKEN": token})
	plainFailure(t, err, []string{token}, "identity token expired at")
}

// A file is read when the token is needed, for it may have another by then.
func TestGivenFileChanges(t *testing.T) {
	issuer := parts.Issuer(t)
	dir := t.TempDir()
	s := given(t, write(t, dir, "token", []byte(issuer.Token(t, who))))
	later := issuer.Token(t, "later@example.com")
	write(t, dir, "token", []byte(later))
	if got, err := s(t.Context()); err != nil || got != later {
		t.Errorf("%v", err)
	}
}

func around(t *testing.T, env map[string]string) (sigstore.TokenSource, error) {
	t.Helper()
	return sigstore.Around(func(k string) string { return env[k] }, sigstore.DefaultClientID)
}

func TestAround(t *testing.T) {
	issuer := parts.Issuer(t)
	token := issuer.Token(t, who)
	if s, err := around(t, nil); s != nil || err != nil {
		t.Errorf("a token from nowhere: %v", err)
	}
	s, err := around(t, map[string]string{"SIGSTORE_ID_TOKEN": token})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s(t.Context()); err != nil || got != token {
		t.Errorf("%v", err)
	}
	_, err = around(t, map[string]string{"SIGSTORE_ID_TOKEN": token[:100]})
	says(t, err, []string{token}, "SIGSTORE_ID_TOKEN holds no token")
}

// GitHub Actions gives a job a token for Sigstore, and Fulcio takes it.
func TestActions(t *testing.T) {
	t.Parallel()
	p := parts.Sigstore(t)
	s, err := around(t, p.Issuer.Actions())
	if err != nil {
		t.Fatal(err)
	}
	sig, err := sigstore.Keyless(instance(t, p.SigningConfig, p.TrustedRoot), s).Sign(t.Context(), message)
	if err != nil {
		t.Fatal(err)
	}
	if sig.By.Subject != "person@example.com" {
		t.Errorf("by %+v", sig.By)
	}
}

func TestActionsRefuse(t *testing.T) {
	t.Parallel()
	const secret = "the-secret-of-this-job-0123456789"
	answer := func(code int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body + r.Header.Get("Authorization")))
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	for name, c := range map[string]struct {
		url  string
		text string
	}{
		"401":      {answer(401, "no "), "401 Unauthorized"},
		"no JSON":  {answer(200, "<html>"), "holds no token"},
		"no token": {answer(200, `{"value":"x"}`), "holds no token"},
		"nobody":   {"http://" + parts.FreeAddr(t), "does not answer"},
	} {
		s, err := around(t, map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": c.url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": secret})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s(t.Context())
		t.Log(name)
		plainFailure(t, err, []string{secret}, "GitHub Actions at http://127.0.0.1:", c.text)
	}
	_, err := around(t, map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": "http://actions.example/", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": secret})
	says(t, err, []string{secret}, "in clear", "https")
}

// A person types a code in a browser; bale waits, and signs as them.
func TestDevice(t *testing.T) {
	t.Parallel()
	p := parts.Sigstore(t)
	at := instance(t, p.SigningConfig, p.TrustedRoot)
	p.Issuer.Device(1, "")
	var address, code string
	s, err := sigstore.Device(at.Issuer(), sigstore.DefaultClientID, func(a, c string) { address, code = a, c })
	if err != nil {
		t.Fatal(err)
	}
	sig, err := sigstore.Keyless(at, s).Sign(t.Context(), message)
	if err != nil {
		t.Fatal(err)
	}
	if sig.By.Subject != "person@example.com" || p.Issuer.Asked() != 2 {
		t.Errorf("by %+v, asked %d times", sig.By, p.Issuer.Asked())
	}
	if address != p.Issuer.URL+"/type-it-here" || code != "WXYZ-1234" {
		t.Errorf("told to go to %q with %q", address, code)
	}
}

func TestDeviceFails(t *testing.T) {
	t.Parallel()
	issuer := parts.Issuer(t)
	tell := func(string, string) {}
	for _, why := range []string{"access_denied", "expired_token"} {
		issuer.Device(0, why)
		s, err := sigstore.Device(issuer.URL, sigstore.DefaultClientID, tell)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s(t.Context())
		plainFailure(t, err, nil, "OIDC issuer "+issuer.URL, why, "--identity-token")
	}
	t.Run("token for another client", func(t *testing.T) {
		issuer.Device(0, "")
		s, err := sigstore.Device(issuer.URL, "another", tell)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s(t.Context())
		plainFailure(t, err, nil, "OIDC issuer", "--identity-token")
	})
	t.Run("nobody", func(t *testing.T) {
		s, err := sigstore.Device("http://"+parts.FreeAddr(t), sigstore.DefaultClientID, tell)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s(t.Context())
		plainFailure(t, err, nil, "OIDC issuer", "does not answer")
	})
	t.Run("in clear", func(t *testing.T) {
		_, err := sigstore.Device("http://issuer.example", sigstore.DefaultClientID, tell)
		says(t, err, nil, "in clear")
	})
	t.Run("no issuer", func(t *testing.T) {
		_, err := sigstore.Device("", sigstore.DefaultClientID, tell)
		says(t, err, nil, "OIDC issuer")
	})
	t.Run("interrupted", func(t *testing.T) {
		issuer.Device(1000, "")
		ctx, cancel := context.WithCancel(t.Context())
		s, err := sigstore.Device(issuer.URL, sigstore.DefaultClientID, func(string, string) { cancel() })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}
