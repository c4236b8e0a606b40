package main

import (
	"fmt"
	"io"

	"bale/bundle"
	"bale/bundle/deflate"
	"bale/bundle/index"
)

// takenApart sums up the blobs that are rebuilt from what they decompress to.
type takenApart struct {
	Blobs       int   `json:"blobs"`
	Size        int64 `json:"size"`
	RawSize     int64 `json:"rawSize"`
	Corrections int64 `json:"corrections"`
}

type inspectedBlob struct {
	Digest      string `json:"digest"`
	Size        int64  `json:"size"`
	Recipe      string `json:"recipe"`
	RawSize     int64  `json:"rawSize"`               // bytes that the recipe works on
	Model       string `json:"model,omitempty"`       // of the compressor
	Corrections *int64 `json:"corrections,omitempty"` // bytes
}

func inspectBlob(r *bundle.Reader, b *index.Blob) inspectedBlob {
	one := inspectedBlob{Digest: b.Digest.String(), Size: b.Size, Recipe: b.Recipe.String(), RawSize: b.RawSize}
	if recipe, ok := r.Recipe(b.Digest); ok {
		one.Model, one.Corrections = modelName(recipe.Params), &recipe.Corrections
	}
	return one
}

// modelName says what made a gzip stream, as far as a recipe's parameters tell.
func modelName(params []byte) string {
	d, err := deflate.Describe(params)
	if err != nil {
		return "unknown"
	}
	return fmt.Sprint(d)
}

func (b *inspectedBlob) print(w io.Writer) {
	fmt.Fprintf(w, "%s  %7s  %s", b.Digest, size(b.Size), b.Recipe)
	if b.Corrections != nil {
		fmt.Fprintf(w, "  %s, %s raw, corrections %s (%s)", b.Model, size(b.RawSize), size(*b.Corrections), share(*b.Corrections, b.Size))
	}
	fmt.Fprintln(w)
}

// share writes a part of a whole in per cent, as exactly as it is worth saying.
func share(part, whole int64) string {
	p := float64(part) * 100 / float64(max(whole, 1))
	if p < 9.95 {
		return fmt.Sprintf("%.2g %%", p)
	}
	return fmt.Sprintf("%.0f %%", p)
}
