package bundle

import (
	"bale/bundle/chunk"
	"bale/bundle/index"
)

// maxVotes is among how many structures that of a blob's predecessor is sought.
const maxVotes = 64

// tracker follows the files of one blob, finds their predecessors, and
// remembers them as predecessors of files to come.
type tracker struct {
	old   *predecessors // nil: it does nothing
	store *chunkStore

	file    *chunk.File
	of      *change     // nil if the file has no predecessor
	runs    []index.Run // of the file
	changed bool        // some of it was stored as changed
	added   bool        // some of it is new

	lane     *oldFile // the structure of this blob, once it is complete
	votes    []vote   // for the structures that predecessors stand in
	of0      *change  // of the structure
	changed0 bool
}

func (b *Writer) newTracker(o BlobOptions) *tracker {
	t := &tracker{store: b.chunks}
	if !o.Meta {
		t.old = b.old
		t.lane = &oldFile{base: own}
	}
	return t
}

// change returns what a piece is to be compared with, if anything.
func (t *tracker) change(p chunk.Piece) *change {
	switch {
	case t.old == nil:
		return nil
	case p.Lane == chunk.Structure:
		return t.structure()
	case p.File == nil:
		t.endFile()
		return nil
	case p.File != t.file:
		t.endFile()
		t.file = p.File
		if old := t.old.find(p.File.Name, p.File.Size, t.lane); old != nil {
			t.vote(old.lane)
			t.of = newChange(old, p.File.Size, t.store.chunksOf)
		}
	}
	return t.of
}

// structure returns the structure in which most predecessors of the blob's files
// stand.
func (t *tracker) structure() *change {
	if t.of0 == nil {
		var best vote
		for _, v := range t.votes {
			// One without size is not complete, or changed itself.
			if v.n > best.n && v.lane.size > 0 {
				best = v
			}
		}
		if best.lane != nil {
			t.of0 = newChange(best.lane, 0, t.store.chunksOf)
		}
	}
	return t.of0
}

// vote is how many files have their predecessors in one structure.
type vote struct {
	lane *oldFile
	n    int
}

func (t *tracker) vote(lane *oldFile) {
	for i := range t.votes {
		if t.votes[i].lane == lane {
			t.votes[i].n++
			return
		}
	}
	if len(t.votes) < maxVotes {
		t.votes = append(t.votes, vote{lane, 1})
	}
}

// put takes note of where a piece went.
func (t *tracker) put(p chunk.Piece, id uint32) {
	if t.old == nil {
		return
	}
	c := class(id >> classShift)
	changed := c == changedContentClass || c == changedStructureClass
	if p.Lane == chunk.Structure {
		t.changed0 = t.changed0 || changed
		return
	}
	if t.file != nil {
		t.runs = appendRun(t.runs, id, 1)
		t.changed = t.changed || changed
		t.added = t.added || c != externalClass
	}
}

// endFile remembers a file, if it is new and stored plainly: what is changed
// itself is nothing to compare with.
func (t *tracker) endFile() {
	if f := t.file; f != nil && t.added && !t.changed && t.store.back != nil {
		t.old.add(f.Name, &oldFile{base: own, runs: t.runs, size: f.Size, lane: t.lane})
	}
	t.file, t.of, t.runs, t.changed, t.added = nil, nil, nil, false, false
}

// end ends the blob, whose structure has these chunks.
func (t *tracker) end(structure []index.Run) {
	if t.old == nil {
		return
	}
	t.endFile()
	if t.changed0 {
		return // the files that name it find nothing in it
	}
	t.lane.runs = structure
	for w := (walk{runs: structure}); ; {
		c, ok := w.next()
		if !ok {
			return
		}
		t.lane.size += t.store.length(c)
	}
}
