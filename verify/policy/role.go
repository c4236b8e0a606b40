package policy

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"bale/verify"
)

var roleFields = []string{"signers", "threshold"}

// role is some signers, of whom so many different ones are needed.
type role struct {
	name      string
	signers   []*signer
	threshold int
	single    bool // it stands for one signer, whose name it has
	used      bool
}

// readRoles reads the roles, which name signers.
func (l *loader) readRoles(n *yaml.Node) {
	list, _ := l.mapping(n, "roles")
	if len(list) == 0 && n.Kind == yaml.MappingNode {
		l.bad(n, "roles is empty")
	}
	for _, f := range list {
		l.checkName(f.key, "role")
		if s := l.signers[f.key.Value]; s != nil {
			l.bad(f.key, "role %s has the name of a signer (line %d)", s.name, s.node.Line)
			continue
		}
		r := &role{name: f.key.Value}
		l.roles[r.name] = r
		what := "role " + r.name
		o, ok := l.object(f.value, what, roleFields)
		if !ok {
			continue
		}
		if o.fields["signers"] == nil {
			l.bad(f.value, "%s has no signers", what)
			continue
		}
		members := l.list(o.fields["signers"], what+": signers")
		l.readMembers(r, what, members)
		r.threshold = len(r.signers)
		if t := o.fields["threshold"]; t != nil {
			most := uint64(max(len(members), 1))
			if i, ok := l.number(t, fmt.Sprintf("%s: threshold (it has %s)", what, plural(len(members), "signer")), 1, most); ok {
				r.threshold = int(i)
			}
		}
		l.p.roles = append(l.p.roles, r)
	}
}

func (l *loader) readMembers(r *role, what string, members []*yaml.Node) {
	for _, m := range members {
		name, ok := l.text(m, what+": a signer")
		if !ok {
			continue
		}
		s := l.signers[name]
		switch {
		case s == nil:
			l.undefined(m, name, "signer", l.signerNames())
		case slices.Contains(r.signers, s):
			l.bad(m, "%s names signer %s twice", what, name)
		default:
			s.used = true
			r.signers = append(r.signers, s)
		}
	}
}

// undefined complains of a name that nobody has.
func (l *loader) undefined(n *yaml.Node, name, what string, known []string) {
	if len(known) == 0 {
		return // that there are none was told
	}
	text := fmt.Sprintf("there is no %s %q", what, verify.Clip(name))
	if near := nearest(name, known); near != "" {
		text += fmt.Sprintf(", did you mean %s?", near)
	}
	l.badHint(n, "known: "+listed(known), "%s", text)
}

func (l *loader) signerNames() []string {
	var list []string
	for _, s := range l.p.signers {
		list = append(list, s.name)
	}
	return list
}

// readSignedBy reads a list of roles and signers, all of whom must have signed.
func (l *loader) readSignedBy(n *yaml.Node, what string) []*role {
	var out []*role
	for _, m := range l.list(n, what+": signedBy") {
		name, ok := l.text(m, what+": a name in signedBy")
		if !ok {
			continue
		}
		r := l.roles[name]
		if s := l.signers[name]; s != nil {
			s.used = true
			r = &role{name: name, signers: []*signer{s}, threshold: 1, single: true}
		}
		switch {
		case r == nil:
			known := l.signerNames()
			for _, r := range l.p.roles {
				known = append(known, r.name)
			}
			l.undefined(m, name, "role or signer", known)
			continue
		case slices.ContainsFunc(out, func(o *role) bool { return o.name == name }):
			l.bad(m, "%s: signedBy names %s twice", what, name)
			continue
		}
		r.used = true
		out = append(out, r)
	}
	return out
}

// rule returns what a role asks for; of those only who can attest if that is
// wanted. enough is false if these are too few.
func (r *role) rule(attests bool) (_ verify.Rule, enough bool) {
	out := verify.Rule{Name: r.name, Threshold: r.threshold}
	n := 0
	for _, s := range r.signers {
		can := len(s.members) == 0 // which was told
		for _, a := range s.members {
			if _, ok := a.(verify.Attesting); ok || !attests {
				out.Of = append(out.Of, a)
				can = true
			}
		}
		if can {
			n++
		}
	}
	return out, n >= r.threshold
}

// words says what a role asks for.
func (r *role) words() string {
	if r.single {
		return r.name
	}
	var names []string
	for _, s := range r.signers {
		names = append(names, s.name)
	}
	of := strings.Join(names, ", ")
	switch {
	case len(names) == 1:
		return r.name + " (" + of + ")"
	case r.threshold == len(names):
		return "all " + r.name + " (" + of + ")"
	}
	return fmt.Sprintf("%d of the %d %s (%s)", r.threshold, len(names), r.name, of)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
