package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bale/bundle/container"
	"bale/sign"
	"bale/verify/attack"
)

// Who signs in the cases: names in testdata/trust/keys, and the private halves
// in testdata/keys.
var trustSigners = map[string]string{
	"alice":   "ed25519",
	"bob":     "rsa",
	"carol":   "sec1",
	"mallory": "secp384r1", // whom nobody trusts
}

// trustWorld makes what the cases are made of.
type trustWorld struct {
	t    *testing.T
	sums map[string][]byte // of bases
}

// writeTrust writes what is missing in testdata/trust. The cases about
// certificates come from verify/certificate.
func writeTrust(t *testing.T) {
	t.Helper()
	for _, dir := range []string{attack.Cases, attack.Bases, attack.Keys} {
		if err := os.MkdirAll(attack.Dir(dir), 0o755); err != nil { //nolint:gosec // test data is for everybody
			t.Fatal(err)
		}
	}
	w := &trustWorld{t: t, sums: make(map[string][]byte)}
	for _, b := range trustBases() {
		b.write(t)
		var err error
		if w.sums[b.name], err = attack.Sums(b.name); err != nil {
			t.Fatal(err)
		}
	}
	w.writeKeys()
	seen := make(map[string]bool)
	for _, c := range slices.Concat(w.goodCases(), w.signatureCases(), w.sigstoreCases(), w.keyFileCases(), w.sshCases(),
		w.openpgpCases(), w.policyCases(), w.policyFileCases(), w.orderCases(), w.imageCases()) {
		if seen[c.Name] {
			t.Errorf("%s is there twice", c.Name)
		}
		seen[c.Name] = true
		if _, err := c.Write(); err != nil {
			t.Fatal(err)
		}
	}
}

// writeKeys keeps the public keys that several cases use.
func (w *trustWorld) writeKeys() {
	w.t.Helper()
	for name, file := range trustSigners {
		w.keep(name+".pub", w.read("testdata", "keys", file+".pub"))
	}
	w.keep("bob-ssh.pub", w.bobSSH().line)
	w.keep("bob-pgp.asc", w.bobPGP().public)
	w.keep("dave-ssh.pub", w.read("sign", "ssh", "testdata", "ed25519.pub"))
	w.keep("rsa-ssh.pub", w.read("sign", "ssh", "testdata", "rsa.pub"))
	w.keep("erin.asc", w.read("sign", "openpgp", "testdata", "ed25519.pub.asc"))
	w.keep("subkey.asc", w.read("sign", "openpgp", "testdata", "subkey.pub.asc"))
}

func (w *trustWorld) keep(name string, data []byte) {
	w.t.Helper()
	if _, err := attack.WriteNew(attack.Dir(attack.Keys, name), data); err != nil {
		w.t.Fatal(err)
	}
}

// read reads a file of the project.
func (w *trustWorld) read(elem ...string) []byte {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{testdata(w.t, "..")}, elem...)...))
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

// trustCase makes a case of the base edge; see the methods for others.
func trustCase(name, reason string, exit int, says, args string, files ...attack.File) *attack.Case {
	return &attack.Case{
		Name: name, Reason: reason, Base: "edge", Verify: strings.Fields(args), Exit: exit, Load: exit, Error: says, Files: files,
	}
}

// on returns the case on another base, for which its files must be made too.
func on(base string, c *attack.Case) *attack.Case {
	c.Base = base
	return c
}

// making returns the case with things that no file can hold.
func making(c *attack.Case, things ...string) *attack.Case {
	c.Make = things
	return c
}

// The entries of the first signatures.
const (
	jsonEntry = container.SigstoreName
	sshEntry  = container.SSHName
	pgpEntry  = container.OpenPGPName
)

func file(name string, data []byte) attack.File { return attack.File{Name: name, Data: data} }

func text(name, data string) attack.File { return attack.File{Name: name, Data: []byte(data)} }

