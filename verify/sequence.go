package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"bale/bundle"
	"bale/bundle/fault"
)

const (
	// maxListed is how many signers a message names.
	maxListed = 3
	// maxListedName is how much of each it shows, in bytes.
	maxListedName = 60
)

// Loaded is a bundle that has a place in an order: a name, and a number among
// the bundles of that name. It is what a [State] remembers.
type Loaded struct {
	Name     string        `json:"name"`     // see [bundle.CheckName]
	Sequence uint64        `json:"sequence"` // from 1 up
	Sums     digest.Digest `json:"sums"`     // SHA-256 of SHA256SUMS
	ID       string        `json:"id"`       // the bundle's, 16 bytes in hexadecimal
	Time     time.Time     `json:"loaded"`   // when it was loaded: whole seconds, UTC
	Signers  []string      `json:"signers"`  // fingerprints or subjects, at least one
}

// NewLoaded returns the place of a verified bundle with the header h, as if it
// was loaded at a time. Whatever nobody has signed, or has no name or number,
// has no place, and is a [fault.ErrUntrusted].
func NewLoaded(h bundle.Header, r *Result, at time.Time) (Loaded, error) {
	if r == nil || r.sums == "" || len(r.signers) == 0 {
		return Loaded{}, fault.Untrusted("nobody vouches for the bundle's name and sequence: its signature was not verified")
	}
	if err := bundle.CheckName(h.Name); err != nil {
		if h.Name == "" {
			return Loaded{}, fault.WithHint(fault.Untrusted("the bundle has no name, so no place among others"),
				"ask the sender to save it with --name")
		}
		return Loaded{}, fault.Untrusted("the bundle has no proper name: %w", err)
	}
	if h.Sequence == 0 {
		return Loaded{}, fault.WithHint(fault.Untrusted("the bundle %s has no sequence number, so no place among others", Clip(h.Name)),
			"ask the sender to save it with --name and --sequence")
	}
	l := Loaded{Name: h.Name, Sequence: h.Sequence, Sums: r.sums, ID: h.ID, Time: at.UTC().Truncate(time.Second)}
	for _, s := range r.signers[:min(len(r.signers), maxSigners)] {
		l.Signers = append(l.Signers, signerName(s))
	}
	return l, nil
}

// After fails with [fault.ErrUntrusted] unless l is newer than last, a bundle
// of the same name, or that very bundle again.
func (l Loaded) After(last Loaded) error {
	if l.Sequence > last.Sequence || l.Sequence == last.Sequence && l.Sums == last.Sums {
		return nil
	}
	this := fmt.Sprintf("this is the older sequence %d", l.Sequence)
	if l.Sequence == last.Sequence {
		this = "this is another bundle of the same sequence"
	}
	by := ""
	if !slices.ContainsFunc(l.Signers, func(s string) bool { return slices.Contains(last.Signers, s) }) {
		by = ", signed by " + listed(last.Signers) + " and not by " + listed(l.Signers)
	}
	return fault.Untrusted("sequence %d of %s was loaded at %s (bundle %s%s), and %s (bundle %s)",
		last.Sequence, Clip(last.Name), last.Time.Format(time.RFC3339), last.ID, by, this, l.ID)
}

// listed names the first of some signers.
func listed(signers []string) string {
	var names []string
	for _, s := range signers[:min(len(signers), maxListed)] {
		if len(s) > maxListedName {
			s = s[:maxListedName] + "..."
		}
		names = append(names, s)
	}
	text := strings.Join(names, ", ")
	if n := len(signers) - maxListed; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}
