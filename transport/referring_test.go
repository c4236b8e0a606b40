package transport_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
)

// referring is a source that knows what is attached to what, and lacks some.
type referring struct {
	transport.Source
	attached map[digest.Digest][]transport.Image
	err      map[digest.Digest]error
	lacks    map[digest.Digest]bool
	local    bool
	asked    chan digest.Digest
}

func newReferring(lib *library) *referring {
	return &referring{
		Source: lib.Source(), attached: make(map[digest.Digest][]transport.Image), err: make(map[digest.Digest]error),
		lacks: make(map[digest.Digest]bool), asked: make(chan digest.Digest, 1000),
	}
}

func (s *referring) Referrers(_ context.Context, _ transport.Image, d v1.Descriptor) ([]transport.Image, error) {
	s.asked <- d.Digest
	return s.attached[d.Digest], s.err[d.Digest]
}

func (s *referring) Lacks(_ context.Context, _ transport.Image, d v1.Descriptor) (bool, error) {
	return s.lacks[d.Digest], nil
}

func (s *referring) Local() bool { return s.local }

// attach makes something that refers to a subject.
func (l *library) attach(subject v1.Descriptor, what string) v1.Descriptor {
	subject.Platform = nil
	return l.json(v1.MediaTypeImageManifest, v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, ArtifactType: "application/vnd.example." + what,
		Config: l.blob(v1.MediaTypeEmptyJSON, []byte("{}")), Layers: []v1.Descriptor{l.blob("text/plain", []byte(what))}, Subject: &subject,
	})
}

// unnamed is an image that is called by its digest.
func unnamed(t *testing.T, d v1.Descriptor) transport.Image {
	return transport.Image{Name: name(t, team+"/app@"+d.Digest.String()), Root: v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}}
}

// signed is an index of two platforms with something attached to everything in it.
type signed struct {
	*library
	src                   *referring
	amd, arm              v1.Descriptor
	img                   transport.Image
	onIndex, onAmd, onArm transport.Image
	sigTag, onSBOM        transport.Image
}

func newSigned(t *testing.T) *signed {
	s := &signed{library: newLibrary(t)}
	s.amd, s.arm = s.entry(amd64, "amd64"), s.entry(arm64, "arm64")
	s.img = s.name(team+"/app:1", s.index(s.amd, s.arm))
	s.src = newReferring(s.library)
	s.onIndex = unnamed(t, s.attach(s.img.Root, "of the index"))
	s.onAmd = unnamed(t, s.attach(s.amd, "of amd64"))
	s.onArm = unnamed(t, s.attach(s.arm, "of arm64"))
	s.onSBOM = unnamed(t, s.attach(s.onAmd.Root, "of what is attached"))
	sig := s.image(amd64, s.layer("signature"))
	s.sigTag = transport.Image{Name: name(t, team+"/app:"+transport.AttachedTag(s.img.Root.Digest, "sig")), Root: v1.Descriptor{MediaType: sig.MediaType, Digest: sig.Digest, Size: sig.Size}}
	s.src.Source = s.Source()
	s.src.attached[s.img.Root.Digest] = []transport.Image{s.onIndex, s.sigTag}
	s.src.attached[s.amd.Digest] = []transport.Image{s.onAmd}
	s.src.attached[s.arm.Digest] = []transport.Image{s.onArm}
	s.src.attached[s.onAmd.Root.Digest] = []transport.Image{s.onSBOM}
	return s
}

func names(images []transport.Image) []string {
	var out []string
	for _, i := range images {
		out = append(out, i.Name.String())
	}
	return out
}

func planned(plan *transport.Plan, attached bool) []string {
	var out []string
	for _, i := range plan.Images {
		if (i.Subject != "") == attached {
			out = append(out, i.Source.Name.String())
		}
	}
	slices.Sort(out)
	return out
}

func sortedNames(images ...transport.Image) []string {
	out := names(images)
	slices.Sort(out)
	return out
}

