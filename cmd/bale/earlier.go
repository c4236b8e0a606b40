package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"bale/bundle"
	"bale/bundle/fault"
	"bale/bundle/index"
	"bale/transport"
	"bale/transport/bale"
	"bale/verify"
)

// maxEarlier bounds how many bundles of a folder are opened as bases: each takes
// a file descriptor, and its index memory.
const maxEarlier = 256

// earlierFlags name earlier bundles that an update may build on.
type earlierFlags struct{ paths []string }

func (f *earlierFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.paths, "base", nil, "earlier bundle that an update builds on: a `FILE`, or a folder of such; may be given several times")
}

// earlier is what an update builds on, as far as it is at hand, while it is in
// use.
type earlier struct {
	*bale.Bases
	closers []io.Closer
}

func (e *earlier) close() error {
	errs := []error{e.Bases.Close()}
	for _, c := range e.closers {
		errs = append(errs, c.Close())
	}
	e.closers = nil
	return errors.Join(errs...)
}

// isUpdate reports whether a bundle builds on others.
func isUpdate(r *bundle.Reader) bool { return r.Index().Chunks.Own() < r.Index().Chunks.Len() }

// openEarlier opens what --base names for a bundle, if that is an update. They
// are verified as the bundle was.
func (a *app) openEarlier(ctx context.Context, r *bundle.Reader, f earlierFlags, d *decision) (_ *earlier, err error) {
	e := &earlier{Bases: bale.NewBases("")}
	if !isUpdate(r) {
		if len(f.paths) > 0 {
			a.note("the bundle is complete by itself, so what --base names is not needed")
		}
		return e, nil
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	for _, path := range f.paths {
		if err := a.addEarlier(ctx, e, path, d.trust(), d.insecure); err != nil {
			return nil, fmt.Errorf("base: %w", err)
		}
	}
	return e, nil
}

// addEarlier adds a bundle, or a folder of bundles.
func (a *app) addEarlier(ctx context.Context, e *earlier, path string, trust verify.Trust, insecure bool) error {
	if isPlace(path) {
		return fault.WithHint(fault.Usage("%s is a place of images, not an earlier bundle", path),
			"--base takes bundles here; what the target holds is found without it")
	}
	fi, err := os.Stat(path)
	if err != nil || !fi.IsDir() {
		return e.addFile(ctx, path, trust, insecure) // which says what is wrong
	}
	list, err := bundlesIn(path)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		e.Looked(path + " (no bundle)")
	}
	for _, name := range list {
		if err := e.addFile(ctx, name, trust, insecure); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			a.warn("base left out: " + strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	return nil
}

// bundlesIn returns the paths of the bundles of a folder, sorted.
func bundlesIn(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }() // only read from
	var list []string
	for {
		names, err := d.Readdirnames(maxEarlier)
		for _, n := range names {
			if strings.HasSuffix(n, bundleSuffix) && !strings.HasPrefix(n, ".") {
				list = append(list, filepath.Join(dir, n))
			}
		}
		if len(list) > maxEarlier {
			return nil, fault.WithHint(fault.Usage("folder %s holds more than %d bundles", dir, maxEarlier),
				"name those that are needed one by one; bale inspect says what an update builds on")
		}
		switch {
		case errors.Is(err, io.EOF):
			slices.Sort(list)
			return list, nil
		case err != nil:
			return nil, err
		}
	}
}

// bundleSuffix is what the names of bundles end with.
const bundleSuffix = ".bale"

func (e *earlier) addFile(ctx context.Context, path string, trust verify.Trust, insecure bool) error {
	file, err := openBundle(ctx, path)
	if err != nil {
		return err
	}
	r, err := trustFile(ctx, file, baseTrust{Trust: trust}, insecure, (*bale.File).Trust)
	if err != nil {
		_ = file.Close() // only read from
		return err
	}
	e.closers = append(e.closers, file)
	e.AddBundle(path, r)
	return nil
}

// trusting is [bale.File.Trust], or TrustIndex for those who need no content.
type trusting func(*bale.File, context.Context, bundle.Voucher) (*bundle.Reader, error)

// trustFile opens a bundle that is given beside another one, which the user was
// warned about already if trust does not matter.
func trustFile(ctx context.Context, file *bale.File, trust baseTrust, insecure bool, open trusting) (*bundle.Reader, error) {
	if insecure {
		return open(file, ctx, verify.WithoutSignatureUnsafe(file.Envelope()))
	}
	res, err := decideFor(file.Envelope(), trust.Trust)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Path(), err)
	}
	return open(file, ctx, trust.voucher(res))
}

// maxNear bounds the names whose repositories are searched for base content.
const maxNear = 1024

// provide makes sure that all that is to be loaded can be had, before anything
// is written: from earlier bundles, and from the target.
func (a *app) provide(ctx context.Context, r *bundle.Reader, e *earlier, to *target, plan *transport.Plan, p transport.Progress) error {
	lacking := plan.Lacking()
	if !isUpdate(r) || len(lacking) == 0 {
		return nil
	}
	p.Phase("find base content", 0)
	var blobs []digest.Digest
	for _, d := range lacking {
		blobs = append(blobs, d.Digest)
	}
	var places []bale.Place
	src, err := to.source(ctx)
	switch {
	case errors.Is(err, fault.ErrMissing) || errors.Is(err, fs.ErrNotExist):
		e.Looked(to.place + " (not there yet)") // a layout that is to be made
	case err != nil:
		return err
	default:
		e.closers = append(e.closers, src)
		if h, ok := src.(transport.Holding); ok {
			places = append(places, bale.Place{Name: to.place, Holding: h, Near: near(r.Index().Bases, to, plan)})
		}
	}
	_, raw := to.sink.(transport.Unpacking)
	return e.Provide(ctx, r, blobs, raw, places)
}

// near returns what images of the update and of its bases are called at the target.
func near(bases []index.Base, to *target, plan *transport.Plan) []transport.Name {
	var names []transport.Name
	seen := make(map[transport.Name]bool)
	hosts := make(map[string]bool)
	add := func(n transport.Name) {
		if !seen[n] && len(names) < maxNear {
			seen[n] = true
			names = append(names, n)
		}
	}
	for _, i := range plan.Images {
		hosts[i.Target.Name.Domain] = true
		add(i.Target.Name)
	}
	for _, b := range bases {
		for _, s := range b.Images {
			n, err := transport.ParseName(s)
			if err != nil {
				continue
			}
			// An inventory of the target has the names that it has there.
			if hosts[n.Domain] {
				add(n)
			}
			if n, err = to.name(n); err == nil {
				add(n)
			}
		}
	}
	return names
}
