package index

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"

	"bale/bundle/delta"
	"bale/bundle/fault"
	"bale/bundle/pack"
)

func hashOf(s string) Hash { return sha256.Sum256([]byte(s)) }

// sample is an index that uses everything the format can say.
func sample() *Index {
	x := &Index{
		Packs: []Pack{
			{Digest: digest.FromString("p0"), Size: pack.HeaderSize + 100 + 50, Frames: 2},
			{Digest: digest.FromString("p1"), Size: pack.HeaderSize + 70, Frames: 1},
		},
		Frames: []Frame{
			{Kind: pack.Plain, Pack: 0, FirstChunk: 0, Chunks: 2, Offset: 16, Stored: 100, Raw: 30},
			{Kind: pack.Plain, Pack: 0, FirstChunk: 2, Chunks: 1, Offset: 116, Stored: 50, Raw: 30},
			{Kind: pack.Dictionary, Pack: 1, FirstChunk: 3, Chunks: 1, Offset: 16, Stored: 70, Raw: 40, Dictionary: []Run{{0, 1}, {4, 1}}},
		},
		Bases: []Base{{
			ID: [16]byte{1, 2}, Chunks: 1, Images: []string{"docker.io/library/a:0"},
			Blobs: []BaseBlob{{Digest: digest.FromString("old"), Size: 70, Raw: hashOf("raw"), RawSize: 90, Chunks: 1}},
		}},
		Images: []Image{{
			Name: "docker.io/library/a:1", MediaType: "application/vnd.oci.image.index.v1+json",
			Digest: digest.FromString("b"), Size: 40, Platform: "linux/arm64/v8",
			Omitted: []Omission{{digest.FromString("gone"), OtherPlatform}, {digest.SHA512.FromString("x"), Absent}},
		}},
	}
	for i, n := range []int{10, 20, 30, 40} {
		x.Chunks.Add(hashOf(fmt.Sprint(i)), n)
	}
	x.Chunks.AddExternal(hashOf("external"), 50)
	var w Weave
	w.Add(5)
	w.Add(25)
	w.Add(15)
	w.Add(5)
	x.Blobs = []Blob{
		{Digest: digest.FromString("b"), Size: 40, RawSize: 40, Lanes: [][]Run{{{3, 1}}}},
		{Digest: digest.FromString("e"), Lanes: [][]Run{nil}},
		{Digest: digest.SHA512.FromString("s"), Size: 7, Recipe: Deflate, Params: []byte{9, 9}, RawSize: 50,
			Lanes: [][]Run{{{1, 1}}, {{2, 1}}}, Weave: w, Extra: []Run{{4, 1}, {0, 2}}},
	}
	return x
}

