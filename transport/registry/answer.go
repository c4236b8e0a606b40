package registry

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"bale/bundle/fault"
)

// notFoundCode is one of Harbor's own. What registries answer beyond the
// distribution spec, by their documentation, code and issues:
//   - Harbor: a project must exist before anything is pushed below it. Asked
//     about one that does not exist it answers 401 although the account is right
//     (some versions 404 with NOT_FOUND), and 401 again when the account may not
//     do what it wants. Quota and read-only mode are a 403 with DENIED, an
//     immutable tag or a policy of the project a 412.
//   - Amazon ECR: a repository must exist (404, NAME_UNKNOWN); an immutable tag
//     is a 400 with TAG_INVALID; too many images are a 403.
//   - Quay and distribution: 405 while nothing may be pushed.
//   - Docker Hub: 401 or 403 for namespaces of others, for more than two
//     components of a name, and when the private repositories are used up.
//   - Artifactory: 404 if the first component is not the key of a repository.
const notFoundCode = regtransport.ErrorCode("NOT_FOUND")

// explainAnswer words an answer other than the one hoped for.
func (t task) explainAnswer(e *regtransport.Error) error {
	switch {
	case t.elsewhere && (e.StatusCode == http.StatusNotFound || e.StatusCode == http.StatusGone):
		return fault.Missing("no such %s", t.object)
	case t.elsewhere && e.StatusCode < http.StatusInternalServerError:
		return fmt.Errorf("%s: %w", t.doing, &answerError{e})
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
	case http.StatusRequestTimeout:
		return fault.WithHint(err, "try again when the network is better")
	case http.StatusPreconditionFailed:
		if t.push {
			return fault.WithHint(err, "a rule of the registry%s forbids it, such as tags that cannot be changed: "+
				"use another tag, or have the rule changed", inProject(e))
		}
		return fault.WithHint(err, "a rule of the registry%s forbids it, such as one against images that are "+
			"vulnerable, not scanned or not signed", inProject(e))
	case http.StatusRequestEntityTooLarge:
		return fault.WithHint(err, "raise the limit on the size of requests in the registry or the proxy in front of it, or the quota")
	case http.StatusInsufficientStorage:
		return fault.WithHint(err, "make room in the registry's storage")
	case http.StatusTooManyRequests:
		return t.explainLimit(e, err)
	case http.StatusBadRequest:
		if t.push && hasCode(e, regtransport.TagInvalidErrorCode) {
			return fault.WithHint(err, "if the tag is there already, the repository may keep its tags from being changed")
		}
	}
	if e.StatusCode >= http.StatusInternalServerError {
		return fault.WithHint(err, "try again later; the registry's own log says more")
	}
	return err
}

// explainLimit words a limit of requests that has not passed by waiting.
func (t task) explainLimit(e *regtransport.Error, err error) error {
	done := triedOf(e, e.Request)
	if done.limit != nil {
		if known := done.limit.String(); known != "" {
			err = fmt.Errorf("%w%s", err, known)
		}
	}
	wait := "wait before trying again"
	if done.asked > maxRetryAfter {
		wait = "the registry asks to wait for " + roundUp(done.asked).String()
	}
	return fault.WithHint(err, "%s; %s often raises the limit", wait, t.login())
}

// isMissing reports whether the registry says that it has no such thing,
// by status or by a code of the distribution spec.
func isMissing(e *regtransport.Error) bool {
	for _, d := range e.Errors {
		switch d.Code {
		case regtransport.ManifestUnknownErrorCode, regtransport.NameUnknownErrorCode,
			regtransport.BlobUnknownErrorCode, notFoundCode:
			return true
		case regtransport.BlobUploadUnknownErrorCode, regtransport.ManifestBlobUnknownErrorCode:
			return false
		}
	}
	return e.StatusCode == http.StatusNotFound
}

