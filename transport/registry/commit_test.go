package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/parts"
)

// tagsOf returns what the tags of a repository stand for.
func tagsOf(t testing.TB, reg *parts.RegistryPart, repo string) map[string]digest.Digest {
	t.Helper()
	src := newTestClient(t, Options{}).Source().(*source)
	n := at(t, transport.Image{}, reg.Image(repo+":x")).Name
	n.Tag = ""
	got := map[string]digest.Digest{}
	names, err := src.Tags(t.Context(), n)
	if errors.Is(err, fault.ErrMissing) {
		return got
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		got[n.Tag] = one(t, src, n.String()).Root.Digest
	}
	return got
}

// from returns faults of all requests of a kind from the n-th to the last-th.
func from(kind parts.RequestKind, n, last int, do parts.FaultAction) []parts.Fault {
	var list []parts.Fault
	for ; n <= last; n++ {
		list = append(list, parts.Fault{Kind: kind, Nth: n, Do: do})
	}
	return list
}

// TestCommitUndoes fails at the third of four tags, at a real registry, in all
// ways: what was set before it is as it was.
func TestCommitUndoes(t *testing.T) {
	reg := parts.Registry(t)
	for i, do := range []parts.FaultAction{parts.ResetBefore, parts.ResetBody, parts.Error500, parts.Error503, parts.Unauthorized} {
		t.Run(string(do), func(t *testing.T) {
			repo := fmt.Sprintf("app%d", i)
			pushImage(t, reg.Image(repo+":old"))
			pushImage(t, reg.Image(repo+":replaced"))
			pushImage(t, reg.Image(repo+":replaced-too"))
			proxy := parts.FaultProxy(t, reg)
			c := newTestClient(t, Options{})
			img := one(t, c.Source(), proxy.Image(repo+":old"))
			before := tagsOf(t, reg, repo)
			var images []transport.Image
			for _, tag := range []string{"new", "replaced", "replaced-too", "new-too"} {
				images = append(images, at(t, img, proxy.Image(repo+":"+tag)))
			}
			tries := quick.Steps
			if do == parts.Unauthorized {
				tries = 1 // without a token there is no other one
			}
			proxy.Arm(from(parts.PutManifestTag, 3, 2+tries, do)...)
			err := c.Sink().Commit(t.Context(), images)
			if err == nil || proxy.Hits() == 0 || strings.Contains(err.Error(), "set before") || !strings.Contains(err.Error(), "replaced-too") {
				t.Errorf("%v, %d faults", err, proxy.Hits())
			}
			if after := tagsOf(t, reg, repo); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("%v, before that %v", after, before)
			}
		})
	}
}

// TestCommitLosesAnswers lets tags be set of which the registry's word never
// arrives.
func TestCommitLosesAnswers(t *testing.T) {
	reg := parts.Registry(t)
	pushImage(t, reg.Image("app:old"))
	proxy := parts.FaultProxy(t, reg)
	c := newTestClient(t, Options{})
	img := one(t, c.Source(), proxy.Image("app:old"))
	proxy.Arm(parts.Fault{Kind: parts.PutManifestTag, Do: parts.ResetAnswer})
	if err := c.Sink().Commit(t.Context(), []transport.Image{at(t, img, proxy.Image("app:1")), at(t, img, proxy.Image("app:2"))}); err != nil {
		t.Error(err)
	}
	if got := tagsOf(t, reg, "app"); got["1"] != img.Root.Digest || got["2"] != img.Root.Digest {
		t.Errorf("%v", got)
	}
}

