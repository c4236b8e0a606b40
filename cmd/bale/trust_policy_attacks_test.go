package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"bale/verify/attack"
)

// policyHead is the beginning of most policies; keys is where keys are.
func policyHead(keys string) string {
	return fmt.Sprintf("version: 1\nsigners:\n  alice: {key: %[1]salice.pub}\n  bob: {key: %[1]sbob.pub}\n  dave: {key: %[1]sdave-ssh.pub}\n", keys)
}

// policyOf is a policy with signers alice, bob and dave.
func policyOf(rest string) attack.File { return text("policy.yaml", policyHead("keys/")+rest) }

const aliceSigns = "bundles:\n  - {name: edge, signedBy: [alice]}\n"

// policyCases are about bundles that a good policy refuses.
func (w *trustWorld) policyCases() []*attack.Case {
	const flags = "--policy policy.yaml"
	alice, bob := w.by("alice", "edge"), w.by("bob", "edge")
	no := func(name, reason, says, rest string, files ...attack.File) *attack.Case {
		if len(files) == 0 {
			files = append(files, file(jsonEntry, alice))
		}
		return trustCase("policy-"+name, reason, exitUntrusted, says, flags, append(files, policyOf(rest))...)
	}
	base := func(base, name, reason, says, rest string) *attack.Case {
		return on(base, no(name, reason, says, rest, file(jsonEntry, w.by("alice", base))))
	}
	rule := func(what string) string { return "bundles:\n  - {name: edge, signedBy: [alice], " + what + "}\n" }
	return []*attack.Case{
		no("unsigned", "there is a policy, and nobody signed it", "is not signed", aliceSigns, text("SHA256SUMS.x", "x\n")),
		no("role-missing", "of two roles only one has signed", "not signed by all who must", "bundles:\n  - {name: edge, signedBy: [alice, bob]}\n"),
		no("role-threshold", "one of a role has signed, and two must", "has 1", "roles:\n  two: {signers: [alice, bob, dave], threshold: 2}\nbundles:\n  - {name: edge, signedBy: [two]}\n"),
		no("role-twice", "one of a role signed twice, and two must", "has 1", "roles:\n  two: {signers: [alice, bob, dave], threshold: 2}\nbundles:\n  - {name: edge, signedBy: [two]}\n",
			file(jsonEntry, alice), entry(jsonEntry, 1, alice)),
		trustCase("policy-two-keys", "a signer signed with both of their keys, and two signers must", exitUntrusted, "has 1", flags,
			file(jsonEntry, alice), entry(jsonEntry, 1, bob),
			text("policy.yaml", "version: 1\nsigners:\n  ann:\n    - {key: keys/alice.pub}\n    - {key: keys/bob.pub}\n  dave: {key: keys/dave-ssh.pub}\nroles:\n  two: {signers: [ann, dave], threshold: 2}\nbundles:\n  - {name: edge, signedBy: [two]}\n")),
		no("other-rule", "signed by whom another rule asks for, whose bundles have other names", "they are not all there",
			"bundles:\n  - {name: edge, signedBy: [bob]}\n  - {name: \"test-*\", signedBy: [alice]}\n"),
		no("first-rule", "a later and weaker rule fits the name too", "they are not all there",
			"bundles:\n  - {name: edge, signedBy: [alice, bob]}\n  - {name: \"*\", signedBy: [alice]}\n"),
		no("no-rule", "no rule is for bundles of this name", "has no rule for", "bundles:\n  - {name: core, signedBy: [alice]}\n"),
		no("name-longer", "the pattern asks for more than the name has", "has no rule for", "bundles:\n  - {name: \"edge-*\", signedBy: [alice]}\n"),
		no("name-part", "the pattern is a part of the name only", "has no rule for", "bundles:\n  - {name: edg, signedBy: [alice]}\n"),
		no("name-end", "the pattern begins as the name and ends as another", "has no rule for", "bundles:\n  - {name: \"e*x\", signedBy: [alice]}\n"),
		no("name-case", "the pattern has the name in other letters", "has no rule for", "bundles:\n  - {name: Edge, signedBy: [alice]}\n"),
		base("unnamed", "unnamed", "a bundle without a name, and * is for names only", "has no rule for", "bundles:\n  - {name: \"*\", signedBy: [alice]}\n"),
		no("named", "a bundle with a name, and the rule is for those without", "has no rule for", "bundles:\n  - {unnamed: true, signedBy: [alice]}\n"),
		no("min-sequence", "a sequence that was withdrawn", "demands sequence 8", rule("minSequence: 8")),
		base("old", "max-age", "a bundle of the year 2001, and 90 days are allowed", "allows an age of 90d", rule("maxAge: 90d")),
		base("future", "max-age-future", "a bundle of the year 2240 would have no age for long", "when it is only", rule("maxAge: 90d")),
		base("old", "no-expiry", "a bundle that never expires, and it must", "does not say when", rule("requireExpiry: true")),
		base("expired", "expired", "the bundle has expired, and the policy says nothing of it", "expired at 2026-01-02", rule("minSequence: 1")),
		no("image-not-allowed", "an image that is not on the list", "does not allow image", rule("images: {allow: [registry.example/other/**]}")),
		no("image-denied", "an image that is denied by name, though it is allowed by another pattern", "denies image", rule("images: {allow: [\"**\"], deny: [registry.example/team/tiny]}")),
		no("image-tag", "an image whose tag is denied", "denies image", rule("images: {deny: [\"**:1\"]}")),
		no("image-path-part", "an allowed path is only the beginning of the image's", "does not allow image", rule("images: {allow: [registry.example/te, registry.example/team]}")),
		no("image-deeper", "one star stands for one part of a path, and the image lies deeper", "does not allow image", rule("images: {allow: [registry.example/*]}")),
		no("image-host-part", "an allowed host is only the end of the image's", "does not allow image", rule("images: {allow: [e.example/team/**, my-registry.example/**]}")),
		base("unnamed", "image-port", "another port of an allowed host is another registry", "does not allow image",
			"bundles:\n  - {unnamed: true, signedBy: [alice], images: {allow: [registry.example/**]}}\n"),
		base("unnamed", "image-port-denied", "a denied host is denied on each port", "denies image",
			"bundles:\n  - {unnamed: true, signedBy: [alice], images: {deny: [registry.example/**]}}\n"),
		base("old", "image-hub", "an image of Docker Hub, of which another path is allowed", "does not allow image", rule("images: {allow: [docker.io/team/**]}")),
		no("platform", "an image for a platform that is not allowed", "linux/amd64 too", rule("platforms: [linux/arm64]")),
		trustCase("policy-and-key", "the policy is satisfied, and the key of the command line has not signed", exitUntrusted, "who did not sign", flags+" --key keys/carol.pub",
			file(jsonEntry, alice), policyOf(aliceSigns)),
		trustCase("policy-key-alone", "the key of the command line has signed, and those of the policy have not", exitUntrusted, "bob", flags+" --key keys/alice.pub",
			file(jsonEntry, alice), policyOf("bundles:\n  - {name: edge, signedBy: [bob]}\n")),
		trustCase("policy-found", "the user's own policy is in force though only a key is given", exitUntrusted, "bob", aliceOnly, file(jsonEntry, alice),
			text("config/bale/policy.yaml", policyHead("../../keys/")+"bundles:\n  - {name: edge, signedBy: [bob]}\n")),
	}
}

