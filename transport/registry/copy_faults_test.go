package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/bale"
	"bale/transport/conformance"
	"bale/transport/parts"
)

// everyFault is what can go wrong with any request.
var everyFault = []parts.FaultAction{
	parts.ResetBefore, parts.ResetBody, parts.ResetAnswer, parts.ResetMiddle, parts.Stall, parts.StallMiddle, parts.TooMany,
	parts.Error500, parts.Error503, parts.Unauthorized, parts.Truncate, parts.FlipByte, parts.WrongDigest, parts.WrongLength,
}

// passingFaults are over when the request is made again.
var passingFaults = []parts.FaultAction{parts.ResetBefore, parts.TooMany, parts.Error500, parts.Error503}

// impatient is a client for a registry with faults: it waits for nothing for
// long, least of all where the fault is that nothing comes.
func impatient(t *testing.T, do parts.FaultAction) *Client {
	t.Helper()
	o := Options{Backoff: remote.Backoff{Duration: time.Millisecond, Factor: 1, Steps: 3}, patience: 20 * time.Second}
	if do == parts.Stall || do == parts.StallMiddle {
		o.patience = 300 * time.Millisecond
	}
	return newTestClient(t, o)
}

// signedSet is images of which one has something attached to it.
func signedSet(t *testing.T, repository string) *conformance.Set {
	t.Helper()
	in := conformance.New(t, repository).Only("plain", "multi")
	set := &conformance.Set{Images: slices.Clone(in.Images), Content: make(map[digest.Digest][]byte)}
	for d, c := range in.Content {
		set.Content[d] = c
	}
	add := func(mediaType string, b []byte) v1.Descriptor {
		d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
		set.Content[d.Digest] = b
		return d
	}
	of := set.Image(t, "multi")
	note, err := json.Marshal(v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, ArtifactType: "application/vnd.example.note",
		Config: add(v1.MediaTypeEmptyJSON, []byte("{}")), Layers: []v1.Descriptor{add("text/plain", []byte("good"))}, Subject: &of.Root,
	})
	if err != nil {
		t.Fatal(err)
	}
	root := add(v1.MediaTypeImageManifest, note)
	name := of.Name
	name.Tag, name.Digest = "", root.Digest
	set.Images = append(set.Images, transport.Image{Name: name, Root: root})
	return set
}

func requestsFor(src transport.Source, images []transport.Image) []transport.Request {
	var out []transport.Request
	for _, i := range images {
		out = append(out, transport.Request{Source: src, Image: i, Target: i.Name})
	}
	return out
}

// sameThere compares images at a place with a set, every byte.
func sameThere(ctx context.Context, t *testing.T, place transport.Source, set *conformance.Set, images []transport.Image) {
	t.Helper()
	g := set.Graph(t, images...)
	for _, img := range images {
		found, err := place.Images(ctx, img.Name.String())
		if err != nil || found[0].Root.Digest != img.Root.Digest {
			t.Errorf("%s: %v, %v", img.Name, found, err)
		}
	}
	for _, d := range g.Manifests {
		for _, img := range g.Owners[d.Digest] {
			if b, err := place.Manifest(ctx, img, d); err != nil || !bytes.Equal(b, set.Content[d.Digest]) {
				t.Errorf("manifest %s of %s: other bytes (%v)", d.Digest, img.Name, err)
			}
		}
	}
	for _, d := range g.Blobs() {
		for _, img := range g.Owners[d.Digest] {
			rc, err := place.Blob(ctx, img, d)
			if err != nil {
				t.Errorf("blob %s of %s: %v", d.Digest, img.Name, err)
				continue
			}
			if b, err := io.ReadAll(rc); err != nil || !bytes.Equal(b, set.Content[d.Digest]) {
				t.Errorf("blob %s of %s: other bytes (%v)", d.Digest, img.Name, err)
			}
			_ = rc.Close()
		}
	}
}

