package registry

import (
	"errors"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// maxWords is how many bytes of a registry's own words are repeated.
const maxWords = 400

// answerError is a registry's answer in its own words, cut to a length and
// cleared of what a terminal might obey.
type answerError struct{ err *regtransport.Error }

func (e *answerError) Error() string {
	var said []string
	for _, d := range e.err.Errors {
		said = append(said, string(d.Code)+": "+d.Message)
		if detail, ok := d.Detail.(string); ok {
			said = append(said, detail)
		}
	}
	if len(said) == 0 {
		// Status and body. The request's URL may be long, and tells nothing new.
		raw := *e.err
		raw.Request = nil
		said = append(said, raw.Error())
	}
	return printable(strings.Join(said, "; "))
}

func (e *answerError) Unwrap() error { return e.err }

// quietError is an error from elsewhere of which only the first line is
// shown: the library prints a token server's whole answer after it.
type quietError struct {
	doing string
	err   error
}

func quiet(doing string, err error) error { return &quietError{doing, err} }

func (e *quietError) Error() string {
	line, _, _ := strings.Cut(e.err.Error(), "\n")
	return e.doing + ": " + printable(strings.TrimSuffix(line, ":"))
}

func (e *quietError) Unwrap() error { return e.err }

// printable returns s on one line of at most maxWords bytes.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= maxWords {
		return s
	}
	s = s[:maxWords]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "…"
}

// unwrapURL returns what went wrong without the address that it went wrong
// with.
func unwrapURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