// TestCommitCannotUndo meets a registry that lets no tag be deleted, and says
// which one is left.
func TestCommitCannotUndo(t *testing.T) {
	reg := parts.Registry(t)
	pushImage(t, reg.Image("app:old"))
	pushImage(t, reg.Image("app:2"))
	proxy := parts.FaultProxy(t, reg)
	c := newTestClient(t, Options{})
	img := one(t, c.Source(), proxy.Image("app:old"))
	replaced := one(t, c.Source(), reg.Image("app:2")).Root.Digest
	var images []transport.Image
	for _, tag := range []string{"1", "2", "3"} {
		images = append(images, at(t, img, proxy.Image("app:"+tag)))
	}
	proxy.Arm(append(from(parts.PutManifestTag, 3, 2+quick.Steps, parts.Error500), parts.Fault{Kind: parts.DeleteManifest, Do: parts.Error500})...)
	err := c.Sink().Commit(t.Context(), images)
	if err == nil || !strings.Contains(err.Error(), "set before that: "+images[0].Name.String()+")") {
		t.Errorf("%v", err)
	}
	if got := tagsOf(t, reg, "app"); got["1"] != img.Root.Digest || got["2"] != replaced || got["3"] != "" {
		t.Errorf("%v", got)
	}
}

// TestCommitSetsNothingTwice counts requests for tags that stand already.
func TestCommitSetsNothingTwice(t *testing.T) {
	var j journal
	reg := parts.MemoryRegistry(t, j.wrap)
	pushImage(t, reg.Image("app:1"))
	c := newTestClient(t, Options{})
	img := one(t, c.Source(), reg.Image("app:1"))
	before := j.method(http.MethodPut)
	if err := c.Sink().Commit(t.Context(), []transport.Image{img, at(t, img, reg.Image("app:2"))}); err != nil {
		t.Fatal(err)
	}
	if n := j.method(http.MethodPut) - before; n != 1 {
		t.Errorf("%d tags were set, want 1", n)
	}
	one(t, c.Source(), reg.Image("app:2"))
}

// TestCommitLooksFirst checks that no tag is set if one image is not there.
func TestCommitLooksFirst(t *testing.T) {
	reg := parts.Registry(t)
	pushImage(t, reg.Image("app:1"))
	c := newTestClient(t, Options{})
	img := one(t, c.Source(), reg.Image("app:1"))
	none := at(t, img, reg.Image("app:3"))
	none.Root.Digest = digest.FromString("none")
	if err := c.Sink().Commit(t.Context(), []transport.Image{at(t, img, reg.Image("app:2")), none}); !errors.Is(err, fault.ErrMissing) {
		t.Errorf("%v", err)
	}
	if got := tagsOf(t, reg, "app"); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

// TestStandsForWithoutHeader meets a registry that does not name digests.
func TestStandsForWithoutHeader(t *testing.T) {
	reg := parts.MemoryRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(&silent{w}, r) })
	})
	pushImage(t, reg.Image("app:1"))
	c := newTestClient(t, Options{})
	img := one(t, c.Source(), reg.Image("app:1"))
	if err := c.Sink().Commit(t.Context(), []transport.Image{img, at(t, img, reg.Image("app:2"))}); err != nil {
		t.Fatal(err)
	}
	one(t, c.Source(), reg.Image("app:2"))
}

// silent leaves out the digest.
type silent struct{ http.ResponseWriter }

func (s *silent) WriteHeader(code int) {
	s.Header().Del(digestHeader)
	s.ResponseWriter.WriteHeader(code)
}

