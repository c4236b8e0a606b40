package deflate

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"testing"
)

// oldVectors are digests of what old versions make of the golden inputs, alone
// or with pgzip 1.2.5: the first half of the SHA-256 of all but the header.
var oldVectors = []struct {
	variant, level, size int
	input, sum           string
}{
	{klauspost1150, 5, 0, "mixed", "4368f58247672598"},
	{klauspost1150, 5, 262144, "mixed", "35410c34d504f268"},
	{klauspost1150, 5, 0, "noise", "a6dc9463dd885c1c"},
	{klauspost1150, 5, 262144, "noise", "4a1a73a333355cff"},
	{klauspost1150, 5, 0, "brink", "df5f1f96612dc116"},
	{klauspost1150, 5, 262144, "brink", "abcfda81a80b6508"},
	{klauspost1141, 5, 0, "mixed", "9c52fe8e13914fb6"},
	{klauspost1141, 5, 262144, "mixed", "433588294ce155c7"},
	{klauspost1141, 5, 0, "noise", "4de89138dfaa9f30"},
	{klauspost1141, 5, 262144, "noise", "e7cd8242ba813783"},
	{klauspost1141, 5, 0, "brink", "df5f1f96612dc116"},
	{klauspost1141, 5, 262144, "brink", "abcfda81a80b6508"},
	{klauspost1123, 5, 0, "mixed", "cffcf26d1b2cd6a9"},
	{klauspost1123, 5, 262144, "mixed", "59524584cdcb72d3"},
	{klauspost1123, 5, 0, "noise", "2868ff9b276a7999"},
	{klauspost1123, 5, 262144, "noise", "b56e45e5cc37a3fe"},
	{klauspost1123, 5, 0, "brink", "df5f1f96612dc116"},
	{klauspost1123, 5, 262144, "brink", "abcfda81a80b6508"},
	{klauspost1122, 5, 0, "mixed", "cffcf26d1b2cd6a9"},
	{klauspost1122, 5, 262144, "mixed", "59524584cdcb72d3"},
	{klauspost1122, 5, 0, "noise", "2868ff9b276a7999"},
	{klauspost1122, 5, 262144, "noise", "b56e45e5cc37a3fe"},
	{klauspost1122, 5, 0, "brink", "df5f1f96612dc116"},
	{klauspost1122, 5, 262144, "brink", "abcfda81a80b6508"},
	{klauspost1113, 5, 0, "mixed", "abf85d0cf5957eca"},
	{klauspost1113, 5, 262144, "mixed", "0fc0c49105b4152c"},
	{klauspost1113, 5, 0, "noise", "2868ff9b276a7999"},
	{klauspost1113, 5, 262144, "noise", "b56e45e5cc37a3fe"},
	{klauspost1113, 5, 0, "brink", "df5f1f96612dc116"},
	{klauspost1113, 5, 262144, "brink", "abcfda81a80b6508"},
	{klauspost1102, 5, 0, "mixed", "6a2a18b974792ee9"},
	{klauspost1102, 5, 262144, "mixed", "dd870932d02c79cd"},
	{klauspost1102, 5, 0, "noise", "bbdc0c0d689e6bf3"},
	{klauspost1102, 5, 262144, "noise", "22594d01abd7c27c"},
	{klauspost1102, 5, 0, "brink", "df5f1f96612dc116"},
	{klauspost1102, 5, 262144, "brink", "abcfda81a80b6508"},
	{klauspost192, 5, 0, "mixed", "6b9edf24ba014a47"},
	{klauspost192, 5, 262144, "mixed", "ecf699c6b58a866a"},
	{klauspost192, 5, 0, "noise", "e4ced41c149de0a7"},
	{klauspost192, 5, 262144, "noise", "3d0be932deafae53"},
	{klauspost192, 5, 0, "brink", "51cfe1128fcd799d"},
	{klauspost192, 5, 262144, "brink", "9608d2105d7ba447"},
	{klauspost140, 5, 0, "noise", "f69610184c5108d7"},
	{klauspost140, 5, 262144, "noise", "c828a71354427bd6"},
	{klauspost140, 5, 0, "brink", "5c329afaf7d9c7d8"},
	{klauspost140, 5, 262144, "brink", "610cf47bb58e7538"},
	{klauspost140, 5, 0, "text", "8768bb8f166a11c5"},
	{klauspost140, 5, 262144, "text", "cd25dc6de894bca8"},
	{klauspost140, 5, 262144, "mixed", "eec86b3fbf200daf"},
	{klauspost1150, 4, 262144, "mixed", "e400cdc8c242afd4"},
	{klauspost1150, 4, 0, "noise", "240d508685d2f2b5"},
	{klauspost1150, 7, 262144, "mixed", "6a80a5f6a961b5ff"},
	{klauspost1150, 7, 0, "noise", "8b8ca15417e30306"},
	{klauspost1150, 8, 262144, "mixed", "b38b41600acff1ac"},
	{klauspost1150, 8, 0, "noise", "8142ee4f3588b515"},
	{klauspost1150, 9, 262144, "mixed", "f4ad8bdf315e83e2"},
	{klauspost1150, 9, 0, "noise", "e9d9357ee9f86d18"},
	{klauspost1150, -2, 262144, "mixed", "836b794dd7148582"},
	{klauspost1150, -2, 0, "noise", "879ce9bea2b0258e"},
	{klauspost1141, 4, 262144, "mixed", "8f6d6c6a842383cb"},
	{klauspost1141, 4, 0, "noise", "bd6aba3665f581d9"},
	{klauspost1141, 7, 262144, "mixed", "6a80a5f6a961b5ff"},
	{klauspost1141, 7, 0, "noise", "8b8ca15417e30306"},
	{klauspost1141, 8, 262144, "mixed", "b38b41600acff1ac"},
	{klauspost1141, 8, 0, "noise", "8142ee4f3588b515"},
	{klauspost1141, 9, 262144, "mixed", "f4ad8bdf315e83e2"},
	{klauspost1141, 9, 0, "noise", "e9d9357ee9f86d18"},
	{klauspost1141, -2, 262144, "mixed", "836b794dd7148582"},
	{klauspost1141, -2, 0, "noise", "879ce9bea2b0258e"},
	{klauspost1123, 4, 262144, "mixed", "b0da018504e462d7"},
	{klauspost1123, 4, 0, "noise", "382b44b4b092604d"},
	{klauspost1123, 7, 262144, "mixed", "2657299cc6be7aa3"},
	{klauspost1123, 7, 0, "noise", "7aa983da773efaae"},
	{klauspost1123, 8, 262144, "mixed", "9478d824a83e6cb2"},
	{klauspost1123, 8, 0, "noise", "b26dedc8aec602ec"},
	{klauspost1123, 9, 262144, "mixed", "cb5621b51a1b9f8e"},
	{klauspost1123, 9, 0, "noise", "0fbe64ecf2986d73"},
	{klauspost1123, -2, 262144, "mixed", "836b794dd7148582"},
	{klauspost1123, -2, 0, "noise", "879ce9bea2b0258e"},
	{klauspost1113, 4, 262144, "mixed", "b0da018504e462d7"},
	{klauspost1113, 4, 0, "noise", "382b44b4b092604d"},
	{klauspost1113, 7, 262144, "mixed", "2657299cc6be7aa3"},
	{klauspost1113, 7, 0, "noise", "7aa983da773efaae"},
	{klauspost1113, 8, 262144, "mixed", "9478d824a83e6cb2"},
	{klauspost1113, 8, 0, "noise", "b26dedc8aec602ec"},
	{klauspost1113, 9, 262144, "mixed", "cb5621b51a1b9f8e"},
	{klauspost1113, 9, 0, "noise", "0fbe64ecf2986d73"},
	{klauspost1102, 4, 262144, "mixed", "ca59613f0dac138f"},
	{klauspost1102, 4, 0, "noise", "107cd44cfecc9d91"},
	{klauspost1102, 7, 262144, "mixed", "2657299cc6be7aa3"},
	{klauspost1102, 7, 0, "noise", "7aa983da773efaae"},
	{klauspost1102, 8, 262144, "mixed", "9478d824a83e6cb2"},
	{klauspost1102, 8, 0, "noise", "b26dedc8aec602ec"},
	{klauspost1102, 9, 262144, "mixed", "cb5621b51a1b9f8e"},
	{klauspost1102, 9, 0, "noise", "0fbe64ecf2986d73"},
	{klauspost192, 7, 262144, "mixed", "d9293807a207f511"},
	{klauspost192, 7, 0, "noise", "3c0c5a67bbcd4a4b"},
	{klauspost192, 8, 262144, "mixed", "1bee62d87fc5c32e"},
	{klauspost192, 8, 0, "noise", "5b1443320e532a31"},
	{klauspost192, 9, 262144, "mixed", "73a2a7769c186e4f"},
	{klauspost192, 9, 0, "noise", "95f21b140c864b7f"},
}

