package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"
	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"bale/bundle/fault"
	"bale/transport"
)

const (
	// maxListed and maxPages bound how many tags of a repository are listed, and
	// in how many pieces.
	maxListed = 1 << 14
	maxPages  = 256
	// tagPage is how many tags are asked for at a time; a registry may send less.
	tagPage = 1000
)

// tagForm is what a tag looks like. A list may have anything.
var tagForm = regexp.MustCompile(`^` + reference.TagRegexp.String() + `$`)

var _ transport.Tagging = (*source)(nil)

// Tags implements [transport.Tagging].
func (s *source) Tags(ctx context.Context, n transport.Name) ([]transport.Name, error) {
	t := task{doing: "list the tags of " + n.Repository(), object: "repository " + n.Repository(), host: n.Domain}
	w, err := s.c.session(ctx, n, regtransport.PullScope, &t)
	if err != nil {
		return nil, err
	}
	tags, whole, err := w.listTags(ctx, maxPages)
	switch {
	case err != nil:
		return nil, t.explain(ctx, err)
	case !whole:
		return nil, fault.WithHint(fault.Unsupported("%s has more than %d tags", n.Repository(), maxListed), "name the images one by one")
	}
	slices.Sort(tags)
	var out []transport.Name
	for _, tag := range slices.Compact(tags) {
		if !tagForm.MatchString(tag) {
			return nil, fault.Damaged("list the tags of %s: %.200q is no tag", n.Repository(), tag)
		}
		one := transport.Name{Domain: n.Domain, Path: n.Path, Tag: tag}
		out = append(out, one)
	}
	if len(out) == 0 {
		return nil, fault.Missing("%s has no tags", n.Repository())
	}
	return out, nil
}

// listTags lists the tags of a repository, in so many pieces at most. whole is
// false if there are more. An error is not explained yet; what was listed before it counts.
func (s *session) listTags(ctx context.Context, pages int) (tags []string, whole bool, err error) {
	query := fmt.Sprintf("n=%d", tagPage)
	for range pages {
		var page []string
		page, query, err = s.tagPage(ctx, query)
		tags = append(tags, page...)
		switch {
		case err != nil:
			return tags, false, err
		case len(tags) > maxListed:
			return tags[:maxListed], false, nil
		case query == "":
			return tags, true, nil
		}
	}
	return tags, false, nil
}

// tags is Tags for those who only look around: there are none if the repository
// is not there, or may not be listed.
func (s *source) tags(ctx context.Context, n transport.Name) ([]string, error) {
	t := task{doing: "list the tags of " + n.String(), host: n.Domain}
	w, err := s.c.session(ctx, n, regtransport.PullScope, &t)
	if err != nil {
		return nil, err
	}
	tags, _, err := w.listTags(ctx, maxPages)
	if err != nil && !unlistable(err) {
		return nil, t.explain(ctx, err)
	}
	return tags, nil
}

// tagPage asks for one page of the list of tags. next is the query for the one
// after it, "" if this is the last.
func (s *session) tagPage(ctx context.Context, query string) (tags []string, next string, err error) {
	resp, err := s.do(ctx, http.MethodGet, "tags/list?"+query, nil, http.StatusOK)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	var list struct {
		Tags []string `json:"tags"`
	}
	content, err := io.ReadAll(resp.Body) // bounded by wire
	if err != nil {
		return nil, "", err
	}
	if err := json.Unmarshal(content, &list); err != nil {
		return nil, "", fault.Damaged("not a list of tags: %w", err)
	}
	return list.Tags, nextPage(resp.Header.Get("Link")), nil
}

// nextPage returns the query in a Link header (RFC 8288) as registries send it:
// <address>; rel="next". Nothing else of the address counts, so it leads nowhere
// but to the same list.
func nextPage(link string) string {
	link, ok := strings.CutPrefix(strings.TrimSpace(link), "<")
	if !ok {
		return ""
	}
	address, _, _ := strings.Cut(link, ">")
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.RawQuery
}

// unlistable reports whether the registry says that it has no such list, or
// does not give it away.
func unlistable(err error) bool {
	var e *regtransport.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.StatusCode {
	case http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	}
	return isMissing(e)
}
