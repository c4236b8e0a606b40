package main

import (
	"strings"
	"testing"
)

// An image that could be run is not taken for a signature because of its tag.
func TestRunnableUnderSignatureTag(t *testing.T) {
	w := newSignedWorlds(t).world(t, "sign ecdsa index")
	for _, kind := range []string{".sig", ".att"} {
		tag := strings.Replace(w.index, ":", "-", 1) + kind
		w.putManifest(tag, w.manifest(w.other))
		file := w.save()
		o := w.verify(file, cosigner)
		if wrong := o.refusal(exitUntrusted); wrong != "" {
			t.Fatalf("%s: %s", kind, wrong)
		}
		if !strings.Contains(o.errout, tag+": is not signed as it must be") {
			t.Errorf("%s: %s", kind, o.errout)
		}
	}
}
