package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
)

// tagged gives a root the tag of something that cosign attaches to a digest.
func (l *library) tagged(to digest.Digest, root v1.Descriptor) transport.Image {
	l.Helper()
	return l.name(team+"/app:"+transport.AttachedTag(to, "sig"), root)
}

// listed asks for all that a place lists.
func listed(src transport.Source, images ...transport.Image) []transport.Request {
	requests := all(src, images...)
	for i := range requests {
		requests[i].Listed = true
	}
	return requests
}

// Whatever is attached to what, nothing that a place lists is lost, and it ends.
func TestListedAttachmentsInCircles(t *testing.T) {
	for name, images := range map[string]func(l *library) []transport.Image{
		"to each other": func(l *library) []transport.Image {
			a, b := l.entry(amd64, "a"), l.entry(amd64, "b")
			return []transport.Image{l.tagged(b.Digest, a), l.tagged(a.Digest, b)}
		},
		"to itself": func(l *library) []transport.Image {
			a := l.entry(amd64, "a")
			return []transport.Image{l.tagged(a.Digest, a)}
		},
		"to what only it holds": func(l *library) []transport.Image {
			a := l.entry(amd64, "a")
			return []transport.Image{l.tagged(a.Digest, l.index(a, l.entry(arm64, "b")))}
		},
		"to what is attached to something else": func(l *library) []transport.Image {
			a, b, c := l.entry(amd64, "a"), l.entry(amd64, "b"), l.entry(amd64, "c")
			return []transport.Image{l.tagged(b.Digest, a), l.tagged(c.Digest, b), l.name(team+"/app:1", c)}
		},
		"to what is not there": func(l *library) []transport.Image {
			a, b := l.entry(amd64, "a"), l.entry(amd64, "b")
			return []transport.Image{l.tagged(a.Digest, b), l.tagged(digest.FromString("gone"), a)}
		},
		"to what is in another repository": func(l *library) []transport.Image {
			a := l.entry(amd64, "a")
			return []transport.Image{l.name(team+"/other:1", a), l.tagged(a.Digest, l.entry(amd64, "b"))}
		},
		"and with a tag of its own": func(l *library) []transport.Image {
			a := l.entry(amd64, "a")
			return []transport.Image{l.name(team+"/app:1", a), l.name(team+"/app:notes", l.attach(a, "note")), l.name(team+"/app:more", l.attach(a, "note"))}
		},
	} {
		t.Run(name, func(t *testing.T) {
			lib := newLibrary(t)
			want := images(lib)
			for range 2 {
				var place conformance.Memory
				_, err := transport.Copy(t.Context(), listed(lib.Knowing(), want...), place.Sink(), transport.Options{})
				must(t, err)
				wantWhole(t, &place, &lib.Set, want...)
				slices.Reverse(want)
			}
		})
	}
}

// What is attached brings no other tags along.
func TestTagsOfWhatIsAttachedAreNotTaken(t *testing.T) {
	lib := newLibrary(t)
	a := lib.entry(amd64, "a")
	img := lib.name(team+"/app:1", a)
	note := lib.name(team+"/app:notes", lib.attach(a, "note"))
	src := newReferring(lib)
	src.attached[a.Digest] = []transport.Image{note}
	var place conformance.Memory
	_, err := transport.Copy(t.Context(), all(src, img), place.Sink(), transport.Options{})
	must(t, err)
	wantWhole(t, &place, &lib.Set, img, unnamed(t, note.Root))
	if _, err := place.Source().Images(t.Context(), note.Name.String()); !errors.Is(err, fault.ErrMissing) {
		t.Errorf("%s: %v, want an ErrMissing", note.Name, err)
	}
}

