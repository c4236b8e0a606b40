package registry

import (
	"context"
	"errors"
	"net/http"
	"slices"

	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/transport"
)

// TakesSparse implements [transport.Sparse]. No registry says beforehand what it
// demands of an index, so it is put there, by its digest. One that takes it
// needs none of the children, or has them from before. One that does not may
// name what it misses: if that is nothing but what will be written, it will do.
//
// Nothing is left behind: an index that is refused is not stored, and one that
// is taken is the one that is written later.
func (s *sink) TakesSparse(ctx context.Context, img transport.Image, content []byte, kept []v1.Descriptor) (bool, error) {
	if err := check(img.Root, content); err != nil {
		return false, err
	}
	w, t, err := s.writing(ctx, img.Name, "ask whether "+img.Name.Repository()+" takes an index in part")
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	takes := s.sparse[w.repo.Registry]
	s.mu.Unlock()
	if takes {
		return true, ctx.Err()
	}
	_, err = w.put(ctx, img.Root.Digest.String(), img.Root.MediaType, content, nil)
	switch {
	case err == nil:
		// It may have had all of this one from before, which says nothing of others.
		if err := s.learnSparse(ctx, w, img, content); err != nil {
			return false, t.explain(ctx, err)
		}
		return true, nil
	case !isIncomplete(err):
		return false, t.explain(ctx, err)
	}
	missing, all := missed(err)
	return all && !slices.ContainsFunc(missing, func(d digest.Digest) bool {
		return !slices.ContainsFunc(kept, func(k v1.Descriptor) bool { return k.Digest == d })
	}), nil
}

// learnSparse remembers that a registry takes indexes in part if it has taken
// one of which something is not there.
func (s *sink) learnSparse(ctx context.Context, w *session, img transport.Image, content []byte) error {
	m, err := transport.ParseManifest(img.Root.MediaType, content)
	if err != nil {
		return err
	}
	for _, c := range m.Manifests {
		if !transport.IsIndex(c.MediaType) && !transport.IsManifest(c.MediaType) || c.Platform != nil {
			// Some demand only certain platforms; what holds for one says nothing
			// of the others.
			continue
		}
		resp, err := w.do(ctx, http.MethodHead, "manifests/"+c.Digest.String(), acceptable(c.MediaType), http.StatusOK, http.StatusNotFound)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusNotFound {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.sparse[w.repo.Registry] = true
			return nil
		}
	}
	return nil
}

// isIncomplete reports whether a registry has refused a manifest because of what
// it refers to, as far as registries tell. That they know no such repository, or
// have other reasons, is something else.
func isIncomplete(err error) bool {
	var answer *regtransport.Error
	if !errors.As(err, &answer) || hasCode(answer, regtransport.NameUnknownErrorCode, regtransport.NameInvalidErrorCode,
		regtransport.DeniedErrorCode, regtransport.UnauthorizedErrorCode, regtransport.TooManyRequestsErrorCode) {
		return false
	}
	switch answer.StatusCode {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// missed returns what a registry says that it misses; all is false if it did not
// say so of everything.
func missed(err error) (missing []digest.Digest, all bool) {
	var answer *regtransport.Error
	if !errors.As(err, &answer) {
		return nil, false
	}
	for _, e := range answer.Errors {
		detail := e.Detail
		if m, ok := detail.(map[string]any); ok {
			detail = m["digest"] // as the spec has it in its example
		}
		d, ok := detail.(string)
		switch e.Code {
		case regtransport.ManifestBlobUnknownErrorCode, regtransport.ManifestUnknownErrorCode, regtransport.BlobUnknownErrorCode:
		default:
			ok = false
		}
		if !ok || blob.Check(digest.Digest(d), 0) != nil {
			return nil, false
		}
		missing = append(missing, digest.Digest(d))
	}
	return missing, len(missing) > 0
}
