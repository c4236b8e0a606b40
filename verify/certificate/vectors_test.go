package certificate_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	trustrootpb "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"bale/bundle/container"
	"bale/bundle/fault"
	"bale/sign"
	cases "bale/verify/attack"
)

// update writes the cases of testdata/trust that are about certificates and are
// not there. Those of cmd/bale must be there already.
var update = flag.Bool("update", false, "write the missing cases of testdata/trust")

const (
	keylessBase = "keyless" // edge, with a good signature by alice's certificate
	rootFile    = "trusted_root.json"
	caFile      = "ca.pem"
	tsaFile     = "tsa.pem"
	asAlice     = "--certificate-identity " + alice + " --certificate-oidc-issuer " + idp
	byOwnRoot   = "--trusted-root " + rootFile + " "
	byCA        = "--ca " + caFile + " --certificate-identity " + alice
)

// keylessCases are attacks that others must refuse too: their keys in attacks,
// and what is wrong in words.
var keylessCases = []struct{ name, attack, reason string }{
	{"common-name", "common name is no subject", "a certificate with the address as its common name only"},
	{"dns-as-address", "DNS name that reads as an address", "a certificate with the address as a DNS name"},
	{"two-issuers", "two issuers", "a certificate that names two issuers"},
	{"two-subjects", "two subjects", "a certificate with two subjects, which Fulcio does not give out"},
	{"stranger-ca", "stranger's CA", "a certificate by a CA that is not in the trusted root, and has the same name"},
	{"self-signed", "signed itself", "a certificate that signed itself"},
	{"ca-as-leaf", "a CA's certificate", "a signature by the certificate of a CA"},
	{"wrong-usage", "no code signing", "a certificate for servers, not for signing code"},
	{"key-usage", "not to sign with", "a certificate whose key is not for signatures"},
	{"critical-extension", "unknown critical extension", "a certificate with a critical extension that is not known"},
	{"logged-late", "signed at another time", "logged when the certificate had ended"},
	{"stamped-late", "stamped too late", "stamped when the certificate had ended"},
	{"certificate-cut", "certificate cut", "a certificate whose DER is cut off"},
	{"certificate-trailing", "certificate and more", "a certificate with a byte after its DER"},
	{"certificate-swapped", "certificate swapped for another of hers", "another certificate for the same person in place of the one that signed"},
	{"certificate-chain", "a chain", "a chain, where all that counts is in the trusted root"},
	{"weak-rsa", "weak RSA key", "a certificate with an RSA key of 1024 bits"},
	{"weak-curve", "weak curve", "a certificate with a key on the curve P-224"},
	{"sha1", "SHA-1", "a signature over a SHA-1 digest"},
	{"sct-none", "no SCT", "a certificate without the timestamp of a certificate log"},
	{"sct-stranger", "SCT by a stranger", "a certificate with the timestamp of a log that is not in the trusted root"},
	{"log-none", "no log entry", "no entry in a log"},
	{"log-unknown", "stranger's log", "an entry in a log that is not in the trusted root"},
	{"log-twice", "entry twice", "one log entry that is there twice"},
	{"log-body", "body altered", "a log entry whose body was altered"},
	{"log-promise", "promise altered", "a log entry whose promise (SET) was altered"},
	{"log-no-promise", "no promise", "a log entry without the promise that proves its time"},
	{"log-promise-only", "no proof", "a log entry with a promise and no proof"},
	{"log-proof", "proof altered", "a log entry whose proof of inclusion was altered"},
	{"log-proof-size", "proof's size", "a log entry with a proof for another size of the log than its checkpoint has"},
	{"log-checkpoint", "checkpoint altered", "a log entry whose checkpoint was altered"},
	{"log-checkpoint-stranger", "checkpoint by a stranger", "a log entry with a checkpoint by another log"},
	{"log-other", "entry of another signature", "the log entry of another signature"},
	{"log-other-digest", "logged: another digest", "a log entry that is for another digest"},
	{"log2-proof", "2: proof altered", "an entry of Rekor 2 whose proof was altered"},
	{"stamp-none", "2: no time", "no timestamp, and nothing else that proves the time"},
	{"stamp-stranger", "timestamp by a stranger", "a timestamp by a stranger only"},
	{"stamp-other", "timestamp of another signature", "a timestamp of another signature only"},
	{"stamp-altered", "timestamp altered", "a timestamp with a bit altered"},
	{"stamp-code-signer", "timestamp by a code signer", "a timestamp by a certificate that is not for timestamps"},
}