// policyFileCases are about policies that cannot be meant, or not read. The
// bundle is well signed by alice.
func (w *trustWorld) policyFileCases() []*attack.Case {
	const flags = "--policy policy.yaml"
	alice := file(jsonEntry, w.by("alice", "edge"))
	whole := func(name, reason, says, data string) *attack.Case {
		return trustCase("policy-"+name, reason, exitUsage, says, flags, alice, text("policy.yaml", data))
	}
	is := func(name, reason, says, rest string) *attack.Case {
		return whole(name, reason, says, policyHead("keys/")+rest)
	}
	var bomb strings.Builder
	bomb.WriteString("version: 1\na0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for n := range 9 {
		fmt.Fprintf(&bomb, "a%d: &a%d [%s*a%d]\n", n+1, n+1, strings.Repeat(fmt.Sprintf("*a%d, ", n), 8), n)
	}
	signer := func(name, reason, says, way string) *attack.Case {
		return whole(name, reason, says, "version: 1\nsigners:\n  alice: "+way+"\n"+aliceSigns)
	}
	return []*attack.Case{
		is("typo", "a field with a typo, which would not be enforced", "did you mean minSequence", "bundles:\n  - {name: edge, signedBy: [alice], minSequnce: 8}\n"),
		is("unknown-field", "a field that no version has", "unknown field", aliceSigns+"default: allow\n"),
		is("undefined", "a rule names a signer who is not defined", `"mallory"`, "bundles:\n  - {name: edge, signedBy: [mallory]}\n"),
		is("threshold-too-high", "a role asks for more signers than it has", "threshold", "roles:\n  two: {signers: [alice, bob], threshold: 3}\nbundles:\n  - {name: edge, signedBy: [two]}\n"),
		is("threshold-zero", "a role asks for nobody", "threshold", "roles:\n  two: {signers: [alice, bob], threshold: 0}\nbundles:\n  - {name: edge, signedBy: [two]}\n"),
		is("nobody", "a rule asks for nobody", "is empty", "bundles:\n  - {name: edge, signedBy: []}\n"),
		is("no-signed-by", "a rule does not say who must sign", "no signedBy", "bundles:\n  - {name: edge}\n"),
		is("unreachable", "a rule that is never reached, after one that fits more", "nothing reaches this rule", "bundles:\n  - {name: \"*\", signedBy: [alice]}\n  - {name: edge, signedBy: [alice, bob]}\n"),
		is("two-documents", "two documents, of which some readers take the last", "more than one document", aliceSigns+"---\nversion: 1\n"),
		is("field-twice", "a field that is there twice, of which readers take one or the other", "policy.yaml", aliceSigns+aliceSigns),
		is("merge", "a merge, which brings fields from elsewhere", "anchor", "bundles:\n  - &a {name: edge, signedBy: [alice]}\n  - {<<: *a, name: core}\n"),
		is("tag", "a tag, which makes something else of a value", "tag", "bundles:\n  - {name: !!str edge, signedBy: [alice]}\n"),
		is("age", "an age that is no span of time", "maxAge", "bundles:\n  - {name: edge, signedBy: [alice], maxAge: 90}\n"),
		is("truth", "a yes in place of true, which some readers take for a text", "true or false", "bundles:\n  - {name: edge, signedBy: [alice], requireExpiry: yes}\n"),
		whole("alias-bomb", "aliases of aliases, a thousand million values", "policy.yaml", bomb.String()),
		whole("newer", "a policy of version 2", "version must be 1", "version: 2\n"),
		whole("no-version", "a policy without a version", "no version", strings.TrimPrefix(policyHead("keys/")+aliceSigns, "version: 1\n")),
		whole("empty", "an empty policy", "empty", ""),
		whole("no-yaml", "a policy that is no YAML", "not YAML", "version: [1\n"),
		signer("one-key", "one key under two names, who would count as two", "has the same key", "{key: keys/alice.pub}\n  bob: {key: keys/alice.pub}"),
		signer("private-key", "a private key within the policy", "private key", "\n    publicKey: |\n      "+strings.ReplaceAll(strings.TrimSpace(string(w.read("testdata", "keys", "ed25519.pem"))), "\n", "\n      ")),
		signer("weak-key", "a signer with an RSA key of 1024 bits", "1024 bits", "\n    publicKey: |\n      "+strings.ReplaceAll(strings.TrimSpace(string(w.read("testdata", "keys", "rsa1024.pub"))), "\n", "\n      ")),
		signer("key-folder", "a folder in place of a signer's key", "is a folder", "{key: keys}"),
		signer("key-missing", "a signer's key that is not there", "keys/nobody.pub", "{key: keys/nobody.pub}"),
		signer("fingerprint", "a signer's key that has another fingerprint", "no key with the fingerprint", "{key: keys/dave-ssh.pub, fingerprint: \"SHA256:"+strings.Repeat("A", 43)+"\"}"),
		signer("two-ways", "a signer with a key and a certificate, who would be either", "must have one of", "{key: keys/alice.pub, certificate: {ca: [keys/corp.pem], identity: alice@example.com}}"),
		signer("keyless-no-issuer", "an identity without who vouches for it", "no issuer", "{keyless: {trustedRoot: keys/trusted_root.json, identity: alice@example.com}}"),
		signer("keyless-no-identity", "an issuer without whose identity", "no identity", "{keyless: {trustedRoot: keys/trusted_root.json, issuer: https://idp.example.com}}"),
		is("image-ssh", "images that only an SSH key is to sign, which signs none", "can never be met", aliceSigns+"images:\n  - {name: registry.example/team/**, signedBy: [dave]}\n"),
		is("image-stars", "two stars within a part of a path, which some take for any path", "stands for whole parts", "bundles:\n  - {name: edge, signedBy: [alice], images: {allow: [\"registry.example/te**\"]}}\n"),
		is("image-pattern", "a pattern of image names that fits nothing", "pattern", "bundles:\n  - {name: edge, signedBy: [alice], images: {deny: [\"registry.example/Team/**\"]}}\n"),
		trustCase("policy-missing", "the policy that is named is not there", exitIncomplete, "policy.yaml", flags, alice),
		making(trustCase("policy-fifo", "a FIFO in place of a policy", exitUsage, "not a regular file", flags, alice), "fifo policy.yaml"),
		making(trustCase("policy-found-link", "the user's policy is a link that leads nowhere, and somebody wants one", exitIncomplete, "policy.yaml", aliceOnly, alice),
			"folder config", "folder config/bale", "link config/bale/policy.yaml gone.yaml"),
		trustCase("policy-and-waiver", "a policy and its waiver contradict each other", exitUsage, "exclude each other", flags+" --insecure-ignore-policy", alice, policyOf(aliceSigns)),
	}
}

