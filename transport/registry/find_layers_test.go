package registry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/parts"
)

func TestHolding(t *testing.T) {
	reg := parts.Registry(t)
	conformance.Holding(t, func(t *testing.T) conformance.HoldingPlace {
		own := strings.ToLower(strings.NewReplacer("#", "-", "_", "-").Replace(t.Name()))
		c := newTestClient(t, Options{})
		return conformance.HoldingPlace{
			Place: conformance.Place{
				Set:    conformance.New(t, reg.Image(own)),
				Sink:   func(*testing.T) transport.Sink { return c.Sink() },
				Source: func(*testing.T) (transport.Source, error) { return c.Source(), nil },
			},
			// As deleting the image and collecting garbage does.
			Remove: func(t *testing.T, img transport.Image) {
				if err := os.RemoveAll(filepath.Join(reg.Dir, "docker/registry/v2/repositories", img.Name.Path)); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}

// pushed is an image in a registry and its layers.
type pushed struct {
	name   transport.Name
	digest digest.Digest
	config digest.Digest
	layers []transport.Layer
}

func push(t *testing.T, ref string) pushed {
	t.Helper()
	img := pushImage(t, ref)
	p := pushed{name: at(t, transport.Image{}, ref).Name, digest: hashOf(t, img)}
	config, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	p.config = digest.Digest(config.String())
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		size, err := l.Size()
		if err != nil {
			t.Fatal(err)
		}
		diffID, err := l.DiffID()
		if err != nil {
			t.Fatal(err)
		}
		p.layers = append(p.layers, transport.Layer{Digest: hashOf(t, l), Size: size, DiffID: digest.Digest(diffID.String())})
	}
	return p
}

// byDiffID returns the layers as they would be looked for by someone who has
// them compressed otherwise.
func (p pushed) byDiffID() []transport.Layer {
	var out []transport.Layer
	for _, l := range p.layers {
		out = append(out, transport.Layer{Digest: digest.FromString("other " + l.Digest.String()), Size: 1, DiffID: l.DiffID})
	}
	return out
}

func find(t *testing.T, c *Client, want []transport.Layer, near ...transport.Name) []transport.FoundLayer {
	t.Helper()
	found, err := c.Source().(transport.Holding).FindLayers(t.Context(), near, want)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestFindLayersUntagged deletes the manifest, and so the tags, of an image
// whose layers the registry still has.
func TestFindLayersUntagged(t *testing.T) {
	reg := parts.Registry(t)
	p := push(t, reg.Image("app:1"))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+reg.Addr+"/v2/app/manifests/"+p.digest.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatal(resp, err)
	}
	_ = resp.Body.Close()
	c := newTestClient(t, Options{})
	if _, err := c.Source().Images(t.Context(), p.name.String()); !errors.Is(err, fault.ErrMissing) {
		t.Fatalf("the image is still there: %v", err)
	}
	found := find(t, c, p.layers, p.name)
	if len(found) != len(p.layers) {
		t.Fatalf("found %v", found)
	}
	for i, f := range found {
		if got, err := readAll(t, f.Open); err != nil || digest.FromBytes(got) != p.layers[i].Digest {
			t.Errorf("layer %d: %d bytes, %v", i, len(got), err)
		}
	}
	if found := find(t, c, p.byDiffID(), p.name); len(found) != 0 {
		t.Errorf("found %v by diff id, with no manifest", found)
	}
}

func readAll(t *testing.T, open transport.Opener) ([]byte, error) {
	t.Helper()
	rc, err := open(t.Context())
	if err != nil {
		return nil, err
	}
	defer func() { _ = rc.Close() }()
	return io.ReadAll(rc)
}

// TestFindLayersFetchesLittle watches what is asked of a real registry.
func TestFindLayersFetchesLittle(t *testing.T) {
	real := parts.Registry(t)
	var j journal
	proxy := parts.MemoryRegistry(t, j.wrap, func(http.Handler) http.Handler { return proxyTo(real) })
	p := push(t, real.Image("app:1"))
	other := push(t, real.Image("app:2"))
	p.name.Domain = proxy.Addr
	count := func(part string) int {
		return j.count(func(r *http.Request) bool { return strings.Contains(r.URL.Path, part) })
	}

	c := newTestClient(t, Options{})
	if found := find(t, c, p.layers, p.name, p.name); len(found) != len(p.layers) {
		t.Fatalf("found %v", found)
	}
	gets := j.count(func(r *http.Request) bool { return r.Method != http.MethodHead && r.URL.Path != "/v2/" })
	if heads := count("/blobs/"); heads != len(p.layers) || gets != 0 {
		t.Errorf("%d questions for %d blobs, and %d others", heads, len(p.layers), gets)
	}

	// The image of that name goes first, and is enough.
	if found := find(t, c, p.byDiffID(), p.name); len(found) != len(p.layers) {
		t.Fatalf("found %v", found)
	}
	if n := count("/tags/list"); n != 0 || count("/manifests/") != 1 {
		t.Errorf("%d lists and %d manifests, want 0 and 1", n, count("/manifests/"))
	}
	near := transport.Name{Domain: p.name.Domain, Path: p.name.Path}
	if found := find(t, c, slices.Concat(p.byDiffID(), other.byDiffID()), near); len(found) != len(p.layers)+len(other.layers) {
		t.Fatalf("found %v", found)
	}
	fetched := j.count(func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") &&
			!strings.HasSuffix(r.URL.Path, p.config.String()) && !strings.HasSuffix(r.URL.Path, other.config.String())
	})
	if fetched != 0 || count("/tags/list") != 1 {
		t.Errorf("%d blobs fetched that are no configs, %d lists", fetched, count("/tags/list"))
	}
}

// TestFindLayersByDigestOfAnImage looks at what a name with a digest stands for.
func TestFindLayersByDigestOfAnImage(t *testing.T) {
	reg := parts.Registry(t)
	p := push(t, reg.Image("app:1"))
	push(t, reg.Image("app:1")) // takes the tag away
	near := p.name
	near.Digest = p.digest
	if found := find(t, newTestClient(t, Options{}), p.byDiffID(), near); len(found) != len(p.layers) {
		t.Errorf("found %v", found)
	}
	if found := find(t, newTestClient(t, Options{}), p.byDiffID(), p.name); len(found) != 0 {
		t.Errorf("found %v without knowing the digest", found)
	}
}

// answering answers some requests otherwise than the registry would.
func answering(match func(*http.Request) bool, answer http.HandlerFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if match(r) {
				answer(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// TestFindLayersAnswers has one kind of request refused, and looks for layers
// of which half can be found by digest and the rest by diff id only.
func TestFindLayersAnswers(t *testing.T) {
	const (
		unknown = `{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}`
		denied  = `{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`
	)
	var p pushed
	list := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/tags/list") }
	ask := func(r *http.Request) bool {
		return r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/blobs/")
	}
	manifest := func(r *http.Request) bool { return r.Method == http.MethodGet && isManifest(r) }
	config := func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, p.config.String())
	}
	anything := func(r *http.Request) bool { return r.URL.Path != "/v2/" }
	failed := errors.New("any error")
	for _, c := range []struct {
		name   string
		match  func(*http.Request) bool
		answer http.HandlerFunc
		found  int
		want   error
	}{
		{"nothing refused", func(*http.Request) bool { return false }, nil, 6, nil},
		{"no such repository", anything, status(404, unknown), 0, nil},
		{"no such repository, said oddly", anything, status(404, "<html>"), 0, nil},
		{"list: no such repository", list, status(404, unknown), 3, nil},
		{"list: no such repository, said with another status", list, status(400, unknown), 3, nil},
		{"list: not allowed", list, status(403, denied), 3, nil},
		{"list: no such method", list, status(405, ""), 3, nil},
		{"list: not made yet", list, status(501, ""), 3, nil},
		{"list: empty", list, status(200, `{"name":"app","tags":null}`), 3, nil},
		{"list: strange tags", list, status(200, `{"tags":["../../v2","","a b","`+strings.Repeat("a", 200)+`","1@sha256:00"]}`), 3, nil},
		{"list: credentials wanted", list, status(401, ""), 0, failed},
		{"list: failing", list, status(500, ""), 0, failed},
		{"list: something else", list, status(200, `<html>`), 0, fault.ErrDamaged},
		{"list: too long", list, status(200, strings.Repeat(" ", transport.MaxManifest+1)), 0, fault.ErrDamaged},
		{"blobs: credentials wanted", ask, status(401, ""), 0, failed},
		{"blobs: denied", ask, status(403, ""), 0, failed},
		{"blobs: failing", ask, status(503, ""), 0, failed},
		{"blobs: not there", ask, status(404, ""), 0, nil}, // those of manifests are asked for, too
		{"manifests: not there", manifest, status(404, ""), 3, nil},
		{"manifests: something else", manifest, status(200, `{}`), 3, nil},
		{"manifests: credentials wanted", manifest, status(401, ""), 0, failed},
		{"manifests: failing", manifest, status(500, ""), 0, failed},
		{"configs: not there", config, status(404, ""), 3, nil},
		{"configs: something else", config, status(200, "{}"), 3, nil},
		{"configs: failing", config, status(500, ""), 0, failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			refuse := false
			reg := parts.MemoryRegistry(t, answering(func(r *http.Request) bool { return refuse && c.match(r) }, c.answer))
			p = push(t, reg.Image("app:1"))
			refuse = true
			near := p.name
			near.Tag = "gone"
			found, err := newTestClient(t, Options{}).Source().(transport.Holding).FindLayers(t.Context(), []transport.Name{near},
				slices.Concat(p.layers, p.byDiffID()))
			switch {
			case c.want == failed:
				if err == nil || fault.Hint(err) == "" {
					t.Errorf("%v (hint %q), want an error with a hint", err, fault.Hint(err))
				}
			case !errors.Is(err, c.want), (err == nil) != (c.want == nil):
				t.Errorf("%v, want %v", err, c.want)
			}
			if len(found) != c.found {
				t.Errorf("found %d layers, want %d", len(found), c.found)
			}
		})
	}
}

func TestFindLayersCredentials(t *testing.T) {
	reg := parts.Registry(t, parts.WithBasicAuth("user", "password"))
	name := at(t, transport.Image{}, reg.Image("app:1")).Name
	want := []transport.Layer{{Digest: digest.FromString("no"), Size: 2}}
	src := newTestClient(t, Options{}).Source().(transport.Holding)
	if found, err := src.FindLayers(t.Context(), []transport.Name{name}, want); err == nil || !strings.Contains(fault.Hint(err), "docker login") {
		t.Errorf("%v, %v (hint %q)", found, err, fault.Hint(err))
	}
	if found := find(t, newTestClient(t, Options{Keychain: account{"user", "password"}}), want, name); len(found) != 0 {
		t.Errorf("found %v", found)
	}
	reg.Stop()
	src = newTestClient(t, Options{Keychain: account{"user", "password"}}).Source().(transport.Holding)
	if found, err := src.FindLayers(t.Context(), []transport.Name{name}, want); err == nil || fault.Hint(err) == "" {
		t.Errorf("no registry: %v, %v (hint %q)", found, err, fault.Hint(err))
	}
}

// TestFindLayersOddHeads has a registry say other things of a blob than its
// size and digest.
func TestFindLayersOddHeads(t *testing.T) {
	ask := func(r *http.Request) bool {
		return r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/blobs/")
	}
	d := digest.FromString("four")
	for _, c := range []struct {
		name, length, digest string
		want                 transport.Layer
		found                bool
	}{
		{"as it should", "4", d.String(), transport.Layer{Digest: d, Size: 4}, true},
		{"no digest", "4", "", transport.Layer{Digest: d, Size: 4}, true},
		{"no length", "", "", transport.Layer{Digest: d, Size: 4}, true},
		{"no length said as 0", "0", "", transport.Layer{Digest: d, Size: 4}, true},
		{"another length", "5", d.String(), transport.Layer{Digest: d, Size: 4}, false},
		{"another digest", "4", digest.FromString("five").String(), transport.Layer{Digest: d, Size: 4}, false},
		{"no digest at all", "4", "sha256:x", transport.Layer{Digest: d, Size: 4}, false},
		{"a length that was not known", "4", "", transport.Layer{DiffID: d}, true},
		{"no length, and none known", "", "", transport.Layer{DiffID: d}, false},
		{"a length without end", fmt.Sprint(transport.MaxBlob + 1), "", transport.Layer{DiffID: d}, false},
	} {
		reg := parts.MemoryRegistry(t, answering(ask, func(w http.ResponseWriter, _ *http.Request) {
			if c.length != "" {
				w.Header().Set("Content-Length", c.length)
			}
			if c.digest != "" {
				w.Header().Set(digestHeader, c.digest)
			}
		}))
		found := find(t, newTestClient(t, Options{}), []transport.Layer{c.want}, at(t, transport.Image{}, reg.Image("app:1")).Name)
		if (len(found) == 1) != c.found {
			t.Errorf("%s: found %v", c.name, found)
		}
	}
}

// TestFindLayersPages lists tags in pages of two, as a real registry does that
// allows no more.
func TestFindLayersPages(t *testing.T) {
	for _, opts := range [][]parts.RegistryOption{nil, {parts.WithTLS()}} {
		real := parts.Registry(t, opts...)
		c := newTestClient(t, Options{CAFile: real.CAFile})
		set := conformance.New(t, real.Image("team"))
		var images []transport.Image
		for i := range 5 {
			img := set.Image(t, []string{"plain", "shared", "docker", "multi", "nested"}[i])
			img.Name.Path, img.Name.Tag = "app", fmt.Sprint(i)
			images = append(images, img)
		}
		s := c.Sink()
		for _, img := range images {
			copyGraph(t, set.Source(), img, img.Root, s, []transport.Image{img})
		}
		if err := s.Commit(t.Context(), images); err != nil {
			t.Fatal(err)
		}
		w, err := c.session(t.Context(), images[0].Name, "pull", &task{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		pages := 0
		for query := "n=2"; query != ""; pages++ {
			var page []string
			if page, query, err = w.tagPage(t.Context(), query); err != nil {
				t.Fatal(err)
			}
			got = append(got, page...)
		}
		if slices.Sort(got); !slices.Equal(got, []string{"0", "1", "2", "3", "4"}) || pages < 3 {
			t.Errorf("tags %v in %d pages", got, pages)
		}
	}
}

func TestNextPage(t *testing.T) {
	for link, want := range map[string]string{
		"": "",
		`</v2/app/tags/list?last=b&n=2>; rel="next"`:                 "last=b&n=2",
		`<https://elsewhere.example/v2/x?next_page=abc>; rel="next"`: "next_page=abc",
		`<?n=2>`:                       "n=2",
		`</v2/app/tags/list>`:          "",
		`/v2/app/tags/list?n=2`:        "",
		`<`:                            "",
		`<:%zz?a>`:                     "",
		"</v2/app/tags/list?n=2\x7f>;": "",
	} {
		if got := nextPage(link); got != want {
			t.Errorf("%q: %q, want %q", link, got, want)
		}
	}
}

// TestFindLayersIsBounded meets a list without end, and one of very many tags.
func TestFindLayersIsBounded(t *testing.T) {
	list := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/tags/list") }
	want := []transport.Layer{{Digest: digest.FromString("no"), Size: 2, DiffID: digest.FromString("raw")}}
	var j journal
	reg := parts.MemoryRegistry(t, j.wrap, answering(list, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", `</v2/app/tags/list?n=1>; rel="next"`)
		_, _ = io.WriteString(w, `{"tags":[]}`)
	}))
	name := at(t, transport.Image{}, reg.Image("app:1")).Name
	find(t, newTestClient(t, Options{}), want, name)
	if n := j.count(list); n != maxPages {
		t.Errorf("%d pages were asked for", n)
	}

	var many journal
	reg = parts.MemoryRegistry(t, many.wrap, answering(list, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", `</v2/app/tags/list?n=1>; rel="next"`)
		var tags []string
		for i := range tagPage {
			tags = append(tags, fmt.Sprintf("%q", fmt.Sprintf("t%d", 1000+i)))
		}
		_, _ = io.WriteString(w, `{"tags":[`+strings.Join(tags, ",")+`,"last"]}`)
	}))
	name.Domain = reg.Addr
	find(t, newTestClient(t, Options{}), want, name)
	manifests := many.count(isManifest)
	if n := many.count(list); n > maxListed/tagPage+1 || manifests > maxTags+1 {
		t.Errorf("%d pages were asked for, and %d manifests", n, manifests)
	}
	if many.count(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/manifests/last") }) == 0 {
		t.Error("the last tag was not looked at")
	}
}
