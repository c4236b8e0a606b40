package sigstore

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tuf"
	"github.com/theupdateframework/go-tuf/v2/metadata/fetcher"

	"bale/bundle/fault"
)

// The names of the files in a TUF repository.
const (
	configTarget = "signing_config.v0.2.json"
	rootTarget   = "trusted_root.json"
)

// Repository is a TUF repository of a Sigstore instance. The zero value is that
// of the public one.
type Repository struct {
	URL  string
	Root []byte // the root.json that one trusts to begin with
}

// TrustedRoot fetches the trusted root, which is signed by the keepers of the
// instance.
func (r Repository) TrustedRoot(ctx context.Context) ([]byte, error) {
	t, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	data, err := t.get(rootTarget)
	if err != nil {
		return nil, err
	}
	if _, err := root.NewTrustedRootFromJSON(data); err != nil {
		return nil, t.c.said(fmt.Errorf("%s: %w", rootTarget, err), "a newer bale may read it")
	}
	return data, nil
}

// Instance fetches signing config and trusted root.
func (r Repository) Instance(ctx context.Context) (*Instance, error) {
	t, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	config, err := t.get(configTarget)
	if err != nil {
		return nil, err
	}
	trusted, err := t.get(rootTarget)
	if err != nil {
		return nil, err
	}
	return ParseInstance(config, trusted)
}

const fetchHint = "fetch it where there is a network: bale trusted-root, and cosign signing-config; then give --signing-config and --trusted-root"

type repository struct {
	c   *client
	tuf *tuf.Client
}

// open gets the repository's metadata and checks it. Nothing is kept on disk: a
// cache would have to be kept safe.
func (r Repository) open(ctx context.Context) (*repository, error) {
	o := tuf.DefaultOptions().WithDisableLocalCache().WithContext(ctx)
	if (r.URL == "") != (r.Root == nil) {
		return nil, fault.WithHint(fault.Usage("a TUF repository needs both its address and its root.json"), "give --tuf-url and --tuf-root")
	}
	if r.URL != "" {
		if err := checkURL("TUF repository", r.URL, false); err != nil {
			return nil, err
		}
		o = o.WithRepositoryBaseURL(r.URL).WithRoot(r.Root)
	}
	// It ends the search for newer metadata with one of these.
	c := &client{
		ctx: ctx, server: "TUF repository at " + show(o.RepositoryBaseURL),
		accept: []int{http.StatusForbidden, http.StatusNotFound},
	}
	t := &repository{c: c}
	get := fetcher.NewDefaultFetcher()
	get.SetHTTPClient(c.http())
	o = o.WithFetcher(get)
	var err error
	if t.tuf, err = tuf.New(o); err != nil {
		return nil, c.said(err, fetchHint)
	}
	return t, nil
}

func (t *repository) get(name string) ([]byte, error) {
	data, err := t.tuf.GetTarget(name)
	if err != nil {
		return nil, t.c.said(err, fetchHint)
	}
	return data, nil
}
