package deflate

// A zlibVariant is a relative of zlib. All of them search with the same
// algorithm, which came from gzip 1.0; they differ at the edges.
type zlibVariant = uint8

const (
	zlibPlain     zlibVariant = iota // zlib's deflate
	zlibGNU                          // GNU gzip
	zlibBusyBox                      // BusyBox gzip
	zlibPigz                         // pigz: zlib in frames, filled up to whole bytes
	zlibPigzAlone                    // pigz -i
	zlibRsync                        // gzip --rsyncable
)

// A zlibLevel says how hard is searched.
type zlibLevel struct {
	good  int // search a quarter as far when there is a match of this length already
	lazy  int // do not look for a better match than one of this length; at levels 1 to 3: insert no strings within longer ones
	nice  int // stop at a match of this length
	chain int // candidates
}

// zlibLevels has been the same in all relatives for ever.
var zlibLevels = [10]zlibLevel{
	1: {4, 4, 8, 4},
	2: {4, 5, 16, 8},
	3: {4, 6, 32, 32},
	4: {4, 4, 16, 16},
	5: {8, 16, 32, 32},
	6: {8, 16, 128, 128},
	7: {8, 32, 128, 256},
	8: {32, 128, 258, 1024},
	9: {32, 258, 258, 4096},
}

const (
	zlibWindow = 32 << 10
	// zlibLookahead is what must be in the window before it goes on: the
	// longest match, the string after it and one byte.
	zlibLookahead = maxMatch + minMatch + 1
	// zlibFar is the longest distance that is used.
	zlibFar = zlibWindow - zlibLookahead
	// zlibTooFar is the longest distance at which three bytes are worth a match.
	zlibTooFar = 4096
)

// A zlibKind is what the parts of the model need to know of the compressor.
type zlibKind struct {
	variant zlibVariant
	level   int
	zlibLevel
	hashBits uint
	tokens   int // a block holds so many at most
}

// gnu reports whether the compressor is GNU gzip or a copy of it.
func (k *zlibKind) gnu() bool {
	return k.variant == zlibGNU || k.variant == zlibBusyBox || k.variant == zlibRsync
}

// newZlib returns the model of a relative of zlib. Level is 1 to 9. So is
// memLevel where zlib itself is at work; GNU gzip has no choice, and BusyBox
// may have been built to use more memory (as in Debian), which is 9. What is
// out of range is taken as 6 and 8.
func newZlib(variant zlibVariant, level, memLevel int) (predictor, shape) {
	if level < 1 || level > 9 {
		level = 6
	}
	if memLevel < 1 || memLevel > 9 {
		memLevel = 8
	}
	k := zlibKind{variant: variant, level: level, hashBits: uint(memLevel + 7), tokens: 1<<(memLevel+6) - 1}
	switch {
	case variant == zlibBusyBox:
		k.level = max(level, 4)
		k.hashBits = 13
		if memLevel == 9 {
			k.hashBits = 15
		}
		k.tokens = 1<<k.hashBits - 1
	case k.gnu():
		k.hashBits, k.tokens = 15, 1<<15-1
	}
	k.zlibLevel = zlibLevels[k.level]
	if k.level < 4 {
		return newZlibFast(k), newZlibShape(k)
	}
	return newZlibLazy(k), newZlibShape(k)
}