// update is an index with what an update has besides: frames of all kinds, two
// bases, one of them with chunks in no blob, and blobs whose raw hash is known.
func update() *Index {
	x := sample()
	f := &x.Frames[2]
	f.Kind, f.Patch, f.Dictionary = pack.Patch, 30, []Run{{0, 1}, {5, 1}}
	x.Frames = append(x.Frames, Frame{Kind: pack.Dictionary, Pack: 2, FirstChunk: 4, Chunks: 1, Offset: 16, Stored: 20, Raw: 60, Dictionary: []Run{{0, 3}, {6, 2}}})
	x.Packs = append(x.Packs, Pack{Digest: digest.FromString("p2"), Size: pack.HeaderSize + 20, Frames: 1})
	x.Chunks = Chunks{}
	for i, n := range []int{10, 20, 30, 40, 60} {
		x.Chunks.Add(hashOf(fmt.Sprint(i)), n)
	}
	for i, n := range []int{50, 7, 8} {
		x.Chunks.AddExternal(hashOf(fmt.Sprint("external", i)), n)
	}
	x.Bases = append(x.Bases, Base{ID: [16]byte{9}, Chunks: 2, Images: []string{"docker.io/library/b:1", "docker.io/library/b:2"}, Blobs: []BaseBlob{
		{Digest: digest.SHA512.FromString("older"), Size: 7, RawSize: 7, Chunks: 1},
		{Digest: digest.FromString("nothing new"), Size: 8, RawSize: 9},
	}})
	x.Blobs = slices.Insert(x.Blobs, 1, Blob{Digest: digest.FromString("listed"), Size: 5, Recipe: Listed, RawSize: 15, Lanes: [][]Run{{{6, 2}}}})
	slices.SortFunc(x.Blobs, func(a, b Blob) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	x.SetRawHash(digest.FromString("listed"), hashOf("raw listed"))
	x.SetRawHash(digest.SHA512.FromString("s"), hashOf("raw s"))
	return x
}

func write(t testing.TB, x *Index) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := x.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(b []byte) (*Index, error) {
	return Read(context.Background(), bytes.NewReader(b), int64(len(b)))
}

// raw returns the raw segments of an index: what non-malleability is about.
func raw(t testing.TB, x *Index) string {
	t.Helper()
	s, err := newSegments()
	if err != nil {
		t.Fatal(err)
	}
	if err := x.encode(s); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, l := range s.list {
		fmt.Fprintln(&out, l.kind, l.raw, l.items, l.hash)
	}
	return out.String()
}

func TestRoundTrip(t *testing.T) {
	for name, x := range map[string]*Index{"sample": sample(), "update": update(), "empty": {}} {
		got, err := read(write(t, x))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if raw(t, got) != raw(t, x) {
			t.Errorf("%s: differs", name)
		}
		for i := range x.Frames {
			if fmt.Sprint(got.Frames[i]) != fmt.Sprint(x.Frames[i]) {
				t.Errorf("%s: frame %d: %v", name, i, got.Frames[i])
			}
		}
	}
}

func TestLookUps(t *testing.T) {
	x, err := read(write(t, sample()))
	if err != nil {
		t.Fatal(err)
	}
	for chunk, want := range map[uint32]int{0: 0, 1: 0, 2: 1, 3: 2} {
		if f, ok := x.Frame(chunk); !ok || f != want {
			t.Errorf("chunk %d: frame %d %v", chunk, f, ok)
		}
	}
	if _, ok := x.Frame(4); ok {
		t.Error("an external chunk has a frame")
	}
	for _, b := range x.Blobs {
		if got, ok := x.Blob(b.Digest); !ok || got.Digest != b.Digest {
			t.Errorf("%s not found", b.Digest)
		}
	}
	if _, ok := x.Blob(digest.FromString("no")); ok {
		t.Error("found what is not there")
	}
}

// Many items make several segments of a kind.
func TestManySegments(t *testing.T) {
	x := &Index{}
	const n = 300_000
	for i := range n {
		x.Chunks.Add(sha256.Sum256(binary.BigEndian.AppendUint32(nil, uint32(i))), 1)
	}
	for i := range 3 {
		x.Packs = append(x.Packs, Pack{Digest: digest.FromString(fmt.Sprint(i)), Size: 116, Frames: 1})
		x.Frames = append(x.Frames, Frame{Pack: uint32(i), FirstChunk: uint32(i * n / 3), Chunks: n / 3, Offset: 16, Stored: 100, Raw: n / 3})
	}
	x.Blobs = []Blob{{Digest: digest.FromString("b"), Size: n, RawSize: n, Lanes: [][]Run{{{0, n}}}}}
	b := write(t, x)
	got, err := read(b)
	if err != nil {
		t.Fatal(err)
	}
	if got.Chunks.Len() != n || got.Chunks.Hash(n-1) != x.Chunks.Hash(n-1) {
		t.Error("chunks differ")
	}
}

func TestReadRefuses(t *testing.T) {
	cases := map[string]struct {
		change func(x *Index)
		kind   error
	}{
		"chunk that does not exist":    {func(x *Index) { x.Blobs[0].Lanes[0][0].First = 5 }, fault.ErrDamaged},
		"run past the end":             {func(x *Index) { x.Blobs[0].Lanes[0][0].Count = 3 }, fault.ErrDamaged},
		"empty run":                    {func(x *Index) { x.Blobs[0].Lanes[0][0].Count = 0 }, fault.ErrDamaged},
		"runs that should be one":      {func(x *Index) { x.Blobs[2].Extra = []Run{{0, 1}, {1, 1}} }, fault.ErrDamaged},
		"blob larger than its chunks":  {func(x *Index) { x.Blobs[0].Size, x.Blobs[0].RawSize = 41, 41 }, fault.ErrDamaged},
		"stored with other raw size":   {func(x *Index) { x.Blobs[0].Size = 39 }, fault.ErrDamaged},
		"stored with parameters":       {func(x *Index) { x.Blobs[0].Params = []byte{1} }, fault.ErrDamaged},
		"blobs out of order":           {func(x *Index) { x.Blobs[0], x.Blobs[1] = x.Blobs[1], x.Blobs[0] }, fault.ErrDamaged},
		"blob twice":                   {func(x *Index) { x.Blobs[1] = x.Blobs[0] }, fault.ErrDamaged},
		"no lane":                      {func(x *Index) { x.Blobs[1].Lanes = nil }, fault.ErrDamaged},
		"three lanes":                  {func(x *Index) { x.Blobs[1].Lanes = make([][]Run, 3) }, fault.ErrDamaged},
		"weave takes too much":         {func(x *Index) { x.Blobs[2].Weave.Add(1) }, fault.ErrDamaged},
		"weave leaves some":            {func(x *Index) { x.Blobs[2].Weave = Weave{} }, fault.ErrDamaged},
		"unknown recipe":               {func(x *Index) { x.Blobs[2].Recipe = 3 }, fault.ErrUnsupported},
		"parameters over the limit":    {func(x *Index) { x.Blobs[2].Params = make([]byte, MaxParams+1) }, fault.ErrDamaged},
		"frame raw size lies":          {func(x *Index) { x.Frames[0].Raw++ }, fault.ErrDamaged},
		"frame over the limit":         {func(x *Index) { x.Frames[0].Raw = pack.MaxFrame + 1 }, fault.ErrDamaged},
		"frame stored size lies":       {func(x *Index) { x.Frames[0].Stored++ }, fault.ErrDamaged},
		"frame without chunks":         {func(x *Index) { x.Frames[1].Chunks = 0 }, fault.ErrDamaged},
		"frame with too many chunks":   {func(x *Index) { x.Frames[2].Chunks = 9 }, fault.ErrDamaged},
		"unknown kind of frame":        {func(x *Index) { x.Frames[0].Kind = 3 }, fault.ErrUnsupported},
		"dictionary of a dictionary":   {func(x *Index) { x.Frames[2].Dictionary[0] = Run{3, 1} }, fault.ErrDamaged},
		"dictionary that is not there": {func(x *Index) { x.Frames[2].Dictionary[0] = Run{99, 1} }, fault.ErrDamaged},
		"pack size lies":               {func(x *Index) { x.Packs[1].Size++ }, fault.ErrDamaged},
		"pack over the limit":          {func(x *Index) { x.Packs[1].Size = pack.MaxSize + 1 }, fault.ErrDamaged},
		"pack with more frames":        {func(x *Index) { x.Packs[1].Frames++ }, fault.ErrDamaged},
		"pack without frames":          {func(x *Index) { x.Packs[1].Frames = 0 }, fault.ErrDamaged},
		"empty chunk":                  {func(x *Index) { x.Chunks.lengths[0] = 0 }, fault.ErrDamaged},
		"chunk over the limit":         {func(x *Index) { x.Chunks.lengths[0] = 1<<20 + 1 }, fault.ErrDamaged},
		"chunk in no frame":            {func(x *Index) { x.Frames, x.Packs = x.Frames[:2], x.Packs[:1] }, fault.ErrDamaged},
		"dictionary of nothing":        {func(x *Index) { x.Frames[2].Dictionary = nil }, fault.ErrDamaged},
		"patch without a size":         {func(x *Index) { x.Frames[2].Kind = pack.Patch; x.Frames[2].Dictionary = nil }, fault.ErrDamaged},
		"patch over the limit": {func(x *Index) {
			x.Frames[2].Kind, x.Frames[2].Patch = pack.Patch, int64(delta.MaxPatch(40))+1
		}, fault.ErrDamaged},
		"base blob with too many chunks": {func(x *Index) { x.Bases[0].Blobs[0].Chunks = 2 }, fault.ErrDamaged},
		"base image with a space":        {func(x *Index) { x.Bases[0].Images[0] = "a b" }, fault.ErrDamaged},
		"listed with parameters":         {func(x *Index) { x.Blobs[2].Recipe, x.Blobs[2].Params = Listed, []byte{1} }, fault.ErrDamaged},
		"base with other chunks":         {func(x *Index) { x.Bases[0].Chunks = 2 }, fault.ErrDamaged},
		"image whose root is not there":  {func(x *Index) { x.Images[0].Digest = digest.FromString("no") }, fault.ErrDamaged},
		"image whose root has a size":    {func(x *Index) { x.Images[0].Size = 41 }, fault.ErrDamaged},
		"image twice":                    {func(x *Index) { x.Images = append(x.Images, x.Images[0]) }, fault.ErrDamaged},
		"image without a name":           {func(x *Index) { x.Images[0].Name = "" }, fault.ErrDamaged},
		"image name with a space":        {func(x *Index) { x.Images[0].Name = "a b" }, fault.ErrDamaged},
		"image name with an escape":      {func(x *Index) { x.Images[0].Name = "a\x1b[31m" }, fault.ErrDamaged},
		"image name too long":            {func(x *Index) { x.Images[0].Name = strings.Repeat("a", MaxName+1) }, fault.ErrDamaged},
		"omission for no reason":         {func(x *Index) { x.Images[0].Omitted[0].Reason = 4 }, fault.ErrDamaged},
	}
	for name, c := range cases {
		x := sample()
		c.change(x)
		got, err := read(write(t, x))
		if !errors.Is(err, c.kind) || got != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadRefusesBrokenFiles(t *testing.T) {
	good := write(t, sample())
	for n := range good {
		if _, err := read(good[:n]); !errors.Is(err, fault.ErrDamaged) {
			t.Fatalf("first %d bytes: %v", n, err)
		}
	}
	if _, err := read(append(bytes.Clone(good), 0)); !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("a byte more: %v", err)
	}
	newer := bytes.Clone(good)
	newer[15] = 2
	if _, err := read(newer); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("newer: %v", err)
	}
}

// A small index must not make the reader add up chunks for ever.
func TestReferencesAreBounded(t *testing.T) {
	x := &Index{Packs: []Pack{{Digest: digest.FromString("p"), Size: 17, Frames: 1}}}
	const n = 1 << 20
	for i := range n {
		x.Chunks.Add(sha256.Sum256(binary.BigEndian.AppendUint32(nil, uint32(i))), 1)
	}
	x.Frames = []Frame{{Chunks: n, Offset: 16, Stored: 1, Raw: n}}
	var runs []Run
	for range MaxReferences/n + 1 {
		runs = append(runs, Run{0, n})
	}
	size := int64(len(runs)) * n
	x.Blobs = []Blob{{Digest: digest.FromString("b"), Size: size, RawSize: size, Lanes: [][]Run{runs}}}
	if _, err := read(write(t, x)); !errors.Is(err, fault.ErrDamaged) || !strings.Contains(err.Error(), "times") {
		t.Error(err)
	}
}

// A table of equal hashes compresses to nothing; a few kilobytes must not make
// the reader allocate gigabytes.
func TestSmallIndexCannotClaimManyChunks(t *testing.T) {
	const n = 4 << 20
	x := &Index{
		Packs:  []Pack{{Digest: digest.FromString("p"), Size: pack.HeaderSize + 1, Frames: 1}},
		Frames: []Frame{{Chunks: n, Offset: pack.HeaderSize, Stored: 1, Raw: n}},
	}
	for range n {
		x.Chunks.Add(Hash{}, 1)
	}
	b := write(t, x)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := read(b); !errors.Is(err, fault.ErrDamaged) {
		t.Error(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
		t.Errorf("index of %d bytes: %d bytes allocated", len(b), used)
	}
}

// Whatever the splitter makes of the largest layer must fit into a segment.
func TestBlobOfManySpansFits(t *testing.T) {
	x := sample()
	b := &x.Blobs[0]
	b.Lanes = [][]Run{nil, nil}
	b.Weave, b.Size, b.RawSize = Weave{}, 0, 0
	const spans = 2 << 20 // of package chunk
	for i := range spans {
		n := int64(10)
		if i%2 == 1 {
			n = 40
		}
		b.Weave.Add(n)
		b.Size += n
	}
	b.RawSize = b.Size
	for range spans / 2 {
		b.Lanes[0] = append(b.Lanes[0], Run{0, 1})
		b.Lanes[1] = append(b.Lanes[1], Run{3, 1})
	}
	x.Images = nil
	if _, err := read(write(t, x)); err != nil {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(write(f, sample()))
	f.Add(write(f, update()))
	f.Add(write(f, &Index{}))
	f.Fuzz(func(t *testing.T, b []byte) { checkRead(t, b) })
}

func checkRead(t *testing.T, b []byte) {
	x, err := read(b)
	if err != nil {
		if x != nil {
			t.Fatal("error and a result")
		}
		return
	}
	lookUp(t, x)
	again, err := read(write(t, x))
	if err != nil || raw(t, again) != raw(t, x) {
		t.Fatalf("accepted, but not rewritten alike: %v", err)
	}
}

// lookUp asks all that can be asked; it must not panic.
func lookUp(t *testing.T, x *Index) {
	for c := range uint32(x.Chunks.Len()) {
		f, own := x.Frame(c)
		if own != (int(c) < x.Chunks.Own()) || own && (c < x.Frames[f].FirstChunk || c >= x.Frames[f].FirstChunk+x.Frames[f].Chunks) {
			t.Fatalf("chunk %d is said to be in frame %d", c, f)
		}
		if own {
			continue
		}
		base, blob := x.External(c)
		if base == nil || base.Chunks == 0 || blob != nil && blob.Chunks == 0 {
			t.Fatalf("chunk %d is said to be in %v, %v", c, base, blob)
		}
	}
	for i := range x.Blobs {
		b := &x.Blobs[i]
		if _, known := x.RawHash(b.Digest); known && b.Recipe == Stored {
			t.Fatalf("blob %s is stored and has a raw hash", b.Digest)
		}
	}
}

// FuzzTables gets past Zstandard and hashes: the fuzzer writes the raw tables.
func FuzzTables(f *testing.F) {
	for _, x := range []*Index{sample(), update()} {
		s, err := newSegments()
		if err != nil {
			f.Fatal(err)
		}
		if err := x.encode(s); err != nil {
			f.Fatal(err)
		}
		var b [lastTable + 1][]byte
		var n [lastTable + 1]uint16
		next := 0
		for kind := packsTable; kind <= lastTable; kind++ {
			if next == len(s.list) || s.list[next].kind != kind {
				continue
			}
			z, err := zstd.NewReader(nil)
			if err != nil {
				f.Fatal(err)
			}
			if b[kind], err = z.DecodeAll(s.out[next], nil); err != nil {
				f.Fatal(err)
			}
			z.Close()
			n[kind] = uint16(s.list[next].items)
			next++
		}
		f.Add(b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8])
	}
	s, err := newSegments() // one for all: it holds large tables
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, packs, frames, chunks, bases, external, blobs, images, raw []byte, np, nf, nc, ns, ne, nb, ni, nr uint16) {
		s.out, s.list = nil, nil
		for i, b := range [][]byte{packs, frames, chunks, bases, external, blobs, images, raw} {
			s.cur.b, s.items = append([]byte(nil), b...), uint64([]uint16{np, nf, nc, ns, ne, nb, ni, nr}[i])
			if err := s.end(packsTable + byte(i)); err != nil {
				t.Fatal(err) // the fuzzer's inputs are far below a segment's limit
			}
		}
		checkRead(t, bytes.Join(s.file(), nil))
	})
}

