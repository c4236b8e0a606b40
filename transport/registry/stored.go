package registry

import (
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
)

// digestHeader is where a registry names the digest of what it sends or has
// stored (distribution spec, "Pulling manifests" and "Pushing manifests").
const digestHeader = "Docker-Content-Digest"

// checkStored compares the digest that a registry reports for a manifest it has
// taken with that of the bytes it was sent.
func checkStored(resp *http.Response, content []byte) error {
	said, err := saidDigest(resp.Header.Get(digestHeader))
	if err != nil || said == "" {
		return err
	}
	if sent := said.Algorithm().FromBytes(content); sent != said {
		return fault.WithHint(fault.Damaged("the registry stored manifest %s as %s", sent, said),
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