// entry is the n-th signature of a form.
func entry(name string, n int, data []byte) attack.File {
	if n > 0 {
		name = fmt.Sprintf("%s.%d", name, n)
	}
	return attack.File{Name: name, Data: data}
}

// by is a signature over a base's SHA256SUMS.
func (w *trustWorld) by(who, base string) []byte { return w.over(who, w.sums[base]) }

// over is a signature over a message.
func (w *trustWorld) over(who string, message []byte) []byte {
	w.t.Helper()
	k, err := sign.LoadPrivateKey(testdata(w.t, "keys", trustSigners[who]+".pem"), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := k.Sign(w.t.Context(), message)
	if err != nil {
		w.t.Fatal(err)
	}
	return append(bytes.TrimSuffix(s.Data, []byte("\n")), '\n')
}

// altered is alice's signature with something else in it.
func (w *trustWorld) altered(who string, change func(v map[string]any)) []byte {
	w.t.Helper()
	var v map[string]any
	if err := json.Unmarshal(w.by(who, "edge"), &v); err != nil {
		w.t.Fatal(err)
	}
	change(v)
	return append(mustJSON(w.t, v), '\n')
}

// at returns the object in v that a path leads to.
func at(v map[string]any, path ...string) map[string]any {
	for _, p := range path {
		v = v[p].(map[string]any) //nolint:forcetypeassert // the test's own
	}
	return v
}

const aliceOnly = "--key keys/alice.pub"

func (w *trustWorld) goodCases() []*attack.Case {
	alice := file(jsonEntry, w.by("alice", "edge"))
	return []*attack.Case{
		trustCase("good-key", "nothing: signed by the key that is given", 0, "", aliceOnly, alice),
		trustCase("good-ecdsa", "nothing: signed by an ECDSA key", 0, "", "--key keys/carol.pub", file(jsonEntry, w.by("carol", "edge"))),
		trustCase("good-ssh", "nothing: signed by an SSH key", 0, "", "--key keys/dave-ssh.pub", file(sshEntry, w.daveSSH("edge"))),
		trustCase("good-openpgp", "nothing: signed by an OpenPGP key", 0, "", "--key keys/erin.asc", file(pgpEntry, w.erin(w.sums["edge"]))),
		trustCase("good-openpgp-subkey", "nothing: signed by a subkey that signed back", 0, "", "--key keys/subkey.asc", file(pgpEntry, w.pgpBy("subkey", w.sums["edge"]))),
		trustCase("good-second-signer", "nothing: a stranger's signature beside the one that counts", 0, "", aliceOnly,
			file(jsonEntry, w.by("mallory", "edge")), entry(jsonEntry, 1, w.by("alice", "edge"))),
		trustCase("good-unknown-form", "nothing: a signature of an unknown form is passed over", 0, "", aliceOnly, alice, text("SHA256SUMS.p7s", "x\n")),
		trustCase("good-form-not-asked-for", "nothing: an SSH entry is not parsed where no SSH key is given", 0, "", aliceOnly, alice, text(sshEntry, "nonsense\n")),
		trustCase("good-two-of-three", "nothing: two of three have signed, in two forms", 0, "",
			"--threshold 2 --key keys/alice.pub --key keys/carol.pub --key keys/dave-ssh.pub", alice, file(sshEntry, w.daveSSH("edge"))),
		trustCase("good-policy", "nothing: a policy with a role of two", 0, "", "--policy policy.yaml", alice, entry(jsonEntry, 1, w.by("bob", "edge")),
			policyOf("roles:\n  both: {signers: [alice, bob], threshold: 2}\nbundles:\n  - {name: edge, signedBy: [both], minSequence: 7, requireExpiry: true, platforms: [linux/amd64], images: {allow: [registry.example/team/**], deny: [\"**:latest\"]}}\n")),
		trustCase("good-policy-found", "nothing: the policy of the user's config folder lets it through", 0, "", "", alice,
			text("config/bale/policy.yaml", policyHead("../../keys/")+"bundles:\n  - {name: edge, signedBy: [alice]}\n")),
		on("unnamed", trustCase("good-policy-unnamed", "nothing: the policy has a rule for bundles without a name", 0, "", "--policy policy.yaml", file(jsonEntry, w.by("alice", "unnamed")),
			policyOf("bundles:\n  - {unnamed: true, signedBy: [alice]}\n"))),
		on("expired", trustCase("good-expired-waived", "nothing: it has expired, and the user takes it all the same", 0, "", aliceOnly+" --insecure-ignore-expiry", file(jsonEntry, w.by("alice", "expired")))),
		on("old", trustCase("good-age-waived", "nothing: it is too old for the policy, and the user takes it all the same", 0, "", "--policy policy.yaml --insecure-ignore-age", file(jsonEntry, w.by("alice", "old")),
			policyOf("bundles:\n  - {name: edge, signedBy: [alice], maxAge: 90d, minSequence: 2}\n"))),
		on("future", trustCase("good-future", "nothing but a warning: a bundle that never expires was made in the future", 0, "", aliceOnly, file(jsonEntry, w.by("alice", "future")))),
		trustCase("good-sequence", "nothing: an older bundle was loaded before", 0, "", aliceOnly+" --name edge", alice, stateWith("edge", 6, w.sums["old"])),
		trustCase("good-sequence-again", "nothing: this very bundle was loaded before", 0, "", aliceOnly+" --name edge", alice, stateWith("edge", 7, w.sums["edge"])),
		on("image-signed", trustCase("good-image-signed", "nothing: its image carries the signature that the policy demands", 0, "", "--policy policy.yaml --images", file(jsonEntry, w.by("alice", "image-signed")),
			policyOf("bundles:\n  - {name: edge, signedBy: [alice]}\nimages:\n  - {name: registry.example/team/**, signedBy: [bob]}\n"))),
		trustCase("good-allowed-signers", "nothing: the key is in a line of allowed_signers for files", 0, "", "--key allowed_signers", file(sshEntry, w.daveSSH("edge")),
			text("allowed_signers", "dave@example.com namespaces=\"file,git\",valid-after=\"20250101Z\" "+string(w.read("sign", "ssh", "testdata", "ed25519.pub")))),
		trustCase("good-policy-and-key", "nothing: what the policy asks for and the key of the command line have both signed", 0, "", "--policy policy.yaml --key keys/carol.pub",
			alice, entry(jsonEntry, 1, w.by("carol", "edge")), policyOf("bundles:\n  - {name: edge, signedBy: [alice]}\n")),
	}
}

// signatureCases are about who signed what.
func (w *trustWorld) signatureCases() []*attack.Case {
	alice, mallory := w.by("alice", "edge"), w.by("mallory", "edge")
	sums := w.sums["edge"]
	header := bytes.Replace(w.entryOf("edge", container.HeaderName), []byte(`"sequence": 7`), []byte(`"sequence": 9`), 1)
	no := func(name, reason, says, args string, files ...attack.File) *attack.Case {
		return trustCase(name, reason, exitUntrusted, says, args, files...)
	}
	var many []attack.File
	for n := range container.MaxSignatureEntries + 1 {
		many = append(many, text(fmt.Sprintf("SHA256SUMS.x%03d", n), "x\n"))
	}
	claim := func(v map[string]any) {
		var m map[string]any
		if err := json.Unmarshal(mallory, &m); err != nil {
			w.t.Fatal(err)
		}
		v["messageSignature"] = m["messageSignature"]
	}
	return []*attack.Case{
		no("unsigned", "nobody signed it", "is not signed", aliceOnly),
		no("stranger", "signed by a key that nobody knows", "not signed by a given key", aliceOnly, file(jsonEntry, mallory)),
		no("stripped", "of the two signatures that are asked for one was taken away", "needs all of", "--threshold 2 --key keys/alice.pub --key keys/carol.pub", file(jsonEntry, alice)),
		no("replaced", "a stranger's signature in place of the SSH key's", "not signed by a given key", "--key keys/dave-ssh.pub", file(jsonEntry, mallory)),
		no("other-content", "the key's signature over SHA256SUMS with a line more", "with the digest", aliceOnly, file(jsonEntry, w.over("alice", append(bytes.Clone(sums), sums...)))),
		no("other-bundle", "the key's signature over another bundle's SHA256SUMS", "with the digest", aliceOnly, file(jsonEntry, w.by("alice", "unnamed"))),
		no("other-bundle-beside", "a signature over another bundle beside a good one by another given key", "with the digest", "--key keys/alice.pub --key keys/carol.pub",
			file(jsonEntry, w.by("carol", "edge")), entry(jsonEntry, 1, w.by("alice", "unnamed"))),
		trustCase("sums-of-another", "SHA256SUMS and signature of another bundle over these entries", exitDamaged, "SHA256SUMS", aliceOnly,
			file(container.SumsName, w.sums["unnamed"]), file(jsonEntry, w.by("alice", "unnamed"))),
		no("sums-altered", "a digit of SHA256SUMS was altered after signing", "with the digest", aliceOnly, file(container.SumsName, bytes.Replace(sums, []byte("a"), []byte("b"), 1)), file(jsonEntry, alice)),
		no("sums-line-end", "SHA256SUMS with another line end at its end", "with the digest", aliceOnly, file(container.SumsName, append(sums[:len(sums)-1:len(sums)-1], "\r\n"...)), file(jsonEntry, alice)),
		trustCase("header-altered", "bale.json says another sequence than when it was signed", exitDamaged, "bale.json", aliceOnly, file(container.HeaderName, header), file(jsonEntry, alice)),
		trustCase("index-altered", "a bit of index.zst was altered after signing", exitDamaged, "index.zst", aliceOnly, file(container.IndexName, flipped(w.entryOf("edge", container.IndexName))), file(jsonEntry, alice)),
		trustCase("sums-empty", "SHA256SUMS is empty, and well signed", exitDamaged, "SHA256SUMS", aliceOnly, file(container.SumsName, nil), file(jsonEntry, w.over("alice", nil))),
		no("claimed", "a stranger's signature that says it is by the key", "does not fit", aliceOnly, file(jsonEntry, w.altered("alice", func(v map[string]any) {
			claim(v)
			at(v, "messageSignature")["messageDigest"] = map[string]any{"algorithm": "SHA2_256", "digest": digestOf(sums)}
		}))),
		no("claimed-beside", "a signature that says it is by the key and is not, beside a good one by it", "does not fit", aliceOnly, file(jsonEntry, alice),
			entry(jsonEntry, 1, w.altered("alice", func(v map[string]any) {
				at(v, "messageSignature")["signature"] = strings.Repeat("A", 86) + "=="
			}))),
		no("twice", "one key signed twice, and two are asked for", "has 1", "--threshold 2 --key keys/alice.pub --key keys/carol.pub", file(jsonEntry, alice), entry(jsonEntry, 1, alice)),
		no("three-forms", "one key signed in three forms, and two signers are asked for", "has 1", "--threshold 2 --key keys/bob.pub --key keys/bob-ssh.pub --key keys/bob-pgp.asc",
			file(jsonEntry, w.by("bob", "edge")), file(pgpEntry, w.bobPGP().sign(sums)), file(sshEntry, w.bobSSH().sign(sums))),
		no("two-names", "one key is given under two names, and two signers are asked for", "has 1", "--threshold 2 --key keys/alice.pub --key other.pub", file(jsonEntry, alice),
			file("other.pub", w.read("testdata", "keys", "ed25519.pub"))),
		no("two-lines", "one SSH key stands in two lines of allowed_signers, and two signers are asked for", "has 1", "--threshold 2 --key allowed_signers", file(sshEntry, w.daveSSH("edge")),
			text("allowed_signers", "dave@example.com "+string(w.read("sign", "ssh", "testdata", "ed25519.pub"))+"eve@example.com "+string(w.read("sign", "ssh", "testdata", "ed25519.pub")))),
		no("threshold", "one of three has signed, and two must", "has 1", "--threshold 2 --key keys/alice.pub --key keys/carol.pub --key keys/dave-ssh.pub", file(jsonEntry, alice)),
		no("threshold-strangers", "a stranger's signature does not make the second of two", "has 1", "--threshold 2 --key keys/alice.pub --key keys/carol.pub", file(jsonEntry, alice), entry(jsonEntry, 1, mallory)),
		trustCase("threshold-too-high", "more signers are asked for than are named", exitUsage, "2 signers out of 1", "--threshold 2 --key keys/alice.pub", file(jsonEntry, alice)),
		trustCase("threshold-zero", "nobody is asked for", exitUsage, "--threshold is 0", "--threshold 0 --key keys/alice.pub", file(jsonEntry, alice)),
		trustCase("nobody-asked-for", "no key is given and there is no policy", exitUsage, "no key was given", "", file(jsonEntry, alice)),
		no("unknown-form-only", "the only signature is of an unknown form", "unknown form", aliceOnly, file("SHA256SUMS.p7s", alice)),
		no("unknown-form-renamed", "the key's signature under a name that is one of a form but for the case", "unknown form", aliceOnly, file("SHA256SUMS.Sigstore.json", alice)),
		no("number-too-high", "the key's signature under a number beyond those that a form has", "unknown form", aliceOnly, file(jsonEntry+".32", alice)),
		no("number-zero", "the key's signature under the number 0, which no form has", "unknown form", aliceOnly, file(jsonEntry+".0", alice)),
		no("number-leading-zero", "the key's signature under a number with a zero in front", "unknown form", aliceOnly, file(jsonEntry, mallory), file(jsonEntry+".01", alice)),
		trustCase("damaged-beside", "an SSH entry that cannot be read beside a good signature, where an SSH key is given too", exitDamaged, "SHA256SUMS.sig", aliceOnly+" --key keys/dave-ssh.pub",
			file(jsonEntry, alice), text(sshEntry, "nonsense\n")),
		trustCase("sigstore-beside", "a Sigstore entry that cannot be read beside a good SSH signature", exitDamaged, "not JSON", "--key keys/dave-ssh.pub",
			text(jsonEntry, "nonsense\n"), file(sshEntry, w.daveSSH("edge"))),
		trustCase("entry-twice", "the entry of the signature is there twice", exitDamaged, "is there twice", aliceOnly, file(jsonEntry, alice), file(jsonEntry, alice)),
		trustCase("entry-order", "a second signature before the first", exitDamaged, "out of order", aliceOnly, entry(jsonEntry, 1, alice), file(jsonEntry, mallory)),
		trustCase("too-many", "more signatures than a bundle may have", exitDamaged, "more than 128 signatures", aliceOnly, append([]attack.File{file(jsonEntry, alice)}, many...)...),
		no("form-of-another", "an SSH signature in the entry of an OpenPGP one", "not signed by a given key", "--key keys/dave-ssh.pub", file(pgpEntry, w.daveSSH("edge"))),
	}
}

// entryOf returns an entry of a base.
func (w *trustWorld) entryOf(base, name string) []byte {
	w.t.Helper()
	entries, _, err := attack.Base(base)
	if err != nil {
		w.t.Fatal(err)
	}
	i := slices.IndexFunc(entries, func(f attack.File) bool { return f.Name == name })
	if i < 0 {
		w.t.Fatalf("%s has no %s", base, name)
	}
	return entries[i].Data
}

// flipped changes the bit in the middle.
func flipped(data []byte) []byte {
	data = bytes.Clone(data)
	data[len(data)/2] ^= 1
	return data
}
