package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// maxForeignURLs is how many addresses of a foreign layer are tried.
const maxForeignURLs = 16

// Foreign opens a layer at the addresses in its descriptor, one after the other,
// after the place of the image has refused it. They come from whoever made the
// image: no credentials are sent there, and the content is not checked yet.
func (c *Client) Foreign(ctx context.Context, in transport.Image, d v1.Descriptor, refused error) (io.ReadCloser, error) {
	client := &http.Client{Transport: c.retrying, CheckRedirect: checkRedirect}
	failures := []error{refused}
	for _, address := range d.URLs[:min(len(d.URLs), maxForeignURLs)] {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		u, err := foreignURL(address, in.Name)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		t := task{
			doing:  fmt.Sprintf("read foreign layer %s of %s from %s", d.Digest, in.Name, u.Host),
			object: fmt.Sprintf("foreign layer %s at %s", d.Digest, u.Host), part: true, host: u.Host, elsewhere: true,
		}
		rc, err := openStream(ctx, d, t, c.opts.backoff(), fetch(client, u))
		if err == nil {
			return rc, nil
		}
		failures = append(failures, err)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, errors.Join(failures...)
}

// foreignURL reads one address of a layer.
func foreignURL(address string, n transport.Name) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fault.Unsupported("foreign layer: %q is no web address", printable(address))
	case u.User != nil:
		return nil, fault.Unsupported("foreign layer: the address at %s holds credentials", u.Host)
	case isLoopback(u.Hostname()) && !isLoopback(hostOf(n.Domain)):
		return nil, fault.Unsupported("foreign layer: %s is a loopback address", u.Host)
	}
	return u, nil
}

// fetch returns how to ask a web server for a file.
func fetch(client *http.Client, u *url.URL) asker {
	return func(ctx context.Context, from int64) (*http.Response, error) {
		req, err := http.NewRequestWithContext(withStream(ctx), http.MethodGet, u.String(), nil)
		if err != nil {
			return nil, err
		}
		req.Header = rangeFrom(from)
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		if err := regtransport.CheckError(resp, rangeCodes(from)...); err != nil {
			_ = resp.Body.Close()
			return nil, err
		}
		return resp, nil
	}
}
