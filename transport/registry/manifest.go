package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
	"bale/transport"
)

// resolve reads the manifest that a tag or digest stands for, and finds out
// its descriptor from its bytes.
func (s *session) resolve(ctx context.Context, n transport.Name) (v1.Descriptor, []byte, error) {
	ref := n.Tag
	if n.Digest != "" {
		if err := blob.Check(n.Digest, 0); err != nil {
			return v1.Descriptor{}, nil, err
		}
		ref = n.Digest.String()
	}
	resp, err := s.do(ctx, http.MethodGet, "manifests/"+ref, acceptable(oldArtifact), http.StatusOK)
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body) // bounded by wire
	if err != nil {
		return v1.Descriptor{}, nil, fmt.Errorf("read manifest: %w", err)
	}
	said, err := saidDigest(resp.Header.Get(digestHeader))
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	got, err := nameOf(content, n.Digest, said)
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	mediaType, err := mediaTypeOf(resp.Header.Get("Content-Type"), content)
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	return v1.Descriptor{MediaType: mediaType, Digest: got, Size: int64(len(content))}, content, nil
}

// nameOf returns the digest of content. It must be the one asked for and the
// one the registry said, where there are such; their algorithm is kept, for
// the registry may know the manifest under no other.
func nameOf(content []byte, asked, said digest.Digest) (digest.Digest, error) {
	if said != "" {
		if got := said.Algorithm().FromBytes(content); got != said {
			return "", fault.Damaged("the manifest has digest %s, not %s as the registry says", got, said)
		}
	}
	if asked != "" {
		if got := asked.Algorithm().FromBytes(content); got != asked {
			return "", fault.Damaged("the manifest has digest %s, not %s as asked for", got, asked)
		}
		return asked, nil
	}
	if said != "" && blob.Check(said, 0) == nil {
		return said, nil
	}
	return digest.FromBytes(content), nil
}

// manifest reads the manifest d and verifies it.
func (s *session) manifest(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	if err := blob.Check(d.Digest, d.Size); err != nil {
		return nil, err
	}
	resp, err := s.do(ctx, http.MethodGet, "manifests/"+d.Digest.String(), acceptable(d.MediaType), http.StatusOK)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return blob.ReadAll(resp.Body, d.Digest, d.Size, transport.MaxManifest)
}
