package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/transport/parts"
)

// signedWorld is a registry with an image of two platforms that cosign signed.
type signedWorld struct {
	t                 testing.TB
	registry          *parts.RegistryPart
	index, amd, other string // digests
	key               string // of bundles
}

const signedRepository = "library/busybox"

// signedWorlds makes them. What cosign did is kept, since that takes long.
type signedWorlds struct {
	t      *testing.T
	stores map[string]string // folders of registries, by what cosign did
}

func newSignedWorlds(t *testing.T) *signedWorlds {
	parts.Tool(t, "cosign")
	t.Setenv("COSIGN_PASSWORD", "bale-test") // of the keys
	return &signedWorlds{t, make(map[string]string)}
}

// world returns a registry in which cosign did some steps, such as "sign ecdsa
// index --recursive": with a key of testdata/keys, for the index, amd or other.
func (s *signedWorlds) world(t *testing.T, steps ...string) *signedWorld {
	t.Helper()
	all := strings.Join(steps, "\n")
	if s.stores[all] == "" {
		w := newSignedWorld(t, s.t.TempDir())
		pushImages(t, w.registry.Addr)
		w.find()
		for _, step := range steps {
			w.cosign(strings.Fields(step))
		}
		s.stores[all] = w.registry.Dir
		w.registry.Stop()
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(s.stores[all])); err != nil {
		t.Fatal(err)
	}
	w := newSignedWorld(t, dir)
	w.find()
	return w
}

func newSignedWorld(t testing.TB, dir string) *signedWorld {
	t.Helper()
	return &signedWorld{t: t, registry: parts.Registry(t, parts.WithStorage(dir)), key: testdata(t, "keys", "ed25519.pem")}
}

// find looks up the digests.
func (w *signedWorld) find() {
	w.t.Helper()
	crane := parts.Tool(w.t, "crane")
	w.index = tool(w.t, crane, "digest", "--insecure", w.image(":1.35"))
	w.amd = tool(w.t, crane, "digest", "--insecure", "--platform", "linux/amd64", w.image(":1.35"))
	var m struct {
		Manifests []struct {
			Digest string `json:"digest"`
		} `json:"manifests"`
	}
	if err := json.Unmarshal(w.manifest("1.35"), &m); err != nil {
		w.t.Fatal(err)
	}
	for _, c := range m.Manifests {
		if c.Digest != w.amd {
			w.other = c.Digest
		}
	}
	if w.index == w.amd || w.other == "" || len(m.Manifests) != 2 {
		w.t.Fatalf("%s is no index of two: %+v", w.index, m)
	}
}

func (w *signedWorld) image(suffix string) string { return w.registry.Image(signedRepository + suffix) }

// cosign does one step, see [signedWorlds.world].
func (w *signedWorld) cosign(step []string) {
	w.t.Helper()
	verb, key, what := step[0], step[1], map[string]string{"index": w.index, "amd": w.amd, "other": w.other}[step[2]]
	args := []string{verb, "--key", testdata(w.t, "keys", key+".key"), "--tlog-upload=false", "--use-signing-config=false", "-y"}
	if verb == "attest" {
		predicate := filepath.Join(w.t.TempDir(), "predicate.json")
		// Large, as an SBOM is.
		content := fmt.Sprintf(`{"buildDefinition": {"buildType": "%s"}, "runDetails": {}}`, strings.Repeat("word ", 50_000))
		if err := os.WriteFile(predicate, []byte(content), 0o600); err != nil {
			w.t.Fatal(err)
		}
		args = append(args, "--type", "slsaprovenance1", "--predicate", predicate)
	}
	args = append([]string{parts.Tool(w.t, "cosign")}, append(append(args, step[3:]...), w.image("@"+what))...)
	tool(w.t, "env", append([]string{"COSIGN_EXPERIMENTAL=1"}, args...)...) // for what is an experiment there
}

// save saves the image and what is attached to it.
func (w *signedWorld) save(more ...string) string {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "b.bale")
	mustRun(w.t, append([]string{"save", "-o", file, "--key", w.key, w.image(":1.35")}, more...)...)
	return file
}

