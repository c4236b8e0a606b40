package conformance

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
)

// exchange copies [Signed] to a place and back with the engine.
type exchange struct {
	*testing.T
	place    Place
	props    transport.Properties
	parts    bool // it keeps an index in part
	set      *Set
	asked    []transport.Image // those that the place can keep, as they are at the source
	kept     []transport.Image // and as they will be there
	attached []Attached        // what will be attached to them there
}

func newExchange(t *testing.T, p Place) *exchange {
	t.Helper()
	repository := strings.TrimSuffix(p.Set.Image(t, "plain").Name.Repository(), "/plain")
	e := &exchange{T: t, place: p, set: Signed(t, repository).Without(p.Unkept...)}
	e.place.Set = e.set
	sink := p.Sink(t)
	e.props = sink.Properties()
	_, sparse := sink.(transport.Sparse)
	e.parts = sparse && !p.NoParts && e.props.Platform == nil
	if err := sink.Close(); err != nil {
		t.Errorf("Close of an unused sink: %v", err)
	}
	for _, img := range e.set.Resolve(t, e.props.Platform) {
		if e.props.Platform != nil && !transport.IsManifest(img.Root.MediaType) || e.props.NoReferrers && !e.runs(img.Root) {
			continue
		}
		e.kept = append(e.kept, img)
		i := slices.IndexFunc(e.set.Images, func(o transport.Image) bool { return o.Name == img.Name })
		e.asked = append(e.asked, e.set.Images[i])
	}
	e.attached = e.attachedTo(e.kept...)
	return e
}

// runs reports whether something is a container image.
func (e *exchange) runs(d v1.Descriptor) bool {
	e.Helper()
	if transport.IsIndex(d.MediaType) {
		return slices.ContainsFunc(e.set.parse(e.T, d).Manifests, e.runs)
	}
	if !transport.IsManifest(d.MediaType) {
		return false
	}
	config := e.set.parse(e.T, d).Config
	return config != nil && transport.IsConfig(config.MediaType)
}

// attachedTo returns what is attached to any part of images, and to that, if
// the place can keep it.
func (e *exchange) attachedTo(images ...transport.Image) []Attached {
	e.Helper()
	if e.props.NoReferrers {
		return nil
	}
	there := e.set.Graph(e.T, images...).Owners
	var list []Attached
	for _, a := range e.set.Attached { // what it is attached to comes before it
		if len(there[a.To]) > 0 {
			list = append(list, a)
			for d := range e.set.Graph(e.T, a.Image).Owners {
				there[d] = append(there[d], a.Image)
			}
		}
	}
	return list
}

// copy copies images as they are at a source and closes the sink.
func (e *exchange) copy(src transport.Source, images []transport.Image, sink transport.Sink, o transport.Options) *transport.Plan {
	e.Helper()
	plan, err := transport.Copy(e.Context(), requests(src, images), sink, o)
	if cerr := sink.Close(); cerr != nil {
		e.Errorf("Close: %v", cerr)
	}
	if err != nil {
		e.Fatalf("copy: %v", err)
	}
	return plan
}

func requests(src transport.Source, images []transport.Image) []transport.Request {
	var list []transport.Request
	for _, img := range images {
		list = append(list, transport.Request{Source: src, Image: img, Target: img.Name})
	}
	return list
}

// write copies images of the set to the place.
func (e *exchange) write(images []transport.Image, o transport.Options) *transport.Plan {
	e.Helper()
	sink := e.place.Sink(e.T)
	if e.place.Planned != nil {
		o.Planned = func(plan *transport.Plan) error { e.place.Planned(e.T, sink, plan); return nil }
	}
	return e.copy(e.set.Knowing(), images, sink, o)
}

// open opens the place as who wants images.
func (e *exchange) open(images ...transport.Image) transport.Source {
	e.Helper()
	src := e.place.find(e.T)
	if src == nil {
		e.Fatal("the place is not there")
	}
	if p, ok := src.(transport.Preparer); ok {
		var selectors []string
		for _, img := range images {
			selectors = append(selectors, e.place.name(img).Name.String())
		}
		if err := p.Prepare(e.Context(), selectors); err != nil {
			e.Fatalf("prepare: %v", err)
		}
	}
	return src
}

