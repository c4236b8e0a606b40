package policy

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"bale/bundle/fault"
	"bale/verify"
)

// Limits of a file.
const (
	maxDepth    = 12      // of lists and mappings in one another
	maxNodes    = 1 << 14 // of values, keys, lists and mappings
	maxText     = 1024    // bytes of one text
	maxList     = 256     // things in a list
	maxProblems = 10      // that are told at a time
)

const textEOF = "the file is empty"

// reader reads the nodes of one YAML document and notes what is wrong with them,
// each with its place.
type reader struct {
	name     string // of the file, in messages
	problems []problem
}

type problem struct {
	line, column int
	err          error
}

// bad notes what is wrong with a node.
func (r *reader) bad(n *yaml.Node, format string, args ...any) {
	r.badHint(n, formHint, format, args...)
}

// formHint is for those who do not know what a policy looks like.
const formHint = "bale policy example shows the form"

// badHint is bad with a line of advice.
func (r *reader) badHint(n *yaml.Node, hint, format string, args ...any) {
	err := fault.Usage("%s:%d:%d: %w", r.name, n.Line, n.Column, fmt.Errorf(format, args...))
	err = fault.WithHint(err, "%s", hint) // unless that which is wrapped has one
	r.problems = append(r.problems, problem{n.Line, n.Column, err})
}

// err returns what was wrong, in the order of the lines.
func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
	})
	var list []error
	for i, p := range r.problems {
		if i == maxProblems {
			list = append(list, fault.Usage("%s: and %d more", r.name, len(r.problems)-i))
			break
		}
		list = append(list, p.err)
	}
	if len(list) == 1 {
		return list[0]
	}
	return errors.Join(list...)
}

// document parses one document without anything that makes YAML surprising.
func (r *reader) document(data []byte) (*yaml.Node, error) {
	if bytes.Contains(data, []byte("PRIVATE KEY")) {
		return nil, fault.WithHint(fault.Usage("%s: has a private key in it", r.name),
			"a policy has public keys only; keep the private one to yourself")
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, fault.WithHint(fault.Usage("%s: %s", r.name, textEOF), "bale policy example prints one to begin with")
	case err != nil:
		return nil, fault.WithHint(fault.Usage("%s: is not YAML: %s", r.name, verify.Clip(err.Error())),
			"put texts with : # or * in them in quotes; "+formHint)
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fault.WithHint(fault.Usage("%s: has more than one document, or something after its end", r.name), "remove what follows ---")
	}
	if len(doc.Content) != 1 {
		return nil, fault.Usage("%s: %s", r.name, textEOF)
	}
	left := maxNodes
	r.plain(doc.Content[0], 0, &left)
	return doc.Content[0], r.err()
}

// plain refuses what would make a reader believe something else than what is
// there: aliases, anchors, merged mappings, tags. It goes no further than the
// first.
func (r *reader) plain(n *yaml.Node, depth int, left *int) bool {
	*left--
	switch {
	case depth > maxDepth:
		r.bad(n, "lists and mappings are nested more than %d deep", maxDepth)
		return false
	case *left < 0:
		r.bad(n, "more than %d values", maxNodes)
		return false
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.badHint(n, "write it out where it is meant", "an anchor or an alias, which a policy cannot have")
		return false
	case n.Style&yaml.TaggedStyle != 0:
		r.badHint(n, "leave out what begins with !", "a tag, which a policy cannot have")
		return false
	}
	for _, c := range n.Content {
		if !r.plain(c, depth+1, left) {
			return false
		}
	}
	return true
}

// object is a mapping whose fields are known.
type object struct {
	*reader
	node   *yaml.Node
	fields map[string]*yaml.Node
}

// object reads a mapping that may have some fields. What it lacks is as if it
// was empty.
func (r *reader) object(n *yaml.Node, what string, known []string) (*object, bool) {
	o := &object{r, n, make(map[string]*yaml.Node)}
	list, ok := r.mapping(n, what)
	for _, f := range list {
		if !slices.Contains(known, f.key.Value) {
			text := fmt.Sprintf("unknown field %q in %s", verify.Clip(f.key.Value), what)
			if near := nearest(f.key.Value, known); near != "" {
				text += fmt.Sprintf(", did you mean %s?", near)
			}
			r.badHint(f.key, "fields are: "+strings.Join(known, ", "), "%s", text)
			ok = false
			continue
		}
		o.fields[f.key.Value] = f.value
	}
	return o, ok
}

