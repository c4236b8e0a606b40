package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	regtransport "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

const (
	// leastProgress is how much more a registry must have taken since the last
	// failure for that not to count: or each byte would buy another try.
	leastProgress = 1 << 20
	// tidyTime is how long undoing may take that nobody waits for willingly.
	tidyTime = 5 * time.Second
	// cancelTries is how often an upload is cancelled that is still moving.
	cancelTries = 3
	// leastHeader is where a registry says how small pieces may be.
	leastHeader = "OCI-Chunk-Min-Length"
)

// upload brings one blob into one repository (distribution spec, "Pushing
// blobs"). When a connection breaks it asks the registry how much has arrived,
// and goes on from there.
type upload struct {
	s     *session
	sink  *sink
	d     v1.Descriptor
	open  transport.Opener
	tries int // how often it is tried without progress

	at     *url.URL // where the next request goes; nil before there is an upload
	offset int64    // what the registry has
	sent   int64    // how much the last request with content had of it
	least  int64    // the registry's lower limit on pieces
	c      *content // open at offset, or nil

	failed  int   // tries without progress
	mark    int64 // offset at the last one that counted as progress
	anew    int   // how often it was begun
	resumed bool  // this upload went on after a failure
}

// run uploads the blob.
func (u *upload) run(ctx context.Context) error {
	defer u.drop()
	start := time.Now()
	for {
		step, err := u.send(ctx)
		if err == nil {
			return nil
		}
		err = u.mend(ctx, step, err)
		switch {
		case err == nil:
			continue
		case errors.Is(err, errThere):
			return nil
		}
		u.cancel(ctx)
		if u.failed > 1 {
			err = &triedError{err, tried{times: u.failed, took: time.Since(start)}}
		}
		return err
	}
}

// errThere says that the registry has the blob after all.
var errThere = errors.New("it is there")

// step is a request that may fail.
type step int

const (
	beginning step = iota
	sending
	finishing
)

// send does all that is left to do.
func (u *upload) send(ctx context.Context) (step, error) {
	if _, err := u.content(ctx); err != nil { // first, so that nothing is begun in vain
		return sending, err
	}
	if u.at == nil {
		if err := u.begin(ctx, nil); err != nil {
			return beginning, err
		}
	}
	m := u.manner()
	if m.whole {
		return sending, u.put(ctx)
	}
	for u.offset < u.d.Size {
		if err := u.patch(ctx, m); err != nil {
			return sending, err
		}
	}
	return finishing, u.finish(ctx)
}

func (u *upload) manner() manner { return u.sink.manners.of(u.s.repo.Registry) }

// begin starts an upload, or mounts the blob from another repository, which
// leaves nothing to do: then u.at stays nil.
func (u *upload) begin(ctx context.Context, from *name.Repository) error {
	path := "blobs/uploads/"
	codes := []int{http.StatusAccepted}
	if from != nil {
		path += "?" + url.Values{"mount": {u.d.Digest.String()}, "from": {from.RepositoryStr()}}.Encode()
		codes = append(codes, http.StatusCreated)
	} else {
		u.anew++
	}
	resp, err := u.s.do(ctx, http.MethodPost, path, nil, codes...)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusCreated {
		return u.stored(resp)
	}
	if resp.Header.Get("Location") == "" {
		return fault.Damaged("the registry does not say where to upload to")
	}
	u.least, _ = strconv.ParseInt(resp.Header.Get(leastHeader), 10, 64)
	u.least = max(u.least, 0)
	u.offset, u.mark, u.resumed = 0, 0, false
	return u.move(resp)
}

// patch sends the rest, or as much of it as goes into one request.
func (u *upload) patch(ctx context.Context, m manner) error {
	size := u.d.Size - u.offset
	if m.chunk > 0 {
		size = min(size, max(m.chunk, u.least))
	}
	header := http.Header{}
	if size < u.d.Size {
		// The first request that brings all does without, as Docker's.
		header.Set("Content-Range", fmt.Sprintf("%d-%d", u.offset, u.offset+size-1))
	}
	resp, err := u.transfer(ctx, http.MethodPatch, u.at, size, header,
		http.StatusAccepted, http.StatusNoContent, http.StatusCreated)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	u.offset += size
	return u.move(resp)
}

// put sends all of the blob in one request that also ends the upload.
func (u *upload) put(ctx context.Context) error {
	resp, err := u.transfer(ctx, http.MethodPut, u.named(), u.d.Size, http.Header{}, http.StatusCreated)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	return u.stored(resp)
}

// finish ends the upload: now the blob has its name.
func (u *upload) finish(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, u.named().String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := u.s.send(req, http.StatusCreated)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	return u.stored(resp)
}

// named is where the upload goes on, with the blob's digest.
func (u *upload) named() *url.URL {
	to := *u.at
	q := to.Query()
	q.Set("digest", u.d.Digest.String())
	to.RawQuery = q.Encode()
	return &to
}