func TestManyAttachments(t *testing.T) {
	lib := newLibrary(t)
	a := lib.entry(amd64, "a")
	img := lib.name(team+"/app:1", a)
	src := newReferring(lib)
	for i := range 2000 {
		src.attached[a.Digest] = append(src.attached[a.Digest], unnamed(t, lib.attach(a, fmt.Sprint(i))))
	}
	src.asked, src.Source = make(chan digest.Digest, 3000), lib.Source()
	var orders [2][]transport.Image
	for i := range orders {
		var spy spy
		_, err := transport.Copy(t.Context(), all(src, img), spy.sink(&conformance.Memory{}), transport.Options{})
		must(t, err)
		orders[i] = spy.committed
		for len(src.asked) > 0 {
			<-src.asked
		}
	}
	if want := append(names(src.attached[a.Digest]), img.Name.String()); !slices.Equal(names(orders[0]), want) || !slices.Equal(names(orders[1]), want) {
		t.Error("named in another order than they were listed")
	}
}

// What is listed at all is bounded, however often it is the same.
func TestListsOfAttachmentsAreBounded(t *testing.T) {
	lib := newLibrary(t)
	const each = 1 << 15
	var children []v1.Descriptor
	src := newReferring(lib)
	src.asked = make(chan digest.Digest, transport.MaxNodes/each+10)
	for i := range transport.MaxNodes/each + 1 {
		children = append(children, lib.entry(amd64, fmt.Sprint(i)))
	}
	long := slices.Repeat([]transport.Image{unnamed(t, lib.attach(children[0], "x"))}, each)
	for _, c := range children {
		src.attached[c.Digest] = long
	}
	img := lib.name(team+"/app:1", lib.index(children...))
	src.Source = lib.Source()
	_, err := transport.Copy(t.Context(), all(src, img), (&conformance.Memory{}).Sink(), transport.Options{})
	var side *transport.Error
	if !errors.Is(err, fault.ErrDamaged) || !errors.As(err, &side) || side.Side != transport.AtSource {
		t.Errorf("%v, want an ErrDamaged of the source", err)
	}
}

// choosy takes some indexes in part.
type choosy struct {
	transport.Sink
	takes digest.Digest
}

func (s choosy) TakesSparse(_ context.Context, img transport.Image, _ []byte, _ []v1.Descriptor) (bool, error) {
	return img.Root.Digest == s.takes, nil
}

// An index may be replaced in one image and kept in another.
func TestWhatIsAttachedToAnIndexThatIsReplacedElsewhere(t *testing.T) {
	lib := newLibrary(t)
	inner := lib.index(lib.entry(amd64, "a"), lib.entry(arm64, "b"))
	outer := lib.name(team+"/app:outer", lib.index(inner, lib.entry(armV7, "c")))
	kept := lib.name(team+"/app:inner", inner)
	note := unnamed(t, lib.attach(inner, "note"))
	src := newReferring(lib)
	src.attached[inner.Digest] = []transport.Image{note}
	for _, order := range [][]transport.Image{{outer, kept}, {kept, outer}} {
		var place conformance.Memory
		_, err := transport.Copy(t.Context(), all(src, order...), choosy{place.Sink(), inner.Digest}, transport.Options{Platforms: []v1.Platform{amd64}})
		must(t, err)
		wantWhole(t, &place, &lib.Set, note)
	}
	// In no image: it is told.
	var place conformance.Memory
	plan, err := transport.Copy(t.Context(), all(src, outer), choosy{place.Sink(), inner.Digest}, transport.Options{Platforms: []v1.Platform{amd64}})
	must(t, err)
	if !slices.ContainsFunc(plan.Images[0].Omitted, func(o transport.Omission) bool {
		return o.Descriptor.Digest == note.Root.Digest && o.Reason == transport.SubjectReplaced
	}) {
		t.Errorf("left out %+v", plan.Images[0].Omitted)
	}
}

// What was asked for is missing, not of an unknown type, if a source says that
// it lacks it; whichever way it comes upon it first.
func TestWhatIsLackingAndAskedFor(t *testing.T) {
	for range 10 {
		lib := newLibrary(t)
		lost := lib.layer("lost")
		a, b := lib.entry(amd64, "a"), lib.image(arm64, lost)
		b.Platform = &arm64
		index, child := lib.name(team+"/app:1", lib.index(a, b)), lib.name(team+"/app:2", b)
		delete(lib.Content, lost.Digest)
		src := newReferring(lib)
		src.lacks[b.Digest] = true
		var place conformance.Memory
		if _, err := transport.Copy(t.Context(), all(src, index, child), place.Sink(), transport.Options{}); !errors.Is(err, fault.ErrMissing) {
			t.Fatalf("%v, want an ErrMissing", err)
		}
		src.attached[a.Digest] = []transport.Image{unnamed(t, b)}
		if _, err := transport.Copy(t.Context(), all(src, index), place.Sink(), transport.Options{}); !errors.Is(err, fault.ErrMissing) {
			t.Fatalf("attached: %v, want an ErrMissing", err)
		}
		wantEmpty(t, &place)
	}
}