// find returns images as the place has them.
func (e *exchange) find(src transport.Source, images ...transport.Image) []transport.Image {
	e.Helper()
	var list []transport.Image
	for _, img := range images {
		found, err := src.Images(e.Context(), e.place.name(img).Name.String())
		if err != nil || len(found) != 1 {
			e.Fatalf("%s: found %v, %v", img.Name, found, err)
		}
		list = append(list, found[0])
	}
	return list
}

// wantIn fails the test unless images and what is attached to them are in
// memory, and nothing else is.
func (e *exchange) wantIn(m *Memory, images []transport.Image, attached []Attached) {
	e.Helper()
	src := m.Source()
	images = slices.Clone(images)
	for _, a := range attached {
		images = append(images, a.Image)
	}
	for i, img := range images {
		images[i] = e.place.name(img)
		sameImage(e.T, src, e.set, images[i])
	}
	all, err := src.Images(e.Context(), "")
	if err != nil {
		e.Fatal(err)
	}
	sameLines(e.T, "the place gives", roots(all), roots(images))
}

// prove lets the engine prove that images are at the place.
func (e *exchange) prove(images []transport.Image, o transport.Options) {
	e.Helper()
	if e.place.Source == nil {
		return
	}
	list := requests(e.set.Knowing(), images)
	for i := range list {
		list[i].Target = e.place.name(list[i].Image).Name
	}
	if _, err := transport.Prove(e.Context(), list, e.place.find(e.T), e.props, o); err != nil {
		e.Errorf("prove: %v", err)
	}
}

