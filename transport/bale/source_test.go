package bale_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"bale/bundle/fault"
	"bale/transport/bale"
	"bale/transport/conformance"
)

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "empty"), nil, 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "text"), make([]byte, 4096), 0o644))
	for name, kind := range map[string]error{
		"":        fault.ErrUsage, // a folder
		"missing": fs.ErrNotExist,
		"empty":   fault.ErrDamaged,
		"text":    fault.ErrDamaged,
	} {
		f, err := bale.Open(t.Context(), filepath.Join(dir, name))
		if !errors.Is(err, kind) || f != nil {
			t.Errorf("%q: %v, want %v", name, err, kind)
		}
	}
}

type nobody struct{}

func (nobody) Vouches([]byte) error { return fault.Untrusted("no") }

func TestTrustAsksTheVoucher(t *testing.T) {
	f, err := bale.Open(t.Context(), saved(t, conformance.New(t, team).Only("plain")))
	must(t, err)
	defer func() { must(t, f.Close()) }()
	if len(f.Envelope().Sums()) == 0 {
		t.Error("no sums")
	}
	if r, err := f.Trust(t.Context(), nobody{}); !errors.Is(err, fault.ErrUntrusted) || r != nil {
		t.Errorf("%v, want an ErrUntrusted", err)
	}
}

func TestSelectors(t *testing.T) {
	set := conformance.New(t, team)
	src := mustOpen(t, saved(t, set))
	plain, multi := set.Image(t, "plain").Root.Digest.String(), set.Image(t, "multi").Root.Digest.String()
	for selector, want := range map[string]error{
		team + "/plain:1.0":               nil,
		team + "/plain@" + plain:          nil,
		team + "/plain:1.0@" + plain:      nil,
		team + "/plain":                   fault.ErrMissing, // it means :latest
		team + "/plain:2.0":               fault.ErrMissing,
		team + "/plain@" + multi:          fault.ErrMissing,
		team + "/plain:2.0@" + plain:      fault.ErrMissing,
		"plain:1.0":                       fault.ErrMissing, // it means docker.io/library/plain
		"other.example/team/plain:1.0":    fault.ErrMissing,
		team + "/PLAIN:1.0":               fault.ErrUsage,
		team + "/plain:1.0@sha256:00":     fault.ErrUsage,
		team + "/plain:1.0 " + team + "/": fault.ErrUsage,
	} {
		got, err := src.Images(t.Context(), selector)
		if !errors.Is(err, want) || (err == nil) != (want == nil) || err == nil && (len(got) != 1 || got[0].Root.Digest.String() != plain) {
			t.Errorf("%q: %v, %v; want %v", selector, got, err, want)
		}
		if errors.Is(err, fault.ErrMissing) && fault.Hint(err) == "" {
			t.Errorf("%q: %v has no hint", selector, err)
		}
	}
}
