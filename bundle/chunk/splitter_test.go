package chunk

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// noise is the same bytes on every run.
func noise(seed uint64, n int) []byte {
	var key [32]byte
	key[0] = byte(seed)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

type result struct {
	lanes [Lanes][]byte
	spans []Span
	log   []string // "lane kind length sum" of each piece
}

func split(t testing.TB, r io.Reader) result {
	t.Helper()
	s, err := NewSplitter()
	if err != nil {
		t.Fatal(err)
	}
	var res result
	spans, err := s.Split(r, func(p Piece) error {
		if len(p.Data) == 0 || len(p.Data) > MaxSize {
			return fmt.Errorf("piece of %d bytes", len(p.Data))
		}
		sum := sha256.Sum256(p.Data)
		res.lanes[p.Lane] = append(res.lanes[p.Lane], p.Data...)
		res.log = append(res.log, fmt.Sprintf("%d %d %d %x", p.Lane, p.Kind, len(p.Data), sum[:8]))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	res.spans = append(res.spans, spans...)
	return res
}

// weave puts the lanes together again.
func (r result) weave(t testing.TB) []byte {
	t.Helper()
	var out []byte
	for _, s := range r.spans {
		l := r.lanes[s.Lane]
		if s.Length <= 0 || s.Length > int64(len(l)) {
			t.Fatalf("span of %d bytes, lane has %d left", s.Length, len(l))
		}
		out = append(out, l[:s.Length]...)
		r.lanes[s.Lane] = l[s.Length:]
	}
	for i, l := range r.lanes {
		if len(l) > 0 {
			t.Fatalf("lane %d has %d bytes over", i, len(l))
		}
	}
	return out
}

func sampleTar(t testing.TB, mtime int64) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h tar.Header, data []byte) {
		h.ModTime = time.Unix(mtime, 0)
		h.Size = int64(len(data))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	add(tar.Header{Name: "usr/", Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	for i := range 200 {
		add(tar.Header{Name: fmt.Sprintf("usr/share/doc/%d", i), Typeflag: tar.TypeReg}, noise(uint64(i), 37*i))
	}
	add(tar.Header{Name: "usr/lib/big", Typeflag: tar.TypeReg}, noise(201, 1_500_000))
	add(tar.Header{Name: "usr/" + strings.Repeat("long/", 60) + "f", Typeflag: tar.TypeReg, Format: tar.FormatPAX,
		PAXRecords: map[string]string{"SCHILY.xattr.user.x": "1"}}, []byte("pax"))
	add(tar.Header{Name: "gnu/" + strings.Repeat("long/", 60) + "f", Typeflag: tar.TypeReg, Format: tar.FormatGNU}, []byte("gnu"))
	add(tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "usr/lib/big"}, nil)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return append(b.Bytes(), make([]byte, 8192)...) // as GNU tar pads
}

func TestSplitIsExact(t *testing.T) {
	tarball := sampleTar(t, 1)
	inputs := map[string][]byte{
		"empty":           {},
		"one byte":        {7},
		"text":            []byte("hello"),
		"zeros":           make([]byte, 3_000_000),
		"noise":           noise(1, 3_000_000),
		"gzip magic":      append([]byte("\x1f\x8b\x08"), noise(2, 700_000)...),
		"tar":             tarball,
		"tar cut":         tarball[:len(tarball)/2+77],
		"tar then noise":  append(bytes.Clone(tarball), noise(3, 600_000)...),
		"tar broken":      append(bytes.Clone(tarball[:5*blockSize]), noise(4, 600_000)...),
		"tar in a header": tarball[:300],
		"two tars":        append(bytes.Clone(tarball), tarball...),
	}
	for name, in := range inputs {
		t.Run(name, func(t *testing.T) {
			whole := split(t, bytes.NewReader(in))
			if !bytes.Equal(whole.weave(t), in) {
				t.Fatal("woven content differs")
			}
			// However the bytes arrive, the cuts are the same.
			for feed, r := range map[string]io.Reader{
				"halves":   iotest.HalfReader(bytes.NewReader(in)),
				"data+EOF": iotest.DataErrReader(bytes.NewReader(in)),
			} {
				if got := split(t, r); strings.Join(got.log, "\n") != strings.Join(whole.log, "\n") {
					t.Errorf("%s: other cuts", feed)
				}
			}
		})
	}
}

// What the tar-aware cut is for: only time stamps change, and all content is shared.
func TestContentIsSharedWhenOnlyHeadersChange(t *testing.T) {
	a, b := split(t, bytes.NewReader(sampleTar(t, 1))), split(t, bytes.NewReader(sampleTar(t, 99)))
	seen := map[string]bool{}
	for _, l := range a.log {
		seen[l] = true
	}
	var other int
	for _, l := range b.log {
		if strings.HasPrefix(l, "1 ") && !seen[l] {
			other++
		}
	}
	if other > 0 {
		t.Errorf("%d chunks of content are new", other)
	}
	if len(a.lanes[Structure]) < 200*blockSize {
		t.Errorf("structure lane has only %d bytes", len(a.lanes[Structure]))
	}
}

func TestKinds(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Kind
	}{
		{"\x1f\x8b\x08 gzip", Packed},
		{"\x28\xb5\x2f\xfd zstd", Packed},
		{"\x50\x2a\x4d\x18 skippable", Packed},
		{"{\"schemaVersion\":2}", Data},
	} {
		if got := split(t, strings.NewReader(c.in)).log[0]; !strings.HasPrefix(got, fmt.Sprintf("1 %d ", c.want)) {
			t.Errorf("%q: %s", c.in, got)
		}
	}
}

// The cuts are frozen: two bundles share chunks only if both cut alike.
func TestGoldenCuts(t *testing.T) {
	for _, c := range []struct {
		name   string
		in     []byte
		pieces int
		sum    string
	}{
		{"noise", noise(5, 20<<20), goldenNoisePieces, goldenNoiseSum},
		{"tar", sampleTar(t, 1), goldenTarPieces, goldenTarSum},
	} {
		r := split(t, bytes.NewReader(c.in))
		sum := sha256.Sum256([]byte(strings.Join(r.log, "\n")))
		if len(r.log) != c.pieces || hex.EncodeToString(sum[:8]) != c.sum {
			t.Errorf("%s: %d pieces, %x", c.name, len(r.log), sum[:8])
		}
	}
}

func TestErrorsPassThrough(t *testing.T) {
	boom := errors.New("boom")
	s, err := NewSplitter()
	if err != nil {
		t.Fatal(err)
	}
	in := sampleTar(t, 1)
	for _, n := range []int{0, 100, 512, 600, 5000, 900_000} {
		r := io.MultiReader(bytes.NewReader(in[:n]), iotest.ErrReader(boom))
		if _, err := s.Split(r, func(Piece) error { return nil }); !errors.Is(err, boom) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	if _, err := s.Split(bytes.NewReader(in), func(Piece) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("emit: %v", err)
	}
}

func TestPaxSize(t *testing.T) {
	for in, want := range map[string]int64{
		"":                                  -1,
		"20 size=12345678901\n":             12345678901,
		"11 path=ab\n20 size=12345678901\n": 12345678901,
		"11 path=ab\n":                      -1,
		"999 size=1\n":                      -1,
		"0 size=1\n":                        -1,
		"x size=1\n":                        -1,
		"11 size=-1\n":                      -1,
		"18446744073709551616 size=12345\n": -1,
	} {
		x := noExtension
		if x.payload(entry{pax: true}, []byte(in)); x.size != want {
			t.Errorf("%q: %d, not %d", in, x.size, want)
		}
	}
}

// Who has only the structure finds the same files as who has all of it.
func TestFiles(t *testing.T) {
	for name, in := range map[string][]byte{
		"tar":      sampleTar(t, 1),
		"cut":      sampleTar(t, 1)[:100_000],
		"no tar":   noise(1, 5000),
		"nothing":  nil,
		"one long": sampleTar(t, 1)[:512],
	} {
		t.Run(name, func(t *testing.T) {
			s, err := NewSplitter()
			if err != nil {
				t.Fatal(err)
			}
			var want []File
			var last *File
			var structure []byte
			if _, err := s.Split(bytes.NewReader(in), func(p Piece) error {
				if p.Lane == Structure {
					structure = append(structure, p.Data...)
				} else if p.File != nil && p.File != last {
					last = p.File
					want = append(want, *last)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			var got []File
			if err := Files(bytes.NewReader(structure), func(f File) error { got = append(got, f); return nil }); err != nil {
				t.Fatal(err)
			}
			// Of a tar that was cut the last file may have a header and no content.
			if len(got) > len(want) {
				got = got[:len(want)]
			}
			if !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
			if name == "tar" {
				names := make(map[string]int64)
				for _, f := range got {
					names[f.Name] = f.Size
				}
				long := strings.Repeat("long/", 60) + "f"
				if len(got) != 202 || names["usr/"+long] != 3 || names["gnu/"+long] != 3 || names["usr/lib/big"] != 1_500_000 {
					t.Errorf("%d files: %v", len(got), names)
				}
			}
		})
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(sampleTar(f, 1))
	f.Add([]byte{})
	f.Add(noise(9, 1000))
	big := sampleTar(f, 2)[:1024]
	copy(big[sizeOff:], "\x80\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff")
	f.Add(big)
	f.Fuzz(func(t *testing.T, in []byte) {
		if r := split(t, bytes.NewReader(in)); !bytes.Equal(r.weave(t), in) {
			t.Fatal("woven content differs")
		}
	})
}

func BenchmarkSplit(b *testing.B) {
	for name, in := range map[string][]byte{"noise": noise(1, 32<<20), "tar": bytes.Repeat(sampleTar(b, 1), 12)} {
		b.Run(name, func(b *testing.B) {
			s, err := NewSplitter()
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Split(bytes.NewReader(in), func(Piece) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

const (
	goldenNoisePieces, goldenNoiseSum = 285, "0c24add2f65085ca"
	goldenTarPieces, goldenTarSum     = 228, "7b1d29ca76e02fc3"
)