// wantPlan fails the test unless the plan has what is attached to images, or says
// that the place cannot keep it.
func (e *exchange) wantPlan(plan *transport.Plan) {
	e.Helper()
	var got, want []string
	for _, i := range plan.Images {
		if i.Subject != "" {
			got = append(got, i.Target.Name.String()+" to "+i.Subject.String())
		}
		for _, o := range i.Omitted {
			if o.Reason == transport.NotKept {
				got = append(got, "not kept: "+o.Descriptor.Digest.String())
			}
		}
	}
	for _, a := range e.attached {
		want = append(want, a.Name.String()+" to "+a.To.String())
	}
	if e.props.NoReferrers {
		there := make(map[digest.Digest]bool)
		for _, img := range slices.Concat(e.asked, e.kept) {
			there[img.Root.Digest] = true
		}
		for _, a := range e.set.Attached {
			if there[a.To] {
				want = append(want, "not kept: "+a.Root.Digest.String())
			}
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	sameLines(e.T, "the plan has", got, want)
}

// thereAndBack copies the whole set.
func thereAndBack(t *testing.T, p Place) {
	e := newExchange(t, p)
	e.wantPlan(e.write(e.asked, transport.Options{}))
	e.place.wantImages(t, e.kept)
	e.prove(e.asked, transport.Options{})
	if p.Check != nil {
		return // it does not give back what it was given
	}
	src := e.open(e.kept...)
	t.Run("by name", func(t *testing.T) {
		e.T = t
		var m Memory
		e.copy(src, e.find(src, e.kept...), m.Taking(), transport.Options{})
		e.wantIn(&m, e.kept, e.readable(src, e.attached))
	})
	t.Run("all", func(t *testing.T) {
		e.T = t
		e.listed()
	})
	if _, ok := src.(transport.Referring); ok {
		t.Run("what is attached", func(t *testing.T) {
			attached := slices.Clone(e.attached)
			for i, a := range attached {
				attached[i].Image = p.name(a.Image)
			}
			var images []transport.Image
			for _, img := range e.kept {
				images = append(images, p.name(img))
			}
			referrers(t, src, e.set, images, attached)
		})
	}
	if _, ok := src.(transport.Partial); ok {
		t.Run("nothing is lacking", func(t *testing.T) {
			e.T = t
			for _, img := range e.find(src, e.kept...) {
				for _, c := range e.children(img.Root) {
					e.wantLacks(src, img, c, false)
				}
			}
		})
	}
}

// readable is what is attached, if a source can tell.
func (e *exchange) readable(src transport.Source, attached []Attached) []Attached {
	if _, ok := src.(transport.Referring); !ok {
		return nil
	}
	return attached
}

// children returns what an index lists.
func (e *exchange) children(d v1.Descriptor) []v1.Descriptor {
	e.Helper()
	if !transport.IsIndex(d.MediaType) {
		return nil
	}
	return e.set.parse(e.T, d).Manifests
}

// listed copies all that the place lists: nothing that is attached may be lost,
// or stand alone.
func (e *exchange) listed() {
	e.Helper()
	src := e.place.find(e.T)
	found, err := src.Images(e.Context(), "")
	if errors.Is(err, fault.ErrUsage) {
		return // it cannot list itself
	}
	if err != nil {
		e.Fatal(err)
	}
	list := requests(src, found)
	for i := range list {
		list[i].Listed = true
	}
	var m Memory
	if _, err := transport.Copy(e.Context(), list, m.Taking(), transport.Options{}); err != nil {
		e.Fatalf("copy: %v", err)
	}
	has := func(img transport.Image) bool {
		return slices.ContainsFunc(found, func(o transport.Image) bool { return o.Name == e.place.name(img).Name })
	}
	attached := e.attached
	if _, ok := src.(transport.Referring); !ok {
		attached = slices.DeleteFunc(slices.Clone(attached), func(a Attached) bool { return !has(a.Image) })
	}
	images := slices.DeleteFunc(slices.Clone(e.kept), func(img transport.Image) bool {
		// What has no tag need not be listed.
		return img.Name.Tag == "" && !has(img)
	})
	e.wantIn(&m, images, attached)
}

// onePlatform copies one platform of indexes.
func onePlatform(t *testing.T, p Place) {
	e := newExchange(t, p)
	o := transport.Options{Platforms: []v1.Platform{{OS: "linux", Architecture: "amd64"}}}
	only := func(list []transport.Image) []transport.Image {
		return slices.DeleteFunc(slices.Clone(list), func(img transport.Image) bool {
			return !slices.ContainsFunc(e.asked, func(o transport.Image) bool { return o.Name == img.Name && transport.IsIndex(o.Root.MediaType) }) || !e.runs(img.Root)
		})
	}
	e.asked, e.kept = only(e.asked), only(e.kept)
	plan := e.write(e.asked, o)
	e.prove(e.asked, o)
	for _, i := range plan.Images {
		if i.Subject != "" || e.props.Platform != nil {
			continue
		}
		if i.Part() != e.parts || i.Reindexed() == e.parts {
			t.Errorf("%s: in part %t, a new index %t; want the index to be kept: %t", i.Target.Name, i.Part(), i.Reindexed(), e.parts)
		}
	}
	if p.Check != nil {
		e.place.wantImages(t, e.kept)
		return
	}
	src := e.open(e.kept...)
	found := e.find(src, e.kept...)
	var m Memory
	e.copy(src, found, m.Taking(), o)
	for n, img := range found {
		if partial, ok := src.(transport.Partial); ok && e.parts {
			e.lacks(partial, img)
		}
		want := e.kept[n].Root.Digest
		i := slices.IndexFunc(plan.Images, func(i transport.Planned) bool { return i.Source.Name == e.kept[n].Name })
		if img.Root.Digest != plan.Images[i].Target.Root.Digest || (img.Root.Digest == want) != (e.parts || e.props.Platform != nil) {
			t.Errorf("%s is %s, planned was %s of %s", img.Name, img.Root.Digest, plan.Images[i].Target.Root.Digest, want)
		}
		e.wantPart(&m, img)
	}
	if _, ok := src.(transport.Partial); !ok || !e.parts {
		return
	}
	// What is not there is no damage, and told.
	var again Memory
	for _, i := range e.copy(src, found, again.Taking(), transport.Options{}).Images {
		if i.Subject == "" && !i.Part() {
			t.Errorf("%s: %+v, want it to be in part", i.Target.Name, i)
		}
	}
	for _, img := range found {
		e.wantPart(&again, img)
	}
}

// lacks fails the test unless a source tells what it has of an index of which
// amd64 was written.
func (e *exchange) lacks(src transport.Partial, img transport.Image) {
	e.Helper()
	for _, c := range e.children(img.Root) {
		if transport.IsIndex(c.MediaType) {
			e.lacks(src, transport.Image{Name: img.Name, Root: c})
			continue
		}
		amd64 := func(d v1.Descriptor) bool { return d.Platform != nil && d.Platform.Architecture == "amd64" }
		there := amd64(c) || slices.ContainsFunc(e.children(img.Root), func(o v1.Descriptor) bool {
			return amd64(o) && c.Annotations["vnd.docker.reference.digest"] == o.Digest.String()
		})
		e.wantLacks(src.(transport.Source), img, c, !there)
	}
}

func (e *exchange) wantLacks(src transport.Source, img transport.Image, d v1.Descriptor, want bool) {
	e.Helper()
	lacks, err := src.(transport.Partial).Lacks(e.Context(), img, d)
	if err != nil || lacks != want {
		e.Errorf("%s lacks %s: %t, %v, want %t", img.Name, d.Digest, lacks, err, want)
	}
}

// wantPart fails the test unless an image is in memory, with amd64 and what is
// attached to that, and no more.
func (e *exchange) wantPart(m *Memory, img transport.Image) {
	e.Helper()
	all, err := m.Source().Images(e.Context(), "")
	if err != nil {
		e.Fatal(err)
	}
	if !slices.ContainsFunc(all, func(o transport.Image) bool { return o.Name == img.Name && o.Root.Digest == img.Root.Digest }) {
		e.Errorf("%s is not given back as %s", img.Name, img.Root.Digest)
	}
	i := slices.IndexFunc(e.set.Images, func(o transport.Image) bool { return e.place.name(o).Name == img.Name })
	whole := e.set.Images[i]
	amd, _ := e.set.pick(e.T, whole.Root, &v1.Platform{OS: "linux", Architecture: "amd64"})
	arm, _ := e.set.pick(e.T, whole.Root, &v1.Platform{OS: "linux", Architecture: "arm64"})
	for d := range e.set.Graph(e.T, transport.Image{Root: amd}).Owners {
		if got, _ := m.get(d); string(got) != string(e.set.Content[d]) {
			e.Errorf("%s: %s of amd64 is not given back", img.Name, d)
		}
	}
	for d := range e.set.Graph(e.T, transport.Image{Root: arm}).Owners {
		if _, ok := m.get(d); ok {
			e.Errorf("%s: %s of arm64 came along", img.Name, d)
		}
	}
	if e.props.NoReferrers {
		return
	}
	if _, ok := e.place.find(e.T).(transport.Referring); !ok {
		return
	}
	for _, a := range e.set.Attached {
		want := a.To == amd.Digest || a.To == img.Root.Digest
		if !want && a.To != arm.Digest && a.To != whole.Root.Digest {
			continue
		}
		if _, ok := m.get(a.Root.Digest); ok != want {
			e.Errorf("%s: given back: %t, want %t", a.Name, ok, want)
		}
	}
}

// lostLayer removes a layer of one platform.
func lostLayer(t *testing.T, p Place) {
	e := newExchange(t, p)
	img := e.set.Image(t, "signed")
	e.write([]transport.Image{img}, transport.Options{NoReferrers: true})
	children := e.children(img.Root)
	amd, arm := children[0], children[1]
	p.Remove(t, e.set.parse(t, arm).Layers[0].Digest)
	src := e.open(img)
	found := e.find(src, img)
	e.wantLacks(src, found[0], amd, false)
	e.wantLacks(src, found[0], arm, true)
	var m Memory
	plan := e.copy(src, found, m.Taking(), transport.Options{})
	if i := plan.Images[0]; !i.Part() || len(i.Omitted) != 1 || i.Omitted[0].Descriptor.Digest != arm.Digest || i.Omitted[0].Reason != transport.NotAtSource {
		t.Errorf("planned %+v", i)
	}
	_, err := transport.Copy(t.Context(), requests(src, found), (&Memory{}).Taking(), transport.Options{Complete: true})
	if !errors.Is(err, fault.ErrMissing) {
		t.Errorf("all platforms: %v, want an ErrMissing", err)
	}
}
