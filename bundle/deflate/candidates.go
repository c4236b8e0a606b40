package deflate

import "bytes"

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
	level(Zlib, zlibPlain, Single, zlibLevels...)
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
