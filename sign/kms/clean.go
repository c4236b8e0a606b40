package kms

import (
	"os"
	"regexp"
	"strings"
	"unicode"

	"bale/sign"
)

// maxText is how much of what a service says is shown.
const maxText = 500

// minSecret is the shortest value of the environment that is searched for. A
// shorter one would black out ordinary words, and is no secret anyway.
const minSecret = 6

const hidden = "***"

var (
	// Vault puts its address into errors as it is, user and password included;
	// signed requests have their signature in the query.
	userinfo = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s"']*@`)
	query    = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://[^\s"'?]*)\?[^\s"']*`)
	bearer   = regexp.MustCompile(`(?i)\b(bearer|basic|x-vault-token|authorization)([ :=]+(bearer|basic))?[ :=]+[^\s"',;]+`)
	// eyJ is how JSON in base64 begins: a token of OIDC. The others are those
	// of Vault and OpenBao.
	token = regexp.MustCompile(`\b(eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+|(hvs|hvb|hvr|bat|s|b|r)\.[A-Za-z0-9_-]{20,})`)
)

// clean makes text from a service or its library fit to be shown: one line,
// not long, and without what would let its reader in.
func clean(text string) string {
	for _, v := range os.Environ() {
		name, value, _ := strings.Cut(v, "=")
		if len(value) >= minSecret && sign.IsSecretName(name) {
			text = strings.ReplaceAll(text, value, hidden)
		}
	}
	text = userinfo.ReplaceAllString(text, "${1}"+hidden+"@")
	text = query.ReplaceAllString(text, "${1}?"+hidden)
	text = bearer.ReplaceAllString(text, "${1} "+hidden)
	text = token.ReplaceAllString(text, hidden)
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "..."
	}
	return text
}
