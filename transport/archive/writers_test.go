package archive_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/transport"
	"bale/transport/archive"
	"bale/transport/layout"
	"bale/transport/parts"
)

// wantImages reads everything in a source, verified, and compares what there is;
// manifests says whether the images have their own.
func wantImages(t *testing.T, src transport.Source, want []loaded, manifests bool) {
	t.Helper()
	defer func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}()
	images, err := src.Images(t.Context(), "")
	must(t, err)
	var requests []transport.Request
	var got, wanted []string
	line := func(name string, root, id digest.Digest) string {
		if !manifests {
			root = ""
		}
		return name + " " + root.String() + " " + id.String()
	}
	for _, img := range images {
		requests = append(requests, transport.Request{Source: src, Image: img, Target: img.Name})
		got = append(got, line(img.Name.String(), img.Root.Digest, idOf(t, src, img)))
	}
	for _, img := range want {
		wanted = append(wanted, line(img.name, img.root, img.id))
	}
	slices.Sort(got)
	slices.Sort(wanted)
	if !slices.Equal(got, wanted) {
		t.Errorf("it holds\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(wanted, "\n"))
	}
	// The engine verifies all that it reads.
	_, err = transport.Copy(t.Context(), requests, layout.NewTarSink(io.Discard, "nowhere"), transport.Options{})
	must(t, err)
}

func names(images []loaded) []string {
	var list []string
	for _, img := range images {
		list = append(list, img.name)
	}
	return list
}

// nameless is how the one image of a file is called that has no name there.
func nameless(t *testing.T, src transport.Source) string {
	t.Helper()
	images, err := src.Images(t.Context(), "")
	must(t, err)
	if len(images) != 1 || images[0].Name.Domain != "localhost" || images[0].Name.Tag != "" || images[0].Name.Digest != images[0].Root.Digest {
		t.Fatalf("images %v, want one without a name of its own", images)
	}
	return images[0].Name.String()
}

// saveFrom reads what docker save writes: several images, through a pipe and
// compressed, and one by its ID only.
func saveFrom(t *testing.T, engine *parts.DockerPart, w written, manifests bool) {
	t.Helper()
	loadInto(t, engine, w, manifests)
	path := filepath.Join(t.TempDir(), "saved.tar")
	engine.Run(t, append([]string{"save", "--output", path}, names(w.images)...)...)
	wantImages(t, openFile(t, path), w.images, manifests)
	content, err := os.ReadFile(path)
	must(t, err)
	for form, packed := range map[string][]byte{"plain": content, "gzip": gzipped(t, content), "zstd": zstdOf(t, content)} {
		src, err := archive.OpenFile(t.Context(), "-", archive.Stdin(bytes.NewReader(packed)))
		if err != nil {
			t.Errorf("%s: %v", form, err)
			continue
		}
		wantImages(t, src, w.images, manifests)
	}

	one := w.images[len(w.images)-1]
	id := one.id
	if manifests {
		id = one.root // what the engine calls the image's ID
	}
	engine.Run(t, "save", "--output", path, id.String())
	src := openFile(t, path)
	wantImages(t, src, []loaded{{name: nameless(t, src), root: one.root, id: one.id}}, manifests)
	for _, selector := range []string{"@0", one.id.String(), one.id.Encoded()} {
		src := openFile(t, path)
		found, err := src.Images(t.Context(), selector)
		if err != nil || len(found) != 1 || idOf(t, src, found[0]) != one.id {
			t.Errorf("%s: %v, %v; want image %s", selector, found, err, one.id)
		}
		must(t, src.Close())
	}
}

// podmanSave reads an oci-archive as podman save writes it, which is of one image.
func podmanSave(t *testing.T, engine *parts.DockerPart, w written) {
	t.Helper()
	loadInto(t, engine, w, false)
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(engine.Host, "unix://"))
	}}}
	for _, img := range w.images {
		res, err := c.Get("http://podman/v4.0.0/libpod/images/" + url.PathEscape(img.name) + "/get?format=oci-archive")
		must(t, err)
		content, err := io.ReadAll(res.Body)
		must(t, err)
		must(t, res.Body.Close())
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %s", img.name, res.Status, content)
		}
		path := filepath.Join(t.TempDir(), "saved.tar")
		must(t, os.WriteFile(path, content, 0o600))
		src, err := layout.OpenArchive(t.Context(), path)
		must(t, err)
		wantImages(t, src, []loaded{img}, false)
	}
}

