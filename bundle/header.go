package bundle

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"bale/bundle/fault"
)

const (
	// Version is the version of the format that this package writes, and the
	// newest that it reads.
	Version = 1
	// maxHeader is the greatest size of bale.json, in bytes.
	maxHeader  = 64 << 10
	formatName = "bale"
)

// Header is bale.json: what the bundle is (FORMAT.md, section 3).
type Header struct {
	Format   string     `json:"format"`
	Version  int        `json:"version"`
	ID       string     `json:"id"`      // 16 bytes in hexadecimal
	Created  time.Time  `json:"created"` // whole seconds, UTC
	Creator  string     `json:"creator"`
	Name     string     `json:"name,omitempty"`
	Sequence uint64     `json:"sequence,omitempty"`
	Expires  *time.Time `json:"expires,omitempty"`
	Bases    []string   `json:"bases,omitempty"`
	Features []string   `json:"features,omitempty"`
}

// encode returns the one form that the header has on disk.
func (h *Header) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(h); err != nil {
		return nil, fmt.Errorf("encode bale.json: %w", err)
	}
	return b.Bytes(), nil
}

// ParseHeader reads bale.json. A newer version or an unknown feature is a
// [fault.ErrUnsupported]; anything but the exact form a [fault.ErrDamaged].
func ParseHeader(b []byte) (*Header, error) {
	if len(b) > maxHeader {
		return nil, fault.Damaged("bale.json has %d bytes, over its limit of %d", len(b), maxHeader)
	}
	// The version is looked at first and leniently: what a newer version adds
	// must not make its header look damaged.
	var v struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, fault.Damaged("bale.json: %w", err)
	}
	if v.Format != formatName || v.Version < 1 {
		return nil, fault.Damaged("bale.json: format %q version %d is not a bale bundle's", v.Format, v.Version)
	}
	if v.Version > Version {
		return nil, newer("the bundle has format version %d, this bale reads up to %d", v.Version, Version)
	}
	var h Header
	if err := json.Unmarshal(b, &h); err != nil {
		return nil, fault.Damaged("bale.json: %w", err)
	}
	if again, err := h.encode(); err != nil || !bytes.Equal(again, b) {
		return nil, fault.Damaged("bale.json is not in the form that bale writes")
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	return &h, nil
}

// id returns the bundle's id as bytes.
func (h *Header) id() (id [16]byte) {
	_, _ = hex.Decode(id[:], []byte(h.ID)) // it was checked
	return id
}

func (h *Header) check() error {
	for _, id := range append([]string{h.ID}, h.Bases...) {
		if raw, err := hex.DecodeString(id); err != nil || len(raw) != 16 || hex.EncodeToString(raw) != id {
			return fault.Damaged("bale.json: %q is not a bundle id", id)
		}
	}
	for _, t := range []*time.Time{&h.Created, h.Expires} {
		if t != nil && (t.Nanosecond() != 0 || t.Location() != time.UTC || t.Unix() < 0) {
			return fault.Damaged("bale.json: time %s is not in whole seconds of UTC since 1970", t)
		}
	}
	if h.Expires != nil && !h.Expires.After(h.Created) {
		return fault.Damaged("bale.json: it expires at %s, before it was made", h.Expires.Format(time.RFC3339))
	}
	for _, s := range append([]string{h.Creator, h.Name}, h.Features...) {
		if slices.ContainsFunc([]byte(s), func(c byte) bool { return c < ' ' || c > '~' }) {
			return fault.Damaged("bale.json: %q has odd characters", s)
		}
	}
	if err := h.checkOrder(); err != nil {
		return fault.Damaged("bale.json: %w", err)
	}
	if len(h.Features) > 0 {
		return newer("the bundle needs feature %q, which this bale does not know", h.Features[0])
	}
	return nil
}

// newer is the error for what only a later version of bale can read.
func newer(format string, args ...any) error {
	return fault.WithHint(fault.Unsupported(format, args...), "use a newer bale to read it")
}
