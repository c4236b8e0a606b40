//go:build vault

package parts

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

// vaultAnswer bounds what is read of an answer of Vault.
const vaultAnswer = 1 << 20

// VaultPart is a running HashiCorp Vault, unsealed and in memory, with its
// transit engine at the usual place.
type VaultPart struct {
	URL   string
	Token string // of root
}

// Vault starts a HashiCorp Vault.
func Vault(t testing.TB) *VaultPart {
	t.Helper()
	dir := t.TempDir()
	v := &VaultPart{Token: "bale-test-root-token-of-vault"}
	v.URL = httpServer{
		program: "vault", env: []string{"HOME=" + dir, "TMPDIR=" + dir}, ready: "/v1/sys/health", args: func(addr string) []string {
			return []string{"server", "-dev", "-dev-no-store-token", "-dev-root-token-id=" + v.Token, "-dev-listen-address=" + addr}
		},
	}.start(t, dir)
	v.Do(t, "sys/mounts/transit", map[string]any{"type": "transit"})
	return v
}

// Do writes to a path below v1 as root, and returns the data of the answer.
func (v *VaultPart) Do(t testing.TB, path string, body map[string]any) map[string]any {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.URL+"/v1/"+path, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", v.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // only read
	data, err = io.ReadAll(io.LimitReader(resp.Body, vaultAnswer))
	if err != nil || resp.StatusCode >= http.StatusMultipleChoices {
		t.Fatalf("vault: %s: %s, %v: %s", path, resp.Status, err, data)
	}
	var answer struct {
		Auth struct {
			Token string `json:"client_token"`
		}
		Data map[string]any
	}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &answer); err != nil {
			t.Fatal(err)
		}
	}
	if answer.Auth.Token != "" {
		return map[string]any{"token": answer.Auth.Token}
	}
	return answer.Data
}
