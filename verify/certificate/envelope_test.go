package certificate_test

import (
	"errors"
	"strings"
	"testing"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	dssepb "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"

	"bale/bundle/fault"
	"bale/verify"
)

// What is attached to images is a DSSE envelope.
func TestEnvelope(t *testing.T) {
	i := newInstance()
	a := i.authority(t, nil, whoAlice)
	statement := []byte(`{"_type":"https://in-toto.io/Statement/v1"}`)
	for name, c := range map[string]struct {
		order  order
		change func(*bundlepb.Bundle)
		kind   error
		want   string
	}{
		"Rekor 1": {},
		"Rekor 2": {order: order{two: true}},
		"version 0.1, promised only": {change: func(pb *bundlepb.Bundle) {
			pb.MediaType = "application/vnd.dev.sigstore.bundle+json;version=0.1"
			entryOf(pb).InclusionProof = nil
		}},
		"version 0.2, promised only": {change: func(pb *bundlepb.Bundle) {
			pb.MediaType = "application/vnd.dev.sigstore.bundle+json;version=0.2"
			entryOf(pb).InclusionProof = nil
		}, kind: fault.ErrUntrusted, want: "no proof that it is in the log"},
		"version 0.1, nothing": {change: func(pb *bundlepb.Bundle) {
			pb.MediaType = "application/vnd.dev.sigstore.bundle+json;version=0.1"
			entryOf(pb).InclusionProof, entryOf(pb).InclusionPromise = nil, nil
		}, kind: fault.ErrUntrusted, want: "no proof that it is in the log"},
		"payload altered": {change: func(pb *bundlepb.Bundle) { pb.GetDsseEnvelope().Payload = []byte("{}") }, kind: fault.ErrUntrusted, want: "signature does not fit"},
		"type altered":    {change: func(pb *bundlepb.Bundle) { pb.GetDsseEnvelope().PayloadType = "x" }, kind: fault.ErrUntrusted, want: "signature does not fit"},
		"two signatures": {change: func(pb *bundlepb.Bundle) {
			e := pb.GetDsseEnvelope()
			e.Signatures = append(e.Signatures, e.Signatures[0])
		}, kind: fault.ErrDamaged, want: "no envelope with one signature"},
		"no signature":             {change: func(pb *bundlepb.Bundle) { pb.GetDsseEnvelope().Signatures = nil }, kind: fault.ErrDamaged, want: "no envelope with one signature"},
		"an empty signature":       {change: func(pb *bundlepb.Bundle) { pb.GetDsseEnvelope().Signatures[0] = &dssepb.Signature{} }, kind: fault.ErrUntrusted, want: "signature does not fit"},
		"logged: another's digest": {order: order{body: func(b *body) { b.digest = sha([]byte("x")) }, two: true}, kind: fault.ErrUntrusted, want: "does not verify"},
		"a message":                {change: func(pb *bundlepb.Bundle) { pb.Content = i.sign(order{}).Content }, kind: fault.ErrDamaged, want: "no envelope"},
	} {
		t.Run(name, func(t *testing.T) {
			c.order.envelope, c.order.message, c.order.change = true, statement, c.change
			list, err := a.CheckEnvelope(verify.EvidenceOf(i.sign(c.order)))
			if c.kind == nil {
				if err != nil || len(list) != 1 || list[0].Subject != alice {
					t.Fatalf("%v, %v", list, err)
				}
				if promised := strings.Contains(strings.Join(list[0].Evidence, "; "), "promised"); promised != strings.Contains(name, "promised") {
					t.Errorf("evidence %q", list[0].Evidence)
				}
				return
			}
			if list != nil || !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q as %v", err, c.want, c.kind)
			}
		})
	}
}