// verify asks for signatures by keys of testdata/keys on the images of a bundle.
func (w *signedWorld) verify(file string, keys []string, more ...string) outcome {
	w.t.Helper()
	args := []string{"verify", "--key", testdata(w.t, "keys", "ed25519.pub"), "--images"}
	for _, k := range keys {
		args = append(args, "--image-key", testdata(w.t, "keys", k+".pub"))
	}
	return inProcess(context.Background(), append(append(args, more...), file)...)
}

// cosigner is the key of testdata/keys that signs in most tests.
var cosigner = []string{"ecdsa"}

// older makes a step of cosign one of its older form.
const older = " --new-bundle-format=false"

// What cosign signs and attests, in each of its ways, is accepted; by whom nobody
// asked for it is not.
func TestImagesSignedByCosign(t *testing.T) {
	provenance := []string{"--image-attestation", "slsaprovenance1"}
	worlds := newSignedWorlds(t)
	for name, c := range map[string]struct {
		steps []string
		save  []string
		more  []string
	}{
		"index":                     {steps: []string{"sign ecdsa index"}},
		"index, one platform taken": {steps: []string{"sign ecdsa index"}, save: []string{"--platform", "linux/amd64"}},
		"recursive":                 {steps: []string{"sign ecdsa index --recursive"}},
		"each child":                {steps: []string{"sign ecdsa amd", "sign ecdsa other" + older}},
		"the child that is taken":   {steps: []string{"sign ecdsa amd"}, save: []string{"--platform", "linux/amd64"}},
		"older, by several":         {steps: []string{"sign rsa index" + older, "sign ecdsa index" + older}},
		"older, recursive":          {steps: []string{"sign ecdsa index --recursive" + older}},
		"older, as a referrer":      {steps: []string{"sign ecdsa index --registry-referrers-mode=oci-1-1" + older}},
		"attested":                  {steps: []string{"sign ecdsa index", "attest ecdsa index"}, more: provenance},
		"attested, older":           {steps: []string{"sign ecdsa index", "attest ecdsa index" + older}, more: provenance},
	} {
		t.Run(name, func(t *testing.T) {
			w := worlds.world(t, c.steps...)
			file := w.save(c.save...)
			w.registry.Stop() // nothing comes from there any more
			o := w.verify(file, cosigner, append(c.more, "--json")...)
			if o.code != exitDone {
				t.Fatalf("exit %d\n%s", o.code, o.errout)
			}
			var v struct {
				Images []verifiedImage `json:"signedImages"`
			}
			if err := json.Unmarshal([]byte(o.out), &v); err != nil {
				t.Fatal(err)
			}
			if len(v.Images) != 1 || !v.Images[0].Demanded || v.Images[0].Digest != w.index || len(v.Images[0].Signers) != 1 {
				t.Fatalf("%s", o.out)
			}
			if s := v.Images[0].Signers[0]; s.Kind != "key" || s.Algorithm != "ECDSA P-256" {
				t.Errorf("signed by %+v", s)
			}
			if attested := len(v.Images[0].Attestations) == 1; attested != (c.more != nil) {
				t.Errorf("attestations %+v", v.Images[0].Attestations)
			}
			words := mustRun(t, append([]string{"verify", "--key", testdata(t, "keys", "ed25519.pub"), "--image-key", testdata(t, "keys", "ecdsa.pub"), file}, c.more...)...)
			if want := "  signed by " + v.Images[0].Signers[0].Algorithm + " key " + v.Images[0].Signers[0].Fingerprint + "\n"; !strings.Contains(words.out, want) {
				t.Errorf("says %q, want %q in it", words.out, want)
			}
			for _, others := range [][]string{{"ed25519"}, {"secp384r1"}} {
				if wrong := w.verify(file, others, c.more...).refusal(exitUntrusted); wrong != "" {
					t.Errorf("by %v: %s", others, wrong)
				}
			}
		})
	}
}

// Keys of each kind that cosign has sign in both of its ways.
func TestImagesSignedWithEachKey(t *testing.T) {
	// What cosign 3 makes of an image with an ED25519 key it cannot verify itself.
	keys := []string{"ecdsa", "rsa", "secp384r1", "secp521r1"}
	var steps []string
	for _, k := range keys {
		steps = append(steps, "sign "+k+" index", "sign "+k+" index"+older)
	}
	w := newSignedWorlds(t).world(t, steps...)
	file := w.save()
	for _, k := range keys {
		o := w.verify(file, []string{k}, "--json")
		if o.code != exitDone {
			t.Errorf("%s: exit %d\n%s", k, o.code, o.errout)
			continue
		}
		var v struct {
			Images []verifiedImage `json:"signedImages"`
		}
		if err := json.Unmarshal([]byte(o.out), &v); err != nil {
			t.Fatal(err)
		}
		// All but the two by this key are by others.
		if n := len(v.Images[0].Ignored); n != 2*(len(keys)-1) {
			t.Errorf("%s: %d are ignored: %q", k, n, v.Images[0].Ignored)
		}
	}
}

