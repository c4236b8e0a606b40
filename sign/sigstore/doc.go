// Package sigstore makes signatures with a certificate in them: that of
// Sigstore's keyless signing, which Fulcio issues for minutes to whom an OIDC
// issuer vouches for ([Keyless]), and that of an organisation's own CA
// ([Certified]). Logs (Rekor) and timestamp authorities (RFC 3161) say when it
// was, and [Timestamped] has the latter for plain keys too.
//
// The package is the one below sign that uses the network, and only when
// something is to be signed, or a trusted root fetched. What comes back from
// there is checked before it leaves here as a signature: a keyless one wholly,
// against the trusted root that goes to the far side.
//
// An identity token lets its holder sign in its owner's name for minutes. It
// goes to Fulcio and to nobody else, never over a connection in clear, and is in
// no error.
package sigstore
