package sigstore

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"time"

	"github.com/digitorus/timestamp"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"

	"bale/sign"
)

const (
	// nonceBits is the size of the number that tells an answer from an old one.
	nonceBits = 64
	// maxSkew is how far a timestamp may be from this machine's clock. One that
	// is further off would be of no use, or the clock is wrong.
	maxSkew = 24 * time.Hour

	timestampHint = "check --timestamp-server, or the timestamp authority in the signing config: it must speak RFC 3161 over HTTP"
)

// stamp has a timestamp authority say when a signature existed. It returns its
// answer in DER, with the authority's certificates.
func stamp(ctx context.Context, address string, signature []byte) ([]byte, error) {
	c := &client{ctx: ctx, server: "timestamp authority at " + show(address)}
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), nonceBits))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(signature)
	query, err := (&timestamp.Request{
		HashAlgorithm: crypto.SHA256, HashedMessage: sum[:], Nonce: nonce, Certificates: true,
	}).Marshal()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/timestamp-query")
	resp, err := c.http().Do(req)
	if err != nil {
		return nil, c.said(err, timestampHint)
	}
	answer, err := io.ReadAll(resp.Body) // in memory, see [client.try]
	if err != nil {
		return nil, c.said(err, timestampHint)
	}
	t, err := parseTimestamp(answer)
	if err != nil {
		return nil, c.said(err, timestampHint)
	}
	if err := checkTimestamp(t, sum, nonce); err != nil {
		return nil, c.said(err, "do not use this timestamp authority: what it says is not what it was asked")
	}
	return answer, nil
}

// parseTimestamp is the library's parser without its panics.
func parseTimestamp(der []byte) (t *timestamp.Timestamp, err error) {
	if len(der) > sign.MaxTimestamp {
		return nil, fmt.Errorf("a timestamp of %d bytes is more than the %d that are taken", len(der), sign.MaxTimestamp)
	}
	err = guard(func() error {
		t, err = timestamp.ParseResponse(der)
		return err
	})
	return t, err
}

// checkTimestamp compares a timestamp with what was asked for. Whether its
// signer is known is another question.
func checkTimestamp(t *timestamp.Timestamp, sum [sha256.Size]byte, nonce *big.Int) error {
	switch {
	case t.HashAlgorithm != crypto.SHA256 || !bytes.Equal(t.HashedMessage, sum[:]):
		return errors.New("the timestamp is for something else")
	case t.Nonce == nil || t.Nonce.Cmp(nonce) != 0:
		return errors.New("the timestamp is an old one: it has another nonce")
	}
	if off := time.Until(t.Time); off.Abs() > maxSkew {
		return fmt.Errorf("the timestamp says %s, and this machine's clock says %s", t.Time.UTC().Format(time.RFC3339), time.Now().UTC().Format(time.RFC3339))
	}
	return nil
}

// addTimestamps has each of some authorities stamp the signature in pb.
func addTimestamps(ctx context.Context, pb *bundlepb.Bundle, addresses []string) error {
	data := &bundlepb.TimestampVerificationData{}
	for _, a := range addresses {
		der, err := stamp(ctx, a, pb.GetMessageSignature().GetSignature())
		if err != nil {
			return err
		}
		data.Rfc3161Timestamps = append(data.Rfc3161Timestamps, &commonpb.RFC3161SignedTimestamp{SignedTimestamp: der})
	}
	if len(addresses) > 0 {
		pb.VerificationMaterial.TimestampVerificationData = data
	}
	return nil
}