// What is not signed, or whose signatures somebody took or changed, is refused.
func TestImagesNotSignedAsDemanded(t *testing.T) {
	sigTag := func(digest string) string { return strings.Replace(digest, ":", "-", 1) + ".sig" }
	worlds := newSignedWorlds(t)
	for name, c := range map[string]struct {
		steps []string
		make  func(w *signedWorld)
		save  []string
		more  []string
		says  string
		code  int
	}{
		"not signed":          {says: "no signature is attached", code: exitUntrusted},
		"signatures left out": {steps: []string{"sign ecdsa index"}, save: []string{"--no-referrers"}, says: "no signature is attached", code: exitUntrusted},
		"one child of two":    {steps: []string{"sign ecdsa amd"}, says: "; nor is sha256:", code: exitUntrusted},
		"another child than taken": {steps: []string{"sign ecdsa other"}, save: []string{"--platform", "linux/amd64"},
			says: "is not signed", code: exitUntrusted},
		"by somebody else": {steps: []string{"sign rsa index"}, says: "is by key", code: exitUntrusted},
		"not attested": {steps: []string{"sign ecdsa index"}, more: []string{"--image-attestation", "spdx"},
			says: "has no attestation https://spdx.dev/Document", code: exitUntrusted},
		"another type attested": {steps: []string{"sign ecdsa index", "attest ecdsa index"}, more: []string{"--image-attestation", "spdx"},
			says: "has no attestation", code: exitUntrusted},
		"attested by somebody else": {steps: []string{"sign ecdsa index", "attest rsa index"}, more: []string{"--image-attestation", "slsaprovenance1"},
			says: "has no attestation", code: exitUntrusted},
		"an attestation alone": {steps: []string{"attest ecdsa index"}, says: "is not signed", code: exitUntrusted},
		"another image's signature": {steps: []string{"sign ecdsa amd" + older}, make: func(w *signedWorld) {
			w.putManifest(sigTag(w.index), w.manifest(sigTag(w.amd)))
		}, says: "is for another image, sha256:", code: exitUntrusted},
		"another image's bundle": {steps: []string{"sign ecdsa amd"}, make: func(w *signedWorld) {
			m := w.manifest(w.referrer(w.amd))
			w.attach(w.index, m)
		}, says: "is for another image, sha256:", code: exitUntrusted},
		"older signature altered": {steps: []string{"sign ecdsa index" + older}, make: func(w *signedWorld) {
			m := w.manifest(sigTag(w.index))
			const key = `"dev.cosignproject.cosign/signature":"`
			at := bytes.Index(m, []byte(key)) + len(key) + 20
			m[at] = 'A' + (m[at]+1)%26
			w.putManifest(sigTag(w.index), m)
		}, says: "is by another key", code: exitUntrusted},
		"signature altered": {steps: []string{"sign ecdsa index"}, make: func(w *signedWorld) {
			w.alter(func(b []byte) []byte {
				i := bytes.Index(b, []byte(`"sig":"`)) + 30
				b[i] = 'A' + (b[i]+1)%26
				return b
			})
		}, says: "does not verify", code: exitUntrusted},
		"statement altered": {steps: []string{"sign ecdsa amd"}, make: func(w *signedWorld) {
			m := w.manifest(w.referrer(w.amd))
			b := w.layer(m)
			var v map[string]any
			if err := json.Unmarshal(b, &v); err != nil {
				w.t.Fatal(err)
			}
			env := v["dsseEnvelope"].(map[string]any)
			payload, err := base64.StdEncoding.DecodeString(env["payload"].(string))
			if err != nil {
				w.t.Fatal(err)
			}
			payload = bytes.ReplaceAll(payload, []byte(digest.Digest(w.amd).Encoded()), []byte(digest.Digest(w.index).Encoded()))
			env["payload"] = base64.StdEncoding.EncodeToString(payload)
			if b, err = json.Marshal(v); err != nil {
				w.t.Fatal(err)
			}
			w.attach(w.index, w.withLayer(m, b))
		}, says: "does not verify", code: exitUntrusted},
		"altered beside a good one": {steps: []string{"sign ecdsa index"}, make: func(w *signedWorld) {
			m := w.manifest(w.referrer(w.index))
			b := w.layer(m)
			i := bytes.Index(b, []byte(`"sig":"`)) + 30
			b[i] = 'A' + (b[i]+1)%26
			w.attach(w.index, w.withLayer(m, b))
		}, says: "does not verify", code: exitUntrusted},
		"made for another name": {steps: []string{"sign ecdsa index --sign-container-identity=registry.example/other" + older},
			more: []string{"--image-same-name"}, says: `made for the name "registry.example/other"`, code: exitUntrusted},
		"attestation by nobody": {more: []string{"--image-attestation", ""}, says: "without a type", code: exitUsage},
	} {
		t.Run(name, func(t *testing.T) {
			w := worlds.world(t, c.steps...)
			if c.make != nil {
				c.make(w)
			}
			o := w.verify(w.save(c.save...), cosigner, c.more...)
			if o.code != c.code || o.out != "" || !strings.Contains(o.errout, c.says) {
				t.Errorf("exit %d, want %d and %q\n%s%s", o.code, c.code, c.says, o.out, o.errout)
			}
			if wrong := o.refusal(c.code); wrong != "" && c.code == exitUntrusted {
				t.Errorf("%s\n%s", wrong, o.errout)
			}
		})
	}
}