func TestWhatIsAttachedIsCopied(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		s := newSigned(t)
		var spy spy
		spy.props.Ordered = ordered
		var place conformance.Memory
		to := name(t, "other.example/mirror/app:2")
		// A second tag of the same image brings nothing more.
		again := transport.Request{Source: s.src, Image: s.img, Target: name(t, "other.example/mirror/app:latest")}
		plan, err := transport.Copy(t.Context(), []transport.Request{{Source: s.src, Image: s.img, Target: to}, again}, spy.sink(&place), transport.Options{})
		must(t, err)
		want := []transport.Image{s.onIndex, s.sigTag, s.onAmd, s.onArm, s.onSBOM}
		if got := planned(plan, true); !slices.Equal(got, sortedNames(want...)) {
			t.Errorf("attached %v, want %v", got, sortedNames(want...))
		}
		for i := range want {
			want[i].Name.Domain, want[i].Name.Path = to.Domain, to.Path
		}
		wantWhole(t, &place, &s.Set, want...)
		for _, i := range plan.Images {
			if i.Subject != "" && (i.Target.Name.Domain != to.Domain || i.Target.Name.Path != to.Path) {
				t.Errorf("%s is called %s", i.Source.Name, i.Target.Name)
			}
		}
		// Whoever sees the image sees what is attached to it.
		last := spy.committed[len(spy.committed)-2:]
		if got := names(last); !slices.Equal(got, []string{to.String(), again.Target.String()}) {
			t.Errorf("named last: %v", got)
		}
		// And what is attached to a manifest is written after it.
		if _, subject := spy.when("write manifest", s.img.Root.Digest); subject < 0 {
			t.Error("the index was not written")
		} else if begin, _ := spy.when("write manifest", s.onIndex.Root.Digest); begin < subject {
			t.Error("attached before there was a subject")
		}
	}
}

func TestWhatIsAttachedMayBeLeft(t *testing.T) {
	s := newSigned(t)
	var place conformance.Memory
	plan, err := transport.Copy(t.Context(), all(s.src, s.img), place.Sink(), transport.Options{NoReferrers: true})
	must(t, err)
	if len(plan.Images) != 1 || len(s.src.asked) > 0 {
		t.Errorf("planned %v, asked %d times", planned(plan, true), len(s.src.asked))
	}
}

// A place that keeps images only says what it does not get.
func TestWhatIsAttachedCannotBeKept(t *testing.T) {
	for _, local := range []bool{true, false} {
		s := newSigned(t)
		s.src.local = local
		spy := spy{props: transport.Properties{NoReferrers: true, Platform: &amd64}}
		var place conformance.Memory
		// All that is at the source was asked for, and not by name.
		var requests []transport.Request
		for _, i := range []transport.Image{s.img, s.onIndex, s.sigTag, s.onAmd} {
			requests = append(requests, transport.Request{Source: s.src, Image: i, Target: i.Name, Listed: true})
		}
		plan, err := transport.Copy(t.Context(), requests, spy.sink(&place), transport.Options{})
		must(t, err)
		if len(plan.Images) != 1 || plan.Images[0].Target.Root.Digest != s.amd.Digest {
			t.Fatalf("planned %+v", plan.Images)
		}
		var got []digest.Digest
		for _, o := range plan.Images[0].Omitted {
			if o.Reason != transport.NotKept {
				t.Errorf("left out %+v", o)
			}
			got = append(got, o.Descriptor.Digest)
		}
		want := []digest.Digest{s.onIndex.Root.Digest, s.sigTag.Root.Digest, s.onAmd.Root.Digest}
		if !local {
			want = nil // asking a registry would cost, and change nothing
		}
		if !slices.Equal(got, want) {
			t.Errorf("left out %v, want %v", got, want)
		}
	}
}