// stored compares the digest that the registry says with the blob's.
func (u *upload) stored(resp *http.Response) error {
	said, err := saidDigest(resp.Header.Get(digestHeader))
	if err != nil {
		return err
	}
	if said != "" && said.Algorithm() == u.d.Digest.Algorithm() && said != u.d.Digest {
		return fault.WithHint(fault.Damaged("the registry stored it as %s", said),
			"something between here and the registry changes what is sent; push to the registry itself")
	}
	return nil
}

// transfer sends a request with the next size bytes of the content.
func (u *upload) transfer(ctx context.Context, method string, to *url.URL, size int64, header http.Header, codes ...int) (*http.Response, error) {
	c, err := u.content(ctx)
	if err != nil {
		return nil, err
	}
	u.sent = size
	body := &part{c: c, left: size}
	req, err := http.NewRequestWithContext(ctx, method, to.String(), body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	if size == 0 {
		req.Body = http.NoBody
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := u.s.send(req, codes...)
	_ = body.Close()
	if read := c.failure(); read != nil {
		err = read // whatever the registry says to half a blob
	} else if err == nil && !body.whole() {
		err = fmt.Errorf("the registry answered %s before it had everything", resp.Status)
	}
	if err != nil {
		if resp != nil {
			_ = resp.Body.Close()
		}
		u.drop()
		return nil, err
	}
	return resp, nil
}

// content returns the blob's content from offset on.
func (u *upload) content(ctx context.Context) (*content, error) {
	if u.c != nil && u.c.position() == u.offset {
		return u.c, nil
	}
	u.drop()
	c, err := openContent(ctx, u.d, u.open, u.offset)
	u.c = c
	return c, err
}

// drop closes the content.
func (u *upload) drop() {
	if u.c != nil {
		u.c.close()
		u.c = nil
	}
}

// move takes over where the upload goes on.
func (u *upload) move(resp *http.Response) error {
	to, err := next(resp)
	if err != nil {
		return err
	}
	if to != nil {
		u.at = to
	}
	return nil
}

// next returns the address that an answer sends its client to, or nil. A
// registry behind something that ends TLS often does not know that it is spoken
// to by https; and like a redirect, it may not send anybody into their own
// machine.
func next(resp *http.Response) (*url.URL, error) {
	location := resp.Header.Get("Location")
	if location == "" {
		return nil, nil
	}
	from := resp.Request.URL
	to, err := from.Parse(location)
	if err != nil {
		return nil, fault.Damaged("the registry sends to an address that is none: %s", printable(location))
	}
	if to.Host == from.Host && from.Scheme == "https" {
		to.Scheme = from.Scheme
	}
	if err := checkRedirect(&http.Request{URL: to}, []*http.Request{resp.Request}); err != nil {
		return nil, fault.Damaged("the registry sends to %s: %w", printable(to.Host), err)
	}
	return to, nil
}

// mend finds out how to go on after a failure. It returns the error to end with,
// [errThere] if there is nothing left to do, or nil: then send is called again.
func (u *upload) mend(ctx context.Context, at step, err error) error {
	var content *contentError
	if ctx.Err() != nil || errors.As(err, &content) || errors.Is(err, fault.ErrDamaged) {
		return err
	}
	if at == beginning {
		return err // it has been tried often enough beneath
	}
	var answer *regtransport.Error
	refused := errors.As(err, &answer)
	m := u.manner()
	switch {
	case refused && answer.StatusCode == http.StatusRequestEntityTooLarge && at == sending:
		if u.sent <= u.least {
			return err // it wants both larger and smaller ones
		}
		if m.chunk == 0 || u.sent <= m.chunk { // else another upload has learnt it meanwhile
			smaller, ok := m.smaller(u.sent)
			if !ok {
				return err
			}
			u.sink.manners.learn(u.s.repo.Registry, smaller)
		}
		return u.resume(ctx)
	case refused && at == sending && !m.whole && u.offset == 0 && knowsNoPatch(answer):
		u.sink.manners.learn(u.s.repo.Registry, manner{whole: true})
		u.restart()
		return nil
	case at == finishing && (!refused || lostUpload(answer) || mayPass(answer)):
		// The answer to an earlier try may have been lost, or the registry was
		// slow to put the blob into its place.
		if there, herr := u.there(ctx); herr == nil && there {
			return errThere
		}
	}
	passes := !refused && (!lasting(err) || isDial(err)) || refused && (mayPass(answer) || lostUpload(answer))
	if !passes && refused && at == finishing && u.resumed {
		passes = badContent(answer) // two requests may have written at the same time
	}
	if !passes {
		return err
	}
	if u.failed++; u.failed >= u.tries || u.anew > u.tries {
		return err
	}
	if !refused && u.failed > 1 && !m.whole && m.chunk == 0 && u.d.Size-u.offset > firstChunk {
		// Some say that a request is too large by hanging up.
		m.chunk = firstChunk
		u.sink.manners.learn(u.s.repo.Registry, m)
	}
	if !errors.Is(err, errBodyGone) {
		if err := sleep(ctx, delay(u.sink.c.opts.backoff(), u.failed)); err != nil {
			return err
		}
	}
	if m.whole || refused && badContent(answer) {
		u.restart()
		return nil
	}
	return u.resume(ctx)
}

// resume asks how much of the upload has arrived. A registry that cannot tell
// gets all of it anew.
func (u *upload) resume(ctx context.Context) error {
	resp, err := u.status(ctx)
	var answer *regtransport.Error
	switch {
	case err == nil:
		defer func() { _ = resp.Body.Close() }()
	case !errors.As(err, &answer):
		return err
	case answer.StatusCode == http.StatusUnauthorized, answer.StatusCode == http.StatusForbidden:
		return err
	default:
		u.restart()
		return nil
	}
	has, ok := taken(resp.Header.Get("Range"))
	if !ok || has > u.d.Size {
		u.restart()
		return nil
	}
	if err := u.move(resp); err != nil {
		return err
	}
	u.offset, u.resumed = has, true
	if u.offset-u.mark >= leastProgress {
		u.mark, u.failed = u.offset, 0
	}
	return nil
}

// restart lets the upload begin anew. What the registry has of it is left to its
// own clearing up.
func (u *upload) restart() { u.at, u.offset = nil, 0 }

// there reports whether the registry has the blob now.
func (u *upload) there(ctx context.Context) (bool, error) {
	resp, err := u.s.do(ctx, http.MethodHead, "blobs/"+u.d.Digest.String(), nil, http.StatusOK, http.StatusNotFound)
	if err != nil {
		return false, err
	}
	_ = resp.Body.Close()
	size, ok := sizeOf(resp.ContentLength, u.d.Size)
	return resp.StatusCode == http.StatusOK && ok && size == u.d.Size, nil
}

// cancel tells the registry to forget the upload, if it can still be told.
// Registries clear up by themselves as well, sooner or later.
func (u *upload) cancel(ctx context.Context) {
	u.drop()
	if u.at == nil {
		return
	}
	ctx, end := context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
	defer end()
	for range cancelTries {
		req, err := http.NewRequestWithContext(ctx, http.MethodDelete, u.at.String(), nil)
		if err != nil {
			return
		}
		resp, err := u.s.send(req, http.StatusNoContent, http.StatusOK, http.StatusAccepted)
		if err == nil {
			_ = resp.Body.Close()
			return
		}
		// What has arrived since makes it another upload to some.
		var answer *regtransport.Error
		if !errors.As(err, &answer) || answer.StatusCode != http.StatusRequestedRangeNotSatisfiable && !hasCode(answer, rangeInvalid) {
			return
		}
		if resp, err = u.status(ctx); err != nil {
			return
		}
		_ = resp.Body.Close()
		if u.move(resp) != nil {
			return
		}
	}
}

// status asks for the state of the upload.
func (u *upload) status(ctx context.Context) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.at.String(), nil)
	if err != nil {
		return nil, err
	}
	return u.s.send(req, http.StatusNoContent, http.StatusOK, http.StatusAccepted)
}

