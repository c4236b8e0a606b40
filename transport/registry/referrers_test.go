package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/parts"
)

// attachedTo asks a fresh source what is attached to an image's root.
func attachedTo(t testing.TB, img transport.Image) ([]transport.Image, error) {
	t.Helper()
	return newTestClient(t, Options{}).Source().(transport.Referring).Referrers(t.Context(), img, img.Root)
}

// pushTag puts content under a tag by other means than bale's.
func pushTag(t testing.TB, reg *parts.RegistryPart, name, mediaType, content string) digest.Digest {
	t.Helper()
	if err := remote.Put(parse(t, reg.Image(name)), rawManifest{content, mediaType}); err != nil {
		t.Fatal(err)
	}
	return digest.FromString(content)
}

type rawManifest struct{ content, mediaType string }

func (r rawManifest) RawManifest() ([]byte, error)        { return []byte(r.content), nil }
func (r rawManifest) MediaType() (types.MediaType, error) { return types.MediaType(r.mediaType), nil }

// TestReferrersOfRealTools signs an image with cosign, both ways that it knows,
// and attaches an SBOM with oras, at registries of both kinds.
func TestReferrersOfRealTools(t *testing.T) {
	cosign, oras := parts.Tool(t, "cosign"), parts.Tool(t, "oras")
	for name, reg := range map[string]*parts.RegistryPart{"distribution": parts.Registry(t), "memory": parts.MemoryRegistry(t)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			run := func(program string, args ...string) {
				t.Helper()
				cmd := exec.CommandContext(t.Context(), program, args...)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "COSIGN_PASSWORD=", "HOME="+dir, "DOCKER_CONFIG="+dir)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, out)
				}
			}
			pushIndex(t, reg.Image("team/app:1"))
			c := newTestClient(t, Options{})
			img := one(t, c.Source(), reg.Image("team/app:1"))
			if list, err := attachedTo(t, img); err != nil || len(list) != 0 {
				t.Fatalf("nothing is attached: %v, %v", list, err)
			}
			named := reg.Image("team/app@" + img.Root.Digest.String())
			run(cosign, "generate-key-pair")
			run(cosign, "sign", "--key", "cosign.key", "--tlog-upload=false", "--use-signing-config=false",
				"--new-bundle-format=false", "--allow-insecure-registry", "-y", named)
			run(cosign, "sign", "--key", "cosign.key", "--tlog-upload=false", "--use-signing-config=false",
				"--new-bundle-format=true", "--allow-insecure-registry", "-y", named)
			if err := os.WriteFile(filepath.Join(dir, "sbom.json"), []byte(`{"spdxVersion":"SPDX-2.3"}`), 0o600); err != nil {
				t.Fatal(err)
			}
			run(oras, "attach", "--plain-http", "--artifact-type", "application/spdx+json", named, "sbom.json:application/spdx+json")

			list, err := attachedTo(t, img)
			if err != nil {
				t.Fatal(err)
			}
			var tags []string
			digests := 0
			for _, a := range list {
				if a.Name.Tag != "" {
					tags = append(tags, a.Name.Tag)
				} else {
					digests++
				}
			}
			if digests != 2 || fmt.Sprint(tags) != "["+transport.AttachedTag(img.Root.Digest, "sig")+"]" {
				t.Fatalf("%d referrers, tags %v", digests, tags)
			}

			// All of that goes to another registry of the other kind, and verifies there.
			to := parts.MemoryRegistry(t)
			if name == "memory" {
				to = parts.Registry(t)
			}
			src, sink := c.Source(), c.Sink()
			var images []transport.Image
			for _, a := range append([]transport.Image{img}, list...) {
				there := a
				there.Name.Domain = to.Addr
				copyGraph(t, src, a, a.Root, sink, []transport.Image{there})
				images = append(images, there)
			}
			if err := sink.Commit(t.Context(), images); err != nil {
				t.Fatal(err)
			}
			named = to.Image("team/app@" + img.Root.Digest.String())
			run(cosign, "verify", "--key", "cosign.pub", "--insecure-ignore-tlog", "--allow-insecure-registry", "--new-bundle-format=false", named)
			run(cosign, "verify", "--key", "cosign.pub", "--insecure-ignore-tlog", "--allow-insecure-registry", "--new-bundle-format=true", named)
			run(oras, "discover", "--plain-http", named)
			moved := img
			moved.Name.Domain = to.Addr
			if got, err := attachedTo(t, moved); err != nil || !slices.Equal(digestsOf(got), digestsOf(list)) {
				t.Errorf("at the target: %v, %v", got, err)
			}
		})
	}
}

// listing is a registry whose referrers API answers as a test wants.
func listing(t *testing.T, answer http.HandlerFunc) (*parts.RegistryPart, *journal) {
	var j journal
	return parts.MemoryRegistry(t, j.wrap, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/referrers/") {
				answer(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}), &j
}

