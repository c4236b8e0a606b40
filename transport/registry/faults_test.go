package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/parts"
)

// faultPatience is long enough for a busy machine to answer in.
const faultPatience = time.Second

// reading is what is read from a registry in tests of faults.
type reading struct {
	image    string // host/app:1
	root     v1.Descriptor
	manifest []byte
	layer    v1.Descriptor
	content  []byte
}

func newReading(t *testing.T, reg *parts.RegistryPart) reading {
	t.Helper()
	img, err := random.Image(256<<10, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(parse(t, reg.Image("app:1")), img); err != nil {
		t.Fatal(err)
	}
	r := reading{image: "app:1"}
	if r.manifest, err = img.RawManifest(); err != nil {
		t.Fatal(err)
	}
	r.root = v1.Descriptor{MediaType: mediaTypeOfGGCR(t, img), Digest: digest.FromBytes(r.manifest), Size: int64(len(r.manifest))}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	rc, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	if r.content, err = io.ReadAll(rc); err != nil {
		t.Fatal(err)
	}
	r.layer, _ = bytesOpener(r.content)
	return r
}

// all reads everything in every way. Content that is not right is an error of
// the test, whatever goes wrong otherwise.
func (r reading) all(t *testing.T, src transport.Source, reg *parts.RegistryPart) error {
	t.Helper()
	ctx := t.Context()
	images, err := src.Images(ctx, reg.Image(r.image))
	if err != nil {
		return err
	}
	img := images[0]
	if img.Root.Digest != r.root.Digest || img.Root.Size != r.root.Size {
		t.Errorf("root %+v, want %+v", img.Root, r.root)
	}
	// Another source does not remember the root.
	fresh := &source{c: src.(*source).c}
	content, err := fresh.Manifest(ctx, img, r.root)
	if err != nil {
		return err
	}
	if !bytes.Equal(content, r.manifest) {
		t.Errorf("manifest %q", content)
	}
	got, err := readBlob(t, src, img, r.layer)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, r.content) {
		t.Errorf("layer of %d bytes is another one", len(got))
	}
	size, ok, err := src.(*source).stat(ctx, img, r.layer)
	if err != nil {
		return err
	}
	if ok && size != r.layer.Size {
		t.Errorf("layer has %d bytes", size)
	}
	tagging, ok := src.(transport.Tagging)
	if !ok {
		return errors.New("the source lists no tags")
	}
	if _, err := tagging.Tags(ctx, img.Name); err != nil {
		return err
	}
	return nil
}

// TestReadingThroughFaults meets every fault at every kind of request for
// reading, once and always, in front of a real registry.
func TestReadingThroughFaults(t *testing.T) {
	reg := parts.Registry(t)
	r := newReading(t, reg)
	passing := []parts.FaultAction{
		parts.ResetBefore, parts.ResetAnswer, parts.ResetMiddle, parts.Stall, parts.StallMiddle,
		parts.TooMany, parts.Error500, parts.Error503, parts.Truncate,
	}
	damaging := []parts.FaultAction{parts.FlipByte, parts.WrongDigest, parts.WrongLength}
	for _, kind := range []parts.RequestKind{
		parts.Ping, parts.GetManifestTag, parts.GetManifestDigest, parts.GetBlob, parts.HeadBlob, parts.ListTags,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			meet := func(t *testing.T, f parts.Fault) error {
				t.Helper()
				p := parts.FaultProxy(t, reg, f)
				c := newTestClient(t, Options{patience: faultPatience})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				err := r.all(t, c.Source(), &p.RegistryPart)
				if p.Hits() == 0 {
					t.Errorf("%s: the fault was not hit: %q", f.Do, p.Seen())
				}
				if ctx.Err() != nil {
					t.Errorf("%s: it took too long", f.Do)
				}
				return err
			}
			for _, do := range passing {
				if err := meet(t, parts.Fault{Kind: kind, Nth: 1, Do: do}); err != nil {
					t.Errorf("%s once: %v", do, err)
				}
				err := meet(t, parts.Fault{Kind: kind, Do: do})
				bare := do == parts.Truncate || do == parts.ResetMiddle || do == parts.StallMiddle
				switch {
				case err == nil && bare && (kind == parts.Ping || do == parts.Truncate && kind == parts.HeadBlob):
					// Nobody reads the body of that answer.
				case err == nil:
					t.Errorf("%s always: no error", do)
				case errors.Is(err, fault.ErrDamaged), errors.Is(err, fault.ErrMissing), errors.Is(err, io.EOF), fault.Hint(err) == "":
					t.Errorf("%s always: %v (%s)", do, err, fault.Hint(err))
				}
			}
			for _, do := range damaging {
				// Right content, or the word damaged; all looks at what comes.
				err := meet(t, parts.Fault{Kind: kind, Do: do})
				if err != nil && !errors.Is(err, fault.ErrDamaged) {
					t.Errorf("%s: %v", do, err)
				}
				if err == nil && (kind == parts.GetManifestTag && do == parts.WrongDigest || kind == parts.GetBlob && do != parts.WrongDigest ||
					kind == parts.GetManifestDigest && do != parts.WrongDigest) {
					t.Errorf("%s: no error", do)
				}
			}
			if kind == parts.Ping {
				return // that is how a registry asks for credentials
			}
			err := meet(t, parts.Fault{Kind: kind, Do: parts.Unauthorized})
			if err == nil || errors.Is(err, fault.ErrMissing) || errors.Is(err, fault.ErrDamaged) || fault.Hint(err) == "" {
				t.Errorf("401: %v", err)
			}
			if kind == parts.GetBlob {
				p := parts.FaultProxy(t, reg, parts.Fault{Kind: kind, Nth: 1, Do: parts.ResetMiddle}, parts.Fault{Kind: kind, Do: parts.IgnoreRange})
				if err := r.all(t, newTestClient(t, Options{}).Source(), &p.RegistryPart); err != nil || p.Hits() != 2 {
					t.Errorf("no ranges: %v, %d hits", err, p.Hits())
				}
			}
		})
	}
}

