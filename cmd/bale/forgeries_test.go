package main

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle/container"
	"bale/bundle/index"
	"bale/bundle/pack"
)

// vector is a bundle with one thing wrong, and what becomes of it. It is
// written to testdata/vectors, where other programs may use it too.
type vector struct {
	name   string
	reason string
	// The exit codes: of verify with the key, of load to a layout, of inspect
	// with the key.
	verify, load, inspect int
	says                  string // part of the error message
	forgery               forgery
}

// unwritten are vectors that have no file, since others are like them.
var unwritten = []string{
	"good-first-signer-unknown", "signature-large", "version-2-members", "header-space", "header-no-json", "header-id",
	"header-other", "index-long", "index-magic", "entry-unknown", "frame-short", "pack-magic", "pack-other", "frame-bomb-unsaid",
	"zeroes", "end-mark", "packs-exchanged", "cut-before-signature", "blob-order", "header-time", "image-twice",
	"entry-out-of-order", "sums-altered", "index-cut", "dictionary-loop", "dictionary-missing", "external-chunks",
}

const zeroes64 = "0000000000000000000000000000000000000000000000000000000000000000"

// vectors lists them all. A bundle that is signed by the key can lie
// about content that inspect has no reason to decompress; verify and load find
// that out.
func vectors() []vector {
	return slices.Concat(goodVectors(), containerVectors(), trustVectors(), headerVectors(), indexVectors(), recipeVectors(), packVectors())
}

func goodVectors() []vector {
	return []vector{
		{"good", "an honest bundle", 0, 0, 0, "", forgery{}},
		{"good-second-signer", "a signature by an unknown key beside one by the key", 0, 0, 0, "",
			forgery{sign: signWith(forgeKey, strangeKey)}},
		{"good-first-signer-unknown", "a signature by the key beside one by an unknown key", 0, 0, 0, "",
			forgery{sign: signWith(strangeKey, forgeKey)}},
		{"good-openpgp", "an OpenPGP signature beside the Sigstore one, which version 1 ignores", 0, 0, 0, "",
			forgery{after: func(e []entryFile) []entryFile {
				return append(e, entryFile{container.OpenPGPName, []byte("-----BEGIN PGP SIGNATURE-----\n")})
			}}},
	}
}

// tampered is a vector whose entries were changed by somebody without the key.
func tampered(name, reason, says string, after func(e []entryFile) []entryFile) vector {
	return vector{name, reason, exitDamaged, exitDamaged, exitDamaged, says, forgery{after: after}}
}

// rawly is a vector whose bytes were changed by somebody without the key.
func rawly(name, reason, says string, raw func(b []byte) []byte) vector {
	return vector{name, reason, exitDamaged, exitDamaged, exitDamaged, says, forgery{raw: raw}}
}

