package policy_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bale/bundle"
	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/sign"
	"bale/verify"
	"bale/verify/policy"
)

var sums = []byte("0000000000000000000000000000000000000000000000000000000000000000  index.zst\n")

// now is when tests decide.
var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// people have keys.
func people(t *testing.T) map[string]*sign.PrivateKey {
	t.Helper()
	out := make(map[string]*sign.PrivateKey)
	for who, file := range map[string]string{"ann": "sec1.pem", "ben": "ed25519.pem", "eve": "rsa.pem"} {
		k, err := sign.LoadPrivateKey(filepath.Join("..", "..", "testdata", "keys", file), func() ([]byte, error) { return nil, errors.New("no password") })
		if err != nil {
			t.Fatal(err)
		}
		out[who] = k
	}
	return out
}

// parse reads a policy whose signers are people, and cat, whose SSH key signs
// nothing here. Key files are named by them.
func parse(t *testing.T, text string) *policy.Policy {
	t.Helper()
	all := people(t)
	p, err := policy.Parse("p.yaml", []byte(text), func(name string) ([]byte, string, error) {
		if name == "cat" {
			data, err := os.ReadFile("testdata/keys/alice-ssh.pub")
			return data, name, err
		}
		data, err := all[name].Public().PEM()
		return data, name, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// envelope is sums, signed by some people.
func envelope(t *testing.T, who ...string) *bundle.Envelope {
	t.Helper()
	all := people(t)
	var sigs []bundle.Signature
	for i, w := range who {
		s, err := all[w].Sign(context.Background(), sums)
		if err != nil {
			t.Fatal(err)
		}
		sigs = append(sigs, bundle.Signature{Entry: container.SignatureName(s.Form, i), Data: s.Data})
	}
	return bundle.NewEnvelope(sums, sigs)
}

const known = `version: 1
signers:
  ann: {key: ann}
  ben: {key: ben}
  cat: {key: cat}
  eve: {key: eve}
`

const rules = known + `roles:
  two: {signers: [ann, ben, cat], threshold: 2}
bundles:
  - name: "edge-*"
    signedBy: [two]
    minSequence: 7
    maxAge: 30d
    requireExpiry: true
  - {name: "lab/*", signedBy: [ann, eve]}
  - {name: "*", signedBy: [eve]}
`

func header(name string, sequence uint64, age, left time.Duration) bundle.Header {
	h := bundle.Header{ID: hex.EncodeToString(make([]byte, 16)), Name: name, Sequence: sequence, Created: now.Add(-age)}
	if left != 0 {
		e := now.Add(left)
		h.Expires = &e
	}
	return h
}

const day = 24 * time.Hour

func TestDecide(t *testing.T) {
	p := parse(t, rules)
	good := header("edge-1", 7, day, day)
	for _, c := range []struct {
		name   string
		signed []string
		h      bundle.Header
		waive  policy.Waivers
		rule   string // "" is refused
		reason string
	}{
		{"all is well", []string{"ann", "ben"}, good, policy.Waivers{}, "edge-*", ""},
		{"and more sign", []string{"eve", "ben", "ann"}, good, policy.Waivers{}, "edge-*", ""},
		{"one of two", []string{"ann"}, good, policy.Waivers{}, "", "needs 2 of"},
		{"one signs twice", []string{"ann", "ann"}, good, policy.Waivers{}, "", "needs 2 of"},
		{"another rule is met", []string{"eve"}, good, policy.Waivers{}, "", "asks for signatures by 2 of the 3 two (ann, ben, cat), and they are not all there"},
		{"another rule is met, and one of two", []string{"ann", "eve"}, good, policy.Waivers{}, "", "are not all there"},
		{"the last rule", []string{"eve"}, header("other", 1, 900*day, 0), policy.Waivers{}, "*", ""},
		{"the last rule by others", []string{"ann", "ben"}, header("other", 1, 0, 0), policy.Waivers{}, "", "under rule * (p.yaml:16), which asks for signatures by eve"},
		{"all of several", []string{"ann", "eve"}, header("lab/x", 1, 0, 0), policy.Waivers{}, "lab/*", ""},
		{"not all of several", []string{"eve"}, header("lab/x", 1, 0, 0), policy.Waivers{}, "", "ann and eve"},
		{"no name", []string{"ann", "ben", "eve"}, header("", 0, 0, 0), policy.Waivers{}, "", "has no rule for a bundle without a name"},
		{"sequence", []string{"ann", "ben"}, header("edge-1", 6, day, day), policy.Waivers{}, "", "demands sequence 7 or higher"},
		{"sequence waived", []string{"ann", "ben"}, header("edge-1", 6, day, day), policy.Waivers{Sequence: true}, "edge-*", ""},
		{"sequence, another waived", []string{"ann", "ben"}, header("edge-1", 6, day, day), policy.Waivers{Age: true, Expiry: true}, "", "demands sequence"},
		{"age at its end", []string{"ann", "ben"}, header("edge-1", 7, 30*day, day), policy.Waivers{}, "edge-*", ""},
		{"age", []string{"ann", "ben"}, header("edge-1", 7, 30*day+time.Second, day), policy.Waivers{}, "", "allows an age of"},
		{"age waived", []string{"ann", "ben"}, header("edge-1", 7, 31*day, day), policy.Waivers{Age: true}, "edge-*", ""},
		{"from the future", []string{"ann", "ben"}, header("edge-1", 7, -2*day, 9*day), policy.Waivers{}, "", "when it is only"},
		{"a clock a little wrong", []string{"ann", "ben"}, header("edge-1", 7, -time.Hour, day), policy.Waivers{}, "edge-*", ""},
		{"expired", []string{"ann", "ben"}, header("edge-1", 7, 2*day, -time.Second), policy.Waivers{}, "", "expired at"},
		{"expired waived", []string{"ann", "ben"}, header("edge-1", 7, 2*day, -day), policy.Waivers{Expiry: true}, "edge-*", ""},
		{"no expiry", []string{"ann", "ben"}, header("edge-1", 7, day, 0), policy.Waivers{}, "", "demands that bundles expire"},
		{"expiry is enforced without being demanded", []string{"eve"}, header("other", 1, 2*day, -day), policy.Waivers{}, "", "expired at"},
		{"upper case", []string{"eve"}, header("Edge-1", 1, 0, 0), policy.Waivers{}, "*", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var steps []verify.Step
			tell := func(s verify.Step) { steps = append(steps, s) }
			res, err := verify.Verify(envelope(t, c.signed...), p.Trust(tell))
			var r *policy.Rule
			if err == nil {
				r, err = p.CheckHeader(res, c.h, now, c.waive, tell)
			}
			failed := slices.ContainsFunc(steps, func(s verify.Step) bool { return s.Verdict == verify.Failed })
			if c.rule != "" {
				if err != nil || r.String() != c.rule || failed {
					t.Fatalf("rule %v, %v; steps %v", r, err, steps)
				}
				return
			}
			if !errors.Is(err, fault.ErrUntrusted) || r != nil || !strings.Contains(err.Error(), c.reason) || fault.Hint(err) == "" {
				t.Fatalf("rule %v: %v (hint %q), want %s", r, err, fault.Hint(err), c.reason)
			}
			if res != nil && !failed {
				t.Errorf("no step failed: %v", steps)
			}
		})
	}
}

// Nothing but a result for this policy vouches for anything.
func TestResultsThatVouchForNothing(t *testing.T) {
	p := parse(t, rules)
	env := envelope(t, "ann", "ben", "eve")
	byKey, err := verify.Verify(env, verify.TrustAny(verify.Keys(people(t)["ann"].Public())...))
	if err != nil {
		t.Fatal(err)
	}
	for name, res := range map[string]*verify.Result{"nil": nil, "zero": new(verify.Result), "unsafe": verify.WithoutSignatureUnsafe(env), "of keys": byKey} {
		if r, err := p.CheckHeader(res, header("edge-1", 7, day, day), now, policy.Waivers{}, nil); !errors.Is(err, fault.ErrUntrusted) || r != nil {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
	res, err := verify.Verify(env, p.Trust(nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.CheckHeader(res, header("edge-1", 7, day, day), time.Time{}, policy.Waivers{}, nil); !errors.Is(err, fault.ErrUsage) {
		t.Errorf("without a clock: %v", err)
	}
	if _, err := new(policy.Policy).CheckHeader(res, header("x", 1, 0, 0), now, policy.Waivers{}, nil); !errors.Is(err, fault.ErrUntrusted) {
		t.Errorf("an empty policy: %v", err)
	}
	if _, err := verify.Verify(env, new(policy.Policy).Trust(nil)); !errors.Is(err, fault.ErrUsage) {
		t.Errorf("an empty policy trusts: %v", err)
	}
}

// What the command line asks for is needed too, whichever rule decides.
func TestMore(t *testing.T) {
	p := parse(t, rules)
	more := verify.Rule{Of: verify.Keys(people(t)["eve"].Public()), Threshold: 1}
	if _, err := verify.Verify(envelope(t, "ann", "ben"), p.Trust(nil, more)); !errors.Is(err, fault.ErrUntrusted) {
		t.Errorf("without it: %v", err)
	}
	res, err := verify.Verify(envelope(t, "ann", "ben", "eve"), p.Trust(nil, more))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.CheckHeader(res, header("edge-1", 7, day, day), now, policy.Waivers{}, nil); err != nil {
		t.Error(err)
	}
}

// Two keys of one person are one signer.
func TestRotation(t *testing.T) {
	p := parse(t, `version: 1
signers:
  ann: [{key: ann}, {key: eve}]
  ben: {key: ben}
roles:
  both: {signers: [ann, ben]}
bundles:
  - {name: x, signedBy: [both]}
`)
	for _, c := range []struct {
		signed []string
		good   bool
	}{{[]string{"ann", "ben"}, true}, {[]string{"eve", "ben"}, true}, {[]string{"ann", "eve"}, false}, {[]string{"ann", "eve", "ben"}, true}} {
		res, err := verify.Verify(envelope(t, c.signed...), p.Trust(nil))
		if (err == nil) != c.good {
			t.Errorf("%v: %v", c.signed, err)
		}
		if err != nil {
			continue
		}
		if n := len(res.Signers()); n != 2 {
			t.Errorf("%v: %d signers", c.signed, n)
		}
		for _, s := range res.Signers() {
			if !slices.Contains(s.Roles, "both") || !slices.Contains(s.Roles, "x") {
				t.Errorf("%v counted for %v", s.Identity, s.Roles)
			}
		}
	}
}

func TestCheckImages(t *testing.T) {
	p := parse(t, known+`bundles:
  - name: x
    signedBy: [ann]
    platforms: [linux/amd64, linux/arm/v7]
    images:
      allow: ["registry.example/team/**", "docker.io/library/*:1.*"]
      deny: ["registry.example/team/secret", "**:latest"]
  - {name: y, signedBy: [ann]}
`)
	res, err := verify.Verify(envelope(t, "ann"), p.Trust(nil))
	if err != nil {
		t.Fatal(err)
	}
	rule := func(name string) *policy.Rule {
		r, err := p.CheckHeader(res, header(name, 1, 0, 0), now, policy.Waivers{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	x, y := rule("x"), rule("y")
	const d = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	for _, c := range []struct {
		image  policy.Image
		reason string // "" if it is taken
	}{
		{policy.Image{Name: "registry.example/team/a:1", Platforms: []string{"linux/amd64"}}, ""},
		{policy.Image{Name: "registry.example/team/a/b@" + d, Platforms: []string{"linux/arm/v7", "linux/amd64"}}, ""},
		{policy.Image{Name: "docker.io/library/nginx:1.27"}, ""},
		{policy.Image{Name: "docker.io/library/nginx:2"}, "does not allow image docker.io/library/nginx:2"},
		{policy.Image{Name: "nginx.evil.example/library/nginx:1.27"}, "does not allow"},
		{policy.Image{Name: "registry.example:5000/team/a:1"}, "does not allow"},
		{policy.Image{Name: "registry.example/team/secret:1"}, "denies image"},
		{policy.Image{Name: "registry.example/team/secret/deeper:1"}, ""},
		{policy.Image{Name: "registry.example/team/a:latest"}, "denies image registry.example/team/a:latest, by **:latest"},
		{policy.Image{Name: "registry.example/team/a:1", Platforms: []string{"linux/amd64", "windows/amd64"}}, "is for windows/amd64 too"},
		{policy.Image{Name: "registry.example/team/a:1", Platforms: []string{"linux/amd64/v3"}}, "is for linux/amd64/v3 too"},
		{policy.Image{Name: "registry.example/team/a:1", Platforms: []string{"unknown"}}, "is for unknown too"},
		{policy.Image{Name: "docker.io/library/nginx:sha256-x.sig", Attached: true}, ""},
		{policy.Image{Name: "docker.io/other/nginx:sha256-x.sig", Attached: true}, "does not allow"},
		{policy.Image{Name: "registry.example/team/secret:sha256-x.sig", Attached: true}, "denies"},
	} {
		c.image.Digest = d
		err := x.CheckImages([]policy.Image{{Name: "registry.example/team/first:1", Digest: d}, c.image}, nil)
		switch {
		case c.reason == "" && err != nil:
			t.Errorf("%+v: %v", c.image, err)
		case c.reason != "" && (!errors.Is(err, fault.ErrUntrusted) || !strings.Contains(err.Error(), c.reason) || fault.Hint(err) == ""):
			t.Errorf("%+v: %v, want %s", c.image, err, c.reason)
		}
		if err := y.CheckImages([]policy.Image{c.image}, nil); err != nil {
			t.Errorf("without demands: %v", err)
		}
	}
	if err := x.CheckImages([]policy.Image{{Name: "NOT A NAME"}}, nil); !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("no name: %v", err)
	}
	if !x.WantsPlatforms() || y.WantsPlatforms() {
		t.Error("which rule wants platforms")
	}
}

func TestRequirement(t *testing.T) {
	p := parse(t, known+`roles:
  two: {signers: [ann, ben, cat], threshold: 2}
bundles:
  - {name: "*", signedBy: [ann]}
images:
  - {name: "registry.example/team/tools/**", exempt: true}
  - name: "registry.example/team/**"
    signedBy: [two, eve]
    attestations:
      - {type: https://slsa.dev/provenance/v1, signedBy: [eve]}
      - {type: spdxjson, signedBy: [two]}
  - {name: "docker.io/library/*", attestations: [{type: https://spdx.dev/Document, signedBy: [ann]}]}
`)
	const d = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	for name, want := range map[string]string{
		"registry.example/team/tools/a:1": "registry.example/team/tools/**: ; ",
		"registry.example/team/a:1":       "registry.example/team/**: two 2 of 2, eve 1 of 1; https://slsa.dev/provenance/v1 by eve 1 of 1, https://spdx.dev/Document by two 2 of 2",
		"docker.io/library/nginx:1":       "docker.io/library/*: ; https://spdx.dev/Document by ann 1 of 1",
		"other.example/a:1":               ": ; ",
	} {
		r, rule, err := p.Requirement(policy.Image{Name: name, Digest: d})
		if err != nil {
			t.Fatal(err)
		}
		words := func(list []verify.Rule) string {
			var out []string
			for _, x := range list {
				for _, a := range x.Of {
					if _, ok := a.(verify.Attesting); !ok {
						t.Errorf("%s: %v signs no images", name, a)
					}
				}
				out = append(out, fmt.Sprintf("%s %d of %d", x.Name, x.Threshold, len(x.Of)))
			}
			return strings.Join(out, ", ")
		}
		var attested []string
		for _, a := range r.Attestations {
			attested = append(attested, a.Type+" by "+words(a.Rules))
		}
		if got := rule + ": " + words(r.Signed) + "; " + strings.Join(attested, ", "); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
		if !r.Empty() {
			if err := r.Check(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if _, _, err := p.Requirement(policy.Image{Name: "../x"}); !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("no name: %v", err)
	}
	if !p.DemandsOfImages() || parse(t, rules).DemandsOfImages() {
		t.Error("which policy demands something of images")
	}
}
