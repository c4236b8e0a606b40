package image_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
	"bale/verify/image"
)

// An index that nobody signed counts by what it lists, so it must list the same
// for everybody: some readers take the first of two members of one name, others the
// last; Go's takes "Digest" for "digest" too.
func TestIndexOfTwoMeanings(t *testing.T) {
	k := newKeys(t)
	req := image.Requirement{Signed: by(k.alice)}
	for name, c := range map[string]struct {
		index string
		good  bool
	}{
		"clear":              {`{"manifests":[{"digest":"A"},{"digest":"B"}],"annotations":{"a":"1","b":"2"}}`, true},
		"two lists":          {`{"manifests":[{"digest":"X"}],"manifests":[{"digest":"A"},{"digest":"B"}]}`, false},
		"two lists, by case": {`{"manifests":[{"digest":"X"}],"Manifests":[{"digest":"A"},{"digest":"B"}]}`, false},
		"two digests":        {`{"manifests":[{"digest":"A"},{"digest":"X","digest":"B"}]}`, false},
		"two, by case":       {`{"manifests":[{"digest":"A"},{"digest":"X","DIGEST":"B"}]}`, false},
		"two, by a long s":   {`{"manifests":[{"digest":"A"},{"digest":"X","dige` + "\u017f" + `t":"B"}]}`, false},
		"two, escaped":       {`{"manifests":[{"digest":"A"},{"digest":"X","di\u0067est":"B"}]}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.index = w.put([]byte(c.index))
			w.children[w.index] = []digest.Digest{w.amd, w.arm}
			for _, child := range w.children[w.index] {
				w.refer(child, newer(t, k.alice, statementFor(child, image.SignaturePredicate)))
			}
			_, err := w.check(req, image.Options{})
			switch {
			case c.good && err != nil:
				t.Error(err)
			case !c.good && (!errors.Is(err, fault.ErrUntrusted) || !strings.Contains(err.Error(), "twice in one object")):
				t.Errorf("not refused: %v", err)
			}
			// Who signs the index itself signs its bytes.
			w.refer(w.index, newer(t, k.alice, statementFor(w.index, image.SignaturePredicate)))
			if _, err := w.check(req, image.Options{}); err != nil {
				t.Errorf("signed itself: %v", err)
			}
		})
	}
}
