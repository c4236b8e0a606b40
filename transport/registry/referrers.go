package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"

	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
)

const (
	// maxReferrers bounds how many manifests may refer to one.
	maxReferrers = 1 << 12
	// maxTagPages is in how many pieces the tags of a repository are listed to
	// see what is attached; where there are more, it is asked for tag by tag.
	maxTagPages = 16
)

var _ transport.Referring = (*source)(nil)

// Referrers implements [transport.Referring]: by the referrers API or, where
// there is none, by the tag that takes its place; and by cosign's tags. Mirrors
// are asked only where the registry itself cannot be reached, since they may not
// have all of it.
func (s *source) Referrers(ctx context.Context, in transport.Image, d v1.Descriptor) ([]transport.Image, error) {
	repo := transport.Name{Domain: in.Name.Domain, Path: in.Name.Path}
	t := task{doing: fmt.Sprintf("look for what is attached to %s in %s", d.Digest, repo), host: repo.Domain}
	if err := blob.Check(d.Digest, d.Size); err != nil {
		return nil, t.explain(ctx, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err // what is remembered would be given all the same
	}
	w, err := s.c.session(ctx, repo, regtransport.PullScope, &t)
	if err == nil {
		return s.referrersAt(ctx, w, t, repo, d)
	}
	if ctx.Err() != nil || !unreachable(err) {
		return nil, err
	}
	mirrors, merr := s.c.places.mirrors(repo)
	if merr != nil {
		return nil, merr
	}
	for _, m := range mirrors {
		if s.c.places.isDown(m.name) {
			continue
		}
		var out []transport.Image
		merr := s.c.readFrom(ctx, m, t, func(w *session, t task) (err error) {
			out, err = s.referrersAt(ctx, w, t, repo, d)
			return err
		})
		if merr == nil {
			s.c.places.once("%s cannot be reached: what is attached to its images is asked of mirror %s, which may not have all of it", repo.Repository(), m.name.Repository())
			return out, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return nil, err
}

// unreachable reports whether an error is one of getting to a registry at all.
func unreachable(err error) bool {
	var dns *net.DNSError
	var slow net.Error
	return errors.As(err, &dns) || errors.As(err, &slow) && slow.Timeout() ||
		errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}

// referrersAt asks one place.
func (s *source) referrersAt(ctx context.Context, w *session, t task, repo transport.Name, d v1.Descriptor) ([]transport.Image, error) {
	tags, err := s.attached(ctx, w)
	if err != nil {
		return nil, t.explain(ctx, err)
	}
	list, err := s.referrers(ctx, w, tags, repo, d.Digest)
	if err != nil {
		return nil, withoutReferrers(t.explain(ctx, err), err)
	}
	var out []transport.Image
	for _, r := range list {
		n := repo
		n.Digest = r.Digest
		out = append(out, transport.Image{Name: n, Root: r})
	}
	if err := s.read(ctx, out); err != nil {
		return nil, err
	}
	for _, kind := range transport.AttachedTags {
		n := repo
		n.Tag = transport.AttachedTag(d.Digest, kind)
		root, ok, err := s.tagged(ctx, w, tags, n)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, transport.Image{Name: n, Root: root})
		}
	}
	return out, nil
}

// withoutReferrers adds to an explained error what helps at a registry that does
// not give the list away, or that says so of what it does not know, as Harbor did
// before 2.8.
func withoutReferrers(explained, err error) error {
	var answer *regtransport.Error
	if !errors.As(err, &answer) || answer.StatusCode != http.StatusUnauthorized && answer.StatusCode != http.StatusForbidden {
		return explained
	}
	return fmt.Errorf("%w; --no-referrers leaves out what is attached", explained)
}

// referrers lists what names d as its subject, in the order of digests.
func (s *source) referrers(ctx context.Context, w *session, tags *tagList, in transport.Name, d digest.Digest) ([]v1.Descriptor, error) {
	var list []v1.Descriptor
	is := s.aware.get(w.repo)
	if is != knowsNot {
		var err error
		if list, is, err = w.referrers(ctx, d); err != nil {
			return nil, err
		}
		s.aware.set(w.repo, is)
	}
	if is != knows {
		in.Tag = listTag(d)
		root, ok, err := s.tagged(ctx, w, tags, in)
		if err != nil || !ok {
			return nil, err
		}
		content, err := s.Manifest(ctx, transport.Image{Name: in, Root: root}, root)
		if err != nil {
			return nil, err
		}
		if !transport.IsIndex(root.MediaType) {
			return nil, fault.Damaged("%s is no list of referrers but %s", in, root.MediaType)
		}
		if list, err = readReferrers(content, nil); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b v1.Descriptor) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	for i := range list[:max(len(list)-1, 0)] {
		if a, b := list[i], list[i+1]; a.Digest == b.Digest && (a.Size != b.Size || a.MediaType != b.MediaType) {
			return nil, fault.Damaged("referrer %s is listed twice, and differently", a.Digest)
		}
	}
	return slices.CompactFunc(list, func(a, b v1.Descriptor) bool { return a.Digest == b.Digest }), nil
}

// read makes sure that what is listed is there, which it will be asked for next.
func (s *source) read(ctx context.Context, images []transport.Image) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(looking)
	for _, img := range images {
		if !transport.IsIndex(img.Root.MediaType) && !transport.IsManifest(img.Root.MediaType) {
			continue // the engine says what it is
		}
		g.Go(func() error {
			content, err := s.Manifest(gctx, img, img.Root)
			if err == nil {
				s.roots.put(img.Root.Digest, content)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	return nil
}

// referrers asks the referrers API (distribution spec, "Listing Referrers").
func (s *session) referrers(ctx context.Context, d digest.Digest) ([]v1.Descriptor, aware, error) {
	var list []v1.Descriptor
	path := "referrers/" + d.String()
	query := ""
	for page := range maxPages {
		resp, is, err := s.askReferrers(ctx, path+query)
		switch {
		case err != nil:
			return nil, unknown, err
		case is != knows && page == 0:
			return nil, is, nil
		case is != knows:
			return nil, unknown, fault.Damaged("the list of referrers of %s breaks off", d)
		}
		content, err := io.ReadAll(resp.Body) // bounded by wire
		_ = resp.Body.Close()
		if err != nil {
			return nil, unknown, err
		}
		if list, err = readReferrers(content, list); err != nil {
			return nil, unknown, err
		}
		next := nextPage(resp.Header.Get("Link"))
		if next == "" {
			return list, knows, nil
		}
		query = "?" + next
	}
	return nil, unknown, fault.Unsupported("%s has a list of referrers in more than %d pieces", d, maxPages)
}

// aware says whether a registry has the referrers API.
type aware int

const (
	unknown aware = iota // not for this manifest, at least
	knows
	knowsNot
)

// askReferrers asks for one page of a list of referrers.
func (s *session) askReferrers(ctx context.Context, path string) (*http.Response, aware, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.address(path), nil)
	if err != nil {
		return nil, unknown, err
	}
	req.Header.Set("Accept", v1.MediaTypeImageIndex)
	// What is no list of the registry's own is none: GitHub's registry sends its
	// clients to pages for people, which limit requests.
	own := *s.http
	own.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if req.URL.Host != via[0].URL.Host {
			return http.ErrUseLastResponse
		}
		return s.http.CheckRedirect(req, via)
	}
	resp, err := own.Do(req)
	if err != nil {
		return nil, unknown, err
	}
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	is := unknown
	switch resp.StatusCode {
	case http.StatusOK:
		if mediaType == v1.MediaTypeImageIndex {
			return resp, knows, nil
		}
		is = knowsNot // a web page, with which some servers answer anything
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect,
		http.StatusMethodNotAllowed, http.StatusNotImplemented:
		is = knowsNot
	case http.StatusNotFound, http.StatusBadRequest, http.StatusNotAcceptable:
		// Some say so of a manifest that they do not have.
		var answer *regtransport.Error
		if errors.As(regtransport.CheckError(resp), &answer) && resp.StatusCode == http.StatusNotFound && len(answer.Errors) == 0 {
			is = knowsNot
		}
	default:
		// That it does not give it away, or fails, is something else: signatures
		// must not get lost by that.
		err = regtransport.CheckError(resp)
	}
	_ = resp.Body.Close()
	return nil, is, err
}

// readReferrers adds what an index lists to list.
func readReferrers(content []byte, list []v1.Descriptor) ([]v1.Descriptor, error) {
	m, err := transport.ParseManifest(v1.MediaTypeImageIndex, content)
	if err != nil {
		return nil, fault.Damaged("list of referrers: %w", err)
	}
	for _, r := range m.Manifests {
		switch {
		case len(list) == maxReferrers:
			return nil, fault.Unsupported("more than %d referrers", maxReferrers)
		case r.Size > transport.MaxManifest:
			return nil, fault.Damaged("referrer %s of %d bytes is over the limit of %d", r.Digest, r.Size, transport.MaxManifest)
		}
		list = append(list, v1.Descriptor{MediaType: r.MediaType, Digest: r.Digest, Size: r.Size})
	}
	return list, nil
}

// tagged returns what a tag stands for that things are attached by, if it is
// there.
func (s *source) tagged(ctx context.Context, w *session, tags *tagList, n transport.Name) (v1.Descriptor, bool, error) {
	if tags.whole && !tags.has[n.Tag] {
		return v1.Descriptor{}, false, nil
	}
	t := task{doing: "resolve " + n.String(), host: n.Domain, part: true}
	if tags.whole {
		t.object = "image " + n.String() // it is listed
	}
	root, content, err := w.resolve(ctx, n)
	if err != nil {
		if !tags.whole {
			err = ignoreMissing(err)
		}
		return v1.Descriptor{}, false, t.explain(ctx, err)
	}
	s.roots.put(root.Digest, content)
	return root, true, nil
}

// tagList is which of a repository's tags things are attached by.
type tagList struct {
	turn  chan struct{} // taken by who asks for it
	asked bool
	whole bool // all are known
	has   map[string]bool
}

// attached lists those tags, once for each repository: one request in place of
// four for each manifest. A registry that does not list them is asked for each.
func (s *source) attached(ctx context.Context, w *session) (*tagList, error) {
	l := s.attachments.of(w.repo, func() *tagList { return &tagList{turn: make(chan struct{}, 1)} })
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if l.asked {
		return l, nil
	}
	tags, whole, err := w.listTags(ctx, maxTagPages)
	if err != nil && !unlistable(err) {
		return nil, err
	}
	l.asked, l.whole, l.has = true, whole, map[string]bool{}
	for _, tag := range tags {
		if strings.Contains(tag, "-") && tagForm.MatchString(tag) {
			l.has[tag] = true
		}
	}
	return l, nil
}
