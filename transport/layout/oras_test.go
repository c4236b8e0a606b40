package layout_test

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"bale/transport"
	"bale/transport/layout"
	"bale/transport/parts"
)

// TestReferrersOfOras reads what oras copies into layouts: an index with an SBOM
// attached to it, and a note to that.
func TestReferrersOfOras(t *testing.T) {
	oras, registry := parts.Tool(t, "oras"), parts.Registry(t)
	from := open(t, filepath.Join(testImages, "busybox"))
	defer func() { _ = from.Close() }()
	images, err := from.Images(t.Context(), "")
	must(t, err)
	name := registry.Image("attached")
	skopeo(t, "copy", "--all", "--dest-tls-verify=false", "oci:"+filepath.Join(testImages, "busybox")+":"+images[0].Name.String(), "docker://"+name+":1")
	dir := t.TempDir()
	t.Chdir(dir) // oras takes files of the folder that it is in only
	put(t, "sbom.json", "{}")
	sbom := strings.TrimSpace(string(run(t, oras, "attach", "--plain-http", "--artifact-type", "application/vnd.example.sbom", "--format", "go-template={{.digest}}", name+":1", "sbom.json")))
	note := strings.TrimSpace(string(run(t, oras, "attach", "--plain-http", "--artifact-type", "application/vnd.example.note", "--format", "go-template={{.digest}}", name+"@"+sbom, "sbom.json")))
	folder, file := filepath.Join(dir, "folder"), filepath.Join(dir, "backup.tar")
	run(t, oras, "cp", "--recursive", "--from-plain-http", "--to-oci-layout", name+":1", folder+":1")
	run(t, oras, "backup", "--plain-http", "--include-referrers", "--output", file, name+":1")
	for what, open := range map[string]func() (transport.Source, error){
		"cp":     func() (transport.Source, error) { return layout.Open(folder) },
		"backup": func() (transport.Source, error) { return layout.OpenArchive(t.Context(), file) },
	} {
		src, err := open()
		must(t, err)
		found, err := src.Images(t.Context(), images[0].Root.Digest.String())
		must(t, err)
		img := found[0]
		for _, want := range []string{sbom, note} {
			attached, err := src.(transport.Referring).Referrers(t.Context(), img, img.Root)
			must(t, err)
			if len(attached) != 1 || attached[0].Root.Digest.String() != want {
				t.Fatalf("%s: to %s, %v is attached, want %s", what, img.Root.Digest, attached, want)
			}
			img = attached[0]
		}
		all, err := src.Images(t.Context(), "")
		must(t, err)
		var requests []transport.Request
		for _, img := range all {
			requests = append(requests, transport.Request{Source: src, Image: img, Target: img.Name})
		}
		_, err = transport.Copy(t.Context(), requests, layout.NewTarSink(io.Discard, "nowhere"), transport.Options{})
		must(t, err)
		must(t, src.Close())
	}
}
