package sign

// Kind is a kind of signer.
type Kind string

// The kinds of signers.
const (
	KindKey         Kind = "key"         // a public key by itself
	KindSSH         Kind = "ssh"         // a key of OpenSSH
	KindOpenPGP     Kind = "openpgp"     // a primary key of OpenPGP, whichever of its subkeys signed
	KindCertificate Kind = "certificate" // who a CA says it is, Fulcio included
)

// Identity says who signs, in the terms that their kind is known by.
type Identity struct {
	Kind      Kind
	Algorithm string // of the key, such as "ECDSA P-256"
	// Fingerprint names the key as its own tools do: see [Fingerprint];
	// "SHA256:…" of ssh-keygen -l; 40 or 64 digits of OpenPGP. "" where keys
	// change from one signature to the next, as with Fulcio.
	Fingerprint string
	// Subject is who the key belongs to: the SAN of a certificate, a user id.
	Subject string
	// Issuer vouches for Subject: an OIDC issuer, or the name of a CA.
	Issuer string
}

// String names the signer for a message.
func (i Identity) String() string {
	switch i.Kind {
	case KindSSH:
		return join("SSH key", i.Algorithm, i.Fingerprint, inBrackets(i.Subject))
	case KindOpenPGP:
		return join("OpenPGP key", i.Fingerprint, inBrackets(i.Subject))
	case KindCertificate:
		s := i.Subject
		if i.Issuer != "" {
			s += ", as " + i.Issuer + " says"
		}
		return s
	}
	return join(i.Algorithm, "key", i.Fingerprint)
}

func inBrackets(s string) string {
	if s == "" {
		return ""
	}
	return "(" + s + ")"
}

// join puts a space between the words that are there.
func join(words ...string) string {
	var s string
	for _, w := range words {
		if w != "" && s != "" {
			s += " "
		}
		s += w
	}
	return s
}