// containerdExport reads what ctr writes.
func containerdExport(t *testing.T, c *parts.ContainerdPart, namespace, name string, w written) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "exported.tar")
	c.Export(t, namespace, path, append([]string{"--all-platforms"}, names(w.images)...)...)
	src, err := layout.OpenArchive(t.Context(), path)
	must(t, err)
	wantImages(t, src, w.images, true)
	// It may list those images in manifest.json too that have one platform.
	if src, err := archive.OpenFile(t.Context(), path); err == nil {
		wantImages(t, src, w.images, true)
	} else if name == "docker-archive" {
		t.Error(err)
	}
}

// TestSkopeoCopy reads what skopeo writes, with a name and without.
func TestSkopeoCopy(t *testing.T) {
	skopeo := parts.Tool(t, "skopeo")
	from := files(t)["oci-archive"]
	for _, img := range from.images {
		short := strings.TrimPrefix(img.name, "docker.io/library/")
		copied := func(to string, args ...string) string {
			path := filepath.Join(t.TempDir(), "copied.tar")
			tool(t, skopeo, slices.Concat([]string{"--insecure-policy", "copy"}, args, []string{"oci-archive:" + from.path + ":" + img.name, strings.Replace(to, "FILE", path, 1)})...)
			return path
		}
		oci := func(path string) transport.Source {
			src, err := layout.OpenArchive(t.Context(), path)
			must(t, err)
			return src
		}
		same := !strings.HasSuffix(img.name, ":raw") // it compresses layers that are not
		wantImages(t, oci(copied("oci-archive:FILE:"+img.name, "--all")), []loaded{img}, same)
		src := oci(copied("oci-archive:FILE", "--all"))
		wantImages(t, src, []loaded{{name: nameless(t, src), root: img.root, id: img.id}}, same)
		wantImages(t, openFile(t, copied("docker-archive:FILE:"+short)), []loaded{img}, false)
		src = openFile(t, copied("docker-archive:FILE"))
		wantImages(t, src, []loaded{{name: nameless(t, src), root: img.root, id: img.id}}, false)
	}
}

// TestCranePull reads what crane writes.
func TestCranePull(t *testing.T) {
	crane, registry := parts.Tool(t, "crane"), parts.Registry(t)
	for i, r := range testRequests(t) {
		path := filepath.Join(t.TempDir(), "image.tar")
		w := write(t, path, true, newSink(t, path, archive.Platform(amd64)), []transport.Request{r})
		name := registry.Image("pulled:" + string(rune('a'+i)))
		tool(t, crane, "push", path, name)
		for _, format := range []string{"tarball", "legacy"} {
			out := filepath.Join(t.TempDir(), "pulled.tar")
			tool(t, crane, "pull", "--format", format, name, out)
			wantImages(t, openFile(t, out), []loaded{{name: name, id: w.images[0].id}}, false)
		}
	}
}

// TestPacked reads an archive that was compressed by a program that has its own
// ideas of how.
func TestPacked(t *testing.T) {
	w := files(t)["hybrid oci-archive"]
	for _, program := range []string{"gzip", "bzip2", "xz"} {
		path := filepath.Join(t.TempDir(), "images.tar")
		in, err := os.Open(w.path)
		must(t, err)
		out, err := os.Create(path)
		must(t, err)
		cmd := exec.CommandContext(t.Context(), parts.Tool(t, program), "-c")
		cmd.Stdin, cmd.Stdout = in, out
		must(t, cmd.Run())
		must(t, in.Close())
		must(t, out.Close())
		src, err := layout.OpenArchive(t.Context(), path)
		if program != "gzip" {
			if err == nil {
				t.Errorf("%s: opened", program)
			}
			continue
		}
		must(t, err)
		wantImages(t, src, w.images, true)
	}
}