// kindsSeen are the kinds of requests that a proxy saw, in the order of their
// first.
func kindsSeen(p *parts.FaultProxyPart) []parts.RequestKind {
	var kinds []parts.RequestKind
	for _, s := range p.Seen() {
		kind, _, _ := strings.Cut(s, ": ")
		if k := parts.RequestKind(kind); !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// faultCases calls f for every fault at every kind of request: at the first of
// its kind, and at all of them. Each has a proxy of its own.
func faultCases(t *testing.T, registry func(t *testing.T) *parts.RegistryPart, kinds []parts.RequestKind, f func(t *testing.T, n int, proxy *parts.FaultProxyPart, c parts.Fault) (hits int, err error)) {
	t.Helper()
	if len(kinds) < 4 {
		t.Fatalf("only %v were seen", kinds)
	}
	n := 0
	for _, kind := range kinds {
		for _, do := range everyFault {
			if do == parts.FlipByte && (kind == parts.ListTags || kind == parts.GetReferrers) {
				continue // a list has no digest, so nobody can tell
			}
			for _, nth := range []int{1, 0} {
				n++
				own, c := n, parts.Fault{Kind: kind, Nth: nth, Do: do}
				t.Run(fmt.Sprintf("%s/%s/%d", kind, strings.ReplaceAll(string(do), " ", "-"), nth), func(t *testing.T) {
					t.Parallel()
					proxy := parts.FaultProxy(t, registry(t), c)
					hits, err := f(t, own, proxy, c)
					switch {
					case hits == 0:
						t.Error("the fault was not met: nothing was tested")
					case err == nil:
					case errors.Is(err, fault.ErrUsage), errors.Is(err, context.Canceled), errors.Is(err, fault.ErrUntrusted):
						t.Errorf("told as something else: %v", err)
					case nth == 1 && slices.Contains(passingFaults, do):
						t.Errorf("what passes was not tried again: %v", err)
					}
				})
			}
		}
	}
}

// Whatever a registry does while images are saved from it, the bundle has them
// byte for byte, or there is none.
func TestSaveFromARegistryWithFaults(t *testing.T) {
	for name, reg := range map[string]*parts.RegistryPart{"distribution": parts.Registry(t), "with referrers": parts.MemoryRegistry(t)} {
		t.Run(name, func(t *testing.T) {
			set := signedSet(t, reg.Image("saved"))
			sink := newTestClient(t, Options{}).Sink()
			if _, err := transport.Copy(t.Context(), requestsFor(set.Source(), set.Images), sink, transport.Options{}); err != nil {
				t.Fatal(err)
			}
			save := func(t *testing.T, proxy *parts.FaultProxyPart, c *Client, path string) (*conformance.Set, error) {
				ctx := t.Context()
				there := set.Rename(func(n transport.Name) transport.Name {
					n.Domain = proxy.Addr
					return n
				})
				src := c.Source()
				defer func() { _ = src.Close() }()
				var images []transport.Image
				for _, i := range there.Images[:2] { // what is attached is found
					found, err := src.Images(ctx, i.Name.String())
					if err != nil {
						return there, err
					}
					images = append(images, found...)
				}
				out, err := bale.NewSink(bale.SinkOptions{Path: path, Writer: bundle.WriterOptions{Created: time.Unix(1, 0), Creator: "test"}})
				if err != nil {
					t.Fatal(err)
				}
				_, err = transport.Copy(ctx, requestsFor(src, images), out, transport.Options{
					SpoolDir: t.TempDir(), Planned: func(p *transport.Plan) error { return out.Start(ctx, p) },
				})
				return there, errors.Join(err, out.Close())
			}
			clean := parts.FaultProxy(t, reg)
			if _, err := save(t, clean, impatient(t, ""), filepath.Join(t.TempDir(), "clean.bale")); err != nil {
				t.Fatal(err)
			}
			one := func(*testing.T) *parts.RegistryPart { return reg }
			faultCases(t, one, kindsSeen(clean), func(t *testing.T, _ int, proxy *parts.FaultProxyPart, c parts.Fault) (int, error) {
				path := filepath.Join(t.TempDir(), "images.bale")
				there, err := save(t, proxy, impatient(t, c.Do), path)
				if err != nil {
					if _, serr := os.Stat(path); serr == nil {
						t.Errorf("there is a bundle although %v", err)
					}
					return proxy.Hits(), err
				}
				f, err := bale.Open(t.Context(), path)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = f.Close() }()
				r, err := f.Trust(t.Context(), anybody{})
				if err != nil {
					t.Fatal(err)
				}
				sameThere(t.Context(), t, bale.NewSource(r), there, there.Images)
				return proxy.Hits(), nil
			})
		})
	}
}

// anybody vouches for every bundle.
type anybody struct{}

func (anybody) Vouches([]byte) error { return nil }

// Whatever a registry does while images are loaded into it, it has them byte
// for byte afterwards, or no tag that it did not have.
func TestLoadIntoARegistryWithFaults(t *testing.T) {
	shared := parts.Registry(t)
	for name, registry := range map[string]func(t *testing.T) *parts.RegistryPart{
		"distribution": func(*testing.T) *parts.RegistryPart { return shared },
		// One that has nothing: it keeps blobs for all of its repositories.
		"with referrers": func(t *testing.T) *parts.RegistryPart { return parts.MemoryRegistry(t) },
	} {
		t.Run(name, func(t *testing.T) {
			load := func(t *testing.T, c *Client, set *conformance.Set) error {
				sink := c.Sink()
				_, err := transport.Copy(t.Context(), requestsFor(set.Source(), set.Images), sink, transport.Options{})
				return errors.Join(err, sink.Close())
			}
			clean := parts.FaultProxy(t, registry(t))
			if err := load(t, impatient(t, ""), signedSet(t, clean.Image("clean"))); err != nil {
				t.Fatal(err)
			}
			faultCases(t, registry, kindsSeen(clean), func(t *testing.T, n int, proxy *parts.FaultProxyPart, c parts.Fault) (int, error) {
				set := signedSet(t, proxy.Image(fmt.Sprint("case", n)))
				err := load(t, impatient(t, c.Do), set)
				hits := proxy.Hits()
				proxy.Arm() // from now on it only passes on
				src := newTestClient(t, Options{}).Source()
				defer func() { _ = src.Close() }()
				if err == nil {
					sameThere(t.Context(), t, src, set, set.Images)
					of := set.Image(t, "multi")
					found, rerr := src.(transport.Referring).Referrers(t.Context(), of, of.Root)
					if rerr != nil || len(found) != 1 || found[0].Root.Digest != set.Images[2].Root.Digest {
						t.Errorf("attached: %v, %v", found, rerr)
					}
					return hits, nil
				}
				for _, i := range set.Images[:2] {
					tags, terr := src.(transport.Tagging).Tags(t.Context(), transport.Name{Domain: i.Name.Domain, Path: i.Name.Path})
					if terr == nil && !told(err, tags) {
						t.Errorf("%s has tags %v although %v", i.Name.Repository(), tags, err)
					}
				}
				return hits, err
			})
		})
	}
}

// told reports whether an error says which tags were set before it and could
// not be taken back.
func told(err error, tags []transport.Name) bool {
	for _, n := range tags {
		if !strings.Contains(err.Error(), n.Path+":"+n.Tag) {
			return false
		}
	}
	return true
}