func containerVectors() []vector {
	fakePack := "packs/" + zeroes64 + ".pack"
	return []vector{
		rawly("empty", "no bytes at all", "not a bale bundle", func([]byte) []byte { return nil }),
		rawly("text", "no tar", "not a bale bundle", func([]byte) []byte { return bytes.Repeat([]byte("This is not a bundle.\n"), 100) }),
		rawly("zeroes", "a tar without entries", "not a bale bundle", func(b []byte) []byte { return make([]byte, 1024) }),
		rawly("cut-in-header", "cut in the middle of a tar header", "truncated", func(b []byte) []byte { return b[:1024+300] }),
		rawly("cut-in-pack", "cut in the middle of a pack", "truncated", func(b []byte) []byte { return b[:1024+512+50] }),
		rawly("cut-before-signature", "cut between two entries", "truncated", func(b []byte) []byte { return b[:offset(b, container.SigstoreName)] }),
		rawly("cut-end-mark", "one block of the end mark is missing", "truncated", func(b []byte) []byte { return b[:len(b)-512] }),
		rawly("long", "a byte after the end mark", "follow the end", func(b []byte) []byte { return append(b, 0) }),
		rawly("padding", "padding that is not zero", "padding", func(b []byte) []byte { b[1023] = 1; return b }),
		rawly("end-mark", "an end mark that is not zero", "end mark", func(b []byte) []byte { b[len(b)-1] = 1; return b }),
		rawly("header-mode", "a tar header with mode 0755, its checksum right", "not as bale writes it",
			func(b []byte) []byte { return editHeader(b, func(h []byte) { copy(h[100:], "0000755\x00") }) }),
		rawly("header-checksum", "a tar header with a wrong checksum", "not a bale bundle",
			func(b []byte) []byte { b[150] ^= 1; return b }),
		tampered("entry-twice", "a pack that is there twice", "is there twice",
			func(e []entryFile) []entryFile { return slices.Insert(e, 1, e[1]) }),
		tampered("entry-out-of-order", "the index before the packs", "out of order",
			func(e []entryFile) []entryFile { e[1], e[3] = e[3], e[1]; return e }),
		tampered("packs-swapped", "two packs that have changed places", "is missing before",
			func(e []entryFile) []entryFile { e[1], e[2] = e[2], e[1]; return e }),
		tampered("packs-exchanged", "two packs that have exchanged their content", "where the bundle has",
			func(e []entryFile) []entryFile { e[1].data, e[2].data = e[2].data, e[1].data; return e }),
		tampered("pack-removed", "a pack that is not there", "is missing from the bundle",
			func(e []entryFile) []entryFile { return slices.Delete(e, 2, 3) }),
		tampered("receipt", "a bundle without the packs of its layers", "this is a receipt",
			func(e []entryFile) []entryFile { return slices.Delete(e, 1, 2) }).but(exitIncomplete, exitIncomplete, exitDone),
		tampered("pack-renamed", "a pack under another name", "is not in SHA256SUMS",
			func(e []entryFile) []entryFile { e[2].name = fakePack; return e }),
		tampered("pack-added", "a pack that SHA256SUMS does not list", "is not in SHA256SUMS",
			func(e []entryFile) []entryFile { return slices.Insert(e, 1, entryFile{fakePack, []byte("x")}) }),
		tampered("index-removed", "no index", "index.zst is missing",
			func(e []entryFile) []entryFile { return slices.Delete(e, 3, 4) }),
		tampered("sums-removed", "no SHA256SUMS", "no SHA256SUMS",
			func(e []entryFile) []entryFile { return slices.Delete(e, 4, 5) }),
		tampered("entry-unknown", "an entry of no known kind", "extra/file",
			func(e []entryFile) []entryFile { return slices.Insert(e, 3, entryFile{"extra/file", []byte("x")}) }),
		tampered("entry-unsafe", "an entry whose name leads out of a folder", "entry name",
			func(e []entryFile) []entryFile { return slices.Insert(e, 3, entryFile{"../evil", []byte("x")}) }),
		vector{"entry-unknown-signed", "an entry of no known kind, signed", exitDamaged, exitDamaged, exitDamaged, "not one of a bundle of version 1",
			forgery{signed: func(e []entryFile) []entryFile { return slices.Insert(e, 3, entryFile{"extra/file", []byte("x")}) }}},
	}
}

func (v vector) but(verify, load, inspect int) vector {
	v.verify, v.load, v.inspect = verify, load, inspect
	return v
}