func entries(list ...v1.Descriptor) string {
	var b strings.Builder
	for i, d := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"mediaType":%q,"digest":%q,"size":%d}`, d.MediaType, d.Digest, d.Size)
	}
	return `{"schemaVersion":2,"mediaType":"` + v1.MediaTypeImageIndex + `","manifests":[` + b.String() + `]}`
}

// TestReferrersAnswers has registries answer in all ways.
func TestReferrersAnswers(t *testing.T) {
	subject := v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromString("subject"), Size: 7}
	first, _ := artifact(subject, 1)
	second, _ := artifact(subject, 2)
	none, _ := artifact(subject, 3)
	larger := first
	larger.Size++
	huge := first
	huge.Size = transport.MaxManifest + 1
	old := v1.Descriptor{MediaType: oldArtifact, Digest: digest.FromString("old"), Size: 3}
	var many []v1.Descriptor
	for i := range maxReferrers + 1 {
		many = append(many, v1.Descriptor{MediaType: oldArtifact, Digest: digest.FromString(fmt.Sprint(i)), Size: 3})
	}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   []v1.Descriptor
		err    error
		says   string
	}{
		{"one", serve(v1.MediaTypeImageIndex, "", entries(first)), []v1.Descriptor{first}, nil, ""},
		{"with parameters", serve(v1.MediaTypeImageIndex+"; charset=utf-8", "", entries(first)), []v1.Descriptor{first}, nil, ""},
		{"twice", serve(v1.MediaTypeImageIndex, "", entries(first, second, first)), []v1.Descriptor{first, second}, nil, ""},
		{"pages", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", v1.MediaTypeImageIndex)
			if r.URL.Query().Get("last") == "" {
				w.Header().Set("Link", `<`+r.URL.Path+`?last=1>; rel="next"`)
				_, _ = io.WriteString(w, entries(first))
				return
			}
			_, _ = io.WriteString(w, entries(second))
		}, []v1.Descriptor{first, second}, nil, ""},
		{"unknown type", serve(v1.MediaTypeImageIndex, "", entries(old)), []v1.Descriptor{old}, nil, ""},
		{"no such API", http.NotFound, nil, nil, ""},
		{"no such method", answerCode(http.StatusMethodNotAllowed), nil, nil, ""},
		{"bad request", answerCode(http.StatusBadRequest), nil, nil, ""},
		{"sent to a web page", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/packages", http.StatusSeeOther) // where nothing listens
		}, nil, nil, ""},
		{"sent elsewhere in the registry", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("moved") == "" {
				http.Redirect(w, r, r.URL.Path+"?moved=1", http.StatusTemporaryRedirect)
				return
			}
			serve(v1.MediaTypeImageIndex, "", entries(first))(w, r)
		}, []v1.Descriptor{first}, nil, ""},
		{"a web page", serve("text/html", "", "<html>"), nil, nil, ""},
		{"not there", serve(v1.MediaTypeImageIndex, "", entries(first, none)), nil, fault.ErrMissing, none.Digest.String()},
		{"other size", serve(v1.MediaTypeImageIndex, "", entries(larger)), nil, fault.ErrDamaged, "after"},
		{"said differently", serve(v1.MediaTypeImageIndex, "", entries(first, larger)), nil, fault.ErrDamaged, "twice"},
		{"huge", serve(v1.MediaTypeImageIndex, "", entries(huge)), nil, fault.ErrDamaged, "limit"},
		{"many", serve(v1.MediaTypeImageIndex, "", entries(many...)), nil, fault.ErrUnsupported, "more than"},
		{"endless", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", `<`+r.URL.Path+`?last=1>; rel="next"`)
			serve(v1.MediaTypeImageIndex, "", entries())(w, r)
		}, nil, fault.ErrUnsupported, "pieces"},
		{"no index", serve(v1.MediaTypeImageIndex, "", "[]"), nil, fault.ErrDamaged, "list of referrers"},
		{"bad digest", serve(v1.MediaTypeImageIndex, "", `{"manifests":[{"mediaType":"m","digest":"sha256:../..","size":1}]}`), nil, fault.ErrDamaged, "digest"},
		{"denied", answerCode(http.StatusForbidden), nil, errAny, "--no-referrers"},
		{"asks for a password", answerCode(http.StatusUnauthorized), nil, errAny, "credentials"},
		{"fails", answerCode(http.StatusInternalServerError), nil, errAny, "500"},
		{"fails on the second page", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("last") != "" {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.Header().Set("Link", `<`+r.URL.Path+`?last=1>; rel="next"`)
			serve(v1.MediaTypeImageIndex, "", entries(first))(w, r)
		}, nil, fault.ErrDamaged, "breaks off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			reg, _ := listing(t, c.answer)
			img := at(t, transport.Image{Root: subject}, reg.Image("app:1"))
			attach(t, newTestClient(t, Options{}).Sink(), img, 1, 2)
			got, err := attachedTo(t, img)
			if c.err != nil {
				if err == nil || c.err != errAny && !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v, want %v with %q", err, c.err, c.says)
				}
				return
			}
			if err != nil || !slices.Equal(digestsOf(got), sorted(c.want)) {
				t.Errorf("%v, %v, want %v", got, err, c.want)
			}
		})
	}
}

var errAny = errors.New("any")

// TestReferrersByTag finds what is attached by tags: with a list of tags, and at
// a registry that does not give one.
func TestReferrersByTag(t *testing.T) {
	for _, c := range []struct {
		name     string
		list     http.HandlerFunc // nil: the registry's own
		requests int              // for what is attached to six manifests, of which one has something
	}{
		{"listed", nil, 1 + 3 + 1},
		{"denied", answerCode(http.StatusForbidden), 1 + 6*4 + 1},
		{"cut off", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", `<`+r.URL.Path+`?last=1>; rel="next"`)
			_, _ = io.WriteString(w, `{"tags":["sha256-x"]}`)
		}, maxTagPages + 6*4 + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var j journal
			reg := parts.MemoryRegistry(t, j.wrap, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case strings.Contains(r.URL.Path, "/referrers/"):
						http.NotFound(w, r)
					case strings.HasSuffix(r.URL.Path, "/tags/list") && c.list != nil:
						c.list(w, r)
					default:
						next.ServeHTTP(w, r)
					}
				})
			})
			client := newTestClient(t, Options{})
			img := at(t, transport.Image{Root: v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromString("subject"), Size: 7}}, reg.Image("app:1"))
			s := client.Sink()
			want := attach(t, s, img, 1)
			if err := s.Commit(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			sig := pushTag(t, reg, "app:"+transport.AttachedTag(img.Root.Digest, "sig"), v1.MediaTypeImageManifest, manifestText)
			att := pushTag(t, reg, "app:"+transport.AttachedTag(img.Root.Digest, "att"), v1.MediaTypeImageManifest, manifestText+" ")
			src := client.Source().(*source)
			before := j.count(func(*http.Request) bool { return true })
			got, err := src.Referrers(t.Context(), img, img.Root)
			if err != nil || len(got) != 3 || got[0].Root.Digest != want[0].Digest || got[1].Root.Digest != sig || got[2].Root.Digest != att {
				t.Fatalf("%v, %v", got, err)
			}
			if got[1].Name.Tag != transport.AttachedTag(img.Root.Digest, "sig") || got[1].Name.Digest != "" {
				t.Errorf("called %s", got[1].Name)
			}
			for i := range 5 {
				d := img.Root
				d.Digest = digest.FromString(fmt.Sprint(i))
				if list, err := src.Referrers(t.Context(), img, d); err != nil || len(list) != 0 {
					t.Errorf("%v, %v", list, err)
				}
			}
			for _, g := range got { // it was read to see whether it is there, and is not read again
				if _, err := src.Manifest(t.Context(), g, g.Root); err != nil {
					t.Error(err)
				}
			}
			// The API is asked for once, and a greeting comes first.
			if n := j.count(func(*http.Request) bool { return true }) - before - 1 - greetings(&j, before); n != c.requests {
				t.Errorf("%d requests, want %d", n, c.requests)
			}
		})
	}
}

// greetings counts first contacts after so many requests.
func greetings(j *journal, after int) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, r := range j.list[after:] {
		if r.URL.Path == "/v2/" {
			n++
		}
	}
	return n
}

// TestReferrersListFails has the list of tags fail: signatures must not get lost.
func TestReferrersListFails(t *testing.T) {
	reg := parts.MemoryRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/tags/list") {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	pushImage(t, reg.Image("app:1"))
	img := one(t, newTestClient(t, Options{}).Source(), reg.Image("app:1"))
	if list, err := attachedTo(t, img); err == nil || !strings.Contains(err.Error(), "502") {
		t.Errorf("%v, %v", list, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newTestClient(t, Options{}).Source().(transport.Referring).Referrers(ctx, img, img.Root); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestReferrersTagGone lists a tag that is not there.
func TestReferrersTagGone(t *testing.T) {
	d := v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromString("subject"), Size: 7}
	reg := parts.MemoryRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/tags/list") {
				_, _ = io.WriteString(w, `{"tags":["`+transport.AttachedTag(d.Digest, "sbom")+`"]}`)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	pushImage(t, reg.Image("app:1"))
	if _, err := attachedTo(t, at(t, transport.Image{Root: d}, reg.Image("app:1"))); !errors.Is(err, fault.ErrMissing) {
		t.Errorf("%v", err)
	}
}

func FuzzReadReferrers(f *testing.F) {
	d, _ := artifact(v1.Descriptor{Digest: digest.FromString("x")}, 1)
	f.Add([]byte(entries(d, d)))
	f.Add([]byte(entries()))
	f.Add([]byte(`{"manifests":[{"digest":"sha256:x","size":-1}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := readReferrers(b, nil)
		if err != nil && list != nil {
			t.Error("both a list and an error")
		}
		for _, d := range list {
			if d.Digest.Validate() != nil || d.Size < 0 || d.Size > transport.MaxManifest || d.URLs != nil || d.Annotations != nil {
				t.Errorf("%+v", d)
			}
		}
	})
}
