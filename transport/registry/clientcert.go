package registry

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"bale/bundle/fault"
)

// handshakes remembers which registries have asked for a client's certificate.
// One that does not get it often just hangs up, and its answer is lost.
type handshakes struct {
	mu sync.Mutex
	m  map[string]*handshake
}

// handshake is what is known of one registry.
type handshake struct {
	asked bool // it has asked for a certificate
	shown bool // and was shown one
	spoke bool // it has answered a request
}

func (h *handshakes) of(host string) *handshake {
	if h.m == nil || len(h.m) >= maxLanes {
		h.m = map[string]*handshake{}
	}
	if h.m[host] == nil {
		h.m[host] = &handshake{}
	}
	return h.m[host]
}

// watch lets a configuration choose the certificate as it would by itself, and
// remember that it was asked for.
func (h *handshakes) watch(conf *tls.Config) *tls.Config {
	conf = conf.Clone()
	conf.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		chosen := &tls.Certificate{} // none
		for i := range conf.Certificates {
			if r.SupportsCertificate(&conf.Certificates[i]) == nil {
				chosen = &conf.Certificates[i]
				break
			}
		}
		if host, ok := r.Context().Value(registryKey{}).(string); ok {
			h.mu.Lock()
			defer h.mu.Unlock()
			s := h.of(host)
			s.asked, s.shown = true, len(chosen.Certificate) > 0
		}
		return chosen, nil
	}
	return conf
}

// answered notes that a registry talks to us as we are.
func (h *handshakes) answered(req *http.Request) {
	if req.URL.Scheme != "https" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.of(registryOf(req)).spoke = true
}

// explain returns err, or what is known to be the reason of it.
func (h *handshakes) explain(req *http.Request, err error) error {
	host := registryOf(req)
	h.mu.Lock()
	s := *h.of(host)
	h.mu.Unlock()
	var (
		slow   net.Error
		verify *tls.CertificateVerificationError // of the registry's own
	)
	if !s.asked || s.spoke || req.URL.Scheme != "https" || req.Context().Err() != nil ||
		isDial(err) || errors.As(err, &verify) || errors.As(err, &slow) && slow.Timeout() {
		return err
	}
	if s.shown {
		return fault.WithHint(fmt.Errorf("%s does not accept the client certificate: %w", host, err),
			"check that it is valid, and of a CA that the registry trusts; certs.d/%s comes before others", domainOf(host))
	}
	return fault.WithHint(fmt.Errorf("%s asks for a client certificate: %w", host, err),
		"put it with its key into a certs.d folder, such as ~/.config/containers/certs.d/%s/client.cert and client.key", domainOf(host))
}
