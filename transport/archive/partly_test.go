package archive_test

import (
	"io"
	"path/filepath"
	"testing"

	"bale/transport"
	"bale/transport/layout"
	"bale/transport/parts"
)

// partlySaved has a current engine pull one platform of an index, and reads what
// docker save makes of that: the index, and one of the manifests that it lists.
func partlySaved(t *testing.T, engine *parts.DockerPart) {
	t.Helper()
	crane, skopeo, registry := parts.Tool(t, "crane"), parts.Tool(t, "skopeo"), parts.Registry(t)
	r := testRequests(t)[0]
	name := registry.Image("partly:1")
	tool(t, skopeo, "--insecure-policy", "copy", "--all", "--dest-tls-verify=false",
		"oci:"+filepath.Join("..", "..", "testdata", "images", "busybox")+":"+r.Image.Name.String(), "docker://"+name)
	if got := string(tool(t, crane, "digest", name)); got != r.Image.Root.Digest.String()+"\n" {
		t.Fatalf("the registry has %s, want %s", got, r.Image.Root.Digest)
	}
	engine.Run(t, "pull", "--platform", "linux/amd64", name)
	defer engine.Run(t, "image", "rm", "--force", name)
	path := filepath.Join(t.TempDir(), "saved.tar")
	engine.Run(t, "save", "--output", path, name)

	src := openFile(t, path)
	defer func() { _ = src.Close() }()
	images, err := src.Images(t.Context(), name)
	must(t, err)
	if len(images) != 1 || images[0].Root.Digest != r.Image.Root.Digest {
		t.Fatalf("images %v, want the index %s", images, r.Image.Root.Digest)
	}
	plan, err := transport.Copy(t.Context(), []transport.Request{{Source: src, Image: images[0], Target: images[0].Name}},
		layout.NewTarSink(io.Discard, "nowhere"), transport.Options{})
	must(t, err)
	if p := plan.Images[0]; p.Target.Root.Digest != r.Image.Root.Digest || len(p.Omitted) != 1 || p.Omitted[0].Reason != transport.NotAtSource {
		t.Errorf("the plan is %+v, want the index as it is and one platform that is not there", p)
	}
}
