package deflate

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"bale/bundle/deflate/testdata/golden/inputs"
)

const goldenFolder = "testdata/golden"

// A vector is a line of golden.txt: what a real compressor made of an input.
type vector struct {
	tool     string
	versions []string // all of which made the same
	variant  string   // an option of the tool's, or -
	level    int
	input    string // or several, joined with +
	size     int64  // of the stream
	header   string // its first 10 bytes
	sum      string // its SHA-256
	kept     string // its file in gz/, or -
	tokens   string // digest of its tokens, see digests
	blocks   string // and of its blocks
}

func (v *vector) name() string {
	name := fmt.Sprintf("%s/%s/%d/%s/%s", v.tool, v.variant, v.level, v.input, v.versions[len(v.versions)-1])
	return strings.ReplaceAll(name, "/-/", "/")
}

// rawSums are the digests of the inputs, which have lines of their own.
type rawSums map[string]string

// parseGolden reads golden.txt, or the script's list, which has no digests of
// tokens and blocks yet.
func parseGolden(t testing.TB, name string) ([]vector, rawSums) {
	t.Helper()
	var vectors []vector
	sums := rawSums{}
	for line := range strings.Lines(string(readFile(t, name))) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		if len(f) == 9 {
			f = append(f, "-", "-")
		}
		if len(f) != 11 {
			t.Fatalf("%s: a line of %d fields: %s", name, len(f), line)
		}
		v := vector{tool: f[0], versions: strings.Split(f[1], ","), variant: f[2], input: f[4],
			header: f[6], sum: f[7], kept: f[8], tokens: f[9], blocks: f[10]}
		var err error
		if v.size, err = strconv.ParseInt(f[5], 10, 64); err != nil {
			t.Fatal(err)
		}
		if v.tool == "raw" {
			sums[v.input] = v.sum
			continue
		}
		if f[3] != "-" {
			if v.level, err = strconv.Atoi(f[3]); err != nil {
				t.Fatal(err)
			}
		}
		vectors = append(vectors, v)
	}
	return vectors, sums
}

func (v *vector) line() string {
	return fmt.Sprintln(v.tool, strings.Join(v.versions, ","), v.variant, v.level, v.input, v.size, v.header, v.sum, v.kept, v.tokens, v.blocks)
}