// artifact is a manifest without layers about a subject, and its config.
func artifact(subject v1.Descriptor, n int) (d v1.Descriptor, content []byte) {
	empty := v1.DescriptorEmptyJSON
	content = fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"artifactType":"application/x%d","config":{"mediaType":%q,"digest":%q,"size":2},"layers":[],"subject":{"mediaType":%q,"digest":%q,"size":%d},"annotations":{"n":"<%d>"}}`,
		v1.MediaTypeImageManifest, n, empty.MediaType, empty.Digest, subject.MediaType, subject.Digest, subject.Size, n)
	return v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromBytes(content), Size: int64(len(content))}, content
}

// attach writes artifacts about an image with a sink.
func attach(t testing.TB, s transport.Sink, img transport.Image, numbers ...int) []v1.Descriptor {
	t.Helper()
	empty, open := bytesOpener([]byte("{}"))
	if err := s.WriteBlob(t.Context(), empty, []transport.Image{img}, open); err != nil {
		t.Fatal(err)
	}
	var list []v1.Descriptor
	for _, n := range numbers {
		d, content := artifact(img.Root, n)
		if err := s.WriteManifest(t.Context(), d, []transport.Image{{Name: img.Name.WithDigest(d.Digest), Root: d}}, content); err != nil {
			t.Fatal(err)
		}
		list = append(list, d)
	}
	return list
}

func digestsOf(images []transport.Image) []string {
	var list []string
	for _, i := range images {
		list = append(list, i.Root.Digest.String())
	}
	slices.Sort(list)
	return list
}

func sorted(list []v1.Descriptor) []string {
	var out []string
	for _, d := range list {
		out = append(out, d.Digest.String())
	}
	slices.Sort(out)
	return out
}

// TestCommitListsReferrers attaches to images at registries of all kinds: those
// that say that they list referrers, that do it without a word, and that do not.
func TestCommitListsReferrers(t *testing.T) {
	said := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && isManifest(r) {
				w.Header().Set(subjectHeader, "sha256:whatever")
			}
			next.ServeHTTP(w, r)
		})
	}
	for _, c := range []struct {
		name string
		reg  *parts.RegistryPart
		tag  bool
	}{
		{"distribution", parts.Registry(t), true},
		{"memory", parts.MemoryRegistry(t), false},
		{"says it", parts.MemoryRegistry(t, said), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			pushImage(t, c.reg.Image("app:1"))
			client := newTestClient(t, Options{})
			img := one(t, client.Source(), c.reg.Image("app:1"))
			s := client.Sink()
			want := attach(t, s, img, 1, 2)
			if tags := tagsOf(t, c.reg, "app"); len(tags) != 1 {
				t.Errorf("before Commit there are tags %v", tags)
			}
			if err := s.Commit(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			s = client.Sink()
			want = append(want, attach(t, s, img, 2, 3)[1])
			if err := s.Commit(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			_, has := tagsOf(t, c.reg, "app")[listTag(img.Root.Digest)]
			if has != c.tag {
				t.Errorf("list as a tag: %t", has)
			}
			got, err := client.Source().(transport.Referring).Referrers(t.Context(), img, img.Root)
			if err != nil || !slices.Equal(digestsOf(got), sorted(want)) {
				t.Errorf("%v, %v, want %v", got, err, want)
			}
			for _, g := range got {
				if g.Name.Digest != g.Root.Digest || g.Name.Tag != "" {
					t.Errorf("called %s", g.Name)
				}
			}
		})
	}
}

// TestCommitUndoesLists fails at a tag after a list of referrers was written.
func TestCommitUndoesLists(t *testing.T) {
	for _, old := range []bool{false, true} {
		t.Run(fmt.Sprintf("extended=%t", old), func(t *testing.T) {
			reg := parts.Registry(t)
			pushImage(t, reg.Image("app:1"))
			proxy := parts.FaultProxy(t, reg)
			c := newTestClient(t, Options{})
			img := one(t, c.Source(), proxy.Image("app:1"))
			if old {
				s := c.Sink()
				attach(t, s, img, 1)
				if err := s.Commit(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
			}
			before := tagsOf(t, reg, "app")
			s := c.Sink()
			attach(t, s, img, 2)
			proxy.Arm(from(parts.PutManifestTag, 2, 1+quick.Steps, parts.Error500)...)
			err := s.Commit(t.Context(), []transport.Image{at(t, img, proxy.Image("app:2"))})
			if err == nil || proxy.Hits() == 0 || strings.Contains(err.Error(), "set before") {
				t.Errorf("%v", err)
			}
			if after := tagsOf(t, reg, "app"); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("%v, before that %v", after, before)
			}
		})
	}
}

// TestListChangesMeanwhile has somebody else extend a list between reading and
// writing it, at a registry that knows conditions.
func TestListChangesMeanwhile(t *testing.T) {
	var reg *parts.RegistryPart
	var other v1.Descriptor
	var subject transport.Image
	etag, meddled := `"1"`, 0
	reg = parts.MemoryRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			list := subject.Root.Digest != "" && strings.HasSuffix(r.URL.Path, "/manifests/"+listTag(subject.Root.Digest))
			switch {
			case strings.Contains(r.URL.Path, "/referrers/"):
				http.NotFound(w, r)
				return
			case list && r.Method == http.MethodGet:
				w.Header().Set("ETag", etag)
			case list && r.Method == http.MethodPut && r.Header.Get("X-Other") == "":
				if meddled++; meddled <= 2 {
					// Now the other one's list is there.
					content, _, err := addToList(nil, []listed{{entry: other}})
					if err != nil {
						t.Error(err)
					}
					req := r.Clone(r.Context())
					req.Body = io.NopCloser(strings.NewReader(string(content)))
					req.Header.Set("X-Other", "1")
					next.ServeHTTP(discardAnswer{http.Header{}}, req)
					etag = fmt.Sprintf(`"other %d"`, meddled)
				}
				if m := r.Header.Get("If-Match"); m != etag && !(m == "" && meddled == 0) {
					w.WriteHeader(http.StatusPreconditionFailed)
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	})
	pushImage(t, reg.Image("app:1"))
	c := newTestClient(t, Options{})
	img := one(t, c.Source(), reg.Image("app:1"))
	pushArtifact(t, reg, img, 9)
	other, _ = artifact(img.Root, 9)
	subject = img
	s := c.Sink()
	mine := attach(t, s, img, 1)
	if err := s.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	got, err := c.Source().(transport.Referring).Referrers(t.Context(), img, img.Root)
	if err != nil || !slices.Equal(digestsOf(got), sorted(append(mine, other))) || meddled != 3 {
		t.Errorf("%v, %v after %d writes", got, err, meddled)
	}
}

type discardAnswer struct{ header http.Header }

func (d discardAnswer) Header() http.Header       { return d.header }
func (discardAnswer) Write(p []byte) (int, error) { return len(p), nil }
func (discardAnswer) WriteHeader(int)             {}

// pushArtifact puts an artifact into a registry by its digest and lists it
// nowhere.
func pushArtifact(t testing.TB, reg *parts.RegistryPart, img transport.Image, n int) v1.Descriptor {
	t.Helper()
	return attach(t, newTestClient(t, Options{}).Sink(), at(t, img, reg.Image(strings.SplitN(img.Name.Path, "@", 2)[0]+":x")), n)[0]
}

func TestListTagIsTaken(t *testing.T) {
	reg := parts.Registry(t)
	pushImage(t, reg.Image("app:1"))
	c := newTestClient(t, Options{})
	img := one(t, c.Source(), reg.Image("app:1"))
	pushImage(t, reg.Image("app:"+listTag(img.Root.Digest)))
	s := c.Sink()
	attach(t, s, img, 1)
	if err := s.Commit(t.Context(), nil); !errors.Is(err, fault.ErrUnsupported) || fault.Hint(err) == "" {
		t.Errorf("%v", err)
	}
}

func TestAddToList(t *testing.T) {
	a, _ := artifact(v1.Descriptor{Digest: digest.FromString("x")}, 1)
	a.Annotations = map[string]string{"k": "v"}
	old := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","annotations":{"kept":"yes"},"manifests":[{"mediaType":"m","digest":"` +
		digest.FromString("old").String() + `","size":3,"data":"e30=","annotations":{"a":"b"}}]}`)
	content, more, err := addToList(old, []listed{{entry: a}, {entry: a}})
	if err != nil || !more {
		t.Fatal(more, err)
	}
	for _, part := range []string{`"annotations":{"kept":"yes"}`, `"data":"e30=","annotations":{"a":"b"}`, `"annotations":{"k":"v"}`} {
		if !strings.Contains(string(content), part) {
			t.Errorf("%s lacks %s", content, part)
		}
	}
	if m, err := transport.ParseManifest(v1.MediaTypeImageIndex, content); err != nil || len(m.Manifests) != 2 {
		t.Errorf("%+v, %v", m, err)
	}
	if again, more, err := addToList(content, []listed{{entry: a}}); err != nil || more || string(again) != string(content) {
		t.Errorf("%t, %v", more, err)
	}
	for _, bad := range []string{"", "[]", `{"manifests":{}}`, `{"manifests":[{"digest":"sha256:x"}]}`, `{"manifests":[],"config":{}}`} {
		if _, _, err := addToList([]byte(bad), []listed{{entry: a}}); !errors.Is(err, fault.ErrDamaged) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	a.Annotations["k"] = strings.Repeat("v", maxList)
	if _, _, err := addToList(old, []listed{{entry: a}}); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}

