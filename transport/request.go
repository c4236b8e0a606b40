package transport

import "bale/bundle/fault"

// Request asks for one image to be copied.
type Request struct {
	Source Source
	Image  Image // as it is at the source
	Target Name  // what it is to be called at the sink

	// Listed is set if nobody asked for the image by name: it is one of all at its
	// source. If it is attached to another one of them it is copied along with
	// that, or left out with it.
	Listed bool
}

// checkTargets refuses two images that would get one name.
func checkTargets(requests []Request) error {
	seen := make(map[string]Request)
	for _, r := range requests {
		if r.Target.Tag == "" {
			continue
		}
		key := r.Target.Repository() + ":" + r.Target.Tag
		if other, ok := seen[key]; ok && other.Image.Root.Digest != r.Image.Root.Digest {
			return fault.WithHint(fault.Usage("%s and %s are different images and would both be called %s at the target",
				other.Image.Name, r.Image.Name, key), "copy one of them under another name, or in a run of its own")
		}
		seen[key] = r
	}
	return nil
}
