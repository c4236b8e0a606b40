package image

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"bale/bundle/fault"
)

// object is a JSON object whose members are looked up by exactly their name;
// encoding/json by itself takes "Payload" for "payload".
type object map[string]json.RawMessage

// parseObject reads one JSON object and nothing else. Two readers must not find
// two things in it: names that come twice are refused at any depth.
func parseObject(data []byte) (object, error) {
	if !utf8.Valid(data) {
		return nil, fault.Damaged("is not UTF-8")
	}
	if err := checkNames(data, exactly); err != nil {
		return nil, err
	}
	var o object
	if err := json.Unmarshal(data, &o); err != nil {
		return nil, fault.Damaged("is not a JSON object: %w", err)
	}
	if o == nil {
		return nil, fault.Damaged("is null, not a JSON object")
	}
	return o, nil
}

// get decodes a member, which may be absent, into to.
func (o object) get(name string, to any) error {
	raw, ok := o[name]
	if !ok || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	if err := json.Unmarshal(raw, to); err != nil {
		return fault.Damaged("%q is not what it should be: %w", name, err)
	}
	return nil
}

// list returns the items of a member that is a list, which may be absent. One by
// one: an item takes two bytes there, and a hundred times that here.
func (o object) list(name string, most int) ([]json.RawMessage, error) {
	raw, ok := o[name]
	if !ok || bytes.Equal(raw, []byte("null")) {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, fault.Damaged("%q is no list", name)
	}
	var list []json.RawMessage
	for d.More() {
		if len(list) == most {
			return nil, fault.Damaged("has more than %d %ss", most, strings.TrimSuffix(name, "s"))
		}
		var item json.RawMessage
		if err := d.Decode(&item); err != nil {
			return nil, fault.Damaged("%q is not what it should be: %w", name, err)
		}
		list = append(list, item)
	}
	return list, nil
}

func exactly(name string) string { return name }

// folded is the same for all names that encoding/json takes for one: those that
// differ in upper and lower case, in which it also has a long s and a Kelvin sign.
func folded(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}

// checkNames refuses names that come twice in one object, and what is too deep.
// as returns what two names have in common that are one.
func checkNames(data []byte, as func(name string) string) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	type level struct {
		names map[string]bool // nil in an array
		value bool            // a name was read, and its value comes next
	}
	var open []level
	names := 0 // in all of open
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fault.Damaged("is not JSON: %w", err)
		}
		delim, isDelim := t.(json.Delim)
		if isDelim && (delim == '}' || delim == ']') {
			names -= len(open[len(open)-1].names)
			open = open[:len(open)-1]
			continue
		}
		if n := len(open); n > 0 && open[n-1].names != nil {
			top := &open[n-1]
			if !top.value {
				name, _ := t.(string)
				if top.names[as(name)] {
					return fault.Damaged("has the name %.100q twice in one object", name)
				}
				if names++; names > maxNames {
					return fault.Damaged("is JSON with more than %d names in one object and those around it", maxNames)
				}
				top.names[as(name)], top.value = true, true
				continue
			}
			top.value = false
		}
		if isDelim {
			if len(open) == maxJSONDepth {
				return fault.Damaged("is JSON that is nested more than %d deep", maxJSONDepth)
			}
			l := level{}
			if delim == '{' {
				l.names = make(map[string]bool)
			}
			open = append(open, l)
		}
	}
}
