package registry

import (
	"bytes"
	"context"
	"errors"
	"net/http"

	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/transport"
)

// put stores a manifest under a tag or digest, if the conditions hold (RFC 9110,
// "Conditional Requests"), and returns the answer's header.
func (s *session) put(ctx context.Context, ref, mediaType string, content []byte, conditions http.Header) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, s.address("manifests/"+ref), bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	if conditions != nil {
		req.Header = conditions.Clone()
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := s.send(req, http.StatusCreated, http.StatusOK, http.StatusAccepted)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close()
	return resp.Header, checkStored(resp, content)
}

// standsFor returns the digest that a tag stands for, "" if there is no such tag.
func (s *session) standsFor(ctx context.Context, n transport.Name) (digest.Digest, error) {
	resp, err := s.do(ctx, http.MethodHead, "manifests/"+n.Tag, acceptable(oldArtifact), http.StatusOK, http.StatusNotFound)
	if err != nil {
		return "", err
	}
	_ = resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return "", nil
	}
	if said, err := saidDigest(resp.Header.Get(digestHeader)); err != nil || said != "" {
		return said, err
	}
	d, _, err := s.resolve(ctx, transport.Name{Domain: n.Domain, Path: n.Path, Tag: n.Tag})
	return d.Digest, ignoreMissing(err)
}

// untag takes a tag away from what it stands for.
func (s *session) untag(ctx context.Context, tag string) error {
	resp, err := s.do(ctx, http.MethodDelete, "manifests/"+tag, nil, http.StatusAccepted, http.StatusOK, http.StatusNoContent)
	if err != nil {
		return ignoreMissing(err)
	}
	return resp.Body.Close()
}

// ignoreMissing returns nil for an answer that there is no such thing.
func ignoreMissing(err error) error {
	var answer *regtransport.Error
	if errors.As(err, &answer) && isMissing(answer) {
		return nil
	}
	return err
}

// refused reports whether a registry has said no, so that nothing has changed.
func refused(err error) bool {
	var answer *regtransport.Error
	return errors.As(err, &answer) && answer.StatusCode < http.StatusInternalServerError
}

// kept is a manifest in memory.
type kept struct {
	v1.Descriptor
	content []byte
}
