package verify_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/sign"
	"bale/verify"
)

var sums = []byte("0000000000000000000000000000000000000000000000000000000000000000  index.zst\n")

func TestVerifyAccepts(t *testing.T) {
	ec, ed, rsa := loadPrivate(t, "sec1.pem"), loadPrivate(t, "ed25519.pem"), loadPrivate(t, "rsa.pem")
	ecSig, edSig, rsaSig := signed(t, ec, sums), signed(t, ed, sums), signed(t, rsa, sums)
	tests := []struct {
		name    string
		sigs    []bundle.Signature
		keys    []*sign.PublicKey
		signers []verify.Signer
	}{
		{"ECDSA", entries(entry, ecSig), keys(ec), signers(entry, ec)},
		{"ED25519", entries(entry, edSig), keys(ed), signers(entry, ed)},
		{"RSA", entries(entry, rsaSig), keys(rsa), signers(entry, rsa)},
		{"more keys than signers", entries(entry, ecSig), keys(ed, ec, rsa), signers(entry, ec)},
		{"two signers", entries(entry, ecSig, entry+".1", edSig), keys(ed, ec), signers(entry, ec, entry+".1", ed)},
		{"one of two signers known", entries(entry, ecSig, entry+".1", edSig), keys(ed), signers(entry+".1", ed)},
		{"numbers with gaps", entries(entry+".7", ecSig, entry+".31", edSig), keys(ed, ec), signers(entry+".7", ec, entry+".31", ed)},
		{"one key signed twice", entries(entry, ecSig, entry+".1", signed(t, ec, sums)), keys(ec), signers(entry, ec)},
		{"one key given twice", entries(entry, ecSig), keys(ec, ec), signers(entry, ec)},
		{"OpenPGP beside it", entries("SHA256SUMS.asc", []byte("-----BEGIN PGP"), entry, ecSig), keys(ec), signers(entry, ec)},
		{"unknown form beside it", entries("SHA256SUMS.minisig", []byte("?"), entry, ecSig), keys(ec), signers(entry, ec)},
		{"certificate beside it", entries(entry, change(t, ecSig, certified), entry+".1", edSig), keys(ed), signers(entry+".1", ed)},
		{"stranger's signature of something else", entries(entry, ecSig, entry+".1", signed(t, ed, []byte("other"))), keys(ec), signers(entry, ec)},
		{"stranger's attestation", entries(entry, ecSig, entry+".1", change(t, edSig, attestation)), keys(ec), signers(entry, ec)},
		{"long media type", entries(entry, change(t, ecSig, func(b *bundlepb.Bundle) {
			b.MediaType = "application/vnd.dev.sigstore.bundle+json;version=0.3"
		})), keys(ec), signers(entry, ec)},
		{"log entry and timestamp", entries(entry, change(t, ecSig, logged)), keys(ec), signers(entry, ec)},
		{"white space", entries(entry, indented(t, ecSig)), keys(ec), signers(entry, ec)},
		{"ED25519 without digest, as cosign", entries(entry, change(t, edSig, func(b *bundlepb.Bundle) {
			b.GetMessageSignature().MessageDigest = &commonpb.HashOutput{}
		})), keys(ed), signers(entry, ed)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := verify.Verify(bundle.NewEnvelope(sums, tt.sigs), trust(tt.keys...))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := fmt.Sprint(r.Signers()), fmt.Sprint(tt.signers); got != want {
				t.Errorf("signers %s, want %s", got, want)
			}
			if err := r.Vouches(sums); err != nil {
				t.Error(err)
			}
		})
	}
}

// What cosign wrote when testdata/keys/make.sh ran.
func TestVerifyCosignVectors(t *testing.T) {
	message := read(t, testKey("message"))
	for _, name := range []string{"ecdsa", "ed25519", "rsa"} {
		sigs := entries(entry, read(t, testKey(name+".sigstore.json")))
		tr := trust(loadPublic(t, testKey(name+".pub")))
		if _, err := verify.Verify(bundle.NewEnvelope(message, sigs), tr); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		altered := append(bytes.Clone(message), '\n')
		if _, err := verify.Verify(bundle.NewEnvelope(altered, sigs), tr); !errors.Is(err, fault.ErrUntrusted) {
			t.Errorf("%s, altered: %v", name, err)
		}
	}
}

func keys(private ...*sign.PrivateKey) []*sign.PublicKey {
	var public []*sign.PublicKey
	for _, k := range private {
		public = append(public, k.Public())
	}
	return public
}

// signers makes a list of signers out of entry, key, entry, key.
func signers(entriesAndKeys ...any) []verify.Signer {
	var list []verify.Signer
	for i := 0; i < len(entriesAndKeys); i += 2 {
		k := entriesAndKeys[i+1].(*sign.PrivateKey).Public()
		list = append(list, verify.Signer{
			Entry: entriesAndKeys[i].(string), Identity: k.Identity(), IDs: []string{k.ID()},
		})
	}
	return list
}