// One index may say that something is an attestation, and another not.
func TestAttestationThatIsListedTwice(t *testing.T) {
	lib := newLibrary(t)
	amd, arm := lib.entry(amd64, "a"), lib.entry(arm64, "b")
	says := lib.attestation(amd)
	silent := says
	silent.Annotations, silent.Platform = nil, nil
	itself := lib.attestation(arm)
	itself.Annotations = map[string]string{"vnd.docker.reference.digest": itself.Digest.String()}
	for _, root := range []v1.Descriptor{lib.index(amd, arm, silent, itself, lib.index(says)), lib.index(amd, arm, lib.index(silent), itself, says)} {
		img := lib.name(team+"/app:1", root)
		var place conformance.Memory
		_, err := transport.Copy(t.Context(), all(lib.Source(), img), &sparse{Sink: place.Sink(), takes: true}, transport.Options{Platforms: []v1.Platform{amd64}})
		must(t, err)
		if got := placed(t, &place, img, root, amd, says); len(got) > 0 {
			t.Errorf("not at the target: %v", got)
		}
		if got := placed(t, &place, img, arm, itself); len(got) != 2 {
			t.Errorf("only %v are not at the target", got)
		}
	}
}

// A new index is no larger than any other, and is made once for all tags.
func TestNewIndexesAreBounded(t *testing.T) {
	lib := newLibrary(t)
	amd, arm := lib.entry(amd64, "a"), lib.entry(arm64, "b")
	amd.Annotations = map[string]string{"x": ""}
	content, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": v1.MediaTypeImageIndex, "manifests": []v1.Descriptor{amd, arm}, "x": "?"})
	must(t, err)
	// What JSON writes as six bytes.
	root := lib.blob(v1.MediaTypeImageIndex, []byte(strings.Replace(string(content), "?", strings.Repeat("<", transport.MaxManifest/2), 1)))
	_, err = transport.Copy(t.Context(), all(lib.Source(), lib.name(team+"/app:1", root)), (&conformance.Memory{}).Sink(), transport.Options{Platforms: []v1.Platform{amd64}})
	if !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("%v, want an ErrUnsupported", err)
	}

	// Fits into memory only once.
	root = lib.blob(v1.MediaTypeImageIndex, []byte(strings.Replace(string(content), "?", strings.Repeat("x", transport.MaxManifest-2000), 1)))
	var tags []transport.Image
	for i := range 2 * transport.MaxManifests / transport.MaxManifest {
		tags = append(tags, lib.name(fmt.Sprintf("%s/app:%d", team, i), root))
	}
	plan, err := transport.Copy(t.Context(), all(lib.Source(), tags...), (&conformance.Memory{}).Sink(), transport.Options{Platforms: []v1.Platform{amd64}})
	must(t, err)
	for _, i := range plan.Images {
		if !i.Reindexed() || len(i.Omitted) != 1 || i.Target.Root.Digest != plan.Images[0].Target.Root.Digest {
			t.Errorf("%s: %+v", i.Target.Name, i)
		}
	}
}

// An index of which nothing is left lists nothing.
func TestNewIndexOfNothing(t *testing.T) {
	lib := newLibrary(t)
	amd := lib.entry(amd64, "a")
	about := lib.attestation(amd)
	inner := lib.index(about)
	img := lib.name(team+"/app:1", lib.index(amd, lib.entry(arm64, "b"), inner))
	src := newReferring(lib)
	src.lacks[about.Digest] = true
	var place conformance.Memory
	plan, err := transport.Copy(t.Context(), all(src, img), place.Sink(), transport.Options{Platforms: []v1.Platform{amd64}})
	must(t, err)
	for d, content := range placeContent(t, &place, plan.Images[0].Target) {
		if strings.Contains(string(content), `"manifests":null`) {
			t.Errorf("%s: %s", d, content)
		}
	}
}

