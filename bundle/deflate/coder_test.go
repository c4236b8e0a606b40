package deflate

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// TestCoder writes decisions of all kinds and reads them back.
func TestCoder(t *testing.T) {
	for seed := range uint64(50) {
		var buf bytes.Buffer
		run := func(c *coder, check bool) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			p := [3]prob{even, even, even}
			tree := make([]prob, 16)
			evens(tree)
			num := newNumber()
			for i := range 5000 {
				skew := 0
				if rnd.IntN(1000) < int(seed) {
					skew = 1
				}
				v := rnd.Uint64() >> (2 + rnd.IntN(60))
				w := rnd.IntN(1 << 16)
				ask := func(v int) int {
					if check {
						return 0
					}
					return v
				}
				if got := c.bit(&p[i%3], ask(skew)); got != skew {
					t.Fatalf("seed %d step %d: bit %d, want %d", seed, i, got, skew)
				}
				if got := c.tree(tree, 4, ask(w&15)); got != w&15 {
					t.Fatalf("seed %d step %d: tree %d, want %d", seed, i, got, w&15)
				}
				if got := c.number(&num, uint64(ask(int(v)))); got != v {
					t.Fatalf("seed %d step %d: number %d, want %d", seed, i, got, v)
				}
				if got := c.plain(16, uint32(ask(w))); got != uint32(w) {
					t.Fatalf("seed %d step %d: plain %d, want %d", seed, i, got, w)
				}
			}
			if err := c.finish(); err != nil {
				t.Fatal(err)
			}
		}
		run(newWritingCoder(&buf), false)
		run(newReadingCoder(bytes.NewReader(buf.Bytes())), true)
	}
}

// TestCoderSure checks what decisions cost that always come out the same.
func TestCoderSure(t *testing.T) {
	var buf bytes.Buffer
	c := newWritingCoder(&buf)
	p := even
	for range 100_000 {
		c.bit(&p, 0)
	}
	if err := c.finish(); err != nil {
		t.Fatal(err)
	}
	if buf.Len() > 50 {
		t.Errorf("100000 sure decisions take %d bytes", buf.Len())
	}
}

// TestCoderEnd checks that too few and too many bytes are noticed.
func TestCoderEnd(t *testing.T) {
	var buf bytes.Buffer
	c := newWritingCoder(&buf)
	c.plain(16, 12345)
	if err := c.finish(); err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{buf.Bytes()[:buf.Len()-3], append(bytes.Clone(buf.Bytes()), 0)} {
		c := newReadingCoder(bytes.NewReader(b))
		c.plain(16, 0)
		if err := c.finish(); !errors.Is(err, ErrRecipe) {
			t.Errorf("%d bytes: error %v", len(b), err)
		}
	}
}