// rootCases refuse the good signature by an altered trusted root.
var rootCases = []struct{ name, attack, reason string }{
	{"ca-ended", "CA no longer in use", "the trusted root says that the CA was given up before"},
	{"ca-to-come", "CA not yet in use", "the trusted root says that the CA was used only later"},
	{"log-ended", "log no longer in use", "the trusted root says that the log was given up before"},
	{"stamp-ended", "timestamp authority not in use", "the trusted root says that the timestamp authority was given up before"},
}

// exitOf is the exit code for a kind of refusal. What no key vouches for in a
// form that is known is not trusted.
func exitOf(kind error) int {
	switch kind {
	case fault.ErrUsage:
		return 2
	case fault.ErrDamaged:
		return 3
	default:
		return 4
	}
}

func TestTrustCases(t *testing.T) {
	edge, err := cases.Sums("edge")
	if err != nil {
		t.Fatal(err)
	}
	old := sums
	sums = edge
	t.Cleanup(func() { sums = old })
	for _, c := range append(instanceCases(t), corpCases(t)...) {
		if *update {
			if _, err := c.Write(); err != nil {
				t.Fatal(err)
			}
		}
		kept, err := cases.Read(c.Name)
		if err != nil {
			t.Error(err)
			continue
		}
		if kept.Reason != c.Reason || kept.Exit != c.Exit || kept.Error != c.Error {
			t.Errorf("%s: %+v is kept, want %+v", c.Name, kept, c)
		}
	}
}

func entryFile(pb *bundlepb.Bundle) cases.File {
	return cases.File{Name: container.SigstoreName, Data: append(must(protojson.Marshal(pb)), '\n')}
}

func textFile(name, text string) cases.File { return cases.File{Name: name, Data: []byte(text)} }

func certificateCase(name, reason, base string, exit int, says, args string, files ...cases.File) *cases.Case {
	return &cases.Case{
		Name: name, Reason: reason, Base: base, Verify: strings.Fields(args), Exit: exit, Load: exit, Error: says, Files: files,
	}
}

