package containerd

import (
	"errors"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/parts"
)

// push has containerd push images into the registry that they are named after.
func push(t *testing.T, part *parts.ContainerdPart, s *conformance.Set) {
	t.Helper()
	p := place{part, fresh()}
	p.load(t, s.Source(), s.Images, transport.Options{})
	for _, img := range s.Images {
		p.ctr(t, "images", "push", "--plain-http", img.Name.String())
	}
	for _, img := range s.Images {
		p.remove(t, img)
	}
}

// An image that ctr has pulled for one platform is in order, and its index keeps
// its digest on the way to another namespace.
func TestOnePlatformOfMany(t *testing.T) {
	part := parts.Containerd(t)
	p := place{part, fresh()}
	r := parts.Registry(t)
	s := newSet(t)
	mine, theirs := s.image(host, busybox(t)), s.image(other, tarOf(t, "bin/tool", []byte("s390x\n")))
	img := s.name(r.Image("team/box:1"), s.index(mine, theirs))
	push(t, part, &s.Set)
	p.ctr(t, "images", "pull", "--plain-http", img.Name.String())

	src := p.source(t)
	for i, d := range []v1.Descriptor{mine, theirs} {
		if got, err := src.Lacks(t.Context(), img, d); got != (i == 1) || err != nil {
			t.Errorf("Lacks %s: %t, %v", d.Digest, got, err)
		}
	}
	to := place{part, fresh()}
	sink := to.sink(t)
	plan, err := transport.Copy(t.Context(), requests(src, img), sink, transport.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if o := plan.Images[0].Omitted; len(o) != 1 || o[0].Descriptor.Digest != theirs.Digest {
		t.Errorf("left out: %v", o)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	if out := to.ctr(t, "images", "ls"); !strings.Contains(out, img.Root.Digest.String()) {
		t.Errorf("the index has another digest:\n%s", out)
	}
	if out := to.ctr(t, "images", "check"); !strings.Contains(out, "complete (2/2)") || strings.Contains(out, "incomplete") {
		t.Errorf("ctr images check:\n%s", out)
	}
	_, err = transport.Copy(t.Context(), requests(src, img), to.sink(t), transport.Options{Complete: true})
	if !errors.Is(err, fault.ErrMissing) || !strings.Contains(err.Error(), "s390x") {
		t.Errorf("%v, want an ErrMissing that names the platform", err)
	}

	// The rest of the image makes it whole.
	to.load(t, s.Source(), []transport.Image{img}, transport.Options{})
	to.collect(t)
	to.wantWhole(t, img)
}

// Layers that containerd gave up are no choice of whoever pulled the image: what
// is missing is said, and why.
func TestDiscardedLayersAreMissing(t *testing.T) {
	part := parts.Containerd(t)
	p := place{part, fresh()}
	s, img, _ := release(t)
	mine := s.parse(img.Root).Manifests[0]
	layer := s.parse(mine).Layers[0]
	discarded(t, p, s, img)
	src := p.source(t)
	if got, err := src.Lacks(t.Context(), img, mine); got || err != nil {
		t.Errorf("Lacks: %t, %v; it must not be left out in silence", got, err)
	}
	_, err := transport.Copy(t.Context(), requests(src, img), place{part, fresh()}.sink(t), transport.Options{})
	if !errors.Is(err, fault.ErrMissing) || !strings.Contains(err.Error(), layer.Digest.String()) || !strings.Contains(fault.Hint(err), "discard_unpacked_layers") {
		t.Errorf("%v (hint %q), want an ErrMissing that names %s and says why", err, fault.Hint(err), layer.Digest)
	}
}

// What ctr imports under a name of its own making is not listed, what has a name
// is.
func TestReadsWhatCtrImports(t *testing.T) {
	part := parts.Containerd(t)
	p := place{part, fresh()}
	s, img, _ := release(t)
	from := place{part, fresh()}
	from.load(t, s.Source(), []transport.Image{img}, transport.Options{})
	tar := filepath.Join(t.TempDir(), "export.tar")
	from.part.Export(t, from.ns, tar, img.Name.String())
	p.ctr(t, "images", "import", "--digests", tar)
	if n := len(p.names(t)); n < 2 {
		t.Fatalf("ctr made no other names: %q", p.names(t))
	}
	list, err := p.source(t).Images(t.Context(), "")
	if err != nil || len(list) != 1 || !sameImage(list[0], img) {
		t.Errorf("%v, %v; want %v", list, err, img)
	}
	p.ctr(t, "images", "tag", img.Name.String(), "short:2")
	got, err := p.source(t).Images(t.Context(), "short:2")
	if err != nil || got[0].Name.String() != "docker.io/library/short:2" || got[0].Root.Digest != img.Root.Digest {
		t.Errorf("%v, %v", got, err)
	}
}

// What is attached to images comes in and goes out with them.
func TestReferrers(t *testing.T) {
	part := parts.Containerd(t)
	s, img, note := release(t)
	of := s.parse(img.Root).Manifests[0]
	onManifest := s.note(of, "for one platform")
	onNote := s.note(note.Root, "about the note")
	signature := s.name("registry.example/team/box:"+transport.AttachedTag(img.Root.Digest, "sig"), s.image(host, tarOf(t, "z", nil)))
	repo := "registry.example/team/box@"
	all := []transport.Image{img, note, signature,
		s.name(repo+onManifest.Digest.String(), onManifest), s.name(repo+onNote.Digest.String(), onNote)}
	p := place{part, fresh()}
	p.load(t, s.Source(), all, transport.Options{})
	p.collect(t)

	src := p.source(t)
	for _, c := range []struct {
		to   v1.Descriptor
		want []string
	}{
		{img.Root, []string{note.Name.String(), signature.Name.String()}},
		{of, []string{repo + onManifest.Digest.String()}},
		{note.Root, []string{repo + onNote.Digest.String()}},
		{onNote, nil},
	} {
		got, err := src.Referrers(t.Context(), img, c.to)
		if err != nil {
			t.Error(err)
		}
		var names []string
		for _, g := range got {
			names = append(names, g.Name.String())
		}
		if strings.Join(names, " ") != strings.Join(c.want, " ") {
			t.Errorf("attached to %s: %q, want %q", c.to.Digest, names, c.want)
		}
	}

	// And on to another namespace, by the image's name alone.
	to := place{part, fresh()}
	to.load(t, src, []transport.Image{img}, transport.Options{})
	to.collect(t)
	to.wantWhole(t, all...)
	if got := to.names(t); len(got) != 2 {
		t.Errorf("names: %q, want the image's and the signature's", got)
	}
	to.ctr(t, "images", "rm", "--sync", signature.Name.String())
	to.ctr(t, "images", "rm", "--sync", img.Name.String())
	to.collect(t)
	if left := to.content(t); len(left) != 0 {
		t.Errorf("%d objects are left without any image", len(left))
	}
}

func TestEmptyNamespace(t *testing.T) {
	part := parts.Containerd(t)
	s, img, _ := release(t)
	place{part, "full"}.load(t, s.Source(), []transport.Image{img}, transport.Options{})
	src := place{part, "empty"}.source(t)
	for _, selector := range []string{"", "box:1"} {
		_, err := src.Images(t.Context(), selector)
		if !errors.Is(err, fault.ErrMissing) || !strings.Contains(fault.Hint(err), "full") {
			t.Errorf("%q: %v (hint %q), want an ErrMissing and the other namespace", selector, err, fault.Hint(err))
		}
	}
}

func TestConnect(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	web, err := net.Listen("unix", filepath.Join(dir, "web.sock"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler()}
	done := make(chan error, 1)
	go func() { done <- server.Serve(web) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	for name, c := range map[string]struct {
		o    Options
		want error
		hint string
	}{
		"no socket":        {Options{Address: filepath.Join(dir, "none")}, fs.ErrNotExist, addressEnv},
		"something else's": {Options{Address: "unix://" + filepath.Join(dir, "web.sock")}, nil, addressEnv},
		"no namespace":     {Options{Address: filepath.Join(dir, "none"), Namespace: "a/b"}, fault.ErrUsage, "k8s.io/"},
	} {
		for what, open := range map[string]func() error{
			"source": func() error { _, err := NewSource(t.Context(), c.o); return err },
			"sink":   func() error { _, err := NewSink(t.Context(), c.o); return err },
		} {
			err := open()
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(fault.Hint(err), c.hint) {
				t.Errorf("%s, %s: %v (hint %q)", name, what, err, fault.Hint(err))
			}
		}
	}
	n := &node{address: "/x"}
	if hint := fault.Hint(n.unreached(fs.ErrPermission)); !strings.Contains(hint, "root") {
		t.Errorf("hint %q", hint)
	}
}

// The environment says where containerd is, as it says to ctr.
func TestEnvironment(t *testing.T) {
	part := parts.Containerd(t)
	s, img, _ := release(t)
	p := place{part, fresh()}
	p.load(t, s.Source(), []transport.Image{img}, transport.Options{})
	t.Setenv("CONTAINERD_ADDRESS", part.Address)
	t.Setenv("CONTAINERD_NAMESPACE", p.ns)
	src, err := NewSource(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = src.Close() }()
	if list, err := src.Images(t.Context(), ""); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}
