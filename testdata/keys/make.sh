#!/bin/sh
# make.sh writes the test keys of this folder anew, and the signatures made
# with them, by OpenSSL 3 and cosign 3: other hands than bale's, so that what
# bale reads here is what other tools write. The keys protect nothing.
#
# Every password is "bale-test", except that of empty.key, which is empty.
set -eu
cd "$(dirname "$0")"
for tool in openssl cosign; do
	command -v "$tool" >/dev/null || { echo "make.sh: no $tool in PATH" >&2; exit 1; }
done
rm -f ./*.key ./*.pub ./*.pem ./*.sigstore.json message
pass=bale-test

# ECDSA P-256 in every wrapping.
COSIGN_PASSWORD=$pass cosign generate-key-pair --output-key-prefix ecdsa
COSIGN_PASSWORD='' cosign generate-key-pair --output-key-prefix empty
sed 's/ENCRYPTED SIGSTORE/ENCRYPTED COSIGN/' ecdsa.key >old-cosign.key
openssl ecparam -name prime256v1 -genkey -out sec1-parameters.pem # EC PARAMETERS first, then the key
openssl ec -in sec1-parameters.pem -out sec1.pem
openssl pkcs8 -topk8 -nocrypt -in sec1.pem -out pkcs8.pem
openssl pkcs8 -topk8 -v2 aes-256-cbc -passout "pass:$pass" -in sec1.pem -out pkcs8-encrypted.pem
openssl ec -aes256 -passout "pass:$pass" -in sec1.pem -out sec1-encrypted.pem # the headers of RFC 1421
openssl pkey -in sec1.pem -pubout -out sec1.pub

# ED25519 and RSA, plain and as cosign keeps them.
openssl genpkey -algorithm ed25519 -out ed25519.pem
openssl genrsa -traditional -out rsa.pem 2048
openssl rsa -in rsa.pem -RSAPublicKey_out -out rsa-pkcs1.pub
for k in ed25519 rsa; do
	COSIGN_PASSWORD=$pass cosign import-key-pair --key "$k.pem" --output-key-prefix "$k"
done

# ECDSA on the larger curves: plain, encrypted, and as cosign keeps them.
for curve in secp384r1 secp521r1; do
	openssl ecparam -name "$curve" -genkey -noout -out "$curve.pem"
	openssl pkcs8 -topk8 -v2 aes-256-cbc -passout "pass:$pass" -in "$curve.pem" -out "$curve-encrypted.pem"
	COSIGN_PASSWORD=$pass cosign import-key-pair --key "$curve.pem" --output-key-prefix "$curve"
done

# Keys that bale must refuse.
openssl genrsa -traditional -out rsa1024.pem 1024
openssl pkey -in rsa1024.pem -pubout -out rsa1024.pub
for curve in secp256k1 secp224r1; do
	openssl ecparam -name "$curve" -genkey -noout -out "$curve.pem"
	openssl pkey -in "$curve.pem" -pubout -out "$curve.pub"
done
openssl genpkey -algorithm x25519 -out x25519.pem
openssl pkey -in x25519.pem -pubout -out x25519.pub
openssl dsaparam -genkey -noout -out dsa.pem 2048
openssl pkey -in dsa.pem -pubout -out dsa.pub
openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out rsa-pss.pem
openssl pkey -in rsa-pss.pem -pubout -out rsa-pss.pub
openssl req -x509 -new -key sec1.pem -subj /CN=bale-test -days 36500 -out certificate.pem

# A message and what cosign signs over it.
echo "0000000000000000000000000000000000000000000000000000000000000000  index.zst" >message
for k in ecdsa ed25519 rsa secp384r1 secp521r1; do
	COSIGN_PASSWORD=$pass cosign sign-blob --key "$k.key" --bundle "$k.sigstore.json" \
		--tlog-upload=false --use-signing-config=false -y message
done
chmod 644 ./*.key ./*.pub ./*.pem ./*.json message
