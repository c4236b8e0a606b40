package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"bale/bundle/blob"
	"bale/bundle/fault"
)

// Prove checks that images are at a place, under their names and whole: it
// reads every manifest and blob there and compares it with its digest. place is
// the place to read, properties those of its sink. Nothing is written. The
// content of the sources is not read, but for their manifests.
//
// A place that forgets manifests, or keeps one platform of an image only, may
// show manifests that it makes. There the config's digest is compared, and the
// layers with what the config says, as far as the place's source does that.
//
// What is not there is a [fault.ErrMissing], what is something else a
// [fault.ErrDamaged]; all of it is told, not only the first.
func Prove(ctx context.Context, requests []Request, place Source, properties Properties, o Options) (*Plan, error) {
	properties.Ordered = false
	p := &prover{place: place, properties: properties, absent: make(map[Name]bool)}
	p.made = properties.ForgetsManifest || properties.Platform != nil
	planned := o.Planned
	o.Planned = func(plan *Plan) error {
		if planned != nil {
			if err := planned(plan); err != nil {
				return err
			}
		}
		return p.names(ctx, plan)
	}
	return Copy(ctx, requests, p, o)
}

// prover is a sink that compares with a place what it would write there.
type prover struct {
	place      Source
	properties Properties
	made       bool // the place makes manifests
	absent     map[Name]bool

	mu     sync.Mutex
	failed []error
}

func (p *prover) Properties() Properties { return p.properties }

func (p *prover) Holds(context.Context, Image, []byte) (bool, error) { return false, nil }

func (p *prover) Has(context.Context, v1.Descriptor, []Image) (bool, error) { return false, nil }

// TakesSparse implements [Sparse]: the place did if it has the index.
func (p *prover) TakesSparse(ctx context.Context, img Image, _ []byte, _ []v1.Descriptor) (bool, error) {
	// An engine can be read after it was asked for the image by its name.
	_, err := p.place.Images(ctx, byTag(img.Name).String())
	if err == nil {
		_, err = readManifest(ctx, p.place, img, img.Root)
	}
	if errors.Is(err, fault.ErrMissing) {
		return false, nil
	}
	return err == nil, err
}

// WriteBlob implements [Sink].
func (p *prover) WriteBlob(ctx context.Context, d v1.Descriptor, images []Image, _ Opener) error {
	if p.made {
		return nil // see whole
	}
	for _, img := range p.repositories(images) {
		if err := p.note(p.blob(ctx, img, d)); err != nil {
			return err
		}
	}
	return nil
}

// WriteManifest implements [Sink].
func (p *prover) WriteManifest(ctx context.Context, d v1.Descriptor, images []Image, content []byte) error {
	look := func(img Image) error {
		_, err := readManifest(ctx, p.place, img, d)
		if errors.Is(err, fault.ErrDamaged) {
			return fmt.Errorf("manifest %s of %s: %w", d.Digest, img.Name, err)
		}
		return err
	}
	if p.made {
		look = func(img Image) error { return p.whole(ctx, img, content) }
	} else {
		images = p.repositories(images)
	}
	for _, img := range images {
		if p.absent[img.Name] {
			continue
		}
		if err := p.note(look(img)); err != nil {
			return err
		}
	}
	return nil
}

// Commit implements [Sink]: it tells what is wrong.
func (p *prover) Commit(context.Context, []Image) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.failed...)
}

// names compares names, and lets the place get ready to be read: an engine
// exports what it is asked for.
func (p *prover) names(ctx context.Context, plan *Plan) error {
	images := plan.targets()
	if prepares, ok := p.place.(Preparer); ok {
		var selectors []string
		for _, img := range images {
			if img.Name.Tag != "" {
				selectors = append(selectors, byTag(img.Name).String())
			}
		}
		if err := prepares.Prepare(ctx, selectors); err != nil && !errors.Is(err, fault.ErrMissing) {
			return err
		}
	}
	for _, img := range images {
		if p.made && img.Name.Tag == "" {
			continue // see whole
		}
		err := p.name(ctx, img)
		if img.Name.Tag == "" && errors.Is(err, fault.ErrMissing) {
			err = p.attached(ctx, plan, img, err)
		}
		p.absent[img.Name] = errors.Is(err, fault.ErrMissing)
		if err := p.note(err); err != nil {
			return err
		}
	}
	return nil
}

