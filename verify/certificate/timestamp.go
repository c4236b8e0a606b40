package certificate

import (
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"

	"bale/verify"
)

// checkTimestamps returns the timestamps over the signature by authorities of the
// root. Others are passed over: they prove nothing here. It fails if one is by an
// authority of the root that was not in use then.
func (r *Root) checkTimestamps(c *claim, s *signed) ([]verify.Time, error) {
	var times []verify.Time
	var outside error
	for _, stamp := range c.stamps {
		t, err := r.timestamp(stamp.GetSignedTimestamp(), s.signature)
		switch {
		case err != nil:
			outside = err
		case t != nil:
			times = append(times, verify.Time{At: t.Time, Source: "timestamp authority " + verify.Clip(t.URI), Proven: true})
		}
	}
	return times, outside
}

// timestamp returns what a timestamp says; nil if no authority of the root made
// it for this signature.
func (r *Root) timestamp(stamp, signature []byte) (*root.Timestamp, error) {
	var outside error
	for _, authority := range r.timestamps {
		if t, err := authority.Verify(stamp, signature); err == nil {
			return t, nil
		}
		a, ok := authority.(*root.SigstoreTimestampingAuthority)
		if !ok {
			continue
		}
		copied, w := *a, window{a.ValidityPeriodStart, a.ValidityPeriodEnd}
		copied.ValidityPeriodStart, copied.ValidityPeriodEnd = time.Time{}, time.Time{}
		if t, err := copied.Verify(stamp, signature); err == nil {
			outside = w.holds("timestamp authority "+verify.Clip(t.URI), t.Time)
		}
	}
	return nil, outside
}
