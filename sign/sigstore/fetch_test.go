package sigstore_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"bale/bundle/fault"
	"bale/sign/sigstore"
	"bale/transport/parts"
)

func repository(p *parts.TUFPart) sigstore.Repository {
	return sigstore.Repository{URL: p.URL, Root: p.Root}
}

// Trusted root and signing config come from a TUF repository, and a signature is
// made with them.
func TestFetch(t *testing.T) {
	t.Parallel()
	p := parts.Sigstore(t)
	want := read(t, p.TrustedRoot)
	files := map[string][]byte{"trusted_root.json": want, "signing_config.v0.2.json": read(t, p.SigningConfig)}
	tuf := parts.TUF(t, time.Now().Add(time.Hour), files)
	got, err := repository(tuf).TrustedRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("another trusted root")
	}
	at, err := repository(tuf).Instance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sig, err := sigstore.Keyless(at, given(t, p.Issuer.Token(t, who))).Sign(t.Context(), message)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifies(t, p, sig.Data, message, who); err != nil {
		t.Error(err)
	}
}

func TestFetchRefuses(t *testing.T) {
	t.Parallel()
	root := []byte(rootJSON)
	files := map[string][]byte{"trusted_root.json": root}
	later := time.Now().Add(time.Hour)
	change := func(b []byte) []byte { return flip(b, len(b)/2) }
	for name, c := range map[string]struct {
		files map[string][]byte
		until time.Time
		alter string
		text  string
	}{
		"altered target":    {files, later, "trusted_root.json", "TUF repository at"},
		"altered timestamp": {files, later, "/timestamp.json", "TUF repository at"},
		"altered targets":   {files, later, "targets.json", "TUF repository at"},
		"altered snapshot":  {files, later, "snapshot.json", "TUF repository at"},
		"expired":           {files, time.Now().Add(-time.Hour), "", "TUF repository at"},
		"no trusted root":   {map[string][]byte{"other.json": root}, later, "", "trusted_root.json"},
		"not a root":        {map[string][]byte{"trusted_root.json": []byte("{}")}, later, "", "trusted_root.json"},
	} {
		t.Run(name, func(t *testing.T) {
			tuf := parts.TUF(t, c.until, c.files)
			if c.alter != "" {
				tuf.Alter(t, c.alter, change)
			}
			got, err := repository(tuf).TrustedRoot(t.Context())
			if got != nil {
				t.Error("a root came with the error")
			}
			plainFailure(t, err, nil, c.text)
		})
	}
	t.Run("another's keys", func(t *testing.T) {
		one, two := parts.TUF(t, later, files), parts.TUF(t, later, files)
		_, err := sigstore.Repository{URL: one.URL, Root: two.Root}.TrustedRoot(t.Context())
		plainFailure(t, err, nil, "TUF repository at "+one.URL)
	})
	t.Run("nobody", func(t *testing.T) {
		_, err := sigstore.Repository{URL: "http://" + parts.FreeAddr(t), Root: parts.TUF(t, later, files).Root}.TrustedRoot(t.Context())
		plainFailure(t, err, nil, "TUF repository at http://127.0.0.1:")
	})
	t.Run("half given", func(t *testing.T) {
		for _, r := range []sigstore.Repository{{URL: "https://tuf.example"}, {Root: root}} {
			if _, err := r.TrustedRoot(t.Context()); !errors.Is(err, fault.ErrUsage) {
				t.Errorf("%v", err)
			}
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		tuf := parts.TUF(t, later, files)
		tuf.OnRequest(cancel)
		if _, err := repository(tuf).TrustedRoot(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}
