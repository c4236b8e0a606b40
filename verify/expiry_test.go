package verify_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/verify"
)

func TestCheckExpiry(t *testing.T) {
	made := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	ends := made.Add(90 * 24 * time.Hour)
	for name, c := range map[string]struct {
		expires *time.Time
		now     time.Time
		says    string // "" if it is accepted
		future  bool
	}{
		"fresh":                           {&ends, made, "", false},
		"in the last second":              {&ends, ends.Add(-1), "", false},
		"at the end":                      {&ends, ends, "expired at 2027-02-19T12:00:00Z, and this machine's clock says 2027-02-19T12:00:00Z", false},
		"long after":                      {&ends, ends.AddDate(10, 0, 0), "expired", false},
		"in another zone":                 {&ends, ends.In(time.FixedZone("", -7200)), "clock says 2027-02-19T12:00:00Z", false},
		"the sender's clock is ahead":     {&ends, made.Add(-verify.MaxAhead), "", false},
		"it is too far ahead":             {&ends, made.Add(-verify.MaxAhead - time.Second), "was made at 2026-11-21T12:00:00Z", true},
		"a clock that starts in 1970":     {&ends, time.Unix(0, 0), "cannot tell", true},
		"no end":                          {nil, ends.AddDate(100, 0, 0), "", false},
		"no end, and made in the future":  {nil, time.Unix(0, 0), "", true},
		"the zero time is no end of time": {new(time.Time), made, "expired", false},
	} {
		h := bundle.Header{Created: made, Expires: c.expires}
		err := verify.CheckExpiry(h, c.now)
		switch {
		case c.says == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.says != "" && (!errors.Is(err, fault.ErrUntrusted) || !strings.Contains(err.Error(), c.says) || fault.Hint(err) == ""):
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if got := verify.FromFuture(h, c.now); got != c.future {
			t.Errorf("%s: from the future: %v", name, got)
		}
	}
}