// taken reads the Range header of an upload: how many bytes have arrived. 0-0
// is said of one byte and of none, so it says nothing.
func taken(header string) (int64, bool) {
	first, last, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(header), "bytes="), "-")
	if !ok || first != "0" {
		return 0, false
	}
	n, err := strconv.ParseInt(last, 10, 64)
	if err != nil || n <= 0 || n >= transport.MaxBlob {
		return 0, false
	}
	return n + 1, true
}

// mayPass reports whether an answer is of the kind that may be another one later.
func mayPass(e *regtransport.Error) bool { return slices.Contains(passingCodes, e.StatusCode) }

// hasCode reports whether an answer has one of the spec's error codes.
func hasCode(e *regtransport.Error, codes ...regtransport.ErrorCode) bool {
	return slices.ContainsFunc(e.Errors, func(d regtransport.Diagnostic) bool { return slices.Contains(codes, d.Code) })
}

// knowsNoPatch reports whether an answer to a PATCH is that there is no such
// request.
func knowsNoPatch(e *regtransport.Error) bool {
	switch e.StatusCode {
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	case http.StatusNotFound:
		return len(e.Errors) == 0
	case http.StatusBadRequest:
		return hasCode(e, regtransport.UnsupportedErrorCode)
	}
	return false
}

// lostUpload reports whether a registry does not know the upload any more, or
// knows it otherwise than we do.
func lostUpload(e *regtransport.Error) bool {
	switch e.StatusCode {
	case http.StatusRequestedRangeNotSatisfiable, http.StatusConflict:
		return true
	case http.StatusNotFound:
		return !hasCode(e, regtransport.NameUnknownErrorCode)
	case http.StatusBadRequest:
		return hasCode(e, regtransport.BlobUploadInvalidErrorCode, regtransport.BlobUploadUnknownErrorCode, rangeInvalid)
	}
	return false
}

// rangeInvalid is distribution's own code for a piece at the wrong place.
const rangeInvalid regtransport.ErrorCode = "RANGE_INVALID"

// badContent reports whether a registry says that it got something else.
func badContent(e *regtransport.Error) bool {
	return hasCode(e, regtransport.DigestInvalidErrorCode, regtransport.SizeInvalidErrorCode)
}
