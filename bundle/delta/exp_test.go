package delta

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

func enc(l zstd.EncoderLevel, o ...zstd.EOption) *zstd.Encoder {
	z, err := zstd.NewWriter(nil, append(o, zstd.WithEncoderLevel(l), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(16<<20))...)
	if err != nil {
		panic(err)
	}
	return z
}

type segm struct{ old, new []byte }

func segs(old, new []byte) (out []segm) {
	if len(new) <= 4<<20 && len(old) <= 16<<20 {
		return []segm{{old, new}}
	}
	for i := 0; i < len(new); i += 4 << 20 {
		end := min(len(new), i+4<<20)
		lo := int(float64(i)*float64(len(old))/float64(len(new))) - 4<<20
		hi := int(float64(end)*float64(len(old))/float64(len(new))) + 4<<20
		out = append(out, segm{old[max(lo, 0):min(hi, len(old))], new[i:end]})
	}
	return
}

func TestExp(t *testing.T) {
	d := os.Getenv("DELTA")
	if d == "" {
		t.Skip()
	}
	files, _ := filepath.Glob(d + "/*.new")
	sort.Strings(files)
	best, def := enc(zstd.SpeedBestCompression), enc(zstd.SpeedDefault)
	only := os.Getenv("ONLY")
	full := os.Getenv("FULL") != ""
	var tb, td int
	runtime.LockOSThread()
	var all time.Duration
	var bytesAll int
	cpu := func() time.Duration {
		var u syscall.Rusage
		syscall.Getrusage(1, &u)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".new")
		if only != "" && !strings.Contains(only, name) || only == "" && name == "pgsmall" && os.Getenv("PG") == "" {
			continue
		}
		nw, _ := os.ReadFile(f)
		od, _ := os.ReadFile(strings.TrimSuffix(f, ".new") + ".old")
		if full {
			var a, ad, dd, bs int
			var td time.Duration
			for _, s := range segs(od, nw) {
				a += len(best.EncodeAll(s.new, nil))
				t0 := time.Now()
				ad += len(enc(zstd.SpeedBestCompression, zstd.WithEncoderDictRaw(1, s.old)).EncodeAll(s.new, nil))
				td += time.Since(t0)
				dd += len(enc(zstd.SpeedDefault, zstd.WithEncoderDictRaw(1, s.old)).EncodeAll(s.new, nil))
				os.WriteFile(d+"/t1", s.old, 0o600)
				os.WriteFile(d+"/t2", s.new, 0o600)
				if out, err := exec.Command(d+"/../bsd/usr/bin/bsdiff", d+"/t1", d+"/t2", d+"/t3").CombinedOutput(); err != nil {
					t.Fatal(err, string(out))
				}
				fi, _ := os.Stat(d + "/t3")
				bs += int(fi.Size())
			}
			fmt.Printf("%-12s %9d zbest %9d dictbest %9d (%5.1f MB/s) dictdef %9d bsdiff %9d\n", name, len(nw), a, ad, float64(len(nw))/1e6/td.Seconds(), dd, bs)
			continue
		}
		var e Encoder
		var db, ddf, raw int
		var sz [streams + 1]int
		var spans int
		var dur, ap, ud time.Duration
		for _, s := range segs(od, nw) {
			c0 := cpu()
			p := e.Append(nil, s.old, s.new)
			dur += cpu() - c0
			spans += len(e.spans)
			c0 = cpu()
			got, err := Apply(s.old, p, len(s.new))
			ap += cpu() - c0
			if err != nil || !bytes.Equal(got, s.new) {
				t.Fatal(name, err, len(got))
			}
			raw += len(p)
			in, lit, _ := parse(p)
			for i, x := range in {
				sz[i] += len(best.EncodeAll(x, nil))
			}
			sz[streams] += len(best.EncodeAll(lit, nil))
			z := best.EncodeAll(p, nil)
			db += len(z)
			zd := def.EncodeAll(p, nil)
			ddf += len(zd)
		}
		_ = ud
		all += dur
		bytesAll += len(nw)
		tb += db
		td += ddf
		fmt.Printf("%-10s %8d raw %7d best %7d def %7d spans %6d skip/len/jump/gkv/gkvR/gkvA/lit %v  %.0f MB/s apply %.0f\n", name, len(nw), raw, db, ddf, spans, sz, float64(len(nw))/1e6/dur.Seconds(), float64(len(nw))/1e6/ap.Seconds())
	}
	fmt.Println("total", tb, td, "encode MB/s", float64(bytesAll)/1e6/all.Seconds())
}