func trustVectors() []vector {
	no := func(name, reason, says string, f forgery) vector {
		return vector{name, reason, exitUntrusted, exitUntrusted, exitUntrusted, says, f}
	}
	return []vector{
		no("unsigned", "no signature", "not signed", forgery{sign: func(testing.TB, []byte) [][]byte { return nil }}),
		no("stranger", "signed by an unknown key only", "not signed by a given key", forgery{sign: signWith(strangeKey)}),
		no("openpgp-only", "an OpenPGP signature only", "OpenPGP", forgery{
			sign:  func(testing.TB, []byte) [][]byte { return nil },
			after: func(e []entryFile) []entryFile { return append(e, entryFile{container.OpenPGPName, []byte("x")}) },
		}),
		no("signature-of-other", "the key's signature of something else", "with the digest", forgery{
			sign: func(t testing.TB, sums []byte) [][]byte { return signWith(forgeKey)(t, append(sums, '\n')) },
		}),
		no("sums-altered", "another sum in SHA256SUMS", "with the digest", forgery{after: func(e []entryFile) []entryFile {
			e[4].data = bytes.Replace(e[4].data, []byte("0"), []byte("1"), 1)
			return e
		}}),
		no("resummed", "an altered pack with a new sum, under the old signature", "with the digest", forgery{after: func(e []entryFile) []entryFile {
			e[1].data = append(bytes.Clone(e[1].data), 0)
			e[4].data = sumsOf(e[:4])
			return e
		}}),
		no("signature-newer", "a signature in a newer form", "another version", forgery{sign: func(t testing.TB, sums []byte) [][]byte {
			s := signWith(forgeKey)(t, sums)[0]
			return [][]byte{bytes.Replace(s, []byte("bundle.v0.3"), []byte("bundle.v9.0"), 1)}
		}}),
		{"signature-no-json", "a signature that cannot be read", exitDamaged, exitDamaged, exitDamaged, "SHA256SUMS.sigstore.json",
			forgery{sign: func(testing.TB, []byte) [][]byte { return [][]byte{[]byte("{")} }}},
		{"signature-large", "a signature over the limit of 64 KiB", exitDamaged, exitDamaged, exitDamaged, "limit",
			forgery{sign: func(testing.TB, []byte) [][]byte { return [][]byte{make([]byte, 64<<10+1)} }}},
	}
}

func headerVectors() []vector {
	edit := func(name, reason, says string, code int, old, new string) vector {
		return vector{name, reason, code, code, code, says,
			forgery{header: func(h string) string { return strings.Replace(h, old, new, 1) }}}
	}
	return []vector{
		edit("version-2", "a newer version of the format", "format version 2", exitFailed, `"version": 1`, `"version": 2`),
		edit("version-2-members", "a newer version with members of its own", "format version 2", exitFailed, `"version": 1,`, "\"version\": 2,\n  \"x\": {},"),
		edit("version-0", "no version of the format", "version 0", exitDamaged, `"version": 1`, `"version": 0`),
		edit("feature", "a feature that is not known", "feature", exitFailed, `"bale test"`, "\"bale test\",\n  \"features\": [\n    \"x\"\n  ]"),
		edit("bases", "a header that names a base, and an index that has none", "the index names 0 bases", exitDamaged, `"bale test"`, "\"bale test\",\n  \"bases\": [\n    \"000102030405060708090a0b0c0d0eff\"\n  ]"),
		edit("header-member", "a member that version 1 does not have", "not in the form", exitDamaged, `"version": 1,`, "\"version\": 1,\n  \"x\": 1,"),
		edit("header-space", "bale.json with a space more", "not in the form", exitDamaged, `"version": 1`, `"version":  1`),
		edit("header-time", "another time than in the tar headers", "tar headers say", exitDamaged, "2027", "2026"),
		edit("header-id", "an id that is none", "not a bundle id", exitDamaged, "000102", "zzzzzz"),
		edit("header-no-json", "bale.json that is no JSON", "invalid character", exitDamaged, "{", "["),
		edit("header-other", "another format", "tale", exitDamaged, `"bale"`, `"tale"`),
	}
}

