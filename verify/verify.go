package verify

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"bale/bundle"
	"bale/bundle/container"
	"bale/bundle/fault"
)

// Verify returns a result if those whom trust asks for signed env's SHA256SUMS
// and nothing speaks against it; see the package comment for the rules. Its
// errors are of the kinds
//
//   - [fault.ErrUsage]: trust names nobody
//   - [fault.ErrUntrusted]: not signed, not by whom trust asks for, or altered since
//   - [fault.ErrDamaged]: a signature entry is malformed
//   - [fault.ErrUnsupported]: a signature is in a newer or another form
func Verify(env *bundle.Envelope, trust Trust) (*Result, error) {
	if err := trust.check(); err != nil {
		return nil, err
	}
	if env == nil || len(env.Sums()) == 0 {
		return nil, fault.Damaged("SHA256SUMS is empty")
	}
	x, err := trust.examine(env)
	if err != nil {
		return nil, err
	}
	var short []string
	r := newResult(sha256.Sum256(env.Sums()), nil)
	for _, a := range trust.Alternatives {
		if lacks := a.lacks(x, trust); len(lacks) > 0 {
			short = append(short, lacks...)
			continue
		}
		r.accepted = append(r.accepted, a.Name)
		r.add(a, x)
	}
	if len(r.accepted) == 0 {
		return nil, x.refuse(trust, short)
	}
	return r, nil
}

// examined is what the signatures of a bundle are, each looked at by every
// authority.
type examined struct {
	found   map[Authority][]Signer
	stale   *stale   // the first that counts no more
	ignored []string // what was found and did not count, in words
}

// examine looks at each signature.
func (t Trust) examine(env *bundle.Envelope) (*examined, error) {
	if n := len(env.Signatures()); n > container.MaxSignatureEntries {
		return nil, fault.Damaged("bundle has %d signatures, more than %d", n, container.MaxSignatureEntries)
	}
	x := &examined{found: make(map[Authority][]Signer)}
	entries := make(map[string]bool)
	authorities := t.authorities()
	for _, sig := range env.Signatures() {
		if entries[sig.Entry] {
			return nil, fault.Damaged("bundle has the entry %q twice", Clip(sig.Entry))
		}
		entries[sig.Entry] = true
		e, err := newEvidence(sig.Entry, sig.Data)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", sig.Entry, err)
		case e == nil:
			x.ignore(t, fmt.Sprintf("%q in an unknown form", Clip(sig.Entry)))
			continue
		}
		if err := x.look(t, e, authorities, env.Sums()); err != nil {
			return nil, fmt.Errorf("%s %w", sig.Entry, err)
		}
	}
	return x, nil
}

// look has every authority look at one entry.
func (x *examined) look(t Trust, e *Evidence, authorities []Authority, message []byte) error {
	var refused error
	others := make([]string, 0, len(authorities))
	accepted := false
	for i, a := range authorities {
		if a.Form() != e.Form || slices.Contains(authorities[:i], a) {
			continue
		}
		signers, err := a.Check(e, message)
		switch {
		case errors.Is(err, ErrOther):
			if s := (*stale)(nil); errors.As(err, &s) {
				err = Other("by %s: %s", a, s)
				if x.stale == nil {
					x.stale = s
				}
			}
			if !slices.Contains(others, err.Error()) {
				others = append(others, err.Error())
			}
		case err != nil:
			err = fmt.Errorf("by %s: %w", a, err)
			if errors.Is(err, fault.ErrDamaged) || errors.Is(err, fault.ErrUsage) {
				return err
			}
			if refused == nil {
				refused = err
			}
		case len(signers) > 0:
			accepted = true
			for _, s := range signers {
				s.Entry = e.Entry
				x.found[a] = append(x.found[a], s)
				t.explain(Passed, "%s: signed by %s", e.Entry, s)
			}
		}
	}
	switch {
	case refused != nil && !(accepted && e.certified()):
		return refused
	case accepted:
		return nil
	case len(others) == 0:
		x.ignore(t, fmt.Sprintf("%s in %s form, and no such key was given", e.Entry, e.Form))
	default:
		x.ignore(t, e.Entry+" "+strings.Join(others, ", "))
	}
	return nil
}

func (x *examined) ignore(t Trust, text string) {
	t.explain(Ignored, "%s", text)
	x.ignored = append(x.ignored, text)
}

// lacks says in words which rules of an alternative are not met.
func (a Alternative) lacks(x *examined, t Trust) []string {
	var list []string
	in := ""
	if a.Name != "" {
		in = "rule " + a.Name + ": "
	}
	for _, r := range a.Rules {
		n, missing := r.met(x.found)
		if n >= r.need() {
			t.explain(Passed, "%sneeds %s, %s", in, r.describe(), r.has(n))
			continue
		}
		t.explain(Failed, "%sneeds %s, %s", in, r.describe(), r.has(n))
		text := fmt.Sprintf("%sneeds %s, %s", in, r.describe(), r.has(n))
		switch {
		case n > 0 && len(missing) == 0:
			text += ", since several of them are one signer"
		case n > 0:
			var names []string
			for _, m := range missing {
				names = append(names, m.String())
			}
			text += ", without " + strings.Join(names, ", ")
		}
		list = append(list, text)
	}
	return list
}

// has says how much of a rule is met.
func (r Rule) has(n int) string {
	if len(r.Of) == 1 {
		return [...]string{"who did not sign", "who signed"}[min(n, 1)]
	}
	return fmt.Sprintf("has %d", n)
}

// refuse is the refusal of a bundle that was not signed by whom trust asks for.
func (x *examined) refuse(trust Trust, short []string) error {
	if len(x.ignored) == 0 && len(x.found) == 0 {
		return fault.WithHint(fault.Untrusted("bundle is not signed"),
			"have the sender sign it (save with --key, or bale sign); bale load takes it as it is with --insecure-skip-verify")
	}
	if len(x.found) > 0 {
		return fault.WithHint(fault.Untrusted("bundle is not signed by all who must: %s", strings.Join(first(short), "; ")),
			"have the others sign it too: bale sign FILE --key KEY")
	}
	var tried []string
	for _, a := range trust.authorities() {
		if !slices.Contains(tried, a.String()) {
			tried = append(tried, a.String())
		}
	}
	hint := "ask the sender, by another way than the bundle came, for the .pub file of the key, or the identity, that signs"
	if x.stale != nil && fault.Hint(x.stale) != "" {
		hint = fault.Hint(x.stale)
	}
	return fault.WithHint(
		fault.Untrusted("bundle is not signed by a given key: found %s; tried %s", strings.Join(first(x.ignored), ", "), strings.Join(first(tried), ", ")),
		"%s", hint)
}

// maxTold is how many things of a kind a refusal names; Explain is told all.
const maxTold = 5

// first returns the first of some things, and how many more there are.
func first(list []string) []string {
	if n := len(list) - maxTold; n > 0 {
		return append(list[:maxTold:maxTold], fmt.Sprintf("%d more", n))
	}
	return list
}
