package certificate_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"bale/bundle/fault"
	"bale/verify"
	"bale/verify/certificate"
)

// nested is an answer of a timestamp authority, as far as the parser looks before
// it goes down: its token is lists in lists, which do not say how long they are.
func nested(deep int) []byte {
	const list, open, ends = 0x30, 0x80, 0
	inner := append(bytes.Repeat([]byte{list, open}, deep), bytes.Repeat([]byte{ends, ends}, deep)...)
	wrap := func(b []byte) []byte {
		n := len(b)
		return append([]byte{list, 0x83, byte(n >> 16), byte(n >> 8), byte(n)}, b...)
	}
	return wrap(slices.Concat([]byte{list, 3, 2, 1, 0}, wrap(inner)))
}

// Nobody vouches for what stands in a timestamp before it is parsed: whoever passes
// a signature on can put another one into it. The library's parser calls itself for
// each list in a list, and Go ends the whole program when that goes too deep.
func TestHugeTimestamp(t *testing.T) {
	c := newCorp()
	for name, o := range map[string]own{
		"that would end the program": {
			tsas: []*pair{c.root}, stamps: func([]byte) [][]byte { return [][]byte{nested(4_000_000)} },
			kind: fault.ErrDamaged, want: "has a timestamp of 16000015 bytes, more than 32768",
		},
		"that is as deep as they may be": {
			tsas: []*pair{c.root}, stamps: func([]byte) [][]byte { return [][]byte{nested(8000)} },
			kind: fault.ErrUntrusted, want: "has no timestamp",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := must(certificate.NewRoot(certificates([]*pair{c.root}), nil, certificates(o.tsas)))
			a := must(certificate.New(r, certificate.Identity{Subject: alice}, certificate.Options{}))
			list, err := a.Check(verify.EvidenceOf(o.sign(c)), sums)
			if list != nil || !errors.Is(err, o.kind) || !strings.Contains(err.Error(), o.want) {
				t.Errorf("%v, %v, want %q", list, err, o.want)
			}
		})
	}
}
