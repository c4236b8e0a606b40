package kms_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/handler"
)

const (
	// pluginName is a service that only the plugin speaks to, and program its name.
	pluginName = "baletest"
	program    = "sigstore-kms-" + pluginName
	// keysEnv is the folder with the plugin's keys.
	keysEnv = "BALE_TEST_PLUGIN_KEYS"
)

func TestMain(m *testing.M) {
	// Under the plugin's name the test binary is the plugin.
	if filepath.Base(os.Args[0]) == program {
		os.Exit(plugin())
	}
	os.Exit(m.Run())
}

// installPlugin puts the plugin into PATH, and nothing else.
func installPlugin(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, program)); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	keys, err := filepath.Abs(filepath.Join("..", "..", "testdata", "keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	t.Setenv(keysEnv, keys)
}

// plugin is a real KMS plugin, on Sigstore's own half of the protocol, for keys
// in files. The key is named MANNER/FILE: how it behaves, and the key.
func plugin() int {
	args, err := handler.GetPluginArgs(os.Args)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	manner, file, _ := strings.Cut(args.InitOptions.KeyResourceID, "/")
	k := &pluginKey{manner: manner, hash: args.InitOptions.HashFunc}
	switch manner {
	case "silent":
		return 3
	case "garbled":
		fmt.Println(`{"publicKey": 7`)
		return 0
	case "hangs":
		time.Sleep(time.Hour)
	}
	if args.InitOptions.CtxDeadline != nil {
		err = errors.New("a key must not have a deadline, only a call")
	} else {
		k.key, err = pluginKeyFile(file)
	}
	if err != nil {
		if err := handler.WriteErrorResponse(os.Stdout, err); err != nil {
			return 1
		}
		return 0
	}
	if _, err := handler.Dispatch(os.Stdout, os.Stdin, args, k); err != nil {
		return 1
	}
	return 0
}

func pluginKeyFile(file string) (crypto.Signer, error) {
	data, err := os.ReadFile(filepath.Join(os.Getenv(keysEnv), filepath.Base(file)))
	if err != nil {
		return nil, err
	}
	key, err := cryptoutils.UnmarshalPEMToPrivateKey(data, nil)
	if err != nil {
		return nil, err
	}
	return key.(crypto.Signer), nil
}

type pluginKey struct {
	manner string
	hash   crypto.Hash
	key    crypto.Signer
}

func (k *pluginKey) PublicKey(...signature.PublicKeyOption) (crypto.PublicKey, error) {
	if k.manner == "leaks" {
		return nil, errors.New("GET https://root:" + leaked + "@vault.example/v1/transit?token=" + leaked + "\nX-Vault-Token: " + leaked +
			"\nCode: 403. \x1b[31mpermission denied")
	}
	return k.key.Public(), nil
}

func (k *pluginKey) SignMessage(message io.Reader, opts ...signature.SignOption) ([]byte, error) {
	text, err := io.ReadAll(message)
	if err != nil {
		return nil, err
	}
	var how crypto.SignerOpts = k.hash
	for _, o := range opts {
		o.ApplyCryptoSignerOpts(&how)
	}
	key := k.key
	switch k.manner {
	case "large": // as the clouds do with large keys
		how = crypto.SHA384
	case "small":
		how = crypto.SHA1
	case "rotated":
		if key, err = pluginKeyFile("pkcs8.pem"); err != nil {
			return nil, err
		}
	case "altered":
		text = append(text, '\n')
	case "empty":
		return nil, nil
	case "fails":
		return nil, errors.New("the key was disabled")
	case "signing hangs":
		time.Sleep(time.Hour)
	}
	if _, ok := key.(ed25519.PrivateKey); ok && how.HashFunc() == 0 {
		return key.Sign(rand.Reader, text, how)
	}
	h := how.HashFunc().New()
	h.Write(text)
	if k.manner == "PSS" {
		how = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: how.HashFunc()}
	}
	return key.Sign(rand.Reader, h.Sum(nil), how)
}

func (k *pluginKey) VerifySignature(io.Reader, io.Reader, ...signature.VerifyOption) error {
	return errors.New("bale verifies by itself")
}

func (k *pluginKey) CreateKey(context.Context, string) (crypto.PublicKey, error) {
	return nil, errors.New("bale makes no keys here")
}

func (k *pluginKey) CryptoSigner(context.Context, func(error)) (crypto.Signer, crypto.SignerOpts, error) {
	return nil, nil, errors.New("bale does not ask for it")
}

func (k *pluginKey) SupportedAlgorithms() []string { return []string{"any"} }
func (k *pluginKey) DefaultAlgorithm() string      { return "any" }