// Signatures go through a bundle into another registry, and are as good there;
// load refuses an image that is not signed as demanded, and writes nothing.
func TestLoadDemandsSignedImages(t *testing.T) {
	w := newSignedWorlds(t).world(t, "sign ecdsa index --recursive", "sign ecdsa index"+older, "attest ecdsa index")
	file := w.save()
	there := parts.Registry(t)
	load := []string{"load", "-i", file, "--key", testdata(t, "keys", "ed25519.pub"), "--to", "docker://" + there.Addr}
	o := inProcess(context.Background(), append(load, "--image-key", testdata(t, "keys", "rsa.pub"))...)
	if wrong := o.refusal(exitUntrusted); wrong != "" {
		t.Errorf("%s\n%s", wrong, o.errout)
	}
	if list := tool(t, parts.Tool(t, "crane"), "catalog", "--insecure", there.Addr); list != "" {
		t.Errorf("refused, and yet there is %s", list)
	}
	mustRun(t, append(load, "--image-key", testdata(t, "keys", "ecdsa.pub"), "--image-attestation", "slsaprovenance1")...)
	w.registry.Stop()
	tool(t, parts.Tool(t, "cosign"), "verify", "--key", testdata(t, "keys", "ecdsa.pub"), "--insecure-ignore-tlog=true", "--allow-http-registry", there.Image(signedRepository+"@"+w.index))
	w.registry = there
	if o := w.verify(w.save(), cosigner, "--image-attestation", "slsaprovenance1"); o.code != exitDone {
		t.Errorf("saved again: exit %d\n%s", o.code, o.errout)
	}
}

// An update carries no large attestation that its base has. Without the base it is
// said that something is missing; signatures are small and always there.
func TestSignedImageInUpdate(t *testing.T) {
	worlds := newSignedWorlds(t)
	w := worlds.world(t, "sign ecdsa index", "attest ecdsa index")
	dir := t.TempDir()
	full, receipt, update := filepath.Join(dir, "1.bale"), filepath.Join(dir, "1.receipt"), filepath.Join(dir, "2.bale")
	mustRun(t, "save", "-o", full, "--key", w.key, "--receipt", receipt, w.image(":1.35"))
	mustRun(t, "save", "-o", update, "--key", w.key, "--base", receipt, w.image(":1.35"))
	o := w.verify(update, cosigner)
	if wrong := o.refusal(exitIncomplete); wrong != "" {
		t.Errorf("without its base: %s\n%s", wrong, o.errout)
	}
	if o := w.verify(update, cosigner, "--base", full); o.code != exitDone {
		t.Errorf("with its base: exit %d\n%s", o.code, o.errout)
	}
}

