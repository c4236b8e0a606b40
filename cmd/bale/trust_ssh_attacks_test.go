package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/pem"
	"slices"
	"testing"

	cryptossh "golang.org/x/crypto/ssh"

	"bale/sign/ssh"
	"bale/verify/attack"
)

// sshPair is an SSH key as the cases use it.
type sshPair struct {
	t    *testing.T
	key  *ssh.PrivateKey
	line []byte // of a .pub file
}

func (p *sshPair) sign(message []byte) []byte {
	p.t.Helper()
	s, err := p.key.Sign(p.t.Context(), message)
	if err != nil {
		p.t.Fatal(err)
	}
	return s.Data
}

// bobSSH is bob's RSA key in SSH's form.
func (w *trustWorld) bobSSH() *sshPair {
	w.t.Helper()
	priv := rsaKey(w.t)
	block, err := cryptossh.MarshalPrivateKey(priv, "")
	if err != nil {
		w.t.Fatal(err)
	}
	k, err := ssh.ParsePrivateKey(pem.EncodeToMemory(block), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := cryptossh.NewSignerFromKey(priv)
	if err != nil {
		w.t.Fatal(err)
	}
	return &sshPair{w.t, k, cryptossh.MarshalAuthorizedKey(s.PublicKey())}
}

// daveSSH is a signature by an SSH key over a base's SHA256SUMS.
func (w *trustWorld) daveSSH(base string) []byte {
	w.t.Helper()
	return armorSSH(w.sshsig("ed25519", w.sums[base], func(*sshSignature) {}))
}

// sshSignature is what makes up a signature of ssh-keygen -Y (PROTOCOL.sshsig);
// a case changes one thing.
type sshSignature struct {
	magic     string
	version   uint32
	key       []byte
	namespace string
	reserved  string
	hash      string // that it says
	hashed    string // that it is over
	algorithm string
	after     func(sig *cryptossh.Signature) // changes the signature proper
	more      []byte                         // at the end
}

// sshsig signs with a key of sign/ssh/testdata.
func (w *trustWorld) sshsig(name string, message []byte, change func(s *sshSignature)) []byte {
	w.t.Helper()
	raw, err := cryptossh.ParsePrivateKey(w.read("sign", "ssh", "testdata", name))
	if err != nil {
		w.t.Fatal(err)
	}
	k, ok := raw.(cryptossh.AlgorithmSigner)
	if !ok {
		w.t.Fatalf("%T", raw)
	}
	s := &sshSignature{magic: "SSHSIG", version: 1, key: k.PublicKey().Marshal(), namespace: "file", hash: "sha512"}
	change(s)
	if s.hashed == "" {
		s.hashed = s.hash
	}
	sum512, sum256 := sha512.Sum512(message), sha256.Sum256(message)
	sum := sum512[:]
	if s.hashed == "sha256" {
		sum = sum256[:]
	}
	over := append([]byte("SSHSIG"), cryptossh.Marshal(struct{ Namespace, Reserved, Hash, Sum string }{s.namespace, s.reserved, s.hash, string(sum)})...)
	sig, err := k.SignWithAlgorithm(rand.Reader, over, s.algorithm)
	if err != nil {
		w.t.Fatal(err)
	}
	if s.after != nil {
		s.after(sig)
	}
	out := append([]byte(s.magic), cryptossh.Marshal(struct {
		Version   uint32
		Key       []byte
		Namespace string
		Reserved  string
		Hash      string
		Signature []byte
	}{s.version, s.key, s.namespace, s.reserved, s.hash, cryptossh.Marshal(sig)})...)
	return append(out, s.more...)
}

// armorSSH is the form of the entry.
func armorSSH(blob []byte) []byte {
	var b bytes.Buffer
	b.WriteString("-----BEGIN SSH SIGNATURE-----\n")
	for part := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(blob)), 70) {
		b.Write(append(part, '\n'))
	}
	b.WriteString("-----END SSH SIGNATURE-----\n")
	return b.Bytes()
}