// field is a key of a mapping, and what it has.
type field struct{ key, value *yaml.Node }

// mapping reads a mapping with any keys, each once.
func (r *reader) mapping(n *yaml.Node, what string) ([]field, bool) {
	if n.Kind != yaml.MappingNode {
		r.bad(n, "%s must be a mapping, and is %s", what, kindOf(n))
		return nil, false
	}
	seen := make(map[string]int)
	var list []field
	ok := true
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch line, twice := seen[key.Value]; {
		case key.Kind != yaml.ScalarNode || key.Tag != "!!str":
			r.badHint(key, "put it in quotes if it is a name", "a key of %s must be text, and is %s", what, kindOf(key))
			ok = false
			continue
		case twice:
			r.bad(key, "%q is there twice, first in line %d", verify.Clip(key.Value), line)
			ok = false
			continue
		}
		seen[key.Value] = key.Line
		list = append(list, field{key, n.Content[i+1]})
	}
	if len(list) > maxList {
		r.bad(n, "%s has %d entries, more than %d", what, len(list), maxList)
		return nil, false
	}
	return list, ok
}

// list reads a list that is not empty.
func (r *reader) list(n *yaml.Node, what string) []*yaml.Node {
	switch {
	case n.Kind != yaml.SequenceNode:
		r.bad(n, "%s must be a list, and is %s", what, kindOf(n))
		return nil
	case len(n.Content) == 0:
		r.badHint(n, "leave it out, or put something in it", "%s is empty", what)
	case len(n.Content) > maxList:
		r.bad(n, "%s has %d entries, more than %d", what, len(n.Content), maxList)
		return nil
	}
	return n.Content
}

// text reads a text of one line that is not empty.
func (r *reader) text(n *yaml.Node, what string) (string, bool) {
	s, ok := r.block(n, what, maxText)
	if ok && strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) {
		r.bad(n, "%s has characters that cannot be shown", what)
		return "", false
	}
	return s, ok
}

// block reads a text that may have several lines.
func (r *reader) block(n *yaml.Node, what string, limit int) (string, bool) {
	switch {
	case n.Kind != yaml.ScalarNode || n.Tag != "!!str":
		hint := formHint
		if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
			hint = "put it in quotes"
		}
		r.badHint(n, hint, "%s must be text, and is %s", what, kindOf(n))
		return "", false
	case strings.TrimSpace(n.Value) == "":
		r.bad(n, "%s is empty", what)
		return "", false
	case len(n.Value) > limit:
		r.bad(n, "%s has more than %d bytes", what, limit)
		return "", false
	}
	return n.Value, true
}

// number reads a whole number from least to most.
func (r *reader) number(n *yaml.Node, what string, least, most uint64) (uint64, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" {
		r.bad(n, "%s must be a whole number, and is %s", what, kindOf(n))
		return 0, false
	}
	i, err := strconv.ParseUint(n.Value, 10, 64)
	if err != nil || strconv.FormatUint(i, 10) != n.Value || i < least || i > most {
		r.bad(n, "%s must be a number from %d to %d", what, least, most)
		return 0, false
	}
	return i, true
}

// truth reads true or false.
func (r *reader) truth(n *yaml.Node, what string) bool {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" || n.Value != "true" && n.Value != "false" {
		r.bad(n, "%s must be true or false, and is %s", what, kindOf(n))
	}
	return n.Value == "true"
}

// kindOf says in words what a node is.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.Tag {
	case "!!null":
		return "empty"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!timestamp":
		return "a date"
	case "!!merge":
		return "a merge"
	}
	return "text"
}

// nearest returns the word that is most like one that is none of them, "" if
// there is none like it.
func nearest(word string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < least && d < len(k) {
			best, least = k, d
		}
	}
	return best
}

// distance counts the letters that make one word of another.
func distance(a, b string) int {
	if len(a) > maxName || len(b) > maxName {
		return maxName
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, corner+1)
		}
	}
	return row[len(b)]
}
