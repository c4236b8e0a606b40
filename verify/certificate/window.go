package certificate

import (
	"time"

	"bale/bundle/fault"
)

// window is when somebody in a trusted root was in use; a zero time has no bound.
type window struct{ start, end time.Time }

func (w window) has(t time.Time) bool {
	return (w.start.IsZero() || !t.Before(w.start)) && (w.end.IsZero() || !t.After(w.end))
}

// holds fails with words if t is outside.
func (w window) holds(who string, t time.Time) error {
	switch {
	case w.has(t):
		return nil
	case !w.start.IsZero() && t.Before(w.start):
		return fault.WithHint(fault.Untrusted("it was signed at %s, and the trusted root has %s only from %s on", day(t), who, day(w.start)),
			"use a trusted root that covers the time of signing, or have it signed again")
	}
	return fault.WithHint(fault.Untrusted("it was signed at %s, and the trusted root has %s only until %s", day(t), who, day(w.end)),
		"the trusted root may be too old: get a new one from the Sigstore instance")
}
