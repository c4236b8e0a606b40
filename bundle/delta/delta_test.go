package delta

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"bale/bundle/fault"
)

// check makes and applies a patch, and returns it.
func check(t *testing.T, e *Encoder, old, new []byte) []byte {
	t.Helper()
	p := e.Append([]byte("before"), old, new)
	if string(p[:6]) != "before" {
		t.Fatal("what stood in dst was overwritten")
	}
	p = p[6:]
	if len(p) > MaxPatch(len(new)) {
		t.Fatalf("patch of %d bytes, more than %d", len(p), MaxPatch(len(new)))
	}
	got, err := Apply(old, p, len(new))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, new) {
		t.Fatalf("other content: %d bytes, should be %d", len(got), len(new))
	}
	return p
}

func TestRoundTrip(t *testing.T) {
	used := NewEncoder()
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			p := check(t, used, s.old, s.new)
			if again := check(t, NewEncoder(), s.old, s.new); !bytes.Equal(p, again) {
				t.Error("the patch depends on what the encoder made before")
			}
			check(t, used, s.new, s.old)
		})
	}
}

// What a patch is made for must be small, before it is compressed.
func TestSmall(t *testing.T) {
	for _, c := range []struct {
		sample
		most int
	}{
		{sample{"same", text(50_000), text(50_000)}, 30},
		{edited("text", text(60_000), 60), 2500},
		{program(600), 6000},
		{grown(600), 2000},
	} {
		if p := check(t, NewEncoder(), c.old, c.new); len(p) > c.most {
			t.Errorf("%s: patch of %d bytes, more than %d", c.name, len(p), c.most)
		}
	}
}

// References that the spans or earlier references foretell cost nothing.
func TestForetold(t *testing.T) {
	s := grown(2000)
	e := NewEncoder()
	e.Append(nil, s.old, s.new)
	fields := make(map[class]int)
	for _, p := range e.spans {
		src := s.old[p.old : p.old+p.n]
		for i := 0; i < len(src); {
			x := nextField(src, i, p.at-p.phase)
			if x.at < len(src) && !bytes.Equal(src[x.at:x.at+fieldSize], s.new[p.at+x.at:p.at+x.at+fieldSize]) {
				fields[x.class]++
			}
			i = x.at + fieldSize
		}
	}
	for _, c := range []class{relative, absolute} {
		n := len(e.diffs[c].kinds)
		t.Logf("class %d: %d fields changed, %d differences", c, fields[c], n)
		if fields[c] < 1000 || n*5 > fields[c] {
			t.Errorf("class %d: %d differences for %d changed fields", c, n, fields[c])
		}
	}
}

// Where a file begins in new makes no difference to speak of.
func TestPhase(t *testing.T) {
	s := grown(2000)
	e := NewEncoder()
	want := len(check(t, e, s.old, s.new))
	for cut := 1; cut < 8; cut++ {
		if n := len(check(t, e, s.old[16:], s.new[cut:])); n > want+want/20 {
			t.Errorf("without the first %d bytes: patch of %d bytes, with them %d", cut, n, want)
		}
	}
	// Two programs, and what is between them.
	o := grown(1500)
	want += len(check(t, e, o.old, o.new))
	join := func(a, b []byte) []byte { return append(append(bytes.Clone(a), "0123456789"...), b...) }
	if n := len(check(t, e, join(s.old, o.old), join(s.new, o.new))); n > want+want/10 {
		t.Errorf("two programs: patch of %d bytes, one by one %d", n, want)
	}
}

// What old has is found again after much that it has not, wherever in new it
// begins.
func TestAfterUnlike(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	s := grown(800)
	e := NewEncoder()
	want := len(check(t, e, s.old, s.new))
	for cut := range 2 * stride {
		// Enough that the search takes its longest steps.
		unlike := noise(r, patience*maxStride*maxStride+cut)
		if n := len(check(t, e, s.old, append(unlike, s.new...))) - len(unlike); n > want+want/4 {
			t.Errorf("after %d bytes: patch of %d bytes, without them %d", len(unlike), n, want)
		}
	}
}

func TestLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("large")
	}
	r := rand.New(rand.NewPCG(5, 5))
	old := noise(r, MaxOld+100)
	e := NewEncoder()
	// The last bytes that count, the first that do not, and the largest new.
	if p := check(t, e, old, old[MaxOld-5000:MaxOld]); len(p) > 50 {
		t.Errorf("the end of old is not found: patch of %d bytes", len(p))
	}
	if p := check(t, e, old, old[MaxOld:]); len(p) < 100 {
		t.Errorf("what is beyond the limit is made use of: patch of %d bytes", len(p))
	}
	check(t, e, old, old[:MaxNew])
	if _, err := Apply(old, nil, MaxNew+1); !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("new over the limit: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("new over the limit is taken")
		}
	}()
	e.Append(nil, nil, old[:MaxNew+1])
}