func FuzzAddToList(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"manifests":[]}`))
	f.Add([]byte(`{"manifests":[{"mediaType":"m","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0}],"x":[1]}`))
	f.Add([]byte(`{"manifests":null}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"mAnifests":[]}`))
	entry, _ := artifact(v1.Descriptor{Digest: digest.FromString("x")}, 1)
	f.Fuzz(func(t *testing.T, old []byte) {
		content, more, err := addToList(old, []listed{{entry: entry}})
		if err != nil {
			return
		}
		m, err := transport.ParseManifest(v1.MediaTypeImageIndex, content)
		if err != nil {
			t.Fatalf("%s: %v", content, err)
		}
		before, err := transport.ParseManifest(v1.MediaTypeImageIndex, old)
		if err != nil {
			t.Fatal(err)
		}
		want := len(before.Manifests)
		if more {
			want++
		}
		if len(m.Manifests) != want {
			t.Errorf("%d entries, want %d", len(m.Manifests), want)
		}
	})
}

func TestSubjectOf(t *testing.T) {
	d := v1.Descriptor{MediaType: "m", Digest: digest.FromString("d"), Size: 1}
	about := digest.FromString("subject").String()
	for content, want := range map[string]string{
		`{"artifactType":"a","config":{"mediaType":"c"},"subject":{"digest":"` + about + `"}}`: "a",
		`{"config":{"mediaType":"c"},"subject":{"digest":"` + about + `"}}`:                    "c",
		`{"manifests":[],"subject":{"digest":"` + about + `"}}`:                                "",
		`{}`: "none", `nothing`: "none", `{"subject":{"digest":"sha256:x"}}`: "none", `{"subject":null}`: "none",
	} {
		got := "none"
		if l := subjectOf(d, []byte(content)); l != nil {
			got = l.entry.ArtifactType
		}
		if got != want {
			t.Errorf("%s: %s, want %s", content, got, want)
		}
	}
	if tag := listTag(digest.SHA512.FromString("x")); len(tag) != len("sha512-")+64 {
		t.Error(tag)
	}
}

// TestCommitInterrupted breaks off while the second of two tags is set, before
// or after the registry has done it.
func TestCommitInterrupted(t *testing.T) {
	for _, done := range []bool{false, true} {
		t.Run(fmt.Sprintf("done=%t", done), func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			armed := false
			reg := parts.MemoryRegistry(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPut && armed && strings.HasSuffix(r.URL.Path, "/replaced") {
						armed = false
						body, _ := io.ReadAll(r.Body)
						if done {
							r.Body = io.NopCloser(bytes.NewReader(body))
							next.ServeHTTP(discardAnswer{http.Header{}}, r)
						}
						cancel()
						<-r.Context().Done()
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			pushImage(t, reg.Image("app:old"))
			pushImage(t, reg.Image("app:replaced"))
			before := tagsOf(t, reg, "app")
			armed = true
			c := newTestClient(t, Options{})
			img := one(t, c.Source(), reg.Image("app:old"))
			err := c.Sink().Commit(ctx, []transport.Image{at(t, img, reg.Image("app:new")), at(t, img, reg.Image("app:replaced"))})
			if !errors.Is(err, context.Canceled) || armed {
				t.Errorf("%v", err)
			}
			if after := tagsOf(t, reg, "app"); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("%v, before that %v", after, before)
			}
		})
	}
}
