package verify_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/verify"
)

const (
	someID   = "000102030405060708090a0b0c0d0e0f"
	otherID  = "f0e0d0c0b0a090807060504030201000"
	someSums = "sha256:121cd322c6b3f5fb61166953f58617df75bb6df48503beaf97f218c2fd22d477"
	moreSums = "sha256:e3a3703aa033925cbe8d71b2c36acf3c582a3a63856d4471ad3e1b9f4ff16ca4"
)

// someTime is when bundles were loaded.
var someTime = time.Date(2026, 11, 21, 14, 30, 0, 0, time.UTC)

// edge is a bundle of that name.
func edge(sequence uint64) verify.Loaded {
	return verify.Loaded{Name: "edge", Sequence: sequence, Sums: someSums, ID: someID, Time: someTime, Signers: []string{"68a6-34eb-4c6a-3965-ec3b"}}
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"e", "edge", "team/edge", "Edge site 2", "~", "-v", `a"b\c`, strings.Repeat("x", bundle.MaxName)} {
		if err := bundle.CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", " ", "/", "/edge", "edge/", " edge", "edge ", "a\tb", "a\nb", "a\x7fb", "ëdge", "a\x00", "\xff", strings.Repeat("x", bundle.MaxName+1)} {
		if err := bundle.CheckName(name); err == nil || len(err.Error()) > 300 {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Only what is signed, and says where it belongs, has a place.
func TestNewLoaded(t *testing.T) {
	k, other := loadPrivate(t, "ed25519.pem"), loadPrivate(t, "rsa.pem")
	env := bundle.NewEnvelope(sums, entries(entry, signed(t, k, sums), entry+".1", signed(t, other, sums)))
	good, err := verify.Verify(env, trust(k.Public(), other.Public()))
	if err != nil {
		t.Fatal(err)
	}
	header := bundle.Header{ID: someID, Name: "edge", Sequence: 7}
	at := someTime.Add(999 * time.Millisecond).In(time.FixedZone("", 3600))
	got, err := verify.NewLoaded(header, good, at)
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "edge" || got.Sequence != 7 || got.ID != someID || got.Sums != good.SumsDigest() || got.Time != someTime ||
		strings.Join(got.Signers, " ") != k.Public().Fingerprint()+" "+other.Public().Fingerprint() {
		t.Errorf("got %+v", got)
	}
	for name, c := range map[string]struct {
		header bundle.Header
		result *verify.Result
		text   string
	}{
		"no result":    {header, nil, "nobody vouches"},
		"zero result":  {header, new(verify.Result), "nobody vouches"},
		"not verified": {header, verify.WithoutSignatureUnsafe(env), "nobody vouches"},
		"no name":      {bundle.Header{ID: someID, Sequence: 7}, good, "has no name"},
		"odd name":     {bundle.Header{ID: someID, Name: " edge", Sequence: 7}, good, "no proper name"},
		"no sequence":  {bundle.Header{ID: someID, Name: "edge"}, good, "no sequence number"},
	} {
		if _, err := verify.NewLoaded(c.header, c.result, someTime); !errors.Is(err, fault.ErrUntrusted) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAfter(t *testing.T) {
	with := func(l verify.Loaded, f func(*verify.Loaded)) verify.Loaded {
		f(&l)
		return l
	}
	other := func(l *verify.Loaded) { l.Sums, l.ID = moreSums, otherID }
	stranger := func(l *verify.Loaded) { other(l); l.Signers = []string{"s1", "s2", "s3", "s4", "s5"} }
	for name, c := range map[string]struct {
		last, this verify.Loaded
		text       string // of the refusal; "" is none
	}{
		"next":                   {edge(7), with(edge(8), other), ""},
		"with a gap":             {edge(7), with(edge(1<<64-1), other), ""},
		"the same again":         {edge(7), edge(7), ""},
		"the same, later":        {edge(7), with(edge(7), func(l *verify.Loaded) { l.Time = someTime.Add(time.Hour) }), ""},
		"by another key":         {edge(7), with(edge(8), stranger), ""},
		"older":                  {edge(7), with(edge(6), other), "sequence 7 of edge was loaded at 2026-11-21T14:30:00Z (bundle " + someID + "), and this is the older sequence 6 (bundle " + otherID + ")"},
		"of the same number":     {edge(7), with(edge(7), other), "this is another bundle of the same sequence"},
		"older, by another key":  {edge(7), with(edge(6), stranger), "signed by 68a6-34eb-4c6a-3965-ec3b and not by s1, s2, s3 and 2 more)"},
		"older, same sums":       {edge(7), edge(6), "older sequence 6"},
		"one signer of several":  {edge(7), with(edge(6), func(l *verify.Loaded) { l.Signers = append([]string{"x"}, l.Signers...) }), someID + ")"},
		"the greatest was there": {edge(1<<64 - 1), with(edge(1), other), "older sequence 1 "},
	} {
		err := c.this.After(c.last)
		if c.text == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.Is(err, fault.ErrUntrusted) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