// A policy demands the same by the names of images, and load enforces it.
func TestPolicyDemandsSignedImages(t *testing.T) {
	w := newSignedWorlds(t).world(t, "sign ecdsa index", "attest ecdsa index")
	file := w.save()
	for name, c := range map[string]struct {
		images string
		code   int
	}{
		"signed and attested": {`[{name: "**", signedBy: [builder], attestations: [{type: "https://slsa.dev/provenance/v1", signedBy: [builder]}]}]`, exitDone},
		"not attested so":     {`[{name: "**", signedBy: [builder], attestations: [{type: "https://spdx.dev/Document", signedBy: [builder]}]}]`, exitUntrusted},
		"signed by another":   {`[{name: "**", signedBy: [other]}]`, exitUntrusted},
		"by both":             {`[{name: "**", signedBy: [builder, other]}]`, exitUntrusted},
		"another image":       {`[{name: "registry.example/**", signedBy: [other]}]`, exitDone},
		"exempt":              {`[{name: "` + w.registry.Addr + `/library/*", exempt: true}, {name: "**", signedBy: [other]}]`, exitDone},
	} {
		t.Run(name, func(t *testing.T) {
			policy := filepath.Join(t.TempDir(), "policy.yaml")
			text := fmt.Sprintf("version: 1\nsigners:\n  sender: {key: %s}\n  builder: {key: %s}\n  other: {key: %s}\nbundles: [{name: \"*\", unnamed: true, signedBy: [sender]}]\nimages: %s\n",
				testdata(t, "keys", "ed25519.pub"), testdata(t, "keys", "ecdsa.pub"), testdata(t, "keys", "rsa.pub"), c.images)
			if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			to := filepath.Join(t.TempDir(), "layout")
			o := inProcess(context.Background(), "load", "-i", file, "--policy", policy, "--to", "oci:"+to)
			if o.code != c.code {
				t.Errorf("exit %d, want %d\n%s", o.code, c.code, o.errout)
			}
			if _, err := os.Stat(filepath.Join(to, "index.json")); (err == nil) != (c.code == exitDone) {
				t.Errorf("after exit %d: %v", o.code, err)
			}
			if o := inProcess(context.Background(), "verify", "--policy", policy, file); o.code != c.code {
				t.Errorf("verify: exit %d, want %d\n%s", o.code, c.code, o.errout)
			}
		})
	}
}

// Flags that say nothing, or not enough, are refused.
func TestImageFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "b.bale")
	mustRun(t, "save", "-o", file, "--key", testdata(t, "keys", "ed25519.pem"), "oci:"+testdata(t, "images", "busybox"))
	key := testdata(t, "keys", "ecdsa.pub")
	for name, args := range map[string][]string{
		"images alone":              {"--images"},
		"attestation alone":         {"--image-attestation", "spdx"},
		"same name alone":           {"--image-same-name"},
		"promise alone":             {"--image-allow-promise"},
		"identity without root":     {"--image-certificate-identity", "a@example.com", "--image-certificate-oidc-issuer", "https://example.com"},
		"private key":               {"--image-key", testdata(t, "keys", "ed25519.pem")},
		"signature as attestation":  {"--image-key", key, "--image-attestation", "https://sigstore.dev/cosign/sign/v1"},
		"empty type of attestation": {"--image-key", key, "--image-attestation", ""},
	} {
		o := inProcess(context.Background(), append(append([]string{"verify", "--key", testdata(t, "keys", "ed25519.pub")}, args...), file)...)
		if o.code != exitUsage || o.out != "" {
			t.Errorf("%s: exit %d\n%s%s", name, o.code, o.out, o.errout)
		}
	}
}

// manifest returns a manifest of the repository, by tag or digest.
func (w *signedWorld) manifest(reference string) []byte {
	w.t.Helper()
	return w.request(http.MethodGet, "manifests/"+reference, "", nil)
}

// referrer returns the digest of the one manifest that refers to a digest.
func (w *signedWorld) referrer(to string) string {
	w.t.Helper()
	var m struct {
		Manifests []struct {
			Digest string `json:"digest"`
		} `json:"manifests"`
	}
	if err := json.Unmarshal(w.manifest(strings.Replace(to, ":", "-", 1)), &m); err != nil || len(m.Manifests) != 1 {
		w.t.Fatalf("%v: %d referrers", err, len(m.Manifests))
	}
	return m.Manifests[0].Digest
}