// TestOldKlauspost checks that the models of old versions make the very
// streams, without any correction.
func TestOldKlauspost(t *testing.T) {
	for _, v := range oldVectors {
		raw := goldenInput(t, v.input)
		p, s := newOldPgzip(v.variant, v.level, v.size)
		f := forecast{p: p, s: s}
		w := frameWriter{}
		for start, final := 0, false; !final; {
			size, dict := len(raw)-start, 0
			if v.size > 0 {
				size, dict = min(size, v.size), min(start, pgzipDict)
			}
			final = start+size == len(raw)
			w.in = &input{data: raw[start-dict : start+size], base: -dict, last: true, final: final}
			if !f.frame(w.in, min(v.size, 1), &w) {
				t.Fatalf("%+v: no forecast of the frame at %d", v, start)
			}
			start += size
		}
		w.align(0)
		w.out = binary.LittleEndian.AppendUint32(w.out, crc32.ChecksumIEEE(raw))
		w.out = binary.LittleEndian.AppendUint32(w.out, uint32(len(raw)))
		if sum := sha256.Sum256(w.out); hex.EncodeToString(sum[:8]) != v.sum {
			t.Errorf("%+v: not what the compressor makes", v)
		}
	}
}

func TestOldKlauspostUnknown(t *testing.T) {
	for _, class := range []int{-1, 0, 11, klauspostK7} {
		if p, s := newOldPgzip(class, 5, 0); p != nil || s != nil {
			t.Errorf("there is a model of %d", class)
		}
	}
}
