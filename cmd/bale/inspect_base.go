package main

import (
	"encoding/hex"
	"fmt"
	"io"

	"bale/bundle"
)

// updateKind is the kind of a bundle that builds on others, beside those that a
// base can be of.
const updateKind = "update"

// maxShown is how many names of images inspect shows of a base.
const maxShown = 10

// external is what a bundle does not carry itself.
type external struct {
	Chunks int   `json:"chunks"`
	Bytes  int64 `json:"bytes"` // unpacked
}

// inspectedBase is something that a bundle builds on.
type inspectedBase struct {
	ID     string   `json:"id"`
	Images []string `json:"images,omitempty"` // the first ones
	Names  int      `json:"imageCount"`
	external
}

func inspectBases(r *bundle.Reader) (list []inspectedBase, all external) {
	x := r.Index()
	next := uint32(x.Chunks.Own())
	for i := range x.Bases {
		b := &x.Bases[i]
		one := inspectedBase{
			ID: hex.EncodeToString(b.ID[:]), Images: b.Images[:min(len(b.Images), maxShown)], Names: len(b.Images),
			external: external{Chunks: b.Chunks},
		}
		for range b.Chunks {
			one.Bytes += x.Chunks.Length(next)
			next++
		}
		all.Chunks += one.Chunks
		all.Bytes += one.Bytes
		list = append(list, one)
	}
	return list, all
}

func (b *inspectedBase) print(w io.Writer) {
	fmt.Fprintf(w, "\nbuilds on %s\n  uses       %s unpacked in %s\n", b.ID, size(b.Bytes), count(b.Chunks, "chunk"))
	for i, name := range b.Images {
		label := "images"
		if i > 0 {
			label = ""
		}
		fmt.Fprintf(w, "  %-9s  %s\n", label, name)
	}
	if n := b.Names - len(b.Images); n > 0 {
		fmt.Fprintf(w, "  %-9s  and %d more\n", "", n)
	}
}