func (t task) explainMissing(e *regtransport.Error) error {
	if t.push {
		return fault.WithHint(fault.Missing("%s: no such %s: %w", t.doing, t.object, &answerError{e}), "%s", t.createHint(e))
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

// createHint says what has to be there before something can be pushed.
func (t task) createHint(e *regtransport.Error) string {
	repo := repositoryOf(e.Request)
	if isECR(t.host) && repo != "" {
		return "create the repository first: aws ecr create-repository --repository-name " + repo
	}
	hint := "some registries want a repository to be created before anything is pushed to it"
	if p := projectOf(e.Request); p != "" {
		hint += ", Harbor the project " + p
	}
	return hint
}

func (t task) explainDenied(e *regtransport.Error) error {
	// A token is given only to an account whose password is right: what does
	// not please the registry then is what the account wants to do.
	known := !t.greeting && hasToken(e.Request)
	wrong := e.StatusCode == http.StatusUnauthorized && !known
	var why, hint string
	switch {
	case t.anonymous && e.StatusCode == http.StatusUnauthorized:
		why, hint = "asks for credentials", "run "+t.login()
	case t.anonymous:
		why, hint = "denies access without credentials", "run "+t.login()
	case wrong && t.push:
		why, hint = "does not accept the credentials", "run "+t.login()+" again, with an account that may push there"
	case wrong:
		why, hint = "does not accept the credentials", "run "+t.login()+" again"
	case t.push:
		why, hint = "denies access", t.pushHint(e)
	default:
		why, hint = "denies access", "run "+t.login()+" with an account that may read it"
	}
	if wrong && !t.anonymous && t.host != dockerHub {
		hint += "; in a shell the $ in a robot account's name needs single quotes"
	}
	if !t.push {
		// Many registries do not tell strangers what exists.
		hint += ", and check the spelling: a repository that does not exist may look the same"
	} else if p := projectOf(e.Request); p != "" && t.host != dockerHub {
		hint += "; the project " + p + " must exist there"
	}
	return fault.WithHint(fmt.Errorf("%s: registry %s %s: %w", t.doing, t.host, why, &answerError{e}), "%s", hint)
}

// pushHint says what an account needs that is known and may not push.
func (t task) pushHint(e *regtransport.Error) string {
	if t.host != dockerHub {
		return "the account needs the right to push there, and room within its quota, and the registry must not be read-only; " +
			t.login() + " changes the account"
	}
	hint := "the account needs the right to push there"
	if p := projectOf(e.Request); p != "" {
		hint += ": " + p + " must be its own name or an organization of it, and the repository created if that may not create it"
	}
	return hint + "; " + t.login() + " changes the account"
}

// dockerHub is what users call Docker Hub's registry.
const dockerHub = "docker.io"

// login returns the command that stores credentials for the host.
func (t task) login() string {
	if t.host == dockerHub {
		return "docker login"
	}
	return "docker login " + t.host
}

// isECR reports whether a host is a private registry of Amazon ECR
// (ACCOUNT.dkr.ecr.REGION.amazonaws.com).
func isECR(host string) bool {
	host, ok := strings.CutSuffix(strings.TrimSuffix(host, ".cn"), ".amazonaws.com")
	return ok && strings.Contains(host, ".dkr.ecr.")
}

// hasToken reports whether a request went out with a token.
func hasToken(req *http.Request) bool {
	return req != nil && strings.HasPrefix(req.Header.Get("Authorization"), "Bearer ")
}

// repositoryOf returns the repository that a request is about, "" if it is about
// none. It is in the path, or in the scope of a token.
func repositoryOf(req *http.Request) string {
	if req == nil || req.URL == nil {
		return ""
	}
	return repositoryIn(req.URL)
}

func repositoryIn(u *url.URL) string {
	if rest, ok := strings.CutPrefix(u.Path, "/v2/"); ok {
		end := -1
		for _, part := range []string{"/manifests/", "/blobs/", "/tags/", "/referrers/"} {
			end = max(end, strings.LastIndex(rest, part))
		}
		return printable(rest[:max(end, 0)])
	}
	// repository:NAME:ACTIONS (distribution, "Token Scope Documentation").
	scope := strings.Split(u.Query().Get("scope"), ":")
	if len(scope) == 3 && scope[0] == "repository" {
		return printable(scope[1])
	}
	return ""
}

// projectOf returns the first component of the repository that a request is
// about if there are more: Harbor's project, Docker Hub's account, and what other
// registries call a namespace or group.
func projectOf(req *http.Request) string {
	p, _, ok := strings.Cut(repositoryOf(req), "/")
	if !ok {
		return ""
	}
	return p
}

// inProject names the project that has rules.
func inProject(e *regtransport.Error) string {
	if p := projectOf(e.Request); p != "" {
		return " or of the project " + p
	}
	return ""
}
