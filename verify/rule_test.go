package verify_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"bale/bundle"
	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/sign"
	"bale/verify"
)

// somebody accepts the entries that he is told to, as one or more ids.
type somebody struct {
	name    string
	entries string // accepted, as a list
	ids     []string
	err     error // instead
	form    sign.Form
}

func (s *somebody) String() string { return s.name }
func (s *somebody) Form() sign.Form {
	if s.form == container.NoForm {
		return sign.SSH
	}
	return s.form
}

func (s *somebody) Check(e *verify.Evidence, _ []byte) ([]verify.Signer, error) {
	if s.err != nil {
		return nil, s.err
	}
	if !strings.Contains(s.entries, e.Entry+" ") {
		return nil, verify.Other("by somebody else than %s", s.name)
	}
	return []verify.Signer{{Identity: sign.Identity{Kind: sign.KindSSH, Fingerprint: s.name}, IDs: s.ids}}, nil
}

const (
	sig0 = "SHA256SUMS.sig"
	sig1 = "SHA256SUMS.sig.1"
)

func bySSH(t *testing.T, trust verify.Trust) (*verify.Result, error) {
	t.Helper()
	return verify.Verify(bundle.NewEnvelope(sums, entries(sig0, []byte("0"), sig1, []byte("1"))), trust)
}

func TestThresholds(t *testing.T) {
	one := func(name, entries string, ids ...string) verify.Authority {
		return &somebody{name: name, entries: entries, ids: ids}
	}
	a, b, c := one("a", sig0+" ", "1"), one("b", sig1+" ", "2"), one("c", "", "3")
	for _, tt := range []struct {
		name string
		n    int
		of   []verify.Authority
		ok   bool
	}{
		{"one of one", 1, []verify.Authority{a}, true},
		{"one of three", 1, []verify.Authority{c, b, a}, true},
		{"two of three", 2, []verify.Authority{a, b, c}, true},
		{"three of three", 3, []verify.Authority{a, b, c}, false},
		{"all, by default", 0, []verify.Authority{a, b}, true},
		{"all, and one is missing", 0, []verify.Authority{a, b, c}, false},
		{"the same authority twice", 2, []verify.Authority{a, a}, false},
		{"one key under two names", 2, []verify.Authority{a, one("alias", sig0+" ", "1")}, false},
		{"one key under two names signed twice", 2, []verify.Authority{a, one("alias", sig1+" ", "1")}, false},
		{"one of several ids in common", 2, []verify.Authority{one("x", sig0+" ", "1", "8"), one("y", sig1+" ", "9", "1")}, false},
		{"in common through a third", 2, []verify.Authority{one("x", sig0+" ", "1", "2"), one("y", sig1+" ", "3"), one("z", sig1+" ", "2", "3")}, false},
		{"in common through a third that comes first", 2, []verify.Authority{one("z", sig1+" ", "2", "3"), one("x", sig0+" ", "1", "2"), one("y", sig1+" ", "3")}, false},
		{"two and an alias", 2, []verify.Authority{a, one("alias", sig0+" ", "1"), b}, true},
		{"three with an alias", 3, []verify.Authority{a, one("alias", sig0+" ", "1"), b}, false},
		{"more than there are", 2, []verify.Authority{a}, false},
		{"negative", -1, []verify.Authority{a, b}, false},
		{"nobody", 0, nil, false},
		{"nothing", 1, []verify.Authority{nil, a}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := bySSH(t, verify.TrustSome(tt.n, tt.of...))
			if (err == nil) != tt.ok || (r != nil) != tt.ok {
				t.Fatalf("result %v, error %v", r, err)
			}
			if err != nil && fault.Hint(err) == "" && !errors.Is(err, fault.ErrUsage) {
				t.Errorf("no hint: %v", err)
			}
		})
	}
}

func TestAlternatives(t *testing.T) {
	a := &somebody{name: "a", entries: sig0 + " ", ids: []string{"1"}}
	b := &somebody{name: "b", entries: sig1 + " ", ids: []string{"2"}}
	c := &somebody{name: "c", ids: []string{"3"}}
	rule := func(name string, of ...verify.Authority) verify.Rule { return verify.Rule{Name: name, Of: of} }
	trust := verify.Trust{Alternatives: []verify.Alternative{
		{Name: "edge", Rules: []verify.Rule{rule("approvers", a, b), rule("ci", c)}},
		{Name: "core", Rules: []verify.Rule{rule("ops", b)}},
		{Name: "lab", Rules: []verify.Rule{rule("ops", b), rule("dev", a)}},
	}}
	var steps []string
	trust.Explain = func(s verify.Step) { steps = append(steps, s.Verdict.String()+" "+s.Text) }
	r, err := bySSH(t, trust)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(r.Accepted()); got != "[core lab]" {
		t.Errorf("accepted %s", got)
	}
	var got []string
	for _, s := range r.Signers() {
		got = append(got, s.Entry+" "+s.Fingerprint+" "+fmt.Sprint(s.Roles))
	}
	want := []string{sig0 + " a [lab dev]", sig1 + " b [core ops lab]"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("signers\n%q, want\n%q", got, want)
	}
	wantSteps := []string{
		"pass " + sig0 + ": signed by SSH key a",
		"pass " + sig1 + ": signed by SSH key b",
		"pass rule edge: needs all of a, b, has 2",
		"FAIL rule edge: needs c, who did not sign",
		"pass rule core: needs b, who signed",
		"pass rule lab: needs b, who signed",
		"pass rule lab: needs a, who signed",
	}
	if strings.Join(steps, "\n") != strings.Join(wantSteps, "\n") {
		t.Errorf("explained as\n%s", strings.Join(steps, "\n"))
	}

	trust.Alternatives = trust.Alternatives[:1]
	_, err = bySSH(t, trust)
	if !errors.Is(err, fault.ErrUntrusted) || !strings.Contains(err.Error(), "rule edge: needs c, who did not sign") {
		t.Errorf("not all who must: %v", err)
	}
	for _, none := range []verify.Trust{{}, {Alternatives: []verify.Alternative{{}}}, {Alternatives: []verify.Alternative{{Rules: []verify.Rule{{}}}}}} {
		if r, err := bySSH(t, none); !errors.Is(err, fault.ErrUsage) || r != nil {
			t.Errorf("trust in nobody: %v, %v", r, err)
		}
	}
}

