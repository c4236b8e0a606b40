// Package ssh signs and verifies with the keys of OpenSSH. A signature has the
// form that ssh-keygen -Y sign writes (PROTOCOL.sshsig of OpenSSH) with the
// namespace "file", so that ssh-keygen can check what bale signed and the other
// way round.
//
// The format is written here on golang.org/x/crypto/ssh, which has the keys, the
// signatures under it and the agent's protocol. The libraries for it pass over
// what PROTOCOL.sshsig leaves unsigned (the field "reserved", text around the
// armor, more than one encoding of a number); here a signature has one form, so
// that no byte of it can change unseen.
//
// The package decides nothing about trust; that is package verify.
package ssh
