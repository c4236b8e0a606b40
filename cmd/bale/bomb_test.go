package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"bale/bundle/index"
)

// Whoever has the key can make bale read a bomb; it must not go off.
func TestBombsTakeNoMemory(t *testing.T) {
	const (
		bomb  = 8 << 30
		frame = 16 << 20  // the most that a frame may hold
		most  = 200 << 10 // KiB of memory, all of the program included
	)
	bombs := map[string]forgery{}
	for name, said := range map[string]bool{"said": true, "unsaid": false} {
		f := forgery{frame: func(n int, honest []byte) []byte {
			if n == 0 {
				return bareBomb(bomb, said)
			}
			return honest
		}}
		bombs[name] = f
		// An index that plays along as far as the format lets it.
		f.index = func(x *index.Index) {
			x.Frames[0].Raw = frame
			x.Frames[0].Chunks = frame >> 20
			var all index.Chunks
			for n := range frame >> 20 {
				all.Add(index.Hash{1, byte(n)}, 1<<20)
			}
			for n := 1; n < x.Chunks.Len(); n++ {
				all.Add(x.Chunks.Hash(uint32(n)), int(x.Chunks.Length(uint32(n))))
			}
			x.Chunks = all
			for i := range x.Blobs {
				r := &x.Blobs[i].Lanes[0][0]
				if r.First == 0 { // the layer, of all there is
					r.Count = frame>>20 + 1
					x.Blobs[i].Size = frame + x.Frames[1].Raw
					x.Blobs[i].RawSize = x.Blobs[i].Size
				} else {
					r.First += frame>>20 - 1
				}
			}
		}
		bombs[name+" and indexed"] = f
	}
	for name, f := range bombs {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "b.bale")
			if err := os.WriteFile(file, f.make(t), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("bale", "load", "-i", file, "--key", testdata(t, "keys", forgePub), "--to", "oci:"+filepath.Join(dir, "out"))
			var out, errout bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errout
			_ = cmd.Run() // its exit code is looked at below
			o := outcome{cmd.ProcessState.ExitCode(), out.String(), errout.String()}
			if wrong := o.refusal(exitDamaged); wrong != "" {
				t.Errorf("exit %d: %s\n%s", o.code, wrong, o.errout)
			}
			if wrong := leftovers(dir, "b.bale"); wrong != "" {
				t.Error(wrong)
			}
			if got := peakMemory(cmd.ProcessState); got > most {
				t.Errorf("took %d KiB of memory, want at most %d", got, most)
			}
		})
	}
}