// sshCases are about SSH signatures by a key that is given.
func (w *trustWorld) sshCases() []*attack.Case {
	sums := w.sums["edge"]
	good := w.daveSSH("edge")
	dave := string(w.read("sign", "ssh", "testdata", "ed25519.pub"))
	is := func(code int, name, reason, says string, data []byte) *attack.Case {
		return trustCase("ssh-"+name, reason, code, says, "--key keys/dave-ssh.pub", file(sshEntry, data))
	}
	made := func(code int, name, reason, says string, change func(s *sshSignature)) *attack.Case {
		return is(code, name, reason, says, armorSSH(w.sshsig("ed25519", sums, change)))
	}
	rsa := func(name, reason, says string, change func(s *sshSignature)) *attack.Case {
		c := is(exitUntrusted, name, reason, says, armorSSH(w.sshsig("rsa", sums, change)))
		c.Verify[1] = "keys/rsa-ssh.pub"
		return c
	}
	allowed := func(name, reason, says, options string) *attack.Case {
		return trustCase("ssh-"+name, reason, exitUntrusted, says, "--key allowed_signers", file(sshEntry, good), text("allowed_signers", "dave@example.com "+options+" "+dave))
	}
	certificate, _, _, _, err := cryptossh.ParseAuthorizedKey(w.read("sign", "ssh", "testdata", "certified-cert.pub"))
	if err != nil {
		w.t.Fatal(err)
	}
	return []*attack.Case{
		is(exitUntrusted, "other-content", "an SSH signature over another bundle's SHA256SUMS", "does not fit", w.daveSSH("unnamed")),
		made(exitUntrusted, "namespace", "a signature for commits of Git", `"git"`, func(s *sshSignature) { s.namespace = "git" }),
		made(exitUntrusted, "namespace-longer", "a namespace that begins as the right one", "namespace", func(s *sshSignature) { s.namespace = "file\x00" }),
		made(exitUntrusted, "namespace-empty", "a signature for no namespace", "namespace", func(s *sshSignature) { s.namespace = "" }),
		made(exitUntrusted, "hash-sha1", "a signature over a SHA-1 of SHA256SUMS, as it says", "sha1", func(s *sshSignature) { s.hash, s.hashed = "sha1", "sha512" }),
		made(exitUntrusted, "hash-other", "a signature that says SHA-512 and is over SHA-256", "does not fit", func(s *sshSignature) { s.hashed = "sha256" }),
		made(exitUntrusted, "version", "a signature of version 2", "version 2", func(s *sshSignature) { s.version = 2 }),
		made(exitUntrusted, "reserved", "a signature with something where nothing is defined", "reserved", func(s *sshSignature) { s.reserved = "x" }),
		made(exitDamaged, "magic", "a blob that is no signature", "no SSH signature", func(s *sshSignature) { s.magic = "SSHSIH" }),
		made(exitDamaged, "more", "a signature with a byte after its end", "something added", func(s *sshSignature) { s.more = []byte{0} }),
		made(exitUntrusted, "format", "an ED25519 signature that says it is of ECDSA", "format", func(s *sshSignature) {
			s.after = func(sig *cryptossh.Signature) { sig.Format = cryptossh.KeyAlgoECDSA256 }
		}),
		made(exitUntrusted, "altered", "an SSH signature with a bit altered", "does not fit", func(s *sshSignature) {
			s.after = func(sig *cryptossh.Signature) { sig.Blob = flipped(sig.Blob) }
		}),
		made(exitDamaged, "short", "an SSH signature by ED25519 of too few bytes", "SHA256SUMS.sig", func(s *sshSignature) {
			s.after = func(sig *cryptossh.Signature) { sig.Blob = sig.Blob[:63] }
		}),
		made(exitUntrusted, "certificate", "a signature by an SSH certificate", "SSH certificate", func(s *sshSignature) { s.key = certificate.Marshal() }),
		made(exitUntrusted, "claimed", "another key's signature that says it is by the key", "does not fit", func(s *sshSignature) {
			s.after = func(sig *cryptossh.Signature) { sig.Blob = w.otherED25519(sums) }
		}),
		rsa("rsa-sha1", "an RSA signature over SHA-1 (ssh-rsa)", "SHA-1", func(s *sshSignature) { s.algorithm = cryptossh.KeyAlgoRSA }),
		rsa("rsa-renamed", "an RSA signature over SHA-256 that says SHA-512", "does not fit", func(s *sshSignature) {
			s.algorithm = cryptossh.KeyAlgoRSASHA256
			s.after = func(sig *cryptossh.Signature) { sig.Format = cryptossh.KeyAlgoRSASHA512 }
		}),
		is(exitUntrusted, "stranger", "an SSH signature by another key", "not signed by a given key", armorSSH(w.sshsig("rsa", sums, func(s *sshSignature) { s.algorithm = cryptossh.KeyAlgoRSASHA512 }))),
		is(exitDamaged, "armor-cut", "an armor without its end", "SHA256SUMS.sig", good[:len(good)-30]),
		is(exitDamaged, "armor-after", "text after the armor of SSH", "SHA256SUMS.sig", append(bytes.Clone(good), "hello\n"...)),
		is(exitDamaged, "armor-twice", "two armors of SSH in one entry", "SHA256SUMS.sig", append(bytes.Clone(good), good...)),
		is(exitDamaged, "empty", "an SSH entry without content", "SHA256SUMS.sig", nil),
		allowed("ended", "the line of allowed_signers ended years ago", "not valid after", `valid-before="20250101Z"`),
		allowed("to-come", "the line of allowed_signers begins in 2200", "not valid before", `valid-after="22000101Z"`),
		allowed("namespaces", "the line of allowed_signers is for Git only", "namespaces", `namespaces="git"`),
		allowed("namespaces-negated", "the line of allowed_signers is for all but files", "namespaces", `namespaces="!file,*"`),
	}
}

// otherED25519 is the signature proper of another ED25519 key.
func (w *trustWorld) otherED25519(message []byte) []byte {
	w.t.Helper()
	sum := sha512.Sum512(message)
	over := append([]byte("SSHSIG"), cryptossh.Marshal(struct{ Namespace, Reserved, Hash, Sum string }{"file", "", "sha512", string(sum[:])})...)
	k, err := cryptossh.ParsePrivateKey(w.read("testdata", "keys", "ed25519.pem"))
	if err != nil {
		w.t.Fatal(err)
	}
	sig, err := k.Sign(rand.Reader, over)
	if err != nil {
		w.t.Fatal(err)
	}
	return sig.Blob
}
