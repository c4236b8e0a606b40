package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"bale/sign"
	"bale/verify"
)

// signer is one of who signed.
type signer struct {
	Name        string     `json:"name,omitempty"` // in the policy
	Kind        string     `json:"kind"`
	Algorithm   string     `json:"algorithm,omitempty"`
	Fingerprint string     `json:"fingerprint,omitempty"`
	Subject     string     `json:"subject,omitempty"`
	Issuer      string     `json:"issuer,omitempty"`
	Entry       string     `json:"entry,omitempty"` // of the bundle
	Times       []signedAt `json:"times,omitempty"`
	Evidence    []string   `json:"evidence,omitempty"`
	Roles       []string   `json:"roles,omitempty"` // and rules, that it counted for

	who string
}

// signedAt is when something was signed, as somebody says.
type signedAt struct {
	Time   time.Time `json:"time"`
	Source string    `json:"source"`
	Proven bool      `json:"proven"` // by somebody else than the signer
}

func newSigner(i sign.Identity) signer {
	return signer{
		Kind: string(i.Kind), Algorithm: i.Algorithm, Fingerprint: i.Fingerprint,
		Subject: i.Subject, Issuer: i.Issuer, who: i.String(),
	}
}

// signersOf lists who is known to have signed.
func signersOf(r *verify.Result) []signer { return verifiedSigners(r.Signers()) }

func verifiedSigners(list []verify.Signer) []signer {
	out := []signer{}
	for _, s := range list {
		one := newSigner(s.Identity)
		one.Name, one.who = s.Name, s.String()
		one.Entry, one.Evidence, one.Roles = s.Entry, s.Evidence, s.Roles
		for _, t := range s.Times {
			one.Times = append(one.Times, signedAt{t.At.UTC(), t.Source, t.Proven})
		}
		out = append(out, one)
	}
	return out
}

func printSigners(w io.Writer, list []signer) {
	for _, s := range list {
		text := "signed by " + verify.Clip(s.who)
		// A signer that is named by itself is a role of one.
		if roles := slices.DeleteFunc(slices.Clone(s.Roles), func(r string) bool { return r == s.Name }); len(roles) > 0 {
			text += " [" + strings.Join(roles, ", ") + "]"
		}
		fmt.Fprintln(w, text)
		for _, t := range s.Times {
			says := "as " + t.Source + " says"
			if t.Proven {
				says = "proven by " + t.Source
			}
			fmt.Fprintf(w, "  on %s, %s\n", t.Time.Format("2006-01-02 15:04:05 UTC"), verify.Clip(says))
		}
		for _, e := range s.Evidence {
			fmt.Fprintf(w, "  %s\n", verify.Clip(e))
		}
	}
	if len(list) == 0 {
		fmt.Fprintln(w, "signature not verified")
	}
}
