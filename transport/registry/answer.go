package registry

import (
	"fmt"
	"net/http"

	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"bale/bundle/fault"
)

// explainAnswer words an answer other than the one hoped for.
func (t task) explainAnswer(e *regtransport.Error) error {
	switch {
	case t.greeting && e.StatusCode == http.StatusNotFound:
		return fault.WithHint(fmt.Errorf("%s: %s is not a registry: /v2/ is not found", t.doing, t.host),
			"check host and port; a registry does not live below a path of a web server")
	case isMissing(e) && t.object != "":
		return t.explainMissing(e)
	case e.StatusCode == http.StatusUnauthorized, e.StatusCode == http.StatusForbidden:
		return t.explainDenied(e)
	}
	err := fmt.Errorf("%s: registry %s: %w", t.doing, t.host, &answerError{e})
	switch e.StatusCode {
	case http.StatusMethodNotAllowed:
		if t.push {
			return fault.WithHint(fmt.Errorf("%s: registry %s takes no writes: %w", t.doing, t.host, &answerError{e}),
				"the registry is in read-only mode, or a proxy in front of it forbids pushing")
		}
	case http.StatusRequestEntityTooLarge:
		return fault.WithHint(err, "raise the limit on the size of requests in the registry or the proxy in front of it")
	case http.StatusInsufficientStorage:
		return fault.WithHint(err, "make room in the registry's storage")
	case http.StatusTooManyRequests:
		return fault.WithHint(err, "wait before trying again; %s often raises the limit", t.login())
	}
	if e.StatusCode >= http.StatusInternalServerError {
		return fault.WithHint(err, "try again later; the registry's own log says more")
	}
	return err
}

// isMissing reports whether the registry says that it has no such thing,
// by status or by a code of the distribution spec.
func isMissing(e *regtransport.Error) bool {
	for _, d := range e.Errors {
		switch d.Code {
		case regtransport.ManifestUnknownErrorCode, regtransport.NameUnknownErrorCode,
			regtransport.BlobUnknownErrorCode:
			return true
		case regtransport.BlobUploadUnknownErrorCode, regtransport.ManifestBlobUnknownErrorCode:
			return false
		}
	}
	return e.StatusCode == http.StatusNotFound
}

func (t task) explainMissing(e *regtransport.Error) error {
	if t.push {
		return fault.WithHint(fault.Missing("%s: no such %s: %w", t.doing, t.object, &answerError{e}),
			"some registries want a repository to be created before anything is pushed to it")
	}
	hint := "check the spelling of the name"
	switch {
	case t.part:
		hint = "the registry does not have the whole image; push it there again"
	case t.anonymous:
		hint += "; if it is private, run " + t.login()
	}
	return fault.WithHint(fault.Missing("no such %s", t.object), "%s", hint)
}

func (t task) explainDenied(e *regtransport.Error) error {
	var why, hint string
	switch {
	case t.anonymous && e.StatusCode == http.StatusUnauthorized:
		why, hint = "asks for credentials", "run "+t.login()
	case t.anonymous:
		why, hint = "denies access without credentials", "run "+t.login()
	case e.StatusCode == http.StatusUnauthorized && t.push:
		why, hint = "does not accept the credentials", "run "+t.login()+" again, with an account that may push there"
	case e.StatusCode == http.StatusUnauthorized:
		why, hint = "does not accept the credentials", "run "+t.login()+" again"
	case t.push:
		why, hint = "denies access",
			"the account needs the right to push there, and room within its quota; "+t.login()+" changes the account"
	default:
		why, hint = "denies access", "run "+t.login()+" with an account that may read it"
	}
	if !t.push {
		// Many registries do not tell strangers what exists.
		hint += ", and check the spelling: a repository that does not exist may look the same"
	}
	return fault.WithHint(fmt.Errorf("%s: registry %s %s: %w", t.doing, t.host, why, &answerError{e}), "%s", hint)
}

// login returns the command that stores credentials for the host.
func (t task) login() string {
	if t.host == "docker.io" {
		return "docker login"
	}
	return "docker login " + t.host
}
