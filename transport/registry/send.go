package registry

import (
	"net/http"

	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// address returns where something below the repository is.
func (s *session) address(path string) string {
	return s.repo.Scheme() + "://" + s.repo.RegistryStr() + "/v2/" + s.repo.RepositoryStr() + "/" + path
}

// send sends a request that [session.do] cannot make, and expects one of the
// status codes. The answer's body is the caller's to close.
func (s *session) send(req *http.Request, codes ...int) (*http.Response, error) {
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	if err := regtransport.CheckError(resp, codes...); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}