// patchOf puts a patch together.
func patchOf(literals string, in map[int]string) []byte {
	var p []byte
	for i := range streams {
		p = append(p, byte(len(in[i])))
	}
	for i := range streams {
		p = append(p, in[i]...)
	}
	return append(p, literals...)
}

func TestHostile(t *testing.T) {
	old := []byte("0123456789abcdef\xe8\x00\x00\x00\x00klmnop")
	span := func(more map[int]string) map[int]string {
		m := map[int]string{skips: "\x00", lengths: "\x1b", jumps: "\x00"}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	const rel = 3 * int(relative)
	for _, c := range []struct {
		name  string
		patch []byte
		size  int
		ok    bool
	}{
		{"literals", patchOf("abc", nil), 3, true},
		{"nothing", patchOf("", nil), 0, true},
		{"a span", patchOf("", span(nil)), 27, true},
		{"a difference", patchOf("", span(map[int]string{gaps: "\x01", kinds: "\x00", values: "\x02"})), 27, true},
		{"a field", patchOf("", span(map[int]string{gaps + rel: "\x00", kinds + rel: "\x00", values + rel: "\x02"})), 27, true},
		{"a known difference", patchOf("", span(map[int]string{gaps: "\x01\x01", kinds: "\x00\x01", values: "\x02"})), 27, true},
		{"a phase", patchOf("", span(map[int]string{phases: "\x00\x07"})), 27, true},

		{"no patch", nil, 0, false},
		{"only lengths", make([]byte, streams-1), 0, false},
		{"a length that never ends", bytes.Repeat([]byte{0xff}, 30), 50, false},
		{"too few literals", patchOf("abc", nil), 4, false},
		{"too many literals", patchOf("abc", nil), 2, false},
		{"negative size", patchOf("", nil), -1, false},
		{"patch too long", patchOf(string(make([]byte, 100)), nil), 10, false},
		{"stream cut short", patchOf("", map[int]string{values: "\x00"})[:streams], 0, false},
		{"skip beyond new", patchOf("abc", map[int]string{skips: "\x04", lengths: "\x01", jumps: "\x00"}), 4, false},
		{"skip beyond literals", patchOf("a", map[int]string{skips: "\x02", lengths: "\x02", jumps: "\x00"}), 4, false},
		{"empty span", patchOf("abc", map[int]string{skips: "\x00", lengths: "\x00", jumps: "\x00"}), 3, false},
		{"span beyond new", patchOf("", span(nil)), 26, false},
		{"span beyond old", patchOf("", span(map[int]string{lengths: "\x1c"})), 28, false},
		{"span before old", patchOf("", span(map[int]string{jumps: "\x01"})), 27, false},
		{"jump beyond old", patchOf("", span(map[int]string{jumps: "\x02"})), 27, false},
		{"jump far beyond old", patchOf("", span(map[int]string{jumps: "\x80\x80\x80\x80\x0f"})), 27, false},
		{"number over 64 bits", patchOf("", span(map[int]string{jumps: "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"})), 27, false},
		{"span without length", patchOf("abc", map[int]string{skips: "\x00"}), 3, false},
		{"length without skip", patchOf("abc", map[int]string{lengths: "\x01"}), 3, false},
		{"jump alone", patchOf("abc", map[int]string{jumps: "\x00"}), 3, false},
		{"phase without spans", patchOf("abc", map[int]string{phases: "\x00\x01"}), 3, false},
		{"phase after the last span", patchOf("", span(map[int]string{phases: "\x01\x01"})), 27, false},
		{"phase cut short", patchOf("", span(map[int]string{phases: "\x00"})), 27, false},
		{"phase over 7", patchOf("", span(map[int]string{phases: "\x00\x08"})), 27, false},
		{"two phases at once", patchOf("", span(map[int]string{phases: "\x00\x01\x00\x02"})), 27, false},
		{"gap without kind", patchOf("", span(map[int]string{gaps: "\x01"})), 27, false},
		{"kind without gap", patchOf("", span(map[int]string{kinds: "\x01"})), 27, false},
		{"kind without value", patchOf("", span(map[int]string{gaps: "\x01", kinds: "\x00"})), 27, false},
		{"value without kind", patchOf("", span(map[int]string{values: "\x01"})), 27, false},
		{"gap beyond the end", patchOf("", span(map[int]string{gaps: "\x30", kinds: "\x00", values: "\x02"})), 27, false},
		{"second gap beyond the end", patchOf("", span(map[int]string{gaps: "\x01\x30", kinds: "\x00\x00", values: "\x02\x02"})), 27, false},
		{"kind over 64", patchOf("", span(map[int]string{gaps: "\x01", kinds: "\x41"})), 27, false},
		{"difference of nothing", patchOf("", span(map[int]string{gaps: "\x01", kinds: "\x00", values: "\x00"})), 27, false},
		{"recent difference of nothing", patchOf("", span(map[int]string{gaps: "\x01", kinds: "\x01"})), 27, false},
		{"value over 32 bits", patchOf("", span(map[int]string{gaps: "\x01", kinds: "\x00", values: "\x80\x80\x80\x80\x10"})), 27, false},
		{"difference of a field that is not there", patchOf("", span(map[int]string{gaps + rel: "\x01", kinds + rel: "\x00", values + rel: "\x02"})), 27, false},
		{"difference without spans", patchOf("abc", map[int]string{gaps: "\x00", kinds: "\x00", values: "\x02"}), 3, false},
	} {
		got, err := Apply(old, c.patch, c.size)
		if c.ok && (err != nil || len(got) != c.size) {
			t.Errorf("%s: %d bytes, %v", c.name, len(got), err)
		}
		if !c.ok && (!errors.Is(err, fault.ErrDamaged) || got != nil) {
			t.Errorf("%s: %d bytes, %v", c.name, len(got), err)
		}
	}
}

// What patches written by hand make, as the format says.
func TestByHand(t *testing.T) {
	const rel, abs = 3 * int(relative), 3 * int(absolute)
	for _, c := range []struct {
		name, old, new string
		streams        map[int]string
		literals       string
	}{
		{
			name: "literals and spans that change places",
			old:  "0123456789abcdef", new: "+89abcdef-01234567*",
			streams:  map[int]string{skips: "\x01\x01", lengths: "\x08\x08", jumps: "\x10\x1f"},
			literals: "+-*",
		},
		{
			name: "differences in plain bytes, the last one cut off by the end",
			old:  "aaaaaaaaaaaaaaaaa", new: "aabaaabaaaabaaaab",
			streams: map[int]string{skips: "\x00", lengths: "\x11", jumps: "\x00",
				gaps: "\x02\x00\x01\x01", kinds: "\x00\x01\x01\x01", values: "\x02"},
		},
		{
			name:     "a call over an insertion is foretold",
			old:      "\xe8\x40\x00\x00\x00" + string(make([]byte, 75)),
			new:      "\xe8\x43\x00\x00\x00" + string(make([]byte, 27)) + "+++" + string(make([]byte, 48)),
			streams:  map[int]string{skips: "\x00\x03", lengths: "\x20\x30", jumps: "\x00\x00"},
			literals: "+++",
		},
		{
			name: "a call out of old is learned by cell, and by page",
			old:  "\xe8\x00\x10\x00\x00\xe8\xfb\x0f\x00\x00\xe8\x80\x10\x00\x00",
			new:  "\xe8\x07\x10\x00\x00\xe8\x02\x10\x00\x00\xe8\x87\x10\x00\x00",
			streams: map[int]string{skips: "\x00", lengths: "\x0f", jumps: "\x00",
				gaps + rel: "\x00", kinds + rel: "\x00", values + rel: "\x0e"},
		},
		{
			name: "addresses out of phase 0",
			old:  "abc\x45\x23\x01\x00\x00\x00\x00\x00\x55\x23\x01\x00\x00\x00\x00\x00x",
			new:  "abc\x45\x33\x01\x00\x00\x00\x00\x00\x55\x33\x01\x00\x00\x00\x00\x00x",
			streams: map[int]string{skips: "\x00", lengths: "\x14", jumps: "\x00", phases: "\x00\x03",
				gaps + abs: "\x00", kinds + abs: "\x00", values + abs: "\x80\x40"},
		},
		{
			name: "a phase that changes",
			old:  "\x45\x23\x01\x00\x00\x00\x00\x00" + "\x55\x23\x01\x00\x00\x00\x00\x00",
			new:  "\x45\x33\x01\x00\x00\x00\x00\x00" + "+" + "\x55\x33\x01\x00\x00\x00\x00\x00",
			streams: map[int]string{skips: "\x00\x01", lengths: "\x08\x08", jumps: "\x00\x00", phases: "\x01\x01",
				gaps + abs: "\x00", kinds + abs: "\x00", values + abs: "\x80\x40"},
			literals: "+",
		},
	} {
		got, err := Apply([]byte(c.old), patchOf(c.literals, c.streams), len(c.new))
		if err != nil || string(got) != c.new {
			t.Errorf("%s: %q, should be %q; %v", c.name, got, c.new, err)
		}
	}
}

// A patch that is cut short, has bytes added, or is for another size is never
// taken, and one whose bytes are changed never makes more or less than it may.
func TestDamaged(t *testing.T) {
	for _, s := range []sample{program(20), edited("text", text(3000), 30)} {
		p := check(t, NewEncoder(), s.old, s.new)
		for n := range p {
			if _, err := Apply(s.old, p[:n], len(s.new)); !errors.Is(err, fault.ErrDamaged) {
				t.Fatalf("%s: cut at %d: %v", s.name, n, err)
			}
		}
		for _, size := range []int{0, len(s.new) - 1, len(s.new) + 1} {
			if _, err := Apply(s.old, p, size); !errors.Is(err, fault.ErrDamaged) {
				t.Errorf("%s: for %d bytes: %v", s.name, size, err)
			}
		}
		if _, err := Apply(s.old, append(bytes.Clone(p), 0), len(s.new)); !errors.Is(err, fault.ErrDamaged) {
			t.Errorf("%s: one byte more: %v", s.name, err)
		}
		for i := range p {
			for _, x := range []byte{1, 0x80, 0xff} {
				q := bytes.Clone(p)
				q[i] ^= x
				got, err := Apply(s.old, q, len(s.new))
				if err == nil && len(got) != len(s.new) || err != nil && !errors.Is(err, fault.ErrDamaged) {
					t.Fatalf("%s: byte %d: %d bytes, %v", s.name, i, len(got), err)
				}
			}
		}
		if _, err := Apply(s.old[:len(s.old)/2], p, len(s.new)); !errors.Is(err, fault.ErrDamaged) {
			t.Errorf("%s: half of old: %v", s.name, err)
		}
	}
}

// Calls leave nothing behind that changes later ones.
func TestApplyAgain(t *testing.T) {
	a, b := program(600), program(20)
	pa, pb := check(t, NewEncoder(), a.old, a.new), check(t, NewEncoder(), b.old, b.new)
	for range 3 {
		for _, c := range []struct {
			sample
			patch []byte
		}{{a, pa}, {b, pb}} {
			if _, err := Apply(c.old, c.patch[:len(c.patch)-1], len(c.new)); err == nil {
				t.Fatal("a patch cut short is taken")
			}
			if got, err := Apply(c.old, c.patch, len(c.new)); err != nil || !bytes.Equal(got, c.new) {
				t.Fatal(c.name, err)
			}
		}
	}
}

var update = flag.Bool("update", false, "write golden patches that are not there yet")

// golden are the patches in testdata/golden, each with its old and new content.
// They are never made anew: what was once written must be applied for ever. The
// sums are of what the encoder makes today, and may change with it.
var golden = []struct{ name, sum string }{
	{"program", "f6069ef78b421e05"},
	{"text", "89387cd546639bac"},
	{"noise", "d368a515bf9b1413"},
}

func TestGolden(t *testing.T) {
	for _, g := range golden {
		base := filepath.Join("testdata", "golden", g.name)
		if _, err := os.Stat(base + ".patch"); *update && os.IsNotExist(err) {
			writeGolden(t, g.name, base)
		}
		read := func(ext string) []byte {
			p, err := os.ReadFile(base + ext)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		old, want, patch := read(".old"), read(".new"), read(".patch")
		got, err := Apply(old, patch, len(want))
		if err != nil {
			t.Errorf("%s: %v", g.name, err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s: the format has changed: a patch makes other content than it did", g.name)
		}
		sum := sha256.Sum256(NewEncoder().Append(nil, old, want))
		if s := hex.EncodeToString(sum[:8]); s != g.sum {
			t.Errorf("%s: the encoder makes another patch, %s; it should be %s", g.name, s, g.sum)
		}
	}
}

func writeGolden(t *testing.T, name, base string) {
	s := map[string]func() sample{
		"program": func() sample { return grown(120) },
		"text":    func() sample { return edited("", text(9000), 25) },
		"noise":   func() sample { return edited("", noise(rand.New(rand.NewPCG(6, 6)), 4000), 60) },
	}[name]()
	if err := os.MkdirAll(filepath.Dir(base), 0o755); err != nil {
		t.Fatal(err)
	}
	for ext, p := range map[string][]byte{".old": s.old, ".new": s.new, ".patch": NewEncoder().Append(nil, s.old, s.new)} {
		if err := os.WriteFile(base+ext, p, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