// attach puts a manifest there that refers to what to names, whatever it did refer to.
func (w *signedWorld) attach(to string, manifest []byte) {
	w.t.Helper()
	var m map[string]any
	if err := json.Unmarshal(manifest, &m); err != nil {
		w.t.Fatal(err)
	}
	subject := w.manifest(to)
	m["subject"] = map[string]any{"mediaType": mediaTypeOf(w.t, subject), "size": len(subject), "digest": to}
	b, err := json.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	d := digest.FromBytes(b).String()
	w.putManifest(d, b)
	// Without the referrers API there is a list.
	tag := strings.Replace(to, ":", "-", 1)
	list := []any{map[string]any{"mediaType": mediaTypeOf(w.t, b), "size": len(b), "digest": d, "artifactType": m["artifactType"]}}
	if there := w.request(http.MethodGet, "manifests/"+tag, "", nil, http.StatusNotFound); there != nil {
		var had struct {
			Manifests []any `json:"manifests"`
		}
		if err := json.Unmarshal(there, &had); err != nil {
			w.t.Fatal(err)
		}
		list = append(list, had.Manifests...)
	}
	b, err = json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": list})
	if err != nil {
		w.t.Fatal(err)
	}
	w.putManifest(tag, b)
}

// alter changes the one bundle that is attached to the index.
func (w *signedWorld) alter(change func([]byte) []byte) {
	w.t.Helper()
	m := w.manifest(w.referrer(w.index))
	fresh := w.withLayer(m, change(w.layer(m)))
	tag := strings.Replace(w.index, ":", "-", 1)
	b, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []any{}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.putManifest(tag, b)
	w.attach(w.index, fresh)
}

// layer returns the content of a manifest's only layer.
func (w *signedWorld) layer(manifest []byte) []byte {
	w.t.Helper()
	var m struct {
		Layers []struct {
			Digest string `json:"digest"`
		} `json:"layers"`
	}
	if err := json.Unmarshal(manifest, &m); err != nil || len(m.Layers) != 1 {
		w.t.Fatalf("%v: %d layers", err, len(m.Layers))
	}
	return w.request(http.MethodGet, "blobs/"+m.Layers[0].Digest, "", nil)
}

// withLayer puts content there and returns the manifest with it as its layer.
func (w *signedWorld) withLayer(manifest, content []byte) []byte {
	w.t.Helper()
	var m map[string]any
	if err := json.Unmarshal(manifest, &m); err != nil {
		w.t.Fatal(err)
	}
	l := m["layers"].([]any)[0].(map[string]any)
	d := digest.FromBytes(content).String()
	l["digest"], l["size"] = d, len(content)
	resp, err := http.Post("http://"+w.registry.Addr+"/v2/"+signedRepository+"/blobs/uploads/", "", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		w.t.Fatal(err)
	}
	q := to.Query()
	q.Set("digest", d)
	to.RawQuery = q.Encode()
	w.send(http.MethodPut, to.String(), "application/octet-stream", content)
	b, err := json.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *signedWorld) putManifest(reference string, content []byte) {
	w.t.Helper()
	w.request(http.MethodPut, "manifests/"+reference, mediaTypeOf(w.t, content), content)
}

func mediaTypeOf(t testing.TB, manifest []byte) string {
	t.Helper()
	var m struct {
		MediaType string `json:"mediaType"`
	}
	if err := json.Unmarshal(manifest, &m); err != nil || m.MediaType == "" {
		t.Fatalf("media type %q: %v", m.MediaType, err)
	}
	return m.MediaType
}

func (w *signedWorld) request(method, path, mediaType string, content []byte, absent ...int) []byte {
	w.t.Helper()
	return w.send(method, "http://"+w.registry.Addr+"/v2/"+signedRepository+"/"+path, mediaType, content, absent...)
}

// send returns the answer, or nil if its status is one of absent.
func (w *signedWorld) send(method, url, mediaType string, content []byte, absent ...int) []byte {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, url, bytes.NewReader(content))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", mediaType)
	req.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, */*")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	b, err := io.ReadAll(resp.Body)
	for _, status := range absent {
		if resp.StatusCode == status {
			return nil
		}
	}
	if err != nil || resp.StatusCode >= http.StatusMultipleChoices {
		w.t.Fatal(fmt.Sprintf("%s %s: %s %s", method, url, resp.Status, b), err)
	}
	return b
}
