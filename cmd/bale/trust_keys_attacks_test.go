package main

import (
	"bytes"
	"encoding/pem"
	"strings"

	"bale/verify/attack"
)

// keyFileCases are about what is given for a public key. The bundle is well
// signed by alice.
func (w *trustWorld) keyFileCases() []*attack.Case {
	alice := file(jsonEntry, w.by("alice", "edge"))
	pub := w.read("testdata", "keys", "ed25519.pub")
	key := func(code int, name, reason, says string, data []byte) *attack.Case {
		return trustCase("key-"+name, reason, code, says, "--key given.pub", alice, file("given.pub", data))
	}
	other := func(name, reason, says, from string) *attack.Case {
		return key(exitFailed, name, reason, says, w.read("testdata", "keys", from))
	}
	made := func(code int, name, reason, says string, things ...string) *attack.Case {
		return making(trustCase("key-"+name, reason, code, says, "--key given.pub", alice), things...)
	}
	block, _ := pem.Decode(pub)
	lines := strings.SplitAfter(string(pub), "\n")
	return []*attack.Case{
		key(exitUsage, "private", "a private key in place of the public one", "private key", w.read("testdata", "keys", "ed25519.pem")),
		key(exitUsage, "private-cosign", "an encrypted private key of cosign in place of the public one", "private key", w.read("testdata", "keys", "ecdsa.key")),
		key(exitUsage, "private-ssh", "an SSH private key in place of the public one", "private key", w.read("sign", "ssh", "testdata", "ed25519")),
		key(exitUsage, "private-openpgp", "an OpenPGP secret key in place of the public one", "private", w.read("sign", "openpgp", "testdata", "ed25519.key.asc")),
		key(exitUsage, "empty", "an empty key file", "given.pub", nil),
		key(exitUsage, "text", "a key file with text only", "given.pub", []byte("This is my key.\n")),
		key(exitUsage, "two-blocks", "two PEM keys in one file, of which one would be believed", "given.pub", append(bytes.Clone(pub), w.read("testdata", "keys", "rsa.pub")...)),
		key(exitUsage, "mixed", "an SSH key and a PEM key in one file, of which one would be believed", "holds a key in PEM form and an SSH key", append(w.read("sign", "ssh", "testdata", "ed25519.pub"), pub...)),
		key(exitUsage, "pem-cut", "a PEM key without its end", "given.pub", []byte(lines[0]+lines[1])),
		key(exitUsage, "pem-label", "a PEM key that begins as one thing and ends as another", "given.pub", bytes.Replace(pub, []byte("END PUBLIC KEY"), []byte("END RSA PUBLIC KEY"), 1)),
		key(exitUsage, "pem-base64", "a PEM key that is not base64", "given.pub", bytes.Replace(pub, []byte(lines[1][:4]), []byte("****"), 1)),
		key(exitUsage, "der-cut", "a PEM key whose DER is cut off", "given.pub", []byte(lines[0]+lines[1][:40]+"\n"+lines[2])),
		key(exitUsage, "der-trailing", "a PEM key with a byte after its DER", "trailing data", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: append(block.Bytes, 0)})),
		key(exitUsage, "certificate", "a certificate in place of a key", "given.pub", w.read("testdata", "keys", "certificate.pem")),
		other("rsa1024", "an RSA key of 1024 bits", "1024 bits", "rsa1024.pub"),
		other("p224", "a key on the curve P-224", "P-224", "secp224r1.pub"),
		key(exitUsage, "secp256k1", "a key on a curve that is not used", "unsupported elliptic curve", w.read("testdata", "keys", "secp256k1.pub")),
		other("dsa", "a DSA key", "given.pub", "dsa.pub"),
		other("x25519", "a key that is not for signing", "given.pub", "x25519.pub"),
		key(exitFailed, "ssh-dsa", "an SSH key of DSA", "ssh-dss", w.read("sign", "ssh", "testdata", "dsa.pub")),
		key(exitFailed, "ssh-rsa1024", "an SSH key of RSA with 1024 bits", "1024 bits", w.read("sign", "ssh", "testdata", "rsa1024.pub")),
		key(exitFailed, "ssh-certificate", "an SSH certificate in place of a key", "SSH certificate", w.read("sign", "ssh", "testdata", "certified-cert.pub")),
		key(exitFailed, "ssh-authority", "a CA of SSH certificates in a line of allowed_signers", "CA of SSH", w.read("sign", "ssh", "testdata", "allowed_signers-ca")),
		key(exitFailed, "ssh-login", "a line of authorized_keys with an option about logging in", "logging in", w.read("sign", "ssh", "testdata", "allowed_signers-login")),
		key(exitFailed, "ssh-option", "a line of allowed_signers with an option that is not known, and may be a restriction", "no option", []byte("dave@example.com only-on-mondays "+string(w.read("sign", "ssh", "testdata", "ed25519.pub")))),
		key(exitUsage, "ssh-base64", "an SSH key that is cut off", "given.pub", w.read("sign", "ssh", "testdata", "ed25519.pub")[:40]),
		key(exitFailed, "openpgp-dsa", "an OpenPGP key of DSA", "DSA", w.read("sign", "openpgp", "testdata", "dsa.weak.asc")),
		key(exitFailed, "openpgp-rsa1024", "an OpenPGP key of RSA with 1024 bits", "1024 bits", w.read("sign", "openpgp", "testdata", "rsa1024.weak.asc")),
		key(exitFailed, "openpgp-sha1", "an OpenPGP key whose name is only signed over SHA-1", "given.pub", w.read("sign", "openpgp", "testdata", "sha1.weak.asc")),
		made(exitUsage, "fifo", "a FIFO in place of a key, which would be waited for", "not a regular file", "fifo given.pub"),
		made(exitUsage, "link-fifo", "a link to a FIFO in place of a key", "not a regular file", "fifo pipe", "link given.pub pipe"),
		made(exitUsage, "folder", "a folder in place of a key", "is a folder", "folder given.pub"),
		made(exitUsage, "link-loop", "a link that leads back to itself in place of a key", "back to itself", "link given.pub given.pub"),
		made(exitIncomplete, "link-nowhere", "a link that leads nowhere in place of a key", "what is not there", "link given.pub gone.pub"),
		made(exitUsage, "large", "a file of more than a MiB in place of a key", "more than", "large given.pub"),
		made(exitIncomplete, "missing", "a key file that is not there", "given.pub"),
		trustCase("key-remote", "a key in a service, which verifying would have to ask for", exitUsage, "asks nobody over the network", "--key awskms:///alias/release", alice),
	}
}