func indexVectors() []vector {
	lie := func(name, reason, says string, code int, change func(x *index.Index)) vector {
		return vector{name, reason, code, code, code, says, forgery{index: change}}
	}
	table := func(name, reason, says string, code int, change func(b []byte) []byte) vector {
		return vector{name, reason, code, code, code, says, forgery{table: change}}
	}
	none := digest.NewDigestFromEncoded(digest.SHA256, zeroes64)
	return []vector{
		lie("chunk-missing", "a blob of chunks that do not exist", "do not exist", exitDamaged, func(x *index.Index) {
			x.Blobs[0].Lanes = [][]index.Run{{{First: uint32(x.Chunks.Len()), Count: 1}}}
		}),
		lie("blob-size", "a blob that is longer than its chunks", "raw bytes", exitDamaged, func(x *index.Index) {
			x.Blobs[0].Size++
			x.Blobs[0].RawSize++
		}),
		lie("blob-order", "blobs out of order", "not in order", exitDamaged, func(x *index.Index) { slices.Reverse(x.Blobs) }),
		lie("frame-size", "a frame that is larger than its chunks", "raw bytes", exitDamaged, func(x *index.Index) { x.Frames[0].Raw++ }),
		lie("frame-kind", "a frame of an unknown kind", "frames of kind 9", exitFailed, func(x *index.Index) { x.Frames[1].Kind = 9 }),
		lie("dictionary-loop", "a frame that is its own dictionary", "needs a dictionary itself", exitDamaged, func(x *index.Index) {
			x.Frames[1].Kind, x.Frames[1].Dictionary = pack.Dictionary, []index.Run{{First: 1, Count: 1}}
		}),
		lie("dictionary-chain", "a dictionary in a frame with a dictionary", "needs a dictionary itself", exitDamaged, func(x *index.Index) {
			x.Frames[0].Kind, x.Frames[0].Dictionary = pack.Dictionary, []index.Run{{First: 1, Count: 1}}
			x.Frames[1].Kind, x.Frames[1].Dictionary = pack.Dictionary, []index.Run{{First: 2, Count: 1}}
		}),
		lie("dictionary-missing", "a dictionary of chunks that do not exist", "does not exist", exitDamaged, func(x *index.Index) {
			x.Frames[0].Kind, x.Frames[0].Dictionary = pack.Dictionary, []index.Run{{First: 9, Count: 1}}
		}),
		lie("recipe-kind", "a recipe of an unknown kind", "recipe 7", exitFailed, func(x *index.Index) { x.Blobs[0].Recipe = 7 }),
		lie("external-chunks", "chunks of a base that the header does not name", "the index names 1 bases", exitDamaged, func(x *index.Index) {
			x.Bases = []index.Base{{Chunks: 1}}
			x.Chunks.AddExternal(index.Hash{1}, 5)
		}),
		{"update", "an update without what it builds on", exitDone, exitIncomplete, exitDone, "does not carry", forgery{
			header: func(h string) string {
				return strings.Replace(h, `"bale test"`, "\"bale test\",\n  \"bases\": [\n    \""+strings.Repeat("0", 32)+"\"\n  ]", 1)
			},
			index: func(x *index.Index) {
				x.Bases = []index.Base{{Chunks: 1}}
				x.Chunks.AddExternal(x.Chunks.Hash(1), int(x.Chunks.Length(1)))
				for i := range x.Blobs {
					if b := &x.Blobs[i]; b.Lanes[0][0].Count == 2 {
						b.Lanes[0] = []index.Run{{First: 0, Count: 1}, {First: uint32(x.Chunks.Own()), Count: 1}}
					}
				}
			},
		}},
		lie("pack-size", "a pack of another size than its entry", "where the bundle has", exitDamaged, func(x *index.Index) {
			x.Packs[1].Size++
			x.Frames[2].Stored++
		}),
		lie("pack-missing", "a pack that is not in the bundle", "packs", exitDamaged, func(x *index.Index) {
			x.Packs = append(x.Packs, index.Pack{Digest: none, Size: pack.HeaderSize + 1, Frames: 1})
			x.Frames = append(x.Frames, index.Frame{Stored: 1, Raw: 1, Chunks: 1})
			x.Chunks.Add(index.Hash{1}, 1)
		}),
		lie("pack-other", "a pack of another digest than its entry", "where the bundle has", exitDamaged, func(x *index.Index) { x.Packs[0].Digest = none }),
		lie("root-missing", "an image whose manifest is not in the bundle", "root", exitDamaged, func(x *index.Index) { x.Images[0].Digest = none }),
		lie("layer-missing", "an image whose layer is not in the bundle", "missing from the bundle", exitDamaged, func(x *index.Index) {
			x.Blobs = slices.DeleteFunc(x.Blobs, func(b index.Blob) bool { return len(b.Lanes[0]) == 1 && b.Lanes[0][0].Count == 2 })
		}),
		lie("image-twice", "two images of one name", "there twice", exitDamaged, func(x *index.Index) { x.Images = append(x.Images, x.Images[0]) }),
		lie("image-name", "an image whose name is none", "image called", exitDamaged, func(x *index.Index) { x.Images[0].Name = "../../Etc" }),
		lie("image-type", "an image of an odd media type", "media type", exitFailed, func(x *index.Index) { x.Images[0].MediaType = "text/plain" }),
		table("index-version", "an index of a newer version", "index version 2", exitFailed, func(b []byte) []byte { b[15] = 2; return b }),
		table("index-magic", "something else for an index", "not an index", exitDamaged, func(b []byte) []byte { b[8] = 'x'; return b }),
		table("index-root-size", "an index that says 4 GiB of its root", "over the limit", exitDamaged, func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[20:], 1<<32-1)
			return b
		}),
		table("index-cut", "an index that ends early", "inside a segment", exitDamaged, func(b []byte) []byte { return b[:len(b)-10] }),
		table("index-long", "an index with a byte too much", "after its last segment", exitDamaged, func(b []byte) []byte { return append(b, 0) }),
	}
}

