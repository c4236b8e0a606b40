package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/parts"
)

// two platforms, one of them this machine's, and a note that is attached.
func release(t *testing.T) (s *set, img, note transport.Image) {
	t.Helper()
	s = newSet(t)
	index := s.index(s.image(host, busybox(t)), s.image(other, tarOf(t, "bin/tool", []byte("s390x\n"))))
	img = s.name("registry.example/team/box:1", index)
	n := s.note(index, "built with care")
	note = s.name("registry.example/team/box@"+n.Digest.String(), n)
	return s, img, note
}

// ctr, which is containerd's own, finds nothing missing in what was loaded, can
// export it, and import that elsewhere with the same digest.
func TestCtrTakesWhatWasLoaded(t *testing.T) {
	p := place{parts.Containerd(t), fresh()}
	s, img, _ := release(t)
	p.load(t, s.Source(), []transport.Image{img}, transport.Options{})
	if out := p.ctr(t, "images", "check"); !strings.Contains(out, "complete (2/2)") || strings.Contains(out, "incomplete") {
		t.Errorf("ctr images check:\n%s", out)
	}
	tar := filepath.Join(t.TempDir(), "export.tar")
	p.part.Export(t, p.ns, tar, "--all-platforms", img.Name.String())
	p2 := place{p.part, fresh()}
	p2.ctr(t, "images", "import", "--all-platforms", "--no-unpack", tar)
	p2.wantWhole(t, img)
}

// Once it is loaded, containerd collects nothing of it, whatever else goes; and
// what is gone by name is collected, so that nothing stays for ever.
func TestNothingIsCollected(t *testing.T) {
	p := place{parts.Containerd(t), fresh()}
	s, img, note := release(t)
	gone := s.name("registry.example/team/gone:1", s.image(host, tarOf(t, "x", []byte("gone"))))
	p.load(t, s.Source(), s.Images, transport.Options{})
	p.ctr(t, "images", "rm", "--sync", gone.Name.String())
	p.collect(t)
	p.wantWhole(t, img, note)
	if slices.Contains(p.names(t), note.Name.String()) {
		t.Error("what is attached to an image is an image of its own")
	}
	p.ctr(t, "images", "rm", "--sync", img.Name.String())
	p.collect(t)
	if left := p.content(t); len(left) != 0 {
		t.Errorf("after the last image was removed there are %d objects: %v", len(left), left)
	}
}

// The labels are those that containerd sets when it pulls the same image.
func TestLabelsAreContainerds(t *testing.T) {
	part := parts.Containerd(t)
	ours, theirs := place{part, fresh()}, place{part, fresh()}
	set := conformance.New(t, "registry.example/team").Without("artifact")
	registry := parts.Registry(t)
	set = set.Rename(func(n transport.Name) transport.Name {
		n.Domain = registry.Addr
		return n
	})
	push(t, part, set)
	ours.load(t, set.Source(), set.Images, transport.Options{})
	for _, img := range set.Images {
		theirs.ctr(t, "images", "pull", "--local", "--plain-http", "--all-platforms", img.Name.String())
	}
	want := theirs.content(t)
	for d, i := range ours.content(t) {
		if !sameReferences(i, want[d]) {
			t.Errorf("%s has labels\n%v, containerd sets\n%v", d, i.Labels, want[d].Labels)
		}
	}
	if len(want) != len(ours.content(t)) {
		t.Errorf("%d objects, want %d", len(ours.content(t)), len(want))
	}
}

