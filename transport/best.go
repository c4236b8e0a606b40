package transport

import v1 "github.com/opencontainers/image-spec/specs-go/v1"

// BestPlatform returns which of the descriptors, as an index lists them, suits
// a platform best; ok is false if none does.
func BestPlatform(list []v1.Descriptor, want v1.Platform) (best v1.Descriptor, ok bool) {
	match := newMatcher(want)
	for _, d := range list {
		if d.Platform != nil && match.Match(*d.Platform) && (!ok || match.Less(*d.Platform, *best.Platform)) {
			best, ok = d, true
		}
	}
	return best, ok
}
