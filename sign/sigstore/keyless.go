package sigstore

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	sigstoresign "github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"

	"bale/bundle/fault"
	"bale/sign"
)

// resigns bounds how often a signature is made anew because the log has it.
const resigns = 3

type keyless struct {
	at    *Instance
	token TokenSource
}

// Keyless returns a signer without a key of its own: whoever an identity token
// is for. The token is asked for when there is something to sign, since tokens
// live for minutes.
func Keyless(at *Instance, token TokenSource) sign.Signer { return &keyless{at, token} }

// Sign implements [sign.Signer]. What it returns verifies against the trusted
// root of the instance.
func (k *keyless) Sign(ctx context.Context, message []byte) (*sign.Signature, error) {
	token, err := k.token(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkToken(token); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	pub, err := sign.NewPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	leaf, err := k.certificate(ctx, key, token)
	if err != nil {
		return nil, err
	}
	for n := 1; ; n++ {
		sig, err := k.once(ctx, key, pub, leaf, message)
		if n < resigns && errors.Is(err, errLogged) {
			continue // another signature by the same key is another entry
		}
		return sig, err
	}
}

// once makes one signature.
func (k *keyless) once(ctx context.Context, key *ecdsa.PrivateKey, pub *sign.PublicKey, leaf *x509.Certificate, message []byte) (*sign.Signature, error) {
	sum := sha256.Sum256(message)
	bare, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		return nil, err
	}
	wrapped, err := sign.Wrap(pub, message, bare)
	if err != nil {
		return nil, err
	}
	pb, err := certify(wrapped, leaf)
	if err != nil {
		return nil, err
	}
	if err := addTimestamps(ctx, pb, k.at.stamps); err != nil {
		return nil, err
	}
	for _, l := range k.at.logs {
		if err := addEntry(ctx, pb, l); err != nil {
			return nil, err
		}
	}
	if err := k.at.check(pb, message); err != nil {
		return nil, err
	}
	return finish(pb, identity(pub, leaf))
}

// certificate has Fulcio certify the key.
func (k *keyless) certificate(ctx context.Context, key *ecdsa.PrivateKey, token string) (*x509.Certificate, error) {
	c := &client{ctx: ctx, server: "Fulcio at " + show(k.at.fulcio), secret: token}
	f := sigstoresign.NewFulcio(&sigstoresign.FulcioOptions{BaseURL: k.at.fulcio, Timeout: -1, Transport: c})
	var der []byte
	err := guard(func() (err error) {
		der, err = f.GetCertificate(ctx, &keypair{key}, &sigstoresign.CertificateProviderOptions{IDToken: token})
		return err
	})
	if err != nil {
		return nil, c.said(err, tokenHint(token, k.at.issuer))
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, c.said(fmt.Errorf("its certificate cannot be read: %w", err), "this is not a Fulcio")
	}
	if pub, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || !pub.Equal(key.Public()) {
		return nil, c.said(errors.New("its certificate is for another key"), "this Fulcio does not do what it is asked")
	}
	return leaf, nil
}

// certify puts the certificate of a key in the place of the key in a signature.
func certify(s *sign.Signature, leaf *x509.Certificate) (*bundlepb.Bundle, error) {
	pb, err := parse(s)
	if err != nil {
		return nil, err
	}
	pb.VerificationMaterial.Content = &bundlepb.VerificationMaterial_Certificate{
		Certificate: &commonpb.X509Certificate{RawBytes: leaf.Raw},
	}
	return pb, nil
}

// parse reads a signature that was just made.
func parse(s *sign.Signature) (*bundlepb.Bundle, error) {
	pb := new(bundlepb.Bundle)
	if s.Form != sign.Sigstore {
		return nil, fault.Usage("a signature in %s form takes no certificate or timestamp of this kind", s.Form)
	}
	if err := protojson.Unmarshal(s.Data, pb); err != nil {
		return nil, fmt.Errorf("own signature: %w", err)
	}
	if pb.GetVerificationMaterial() == nil || pb.GetMessageSignature() == nil {
		return nil, errors.New("own signature is incomplete")
	}
	return pb, nil
}

func finish(pb *bundlepb.Bundle, by sign.Identity) (*sign.Signature, error) {
	data, err := sign.Encode(pb)
	if err != nil {
		return nil, err
	}
	return &sign.Signature{Form: sign.Sigstore, Data: data, By: by}, nil
}
