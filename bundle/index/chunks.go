package index

import "crypto/sha256"

// Hash is the SHA-256 of a chunk.
type Hash = [sha256.Size]byte

// Chunks is the table of chunks, kept as two plain arrays: 36 bytes a chunk.
// Those beyond Own are external: they lie in a base.
type Chunks struct {
	hashes  []byte
	lengths []uint32
	own     int // as long as no external chunk was added, all of them
}

// Len returns how many chunks there are, with external ones.
func (c *Chunks) Len() int { return len(c.lengths) }

// Own returns how many chunks the bundle carries itself.
func (c *Chunks) Own() int { return c.own }

// Add appends a chunk of the bundle's own. It must come before any external one.
func (c *Chunks) Add(h Hash, length int) {
	c.append(h, length)
	c.own++
}

// AddExternal appends a chunk of a base.
func (c *Chunks) AddExternal(h Hash, length int) { c.append(h, length) }

func (c *Chunks) append(h Hash, length int) {
	c.hashes = append(c.hashes, h[:]...)
	c.lengths = append(c.lengths, uint32(length))
}

// Hash returns the hash of a chunk.
func (c *Chunks) Hash(i uint32) Hash {
	return Hash(c.hashes[int(i)*sha256.Size : (int(i)+1)*sha256.Size])
}

// Length returns the length of a chunk in bytes.
func (c *Chunks) Length(i uint32) int64 { return int64(c.lengths[i]) }
