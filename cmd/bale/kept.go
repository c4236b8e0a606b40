package main

import (
	"errors"
	"fmt"
	"sync"

	"github.com/opencontainers/go-digest"

	"bale/bundle"
)

// keptLayers looks at why layers were not taken apart. Most reasons are the
// layer's own affair; one is that bale has a bug, which somebody should hear of.
type keptLayers struct {
	mu       sync.Mutex
	unproven []digest.Digest
}

func (k *keptLayers) add(d digest.Digest, _ int64, why error) {
	if !errors.Is(why, bundle.ErrUnproven) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.unproven = append(k.unproven, d)
}

func (k *keptLayers) warn(a *app) {
	for _, d := range k.unproven {
		a.warn(fmt.Sprintf("%s is stored as it came, since it could not be rebuilt from its parts: a bug in bale, please report it", d))
	}
}