// What was not asked for by name goes with what it is attached to.
func TestListedAttachments(t *testing.T) {
	for _, c := range []struct {
		o    transport.Options
		sink bool // takes indexes in part
		want func(s *signed) []transport.Image
	}{
		{transport.Options{}, false, func(s *signed) []transport.Image {
			return []transport.Image{s.onIndex, s.sigTag, s.onAmd, s.onArm, s.onSBOM}
		}},
		{transport.Options{NoReferrers: true}, false, func(*signed) []transport.Image { return nil }},
		{transport.Options{Platforms: []v1.Platform{amd64}}, false, func(s *signed) []transport.Image { return []transport.Image{s.onAmd, s.onSBOM} }},
		{transport.Options{Platforms: []v1.Platform{arm64}}, true, func(s *signed) []transport.Image { return []transport.Image{s.onIndex, s.sigTag, s.onArm} }},
	} {
		s := newSigned(t)
		var requests []transport.Request
		for _, i := range []transport.Image{s.sigTag, s.img, s.onIndex, s.onAmd, s.onArm, s.onSBOM} {
			requests = append(requests, transport.Request{Source: s.src, Image: i, Target: i.Name, Listed: true})
		}
		var place conformance.Memory
		sink := place.Sink()
		if c.sink {
			sink = &sparse{Sink: sink, takes: true}
		}
		plan, err := transport.Copy(t.Context(), requests, sink, c.o)
		must(t, err)
		if got, want := planned(plan, true), sortedNames(c.want(s)...); !slices.Equal(got, want) {
			t.Errorf("%+v: attached %v, want %v", c.o, got, want)
		}
		if got := planned(plan, false); !slices.Equal(got, []string{s.img.Name.String()}) {
			t.Errorf("%+v: planned %v", c.o, got)
		}
	}
}

// Something attached that is listed and not there must not go unnoticed.
func TestMissingAttachmentsAreTold(t *testing.T) {
	s := newSigned(t)
	s.src.err[s.amd.Digest] = fault.Missing("no signature of amd64")
	s.src.err[s.arm.Digest] = fault.Missing("no signature of arm64")
	var place conformance.Memory
	_, err := transport.Copy(t.Context(), all(s.src, s.img), place.Sink(), transport.Options{})
	if !errors.Is(err, fault.ErrMissing) || !strings.Contains(err.Error(), "of amd64") || !strings.Contains(err.Error(), "of arm64") {
		t.Errorf("%v, want both to be missing", err)
	}
	delete(s.Content, s.onIndex.Root.Digest)
	s.src.err = nil
	s.src.Source = s.Source()
	_, err = transport.Copy(t.Context(), all(s.src, s.img), place.Sink(), transport.Options{})
	if !errors.Is(err, fault.ErrMissing) || !strings.Contains(err.Error(), s.onIndex.Root.Digest.String()) {
		t.Errorf("%v, want %s to be missing", err, s.onIndex.Root.Digest)
	}
	failed := errors.New("the registry broke")
	s.src.err = map[digest.Digest]error{s.amd.Digest: failed}
	if _, err = transport.Copy(t.Context(), all(s.src, s.img), place.Sink(), transport.Options{}); !errors.Is(err, failed) {
		t.Errorf("%v, want %v", err, failed)
	}
	wantEmpty(t, &place)
}

// What is attached to what is attached and so on has an end.
func TestAttachmentsAreBounded(t *testing.T) {
	lib := newLibrary(t)
	d := lib.entry(amd64, "x")
	img := lib.name(team+"/app:1", d)
	src := newReferring(lib)
	for i := range transport.MaxDepth + 2 {
		next := lib.attach(d, fmt.Sprint(i))
		src.attached[d.Digest] = []transport.Image{unnamed(t, next)}
		d = next
	}
	src.Source = lib.Source()
	_, err := transport.Copy(t.Context(), all(src, img), (&conformance.Memory{}).Sink(), transport.Options{})
	if !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("%v, want an ErrDamaged", err)
	}
}

func TestAttachedTags(t *testing.T) {
	d := digest.FromString("x")
	for _, kind := range append(transport.AttachedTags, "") {
		tag := transport.AttachedTag(d, kind)
		if got, k, ok := transport.AttachedTo(tag); !ok || got != d || k != kind {
			t.Errorf("%s: %s %q %t", tag, got, k, ok)
		}
	}
	for _, tag := range []string{"", "latest", "sha256-", "sha256-abc.sig", strings.Replace(transport.AttachedTag(d, "sig"), "sha256", "sha512", 1),
		transport.AttachedTag(d, "other"), "x" + transport.AttachedTag(d, "sig"), transport.AttachedTag(d, "sig") + "2"} {
		if _, _, ok := transport.AttachedTo(tag); ok {
			t.Errorf("%q is taken for the tag of something attached", tag)
		}
	}
}
