package kms

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	sigkms "github.com/sigstore/sigstore/pkg/signature/kms"
	"github.com/sigstore/sigstore/pkg/signature/options"

	"bale/bundle/fault"
	"bale/sign"
)

// callTimeout bounds a call of a service, in which a person may have to touch
// something.
const callTimeout = 3 * time.Minute

// Key is a key in a service. The zero value signs nothing; call [Load].
type Key struct {
	uri    string
	remote sigkms.SignerVerifier
	public *sign.PublicKey
}

var _ sign.Signer = (*Key)(nil)

// Load asks the service of uri for the key's public half. A service that this
// build does not speak to is a [fault.ErrUsage], and its errors have no kind:
// what went wrong there only its own words say. They hold no credentials.
func Load(ctx context.Context, uri string) (*Key, error) {
	if err := check(uri); err != nil {
		return nil, err
	}
	// Some providers keep the context that they were made in, and its deadline.
	lasting := context.WithoutCancel(ctx)
	remote, err := call(ctx, func(context.Context) (sigkms.SignerVerifier, error) {
		return sigkms.Get(lasting, uri, crypto.SHA256)
	})
	var none *sigkms.ProviderNotFoundError
	if errors.As(err, &none) {
		return nil, missing(uri)
	}
	if err != nil {
		return nil, said(ctx, uri, "cannot be reached", err)
	}
	pub, err := call(ctx, func(ctx context.Context) (crypto.PublicKey, error) {
		return remote.PublicKey(options.WithContext(ctx))
	})
	if err != nil {
		return nil, said(ctx, uri, "gives no public key", err)
	}
	public, err := sign.NewPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("key %s %w", clean(uri), err)
	}
	return &Key{uri: uri, remote: remote, public: public}, nil
}

// Public returns the public half, as it was when the key was loaded.
func (k *Key) Public() *sign.PublicKey { return k.public }

// String names the key by its URI and its public half.
func (k *Key) String() string {
	if k.public == nil {
		return "no key"
	}
	return clean(k.uri) + " (" + k.public.String() + ")"
}

// Sign implements [sign.Signer] with a signature as [sign.Wrap] makes it. The
// hash under it is the service's own choice, if that goes with the key.
func (k *Key) Sign(ctx context.Context, message []byte) (*sign.Signature, error) {
	if k.public == nil {
		return nil, errors.New("sign: no key")
	}
	sig, err := call(ctx, func(ctx context.Context) ([]byte, error) {
		opts := []signature.SignOption{options.WithContext(ctx)}
		if k.public.IsED25519() {
			// It signs messages; without this Vault signs the text of the digest.
			opts = append(opts, options.WithCryptoSignerOpts(crypto.Hash(0)))
		}
		return k.remote.SignMessage(bytes.NewReader(message), opts...)
	})
	if err != nil {
		return nil, said(ctx, k.uri, "does not sign", err)
	}
	s, err := sign.Wrap(k.public, message, sig)
	if err != nil {
		return nil, fault.WithHint(fmt.Errorf("sign with %s: %w", k, err),
			"the service signed with another key, as after a rotation, or in a form that bale does not use: RSA must be PKCS#1 v1.5, not PSS")
	}
	return s, nil
}

// call runs f, and leaves it behind when ctx ends: not all providers listen.
func call[T any](ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	type answer struct {
		value T
		err   error
	}
	answered := make(chan answer, 1)
	go func() {
		v, err := f(ctx)
		answered <- answer{v, err}
	}()
	select {
	case a := <-answered:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// said is what a service answered, fit to be shown. It does not wrap err, whose
// text may hold credentials.
func said(ctx context.Context, uri, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("key %s %s within %s", clean(uri), what, callTimeout)
	}
	return fault.WithHint(fmt.Errorf("key %s %s: %s", clean(uri), what, clean(err.Error())),
		"check the key's name, the service's address, and the credentials that its own tools use")
}