// TestTokensThroughFaults meets them at the token server, and tokens that are
// refused while they are used.
func TestTokensThroughFaults(t *testing.T) {
	var issued atomic.Int32
	reg := parts.MemoryRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/token":
				fmt.Fprintf(w, `{"token":"t%d"}`, issued.Add(1))
			case !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer t"):
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, r.Host))
				w.WriteHeader(http.StatusUnauthorized)
			default:
				next.ServeHTTP(w, r)
			}
		})
	})
	for _, do := range []parts.FaultAction{
		parts.ResetBefore, parts.ResetAnswer, parts.ResetMiddle, parts.Stall, parts.StallMiddle,
		parts.TooMany, parts.Error500, parts.Error503, parts.Truncate,
	} {
		p := parts.FaultProxy(t, reg, parts.Fault{Kind: parts.GetToken, Nth: 1, Do: do})
		_, err := newTestClient(t, Options{patience: faultPatience}).Source().Images(t.Context(), p.Image("app:1"))
		if !errors.Is(err, fault.ErrMissing) || p.Hits() != 1 {
			t.Errorf("%s once: %v, %d hits", do, err, p.Hits())
		}
		p.Arm(parts.Fault{Kind: parts.GetToken, Do: do})
		_, err = newTestClient(t, Options{patience: faultPatience}).Source().Images(t.Context(), p.Image("app:1"))
		if err == nil || errors.Is(err, fault.ErrMissing) || p.Hits() < quick.Steps {
			t.Errorf("%s always: %v, %d hits", do, err, p.Hits())
		}
	}
	for _, kind := range []parts.RequestKind{parts.GetManifestTag, parts.GetBlob, parts.ListTags} {
		p := parts.FaultProxy(t, reg, parts.Fault{Kind: kind, Nth: 1, Do: parts.Unauthorized})
		src := newTestClient(t, Options{}).Source()
		img := at(t, transport.Image{}, p.Image("app:1"))
		d, open := bytesOpener([]byte("content"))
		if err := newTestClient(t, Options{}).Sink().WriteBlob(t.Context(), d, []transport.Image{img}, open); err != nil {
			t.Fatal(err)
		}
		var err error
		switch kind {
		case parts.GetManifestTag:
			_, err = src.Images(t.Context(), img.Name.String())
		case parts.ListTags:
			_, err = src.(transport.Tagging).Tags(t.Context(), img.Name)
		case parts.GetBlob:
			_, err = readBlob(t, src, img, d)
		}
		if kind == parts.GetBlob && err != nil || kind != parts.GetBlob && !errors.Is(err, fault.ErrMissing) || p.Hits() != 1 {
			t.Errorf("%s: %v, %d hits", kind, err, p.Hits())
		}
	}
}