func (p *prover) Close() error { return nil }

// note keeps what is wrong with the place, so that all of it can be told, and
// returns what keeps us from looking.
func (p *prover) note(err error) error {
	if !errors.Is(err, fault.ErrMissing) && !errors.Is(err, fault.ErrDamaged) {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.failed) < maxMissing {
		p.failed = append(p.failed, err)
	}
	return nil
}

// byTag is a name by its tag, if it has one: that a tag stands for a digest is
// what is to be proved.
func byTag(n Name) Name {
	if n.Tag != "" {
		n.Digest = ""
	}
	return n
}

func (p *prover) name(ctx context.Context, img Image) error {
	found, err := p.find(ctx, byTag(img.Name).String())
	if err != nil {
		return err
	}
	for _, f := range found {
		if f.Root.Digest == img.Root.Digest || p.made {
			return nil
		}
	}
	return fault.Damaged("%s is %s, not %s", byTag(img.Name), found[0].Root.Digest, img.Root.Digest)
}

// find is Images of a place that finds something.
func (p *prover) find(ctx context.Context, selector string) ([]Image, error) {
	found, err := p.place.Images(ctx, selector)
	if err == nil && len(found) == 0 {
		err = fault.Missing("no image %s", selector)
	}
	return found, err
}

// attached looks for something that has no name at the place: what is attached to
// an image need not have one, as long as it is found through that. Otherwise it
// returns err.
func (p *prover) attached(ctx context.Context, plan *Plan, img Image, err error) error {
	place, ok := p.place.(Referring)
	if !ok {
		return err
	}
	i := slices.IndexFunc(plan.Images, func(i Planned) bool { return i.Target.Name == img.Name && i.Subject != "" })
	if i < 0 {
		return err
	}
	s := slices.IndexFunc(plan.manifests, func(m *item) bool { return m.desc.Digest == plan.Images[i].Subject })
	if s < 0 {
		return err
	}
	found, rerr := place.Referrers(ctx, img, plan.manifests[s].desc)
	if rerr != nil {
		return rerr
	}
	if slices.ContainsFunc(found, func(f Image) bool { return f.Root.Digest == img.Root.Digest }) {
		return nil
	}
	return err
}

func (p *prover) blob(ctx context.Context, img Image, d v1.Descriptor) error {
	rc, err := (&item{desc: d, source: p.place, from: img}).open(ctx)
	if err != nil {
		return err // which names the blob
	}
	_, err = io.Copy(io.Discard, rc)
	if cerr := rc.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("blob %s of %s: %w", d.Digest, img.Name.Repository(), err)
	}
	return nil
}

// whole compares an image with the one that the place makes of it, and reads
// that.
func (p *prover) whole(ctx context.Context, img Image, content []byte) error {
	want, err := configOf(content)
	if err != nil {
		return err
	}
	selector := want.String() // what such a place calls an image without a tag
	if img.Name.Tag != "" {
		selector = byTag(img.Name).String()
	}
	found, err := p.find(ctx, selector)
	if err != nil {
		return err
	}
	at := found[0]
	made, err := readManifest(ctx, p.place, at, at.Root)
	if err != nil {
		return fmt.Errorf("%s: %w", img.Name, err)
	}
	m, err := ParseManifest(at.Root.MediaType, made)
	if err != nil {
		return fmt.Errorf("%s: %w", img.Name, err)
	}
	if m.Config == nil || m.Config.Digest != want {
		return fault.Damaged("%s is another image than %s", img.Name, want)
	}
	for _, d := range append(m.Layers, *m.Config) {
		if err := p.blob(ctx, at, d); err != nil {
			return err
		}
	}
	return nil
}

func configOf(manifest []byte) (digest.Digest, error) {
	var m struct {
		Config v1.Descriptor `json:"config"`
	}
	if err := json.Unmarshal(manifest, &m); err != nil {
		return "", fault.Damaged("manifest is not JSON: %w", err)
	}
	return m.Config.Digest, blob.Check(m.Config.Digest, 0)
}

// repositories returns one image for each repository, of those that are there.
func (p *prover) repositories(images []Image) []Image {
	var out []Image
	seen := make(map[string]bool)
	for _, i := range images {
		if r := i.Name.Repository(); !seen[r] && !p.absent[i.Name] {
			seen[r] = true
			out = append(out, i)
		}
	}
	return out
}
