package bundle_test

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// listed is what go list tells of a package.
type listed struct {
	ImportPath string
	Imports    []string // of its own, tests left out
	Deps       []string // and all that these need
}

// list runs go list, which knows what the build would take.
func list(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	var failure strings.Builder
	cmd.Stderr = &failure
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, failure.String())
	}
	return out
}

// top returns the top folder of the tree.
func top(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(string(list(t, "-m", "-f", "{{.Dir}}", "bale")))
}

// look reads all folders with code. What go list reads is unknown to go test,
// which would take a result from its cache whatever else had changed.
func look(t *testing.T) {
	t.Helper()
	root := top(t)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// packages returns the module's packages below some folders.
func packages(t *testing.T, patterns ...string) []listed {
	t.Helper()
	look(t)
	dec := json.NewDecoder(strings.NewReader(string(list(t, append([]string{"-json=ImportPath,Imports,Deps"}, patterns...)...))))
	var out []listed
	for {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	if len(out) == 0 {
		t.Fatalf("%v: no package", patterns)
	}
	return out
}

// below reports whether a package is one of some, or below one.
func below(pkg string, paths ...string) bool {
	return slices.ContainsFunc(paths, func(p string) bool { return pkg == p || strings.HasPrefix(pkg, p+"/") })
}

// What opens a bundle and decides about it knows no registry, no engine and no
// command line.
func TestFormatKeysAndTrustNeedNoClient(t *testing.T) {
	const ggcr = "github.com/google/go-containerregistry"
	banned := []string{
		ggcr, "github.com/moby", "github.com/docker", "github.com/containerd", "github.com/distribution/distribution",
		"github.com/spf13", "github.com/schollz/progressbar", "bale/transport", "bale/cmd",
	}
	for _, p := range packages(t, "bale/bundle/...", "bale/sign/...", "bale/verify/...") {
		for _, dep := range p.Deps {
			// Rekor's client reads signatures of all kinds; the library for PKCS #7
			// has flags of its own.
			if p.ImportPath == "bale/sign/sigstore" && below(dep, "github.com/spf13") && !slices.Contains(p.Imports, dep) {
				continue
			}
			if below(dep, banned...) && dep != ggcr+"/pkg/name" {
				t.Errorf("%s needs %s", p.ImportPath, dep)
			}
		}
	}
}

// What needs no network cannot have any. Below verify only what reads Sigstore's
// certificates is linked with some, since the library it uses is, and does not
// use it itself; signing may ask a KMS or Fulcio.
func TestFormatAndTrustHaveNoNetwork(t *testing.T) {
	banned := []string{"net/http", "os/exec"}
	for _, p := range packages(t, "bale/bundle/...", "bale/sign", "bale/verify/...") {
		for _, dep := range p.Imports {
			if below(dep, "net", "os/exec") && dep != "net/url" && dep != "net/mail" {
				t.Errorf("%s imports %s", p.ImportPath, dep)
			}
		}
		if slices.Contains(networked, p.ImportPath) {
			continue
		}
		for _, dep := range p.Deps {
			if below(dep, banned...) {
				t.Errorf("%s needs %s", p.ImportPath, dep)
			}
		}
	}
}

// networked are the packages that a library brings net/http into.
var networked = []string{"bale/verify/certificate", "bale/verify/policy", "bale/verify/image"}

// Imports run one way: cmd, then transport, then bundle; sign and verify stand
// beside bundle.
func TestImportsRunOneWay(t *testing.T) {
	for _, c := range []struct {
		of     string
		banned []string
	}{
		{"bale/transport/...", []string{"bale/cmd", "bale/verify", "bale/sign"}},
		{"bale/bundle/...", []string{"bale/cmd", "bale/transport", "bale/verify", "bale/sign"}},
		{"bale/sign/...", []string{"bale/cmd", "bale/transport", "bale/verify"}},
		{"bale/verify/...", []string{"bale/cmd", "bale/transport"}},
	} {
		for _, p := range packages(t, c.of) {
			for _, dep := range p.Deps {
				if below(dep, c.banned...) {
					t.Errorf("%s needs %s", p.ImportPath, dep)
				}
			}
		}
	}
}

// The nouns of the format do not know the whole.
func TestNounsDoNotImportTheBundle(t *testing.T) {
	for _, p := range packages(t, "bale/bundle/...") {
		if p.ImportPath != "bale/bundle" && slices.Contains(p.Deps, "bale/bundle") {
			t.Errorf("%s needs bale/bundle", p.ImportPath)
		}
	}
}

// What rebuilds gzip must not change when a compressor somewhere else does.
func TestDeflateNeedsNoCompressor(t *testing.T) {
	for _, p := range packages(t, "bale/bundle/deflate") {
		for _, dep := range p.Deps {
			if below(dep, "compress", "github.com/klauspost") {
				t.Errorf("%s needs %s", p.ImportPath, dep)
			}
		}
	}
}

// What tests share is no part of the program.
func TestProgramNeedsNoTestSupport(t *testing.T) {
	for _, p := range packages(t, "bale/cmd/bale") {
		own := []string{p.ImportPath}
		for _, dep := range p.Deps {
			if below(dep, "bale/transport/conformance", "bale/transport/parts", "bale/verify/attack") {
				t.Errorf("%s needs %s", p.ImportPath, dep)
			}
			if below(dep, "bale") {
				own = append(own, dep)
			}
		}
		// A library that reads timestamps imports testing, beside its code.
		for _, q := range packages(t, own...) {
			for _, dep := range q.Imports {
				if below(dep, "testing") {
					t.Errorf("%s imports %s", q.ImportPath, dep)
				}
			}
		}
	}
}

// The top of the tree is the map of the project, and stays that.
func TestTopOfTheTree(t *testing.T) {
	allowed := []string{
		"cmd", "bundle", "sign", "verify", "transport", "testdata", "bin",
		"go.mod", "go.sum", "Makefile", "README.md",
	}
	entries, err := os.ReadDir(top(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(allowed, e.Name()) {
			t.Errorf("%s does not belong at the top", e.Name())
		}
	}
}
