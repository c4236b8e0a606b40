package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/conformance"
	"bale/transport/parts"
)

// cargo is an index with an image and something that refers to it, in memory.
type cargo struct {
	blobs   map[digest.Digest][]byte
	config  v1.Descriptor
	layer   v1.Descriptor
	image   v1.Descriptor
	index   v1.Descriptor
	refers  v1.Descriptor
	content map[digest.Digest][]byte
}

func newCargo() *cargo {
	c := &cargo{blobs: map[digest.Digest][]byte{}, content: map[digest.Digest][]byte{}}
	blob := func(mediaType string, b []byte) v1.Descriptor {
		d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
		c.blobs[d.Digest] = b
		return d
	}
	c.config = blob(v1.MediaTypeImageConfig, []byte(`{}`))
	c.layer = blob(v1.MediaTypeImageLayer, noise(1<<20))
	manifest := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[{"mediaType":%q,"digest":%q,"size":%d}]}`,
		v1.MediaTypeImageManifest, c.config.MediaType, c.config.Digest, c.config.Size, c.layer.MediaType, c.layer.Digest, c.layer.Size)
	c.image = v1.Descriptor{MediaType: v1.MediaTypeImageManifest, Digest: digest.FromBytes(manifest), Size: int64(len(manifest))}
	c.content[c.image.Digest] = manifest
	index, content := indexOf(c.image)
	c.index, c.content[index.Digest] = index, content
	c.refers, content = artifact(c.index, 1)
	c.content[c.refers.Digest] = content
	return c
}

// write does with a sink what the engine does, for two repositories.
func (c *cargo) write(ctx context.Context, s transport.Sink, images []transport.Image) error {
	for _, d := range []v1.Descriptor{c.layer, c.config} {
		has, err := s.Has(ctx, d, images)
		if err != nil {
			return err
		}
		if has {
			continue
		}
		err = s.WriteBlob(ctx, d, images, func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(c.blobs[d.Digest])), nil
		})
		if err != nil {
			return err
		}
	}
	for _, d := range []v1.Descriptor{c.image, c.index, c.refers} {
		if err := s.WriteManifest(ctx, d, images, c.content[d.Digest]); err != nil {
			return err
		}
	}
	return s.Commit(ctx, images)
}

// TestWriteFaults has everything go wrong with every request that writes: in the
// end either all is there by equal digests, or there is an error and no tag has
// changed.
func TestWriteFaults(t *testing.T) {
	kinds := []parts.RequestKind{
		parts.Ping, parts.HeadBlob, parts.PostUpload, parts.PostMount, parts.PatchUpload, parts.PutUpload,
		parts.PutManifestDigest, parts.GetReferrers, parts.HeadManifestTag, parts.GetManifestTag, parts.PutManifestTag,
	}
	// what passes if it happens once
	passes := []parts.FaultAction{
		parts.ResetBefore, parts.ResetBody, parts.ResetAnswer, parts.ResetMiddle, parts.Stall,
		parts.StallMiddle, parts.TooMany, parts.Error500, parts.Error503,
	}
	others := []parts.FaultAction{parts.Unauthorized, parts.WrongDigest}
	bodies := []parts.FaultAction{parts.Truncate, parts.FlipByte, parts.WrongLength} // other answers have none
	always := []parts.FaultAction{parts.ResetBefore, parts.ResetAnswer, parts.TooMany, parts.Error500, parts.Unauthorized, parts.WrongDigest, parts.FlipByte}
	reg := parts.Registry(t)
	goods := newCargo()
	n := 0
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			faults := slices.Concat(passes, others)
			if kind == parts.GetManifestTag || kind == parts.GetReferrers {
				faults = append(faults, bodies...)
			}
			for _, do := range faults {
				for _, nth := range []int{1, 2, 0} {
					if nth != 1 && (do == parts.Stall || do == parts.StallMiddle) {
						continue // they take their time, and end as other faults do
					}
					if nth == 2 && kind != parts.PutManifestTag && kind != parts.PutManifestDigest {
						continue // the others know no order
					}
					if nth == 0 && !slices.Contains(always, do) {
						continue // in the end they are one of these
					}
					n++
					repo := fmt.Sprintf("case%d", n)
					t.Run(fmt.Sprintf("%s %d", do, nth), func(t *testing.T) {
						t.Parallel()
						once := nth > 0
						faulty(t, reg, repo, goods, parts.Fault{Kind: kind, Nth: nth, Do: do}, once && slices.Contains(passes, do))
					})
				}
			}
		})
	}
}

func faulty(t *testing.T, reg *parts.RegistryPart, repo string, goods *cargo, f parts.Fault, passes bool) {
	old := pushImage(t, reg.Image(repo+"/app:replaced"))
	before := tagsOf(t, reg, repo+"/app")
	if before["replaced"] != hashOf(t, old) {
		t.Fatal("not pushed")
	}
	proxy := parts.FaultProxy(t, reg, f)
	c := newTestClient(t, Options{patience: time.Second})
	var images []transport.Image
	for _, name := range []string{"/app:new", "/app:replaced", "/lib:new"} {
		images = append(images, at(t, transport.Image{Root: goods.index}, proxy.Image(repo+name)))
	}
	sink := c.Sink()
	err := goods.write(t.Context(), sink, images)
	if err := sink.Close(); err != nil {
		t.Error(err)
	}
	hit := proxy.Hits() > 0
	if !hit && f.Nth < 2 {
		t.Error("the fault was never met")
	}
	proxy.Arm()
	app, lib := tagsOf(t, reg, repo+"/app"), tagsOf(t, reg, repo+"/lib")
	if err != nil {
		if passes {
			t.Errorf("it happened once: %v", err)
		}
		if !hit {
			t.Errorf("no fault, but %v", err)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) || errors.Is(err, conformance.ErrInjected) {
			t.Errorf("%v", err)
		}
		if fault.Hint(err) == "" {
			t.Errorf("no hint: %v", err)
		}
		if fmt.Sprint(app) != fmt.Sprint(before) || len(lib) != 0 {
			t.Errorf("%v\nyet there are tags %v and %v, before that %v", err, app, lib, before)
		}
		return
	}
	list := listTag(goods.index.Digest)
	if app["new"] != goods.index.Digest || app["replaced"] != goods.index.Digest || lib["new"] != goods.index.Digest ||
		app[list] == "" || lib[list] == "" || len(app) != 3 || len(lib) != 2 {
		t.Errorf("tags %v and %v", app, lib)
	}
	src := newTestClient(t, Options{}).Source()
	for _, name := range []string{"/app:new", "/lib:new"} {
		img := at(t, transport.Image{Root: goods.index}, reg.Image(repo+name))
		for d, want := range goods.content {
			got, err := src.Manifest(t.Context(), img, v1.Descriptor{Digest: d, Size: int64(len(want))})
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: manifest %s: %v", name, d, err)
			}
		}
		for d, want := range goods.blobs {
			got, err := readBlob(t, src, img, v1.Descriptor{Digest: d, Size: int64(len(want))})
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: blob %s: %v", name, d, err)
			}
		}
		refers, err := src.(transport.Referring).Referrers(t.Context(), img, goods.index)
		if err != nil || len(refers) != 1 || refers[0].Root.Digest != goods.refers.Digest {
			t.Errorf("%s: referrers %v, %v", name, refers, err)
		}
	}
}