// What one authority refuses another may accept; what is malformed nobody may.
func TestRefusals(t *testing.T) {
	accepts := &somebody{name: "a", entries: sig0 + " ", ids: []string{"1"}}
	for _, tt := range []struct {
		name string
		err  error
		kind error // nil: accepted
	}{
		{"somebody else's", verify.Other("by x"), nil},
		{"does not fit", fault.Untrusted("does not fit"), fault.ErrUntrusted},
		{"form is not known", fault.Unsupported("newer"), fault.ErrUnsupported},
		{"malformed", fault.Damaged("is no signature"), fault.ErrDamaged},
	} {
		// It refuses both entries, and the other one accepts the first only.
		trust := verify.TrustAny(&somebody{name: "r", err: tt.err}, accepts)
		if _, err := bySSH(t, trust); !errors.Is(err, tt.kind) || (err == nil) != (tt.kind == nil) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	// One entry, which one refuses and the other one accepts: as where several
	// signatures of OpenPGP stand in it, or two CAs could have issued a certificate.
	ec := loadPrivate(t, "sec1.pem")
	byCertificate := change(t, signed(t, ec, sums), certified)
	for _, tt := range []struct {
		name  string
		entry string
		data  []byte
		form  sign.Form
		err   error
		kind  error
	}{
		{"a key", sig0, []byte("0"), sign.SSH, fault.Untrusted("does not fit"), fault.ErrUntrusted},
		{"a certificate", entry, byCertificate, sign.Sigstore, fault.Untrusted("by another CA"), nil},
		{"a malformed certificate", entry, byCertificate, sign.Sigstore, fault.Damaged("is no certificate"), fault.ErrDamaged},
	} {
		env := bundle.NewEnvelope(sums, entries(tt.entry, tt.data))
		refuses := &somebody{name: "r", err: tt.err, form: tt.form}
		accepts := &somebody{name: "a", entries: tt.entry + " ", ids: []string{"1"}, form: tt.form}
		for _, list := range [][]verify.Authority{{refuses, accepts}, {accepts, refuses}} {
			if _, err := verify.Verify(env, verify.TrustAny(list...)); !errors.Is(err, tt.kind) || (err == nil) != (tt.kind == nil) {
				t.Errorf("%s that one refuses and one accepts: %v", tt.name, err)
			}
		}
	}
}

// Signatures of a form that nobody is given for are not looked into.
func TestOtherFormsAreNotParsed(t *testing.T) {
	ec := loadPrivate(t, "sec1.pem")
	sigs := entries(entry, signed(t, ec, sums), "SHA256SUMS.asc", []byte("\x00"), sig0, []byte("\x00"), "SHA256SUMS.p7s", []byte("\x00"))
	r, err := verify.Verify(bundle.NewEnvelope(sums, sigs), trust(ec.Public()))
	if err != nil || len(r.Signers()) != 1 {
		t.Errorf("%v, %v", r, err)
	}
}

// What counts no more is passed over, with the reason, and does not speak against
// the bundle.
func TestStaleSignatures(t *testing.T) {
	old := &somebody{name: "old", err: verify.Stale(fault.WithHint(fault.Untrusted("has expired"), "renew it"))}
	now := &somebody{name: "now", entries: sig1 + " ", ids: []string{"1"}}
	r, err := bySSH(t, verify.TrustAny(old, now))
	if err != nil || len(r.Signers()) != 1 {
		t.Errorf("beside one that counts: %v, %v", r, err)
	}
	_, err = bySSH(t, verify.TrustAny(old))
	if !errors.Is(err, fault.ErrUntrusted) || errors.Is(err, verify.ErrOther) ||
		!strings.Contains(err.Error(), sig0+" by old: has expired") || fault.Hint(err) != "renew it" {
		t.Errorf("alone: %v (hint %q)", err, fault.Hint(err))
	}
}

// Whoever is named twice is told so, and not that somebody is missing.
func TestOneSignerTwice(t *testing.T) {
	one := func() verify.Authority { return &somebody{name: "a", entries: sig0 + " ", ids: []string{"1"}} }
	_, err := bySSH(t, verify.TrustSome(2, one(), one()))
	if !errors.Is(err, fault.ErrUntrusted) || !strings.HasSuffix(err.Error(), "has 1, since several of them are one signer") {
		t.Error(err)
	}
}
