#!/bin/sh
# Makes the keys, certificates and the trusted root that the policies here name.
# Nothing was signed with them, and the private keys are not kept. Of alice, frank
# and grace there are keys or fingerprints in good/inline.yaml, fingerprint.yaml and
# openpgp.yaml too, which change with them.
set -eu
cd "$(dirname "$0")"
rm -rf keys
mkdir keys
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for who in alice bob carol; do
  ssh-keygen -q -t ed25519 -N '' -C "$who" -f "$work/$who"
  mv "$work/$who.pub" keys/$who-ssh.pub
done
cat keys/alice-ssh.pub keys/bob-ssh.pub > keys/two-ssh.pub
for who in dave erin frank; do
  openssl ecparam -name prime256v1 -genkey -noout -out "$work/$who.key"
  openssl ec -in "$work/$who.key" -pubout -out keys/$who.pub 2>/dev/null
done
ssh-keygen -i -m PKCS8 -f keys/dave.pub > keys/dave-ssh.pub # the same key
mkdir -m 700 "$work/gnupg"
export GNUPGHOME="$work/gnupg"
for who in grace heidi; do
  gpg --batch --quiet --passphrase '' --quick-generate-key "$who@corp.example" ed25519 sign never
  gpg --armor --export "$who@corp.example" > keys/$who.asc
done
gpg --armor --export > keys/two.asc
gpgconf --kill all
for name in ca tsa; do
  usage=codeSigning
  [ $name = ca ] || usage=timeStamping
  openssl ecparam -name prime256v1 -genkey -noout -out "$work/$name.key"
  openssl req -x509 -new -key "$work/$name.key" -days 36500 -subj "/O=corp.example/CN=$name" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
    -addext extendedKeyUsage=$usage -out keys/$name.pem 2>/dev/null
done
openssl ecparam -name prime256v1 -genkey -noout -out "$work/leaf.key"
openssl req -new -key "$work/leaf.key" -subj "/CN=leaf" -out "$work/leaf.csr" 2>/dev/null
openssl x509 -req -in "$work/leaf.csr" -CA keys/ca.pem -CAkey "$work/ca.key" -days 36500 -out keys/leaf.pem 2>/dev/null
der() { openssl x509 -in keys/$1.pem -outform DER | base64 -w0; }
cat > keys/trusted_root.json <<END
{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1",
 "certificateAuthorities":[{"subject":{"organization":"corp.example","commonName":"ca"},"uri":"https://fulcio.example",
  "certChain":{"certificates":[{"rawBytes":"$(der ca)"}]},"validFor":{"start":"2020-01-01T00:00:00Z"}}],
 "timestampAuthorities":[{"subject":{"organization":"corp.example","commonName":"tsa"},"uri":"https://tsa.example",
  "certChain":{"certificates":[{"rawBytes":"$(der tsa)"}]},"validFor":{"start":"2020-01-01T00:00:00Z"}}]}
END
