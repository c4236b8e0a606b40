package index

import (
	"sort"

	"bale/bundle/fault"
)

// baseItem parses one base.
func (l *loader) baseItem(d *decoder) {
	b := Base{ID: [16]byte(d.take(16)), Chunks: int(d.number("chunks of a base", MaxChunks))}
	left := b.Chunks
	for range d.count("blobs of a base") {
		one := BaseBlob{Digest: d.digest(), Size: d.size("size of a blob of a base"), Raw: d.hash(), RawSize: d.size("raw size of a blob of a base")}
		one.Chunks = int(d.number("chunks of a blob of a base", uint64(left)))
		if l.base.blobs++; l.base.blobs > MaxBaseBlobs {
			d.fail("index: bases have more than %d blobs", MaxBaseBlobs)
		}
		if d.err != nil {
			return
		}
		left -= one.Chunks
		b.Blobs = append(b.Blobs, one)
	}
	for range d.count("images of a base") {
		name := d.string("name", MaxName)
		if l.base.images++; l.base.images > MaxBaseImages {
			d.fail("index: bases have more than %d images", MaxBaseImages)
		}
		if d.err != nil {
			return
		}
		b.Images = append(b.Images, name)
	}
	if len(l.x.Bases) == MaxBases {
		d.fail("index has more than %d bases", MaxBases)
	}
	l.x.Bases = append(l.x.Bases, b)
}

// rawHashes matches the table of raw hashes with the blobs.
func (l *loader) rawHashes() error {
	if len(l.raw) == 0 {
		return nil
	}
	left := l.raw
	for i := range l.x.Blobs {
		if l.x.Blobs[i].Recipe == Stored {
			continue
		}
		if len(left) == 0 {
			return fault.Damaged("index has %d raw hashes, and more blobs that need one", len(l.raw))
		}
		l.x.SetRawHash(l.x.Blobs[i].Digest, left[0])
		left = left[1:]
	}
	if len(left) > 0 {
		return fault.Damaged("index has %d raw hashes too many", len(left))
	}
	return nil
}

// External returns the base, and the blob in it, in which an external chunk is
// found; blob is nil if it is in no blob's raw bytes.
func (x *Index) External(chunk uint32) (base *Base, blob *BaseBlob) {
	x.once.Do(x.findExternals)
	i := sort.Search(len(x.externals), func(i int) bool { return x.externals[i].end > uint64(chunk) })
	if i == len(x.externals) || int(chunk) < x.Chunks.Own() {
		return nil, nil
	}
	return x.externals[i].base, x.externals[i].blob
}

// externalRun is a stretch of external chunks that are found in one place.
type externalRun struct {
	end  uint64 // ordinal after the last
	base *Base
	blob *BaseBlob
}

func (x *Index) findExternals() {
	end := uint64(x.Chunks.Own())
	for i := range x.Bases {
		b := &x.Bases[i]
		last := end + uint64(b.Chunks)
		for j := range b.Blobs {
			end += uint64(b.Blobs[j].Chunks)
			x.externals = append(x.externals, externalRun{end, b, &b.Blobs[j]})
		}
		end = last
		x.externals = append(x.externals, externalRun{end, b, nil})
	}
}