// TestReferrersThroughFaults meets them at the questions for what is attached,
// at a registry with the referrers API and at one without.
func TestReferrersThroughFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		reg  *parts.RegistryPart
		api  bool
	}{{"API", parts.MemoryRegistry(t), true}, {"fallback tag", parts.Registry(t), false}} {
		t.Run(c.name, func(t *testing.T) {
			r := newReading(t, c.reg)
			img, err := random.Image(10, 1)
			if err != nil {
				t.Fatal(err)
			}
			hash, err := ggcr.NewHash(r.root.Digest.String())
			if err != nil {
				t.Fatal(err)
			}
			attached := mutate.Subject(img, ggcr.Descriptor{MediaType: types.MediaType(r.root.MediaType), Digest: hash, Size: r.root.Size}).(ggcr.Image)
			repo := parse(t, c.reg.Image("app:1")).Context()
			h, err := attached.Digest()
			if err != nil {
				t.Fatal(err)
			}
			if err := remote.Write(repo.Digest(h.String()), attached); err != nil {
				t.Fatal(err)
			}
			sig := transport.AttachedTag(r.root.Digest, transport.AttachedTags[0])
			if err := remote.Write(repo.Tag(sig), img); err != nil {
				t.Fatal(err)
			}
			meet := func(t *testing.T, f parts.Fault) (int, error) {
				t.Helper()
				p := parts.FaultProxy(t, c.reg, f)
				src := newTestClient(t, Options{patience: faultPatience}).Source()
				in := at(t, transport.Image{Root: r.root}, p.Image("app:1"))
				got, err := src.(transport.Referring).Referrers(t.Context(), in, r.root)
				if err == nil && f.Do != parts.FlipByte && (len(got) != 2 || got[0].Root.Digest.String() != h.String() || got[1].Name.Tag != sig) {
					t.Errorf("%s %s: %v", f.Kind, f.Do, got)
				}
				return p.Hits(), err
			}
			for _, kind := range []parts.RequestKind{parts.GetReferrers, parts.ListTags, parts.GetManifestDigest, parts.GetManifestTag} {
				t.Run(string(kind), func(t *testing.T) {
					t.Parallel()
					for _, do := range []parts.FaultAction{
						parts.ResetBefore, parts.ResetMiddle, parts.Stall, parts.TooMany, parts.Error500, parts.Error503, parts.Truncate,
					} {
						hits, err := meet(t, parts.Fault{Kind: kind, Nth: 1, Do: do})
						if hits != 1 || err != nil {
							t.Errorf("%s %s once: %v, %d hits", kind, do, err, hits)
						}
						hits, err = meet(t, parts.Fault{Kind: kind, Do: do})
						// Of a refusal the status counts, however its words end.
						refused := !c.api && kind == parts.GetReferrers && (do == parts.ResetMiddle || do == parts.Truncate)
						if hits < 1 || (err == nil) != refused || errors.Is(err, fault.ErrMissing) || errors.Is(err, fault.ErrDamaged) {
							t.Errorf("%s %s always: %v, %d hits", kind, do, err, hits)
						}
					}
					for _, do := range []parts.FaultAction{parts.FlipByte, parts.Unauthorized} {
						if _, err := meet(t, parts.Fault{Kind: kind, Do: do}); err == nil && do == parts.Unauthorized {
							t.Errorf("%s %s: no error", kind, do)
						}
					}
				})
			}
		})
	}
}

// TestRealTokensThroughFaults reads from a real registry with token auth: tokens
// that are refused before their time, token requests that fail, and a download
// that breaks when its token has ended.
func TestRealTokensThroughFaults(t *testing.T) {
	me := account{"someone", "correct horse"}
	reg := parts.Registry(t, parts.WithTokenAuth(parts.TokenAuth{Users: map[string]string{me.user: me.password}, Life: 2 * time.Second}))
	content := large(8 << 20)
	d, open := bytesOpener(content)
	sink := newTestClient(t, Options{Keychain: me}).Sink()
	if err := sink.WriteBlob(t.Context(), d, []transport.Image{at(t, transport.Image{}, reg.Image("app:1"))}, open); err != nil {
		t.Fatal(err)
	}
	for name, faults := range map[string][]parts.Fault{
		"refused":           {{Kind: parts.GetBlob, Nth: 1, Do: parts.Unauthorized}},
		"no token at first": {{Kind: parts.GetToken, Nth: 1, Do: parts.Error503}},
		"breaks":            {{Kind: parts.GetBlob, Nth: 1, Do: parts.ResetMiddle}},
		"breaks, and refused": {
			{Kind: parts.GetBlob, Nth: 1, Do: parts.ResetMiddle}, {Kind: parts.GetBlob, Nth: 2, Do: parts.Unauthorized},
			{Kind: parts.GetToken, Nth: 2, Do: parts.ResetAnswer},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := parts.FaultProxy(t, reg, faults...)
			src := newTestClient(t, Options{Keychain: me}).Source()
			rc, err := openerOf(src, at(t, transport.Image{}, p.Image("app:1")), d)(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = rc.Close() }()
			first := make([]byte, 1000)
			if _, err := io.ReadFull(rc, first); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2100 * time.Millisecond) // the token's time is over
			rest, err := io.ReadAll(rc)
			if err != nil || !bytes.Equal(append(first, rest...), content) || p.Hits() != len(faults) {
				t.Errorf("%d bytes, %v, %d hits, seen %q", len(rest), err, p.Hits(), p.Seen())
			}
		})
	}
}
