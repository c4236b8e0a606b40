package ssh

import (
	"errors"
	"strings"
	"time"

	"bale/bundle/fault"
)

// options restrict what a key may sign and when (ssh-keygen, ALLOWED SIGNERS).
// The zero value restricts nothing.
type options struct {
	namespaces    string // a list of patterns; "" for all
	after, before time.Time
}

// permit fails unless a key with the options may sign files at a time.
func (o options) permit(at time.Time) error {
	switch {
	case o.namespaces != "" && !matchList(Namespace, o.namespaces):
		return fault.WithHint(fault.Untrusted("may sign for the namespaces %s only", quote(o.namespaces)), lineHint)
	case !o.after.IsZero() && at.Before(o.after):
		return fault.WithHint(fault.Untrusted("is not valid before %s", o.after.Format(time.RFC3339)), lineHint)
	case !o.before.IsZero() && at.After(o.before):
		return fault.WithHint(fault.Untrusted("is not valid after %s", o.before.Format(time.RFC3339)), lineHint)
	}
	return nil
}

const lineHint = "the key's line of allowed_signers says so: change it there if that is wrong, or have somebody else sign"

// The names of options, in lower case; OpenSSH takes either.
const (
	optNamespaces  = "namespaces"
	optValidAfter  = "valid-after"
	optValidBefore = "valid-before"
	optAuthority   = "cert-authority"
)

// loginOptions are those of authorized_keys. They stand where allowed_signers has
// the principals, and must not be taken for these.
var loginOptions = map[string]bool{
	"agent-forwarding": true, optAuthority: true, "command": true, "environment": true, "expiry-time": true,
	"from": true, "no-agent-forwarding": true, "no-port-forwarding": true, "no-pty": true, "no-touch-required": true,
	"no-user-rc": true, "no-x11-forwarding": true, "permitlisten": true, "permitopen": true, "port-forwarding": true,
	"principals": true, "pty": true, "restrict": true, "tunnel": true, "user-rc": true, "verify-required": true,
	"x11-forwarding": true, optNamespaces: true, optValidAfter: true, optValidBefore: true,
}

// parseOptions reads the options of a line of allowed_signers. What it does not
// know is refused: it could be a restriction.
func parseOptions(text string) (options, error) {
	var o options
	list, err := splitOptions(text)
	if err != nil {
		return options{}, err
	}
	seen := make(map[string]bool)
	for _, opt := range list {
		name, value, hasValue := strings.Cut(opt, "=")
		name = strings.ToLower(name)
		if seen[name] {
			return options{}, fault.Usage("has the option %s twice", name)
		}
		seen[name] = true
		if name == optAuthority {
			return options{}, fault.WithHint(fault.Unsupported("is for a CA of SSH certificates, which bale does not check"),
				"list the signers' keys themselves")
		}
		if name != optNamespaces && name != optValidAfter && name != optValidBefore {
			return options{}, fault.Unsupported("has %s, which is no option and no kind of key that bale knows", quote(name))
		}
		if value, err = unquote(value); err != nil || !hasValue {
			return options{}, fault.Usage(`has the option %s without a value in "quotes"`, name)
		}
		switch name {
		case optNamespaces:
			if o.namespaces = value; value == "" {
				return options{}, fault.Usage("has an empty list of namespaces")
			}
		case optValidAfter:
			o.after, err = parseTime(value)
		case optValidBefore:
			o.before, err = parseTime(value)
		}
		if err != nil {
			return options{}, fault.WithHint(fault.Usage("has a time for %s that cannot be read", name),
				"write it as YYYYMMDD or YYYYMMDDHHMM[SS], with a Z at the end for UTC")
		}
	}
	if !o.after.IsZero() && !o.before.IsZero() && !o.before.After(o.after) {
		return options{}, fault.Usage("is valid before it is valid after")
	}
	return o, nil
}

// splitOptions splits at the commas that are not in quotes.
func splitOptions(text string) ([]string, error) {
	var list []string
	for rest := text; ; {
		i := indexUnquoted(rest, ",")
		if i == 0 || rest == "" {
			return nil, fault.Usage("has an empty option")
		}
		if i < 0 {
			return append(list, rest), nil
		}
		list = append(list, rest[:i])
		rest = rest[i+1:]
	}
}

// indexUnquoted returns where the first of some characters stands that is not in
// quotes; -1 if none does.
func indexUnquoted(s, chars string) int {
	in := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '"':
			i++
		case s[i] == '"':
			in = !in
		case !in && strings.IndexByte(chars, s[i]) >= 0:
			return i
		}
	}
	return -1
}

// unquote takes the quotes off a value, and the backslash before those in it.
func unquote(s string) (string, error) {
	if len(s) < 2 || s[0] != '"' {
		return "", errors.New("not in quotes")
	}
	inner, ok := strings.CutSuffix(s[1:], `"`)
	plain := strings.ReplaceAll(inner, `\"`, "")
	if !ok || strings.HasSuffix(inner, `\`) || strings.Contains(plain, `"`) {
		return "", errors.New("not in quotes")
	}
	return strings.ReplaceAll(inner, `\"`, `"`), nil
}

// The times of ssh-keygen, by their length.
var timeLayouts = map[int]string{8: "20060102", 12: "200601021504", 14: "20060102150405"}

// parseTime reads a time in the zone of this machine, or UTC where it says so.
func parseTime(s string) (time.Time, error) {
	zone := time.Local
	upper := strings.ToUpper(s)
	for _, suffix := range []string{"Z", "UTC"} {
		if strings.HasSuffix(upper, suffix) {
			s, zone = s[:len(s)-len(suffix)], time.UTC
			break
		}
	}
	layout, ok := timeLayouts[len(s)]
	if !ok {
		return time.Time{}, errors.New("no such form of time")
	}
	t, err := time.ParseInLocation(layout, s, zone)
	if err == nil && t.Unix() <= 0 {
		err = errors.New("before 1970") // OpenSSH does not take it
	}
	return t, err
}

// matchList tells whether a list of patterns takes a name (ssh_config, PATTERNS):
// one must match, and none after "!".
func matchList(name, list string) bool {
	found := false
	for pattern := range strings.SplitSeq(list, ",") {
		negated, not := strings.CutPrefix(pattern, "!")
		if not && match(name, negated) {
			return false
		}
		found = found || !not && match(name, pattern)
	}
	return found
}

// match tells whether a pattern with * and ? takes a name. A * may have to give
// back what it took, but only the last one: the time is bounded by the product of
// the lengths.
func match(name, pattern string) bool {
	star, mark := -1, 0
	n, p := 0, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			n++
			p++
		case star >= 0:
			mark++
			n, p = mark, star+1
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