// A small index must not make the reader add up dictionaries for ever.
func TestDictionariesAreBounded(t *testing.T) {
	const n, frames = 1 << 20, MaxReferences>>20 + 1
	x := &Index{Packs: []Pack{{Digest: digest.FromString("p"), Size: pack.HeaderSize + 1 + frames, Frames: 1 + frames}}}
	for i := range n + frames {
		x.Chunks.Add(sha256.Sum256(binary.BigEndian.AppendUint32(nil, uint32(i))), 1)
	}
	x.Frames = append(x.Frames, Frame{Chunks: n, Offset: 16, Stored: 1, Raw: n})
	for range frames {
		x.Frames = append(x.Frames, Frame{Kind: pack.Dictionary, Chunks: 1, Stored: 1, Raw: 1, Dictionary: []Run{{0, n}}})
	}
	if _, err := read(write(t, x)); !errors.Is(err, fault.ErrDamaged) || !strings.Contains(err.Error(), "times") {
		t.Error(err)
	}
}

func TestReadRefusesBadUpdates(t *testing.T) {
	for name, change := range map[string]func(x *Index){
		"dictionary of a patch":         func(x *Index) { x.Frames[3].Dictionary = []Run{{3, 1}} },
		"dictionary that spans a patch": func(x *Index) { x.Frames[3].Dictionary = []Run{{0, 4}} },
		"dictionary of itself":          func(x *Index) { x.Frames[3].Dictionary = []Run{{4, 1}} },
		"dictionary past the externals": func(x *Index) { x.Frames[3].Dictionary = []Run{{6, 3}} },
		"base with fewer chunks":        func(x *Index) { x.Bases[1].Chunks = 1 },
		"base with more chunks":         func(x *Index) { x.Bases[1].Chunks = 3 },
		"blob of a base with too many":  func(x *Index) { x.Bases[1].Blobs[1].Chunks = 2 },
		"blob of a base with a size":    func(x *Index) { x.Bases[1].Blobs[1].Size = -1 },
		"patch over the limit":          func(x *Index) { x.Frames[2].Patch = int64(delta.MaxPatch(int(x.Frames[2].Raw))) + 1 },
		"external chunk of no bytes":    func(x *Index) { x.Chunks.lengths[6] = 0 },
		"external chunk that is large":  func(x *Index) { x.Chunks.lengths[6] = 1<<20 + 1 },
		"listed with extra chunks": func(x *Index) {
			b, _ := x.Blob(digest.FromString("listed"))
			b.Extra = []Run{{0, 1}}
		},
	} {
		x := update()
		change(x)
		if got, err := read(write(t, x)); !errors.Is(err, fault.ErrDamaged) || got != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Raw hashes are for all blobs that need one, or for none.
	for name, drop := range map[string]int{"one too few": 1, "one too many": -1} {
		x := update()
		s, err := newSegments()
		if err != nil {
			t.Fatal(err)
		}
		if err := x.encode(s); err != nil {
			t.Fatal(err)
		}
		last := len(s.list) - 1
		s.cur.b, s.items = nil, 0
		hashes, err := x.rawHashes()
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, Hash{1})[:len(hashes)-drop]
		s.list, s.out = s.list[:last], s.out[:last]
		for _, h := range hashes {
			s.cur.bytes(h[:])
			if err := s.item(rawTable); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.end(rawTable); err != nil {
			t.Fatal(err)
		}
		if _, err := read(bytes.Join(s.file(), nil)); !errors.Is(err, fault.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The writer does not make such an index.
	x := update()
	delete(x.raw, digest.FromString("listed"))
	if err := x.Write(&bytes.Buffer{}); err == nil {
		t.Error("wrote an index with some raw hashes")
	}
}

func TestExternal(t *testing.T) {
	x, err := read(write(t, update()))
	if err != nil {
		t.Fatal(err)
	}
	for c, want := range map[uint32]string{5: "1:old", 6: "9:older", 7: "9:"} {
		base, blob := x.External(c)
		name := map[digest.Digest]string{digest.FromString("old"): "old", digest.SHA512.FromString("older"): "older"}
		got := fmt.Sprintf("%d:", base.ID[0])
		if blob != nil {
			got += name[blob.Digest]
		}
		if got != want {
			t.Errorf("chunk %d is in %s, want %s", c, got, want)
		}
	}
	for _, c := range []uint32{8, 1 << 31} {
		if base, blob := x.External(c); base != nil || blob != nil {
			t.Errorf("chunk %d is in %v, %v", c, base, blob)
		}
	}
	if h, ok := x.RawHash(digest.FromString("listed")); !ok || h != hashOf("raw listed") {
		t.Errorf("raw hash %x", h)
	}
	lookUp(t, x)
}