func sameReferences(a, b content.Info) bool {
	refs := func(i content.Info) []string {
		var out []string
		for k, v := range i.Labels {
			if strings.HasPrefix(k, contentLabel) {
				out = append(out, k+"="+v)
			}
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(refs(a), refs(b))
}

// A run that fails leaves nothing, not even the namespace that it made.
func TestFailedRunLeavesNothing(t *testing.T) {
	p := place{parts.Containerd(t), fresh()}
	s, img, _ := release(t)
	layer := s.Graph(t, img).Layers[0]
	src := conformance.Inject(t, s.Source(), conformance.FailRead(layer.Digest, layer.Size/2))
	sink := p.sink(t)
	if _, err := transport.Copy(t.Context(), requests(src, img), sink, transport.Options{}); !errors.Is(err, conformance.ErrInjected) {
		t.Errorf("%v, want the injected fault", err)
	}
	if err := sink.Close(); err != nil {
		t.Error(err)
	}
	if left := p.strays(t); len(left) != 0 { // containerd was given no other reason to collect
		t.Errorf("left over: %q", left)
	}
	if strings.Contains(p.part.Run(t, "namespaces", "ls", "-q"), p.ns) {
		t.Error("the namespace is still there")
	}
}

// Runs side by side that write the same blobs do not disturb each other.
func TestRunsSideBySide(t *testing.T) {
	p := place{parts.Containerd(t, parts.WithIsolatedContent()), fresh()}
	s := newSet(t)
	var g errgroup.Group
	for i := range 4 {
		img := s.name(fmt.Sprintf("registry.example/team/box:%d", i), s.image(host, busybox(t), tarOf(t, "x", fmt.Append(nil, i))))
		sink := p.sink(t)
		g.Go(func() error {
			_, err := transport.Copy(t.Context(), requests(s.Source(), img), sink, transport.Options{})
			return errors.Join(err, sink.Close())
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	p.collect(t)
	p.wantWhole(t, s.Images...)
	if left := p.strays(t); len(left) != 0 {
		t.Errorf("left over: %q", left)
	}
}

// A run that fails does not take away the namespace that it made from another
// run, which has not got far yet.
func TestNamespaceStaysForOthers(t *testing.T) {
	p := place{parts.Containerd(t), fresh()}
	s, img, _ := release(t)
	first, second := p.sink(t), p.sink(t)
	for _, sink := range []*Sink{first, second} {
		if _, err := sink.leased(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := transport.Copy(t.Context(), requests(s.Source(), img), second, transport.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	p.wantWhole(t, img)
}

// When containerd ends in the middle, whoever reads the error knows.
func TestContainerdEnds(t *testing.T) {
	part := parts.Containerd(t)
	s, img, _ := release(t)
	layer := s.Graph(t, img).Layers[0]
	src := conformance.Inject(t, s.Source(), conformance.Hook(layer.Digest, layer.Size/2, func() { part.Stop(t) }))
	sink := place{part, fresh()}.sink(t)
	_, err := transport.Copy(t.Context(), requests(src, img), sink, transport.Options{})
	var side *transport.Error
	if !errors.As(err, &side) || side.Side != transport.AtTarget || !strings.Contains(fault.Hint(err), "containerd") {
		t.Errorf("%v (hint %q), want an error of the target", err, fault.Hint(err))
	}
	if err := sink.Close(); fault.Hint(err) == "" {
		t.Errorf("Close: %v (hint %q): what is left over must be told", err, fault.Hint(err))
	}
}

// While a run is under way, what it wrote and what it found stays, though no
// image names it.
func TestLeaseHoldsWhatIsThere(t *testing.T) {
	p := place{parts.Containerd(t), fresh()}
	s, img, _ := release(t)
	g := s.Graph(t, img)
	p.load(t, s.Source(), []transport.Image{img}, transport.Options{})
	sink := p.sink(t)
	found, err := sink.Has(t.Context(), g.Layers[0], nil)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	written := s.blob("text/plain", []byte("written meanwhile"))
	if err := sink.WriteBlob(t.Context(), written, nil, opener(s.Content[written.Digest])); err != nil {
		t.Fatal(err)
	}
	p.remove(t, img)
	have := p.content(t)
	if len(have) != 2 {
		t.Errorf("%d objects are there", len(have))
	}
	for _, d := range []v1.Descriptor{g.Layers[0], written} {
		if _, ok := have[d.Digest]; !ok {
			t.Errorf("%s was collected", d.Digest)
		}
	}
	if err := sink.Close(); err != nil {
		t.Error(err)
	}
	if left := p.content(t); len(left) != 0 {
		t.Errorf("%d objects are left", len(left))
	}
}

// What another namespace has need not be sent.
func TestContentOfOtherNamespaces(t *testing.T) {
	part := parts.Containerd(t)
	s, img, _ := release(t)
	place{part, fresh()}.load(t, s.Source(), []transport.Image{img}, transport.Options{})
	p := place{part, fresh()}
	sink := p.sink(t)
	g := s.Graph(t, img)
	for _, d := range g.Blobs() {
		err := sink.WriteBlob(t.Context(), d, []transport.Image{img}, func(context.Context) (io.ReadCloser, error) {
			t.Errorf("%s was opened", d.Digest)
			return nil, conformance.ErrInjected
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range g.Manifests {
		if err := sink.WriteManifest(t.Context(), d, []transport.Image{img}, s.Content[d.Digest]); err != nil {
			t.Fatal(err)
		}
	}
	if err := sink.Commit(t.Context(), []transport.Image{img}); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	p.wantWhole(t, img)
}

// A run that was killed in a blob is taken up there; if what it left is not the
// blob's beginning, the blob is written anew.
func TestKilledRunIsTakenUp(t *testing.T) {
	part := parts.Containerd(t)
	for name, left := range map[string]func(blob []byte) []byte{
		"half of it":     func(b []byte) []byte { return b[:len(b)/2] },
		"all of it":      func(b []byte) []byte { return b },
		"something else": func(b []byte) []byte { return []byte("something else") },
		"too much":       func(b []byte) []byte { return append(slices.Clone(b), 'x') },
		"other bytes":    func(b []byte) []byte { c := slices.Clone(b); c[0] ^= 1; return c },
	} {
		t.Run(name, func(t *testing.T) {
			p := place{part, fresh()}
			s := newSet(t)
			noise := make([]byte, 5<<20)
			for i := range noise {
				noise[i] = byte(i * i >> 7)
			}
			img := s.name("registry.example/team/box:1", s.image(host, append(noise, name...)))
			layer := s.Graph(t, img).Layers[0]
			leave(t, p, layer, left(s.Content[layer.Digest]))
			p.load(t, s.Source(), []transport.Image{img}, transport.Options{})
			p.wantWhole(t, img)
		})
	}
}

// leave writes what a killed run leaves: a lease, and part of a blob.
func leave(t *testing.T, p place, d v1.Descriptor, b []byte) {
	t.Helper()
	n := p.source(t).n
	l, err := n.api.LeasesService().Create(n.in(t.Context()), leases.WithRandomID(), leases.WithExpiration(leaseTime))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(leases.WithLease(n.in(t.Context()), l.ID))
	defer cancel()
	w, err := n.api.ContentStore().Writer(ctx, content.WithRef("bale-"+d.Digest.String()), content.WithDescriptor(bare(d)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// An image that can be run has been loaded.
func TestRun(t *testing.T) {
	parts.Tool(t, "runc")
	p := place{parts.Containerd(t), fresh()}
	s, img, _ := release(t)
	p.load(t, s.Source(), []transport.Image{img}, transport.Options{})
	if out := p.ctr(t, "run", "--rm", "--net-host", "--runtime", parts.Shim(t), "--snapshotter", "native", img.Name.String(), "one"); out != "hello" {
		t.Errorf("it says %q", out)
	}
}

func TestUnpack(t *testing.T) {
	p := place{parts.Containerd(t), fresh()}
	s, img, note := release(t)
	foreign := s.name("registry.example/team/foreign:1", s.index(s.image(other, tarOf(t, "y", nil))))
	sink := p.sink(t, func(o *Options) { o.Snapshotter = "native" })
	if _, err := transport.Copy(t.Context(), requests(s.Source(), img, note, foreign), sink, transport.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	p.collect(t)
	out := strings.Split(p.ctr(t, "snapshots", "--snapshotter", "native", "ls"), "\n")
	if len(out) != 2 || !strings.Contains(out[1], "Committed") { // below the heading
		t.Errorf("snapshots: %q", out)
	}

	sink = p.sink(t, func(o *Options) { o.Snapshotter = "no-such" })
	img.Name.Tag = "2"
	if _, err := transport.Copy(t.Context(), requests(s.Source(), img), sink, transport.Options{}); err == nil || !strings.Contains(err.Error(), "no-such") {
		t.Errorf("%v, want one about the snapshotter", err)
	}
	if slices.Contains(p.names(t), img.Name.String()) {
		t.Error("an image that could not be unpacked has its name")
	}
}

// In the namespace of Kubernetes an image has the names that kubelet asks for.
func TestKubernetesNames(t *testing.T) {
	p := place{parts.Containerd(t), Kubernetes}
	s, img, note := release(t)
	foreign := s.name("registry.example/team/foreign:1", s.index(s.image(other, tarOf(t, "y", nil))))
	signature := s.name("registry.example/team/box:"+transport.AttachedTag(img.Root.Digest, "sig"), s.image(host, tarOf(t, "z", nil)))
	p.load(t, s.Source(), []transport.Image{img, note, foreign, signature}, transport.Options{})
	config := s.Graph(t, transport.Image{Root: s.parse(img.Root).Manifests[0]}).Configs[0]
	for name, want := range map[string]bool{
		"registry.example/team/box:1":                           true,
		"registry.example/team/box@" + img.Root.Digest.String(): true,
		config.Digest.String():                                  true,
		foreign.Name.String():                                   false,
		signature.Name.String():                                 false,
	} {
		out := p.ctr(t, "images", "ls", "name=="+name)
		if !strings.Contains(out, name) {
			t.Errorf("there is no %s", name)
		}
		if strings.Contains(out, managedLabel+"="+managed) != want {
			t.Errorf("%s: managed by CRI is not %t:\n%s", name, want, out)
		}
	}
	if n := len(p.names(t)); n != 5 {
		t.Errorf("%d names: %q", n, p.names(t))
	}
	list, err := p.source(t).Images(t.Context(), "")
	if err != nil || len(list) != 3 {
		t.Errorf("%v, %v; want each image once", list, err)
	}
	byID, err := p.source(t).Images(t.Context(), config.Digest.String())
	if err != nil || !sameImage(byID[0], img) {
		t.Errorf("by image ID: %v, %v", byID, err)
	}
}

// If one name cannot be given, those given before are what they were.
func TestNamesAreTakenBack(t *testing.T) {
	p := place{parts.Containerd(t), fresh()}
	s := newSet(t)
	old := s.name("registry.example/team/box:1", s.image(host, tarOf(t, "x", []byte("old"))))
	to := s.name("registry.example/team/to:1", s.image(host, tarOf(t, "x", []byte("to"))))
	p.load(t, s.Source(), s.Images, transport.Options{})
	p.ctr(t, "images", "label", old.Name.String(), "mine=1")

	young := transport.Image{Name: old.Name, Root: bare(s.image(host, tarOf(t, "x", []byte("young"))))}
	added := transport.Image{Name: old.Name, Root: young.Root}
	added.Name.Tag = "2"
	note := s.note(to.Root, "attached")
	attached := transport.Image{Name: transport.Name{Domain: to.Name.Domain, Path: to.Name.Path, Digest: note.Digest}, Root: note}
	sink := p.sink(t)
	g := s.Graph(t, young, attached)
	for _, d := range g.Blobs() {
		if err := sink.WriteBlob(t.Context(), d, nil, opener(s.Content[d.Digest])); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range g.Manifests {
		if err := sink.WriteManifest(t.Context(), d, nil, s.Content[d.Digest]); err != nil {
			t.Fatal(err)
		}
	}
	ctx, err := sink.leased(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	for _, img := range []transport.Image{young, added, attached} {
		more, err := sink.steps(ctx, img)
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, more...)
	}
	seen := false
	steps = append(steps, func(context.Context) (func(context.Context) error, error) {
		p.collect(t) // what has lost its name goes, unless it is held
		out := p.ctr(t, "images", "ls")
		seen = strings.Contains(out, young.Root.Digest.String()) && strings.Contains(out, "box:2") &&
			strings.Contains(p.ctr(t, "content", "ls"), referrerLabel)
		return nil, conformance.ErrInjected
	})
	if err := sink.run(ctx, steps); !errors.Is(err, conformance.ErrInjected) {
		t.Errorf("%v, want the injected fault", err)
	}
	if !seen {
		t.Error("the steps before did nothing")
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	p.wantWhole(t, old, to)
	out := p.ctr(t, "images", "ls")
	if strings.Contains(out, "box:2") || !strings.Contains(out, "mine=1") {
		t.Errorf("names are not what they were:\n%s", out)
	}
	if left := p.strays(t); len(left) != 0 {
		t.Errorf("left over: %q", left)
	}
}

// An image that is there without something, which then is written, keeps it.
func TestDiscardedLayersComeBack(t *testing.T) {
	p := place{parts.Containerd(t), fresh()}
	s, img, _ := release(t)
	discarded(t, p, s, img)
	p.load(t, s.Source(), []transport.Image{img}, transport.Options{})
	p.collect(t)
	p.wantWhole(t, img)
}

// discarded imports an image so that its layers are gone.
func discarded(t *testing.T, p place, s *set, img transport.Image) {
	t.Helper()
	from := place{p.part, fresh()}
	from.load(t, s.Source(), []transport.Image{img}, transport.Options{})
	tar := filepath.Join(t.TempDir(), "export.tar")
	from.part.Export(t, from.ns, tar, img.Name.String())
	p.ctr(t, "images", "import", "--local", "--discard-unpacked-layers", "--snapshotter", "native", tar)
	from.remove(t, img)
	p.collect(t)
	if err := os.Remove(tar); err != nil {
		t.Fatal(err)
	}
}
