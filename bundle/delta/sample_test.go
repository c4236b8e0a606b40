package delta

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// sample is a pair of contents.
type sample struct {
	name     string
	old, new []byte
}

// noise returns n bytes without structure.
func noise(r *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

// function is a piece of a program: code with calls in it.
type function struct {
	code  []byte
	calls []int // offsets of operands
	to    []int // what they call
}

func functions(r *rand.Rand, n int) []function {
	out := make([]function, n)
	for i := range out {
		f := &out[i]
		for range 2 + r.IntN(8) {
			f.code = append(f.code, noise(r, 5+r.IntN(20))...)
			f.code = append(f.code, []string{"\xe8", "\xe9", "\x48\x8d\x05", "\x0f\x84"}[r.IntN(4)]...)
			f.calls = append(f.calls, len(f.code))
			f.to = append(f.to, r.IntN(n))
			f.code = append(f.code, 0, 0, 0, 0)
		}
	}
	return out
}

// link lays functions out and makes a program of them: code, and a table of
// addresses. Those that order leaves out are called at their start of before.
func link(fs []function, order []int, base uint64) []byte {
	at := make(map[int]int)
	var out []byte
	for _, i := range order {
		for len(out)%16 != 0 {
			out = append(out, 0x90)
		}
		at[i] = len(out)
		out = append(out, fs[i].code...)
	}
	for _, i := range order {
		for j, c := range fs[i].calls {
			p := at[i] + c
			binary.LittleEndian.PutUint32(out[p:], uint32(at[fs[i].to[j]]-p-4))
		}
	}
	for len(out)%8 != 0 {
		out = append(out, 0)
	}
	for _, i := range order {
		out = binary.LittleEndian.AppendUint64(out, base+uint64(at[i]))
	}
	return out
}

// program returns a program before and after a change.
func program(n int) sample {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	fs := functions(r, n)
	var before, after []int
	for i := range n {
		if i%29 != 7 {
			before = append(before, i)
		}
		if i%31 != 3 {
			after = append(after, i)
		}
	}
	old := link(fs, before, 0x400000)
	for i := 5; i < n; i += 17 {
		copy(fs[i].code, noise(r, 3))
	}
	return sample{fmt.Sprintf("program of %d", n), old, link(fs, after, 0x401000)}
}

// grown returns a program before and after some functions became longer.
func grown(n int) sample {
	r := rand.New(rand.NewPCG(7, uint64(n)))
	fs := functions(r, n)
	order := r.Perm(n)
	old := link(fs, order, 0x400000)
	for i := 5; i < n; i += 371 {
		fs[i].code = append(fs[i].code, noise(r, 40)...)
	}
	return sample{fmt.Sprintf("grown program of %d", n), old, link(fs, order, 0x400000)}
}

// edited returns a text, or noise, before and after edits.
func edited(name string, old []byte, edits int) sample {
	r := rand.New(rand.NewPCG(2, uint64(edits)))
	now := bytes.Clone(old)
	for range edits {
		at := r.IntN(len(now) + 1)
		end := min(len(now), at+r.IntN(40))
		switch r.IntN(4) {
		case 0: // insert
			now = append(now[:at:at], append(noise(r, r.IntN(40)), now[at:]...)...)
		case 1: // remove
			now = append(now[:at:at], now[end:]...)
		case 2: // overwrite
			copy(now[at:end], noise(r, 40))
		case 3: // move
			p := bytes.Clone(now[at:end])
			now = append(now[:at:at], now[end:]...)
			to := r.IntN(len(now) + 1)
			now = append(now[:to:to], append(p, now[to:]...)...)
		}
	}
	return sample{name, old, now}
}

func text(n int) []byte {
	r := rand.New(rand.NewPCG(3, uint64(n)))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "%d: the %x jumps over the %x dog\n", b.Len(), r.IntN(50), r.IntN(9999))
	}
	return b.Bytes()[:n]
}

// samples are pairs of all sorts.
func samples() []sample {
	r := rand.New(rand.NewPCG(4, 4))
	random := noise(r, 50_000)
	zero := make([]byte, 100_000)
	out := []sample{
		{"nothing", nil, nil},
		{"from nothing", nil, []byte("abc")},
		{"to nothing", []byte("abc"), nil},
		{"one byte", []byte("a"), []byte("b")},
		{"short", []byte("hello world"), []byte("hello, world")},
		{"same", random, random},
		{"unlike", random, noise(r, 40_000)},
		{"first half", random, random[:25_000]},
		{"second half", random, random[25_000:]},
		{"halves changed round", random, append(bytes.Clone(random[25_000:]), random[:25_000]...)},
		{"twice", random, append(bytes.Clone(random), random...)},
		{"zeros", zero, zero[:99_999]},
		{"zeros from noise", random, zero},
		{"noise from zeros", zero, random},
		{"period 3", bytes.Repeat([]byte("abc"), 9000), bytes.Repeat([]byte("abc"), 9100)},
		program(20), program(600), grown(600),
		edited("text", text(60_000), 60),
	}
	for _, n := range []int{1, 10, 100, 1000, 5000} {
		out = append(out, edited(fmt.Sprintf("noise with %d edits", n), random, n))
	}
	return out
}
