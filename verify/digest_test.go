package verify_test

import (
	"crypto"
	"crypto/rand"
	"errors"
	"slices"
	"testing"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/sign"
	"bale/verify"
)

// A signature is over the hash that stands beside it, and that goes with the key.
func TestDigestBesideTheSignature(t *testing.T) {
	const (
		other  = commonpb.HashAlgorithm(99) // a name that is not known
		none   = commonpb.HashAlgorithm_HASH_ALGORITHM_UNSPECIFIED
		sha256 = commonpb.HashAlgorithm_SHA2_256
		sha384 = commonpb.HashAlgorithm_SHA2_384
		sha512 = commonpb.HashAlgorithm_SHA2_512
	)
	hashes := map[commonpb.HashAlgorithm]crypto.Hash{sha256: crypto.SHA256, sha384: crypto.SHA384, sha512: crypto.SHA512}
	for _, key := range []struct {
		file  string
		taken []commonpb.HashAlgorithm
	}{
		{"sec1.pem", []commonpb.HashAlgorithm{sha256}},
		{"secp384r1.pem", []commonpb.HashAlgorithm{sha256, sha384}},
		{"secp521r1.pem", []commonpb.HashAlgorithm{sha256, sha512}},
		{"rsa.pem", []commonpb.HashAlgorithm{sha256, sha384, sha512}},
	} {
		k := loadPrivate(t, key.file)
		parsed, err := cryptoutils.UnmarshalPEMToPrivateKey(read(t, testKey(key.file)), nil)
		if err != nil {
			t.Fatal(err)
		}
		for over, hash := range hashes {
			sig, err := parsed.(crypto.Signer).Sign(rand.Reader, sign.Sum(hash, sums), hash)
			if err != nil {
				t.Fatal(err)
			}
			for _, named := range []commonpb.HashAlgorithm{none, sha256, sha384, sha512, other} {
				var want error
				switch {
				case named == none:
					want = fault.ErrDamaged
				case !slices.Contains(key.taken, named):
					want = fault.ErrUnsupported
				case named != over:
					want = fault.ErrUntrusted
				}
				d := &commonpb.HashOutput{Algorithm: named}
				if h, ok := hashes[named]; ok {
					d.Digest = sign.Sum(h, sums)
				}
				if err := digested(t, k.Public(), d, sig); !errors.Is(err, want) || want == nil && err != nil {
					t.Errorf("%s over %s, named %s: %v, want %v", key.file, over, named, err, want)
				}
				if want != nil {
					continue
				}
				d.Digest[0] ^= 1
				if err := digested(t, k.Public(), d, sig); !errors.Is(err, fault.ErrUntrusted) {
					t.Errorf("%s over %s, another digest: %v", key.file, over, err)
				}
				d.Digest = d.Digest[1:]
				if err := digested(t, k.Public(), d, sig); !errors.Is(err, fault.ErrDamaged) {
					t.Errorf("%s over %s, short digest: %v", key.file, over, err)
				}
			}
		}
	}
}

// digested verifies a bundle with this digest and this signature.
func digested(t *testing.T, pub *sign.PublicKey, d *commonpb.HashOutput, sig []byte) error {
	t.Helper()
	data, err := sign.Encode(&bundlepb.Bundle{
		MediaType: sign.MediaType,
		VerificationMaterial: &bundlepb.VerificationMaterial{
			Content: &bundlepb.VerificationMaterial_PublicKey{PublicKey: &commonpb.PublicKeyIdentifier{Hint: pub.Hint()}},
		},
		Content: &bundlepb.Bundle_MessageSignature{
			MessageSignature: &commonpb.MessageSignature{MessageDigest: d, Signature: sig},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = verify.Verify(bundle.NewEnvelope(sums, entries(entry, data)), trust(pub))
	return err
}
