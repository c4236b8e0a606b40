package bundle

import (
	"context"
	"hash/maphash"
	"io"
	"math"
	"path"
	"strings"

	"bale/bundle/chunk"
	"bale/bundle/index"
)

const (
	// maxFiles bounds how many files are remembered as predecessors: at some
	// hundred bytes each.
	maxFiles = 1 << 20
	// maxCandidates is how many files of one name are looked at.
	maxCandidates = 32
	// maxLikeness is by what factor the size of a file may differ from that of
	// another path's to be taken for its predecessor.
	maxLikeness = 4
)

// oldFile is content that a changed file may be compared with: a file of a
// base or of this bundle, or the structure of a tar.
type oldFile struct {
	base int // whose runs these are: ordinals of a base, or ids of this bundle (own)
	runs []index.Run
	size int64
	lane *oldFile // the structure that the file stands in; nil for a structure
}

// own is the base number of what is in the bundle itself.
const own = -1

// predecessors finds files by what they are called: by the whole path, by the
// path without digits, by the last part of it without digits.
type predecessors struct {
	seed  maphash.Seed
	last  map[uint64]int32 // the last file of a name
	files []predecessor
}

type predecessor struct {
	*oldFile
	path uint64
	next [2]int32 // the file before of the same loose path, and last part; -1 if none
}

func newPredecessors() *predecessors {
	return &predecessors{seed: maphash.MakeSeed(), last: make(map[uint64]int32)}
}

// names returns the keys of a file. Keys are hashes, whose seed differs from
// run to run: two names that share a key by accident only cost a comparison
// that brings nothing, and happen once in 2^64.
func (p *predecessors) names(name string) (exact uint64, loose [2]uint64) {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	key := func(kind, s string) uint64 { return maphash.String(p.seed, kind+s) }
	l := withoutDigits(name)
	return key("=", name), [2]uint64{key("~", l), key("/", path.Base(l))}
}

// withoutDigits puts one # in the place of each number.
func withoutDigits(s string) string {
	if !strings.ContainsAny(s, "0123456789") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case c < '0' || c > '9':
			b = append(b, c)
		case len(b) == 0 || b[len(b)-1] != '#':
			b = append(b, '#')
		}
	}
	return string(b)
}

// add remembers a file.
func (p *predecessors) add(name string, f *oldFile) {
	if len(p.files) == maxFiles || f.size == 0 {
		return
	}
	n := int32(len(p.files))
	exact, loose := p.names(name)
	one := predecessor{oldFile: f, path: exact}
	for i, key := range loose {
		one.next[i] = -1
		if before, ok := p.last[key]; ok {
			one.next[i] = before
		}
		p.last[key] = n
	}
	p.files = append(p.files, one)
}

// find returns the likeliest predecessor of a file, or nil: that of the same
// path, else of the same path but for numbers, else a base's of the same last
// part if the sizes are alike; among equals the one whose size is nearest, and
// the one added last. What stands in the same tar, whose structure is in, is none.
func (p *predecessors) find(name string, size int64, in *oldFile) *oldFile {
	exact, loose := p.names(name)
	for i, key := range loose {
		var best *predecessor
		n, ok := p.last[key]
		for k := 0; ok && n >= 0 && k < maxCandidates; k++ {
			f := &p.files[n]
			// Within a bundle files of one name are too many, and seldom alike; what
			// stands in the same tar is a sibling.
			if (i == 0 || f.base != own) && f.lane != in && (best == nil || better(f, best, exact, size)) {
				best = f
			}
			n = f.next[i]
		}
		if best != nil && (best.path == exact || i == 0 || likeness(best.size, size) <= maxLikeness) {
			return best.oldFile
		}
	}
	return nil
}

func better(f, than *predecessor, exact uint64, size int64) bool {
	if a, b := f.path == exact, than.path == exact; a != b {
		return a
	}
	return likeness(f.size, size) < likeness(than.size, size)
}

// likeness is by what factor two sizes differ.
func likeness(a, b int64) float64 {
	if a == 0 || b == 0 {
		return math.Inf(1)
	}
	return float64(max(a, b)) / float64(min(a, b))
}

// addBases remembers the files of all bases whose content is at hand.
func (p *predecessors) addBases(ctx context.Context, h *held) error {
	for i, r := range h.bases {
		for j := range r.index.Blobs {
			if err := p.addBlob(ctx, h, i, &r.index.Blobs[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

// addBlob remembers the files of one tar.
func (p *predecessors) addBlob(ctx context.Context, h *held, base int, b *index.Blob) error {
	r := h.bases[base]
	readable := func(runs []index.Run) bool {
		for _, run := range runs {
			for c := run.First; c < run.First+run.Count; c++ {
				if !h.readable(h.id(base, c)) {
					return false
				}
			}
		}
		return true
	}
	if len(b.Lanes) < int(chunk.Lanes) || !readable(b.Lanes[chunk.Structure]) {
		return nil
	}
	lane := &oldFile{base: base, runs: b.Lanes[chunk.Structure]}
	for _, run := range lane.runs {
		for c := run.First; c < run.First+run.Count; c++ {
			lane.size += r.index.Chunks.Length(c)
		}
	}
	content := &cursor{walk{runs: b.Lanes[chunk.Content]}, r.index.Chunks.Length}
	structure := &heldLane{walk: walk{runs: lane.runs}, ctx: ctx, held: h, base: base}
	return chunk.Files(structure, func(f chunk.File) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		runs, ok := content.take(f.Size)
		if !ok {
			// The writer knew of files where the lane has none; that is no harm.
			content.walk = walk{}
			return nil
		}
		if readable(runs) {
			p.add(f.Name, &oldFile{base: base, runs: runs, size: f.Size, lane: lane})
		}
		return nil
	})
}

// walk goes through the chunks of runs, one by one.
type walk struct {
	runs []index.Run
	done uint32 // of the first run
}

func (w *walk) next() (chunk uint32, ok bool) {
	for len(w.runs) > 0 && w.done == w.runs[0].Count {
		w.runs, w.done = w.runs[1:], 0
	}
	if len(w.runs) == 0 {
		return 0, false
	}
	w.done++
	return w.runs[0].First + w.done - 1, true
}

// cursor takes files off the runs of a content lane.
type cursor struct {
	walk
	length func(uint32) int64
}

// take returns the runs of the next size bytes, and false if no chunk ends there.
func (c *cursor) take(size int64) (out []index.Run, ok bool) {
	for size > 0 {
		n, ok := c.next()
		if !ok {
			return nil, false
		}
		size -= c.length(n)
		out = appendRun(out, n, 1)
	}
	return out, size == 0
}

// heldLane reads the chunks of a lane of a base, from whatever base has them.
type heldLane struct {
	walk
	ctx  context.Context
	held *held
	base int
	rest []byte
}

func (l *heldLane) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		c, ok := l.next()
		if !ok {
			return 0, io.EOF
		}
		var err error
		if l.rest, err = l.held.chunk(l.ctx, l.held.id(l.base, c)); err != nil {
			return 0, err
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}