// instanceCases are about keyless signatures by one Sigstore instance.
func instanceCases(t *testing.T) []*cases.Case {
	t.Helper()
	i := newInstance()
	all := attacks(i)
	good := entryFile(i.sign(order{}))
	own := cases.File{Name: rootFile, Data: append(i.trustedRoot(nil), '\n')}
	rootPath, fresh := "keys/"+rootFile, false
	if *update {
		var err error
		if fresh, err = cases.WriteNew(cases.Dir(cases.Keys, rootFile), own.Data); err != nil {
			t.Fatal(err)
		}
		if fresh {
			base := certificateCase("", "", "edge", 0, "", "", good)
			if err := os.WriteFile(cases.BasePath(keylessBase), must(base.Bundle()), 0o644); err != nil { //nolint:gosec // test data is for everybody
				t.Fatal(err)
			}
		} else {
			// What is added later is by another instance, whose root comes along.
			rootPath = rootFile
		}
	}
	root := "--trusted-root " + rootPath + " "
	with := func(files ...cases.File) []cases.File {
		if *update && !fresh && !slices.ContainsFunc(files, func(f cases.File) bool { return f.Name == rootFile }) {
			files = append(files, own)
		}
		return files
	}
	// is a case with the good signature.
	is := func(name, reason string, exit int, says, args string, files ...cases.File) *cases.Case {
		if !*update || fresh {
			return certificateCase(name, reason, keylessBase, exit, says, args, files...)
		}
		return certificateCase(name, reason, "edge", exit, says, args, with(append(files, good)...)...)
	}
	list := []*cases.Case{
		is("good-keyless", "nothing: a keyless signature with a log entry and a timestamp", 0, "", root+asAlice),
		certificateCase("good-keyless-2", "nothing: a keyless signature in a log of Rekor 2", "edge", 0, "", root+asAlice, with(entryFile(i.sign(order{two: true})))...),
		is("good-keyless-regexp", "nothing: a regular expression that matches all of the identity", 0, "",
			root+`--certificate-identity-regexp [a-z]+@example\.com --certificate-oidc-issuer `+idp),
		is("good-keyless-policy", "nothing: a policy that asks for a keyless signature", 0, "", "--policy policy.yaml", policyWith(rootPath, "identity: "+alice+", issuer: "+idp)),

		is("keyless-other-subject", "somebody else must have signed", 4, "by a certificate for "+alice, root+"--certificate-identity bob@example.com --certificate-oidc-issuer "+idp),
		is("keyless-other-issuer", "somebody else must have vouched for the identity", 4, "by a certificate for "+alice, root+"--certificate-identity "+alice+" --certificate-oidc-issuer https://idp.example.org"),
		is("keyless-regexp-part", "a regular expression that matches a part of the identity", 4, "by a certificate for "+alice, root+"--certificate-identity-regexp alice --certificate-oidc-issuer "+idp),
		is("keyless-regexp-alternative", "a regular expression whose last alternative ends like the identity", 4, "by a certificate for "+alice, root+`--certificate-identity-regexp bob@|lice@example\.com --certificate-oidc-issuer `+idp),
		is("keyless-issuer-part", "a regular expression that matches a part of the issuer", 4, "by a certificate for "+alice, root+"--certificate-identity "+alice+" --certificate-oidc-issuer-regexp https://idp"),
		is("keyless-key", "a key must have signed, and a certificate has", 4, "by a certificate", "--key keys/alice.pub"),
		is("keyless-policy-other", "a policy asks for the certificate of somebody else", 4, "by a certificate for "+alice, "--policy policy.yaml", policyWith(rootPath, "identity: bob@example.com, issuer: "+idp)),
		is("keyless-policy-regexp", "a policy whose regular expression matches a part of the identity", 4, "by a certificate for "+alice, "--policy policy.yaml", policyWith(rootPath, "identityRegexp: alice@, issuer: "+idp)),

		is("keyless-overlap", "one person is meant by two signers of a policy, and two must have signed", 4, "has 1", "--policy policy.yaml",
			textFile("policy.yaml", "version: 1\nsigners:\n  ann: {keyless: {trustedRoot: "+rootPath+", identity: "+alice+", issuer: "+idp+"}}\n"+
				"  anybody: {keyless: {trustedRoot: "+rootPath+", identityRegexp: \".*\", issuer: "+idp+"}}\n"+
				"roles:\n  two: {signers: [ann, anybody], threshold: 2}\nbundles:\n  - {name: edge, signedBy: [two]}\n")),

		is("root-no-issuer", "an identity of a Sigstore instance without who vouches for it", 2, "issuer", root+"--certificate-identity "+alice),
		is("root-no-identity", "a trusted root, and nobody who must have signed", 2, "nobody was named", root),
		is("root-none", "an identity, and no trusted root to check certificates with", 2, "nothing was given to check certificates with", asAlice),
		is("root-missing", "the trusted root is not there", 5, rootFile, byOwnRoot+asAlice),
		is("root-empty", "a trusted root without content", 2, rootFile, byOwnRoot+asAlice, textFile(rootFile, "")),
		is("root-no-json", "a trusted root that is no JSON", 2, rootFile, byOwnRoot+asAlice, textFile(rootFile, "{\n")),
		is("root-is-key", "a public key in place of a trusted root", 2, rootFile, byOwnRoot+asAlice, textFile(rootFile, "-----BEGIN PUBLIC KEY-----\n")),
	}
	altered := func(name, reason string, exit int, says string, change func(*trustrootpb.TrustedRoot)) {
		list = append(list, is("root-"+name, reason, exit, says, byOwnRoot+asAlice,
			cases.File{Name: rootFile, Data: append(i.trustedRoot(change), '\n')}))
	}
	altered("media-type", "a trusted root of another version", 1, "another version", func(r *trustrootpb.TrustedRoot) {
		r.MediaType = "application/vnd.dev.sigstore.trustedroot+json;version=9"
	})
	altered("no-ca", "a trusted root without a CA", 2, rootFile, func(r *trustrootpb.TrustedRoot) { r.CertificateAuthorities = nil })
	altered("no-log", "a trusted root without logs and without timestamp authorities: nothing could prove a time", 2, rootFile, func(r *trustrootpb.TrustedRoot) {
		r.Tlogs, r.TimestampAuthorities = nil, nil
	})
	stranger := newInstance()
	altered("other", "the trusted root of another instance", 4, "is not by a CA in the trusted root", func(r *trustrootpb.TrustedRoot) {
		must(0, protojson.Unmarshal(stranger.trustedRoot(nil), r))
	})
	for _, c := range rootCases {
		a := all[c.attack]
		altered(c.name, c.reason, 4, a.want, a.change)
	}
	for _, c := range keylessCases {
		a, ok := all[c.attack]
		if !ok || a.change != nil || a.message != nil || a.who.Subject+a.who.SubjectRegexp != "" {
			t.Fatalf("no such attack: %s", c.attack)
		}
		list = append(list, certificateCase("keyless-"+c.name, c.reason, "edge", exitOf(a.kind), a.want, root+asAlice, with(entryFile(i.sign(a.order)))...))
	}
	return list
}

