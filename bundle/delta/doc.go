// Package delta makes and applies patches between two versions of content, in
// the spirit of bsdiff (C. Percival, "Naive differences of executable code",
// 2003): stretches of new that are like ones of old are described by where
// those are and by what differs, and the rest is literal.
//
// What differs in a program that was built again is mostly addresses: code
// moved, so all that refers to it changes. Where a reference leads can be
// told from old, and where that place went is known from the stretches
// themselves, or from the references met before. So both sides foretell
// references, and a patch only says where that goes wrong. This does not need
// to know file formats: what is not a reference, or is one of another
// architecture, just costs what a difference costs.
//
// A patch is laid out to be compressed: numbers of each sort and literals are
// apart. Measured with klauspost zstd at its best (4 MiB of new each, with the
// old content around its place by 4 MiB), in thousands of bytes; dictionary is
// the same with old as raw dictionary:
//
//	                     new    zstd  dictionary  bsdiff  plain  patch
//	libnode           47,461  13,215       3,168     716  1,321     77
//	postgres           9,007   3,890       1,232     817    868    421
//	its other files   36,399  15,410       4,122   3,923      -  3,969
//	python3.11         6,810   2,609       1,114     923  1,009    735
//	libcrypto          4,742   1,855         502     204    255     92
//	perl               3,809   1,164         133      73     70     26
//	redis              2,387     930         169      62     88     14
//	crane, of Go      11,891   4,472       1,165     493    638    323
//	SQLite database    2,470   1,180          21      17     21     21
//
// All but the last two are from Debian packages and their security updates.
// Bsdiff compresses with its own bzip2. Plain is the same spans with bsdiff's
// zero-filled differences, not foretold. At zstd's default level patches take
// 2 to 11 % more, and a dictionary hardly helps large files. There is no suffix
// array, as bsdiff has one: it would help a little where nothing is foretold.
//
// # Format
//
// A patch makes new from old. Of old only the first 16 MiB count; new has at
// most 16 MiB, and its size is known from elsewhere, as is that of the patch,
// which is at most the size of new and 65 bytes. Numbers are unsigned LEB128
// (as in Go's encoding/binary), at most 2^32-1. A signed number v of 32 bits
// stands as (v << 1) xor (v >> 31), the shift to the right being arithmetic.
// All sums and differences of 32-bit values are modulo 2^32; words are little
// endian. An offset into old or new is counted from its start, 0 being the
// first byte.
//
// A patch is the lengths of thirteen streams (thirteen numbers, in bytes), the
// thirteen streams in the same order, and literals up to the end of the patch:
//
//	0 skips    how many literal bytes stand in new before each span
//	1 lengths  of the spans in bytes, at least 1
//	2 jumps    signed: from the end of the last span in old (at first from 0) to the start of this one
//	3 phases   pairs of numbers
//	4 gaps, 5 kinds, 6 values       differences in plain bytes
//	7 gaps, 8 kinds, 9 values       differences of relative fields
//	10 gaps, 11 kinds, 12 values    differences of absolute fields
//
// The spans are in the order of new. There is one for each number of streams
// 0 to 2, which hold equally many. After the last span come the literals that
// are left. Each span lies inside old, and the spans and the literals make up
// new exactly.
//
// Programs that stand one after the other in new may be aligned differently. The
// phase, from 0 to 7 and 0 before the first span, is by how much. Each pair of
// phases is how many spans there are since the last change (since the start, for
// the first pair), at least 1 but for the first pair, and the phase from there on.
//
// A span is rebuilt from its bytes in old. Let i be 0, and go on as follows.
// Fields are looked for from byte i of the span on: the next field is the one
// at the least k for which k >= i, the span has at least 5 bytes from k on, and
// one of these holds, the first one of them before the second:
//   - Absolute: the offset in new of byte k is the phase modulo 8; the span
//     has at least 8 bytes from k on; and these in old are a word of 64 bits that
//     is at least 2^16 and less than 2^27. The field is the 4 bytes from k on.
//   - Relative: byte b at k in old is E8 or E9 (hexadecimal), or b and C7 is 05,
//     or b is 80 to 8F and k > 0 and byte k-1 of the span in old is 0F; and the
//     4 bytes from k+1 on in old are a signed word that is at least -2^26 and
//     less than 2^26. The field is these 4 bytes.
//
// The bytes from i up to the field (or to the end of the span, if there is
// none) are plain; then the field is rebuilt, and i becomes what follows it.
//
// Each class (plain, relative, absolute) has its own streams of differences,
// which run through all spans. Gaps says what stands between a difference and
// the one before (or the start): for plain bytes how many of them are right as
// they are, for fields how many fields are foretold rightly. When gaps is used
// up all that follows is right. Kinds is a byte for each difference: 0 means
// that the difference is the next signed number of values; k from 1 to 64 that
// it is the k-th of the 64 last differences of that class, the last one being
// the first. Each difference that is met is put first; if it was the k-th,
// those before it move back by one; else all do, and the last is forgotten.
// At first all 64 are 0. No difference is 0, and no kind is over 64.
//
// A difference in plain bytes concerns the 4 bytes from there on, or as many as
// are left up to the field or the end of the span: it is added to them as a
// word, of which as many bytes are kept. They count as done, and the next gap
// starts after them.
//
// A field's value v, the word in old, refers to a target: relative, the offset
// in old of the field's end, plus v as a signed word; absolute, v. The base of
// a relative field is v minus what the span's offset in new exceeds that in
// old by; the base of an absolute one is v. If by how much the target was
// moved is known, the base plus that is foretold, otherwise v. Where there is a
// difference it is added to what is foretold; and then, and only then, by how
// much the target was moved is learned: the field's value now, minus the base.
//
// What is known of targets is kept apart for relative and for absolute fields,
// each in three tables that are empty at the start of a patch. Let c be the
// target divided by 16, rounded down:
//   - Cells, for relative fields only: one for each 16 bytes of old, the last
//     one perhaps shorter. Before the first span is rebuilt, each cell that a
//     span of at least 32 bytes has a byte in is set to what the span's offset
//     in new exceeds that in old by; the longest of several spans counts, and
//     of equally long ones the last.
//   - Far, for targets without a cell: 16384 entries of a c and a shift. The
//     entry is number (c * 9E3779B1 hexadecimal modulo 2^32) divided by 2^18,
//     rounded down; it counts if its c is that of the target.
//   - Pages: 32768 shifts, by the target divided by 4096, rounded down, modulo
//     32768.
//
// Known is what the target's cell or entry of far says, and if that says
// nothing, what its page says. What is learned is set in the page, and in the
// cell or, where there is none, in the entry of far, whose c becomes that of
// the target. A shift of 2^31 counts as not known.
//
// At the end of the patch all streams are used up, and so are the literals.
package delta
