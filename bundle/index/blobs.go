package index

import (
	"math"

	"bale/bundle/fault"
)

// blob parses one blob and checks that its chunks add up.
func (l *loader) blob(d *decoder) {
	b := Blob{Digest: d.digest(), Size: d.size("size of a blob"), Recipe: Recipe(d.uvarint())}
	b.Params = cloneOrNil(d.take(int(d.number("recipe parameters", MaxParams))))
	b.RawSize = d.size("raw size of a blob")
	lanes := d.number("lanes of a blob", maxLanes)
	if d.err == nil && lanes == 0 {
		d.fail("index: blob %s has no lane", b.Digest)
	}
	share := make([]int64, lanes)
	for i := range share {
		var runs []Run
		runs, share[i] = l.lane(d)
		b.Lanes = append(b.Lanes, runs)
	}
	if lanes == maxLanes {
		b.Weave = l.weave(d, share, b.RawSize)
	} else if d.err == nil && share[0] != b.RawSize {
		d.fail("index: blob %s has %d raw bytes, its chunks have %d", b.Digest, b.RawSize, share[0])
	}
	b.Extra, _ = l.lane(d)
	if d.err != nil {
		return
	}
	if b.Recipe > Listed {
		d.err = fault.WithHint(fault.Unsupported("blob %s needs recipe %d, which is not known", b.Digest, b.Recipe), "use a newer bale")
		return
	}
	if b.Recipe == Stored && (b.Size != b.RawSize || len(b.Params) > 0 || len(b.Extra) > 0) {
		d.fail("index: blob %s is stored, but not as its raw bytes", b.Digest)
		return
	}
	if b.Recipe == Listed && (len(b.Params) > 0 || len(b.Extra) > 0) {
		d.fail("index: blob %s is only listed, and has a recipe", b.Digest)
		return
	}
	if len(l.x.Blobs) == MaxBlobs {
		d.fail("index has more than %d blobs", MaxBlobs)
		return
	}
	if n := len(l.x.Blobs); n > 0 && !digestLess(l.x.Blobs[n-1].Digest, b.Digest) {
		d.fail("index: blobs are not in order")
		return
	}
	l.x.Blobs = append(l.x.Blobs, b)
}

// lane parses runs and returns how many bytes their chunks have.
func (l *loader) lane(d *decoder) ([]Run, int64) {
	runs, chunks := d.runs(l.x.Chunks.Len())
	if !l.refer(d, chunks) {
		return nil, 0
	}
	var size int64
	for _, r := range runs {
		for c := r.First; c < r.First+r.Count; c++ {
			size += l.x.Chunks.Length(c)
		}
	}
	return runs, size
}

// refer counts references to chunks. Without a bound a small index could name its
// chunks so often that adding them up takes for ever.
func (l *loader) refer(d *decoder, chunks uint64) bool {
	if l.references += chunks; l.references > MaxReferences {
		d.fail("index names chunks more than %d times", MaxReferences)
		return false
	}
	return true
}

// weave parses the lengths and checks that they use up both lanes.
func (l *loader) weave(d *decoder, share []int64, raw int64) Weave {
	w := Weave{count: d.count("lengths of a weave")}
	start := d.b
	var total int64
	for i := range w.count {
		n := d.size("length of a weave")
		if d.err != nil {
			return Weave{}
		}
		if (n == 0 && i > 0) || n > share[i%maxLanes] || n > math.MaxInt64-total {
			d.fail("index: a weave takes what its lanes do not have")
			return Weave{}
		}
		share[i%maxLanes] -= n
		total += n
	}
	if d.err == nil && (share[0] != 0 || share[1] != 0 || total != raw) {
		d.fail("index: a weave gives %d bytes, not %d", total, raw)
	}
	w.encoded = cloneOrNil(start[:len(start)-len(d.b)])
	return w
}

func cloneOrNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return append([]byte(nil), b...)
}

// image parses one image.
func (l *loader) image(d *decoder) {
	i := Image{
		Name:      d.string("name", MaxName),
		MediaType: d.string("media type", MaxMediaType),
		Digest:    d.digest(),
		Size:      d.size("size of a root"),
		Platform:  d.string("platform", MaxMediaType),
	}
	for range d.count("omissions") {
		o := Omission{Digest: d.digest(), Reason: Reason(d.take(1)[0])}
		if d.err == nil && (o.Reason < OtherPlatform || o.Reason > Absent) {
			d.fail("index: omission for reason %d", o.Reason)
		}
		if d.err != nil {
			return
		}
		i.Omitted = append(i.Omitted, o)
	}
	if l.names == nil {
		l.names = make(map[string]bool)
	}
	switch {
	case d.err != nil:
		return
	case i.Name == "" || i.MediaType == "":
		d.fail("index: an image has no name or no media type")
		return
	case l.names[i.Name]:
		d.fail("index: image %s is there twice", i.Name)
		return
	case len(l.x.Images) >= MaxImages:
		d.fail("index has more than %d images", MaxImages)
		return
	}
	if b, ok := l.x.Blob(i.Digest); !ok || b.Size != i.Size {
		d.fail("index: the root %s of image %s is not in the bundle", i.Digest, i.Name)
		return
	}
	l.names[i.Name] = true
	l.x.Images = append(l.x.Images, i)
}
