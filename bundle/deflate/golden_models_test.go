package deflate

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// klauspostVariant returns the variant of the model that versions from this
// one on need.
func klauspostVariant(version string) (variant uint8, ok bool) {
	is := versionNumbers(version)
	for _, v := range []struct {
		from    string
		variant uint8
	}{
		// klauspost140 is not exact where a block has hardly any matches
		{"1.9.2", klauspost192}, {"1.10.2", klauspost1102}, {"1.11.13", klauspost1113},
		{"1.12.2", klauspost1122}, {"1.12.3", klauspost1123}, {"1.14.1", klauspost1141}, {"1.15.0", klauspost1150},
		{"1.15.11", klauspost11511}, {"1.15.15", klauspost11515}, {"1.18.0", klauspost1180},
		{"1.18.2", klauspost1182}, {"1.20.0", klauspost1200},
	} {
		if slices.Compare(is, versionNumbers(v.from)) >= 0 {
			variant, ok = v.variant, true
		}
	}
	return variant, ok
}

func versionNumbers(version string) []int {
	var n []int
	for part := range strings.SplitSeq(version, ".") {
		i, _ := strconv.Atoi(part)
		n = append(n, i)
	}
	return n
}

// choices returns the models that must make the vector's stream, one for each
// kind of its versions; none if nothing models it.
func (v *vector) choices() []Choice {
	var all []Choice
	for _, version := range v.versions {
		if ch, ok := v.choice(version); ok && !slices.Contains(all, ch) {
			all = append(all, ch)
		}
	}
	return all
}

func (v *vector) choice(version string) (ch Choice, ok bool) {
	ch.Level, ok = int8(v.level), true
	switch v.tool {
	case "go":
		ch.Family = Go
		if slices.Compare(versionNumbers(version), []int{1, 27}) >= 0 {
			ch.Family = Klauspost
			// 1.27.2 has what klauspost/compress has from 1.20.0 on
			ch.Variant, ok = klauspostVariant(map[bool]string{true: "1.18.2", false: "1.20.0"}[version <= "1.27.1"])
		}
		ok = ok && v.variant == "-"
	case "klauspost":
		ch.Family = Klauspost
		ch.Variant, ok = klauspostVariant(version)
	case "pgzip":
		ch.Family = Klauspost
		version, _, _ = strings.Cut(version, "-")
		ch.Variant, ok = klauspostVariant(version)
		ch.Framing = map[string]Framing{"block=1048576": PGZip1M, "block=262144": PGZip256K}[v.variant]
	default:
		return v.zlibChoice()
	}
	// level 0 is nothing but stored blocks: no model needed
	return ch, ok && v.level != 0
}

func (v *vector) zlibChoice() (ch Choice, ok bool) {
	ch = Choice{Family: Zlib, Level: int8(v.level), Memory: zlibMemory}
	switch v.tool + " " + v.variant {
	case "zlib -", "python -", "java -", "bsdtar -":
	case "zlib mem=9", "perl -":
		ch.Memory = 9
	case "gzip -", "busybox big":
		ch.Variant = zlibGNU
	case "busybox -":
		ch.Variant = zlibBusyBox
	case "pigz -":
		ch.Variant, ch.Framing = zlibPigz, Pigz
	case "pigz p1":
		// the same, but for the levels that do not enter all strings: alone,
		// they go on with the tables that they have
		ch.Variant, ch.Framing = zlibPigz, Pigz
		return ch, v.level > 3
	case "pigz i", "pigz p1i":
		ch.Variant, ch.Framing = zlibPigzAlone, PigzAlone
	case "pigz R", "pigz p1R":
		ch.Variant, ch.Framing = zlibPigz, PigzRsync
	default:
		return ch, false
	}
	return ch, v.level != 0
}

