package deflate

import "fmt"

// A Family is a kin of compressors.
type Family uint8

// The families that predictors are for. Their values, and those of variants
// and framings, are written to recipes: they are fixed for ever.
const (
	Generic   Family = iota // any compressor: the matches that a search finds
	Go                      // Go's compress/flate up to 1.26
	Klauspost               // klauspost/compress, pgzip, and Go from 1.27 on
	Zlib                    // zlib, GNU gzip, BusyBox, pigz
	families
)

// A Framing is a way of cutting a member into parts that are compressed
// separately.
type Framing uint8

// The framings.
const (
	Single    Framing = iota // one compressor for all of it
	PGZip1M                  // pgzip, blocks of 1 MiB
	PGZip512K                // pgzip, blocks of 512 KiB
	PGZip256K                // pgzip, blocks of 256 KiB
	Pigz                     // pigz: blocks of 128 KiB
	PigzAlone                // pigz --independent
	PigzRsync                // pigz --rsyncable
	framings
)

// A Choice names a model: what is thought to have made a stream.
type Choice struct {
	Family  Family
	Variant uint8 // of the family
	Level   int8
	Memory  uint8 // zlib's memLevel; 0 elsewhere
	Framing Framing
}

// models returns the parts of the model; p is nil for the generic one, and cut
// for a single frame.
func (ch Choice) models() (p predictor, s shape, cut *cutter, err error) {
	if cut, err = ch.Framing.cutter(); err != nil {
		return nil, nil, nil, err
	}
	known := ch.Level >= 1 && ch.Level <= 9
	switch ch.Family {
	case Generic:
		if known = ch == (Choice{}); known {
			s = newGenericShape()
		}
	case Go:
		if known = ch.Variant == 0 && ch.Memory == 0 && ch.Level >= goHuffman && ch.Level <= 9 && ch.Level != -1; known {
			p, s = newGo(int(ch.Level))
		}
	case Klauspost:
		if known = (known || ch.Level == goHuffman) && ch.Memory == 0; known {
			make := newPgzip
			if ch.Variant < klauspost11511 {
				make = newOldPgzip
			}
			p, s = make(int(ch.Variant), int(ch.Level), ch.Framing.size())
			known = p != nil
		}
	case Zlib:
		if known = known && ch.Variant <= zlibRsync && ch.Memory >= 1 && ch.Memory <= 9; known {
			p, s = newZlib(ch.Variant, int(ch.Level), int(ch.Memory))
		}
	default:
		known = false
	}
	if !known {
		return nil, nil, nil, misfit("unknown model %d.%d, level %d", ch.Family, ch.Variant, ch.Level)
	}
	return p, s, cut, nil
}

// String says who made the stream, for people: "go 6", "pigz 9".
func (ch Choice) String() string {
	name := "?"
	switch ch.Family {
	case Generic:
		return "generic"
	case Go:
		name = "go"
	case Klauspost:
		name = "klauspost"
	case Zlib:
		if int(ch.Variant) < len(zlibNames) {
			name = zlibNames[ch.Variant]
		}
	}
	name = fmt.Sprintf("%s %d", name, ch.Level)
	if ch.Family == Zlib && ch.Memory != zlibMemory {
		name = fmt.Sprintf("%s memLevel %d", name, ch.Memory)
	}
	if ch.Framing > Single && ch.Framing < framings {
		name += [...]string{"", ", pgzip 1 MiB", ", pgzip 512 KiB", ", pgzip 256 KiB", "", "", " --rsyncable"}[ch.Framing]
	}
	return name
}

// size returns the size of pgzip's blocks; 0 for other framings.
func (f Framing) size() int {
	switch f {
	case PGZip1M:
		return 1 << 20
	case PGZip512K:
		return 512 << 10
	case PGZip256K:
		return 256 << 10
	}
	return 0
}

// zlibNames are the names of the zlib family's variants.
var zlibNames = []string{"zlib", "gzip", "busybox gzip", "pigz", "pigz -i", "gzip --rsyncable"}

// zlibMemory is the usual memLevel.
const zlibMemory = 8
