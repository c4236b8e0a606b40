package verify_test

import (
	"strconv"
	"testing"
	"time"

	"bale/verify"
)

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	for s, want := range map[string]time.Duration{
		"90d": 90 * day, "12h": 12 * time.Hour, "2w": 14 * day, "30m": 30 * time.Minute, "1s": time.Second,
		"1w3d": 10 * day, "1d12h": 36 * time.Hour, "007d": 7 * day, "0w1d": day, "106751d": 106751 * day,
	} {
		got, err := verify.ParseDuration(s)
		if err != nil || got != want {
			t.Errorf("%q: %v %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{
		"", "0d", "0", "d", "90", "-1d", "+1d", "1.5d", "1y", "1M", "90 d", " 90d", "90d ", "1d1w", "1d1d",
		"1H", "٣d", "106752d", "99999999999999999999d", "1h-30m", "300y", "15250w2d", "9223372036s1s",
	} {
		if got, err := verify.ParseDuration(s); err == nil {
			t.Errorf("%q: is %v", s, got)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"90d", "1w3d", "", "0s", "106752d", "1d1d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := verify.ParseDuration(s)
		if err != nil {
			return
		}
		if d < time.Second {
			t.Fatalf("%q is %v", s, d)
		}
		written := strconv.FormatInt(int64(d/time.Second), 10) + "s"
		if again, err := verify.ParseDuration(written); err != nil || again != d {
			t.Fatalf("%q is %v, written %s, which is %v (%v)", s, d, written, again, err)
		}
	})
}
