package deflate

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// scratch: KP=gz files glob; name.<class>.<level>.<block>.gz
func TestKPScratch(t *testing.T) {
	files, _ := filepath.Glob(os.Getenv("KP"))
	for _, name := range files {
		part := strings.Split(strings.TrimSuffix(filepath.Base(name), ".gz"), "+")
		class, _ := strconv.Atoi(part[1])
		level, _ := strconv.Atoi(part[2])
		size, _ := strconv.Atoi(part[3])
		var p predictor
		var s shape
		var f testFraming
		if size > 0 {
			p, s = newPgzip(class, level, size)
			f = testFraming{size: size, dict: 16 << 10}
		} else {
			p, s = newKlauspost(class, level)
		}
		t0 := time.Now()
		x, said := countMisses(t, readFile(t, name), p, s, f)
		if len(said) > 0 {
			t.Errorf("%s: %+v", filepath.Base(name), x)
			for _, l := range said {
				t.Log(l)
			}
		} else {
			t.Logf("%s %+v %v", filepath.Base(name), x, time.Since(t0))
		}
	}
}
