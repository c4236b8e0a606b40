package sigstore

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	tilespb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	rekorclient "github.com/sigstore/rekor/pkg/client"
	"github.com/sigstore/rekor/pkg/generated/client/entries"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"

	"bale/bundle/fault"
)

// tilesPath is where Rekor 2 takes entries.
const tilesPath = "/api/v2/log/entries"

const rekorHint = "the log did not take the signature, which so is not one that can be verified; try again"

// errLogged means that a log has such an entry already, and does not say where.
var errLogged = errors.New("the log has this entry already")

// addEntry has a log record the signature and the certificate in pb.
func addEntry(ctx context.Context, pb *bundlepb.Bundle, log root.Service) error {
	c := &client{ctx: ctx, server: "Rekor at " + show(log.URL), accept: []int{http.StatusConflict}}
	o := &sign.RekorOptions{BaseURL: log.URL, Version: log.MajorAPIVersion, Timeout: attempts * (attemptTimeout + maxDelay)}
	if log.MajorAPIVersion == 1 {
		r, err := rekorclient.GetRekorClient(log.URL, rekorclient.WithRetryCount(0))
		if err != nil {
			return c.said(err, rekorHint)
		}
		o.Client = &entriesV1{r.Entries, c.http()}
	} else {
		o.ClientV2 = &entriesV2{log.URL, c.http()}
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pb.GetVerificationMaterial().GetCertificate().GetRawBytes()})
	err := guard(func() error { return sign.NewRekor(o).GetTransparencyLogEntry(ctx, block, pb) })
	if errors.Is(err, errLogged) {
		return fault.WithHint(fmt.Errorf("%s: %w", c.server, errLogged), "try again: it is another signature then")
	}
	return c.said(err, rekorHint)
}

// entriesV1 is the client of Rekor 1, over another client for HTTP.
type entriesV1 struct {
	entries.ClientService
	http *http.Client
}

// CreateLogEntry implements [sign.RekorClient].
func (e *entriesV1) CreateLogEntry(p *entries.CreateLogEntryParams, opts ...entries.ClientOption) (*entries.CreateLogEntryCreated, error) {
	return e.ClientService.CreateLogEntry(p.WithHTTPClient(e.http), opts...)
}

// GetLogEntryByUUID implements [sign.RekorClient].
func (e *entriesV1) GetLogEntryByUUID(p *entries.GetLogEntryByUUIDParams, opts ...entries.ClientOption) (*entries.GetLogEntryByUUIDOK, error) {
	return e.ClientService.GetLogEntryByUUID(p.WithHTTPClient(e.http), opts...)
}

// entriesV2 is a client of Rekor 2. That of rekor-tiles takes no transport, and
// so can be neither bounded nor asked what went wrong.
type entriesV2 struct {
	address string
	http    *http.Client
}

// Add implements [sign.RekorV2Client].
func (e *entriesV2) Add(ctx context.Context, entry any) (*rekorpb.TransparencyLogEntry, error) {
	r, ok := entry.(*tilespb.HashedRekordRequestV002)
	if !ok {
		return nil, fmt.Errorf("an entry of the unknown type %T", entry)
	}
	body, err := protojson.Marshal(&tilespb.CreateEntryRequest{
		Spec: &tilespb.CreateEntryRequest_HashedRekordRequestV002{HashedRekordRequestV002: r},
	})
	if err != nil {
		return nil, err
	}
	to, err := url.JoinPath(e.address, tilesPath)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := e.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusConflict {
		return nil, errLogged
	}
	answer, err := io.ReadAll(resp.Body) // in memory, see [client.try]
	if err != nil {
		return nil, err
	}
	out := new(rekorpb.TransparencyLogEntry)
	if err := protojson.Unmarshal(answer, out); err != nil {
		return nil, fmt.Errorf("its answer is no log entry: %w", err)
	}
	return out, nil
}
