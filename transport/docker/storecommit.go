package docker

import (
	"context"
	"fmt"

	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/fault"
	"bale/transport"
	"bale/transport/archive"
)

const (
	// imageName is the annotation by which containerd names an image that is loaded.
	imageName = "io.containerd.image.name"
	// subjectOf is the one that says what an entry of index.json is attached to.
	subjectOf = "io.containerd.manifest.subject"
)

// Commit implements [transport.Sink]. It ends the layout, in which no image has a
// name but that of its own digest, checks that the engine has everything, and only
// then sets the tags. To be named by its own digest changes no name that was there.
func (s *storeSink) Commit(ctx context.Context, images []transport.Image) error {
	entries, err := s.entries(ctx, images)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		if s.load == nil {
			s.load = s.e.startLoad(ctx)
		}
		if err := s.load.finish(ctx, func(w *archive.Writer) error { return w.CloseLayout(newIndex(entries...)) }); err != nil {
			return err
		}
	}
	for _, img := range images {
		if err := s.check(ctx, img); err != nil {
			return err
		}
	}
	var named []transport.Image
	for _, img := range images {
		if img.Name.Tag == "" {
			continue
		}
		if err := s.e.tag(ctx, img.Name, img.Root.Digest); err != nil {
			return transport.Partly(err, named)
		}
		named = append(named, img)
	}
	s.committed = true
	return nil
}

// entries returns what index.json is to say: the roots that are new, by no name
// or by their own digest, and what is attached to an image as attached to it.
func (s *storeSink) entries(ctx context.Context, images []transport.Image) ([]v1.Descriptor, error) {
	var list []v1.Descriptor
	place := map[digest.Digest]bool{}
	add := func(d v1.Descriptor, annotations map[string]string) {
		place[d.Digest] = true
		list = append(list, v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size, Annotations: annotations})
	}
	byDigest := func(img transport.Image) {
		name := img.Name.WithDigest(img.Root.Digest)
		s.names[name] = true
		add(img.Root, named(name.String()))
	}
	for _, img := range images {
		m := s.manifests[img.Root.Digest]
		if m == nil && s.held[img.Root.Digest] == nil {
			return nil, fmt.Errorf("%s: commit: manifest %s of %s was not written", s.e, img.Root.Digest, img.Name)
		}
		name := "" // that the engine has for it already, beside which it would make another
		if m != nil && !place[img.Root.Digest] {
			res, had, err := s.e.inspect(ctx, img.Root.Digest.String())
			if err != nil {
				return nil, err
			}
			if name = s.e.anyName(res); !had {
				s.fresh = append(s.fresh, img.Root.Digest)
			}
		}
		switch {
		case s.attached(img):
			if !place[img.Root.Digest] {
				add(img.Root, map[string]string{subjectOf: m.Subject.String()})
			}
			if root, h := s.holder(m.Subject); h != nil && !place[root.Digest] {
				add(root, named(h.name)) // the engine reads no other image's index
			}
			byDigest(img) // it does not export all of it with what it is attached to
		case img.Name.Tag == "" && img.Name.Path != "":
			byDigest(img)
		case m != nil && !place[img.Root.Digest]:
			add(img.Root, named(name))
		}
	}
	return list, nil
}

// named is what gives an image a name when it is loaded.
func named(name string) map[string]string {
	if name == "" {
		return nil
	}
	return map[string]string{imageName: name}
}

// anyName returns one of the names that the engine has for an image, whole, or "".
func (e *engine) anyName(res client.ImageInspectResult) string {
	names, err := e.names(res.RepoTags, res.RepoDigests)
	if err != nil || len(names) == 0 {
		return ""
	}
	return names[0].String()
}

// attached reports whether an image goes into the engine as something that is
// attached to a manifest, which is there too. It has no name then. What is attached
// to an index the engine would keep, too, but never export: it gets a name.
func (s *storeSink) attached(img transport.Image) bool {
	m := s.manifests[img.Root.Digest]
	if m == nil || m.Subject == "" || img.Name.Tag != "" {
		return false
	}
	if subject := s.manifests[m.Subject]; subject != nil {
		return subject.Config != nil
	}
	root, h := s.holder(m.Subject)
	return h != nil && (root.Digest != m.Subject || transport.IsManifest(root.MediaType))
}

// holder returns the image that the engine had of which a manifest is a part.
func (s *storeSink) holder(d digest.Digest) (root v1.Descriptor, h *heldImage) {
	for _, h := range s.held {
		if h.parts[d] {
			return h.root, h
		}
	}
	return v1.Descriptor{}, nil
}

// check makes sure that the engine has all of an image that was written.
func (s *storeSink) check(ctx context.Context, img transport.Image) error {
	if s.attached(img) {
		return nil // it is no image there, and cannot be asked for
	}
	ref := img.Root.Digest.String()
	if img.Name.Tag == "" && img.Name.Path != "" {
		ref = img.Name.Repository() + "@" + ref
	}
	res, ok, err := s.e.inspect(ctx, ref)
	switch {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("%s: %s is not there after it was loaded", s.e, ref)
	}
	for _, part := range res.Manifests {
		if err := s.checkPart(img, part); err != nil {
			return err
		}
	}
	return nil
}

// checkPart looks at one manifest of an image.
func (s *storeSink) checkPart(img transport.Image, part image.ManifestSummary) error {
	m := s.manifests[part.Descriptor.Digest]
	if m == nil || !m.whole {
		return nil
	}
	if !part.Available {
		return fault.WithHint(fault.Missing("%s: of %s, manifest %s is not complete after it was loaded", s.e, img.Root.Digest, part.Descriptor.Digest),
			"content that the engine had may have been deleted meanwhile: run the same command again")
	}
	// It unpacks what it can run, and goes on if that fails.
	if d := part.ImageData; s.e.unpacks && d != nil && len(m.Layers) > 0 && d.Size.Unpacked == 0 && transport.FormatPlatform(d.Platform) == transport.FormatPlatform(s.e.platform) {
		return fault.Damaged("%s: it could not unpack %s, and says %q", s.e, img.Root.Digest, s.load.lastWords())
	}
	return nil
}
