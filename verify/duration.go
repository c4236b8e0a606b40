package verify

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// durationUnits are the units of [ParseDuration], the longest first.
var durationUnits = []struct {
	name byte
	is   time.Duration
}{
	{'w', 7 * 24 * time.Hour},
	{'d', 24 * time.Hour},
	{'h', time.Hour},
	{'m', time.Minute},
	{'s', time.Second},
}

// ParseDuration reads a span of time as people write it: a whole number and one
// of w, d, h, m, s, such as 45d, 12h or 2w; or several of these, the longest
// first, such as 1w3d. A day has 24 hours, a span at least a second.
func ParseDuration(s string) (time.Duration, error) {
	rest, left := s, durationUnits
	var total time.Duration
	for rest != "" {
		i := 0
		for i < len(rest) && rest[i] >= '0' && rest[i] <= '9' {
			i++
		}
		if i == 0 || i == len(rest) {
			return 0, notDuration(s)
		}
		n, err := strconv.ParseInt(rest[:i], 10, 64)
		if err != nil {
			return 0, notDuration(s)
		}
		unit := time.Duration(0)
		for j, u := range left {
			if u.name == rest[i] {
				unit, left = u.is, left[j+1:]
				break
			}
		}
		if unit == 0 {
			return 0, notDuration(s)
		}
		if n > int64((1<<63-1-total)/unit) {
			return 0, fmt.Errorf("%q is too long a time", Clip(s))
		}
		total += time.Duration(n) * unit
		rest = rest[i+1:]
	}
	if s == "" {
		return 0, notDuration(s)
	}
	if total == 0 {
		return 0, errors.New("a span of no time")
	}
	return total, nil
}

func notDuration(s string) error {
	return fmt.Errorf("%q is not a span of time such as 90d, 12h or 2w", Clip(s))
}
