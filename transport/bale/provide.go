package bale

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/transport"
)

// Place is where layers of a base may be found.
type Place struct {
	Name    string // in messages
	Holding transport.Holding
	Near    []transport.Name // repositories to look in
}

// Provide makes sure that the blobs of an update can be rebuilt, or unpacked
// (raw): what earlier bundles do not have is fetched from the places. What
// cannot be had is a [fault.ErrMissing] that says where it was looked for.
func (b *Bases) Provide(ctx context.Context, r *bundle.Reader, blobs []digest.Digest, raw bool, places []Place) error {
	for _, p := range places {
		b.Looked(p.Name)
	}
	find := b.findWhole
	if raw {
		find = b.findRaw
	}
	blobs, err := find(ctx, r, blobs, places)
	if err != nil {
		return err
	}
	lacking, err := b.lacking(r, blobs, raw)
	if err != nil || len(lacking) == 0 {
		return err
	}
	for _, p := range places {
		// First where they are sure to be; then wherever they might.
		for _, all := range []bool{false, true} {
			if err := b.fetch(ctx, r, lacking, p, all); err != nil {
				return fmt.Errorf("%s: %w", p.Name, err)
			}
			if lacking, err = b.lacking(r, blobs, raw); err != nil || len(lacking) == 0 {
				return err
			}
		}
	}
	return b.notFound(r, lacking)
}

// lacking returns the external chunks that blobs need and that are not at hand.
func (b *Bases) lacking(r *bundle.Reader, blobs []digest.Digest, raw bool) ([]uint32, error) {
	needs, err := r.Needs(blobs, raw)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(needs, func(c uint32) bool { return b.Has(r.Index().Chunks.Hash(c)) }), nil
}

// findWhole looks for blobs of the update that a base had too and a place still
// has, and returns the others.
func (b *Bases) findWhole(ctx context.Context, r *bundle.Reader, blobs []digest.Digest, places []Place) ([]digest.Digest, error) {
	lacking, err := b.lacking(r, blobs, false)
	if err != nil || len(lacking) == 0 {
		return blobs, err
	}
	was := make(map[digest.Digest]int64)
	for _, base := range r.Index().Bases {
		for _, l := range base.Blobs {
			was[l.Digest] = l.Size
		}
	}
	for _, p := range places {
		var want []transport.Layer
		for _, d := range blobs {
			if size, ok := was[d]; ok {
				want = append(want, transport.Layer{Digest: d, Size: size})
			}
		}
		if len(want) == 0 {
			return blobs, nil
		}
		found, err := p.Holding.FindLayers(ctx, p.Near, want)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		for _, f := range found {
			if d := want[f.Index].Digest; d == f.Digest {
				b.mu.Lock()
				b.whole[d] = f.Open
				b.mu.Unlock()
				blobs = slices.DeleteFunc(slices.Clone(blobs), func(x digest.Digest) bool { return x == d })
			}
		}
	}
	return blobs, nil
}

// external is a chunk that a bundle, the update or a kept one, does not carry.
type external struct {
	r     *bundle.Reader
	chunk uint32
}

// wanted returns the lacking chunks, and what kept bundles that carry these lack
// to give them, and so on.
func (b *Bases) wanted(r *bundle.Reader, lacking []uint32) ([]external, map[index.Hash]bool) {
	var list []external
	hashes := make(map[index.Hash]bool)
	add := func(r *bundle.Reader, c uint32) {
		if h := r.Index().Chunks.Hash(c); !hashes[h] && !b.Has(h) {
			hashes[h] = true
			list = append(list, external{r, c})
		}
	}
	for _, c := range lacking {
		add(r, c)
	}
	seen := make(map[keptFrame]bool)
	for n := 0; n < len(list); n++ {
		h := list[n].r.Index().Chunks.Hash(list[n].chunk)
		for i, k := range b.kept {
			f, ok := k.r.FrameOf(h)
			if !ok || seen[keptFrame{i, f}] {
				continue
			}
			seen[keptFrame{i, f}] = true
			for _, c := range k.r.BuildsOn(f) {
				add(k.r, c)
			}
		}
	}
	return list, hashes
}

