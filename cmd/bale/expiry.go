package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/verify"
)

// maxExpiry is the last year that the time of a bundle can be in.
const maxExpiry = 9999

// expiresFlag says when a bundle expires: after a while, or at a time.
type expiresFlag struct {
	text  string
	after time.Duration
	at    time.Time
}

func (f *expiresFlag) String() string { return f.text }
func (f *expiresFlag) Type() string   { return "when" }
func (f *expiresFlag) Set(s string) error {
	var err error
	v := expiresFlag{text: s}
	if v.after, err = verify.ParseDuration(s); err != nil {
		v.at, err = parseMoment(s)
	}
	if err != nil {
		return fmt.Errorf("neither a span of time such as 90d nor a day such as 2026-12-31 nor a time such as 2026-12-31T18:00:00Z")
	}
	*f = v
	return nil
}

// parseMoment reads a time, or a day, which lasts until it is over in UTC.
func parseMoment(s string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		return day.AddDate(0, 0, 1), nil
	}
	return time.Parse(time.RFC3339, s)
}

// of returns when a bundle expires that is made at a time; nil if it never does.
func (f *expiresFlag) of(created time.Time) (*time.Time, error) {
	if f.text == "" {
		return nil, nil
	}
	created = created.UTC().Truncate(time.Second)
	at := f.at
	if f.after > 0 {
		at = created.Add(f.after)
	}
	at = at.UTC().Truncate(time.Second)
	switch {
	case !at.After(created):
		return nil, fault.WithHint(fault.Usage("--expires %s is %s, and the bundle is made at %s", f.text, at.Format(time.RFC3339), created.Format(time.RFC3339)),
			"name a later time, or a span such as 90d")
	case at.Year() > maxExpiry:
		return nil, fault.Usage("--expires %s is after the year %d", f.text, maxExpiry)
	}
	return &at, nil
}

// expiry says in words when a bundle expires, "" if it never does.
func expiry(h bundle.Header) string {
	if h.Expires == nil {
		return ""
	}
	return "expires " + h.Expires.Format(time.RFC3339)
}

// expiryHelp is part of the help of load and verify.
const expiryHelp = `
A bundle that was saved with --expires is refused from that time on, by this machine's
clock, and while that clock is so wrong that it cannot tell (over a day before the
bundle was made).`

// expiryFlags say what becomes of an expired bundle.
type expiryFlags struct{ ignore bool }

func (f *expiryFlags) add(c *cobra.Command) {
	c.Flags().BoolVar(&f.ignore, "insecure-ignore-expiry", false, "take the bundle although it expired, or this machine's clock cannot tell")
}

// checkExpiry refuses a bundle that nobody is to take any more.
func (a *app) checkExpiry(f expiryFlags, h bundle.Header, now time.Time) error {
	err := verify.CheckExpiry(h, now)
	switch {
	case err != nil && f.ignore:
		a.waive(err.Error() + "; it is taken all the same")
		return nil
	case err == nil:
		a.warnFuture(h, now)
	}
	return err
}

// warnFuture tells of a bundle that never expires, and was made in the future.
func (a *app) warnFuture(h bundle.Header, now time.Time) {
	if h.Expires == nil && verify.FromFuture(h, now) {
		a.warn(fmt.Sprintf("the bundle was made at %s, and this machine's clock says %s: one of the clocks is wrong",
			h.Created.Format(time.RFC3339), now.UTC().Format(time.RFC3339)))
	}
}

// warnExpired tells of a base that its maker takes for outdated. Content that it
// has is the same for ever, so it is no reason to refuse anything.
func (a *app) warnExpired(path, kind string, h bundle.Header) {
	if h.Expires == nil || time.Now().Before(*h.Expires) {
		return
	}
	text := fmt.Sprintf("base %s, %s, expired at %s", path, article(kind), h.Expires.Format(time.RFC3339))
	if kind == inventoryBase {
		text += ": the place that it lists may have changed, and may lack what this bundle leaves out"
	}
	a.warn(text)
}
