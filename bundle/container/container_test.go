package container

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"bale/bundle/fault"
)

var when = time.Date(2026, 11, 21, 7, 8, 2, 0, time.UTC)

type file struct{ name, data string }

func build(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, when)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := w.Add(f.name, []byte(f.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func scan(b []byte) (*Reader, error) {
	return Scan(context.Background(), bytes.NewReader(b), int64(len(b)))
}

var small = []file{
	{HeaderName, "{}\n"},
	{"packs/" + hex64 + ".pack", "pack"},
	{IndexName, "index"},
	{SumsName, "sums\n"},
	{SigstoreName, "{}"},
}

const hex64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestScanReadsWhatWriterWrites(t *testing.T) {
	b := build(t, small...)
	r, err := scan(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Entries()) != len(small) {
		t.Fatalf("%d entries", len(r.Entries()))
	}
	for i, e := range r.Entries() {
		got, err := r.ReadFile(e, 100)
		if err != nil || e.Name != small[i].name || string(got) != small[i].data {
			t.Errorf("entry %d: %s %q %v", i, e.Name, got, err)
		}
	}
	if !r.Modified().Equal(when) {
		t.Errorf("modified %v", r.Modified())
	}
}

// Any tar program must be able to list and unpack a bundle.
func TestArchiveIsAnOrdinaryTar(t *testing.T) {
	tr := tar.NewReader(bytes.NewReader(build(t, small...)))
	for _, f := range small {
		h, err := tr.Next()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(tr)
		if err != nil || h.Name != f.name || string(got) != f.data {
			t.Errorf("%s: %q %v", h.Name, got, err)
		}
	}
	if _, err := tr.Next(); err != io.EOF {
		t.Errorf("end: %v", err)
	}
}

func TestScanRefuses(t *testing.T) {
	good := build(t, small...)
	longPack := file{"packs/" + hex64 + ".pack", string(make([]byte, 1000))}
	cases := map[string][]byte{
		"empty":                    {},
		"text":                     []byte("hello, I am no bundle at all"),
		"other tar":                build(t, file{"etc/passwd", "root"}),
		"only zeros":               make([]byte, 10240),
		"out of order":             build(t, small[0], small[2], small[1], small[3]),
		"twice":                    build(t, small[0], small[1], small[1], small[2]),
		"trailing bytes":           append(bytes.Clone(good), 0),
		"second archive":           append(bytes.Clone(good), good...),
		"one zero block":           good[:len(good)-BlockSize],
		"name leads out":           build(t, small[0], file{"../evil", ""}),
		"absolute name":            build(t, small[0], file{"/evil", ""}),
		"hidden name":              build(t, small[0], file{".evil", ""}),
		"unknown signature first":  build(t, small[0], small[3], file{SumsName + ".x", ""}, small[4]),
		"unknown signatures apart": build(t, small[0], small[3], file{SumsName + ".x", ""}, small[4], file{SumsName + ".y", ""}),
		"unknown out of order":     build(t, small[0], small[3], file{SumsName + ".y", ""}, file{SumsName + ".x", ""}),
		"unknown twice":            build(t, small[0], small[3], file{SumsName + ".x", ""}, file{SumsName + ".x", ""}),
		"unknown before the sums":  build(t, small[0], file{SumsName + ".x", ""}, small[3]),
		"unknown, hidden":          build(t, small[0], small[3], file{SumsName + "..x", ""}),
		"unknown, no name":         build(t, small[0], small[3], file{SumsName + ".", ""}),
		"signatures by number":     build(t, small[0], small[3], file{SigstoreName + ".2", ""}, file{SigstoreName + ".1", ""}),
		"forms out of order":       build(t, small[0], small[3], file{SSHName, ""}, file{OpenPGPName, ""}),
		"too many signatures":      build(t, append([]file{small[0], small[3]}, unknown(MaxSignatureEntries+1)...)...),
		"cut inside content":       build(t, small[0], longPack)[:3*BlockSize+700],
	}
	for name, b := range cases {
		if _, err := scan(b); !errors.Is(err, fault.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestScanRefusesEveryTruncation(t *testing.T) {
	good := build(t, small...)
	for n := range good {
		if _, err := scan(good[:n]); !errors.Is(err, fault.ErrDamaged) {
			t.Fatalf("first %d bytes: %v", n, err)
		}
	}
}

// Outside the content, which is checked elsewhere, no byte may change.
func TestScanRefusesEveryFlippedBit(t *testing.T) {
	good := build(t, small...)
	r, err := scan(good)
	if err != nil {
		t.Fatal(err)
	}
	content := make([]bool, len(good))
	for _, e := range r.Entries() {
		for i := range e.Size {
			content[e.Offset+i] = true
		}
	}
	for i := range good {
		if content[i] {
			continue
		}
		for bit := range 8 {
			b := bytes.Clone(good)
			b[i] ^= 1 << bit
			if _, err := scan(b); !errors.Is(err, fault.ErrDamaged) {
				t.Fatalf("byte %d bit %d: %v", i, bit, err)
			}
		}
	}
}

func TestScanHonoursContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	b := build(t, small...)
	if _, err := Scan(ctx, bytes.NewReader(b), int64(len(b))); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A reader of this version lets unknown entries pass the scan, so that it can
// say "newer" instead of "damaged" once bale.json is trusted.
func TestScanPassesUnknownEntries(t *testing.T) {
	r, err := scan(build(t, small[0], file{"shards/x.1", "new"}, small[2], small[3]))
	if err != nil {
		t.Fatal(err)
	}
	if IsKnown(r.Entries()[1].Name) {
		t.Error("shards/x.1 is known")
	}
}

// unknown returns signatures of forms that nobody knows, in order.
func unknown(n int) []file {
	var out []file
	for i := range n {
		out = append(out, file{fmt.Sprintf("%s.new%03d", SumsName, i), ""})
	}
	return out
}

// Signatures of forms to come are let pass, last and by name, so that a bundle
// has one form.
func TestScanPassesUnknownSignatures(t *testing.T) {
	known := []file{small[0], small[3], small[4], {SigstoreName + ".31", ""}, {OpenPGPName, ""}, {SSHName, ""}, {SSHName + ".1", ""}}
	for name, more := range map[string][]file{
		"one":                   {{SumsName + ".x", "new"}},
		"several":               {{SumsName + ".ML-DSA", ""}, {SumsName + ".a", ""}, {SumsName + ".a.1", ""}, {SumsName + ".b", ""}},
		"numbers over the last": {{SumsName + ".asc.32", ""}, {SumsName + ".sig.01", ""}, {SumsName + ".sigstore.json.0", ""}},
		"as many as may be":     unknown(MaxSignatureEntries - len(known) + 2),
	} {
		r, err := scan(build(t, append(slices.Clone(known), more...)...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, f := range more {
			if form, _ := SignatureForm(f.name); form != NoForm || !IsSignature(f.name) {
				t.Errorf("%s: %s is of form %s", name, f.name, form)
			}
		}
		if n, err := r.Body(); err != nil || n != 4*BlockSize {
			t.Errorf("%s: %d bytes before the signatures, %v", name, n, err)
		}
	}
	// What leads into a folder is no signature, but an unknown entry.
	if IsSignature(SumsName+".x/y") || IsKnown(SumsName+".x/y") {
		t.Error("a signature in a folder is one")
	}
	r, err := scan(build(t, small[0], small[3], file{SumsName + ".x/y", ""}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Body(); !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("an entry after the sums: %v", err)
	}
}

// CopyBody copies from memory, from files of any length, and no further.
func TestCopyBody(t *testing.T) {
	b := build(t, small...)
	path := filepath.Join(t.TempDir(), "b")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for name, r := range map[string]io.ReaderAt{"memory": bytes.NewReader(b), "file": f} {
		c, err := Scan(t.Context(), r, int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		n, err := c.Body()
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // from the start each time
			var out bytes.Buffer
			if err := c.CopyBody(t.Context(), &out); err != nil || !bytes.Equal(out.Bytes(), b[:n]) {
				t.Errorf("%s: %d bytes of %d, %v", name, out.Len(), n, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var out bytes.Buffer
		if err := c.CopyBody(ctx, &out); !errors.Is(err, context.Canceled) || out.Len() > 0 {
			t.Errorf("%s, interrupted: %d bytes, %v", name, out.Len(), err)
		}
	}
	c, err := Scan(t.Context(), f, int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 700); err != nil {
		t.Fatal(err)
	}
	if err := c.CopyBody(t.Context(), io.Discard); !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("cut meanwhile: %v", err)
	}
	c, err = scan(build(t, small[:2]...))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CopyBody(t.Context(), io.Discard); !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("without sums: %v", err)
	}
}

func FuzzScan(f *testing.F) {
	f.Add(build(f, small...))
	f.Add(build(f, small[:2]...))
	f.Add(build(f, append(slices.Clone(small), unknown(2)...)...))
	f.Add(build(f, small[0], small[3], file{OpenPGPName + ".1", ""}, file{SSHName, ""}, file{SumsName + ".sig.32", ""}))
	f.Add(make([]byte, 2048))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := scan(b)
		if err != nil {
			if r != nil {
				t.Fatal("error and a result")
			}
			return
		}
		// What is accepted has one form only: writing it again gives the same bytes.
		var again bytes.Buffer
		w, err := NewWriter(&again, r.Modified())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range r.Entries() {
			data, err := r.ReadFile(e, int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Add(e.Name, data); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Bytes(), b) {
			t.Fatal("accepted, but not canonical")
		}
	})
}
