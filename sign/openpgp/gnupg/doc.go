// Package gnupg signs with the gpg program, so that keys which gpg-agent or a
// card holds never leave it. What gpg makes is checked as any other signature.
package gnupg
