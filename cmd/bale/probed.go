package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"

	"bale/bundle/deflate"
	"bale/bundle/spill"
	"bale/transport"
)

// probed is what taking one layer apart and rebuilding it has told.
type probed struct {
	Name  string `json:"name"` // of a file, or a digest
	Size  int64  `json:"size"`
	Kept  string `json:"kept,omitempty"` // why it is better kept as it came
	Apart *apart `json:"takenApart,omitempty"`
}

type apart struct {
	RawSize     int64   `json:"rawSize"`
	Model       string  `json:"model"`
	Members     int64   `json:"members"`
	Blocks      int64   `json:"blocks"`
	WrongBlocks int64   `json:"wrongBlocks"` // predictions of their ends, types and headers
	Tokens      int64   `json:"tokens"`
	WrongTokens int64   `json:"wrongTokens"`
	Corrections int64   `json:"corrections"` // bytes
	Proven      bool    `json:"proven"`
	Analysis    float64 `json:"analysisSeconds"`
	Rebuild     float64 `json:"rebuildSeconds"`
}

// takeApart analyses a gzip stream, and rebuilds it to compare its digest.
func takeApart(ctx context.Context, size int64, open transport.Opener) (p probed, err error) {
	p.Size = size
	var corrections spill.Buffer
	defer func() { err = errors.Join(err, corrections.Close()) }()
	rc, err := open(ctx)
	if err != nil {
		return p, err
	}
	sum := digest.SHA256.Digester()
	in := io.TeeReader(rc, sum.Hash())
	start := time.Now()
	recipe, err := deflate.Analyze(ctx, in, size, &corrections)
	spent := time.Since(start)
	for _, kept := range []error{deflate.ErrNotGzip, deflate.ErrIrregular, deflate.ErrNotWorth} {
		if errors.Is(err, kept) {
			p.Kept = err.Error()
			return p, rc.Close()
		}
	}
	if err == nil {
		_, err = io.Copy(io.Discard, in) // to its verified end
	}
	if err := errors.Join(err, rc.Close()); err != nil {
		return p, err
	}
	p.Apart = &apart{
		RawSize: recipe.RawSize, Model: modelName(recipe.Params), Members: recipe.Stats.Members,
		Blocks: recipe.Stats.Blocks, WrongBlocks: recipe.Stats.WrongBlocks,
		Tokens: recipe.Stats.Tokens, WrongTokens: recipe.Stats.WrongTokens,
		Corrections: recipe.Corrections, Analysis: spent.Seconds(),
	}
	return p, p.Apart.prove(ctx, recipe, size, open, &corrections, sum.Digest())
}

// prove rebuilds a stream and compares it.
func (a *apart) prove(ctx context.Context, r *deflate.Recipe, size int64, open transport.Opener, corrections *spill.Buffer, want digest.Digest) error {
	rc, err := open(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	got, err := rebuilt(ctx, r.Params, size, deflate.NewInflater(rc), corrections.Reader())
	a.Rebuild = time.Since(start).Seconds()
	a.Proven = err == nil && got == want
	if errors.Is(err, deflate.ErrRecipe) {
		err = nil // it is not proven, and that is all
	}
	return errors.Join(err, rc.Close())
}

// rebuilt returns the digest of what a recipe gives.
func rebuilt(ctx context.Context, params []byte, size int64, raw, corrections io.Reader) (digest.Digest, error) {
	r, err := deflate.NewReader(params, size, raw, corrections)
	if err != nil {
		return "", err
	}
	sum := digest.SHA256.Digester()
	for err == nil && ctx.Err() == nil {
		_, err = io.CopyN(sum.Hash(), r, 1<<20)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return sum.Digest(), errors.Join(err, ctx.Err(), r.Close())
}

func (p *probed) print(w io.Writer) {
	a := p.Apart
	if a == nil {
		fmt.Fprintf(w, "%s\n  %s, kept as it came: %s\n", p.Name, size(p.Size), p.Kept)
		return
	}
	fmt.Fprintf(w, "%s\n  %s, %s raw, %s\n", p.Name, size(p.Size), size(a.RawSize), a.Model)
	tokens, blocks := count(int(a.Tokens), "token"), count(int(a.Blocks), "block")
	if a.WrongTokens == 0 && a.WrongBlocks == 0 {
		fmt.Fprintf(w, "  %s in %s, all as predicted", tokens, blocks)
	} else {
		fmt.Fprintf(w, "  wrong about %d of %s and %s about %s", a.WrongTokens, tokens, count(int(a.WrongBlocks), "time"), blocks)
	}
	fmt.Fprintf(w, "; corrections %s (%s)\n", size(a.Corrections), share(a.Corrections, p.Size))
	proof := "proven"
	if !a.Proven {
		proof = "not proven, which is a bug in bale"
	}
	fmt.Fprintf(w, "  %s; analysed in %.2f s (%s/s), rebuilt in %.2f s (%s/s)\n", proof,
		a.Analysis, rate(a.RawSize, a.Analysis), a.Rebuild, rate(a.RawSize, a.Rebuild))
}

func rate(n int64, seconds float64) string { return size(int64(float64(n) / max(seconds, 1e-6))) }
