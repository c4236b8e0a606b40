package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bale/transport/parts"
)

// An image that cosign signed and that has an SBOM attached goes through a
// bundle into another registry, and is still signed there and still has it:
// under the same digest, in registries with and without the referrers API.
func TestSignedImageEndToEnd(t *testing.T) {
	cosign, oras := parts.Tool(t, "cosign"), parts.Tool(t, "oras")
	t.Setenv("COSIGN_PASSWORD", "bale-test") // of the key
	here := parts.Registry(t)
	pushImages(t, here.Addr)
	key, pub := testdata(t, "keys", "ecdsa.key"), testdata(t, "keys", "ecdsa.pub")
	digest := tool(t, parts.Tool(t, "crane"), "digest", "--insecure", here.Image("library/busybox:1.35"))
	signed := here.Image("library/busybox@" + digest)
	tool(t, cosign, "sign", "--key", key, "--tlog-upload=false", "--use-signing-config=false", "--recursive", "-y", signed)
	dir := t.TempDir()
	sbom := `{"spdxVersion": "SPDX-2.3"}`
	if err := os.WriteFile(filepath.Join(dir, "sbom.json"), []byte(sbom), 0o600); err != nil {
		t.Fatal(err)
	}
	attach := exec.Command(oras, "attach", "--plain-http", "--format", "json", "--artifact-type", "application/spdx+json", signed, "sbom.json:application/spdx+json")
	attach.Dir = dir
	out, err := attach.Output()
	if err != nil {
		t.Fatalf("oras attach: %v", err)
	}
	var attached struct {
		Digest string `json:"digest"`
	}
	if err := json.Unmarshal(out, &attached); err != nil {
		t.Fatalf("oras attach: %v\n%s", err, out)
	}

	bundle := filepath.Join(dir, "signed.bale")
	o := mustRun(t, "save", "--json", "-o", bundle, "--key", key, here.Image("library/busybox:1.35"))
	var saved struct {
		Referrers []copied `json:"referrers"`
	}
	if err := json.Unmarshal([]byte(o.out), &saved); err != nil {
		t.Fatal(err)
	}
	// A signature of the index and of each of its two manifests, and the SBOM.
	if len(saved.Referrers) != 4 {
		t.Errorf("%d things are attached, want 4: %+v", len(saved.Referrers), saved.Referrers)
	}
	here.Stop() // nothing comes from there any more

	for what, there := range map[string]*parts.RegistryPart{"without the API": parts.Registry(t), "with it": parts.MemoryRegistry(t)} {
		mustRun(t, "load", "-i", bundle, "--key", pub, "--to", "docker://"+there.Addr)
		// The names that images had at a registry are their paths at another one.
		image := there.Image("library/busybox@" + digest)
		tool(t, cosign, "verify", "--key", pub, "--insecure-ignore-tlog=true", "--allow-http-registry", image)
		var found struct {
			Referrers []struct {
				Digest string `json:"digest"`
			} `json:"referrers"`
		}
		list := tool(t, oras, "discover", "--plain-http", "--format", "json", image)
		if err := json.Unmarshal([]byte(list), &found); err != nil {
			t.Fatalf("%s: %v\n%s", what, err, list)
		}
		sboms := 0
		for _, r := range found.Referrers {
			if r.Digest == attached.Digest {
				sboms++
			}
		}
		if sboms != 1 {
			t.Fatalf("%s: oras finds %s, want %s", what, list, attached.Digest)
		}
		to := filepath.Join(t.TempDir(), "pulled")
		tool(t, oras, "pull", "--plain-http", "-o", to, there.Image("library/busybox@"+attached.Digest))
		if got, err := os.ReadFile(filepath.Join(to, "sbom.json")); err != nil || string(got) != sbom {
			t.Errorf("%s: the SBOM is %q, %v", what, got, err)
		}
		mustRun(t, "verify", "--key", pub, "--at", "docker://"+there.Addr, bundle)

		// Without them it is the bare image.
		mustRun(t, "load", "-i", bundle, "--key", pub, "--no-referrers", "--to", "docker://"+there.Addr+"/bare")
		bare := tool(t, oras, "discover", "--plain-http", "--format", "json", there.Image("bare/library/busybox@"+digest))
		if strings.Contains(bare, attached.Digest) {
			t.Errorf("%s: --no-referrers copied %s", what, bare)
		}
	}
}

// tool runs a program that has to succeed and returns what it prints.
func tool(t testing.TB, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	var errout strings.Builder
	cmd.Stderr = &errout
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, errout.String())
	}
	return strings.TrimSpace(string(out))
}