// Sources that lie about what they lack lose nothing silently.
func TestSourcesThatLieAboutWhatTheyLack(t *testing.T) {
	lib := newLibrary(t)
	amd, arm := lib.entry(amd64, "a"), lib.entry(arm64, "b")
	img := lib.name(team+"/app:1", lib.index(amd, arm))
	src := newReferring(lib)
	src.lacks[amd.Digest], src.lacks[arm.Digest] = true, true
	var place conformance.Memory
	for _, o := range []transport.Options{{}, {Platforms: []v1.Platform{amd64}}} {
		if _, err := transport.Copy(t.Context(), all(src, img), place.Sink(), o); !errors.Is(err, fault.ErrMissing) {
			t.Errorf("all is lacking: %v, want an ErrMissing", err)
		}
	}
	clear(src.lacks)
	delete(lib.Content, arm.Digest)
	src.Source = lib.Source()
	if _, err := transport.Copy(t.Context(), all(src, img), place.Sink(), transport.Options{}); !errors.Is(err, fault.ErrMissing) {
		t.Errorf("not lacking and not there: %v, want an ErrMissing", err)
	}
	wantEmpty(t, &place)
}

// deaf is a place that can be read after it was asked for an image by name, has
// no names but tags, and says nothing about others.
type deaf struct {
	transport.Source
	asked map[string]bool
	nil   bool
}

func (s deaf) Images(ctx context.Context, selector string) ([]transport.Image, error) {
	if strings.Contains(selector, "@") {
		if s.nil {
			return nil, nil
		}
		return nil, fault.Missing("no image %s", selector)
	}
	found, err := s.Source.Images(ctx, selector)
	s.asked[selector] = err == nil
	return found, err
}

func (s deaf) Manifest(ctx context.Context, in transport.Image, d v1.Descriptor) ([]byte, error) {
	if len(s.asked) == 0 {
		return nil, fault.Missing("no manifest %s", d.Digest)
	}
	return s.Source.Manifest(ctx, in, d)
}

type deafReferring struct {
	deaf
	transport.Referring
}

// A place need not call by name what is attached to an image, and an engine can
// be read only after it was asked.
func TestProveWhatIsAttached(t *testing.T) {
	lib := newLibrary(t)
	amd, arm := lib.entry(amd64, "a"), lib.entry(arm64, "b")
	img := lib.name(team+"/app:1", lib.index(amd, arm))
	note := unnamed(t, lib.attach(amd, "note"))
	lib.Attached = []conformance.Attached{{Image: note, To: amd.Digest}}
	var place conformance.Memory
	o := transport.Options{Platforms: []v1.Platform{amd64}}
	_, err := transport.Copy(t.Context(), all(lib.Knowing(), img), place.Taking(), o)
	must(t, err)
	for _, empty := range []bool{false, true} {
		at := deaf{place.Knowing(), map[string]bool{}, empty}
		_, err = transport.Prove(t.Context(), all(lib.Knowing(), img), deafReferring{at, place.Knowing().(transport.Referring)}, transport.Properties{}, o)
		must(t, err)
		at.asked = map[string]bool{}
		if _, err = transport.Prove(t.Context(), all(lib.Knowing(), img), at, transport.Properties{}, o); !errors.Is(err, fault.ErrMissing) {
			t.Errorf("a place that cannot tell: %v, want an ErrMissing", err)
		}
		at.asked = map[string]bool{}
		none := deafReferring{at, (&conformance.Memory{}).Knowing().(transport.Referring)}
		if _, err = transport.Prove(t.Context(), all(lib.Knowing(), img), none, transport.Properties{}, o); !errors.Is(err, fault.ErrMissing) {
			t.Errorf("a place that has nothing attached: %v, want an ErrMissing", err)
		}
	}
}
