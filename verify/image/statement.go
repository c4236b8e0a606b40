package image

import (
	"slices"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
)

const (
	// SignaturePredicate is the type of a statement that says nothing but that
	// its subject is signed.
	SignaturePredicate = "https://sigstore.dev/cosign/sign/v1"
	// statementType is the payload type of an in-toto statement in an envelope.
	statementType = "application/vnd.in-toto+json"
)

// statements are the types of in-toto statement that bale reads. They differ in
// what a predicate may be, which does not matter here.
var statements = []string{"https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1"}

// statement is what an in-toto statement says about which subjects. What it says
// (the predicate) is not looked at.
type statement struct {
	predicate string
	subjects  []map[string]string // digests by algorithm
}

// parseStatement reads an in-toto statement.
func parseStatement(data []byte) (s statement, err error) {
	top, err := parseObject(data)
	if err != nil {
		return s, err
	}
	var kind string
	if err := top.get("_type", &kind); err != nil {
		return s, err
	}
	if !slices.Contains(statements, kind) {
		return s, fault.Unsupported("is a statement of the type %.100q", kind)
	}
	if err := top.get("predicateType", &s.predicate); err != nil {
		return s, err
	}
	if s.predicate == "" {
		return s, fault.Damaged("is a statement without a predicate type")
	}
	subjects, err := top.list("subject", maxSubjects)
	if err != nil {
		return s, err
	}
	for _, raw := range subjects {
		subject, err := parseObject(raw)
		if err != nil {
			return s, fault.Damaged("subject %w", err)
		}
		var digests map[string]string
		if err := subject.get("digest", &digests); err != nil {
			return s, err
		}
		s.subjects = append(s.subjects, digests)
	}
	return s, nil
}

// about reports whether d is one of its subjects.
func (s statement) about(d digest.Digest) bool {
	return slices.ContainsFunc(s.subjects, func(of map[string]string) bool {
		return of[d.Algorithm().String()] == d.Encoded()
	})
}

// of names what the statement is about, for a message.
func (s statement) of() string {
	for _, digests := range s.subjects {
		for _, algorithm := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
			if hex := digests[algorithm.String()]; hex != "" {
				return algorithm.String() + ":" + hex
			}
		}
	}
	return "nothing that has a digest"
}