// recipeVectors have a layer that was taken apart. What its recipe comes to is
// only known when it is followed, which inspect has no reason to do.
func recipeVectors() []vector {
	lie := func(name, reason, says string, inspect int, change func(b *index.Blob)) vector {
		code := exitDamaged
		if inspect == exitFailed {
			code = exitFailed
		}
		return vector{name, reason, code, code, inspect, says, forgery{apart: true, index: func(x *index.Index) {
			change(&x.Blobs[slices.IndexFunc(x.Blobs, func(b index.Blob) bool { return b.Recipe == index.Deflate })])
		}}}
	}
	params := func(change func(p []byte) []byte) func(b *index.Blob) {
		return func(b *index.Blob) { b.Params = change(bytes.Clone(b.Params)) }
	}
	return []vector{
		{"good-apart", "a layer that was taken apart", 0, 0, 0, "", forgery{apart: true}},
		lie("recipe-cut", "a recipe without parameters", "cut off", exitDamaged, params(func([]byte) []byte { return nil })),
		lie("recipe-newer", "a recipe of a newer version", "version", exitFailed, params(func(p []byte) []byte { p[1]++; return p })),
		lie("recipe-model", "a recipe with a model that does not exist", "recipe", exitDamaged, params(func(p []byte) []byte { p[2] = 200; return p })),
		lie("recipe-corrections", "a recipe with other corrections", "rebuild", exitDone, params(func(p []byte) []byte { p[len(p)/2+4] ^= 0x55; return p })),
		lie("recipe-short", "a recipe whose corrections run out", "rebuild", exitDone, params(func(p []byte) []byte { return p[:len(p)-4] })),
		lie("recipe-long", "a recipe with more corrections than it needs", "rebuild", exitDone, params(func(p []byte) []byte { return append(p, 1, 2, 3, 4) })),
		lie("recipe-raw", "a recipe for more raw bytes than its chunks have", "raw bytes", exitDamaged, func(b *index.Blob) { b.RawSize++ }),
		lie("recipe-chunks", "a recipe with other chunks", "content has digest", exitDone, func(b *index.Blob) {
			b.Lanes = [][]index.Run{{{First: 1, Count: 1}, {First: 0, Count: 1}}}
		}),
		lie("recipe-extra", "corrections in two places", "corrections", exitDamaged, func(b *index.Blob) { b.Extra = []index.Run{{First: 0, Count: 1}} }),
		lie("recipe-of-raw", "a recipe for what is stored", "stored", exitDamaged, func(b *index.Blob) { b.Recipe = index.Stored }),
	}
}

