package deflate

import (
	"bytes"
	"encoding/binary"
)

// pgzipVariants are the versions of klauspost/compress, the most widespread first.
var pgzipVariants = []uint8{klauspostK7, klauspostK8, klauspost11511, klauspost1180, klauspost1182}

// oldVariants are those whose tables differ from today's.
var oldVariants = []uint8{
	klauspost1150, klauspost1141, klauspost1123, klauspost1122,
	klauspost1113, klauspost1102, klauspost192, klauspost140,
}

// candidates returns the models to try on a stream, in the order of how likely
// they are by the tell-tales of its beginning: what the gzip header says (RFC
// 1952, section 2.3.1), and where blocks without content stand, as compressors
// put them that are told to flush.
func candidates(begin []byte) []Choice {
	var list []Choice
	add := func(more ...Choice) { list = append(list, more...) }
	level := func(f Family, variant uint8, framing Framing, levels ...int8) {
		for _, l := range levels {
			c := Choice{Family: f, Variant: variant, Level: l, Framing: framing}
			if f == Zlib {
				c.Memory = zlibMemory
			}
			add(c)
		}
	}
	// the extra flags tell the slowest level and the fastest one
	zlibLevels := []int8{6, 9, 1, 5, 7, 8, 4, 3, 2}
	switch begin[8] {
	case 2:
		zlibLevels = []int8{9, 8, 7, 6, 5, 4, 3, 2, 1}
	case 4:
		zlibLevels = []int8{1, 2, 3, 6, 9, 4, 5, 7, 8}
	}
	framing := framingOf(begin)
	pgzip := framing
	if pgzip.size() == 0 {
		pgzip = PGZip1M
	}
	// The Go program that did not say when gives the year 1.
	if binary.LittleEndian.Uint32(begin[4:]) == 0x886e0900 || framing.size() != 0 {
		for n, l := range []int8{5, 9, 6, 1} {
			for _, v := range pgzipVariants {
				level(Klauspost, v, pgzip, l)
			}
			if n == 0 {
				for _, v := range oldVariants {
					level(Klauspost, v, pgzip, l)
				}
			}
		}
		for _, v := range []uint8{klauspostK7, klauspostK8} {
			level(Klauspost, v, pgzip, 2, 3, 4, 7, 8)
		}
	}
	switch framing {
	case Pigz:
		level(Zlib, zlibPigz, Pigz, zlibLevels...)
		level(Zlib, zlibPigzAlone, PigzAlone, zlibLevels...)
	case PigzRsync:
		level(Zlib, zlibRsync, Single, zlibLevels...)
		level(Zlib, zlibPigz, PigzRsync, zlibLevels...)
	}
	switch begin[9] {
	case 3: // Unix, which Go and pgzip do not say
		level(Zlib, zlibGNU, Single, zlibLevels[:3]...)
		level(Zlib, zlibPlain, Single, zlibLevels[:3]...)
		level(Zlib, zlibBusyBox, Single, 6)
		level(Zlib, zlibPigz, Pigz, zlibLevels[:3]...)
	}
	goLevels := []int8{6, 1, 9, 5, 4, 7, 8, 3, 2, goHuffman, goStored}
	switch begin[8] {
	case 2:
		goLevels = []int8{9, 6, 1, 8, 7, 5, 4, 3, 2}
	case 4:
		goLevels = []int8{1, 6, 9, 2, 3, 4, 5}
	}
	if begin[9] == 255 {
		level(Go, 0, Single, goLevels[:3]...)
		for _, l := range []int8{6, 5, 1, 9} {
			level(Klauspost, klauspostK8, Single, l)
			level(Klauspost, klauspostK7, Single, l)
		}
	}
	level(Zlib, zlibPlain, Single, zlibLevels...)
	level(Go, 0, Single, goLevels...)
	level(Klauspost, klauspostK8, Single, 5, 6, 1, 2, 3, 4, 7, 8, 9)
	for _, v := range pgzipVariants[1:] {
		level(Klauspost, v, Single, 5, 6, 1, 9)
	}
	for _, v := range oldVariants {
		level(Klauspost, v, Single, 5)
	}
	level(Zlib, zlibGNU, Single, zlibLevels...)
	for _, l := range zlibLevels[:4] {
		add(Choice{Family: Zlib, Variant: zlibPlain, Level: l, Memory: 9})
	}
	add(Choice{Family: Generic})
	return once(list)
}

// once drops what stands in a list twice.
func once(list []Choice) []Choice {
	seen := make(map[Choice]bool)
	kept := list[:0]
	for _, c := range list {
		if !seen[c] {
			seen[c] = true
			kept = append(kept, c)
		}
	}
	return kept
}

// framingOf guesses the framing from where the first blocks without content
// stand.
func framingOf(begin []byte) Framing {
	at := flushes(begin)
	if len(at) == 0 {
		return Single
	}
	switch at[0] {
	case 1 << 20:
		return PGZip1M
	case 512 << 10:
		return PGZip512K
	case 256 << 10:
		return PGZip256K
	case 128 << 10:
		return Pigz
	}
	if at[0] < 128<<10 {
		return PigzRsync
	}
	return Single
}

// flushes returns the positions, in raw bytes, of the first blocks without
// content.
func flushes(begin []byte) (at []int) {
	z := newTokenizer(newBitReader(bytes.NewReader(begin)))
	pos := 0
	for len(at) < 4 {
		p, err := z.next()
		if err != nil || p.kind == pieceTrailer {
			break
		}
		if pos += len(p.raw); p.kind == pieceBlock && p.starts && p.ends && len(p.raw) == 0 && !p.block.final {
			at = append(at, pos)
		}
	}
	return at
}
