package registry

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
)

// digestHeader is where a registry names the digest of what it sends or has
// stored (distribution spec, "Pulling manifests" and "Pushing manifests").
const digestHeader = "Docker-Content-Digest"

// stored compares the digest that a registry reports for a manifest it has
// taken with that of the bytes it was sent.
type stored struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (s *stored) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.next.RoundTrip(req)
	if err != nil || req.Method != http.MethodPut || resp.StatusCode/100 != 2 ||
		req.GetBody == nil || !strings.Contains(req.URL.Path, "/manifests/") {
		return resp, err
	}
	if err := s.check(req, resp.Header.Get(digestHeader)); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

func (s *stored) check(req *http.Request, header string) error {
	said, err := saidDigest(header)
	if err != nil || said == "" {
		return err
	}
	body, err := req.GetBody()
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	d := said.Algorithm().Digester()
	if _, err := io.Copy(d.Hash(), body); err != nil {
		return fmt.Errorf("read manifest again: %w", err)
	}
	if d.Digest() != said {
		return fault.WithHint(fault.Damaged("the registry stored manifest %s as %s", d.Digest(), said),
			"something between here and the registry rewrites manifests; push to the registry itself")
	}
	return nil
}

// saidDigest reads a Docker-Content-Digest header. It returns "" for none
// and for an algorithm that bale cannot compute.
func saidDigest(header string) (digest.Digest, error) {
	if header == "" {
		return "", nil
	}
	d := digest.Digest(header)
	if i := strings.IndexByte(header, ':'); i > 0 && !digest.Algorithm(header[:i]).Available() {
		return "", nil
	}
	if err := d.Validate(); err != nil {
		return "", fault.Damaged("%s %s: %w", digestHeader, printable(header), err)
	}
	return d, nil
}