func packVectors() []vector {
	// Inspect does not decompress layers; frame 2 holds manifests, which all read.
	layer := func(name, reason, says string, code int, f forgery) vector {
		return vector{name, reason, code, code, exitDone, says, f}
	}
	all := func(name, reason, says string, code int, f forgery) vector {
		return vector{name, reason, code, code, code, says, f}
	}
	instead := func(n int, b []byte) func(int, []byte) []byte {
		return func(i int, honest []byte) []byte {
			if i == n {
				return b
			}
			return honest
		}
	}
	return []vector{
		tampered("pack-altered", "a byte of the layer's pack", "does not have the sum", func(e []entryFile) []entryFile {
			e[1].data = bytes.Clone(e[1].data)
			e[1].data[40] ^= 1
			return e
		}).but(exitDamaged, exitDamaged, exitDone),
		tampered("pack-altered-manifest", "a byte of the manifest's pack", "does not have the sum", func(e []entryFile) []entryFile {
			e[2].data = bytes.Clone(e[2].data)
			e[2].data[40] ^= 1
			return e
		}),
		layer("frame-bomb", "a frame that decompresses to 64 MiB instead of 1 KiB, signed", "the index says 1024", exitDamaged, forgery{frame: instead(0, bombFrame(64<<20))}),
		layer("frame-bomb-unsaid", "the same in frames that do not say their size", "the index says 1024", exitDamaged, forgery{frame: instead(0, bareBomb(64<<20, false))}),
		all("manifest-bomb", "a bomb where the manifest should be, signed", "the index says", exitDamaged, forgery{frame: instead(2, bombFrame(64<<20))}),
		layer("frame-short", "a frame that decompresses to less, signed", "the index says 1024", exitDamaged, forgery{frame: instead(0, bombFrame(100))}),
		layer("frame-noise", "a frame that is no Zstandard, signed", "magic number", exitDamaged, forgery{frame: instead(0, bytes.Repeat([]byte("noise"), 20))}),
		layer("chunk-other", "a chunk of other content than its hash says, signed", "has other content", exitDamaged, forgery{frame: instead(0, bombFrame(1024))}),
		layer("blob-other", "a blob of other chunks than its digest says, signed", "content has digest", exitDamaged, forgery{index: func(x *index.Index) {
			for i := range x.Blobs {
				if b := &x.Blobs[i]; b.Lanes[0][0].Count == 2 {
					b.Lanes = [][]index.Run{{{First: 1, Count: 1}, {First: 0, Count: 1}}}
				}
			}
		}}),
		all("pack-version", "packs of a newer version", "pack version 2", exitFailed, forgery{pack: func(_ int, b []byte) []byte {
			b = bytes.Clone(b)
			b[14] = 2
			return b
		}}),
		all("pack-magic", "something else for packs", "not a pack", exitDamaged, forgery{pack: func(_ int, b []byte) []byte {
			b = bytes.Clone(b)
			b[8] = 'x'
			return b
		}}),
	}
}

// bombFrame is an honest frame of n zero bytes.
func bombFrame(n int) []byte {
	z, err := pack.NewEncoder(pack.Best)
	if err != nil {
		panic(err)
	}
	return z.Encode(nil, make([]byte, n))
}

// bareBomb is a Zstandard frame of n zero bytes made by hand: blocks of 128 KiB
// that repeat one byte (RFC 8878, 3.1.1.2). It says how much that is, or not.
func bareBomb(n int64, said bool) []byte {
	const block = 128 << 10
	b := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3} // magic, flags, window of 128 KiB
	if said {
		b[4] = 3 << 6 // eight bytes of content size
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	for ; n > 0; n -= block {
		h := uint32(block)<<3 | 1<<1
		if n <= block {
			h |= 1
		}
		b = append(b, byte(h), byte(h>>8), byte(h>>16), 0)
	}
	return b
}

// offset returns where the tar header of an entry begins.
func offset(b []byte, name string) int {
	return bytes.Index(b, append([]byte(name), 0))
}

// editHeader changes the first tar header and sets its checksum right.
func editHeader(b []byte, change func(h []byte)) []byte {
	h := b[:512]
	change(h)
	copy(h[148:156], "        ")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:156], checksum(sum))
	return b
}

// checksum is how tar writes it: six octal digits, a zero byte, a space.
func checksum(n int) []byte {
	out := []byte("000000\x00 ")
	for i := 5; i >= 0; i-- {
		out[i] = byte('0' + n&7)
		n >>= 3
	}
	return out
}
