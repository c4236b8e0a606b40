package bundle

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle/deflate"
	"bale/bundle/fault"
	"bale/bundle/recipe"
	"bale/bundle/spill"
)

// opener gives content as often as it is asked.
func opener(data []byte) Opener {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

// gz compresses with Go's compressor of today, whatever that is.
func gz(t testing.TB, level int, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	writeAll(t, w, data)
	return b.Bytes()
}

func writeAll(t testing.TB, w io.WriteCloser, data []byte) {
	t.Helper()
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// words is text such as people write, as far as compressors can tell.
func words(seed byte, n int) []byte {
	random := noise(seed, 4*n)
	vocabulary := make([]string, 4096)
	for i := range vocabulary {
		vocabulary[i] = fmt.Sprintf("%x ", (uint32(i)+1)*2654435761|1<<31)[:2+i%7]
	}
	b := make([]byte, 0, n+16)
	for i := 0; len(b) < n; i += 2 {
		k := uint32(random[i]) | uint32(random[i+1])<<8
		b = append(b, vocabulary[k*k>>20]...) // the first ones most often
	}
	return b[:n]
}

// layer is a tar like that of a layer. It says most things twice, too far
// apart for gzip: taking it apart is worth it whatever the corrections take.
func layer(t testing.TB) []byte {
	big := words(1, 300_000)
	return tarOf(t, 1, 100, bytes.Join([][]byte{big, noise(2, 20_000), big}, nil))
}

// gzipWithCorrections is a layer with bytes after its end, which nothing predicts.
func gzipWithCorrections(t testing.TB) []byte {
	return append(gz(t, 6, layer(t)), noise(8, 3*maxInline)...)
}

type analysis = func(context.Context, io.Reader, int64, io.Writer) (*deflate.Recipe, error)

// generic analyses without looking for the best model, which takes its time
// and is not what most tests here are about.
func generic(ctx context.Context, gz io.Reader, size int64, corrections io.Writer) (*deflate.Recipe, error) {
	return deflate.AnalyzeAs(ctx, gz, size, corrections, deflate.Choice{Family: deflate.Generic})
}

// takenApart is a recipe for a blob, worth it or not.
func takenApart(t testing.TB, data []byte) *Prepared {
	t.Helper()
	return takenApartBy(t, generic, data)
}

func takenApartBy(t testing.TB, analyze analysis, data []byte) *Prepared {
	t.Helper()
	ctx := context.Background()
	p := &Prepared{digest: digest.FromBytes(data), size: int64(len(data)), corrections: &spill.Buffer{}}
	r, err := analyze(ctx, bytes.NewReader(data), p.size, p.corrections)
	if err != nil {
		t.Fatal(err)
	}
	p.params, p.rawSize = r.Params, r.RawSize
	if err := p.prove(ctx, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return p
}

// asked makes a Preparer remember why blobs were kept. Bugs fail the test.
func asked(t testing.TB, p *Preparer) *[]error {
	if p.analyze == nil {
		p.analyze = generic
	}
	var mu sync.Mutex
	list := &[]error{}
	p.Kept = func(d digest.Digest, size int64, why error) {
		mu.Lock()
		defer mu.Unlock()
		if errors.Is(why, ErrUnproven) {
			t.Errorf("%s of %d bytes: %v", d, size, why)
		}
		*list = append(*list, why)
	}
	return list
}

func prepare(t testing.TB, p *Preparer, data []byte) *Prepared {
	t.Helper()
	r, err := p.Prepare(context.Background(), digest.FromBytes(data), int64(len(data)), opener(data))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func TestPrepareDecides(t *testing.T) {
	good := gz(t, 6, layer(t))
	for name, c := range map[string]struct {
		data []byte
		why  error // nil: taken apart
	}{
		"a layer":               {good, nil},
		"two members":           {append(bytes.Clone(good), gz(t, 6, words(3, 300_000))...), nil},
		"trailing bytes":        {append(bytes.Clone(good), "and more"...), nil},
		"empty":                 {nil, ErrSmall},
		"small":                 {gz(t, 6, noise(1, 2000)), ErrSmall},
		"nothing":               {gz(t, 6, nil), ErrSmall},
		"text":                  {words(1, 100_000), deflate.ErrNotGzip},
		"only looks like gzip":  {append([]byte(gzipMagic), noise(1, 100_000)...), deflate.ErrNotGzip},
		"compressed before":     {gz(t, 6, noise(1, 1<<20)), ErrNoGain},
		"cut off":               {good[:len(good)/2], deflate.ErrNotGzip},
		"wrong sum":             {flipped(good, len(good)-6), nil}, // it is rebuilt with that
		"decompresses for ever": {gz(t, 9, make([]byte, 64<<20)), deflate.ErrIrregular},
		"members of nothing":    {bytes.Repeat(gz(t, 6, nil), 1000), ErrNoGain},
	} {
		p := &Preparer{}
		why := asked(t, p)
		r := prepare(t, p, c.data)
		switch {
		case c.why == nil && (r == nil || len(*why) > 0):
			t.Errorf("%s: kept: %v", name, *why)
		case c.why == nil && r.RawSize() == 0:
			t.Errorf("%s: %d raw bytes", name, r.RawSize())
		case c.why != nil && (r != nil || len(*why) != 1 || !errors.Is((*why)[0], c.why)):
			t.Errorf("%s: %v %v", name, r, *why)
		}
	}
}

func flipped(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 0x10
	return b
}

// Content that is not what its digest says is nobody's reason for anything:
// it must not be remembered either.
func TestPrepareRefusesWrongContent(t *testing.T) {
	good := gz(t, 6, layer(t))
	d, size := digest.FromBytes(good), int64(len(good))
	for name, data := range map[string][]byte{
		"altered":        flipped(good, len(good)-100),
		"altered early":  flipped(good, 0),
		"other trailer":  flipped(good, len(good)-5),
		"short":          good[:len(good)-1],
		"much too short": good[:2],
		"empty":          nil,
		"long":           append(bytes.Clone(good), 0),
	} {
		store := openStore(t)
		p := &Preparer{Recipes: store}
		asked(t, p)
		if r, err := p.Prepare(context.Background(), d, size, opener(data)); r != nil || !errors.Is(err, fault.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if _, known := store.Get(context.Background(), d, size, ""); known {
			t.Errorf("%s: remembered", name)
		}
	}
	if _, err := (&Preparer{}).Prepare(context.Background(), "sha256:nonsense", size, opener(good)); !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("digest that is none: %v", err)
	}
}

func openStore(t testing.TB) *recipe.Store {
	t.Helper()
	dir := t.TempDir()
	s, err := recipe.Open(filepath.Join(dir, "recipes"), filepath.Join(dir, "recipes.key"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var errSource = errors.New("source failed")

// A source may fail whenever it is opened, and anywhere in its content.
func TestPrepareHandsOnFailures(t *testing.T) {
	good := gz(t, 6, layer(t))
	d, size := digest.FromBytes(good), int64(len(good))
	for opens := range 4 {
		for _, after := range []int{-1, 0, 5, 100_000} {
			n := 0
			open := func(context.Context) (io.ReadCloser, error) {
				if n++; n <= opens {
					return io.NopCloser(bytes.NewReader(good)), nil
				}
				if after < 0 {
					return nil, errSource
				}
				return io.NopCloser(io.MultiReader(bytes.NewReader(good[:after]), failingReader{})), nil
			}
			p := &Preparer{}
			asked(t, p)
			r, err := p.Prepare(context.Background(), d, size, open)
			if opens == 3 && (r == nil || err != nil) {
				t.Errorf("it takes more than three times: %v", err)
			} else if opens < 3 && (r != nil || !errors.Is(err, errSource)) {
				t.Errorf("failure at %d of time %d: %v", after, opens, err)
			}
			_ = r.Close()
		}
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errSource }

func TestPrepareLooksAtContext(t *testing.T) {
	good := gz(t, 6, layer(t))
	d, size := digest.FromBytes(good), int64(len(good))
	for _, at := range []int{1, 2, 3} {
		ctx, cancel := context.WithCancel(context.Background())
		n := 0
		p := &Preparer{}
		asked(t, p)
		r, err := p.Prepare(ctx, d, size, func(context.Context) (io.ReadCloser, error) {
			if n++; n < at {
				return io.NopCloser(bytes.NewReader(good)), nil
			}
			return io.NopCloser(io.MultiReader(bytes.NewReader(good[:70_000]), cancelling{cancel, bytes.NewReader(good[70_000:])})), nil
		})
		if r != nil || !errors.Is(err, context.Canceled) || n != at {
			t.Errorf("cancelled at time %d of %d: %v", at, n, err)
		}
		cancel()
	}
	// Nor does it wait for its turn for ever.
	ctx, cancel := context.WithCancel(context.Background())
	p := &Preparer{Workers: 1}
	_, err := p.Prepare(context.Background(), d, size, func(context.Context) (io.ReadCloser, error) {
		cancel()
		_, err := p.Prepare(ctx, d, size, opener(good))
		return nil, err
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// cancelling ends a context when it is read.
type cancelling struct {
	cancel context.CancelFunc
	r      io.Reader
}

func (c cancelling) Read(p []byte) (int, error) {
	c.cancel()
	return c.r.Read(p)
}

// A recipe that does not rebuild its blob is a bug: it is told, and not used.
func TestUnprovenRecipeIsNotUsed(t *testing.T) {
	data := gzipWithCorrections(t)
	other := takenApart(t, gz(t, 6, words(5, 300_000)))
	for name, spoil := range map[string]func(r *deflate.Recipe, corrections []byte, w io.Writer){
		"corrections cut":     func(_ *deflate.Recipe, c []byte, w io.Writer) { _, _ = w.Write(c[:len(c)/2]) },
		"no corrections":      func(*deflate.Recipe, []byte, io.Writer) {},
		"corrections altered": func(_ *deflate.Recipe, c []byte, w io.Writer) { _, _ = w.Write(flipped(c, len(c)/2)) },
		"corrections left over": func(_ *deflate.Recipe, c []byte, w io.Writer) {
			_, _ = w.Write(append(bytes.Clone(c), "rubbish"...))
		},
		"other raw size": func(r *deflate.Recipe, c []byte, w io.Writer) { r.RawSize--; _, _ = w.Write(c) },
		"no parameters":  func(r *deflate.Recipe, c []byte, w io.Writer) { r.Params = nil; _, _ = w.Write(c) },
		"recipe of another": func(r *deflate.Recipe, _ []byte, w io.Writer) {
			r.Params = other.params
			_, _ = io.Copy(w, other.corrections.Reader())
		},
	} {
		var told []error
		store := openStore(t)
		p := &Preparer{
			Recipes: store,
			Kept:    func(_ digest.Digest, _ int64, why error) { told = append(told, why) },
			analyze: func(ctx context.Context, gz io.Reader, size int64, w io.Writer) (*deflate.Recipe, error) {
				var c bytes.Buffer
				r, err := generic(ctx, gz, size, &c)
				if err == nil {
					spoil(r, c.Bytes(), w)
				}
				return r, err
			},
		}
		if r := prepare(t, p, data); r != nil {
			t.Errorf("%s: used", name)
		}
		if len(told) != 1 || !errors.Is(told[0], ErrUnproven) {
			t.Errorf("%s: told %v", name, told)
		}
	}
}

func TestRecipesAreRemembered(t *testing.T) {
	store := openStore(t)
	apart, kept := gz(t, 6, layer(t)), gz(t, 6, noise(1, 1<<20))
	first := &Preparer{Recipes: store}
	asked(t, first)
	want := prepare(t, first, apart)
	if want == nil || prepare(t, first, kept) != nil {
		t.Fatal("the test's blobs are not what they should be")
	}
	again := &Preparer{Recipes: store, analyze: func(context.Context, io.Reader, int64, io.Writer) (*deflate.Recipe, error) {
		t.Error("analysed again")
		return nil, deflate.ErrNotWorth
	}}
	why := asked(t, again)
	got := prepare(t, again, apart)
	if got == nil || got.digest != want.digest || got.size != want.size || got.rawSize != want.rawSize ||
		!bytes.Equal(got.params, want.params) || !bytes.Equal(correctionsOf(t, got), correctionsOf(t, want)) {
		t.Errorf("remembered %+v, not %+v", got, want)
	}
	opens := func(context.Context) (io.ReadCloser, error) { return nil, errSource }
	if r, err := again.Prepare(context.Background(), digest.FromBytes(kept), int64(len(kept)), opens); r != nil || err != nil {
		t.Errorf("%v %v", r, err)
	}
	if len(*why) != 1 || !errors.Is((*why)[0], ErrRemembered) {
		t.Errorf("%v", *why)
	}
	// A recipe that this version could not rebuild with is none.
	if err := store.Put(context.Background(), want.digest, want.size, &recipe.Entry{Params: []byte("?"), RawSize: 5}); err != nil {
		t.Fatal(err)
	}
	if r := prepare(t, first, apart); r == nil || !bytes.Equal(r.params, want.params) {
		t.Errorf("%+v", r)
	}
}

func correctionsOf(t testing.TB, p *Prepared) []byte {
	t.Helper()
	b, err := io.ReadAll(p.corrections.Reader())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Large corrections go through a scratch file, which leaves nothing behind.
func TestLargeCorrectionsAreSpilled(t *testing.T) {
	data := gzipWithCorrections(t)
	scratch := t.TempDir()
	p, q := &Preparer{Scratch: scratch, memory: 10, analyze: generic}, &Preparer{analyze: generic}
	r, want := prepare(t, p, data), prepare(t, q, data)
	if r.Corrections() < 11 || !bytes.Equal(correctionsOf(t, r), correctionsOf(t, want)) {
		t.Errorf("%d bytes of corrections", r.Corrections())
	}
	list, err := os.ReadDir(scratch)
	if err != nil || len(list) > 0 {
		t.Errorf("left %v %v", list, err)
	}
	p.Scratch = filepath.Join(scratch, "none")
	if r, err := p.Prepare(context.Background(), r.digest, r.size, opener(data)); r != nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no scratch folder: %v", err)
	}
}

// The decision depends on the blob only, whoever asks and how many do.
func TestManyArePreparedAtOnce(t *testing.T) {
	var blobs [][]byte
	for level := 5; level <= 9; level += 2 {
		blobs = append(blobs, gz(t, level, layer(t)), gz(t, level, words(byte(level), 300_000)), gz(t, level, noise(1, 50_000)))
	}
	var want []*Prepared
	for _, b := range blobs {
		want = append(want, prepare(t, &Preparer{analyze: generic}, b))
	}
	p := &Preparer{Recipes: openStore(t)}
	asked(t, p)
	var wg sync.WaitGroup
	for range 2 {
		for i, b := range blobs {
			wg.Go(func() {
				r, err := p.Prepare(context.Background(), digest.FromBytes(b), int64(len(b)), opener(b))
				if err != nil || (r == nil) != (want[i] == nil) {
					t.Errorf("blob %d: %v %v", i, r, err)
					return
				}
				if r != nil && (!bytes.Equal(r.params, want[i].params) || r.Corrections() != want[i].Corrections()) {
					t.Errorf("blob %d: another recipe", i)
				}
				_ = r.Close()
			})
		}
	}
	wg.Wait()
}

// Layers that real tools made: those of the test images, and what a developer
// offers.
func TestRealLayersInABundle(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../testdata/images/*/blobs/sha256/*", os.Getenv("BALE_TEST_LAYERS")} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Fatal("no layers to test with")
	}
	p := &Preparer{analyze: deflate.Analyze}
	why := asked(t, p)
	var in []content
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		c := content{data: data, prepared: prepare(t, p, data)}
		if r := c.prepared; r != nil {
			t.Logf("%s: %d bytes, %d raw, %d corrections", filepath.Base(f), len(data), r.RawSize(), r.Corrections())
		} else {
			t.Logf("%s: %d bytes: %v", filepath.Base(f), len(data), (*why)[len(*why)-1])
		}
		in = append(in, c)
	}
	if err := readAll(makeBundle(t, fixed(), in)); err != nil {
		t.Error(err)
	}
}

func BenchmarkPrepare(b *testing.B) {
	raw := tarOf(b, 1, 500, append(words(1, 20<<20), noise(1, 4<<20)...))
	data := gz(b, 6, raw)
	d := digest.FromBytes(data)
	alone := func(name string, f func(e *examination, r *Prepared, gz io.Reader) error) {
		b.Run(name, func(b *testing.B) {
			r := takenApart(b, data)
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				e := &examination{p: &Preparer{}, digest: d, size: int64(len(data))}
				if err := f(e, r, bytes.NewReader(data)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	alone("inflate", func(_ *examination, _ *Prepared, gz io.Reader) error {
		_, err := io.Copy(io.Discard, deflate.NewInflater(gz))
		return err
	})
	alone("try", func(e *examination, _ *Prepared, gz io.Reader) error {
		_, err := e.try(context.Background(), gz)
		return err
	})
	alone("analyze", func(e *examination, _ *Prepared, gz io.Reader) error {
		_, err := deflate.Analyze(context.Background(), gz, e.size, io.Discard)
		return err
	})
	alone("prove", func(_ *examination, r *Prepared, gz io.Reader) error { return r.prove(context.Background(), gz) })
}
