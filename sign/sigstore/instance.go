package sigstore

import (
	"time"

	trustpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"

	"bale/bundle/fault"
)

// maxServices bounds the servers of a kind that a signing config names, and how
// many of them sign one thing.
const maxServices = 32

const configHint = "a signing config is the file signing_config.json of a Sigstore instance, or one made by cosign signing-config create"

// Instance is a Sigstore instance: the servers that sign, and what their
// answers are checked with.
type Instance struct {
	fulcio string
	issuer string // "" if the config names none
	logs   []root.Service
	stamps []string // addresses of timestamp authorities
	trust  *root.TrustedRoot
}

// ParseInstance reads an instance from its signing config (version 0.2) and its
// trusted root, both in JSON, and chooses the servers that are in use now.
func ParseInstance(signingConfig, trustedRoot []byte) (*Instance, error) {
	i, err := parseConfig(signingConfig, time.Now())
	if err != nil {
		return nil, err
	}
	if i.trust, err = root.NewTrustedRootFromJSON(trustedRoot); err != nil {
		return nil, fault.WithHint(fault.Usage("trusted root cannot be read: %s", clean(err.Error(), "")),
			"a trusted root is the file trusted_root.json of a Sigstore instance; bale trusted-root fetches that of the public one")
	}
	return i, nil
}

// Issuer is the OIDC issuer of the instance; "" if it names none.
func (i *Instance) Issuer() string { return i.issuer }

func parseConfig(data []byte, now time.Time) (*Instance, error) {
	pb, err := root.NewSigningConfigProtobuf(data)
	if err != nil {
		return nil, fault.WithHint(fault.Usage("signing config cannot be read: %s", clean(err.Error(), "")), configHint)
	}
	sc, err := root.NewSigningConfigFromProtobuf(pb)
	if err != nil {
		return nil, fault.WithHint(fault.Unsupported("signing config: %s", clean(err.Error(), "")), "this version of bale reads 0.2 only")
	}
	if n := max(len(pb.GetCaUrls()), len(pb.GetOidcUrls()), len(pb.GetRekorTlogUrls()), len(pb.GetTsaUrls())); n > maxServices {
		return nil, fault.Usage("signing config names %d servers of a kind, more than %d", n, maxServices)
	}
	i := new(Instance)
	ca, err := root.SelectService(sc.FulcioCertificateAuthorityURLs(), sign.FulcioAPIVersions, now)
	if err != nil {
		return nil, fault.WithHint(fault.Usage("signing config names no Fulcio that bale can use now"), configHint)
	}
	i.fulcio = ca.URL
	if err := checkURL("Fulcio", i.fulcio, true); err != nil {
		return nil, err
	}
	if issuer, err := root.SelectService(sc.OIDCProviderURLs(), []uint32{1}, now); err == nil {
		i.issuer = issuer.URL
	}
	if i.logs, err = choose("Rekor", pb.GetRekorTlogUrls(), pb.GetRekorTlogConfig(), sign.RekorAPIVersions, now); err != nil {
		return nil, err
	}
	stamps, err := choose("timestamp authority", pb.GetTsaUrls(), pb.GetTsaConfig(), sign.TimestampAuthorityAPIVersions, now)
	if err != nil {
		return nil, err
	}
	timed := len(stamps) > 0
	for _, s := range stamps {
		i.stamps = append(i.stamps, s.URL)
	}
	for _, l := range i.logs {
		timed = timed || l.MajorAPIVersion == 1
	}
	if !timed {
		return nil, fault.WithHint(fault.Usage("signing config names nobody who proves when something was signed"),
			"certificates of Fulcio live for minutes: add a timestamp authority to it")
	}
	return i, nil
}

// choose returns the servers of a kind that are to be asked; none if the config
// names none.
func choose(what string, list []*trustpb.Service, how *trustpb.ServiceConfiguration, versions []uint32, now time.Time) ([]root.Service, error) {
	if len(list) == 0 {
		return nil, nil
	}
	var services []root.Service
	for _, s := range list {
		services = append(services, root.NewService(s))
	}
	chosen, err := root.SelectServices(services, root.ServiceConfiguration{Selector: how.GetSelector(), Count: how.GetCount()}, versions, now)
	if err != nil {
		return nil, fault.WithHint(fault.Usage("signing config names no %s that bale can use now: %s", what, clean(err.Error(), "")), configHint)
	}
	for _, s := range chosen {
		if err := checkURL(what, s.URL, false); err != nil {
			return nil, err
		}
	}
	return chosen, nil
}
