#!/bin/sh
# Makes the keys and signatures beside it with gpg. They are seeds for fuzzing and
# vectors; run it again only to add some, since all of them change. Needs GnuPG 2.2.
set -eu
cd "$(dirname "$0")"
GNUPGHOME=$(mktemp -d)
export GNUPGHOME
trap 'gpgconf --kill all; rm -rf "$GNUPGHOME"' EXIT

gpg() { command gpg --no-auto-check-trustdb --quiet --batch --yes --pinentry-mode loopback --passphrase '' --faked-system-time 20240101T000000 "$@"; }
fingerprint() { command gpg --with-colons --list-keys "=$1" | awk -F: '$1 == "fpr" { print $10; exit }'; }

printf '%064d  index.zst\n' 0 >message
for algorithm in ed25519 rsa2048 nistp256; do
  gpg --quick-generate-key $algorithm $algorithm sign never
  gpg --armor --output $algorithm.pub.asc --export $algorithm
  gpg --armor --output $algorithm.key.asc --export-secret-keys $algorithm
  gpg --armor --output $algorithm.sig.asc --local-user $algorithm --detach-sign message
done
gpg --quick-generate-key subkey ed25519 cert never
gpg --quick-add-key "$(fingerprint subkey)" ed25519 sign never
gpg --quick-add-key "$(fingerprint subkey)" cv25519 encr never
gpg --armor --output subkey.pub.asc --export subkey
gpg --armor --output subkey.key.asc --export-secret-subkeys subkey
gpg --armor --output subkey.sig.asc --local-user subkey --detach-sign message
gpg --armor --output several.sig.asc --local-user subkey --local-user ed25519 --comment 'two signers' --detach-sign message
gpg --armor --output several.pub.asc --export ed25519 nistp256 subkey
gpg --passphrase geheim --quick-generate-key password ed25519 sign never
gpg --passphrase geheim --armor --output password.key.asc --export-secret-keys password
gpg --armor --output text.sig.asc --textmode --local-user ed25519 --detach-sign message
gpg --armor --output inline.sig.asc --local-user ed25519 --sign message
gpg --armor --output cleartext.sig.asc --local-user ed25519 --clear-sign message
for weak in rsa1024 dsa2048; do
  gpg --quick-generate-key $weak $weak sign never
  gpg --armor --output "${weak%2048}.weak.asc" --export $weak
done
gpg --cert-digest-algo SHA1 --quick-generate-key sha1 ed25519 sign never
gpg --armor --output sha1.weak.asc --export sha1