func golden(t testing.TB) []vector {
	t.Helper()
	vectors, _ := parseGolden(t, goldenFolder+"/golden.txt")
	return vectors
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

var goldenInputs = func() map[string]func() []byte {
	m := map[string]func() []byte{}
	for _, name := range inputs.Names {
		m[name] = sync.OnceValue(func() []byte { return inputs.Make(name) })
	}
	return m
}()

// goldenInput makes an input; + joins several.
func goldenInput(t testing.TB, name string) []byte {
	t.Helper()
	var raw []byte
	for part := range strings.SplitSeq(name, "+") {
		f, ok := goldenInputs[part]
		if !ok {
			t.Fatalf("no input %s", part)
		}
		raw = append(raw, f()...)
	}
	return raw
}

// digests returns two short digests of a stream, so that a test can tell
// whether it is the tokens that are not as they should be, or the blocks.
func digests(members []member) (tokens, blocks string) {
	ht, hb := sha256.New(), sha256.New()
	var buf []byte
	for _, m := range members {
		for i := range m.blocks {
			b := &m.blocks[i]
			hashTokens(ht, b.tokens)
			buf = binary.LittleEndian.AppendUint32(buf[:0], uint32(b.end))
			final := byte(0)
			if b.final {
				final = 1
			}
			buf = append(buf, byte(b.typ), final, b.pad)
			if b.typ == dynamicBlock {
				buf = appendHeader(buf, &b.header)
			}
			hb.Write(buf)
		}
	}
	return hex.EncodeToString(ht.Sum(nil)[:8]), hex.EncodeToString(hb.Sum(nil)[:8])
}

func hashTokens(h io.Writer, tokens []token) {
	buf := make([]byte, 0, 4<<10)
	for part := range slices.Chunk(tokens, 1<<10) {
		buf = buf[:0]
		for _, t := range part {
			buf = binary.LittleEndian.AppendUint32(buf, uint32(t))
		}
		_, _ = h.Write(buf)
	}
}

// appendHeader appends all that a dynamic block's header says.
func appendHeader(buf []byte, h *header) []byte {
	buf = append(buf, byte(len(h.lit)-257), byte(len(h.dist)), byte(h.nclen))
	buf = append(append(buf, h.lit...), h.dist...)
	for _, o := range h.ops {
		buf = append(buf, o.symbol, o.extra)
	}
	return append(buf, h.clen[:]...)
}

// TestGoldenInputs checks that the generator still makes what the tools were
// run on.
func TestGoldenInputs(t *testing.T) {
	_, sums := parseGolden(t, goldenFolder+"/golden.txt")
	if len(sums) < len(inputs.Names) {
		t.Errorf("%d inputs have digests", len(sums))
	}
	for name, want := range sums {
		if got := sum(goldenInput(t, name)); got != want {
			t.Errorf("input %s has digest %s, not %s", name, got, want)
		}
	}
}

// TestGoldenStreams takes the streams that are kept apart and together again.
func TestGoldenStreams(t *testing.T) {
	used := map[string]bool{}
	for _, v := range golden(t) {
		if v.kept == "-" {
			continue
		}
		used[v.kept] = true
		t.Run(v.kept, func(t *testing.T) {
			t.Parallel()
			gz := readFile(t, filepath.Join(goldenFolder, "gz", v.kept))
			if got := sum(gz); got != v.sum || int64(len(gz)) != v.size {
				t.Fatalf("%d bytes with digest %s", len(gz), got)
			}
			if tokens, blocks := digests(takeApart(t, gz)); tokens != v.tokens || blocks != v.blocks {
				t.Errorf("tokens %s, blocks %s", tokens, blocks)
			}
			raw, err := io.ReadAll(NewInflater(bytes.NewReader(gz)))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(raw, goldenInput(t, v.input)) {
				t.Error("the raw bytes are not the input")
			}
			generic := analyzed(t, gz, &Choice{})
			if generic == nil || testing.Short() {
				return
			}
			r := analyzed(t, gz, nil)
			if r == nil || r.Corrections > generic.Corrections+16 {
				t.Error("the generic model would have been better")
			}
		})
	}
	files, err := os.ReadDir(filepath.Join(goldenFolder, "gz"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !used[f.Name()] {
			t.Errorf("no line of golden.txt tells of %s", f.Name())
		}
	}
}

// analyzed makes a recipe and proves it; nil if it is not worth it.
func analyzed(t *testing.T, gz []byte, ch *Choice) *Recipe {
	t.Helper()
	size := int64(len(gz))
	if ch == nil {
		chosen, _, err := choose(t.Context(), bytes.NewReader(gz))
		if err != nil {
			t.Fatal(err)
		}
		ch = &chosen
	}
	_, err := AnalyzeAs(t.Context(), bytes.NewReader(gz), size, io.Discard, *ch)
	if errors.Is(err, ErrNotWorth) {
		t.Logf("%v: %v", ch, err)
		return nil
	}
	r := roundTrip(t, gz, ch)
	t.Logf("%v: %.2f %% corrections, %d of %d tokens and %d of %d blocks wrong", ch, 100*float64(r.Corrections)/float64(size),
		r.Stats.WrongTokens, r.Stats.Tokens, r.Stats.WrongBlocks, r.Stats.Blocks)
	return r
}

// TestWriteGolden is the last step of the script testdata/golden/generate: it
// makes golden.txt from the list in the folder BALE_GOLDEN_WRITE.
func TestWriteGolden(t *testing.T) {
	work := os.Getenv("BALE_GOLDEN_WRITE")
	if work == "" {
		t.Skip("only for testdata/golden/generate")
	}
	var out strings.Builder
	out.WriteString("# Made by generate; see there and ../../golden_test.go.\n")
	out.WriteString("# tool versions variant level input size header sha256 kept tokens blocks\n")
	for line := range strings.Lines(string(readFile(t, work+"/merged"))) {
		if strings.HasPrefix(line, "raw ") {
			out.WriteString(strings.TrimSuffix(line, "\n") + " - -\n")
		}
	}
	vectors, _ := parseGolden(t, work+"/merged")
	for _, v := range vectors {
		name := fmt.Sprintf("%s/gz/%s.%s.%s.%d.%s", work, v.tool, v.versions[0], v.variant, v.level, v.input)
		if v.kept != "-" {
			name = filepath.Join(goldenFolder, "gz", v.kept)
		}
		gz := readFile(t, name)
		if got := sum(gz); got != v.sum {
			t.Fatalf("%s has digest %s", name, got)
		}
		v.tokens, v.blocks = digests(takeApart(t, gz))
		out.WriteString(v.line())
	}
	if err := os.WriteFile(goldenFolder+"/golden.txt", []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
