#!/bin/sh
# make.sh writes the test keys of this folder anew, and the signatures made with
# them, by ssh-keygen of OpenSSH: other hands than bale's. The keys protect
# nothing. Every password is "bale-test". It takes OpenSSH 9, since 10 makes no
# DSA keys any more.
set -eu
cd "$(dirname "$0")"
command -v ssh-keygen >/dev/null || { echo "make.sh: no ssh-keygen in PATH" >&2; exit 1; }
find . -maxdepth 1 -type f ! -name make.sh -delete
make() { # NAME TYPE BITS [OPTION...]
	name=$1 type=$2 bits=$3
	shift 3
	ssh-keygen -q -t "$type" -b "$bits" -N '' -C "$name" -f "$name" "$@"
}
make ed25519 ed25519 256
make ecdsa256 ecdsa 256
make ecdsa384 ecdsa 384
make ecdsa521 ecdsa 521
make rsa rsa 2048

# The same keys encrypted, in the ciphers that are read and one that is not. Few
# rounds of the KDF, since they hide nothing.
encrypt() { # NAME NEW CIPHER
	cp "$1" "$2"
	cp "$1.pub" "$2.pub"
	ssh-keygen -q -p -P '' -N bale-test -a 1 -Z "$3" -f "$2" >/dev/null
}
encrypt ed25519 ed25519-ctr aes256-ctr
encrypt ecdsa256 ecdsa256-cbc aes256-cbc
encrypt rsa rsa-ctr aes256-ctr
encrypt ed25519 ed25519-gcm aes256-gcm@openssh.com
encrypt ed25519 ed25519-chacha chacha20-poly1305@openssh.com

# Keys that bale must refuse.
make rsa1024 rsa 1024
make dsa dsa 1024
cp ed25519 certified
cp ed25519.pub certified.pub
ssh-keygen -q -s ecdsa256 -I test -n test certified.pub
rm certified certified.pub

# Lists of signers, in all that a line may have.
{
	echo "# who may sign"
	echo
	echo "alice@example.com $(cat ed25519.pub)"
	echo "bob@example.com,!eve@example.com namespaces=\"git,f*\",valid-after=\"20200101\",valid-before=\"20990101120000Z\" $(cat ecdsa256.pub)"
	cat rsa.pub
} >allowed_signers
echo "*@example.com cert-authority $(cat ecdsa256.pub)" >allowed_signers-ca
echo "restrict,command=\"true, \\\"x\\\"\" $(cat ecdsa256.pub)" >allowed_signers-login

echo "0000000000000000000000000000000000000000000000000000000000000000  index.zst" >message
sign() { # KEY NAME NAMESPACE [OPTION...]
	key=$1 name=$2 namespace=$3
	shift 3
	ssh-keygen -q -Y sign -f "$key" -n "$namespace" "$@" message
	mv message.sig "$name.sig"
}
for k in ed25519 ecdsa256 ecdsa384 ecdsa521 rsa; do
	sign "$k" "$k" file
	sign "$k" "$k-sha256" file -O hashalg=sha256
done
sign ed25519 git git
sign ed25519 email email
sign ed25519 file2 file2
cp ed25519 certified
cp ed25519.pub certified.pub
sign certified-cert.pub certified file
rm certified certified.pub
chmod 644 ./*
chmod 755 make.sh