// fetch takes lacking chunks out of a place's layers: those that the update says
// they are found in, or (all) the others that its bases had, and those of kept
// bundles. What kept bundles lack themselves is looked for alike.
func (b *Bases) fetch(ctx context.Context, r *bundle.Reader, lacking []uint32, p Place, all bool) error {
	list, wanted := b.wanted(r, lacking)
	first := make(map[*index.BaseBlob]bool)
	of := []*bundle.Reader{r}
	if all {
		for _, k := range b.kept {
			of = append(of, k.r)
		}
	}
	for _, e := range list {
		if _, blob := e.r.Index().External(e.chunk); blob != nil {
			first[blob] = true
		}
		if !slices.Contains(of, e.r) {
			of = append(of, e.r)
		}
	}
	var want []transport.Layer
	known := make(map[transport.Layer]bool)
	for _, r := range of {
		for i := range r.Index().Bases {
			for j := range r.Index().Bases[i].Blobs {
				l := &r.Index().Bases[i].Blobs[j]
				if first[l] == all {
					continue
				}
				one := transport.Layer{Digest: l.Digest, Size: l.Size}
				if l.Raw != (index.Hash{}) {
					one.DiffID = digest.NewDigestFromBytes(digest.SHA256, l.Raw[:])
				}
				if !known[one] {
					known[one] = true
					want = append(want, one)
				}
			}
		}
	}
	if len(want) == 0 {
		return nil
	}
	found, err := p.Holding.FindLayers(ctx, p.Near, want)
	if err != nil {
		return err
	}
	f := &fetcher{b: b, wanted: wanted}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(min(runtime.GOMAXPROCS(0), maxFetching))
	for _, l := range found {
		group.Go(func() error {
			// The raw bytes may be compressed themselves, and be cut as they are.
			err := f.layer(gctx, l, l.Digest == want[l.Index].DiffID)
			if errors.Is(err, fault.ErrMissing) || errors.Is(err, fault.ErrDamaged) {
				return nil // deleted since, or damaged: then it is not there
			}
			return err
		})
	}
	return group.Wait()
}

// notFound says what is missing, and where it was looked for.
func (b *Bases) notFound(r *bundle.Reader, lacking []uint32) error {
	x := r.Index()
	var size int64
	var names []string
	seen := make(map[*index.Base]bool)
	for _, c := range lacking {
		size += x.Chunks.Length(c)
		base, _ := x.External(c)
		if base == nil || seen[base] {
			continue
		}
		seen[base] = true
		name := fmt.Sprintf("base %x", base.ID)
		if n := len(base.Images); n > 0 {
			name += " (" + strings.Join(base.Images[:min(n, maxNamed)], ", ")
			if n > maxNamed {
				name += fmt.Sprintf(" and %d more", n-maxNamed)
			}
			name += ")"
		}
		names = append(names, name)
	}
	if n := len(names); n > maxNamed {
		names = append(names[:maxNamed], fmt.Sprintf("%d more", n-maxNamed))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	looked := "nowhere: no base was given"
	if len(b.looked) > 0 {
		list := b.looked
		if n := len(list); n > maxNamed {
			list = append(slices.Clone(list[:maxNamed]), fmt.Sprintf("%d more", n-maxNamed))
		}
		looked = "in " + strings.Join(list, ", ")
	}
	return fault.WithHint(
		fault.Missing("the update needs %d chunks (%.1f MB unpacked) that it does not carry, of %s; looked %s", len(lacking), float64(size)/1e6, strings.Join(names, ", "), looked),
		"load the base first, or give it with --base FILE; or have the sender save all of it, without --base")
}

// maxNamed is how many things of a kind a message lists.
const maxNamed = 4
