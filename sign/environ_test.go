package sign_test

import (
	"testing"

	"bale/sign"
)

func TestIsSecretName(t *testing.T) {
	for name, want := range map[string]bool{
		"COSIGN_PASSWORD": true, "SIGSTORE_ID_TOKEN": true, "VAULT_TOKEN": true, "AWS_SECRET_ACCESS_KEY": true,
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": true, "PKCS11_PIN": true, "some_api_key": true, "GPG_PASSPHRASE": true,
		"AWS_WEB_IDENTITY_TOKEN_FILE": false, "PATH": false, "HOME": false, "GNUPGHOME": false, "GPG_TTY": false,
		"PINENTRY_USER_DATA": false, "DISPLAY": false, "SSH_AUTH_SOCK": false, "": false,
	} {
		if sign.IsSecretName(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}