// policyWith is a policy that asks for a keyless signature.
func policyWith(root, who string) cases.File {
	return textFile("policy.yaml", "version: 1\nsigners:\n  release: {keyless: {trustedRoot: "+root+", "+who+"}}\nbundles:\n  - {name: edge, signedBy: [release]}\n")
}

// corpCases are about certificates of an organisation's own CA, which live as
// long as these cases.
func corpCases(t *testing.T) []*cases.Case {
	t.Helper()
	long := time.Date(2126, 1, 1, 0, 0, 0, 0, time.UTC)
	authority := func(by *pair, cn string, change func(*x509.Certificate)) *pair {
		template := caTemplate(cn)
		template.NotAfter = long
		if change != nil {
			change(&template)
		}
		return issue(by, newKey(), template)
	}
	c := &corp{root: authority(nil, "Corp CA", nil)}
	c.sub, c.tsa = authority(c.root, "Corp sub CA", nil), newTSA(c.root)
	other := &corp{root: authority(nil, "Corp CA", nil)}
	other.tsa = newTSA(other.root)
	pemOf := func(list ...*pair) []byte {
		var b []byte
		for _, p := range list {
			b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Raw})...)
		}
		return b
	}
	ca := cases.File{Name: caFile, Data: pemOf(c.root)}
	tsa := cases.File{Name: tsaFile, Data: pemOf(c.root)}
	// entry is a signature by a certificate that ends in a hundred years.
	entry := func(o own) cases.File {
		change := o.leaf
		o.leaf = func(l *x509.Certificate) {
			l.NotAfter = long
			if change != nil {
				change(l)
			}
		}
		return entryFile(o.sign(c))
	}
	year := func(l *x509.Certificate) { l.NotAfter = then.AddDate(0, 2, 0) }
	by := func(p *pair, at time.Time) func([]byte) [][]byte {
		return func(sig []byte) [][]byte { return [][]byte{stamp(p, sig, at, crypto.SHA256)} }
	}
	const stamped = " --timestamp-authority " + tsaFile
	month := then.AddDate(0, 1, 0)
	is := func(name, reason string, exit int, says, args string, files ...cases.File) *cases.Case {
		return certificateCase(name, reason, "edge", exit, says, args, files...)
	}
	no := func(name, reason, says string, o own) *cases.Case {
		return is("ca-"+name, reason, 4, says, byCA, entry(o), ca)
	}
	plain := entry(own{})
	carol := must(sign.LoadPrivateKey("../../testdata/keys/sec1.pem", nil))
	byKey := must(carol.Sign(t.Context(), sums))
	block, _ := pem.Decode(must(os.ReadFile("../../testdata/keys/sec1.pem")))
	byBoth := entry(own{key: must(x509.ParseECPrivateKey(block.Bytes))})
	byBoth.Name += ".1"
	return []*cases.Case{
		is("good-ca", "nothing: a certificate by an own CA that is valid now", 0, "", byCA, plain, ca),
		is("good-ca-below", "nothing: a certificate by a CA below the own one, which comes along", 0, "", byCA, entry(own{by: c.sub, chain: []*pair{c.sub}}), ca),
		is("good-ca-stamped", "nothing: a certificate that has ended, and a timestamp from before", 0, "", byCA+stamped, entry(own{leaf: year, stamps: by(c.tsa, month)}), ca, tsa),

		no("ended", "a certificate that has ended", "and now it is", own{leaf: year}),
		no("to-come", "a certificate that begins in 2120", "and now it is", own{leaf: func(l *x509.Certificate) { l.NotBefore = long.AddDate(-6, 0, 0) }}),
		no("stranger", "a certificate by another CA of the same name", "is not by a CA that was given", own{by: other.root}),
		no("brought", "a certificate by another CA, which comes along", "unknown authority", own{by: other.root, chain: []*pair{other.root}}),
		no("below-missing", "a certificate by a CA below the own one, which is nowhere", "is not by a CA that was given", own{by: c.sub}),
		no("by-leaf", "a certificate by a certificate that is no CA", "is not by a CA", func() own {
			leaf := issue(c.root, newKey(), func() x509.Certificate { l := leafTemplate(); l.NotAfter = long; return l }())
			return own{by: leaf, chain: []*pair{leaf}}
		}()),
		no("names", "a certificate by a CA that may give out other names only", "no chain to a CA", func() own {
			sub := authority(c.root, "Other mail CA", func(x *x509.Certificate) { x.PermittedEmailAddresses = []string{"example.org"} })
			return own{by: sub, chain: []*pair{sub}}
		}()),
		no("path-length", "a certificate by a CA below one that must have none below", "no chain to a CA", func() own {
			last := authority(c.root, "Last CA", func(x *x509.Certificate) { x.MaxPathLenZero = true })
			below := authority(last, "Below CA", nil)
			return own{by: below, chain: []*pair{last, below}}
		}()),
		no("sub-ended", "a certificate by a CA that has ended", "no chain to a CA", func() own {
			sub := authority(c.root, "Ended CA", func(x *x509.Certificate) { x.NotAfter = then.AddDate(0, 1, 0) })
			return own{by: sub, chain: []*pair{sub}}
		}()),
		no("weak-sub", "a certificate by a CA with an RSA key of 1024 bits below the own one", "RSA key of 1024 bits", func() own {
			template := caTemplate("Weak CA")
			template.NotAfter = long
			sub := issue(c.root, must(rsa.GenerateKey(rand.Reader, 1024)), template)
			return own{by: sub, chain: []*pair{sub}}
		}()),
		no("other-name", "a certificate for somebody else by the own CA", "by a certificate for bob@example.com", own{leaf: func(l *x509.Certificate) { l.EmailAddresses = []string{"bob@example.com"} }}),
		no("escapes", "a certificate whose names act on terminals, for somebody else", "not signed by a given key", own{leaf: func(l *x509.Certificate) {
			l.Subject.CommonName = "\x1b[2Jgood"
			l.EmailAddresses = []string{"\x1b[2J\x1b]0;good\aalice@example.org"}
		}}),
		no("weak-key", "a certificate with an RSA key of 1024 bits by the own CA", "1024 bits", own{key: must(rsa.GenerateKey(rand.Reader, 1024))}),
		no("sha1", "a certificate that the own CA signed over SHA-1", "weak algorithm ECDSA-SHA1", own{leaf: func(l *x509.Certificate) { l.SignatureAlgorithm = x509.ECDSAWithSHA1 }}),
		no("wrong-usage", "a certificate for servers by the own CA", "is not for code signing", own{leaf: func(l *x509.Certificate) { l.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }}),
		no("not-hers", "a certificate beside the signature of another key", "does not fit", own{change: func(pb *bundlepb.Bundle) {
			pb.GetMessageSignature().Signature = signDigest(newKey(), nil, sha(sums), crypto.SHA256)
		}}),
		is("ca-and-key", "one key signed as such and with a certificate, and two signers are asked for", 4, "has 1", byCA+" --key keys/carol.pub --threshold 2",
			cases.File{Name: container.SigstoreName, Data: append(byKey.Data, '\n')}, byBoth, ca),
		is("ca-unused", "a CA comes along that is no part of the chain", 3, "no part of its chain", byCA, entry(own{chain: []*pair{c.sub}}), ca),
		is("ca-no-stamp", "a timestamp authority is given, and there is no timestamp", 4, "no timestamp by a timestamp authority", byCA+stamped, plain, ca, tsa),
		is("ca-stamp-stranger", "a timestamp by a stranger, with the own CA", 4, "has no timestamp", byCA+stamped, entry(own{leaf: year, stamps: by(other.tsa, month)}), ca, tsa),
		is("ca-stamp-other", "a timestamp of another signature, with the own CA", 4, "has no timestamp", byCA+stamped,
			entry(own{leaf: year, stamps: func([]byte) [][]byte { return by(c.tsa, month)([]byte("other")) }}), ca, tsa),
		is("ca-stamp-late", "a timestamp from when the own CA's certificate had ended", 4, "and it was signed at 2026-07-01", byCA+stamped, entry(own{leaf: year, stamps: by(c.tsa, then.AddDate(0, 4, 0))}), ca, tsa),
		is("ca-file-leaf", "a certificate that is no CA is given as one", 2, "is not the certificate of a CA", byCA, plain, cases.File{Name: caFile, Data: pemOf(issue(c.root, newKey(), leafTemplate()))}),
		is("ca-file-below", "a CA below another is given alone", 2, "is below another", byCA, plain, cases.File{Name: caFile, Data: pemOf(c.sub)}),
		is("ca-file-key", "a private key is given as a CA", 2, caFile, byCA, plain, textFile(caFile, string(must(os.ReadFile("../../testdata/keys/ed25519.pem"))))),
		is("ca-file-empty", "an empty file is given as a CA", 2, caFile, byCA, plain, textFile(caFile, "")),
		is("ca-and-root", "a CA and a trusted root, of which one would be passed over", 2, "exclude each other", "--trusted-root keys/"+rootFile+" "+byCA, plain, ca),
		is("ca-nobody", "a CA, and nobody whose certificate must have signed", 2, "nobody was named", "--ca "+caFile, plain, ca),
	}
}
