package verify

import (
	"time"

	"bale/bundle"
	"bale/bundle/fault"
)

// MaxAhead is how far ahead of this machine's clock the sender's may be.
const MaxAhead = 24 * time.Hour

// CheckExpiry compares the times of a verified bundle with the clock. It fails
// with [fault.ErrUntrusted]
//
//   - from the moment on that the bundle expires
//   - if it expires some day, and was made more than [MaxAhead] from now: a clock
//     that is so wrong does not tell when it expires
//
// A bundle that never expires is not refused for having been made in the future;
// [FromFuture] tells.
func CheckExpiry(h bundle.Header, now time.Time) error {
	if h.Expires == nil {
		return nil
	}
	clock := now.UTC().Truncate(time.Second).Format(time.RFC3339)
	if !now.Before(*h.Expires) {
		return fault.WithHint(fault.Untrusted("the bundle expired at %s, and this machine's clock says %s", h.Expires.Format(time.RFC3339), clock),
			"ask the sender for a new one; whoever takes it all the same says so with --insecure-ignore-expiry")
	}
	if FromFuture(h, now) {
		return fault.WithHint(fault.Untrusted("the bundle was made at %s and expires at %s, but this machine's clock says %s, so it cannot tell when that is",
			h.Created.Format(time.RFC3339), h.Expires.Format(time.RFC3339), clock),
			"set the clock; whoever takes it all the same says so with --insecure-ignore-expiry")
	}
	return nil
}

// FromFuture reports whether a bundle says that it was made more than
// [MaxAhead] from now: its sender's clock or this one is wrong.
func FromFuture(h bundle.Header, now time.Time) bool { return h.Created.After(now.Add(MaxAhead)) }