// stateWith remembers that a bundle was loaded.
func stateWith(name string, sequence uint64, sums []byte) attack.File {
	const form = `{
  "format": "bale-loaded",
  "version": 1,
  "loaded": [
    {
      "name": %q,
      "sequence": %d,
      "sums": %q,
      "id": "000102030405060708090a0b0c0d0e0f",
      "loaded": %q,
      "signers": [
        "somebody"
      ]
    }
  ]
}
`
	return text(trustState, fmt.Sprintf(form, name, sequence, digest.FromBytes(sums), trustMade.Add(time.Hour).Format(time.RFC3339)))
}

// orderCases are about bundles that are well signed, and not the one that is
// wanted now.
func (w *trustWorld) orderCases() []*attack.Case {
	alice := file(jsonEntry, w.by("alice", "edge"))
	const flags = aliceOnly + " --name edge"
	by := func(base string) attack.File { return file(jsonEntry, w.by("alice", base)) }
	return []*attack.Case{
		trustCase("replay", "a newer bundle of the name was loaded before", exitUntrusted, "older sequence 7", flags, alice, stateWith("edge", 9, w.sums["old"])),
		trustCase("replay-policy", "a newer bundle of the name was loaded before, and there is a policy and no name", exitUntrusted, "older sequence 7", "--policy policy.yaml", alice, stateWith("edge", 9, w.sums["old"]), policyOf(aliceSigns)),
		trustCase("replay-same", "another bundle of the same sequence was loaded before", exitUntrusted, "another bundle of the same sequence", flags, alice, stateWith("edge", 7, w.sums["old"])),
		trustCase("name-other", "a bundle of another name than the one that is wanted", exitUntrusted, "of the name edge, not core", aliceOnly+" --name core", alice),
		on("unnamed", trustCase("name-none", "a bundle without a name, and one with a name is wanted", exitUntrusted, "has no name", flags, by("unnamed"))),
		trustCase("state-altered", "the state file has a space more than bale writes", exitDamaged, "state.json", flags, alice,
			text(trustState, strings.Replace(string(stateWith("edge", 6, w.sums["old"]).Data), `"version": 1`, `"version":  1`, 1))),
		trustCase("state-none", "the state file is empty, as if nothing had been loaded", exitDamaged, "state.json", flags, alice, text(trustState, "")),
		making(trustCase("state-fifo", "a FIFO in place of the state file", exitDamaged, "not a regular file", flags, alice), "fifo "+trustState),
		on("expired", trustCase("expired", "the bundle has expired", exitUntrusted, "expired at 2026-01-02", aliceOnly, by("expired"))),
		on("future-expires", trustCase("future-expires", "a bundle of the year 2240 that expires: the clock cannot tell when", exitUntrusted, "cannot tell when", aliceOnly, by("future-expires"))),
	}
}