// compress returns what a model thinks that its compressor makes of raw: the
// DEFLATE stream, and the trailer.
func compress(ch Choice, raw []byte) ([]byte, error) {
	p, s, cut, err := ch.models()
	if err != nil {
		return nil, err
	}
	f := forecast{p: p, s: s}
	w := frameWriter{}
	if cut != nil {
		cut.reset()
	}
	for start, final := 0, false; !final; {
		size, dict, tail := len(raw)-start, 0, 0
		if cut != nil {
			size, dict, tail = cut.next(raw[start:]), min(start, cut.dict), cut.tail
		}
		final = start+size == len(raw)
		w.in = &input{data: raw[start-dict : start+size], base: -dict, last: true, final: final}
		if !f.frame(w.in, tail, &w) {
			return nil, fmt.Errorf("no forecast of the frame at %d", start)
		}
		start += size
	}
	w.align(0)
	out := binary.LittleEndian.AppendUint32(w.out, crc32.ChecksumIEEE(raw))
	return binary.LittleEndian.AppendUint32(out, uint32(len(raw))), nil
}

// TestGoldenModels checks that each model makes of the raw bytes, without any
// correction, the very stream that its compressor made.
func TestGoldenModels(t *testing.T) {
	type job struct {
		ch    Choice
		input string
	}
	jobs := map[job][]vector{}
	var order []job
	for _, v := range golden(t) {
		for _, ch := range v.choices() {
			j := job{ch, v.input}
			if jobs[j] == nil {
				order = append(order, j)
			}
			jobs[j] = append(jobs[j], v)
		}
	}
	for _, j := range order {
		v := jobs[j][0]
		t.Run(v.name(), func(t *testing.T) {
			if (testing.Short() || raced) && len(goldenInput(t, j.input)) > 128<<10 {
				t.Skip("takes long")
			}
			if _, _, _, err := j.ch.models(); err != nil {
				if j.ch.Family == Klauspost && j.ch.Variant < klauspost11511 {
					t.Skip("old, and not in use at this level")
				}
				t.Fatal(err)
			}
			t.Parallel()
			body, err := compress(j.ch, goldenInput(t, j.input))
			if err != nil {
				t.Fatalf("%+v: %v", j.ch, err)
			}
			done := map[string]bool{}
			for _, v := range jobs[j] {
				if done[v.sum] {
					continue
				}
				done[v.sum] = true
				head, err := hex.DecodeString(v.header)
				if err != nil {
					t.Fatal(err)
				}
				gz := append(head, body...)
				if sum(gz) != v.sum {
					tokens, blocks := digests(takeApart(t, gz))
					t.Fatalf("%+v is not %s %s: tokens %s; blocks %s; %d bytes, not %d", j.ch, v.tool, v.versions,
						rightOrNot(tokens == v.tokens), rightOrNot(blocks == v.blocks), len(gz), v.size)
				}
				// a small input, but with two frames where there are any
				if !testing.Short() && published(j.ch) && v.input == map[bool]string{true: "text", false: "mixed"}[j.ch.Framing == Single] {
					checkChosen(t, gz)
				}
			}
		})
	}
}

// published reports whether Analyze has to find a model: most published layers
// are made like this.
func published(ch Choice) bool {
	switch ch.Family {
	case Go:
		return ch.Level == 1 || ch.Level == 6
	case Klauspost:
		return ch.Level == 5 || ch.Level == 6 || ch.Level == 1 && ch.Framing == Single
	}
	return ch.Memory == zlibMemory && (ch.Level == 6 || ch.Level == 9 && ch.Variant != zlibBusyBox)
}

// checkChosen checks that Analyze finds a model that leaves nothing to correct.
func checkChosen(t *testing.T, gz []byte) {
	t.Helper()
	r := roundTrip(t, gz, nil)
	ch, err := Describe(r.Params)
	if err != nil {
		t.Fatal(err)
	}
	if r.Stats.WrongTokens > 0 || r.Stats.WrongBlocks > 0 {
		t.Errorf("Analyze takes it for %v: %d corrections, %+v", ch, r.Corrections, r.Stats)
	}
}

func rightOrNot(right bool) string {
	if right {
		return "right"
	}
	return "wrong"
}
