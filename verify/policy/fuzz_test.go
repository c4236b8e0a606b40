package policy_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"bale/bundle/fault"
	"bale/verify/policy"
)

// FuzzParse makes sure that nothing in a policy does harm, that all that is wrong
// is a usage error, and that what is taken trusts somebody.
func FuzzParse(f *testing.F) {
	pub, err := os.ReadFile("testdata/keys/dave.pub")
	if err != nil {
		f.Fatal(err)
	}
	n := 0
	for _, dir := range []string{"good", "bad"} {
		for _, path := range files(f, dir, 8) {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
			n++
		}
	}
	if n < 80 {
		f.Fatalf("only %d seeds", n)
	}
	f.Add(policy.Example)
	f.Add([]byte("version: 1\nsigners: {a: {key: a}}\nbundles: [{name: \"*\", signedBy: [a]}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 {
			return
		}
		// Never a file of this machine: one key, or nothing.
		p, err := policy.Parse("p.yaml", data, func(name string) ([]byte, string, error) {
			if strings.HasSuffix(name, "a") || strings.HasSuffix(name, "dave.pub") {
				return pub, name, nil
			}
			return nil, "", fault.Missing("not there")
		})
		if err != nil {
			if p != nil || !errors.Is(err, fault.ErrUsage) {
				t.Fatalf("%v, %v", p, err)
			}
			return
		}
		trust := p.Trust(nil)
		if len(trust.Alternatives) == 0 || len(trust.Alternatives) != len(p.Summary().Bundles) {
			t.Fatalf("%d alternatives", len(trust.Alternatives))
		}
		names := make(map[string]bool)
		for _, a := range trust.Alternatives {
			if a.Name == "" || names[a.Name] || len(a.Rules) == 0 {
				t.Fatalf("alternative %+v", a)
			}
			names[a.Name] = true
			for _, r := range a.Rules {
				if r.Threshold < 1 || r.Threshold > len(r.Of) {
					t.Fatalf("rule %+v", r)
				}
			}
		}
	})
}