// imageCases are about the signatures that images carry.
func (w *trustWorld) imageCases() []*attack.Case {
	by := func(base string) attack.File { return file(jsonEntry, w.by("alice", base)) }
	demand := func(who string) attack.File {
		return policyOf(aliceSigns + "images:\n  - {name: registry.example/team/**, signedBy: [" + who + "]}\n")
	}
	const flags = "--policy policy.yaml --images"
	return []*attack.Case{
		trustCase("image-unsigned", "the image carries no signature, and the policy demands one", exitUntrusted, "no signature is attached", flags, by("edge"), demand("bob")),
		on("image-signed", trustCase("image-stranger", "the image is signed by another key than the policy demands", exitUntrusted, "is not signed", flags, by("image-signed"), demand("alice"))),
		on("image-signed-other", trustCase("image-other", "the image carries a signature for another image's digest", exitUntrusted, "another image", flags, by("image-signed-other"), demand("bob"))),
		on("image-posing", trustCase("image-posing", "an image that can be run poses as an attestation of a signed one, and is not signed", exitUntrusted, "no signature is attached", flags, by("image-posing"), demand("bob"))),
		on("image-signed", trustCase("image-flag-stranger", "the image is signed by another key than the command line demands", exitUntrusted, "is not signed", aliceOnly+" --images --image-key keys/carol.pub", by("image-signed"))),
		on("image-signed", trustCase("image-attestation", "the image is signed, and carries no attestation as it must", exitUntrusted, "has no attestation", aliceOnly+" --images --image-key keys/bob.pub --image-attestation spdx", by("image-signed"))),
		trustCase("image-key-ssh", "an SSH key signs no images", exitUsage, "sign images", aliceOnly+" --images --image-key keys/dave-ssh.pub", by("edge")),
	}
}
