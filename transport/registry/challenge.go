package registry

import (
	"net/http"
	"strings"

	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const (
	maxChallenge = 8 << 10 // bytes of a registry's WWW-Authenticate header
	maxScopes    = 16      // scopes that a registry may ask for at once
)

// challengeOf returns the first challenge of an answer that bale can meet,
// nil if there is none.
func challengeOf(resp *http.Response) *regtransport.Challenge {
	for _, line := range resp.Header.Values("WWW-Authenticate") {
		for _, c := range parseChallenges(line) {
			switch strings.ToLower(c.Scheme) {
			case "basic", "bearer":
				c.Insecure = resp.Request.URL.Scheme == "http"
				return &c
			}
		}
	}
	return nil
}

// parseChallenges reads a WWW-Authenticate header (RFC 9110, 11.6.1). What
// stands behind the first thing that is malformed is left out.
func parseChallenges(s string) []regtransport.Challenge {
	if len(s) > maxChallenge {
		return nil
	}
	var list []regtransport.Challenge
	for {
		s = strings.TrimLeft(s, " \t,")
		word, rest := cutWord(s)
		if word == "" {
			return list
		}
		value, isParameter := strings.CutPrefix(strings.TrimLeft(rest, " \t"), "=")
		if !isParameter {
			list = append(list, regtransport.Challenge{Scheme: word, Parameters: map[string]string{}})
			s = rest
			continue
		}
		if len(list) == 0 {
			return nil
		}
		var ok bool
		if value, s, ok = cutValue(strings.TrimLeft(value, " \t")); !ok {
			return list
		}
		list[len(list)-1].Parameters[strings.ToLower(word)] = value
	}
}

// cutWord cuts a token off the front of s.
func cutWord(s string) (word, rest string) {
	n := strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
	if n < 0 {
		n = len(s)
	}
	return s[:n], s[n:]
}

// cutValue cuts a token or quoted string off the front of s.
func cutValue(s string) (value, rest string, ok bool) {
	s, quoted := strings.CutPrefix(s, `"`)
	if !quoted {
		// More than a token, for many do not quote addresses.
		n := strings.IndexAny(s, " \t,")
		if n < 0 {
			n = len(s)
		}
		return s[:n], s[n:], true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// moreScopes returns base, and in front of it what a challenge asks for beside
// it: some token servers look at the first scope only.
func moreScopes(base []string, asked string) []string {
	var more []string
	for _, s := range strings.Fields(asked) {
		if !coveredBy(s, base) && !coveredBy(s, more) && len(more) < maxScopes {
			more = append(more, s)
		}
	}
	return append(more, base...)
}

// coveredBy reports whether one of list allows all that scope s does. A scope
// is type:name:actions, the actions divided by commas.
func coveredBy(s string, list []string) bool {
	resource, actions := cutActions(s)
	for _, l := range list {
		r, have := cutActions(l)
		if r != resource {
			continue
		}
		all := true
		for a := range strings.SplitSeq(actions, ",") {
			all = all && strings.Contains(","+have+",", ","+a+",")
		}
		if all {
			return true
		}
	}
	return false
}

func cutActions(scope string) (resource, actions string) {
	n := strings.LastIndexByte(scope, ':')
	if n < 0 {
		return scope, ""
	}
	return scope[:n], scope[n+1:]
}
