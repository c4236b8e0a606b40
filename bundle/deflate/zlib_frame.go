package deflate

// pigzBlock is how many bytes pigz compresses at a time.
const pigzBlock = 128 << 10

// pigzRsync finds the frames of pigz -R. They end where a hash of the last
// twelve bytes has a certain value, or after pigzBlock bytes without one.
type pigzRsync struct {
	hash uint32
}

const (
	pigzMask = 1<<12 - 1
	pigzHit  = pigzMask >> 1
)

func (p *pigzRsync) reset() { p.hash = pigzHit }

// next returns the size of the frame that data begins with: data has pigzBlock
// bytes, or all that are left. Frames have to be asked for in order.
func (p *pigzRsync) next(data []byte) int {
	data = data[:min(len(data), pigzBlock)]
	h := p.hash
	for i, c := range data {
		h = (h<<1 ^ uint32(c)) & pigzMask
		if h == pigzHit {
			p.hash = h
			return i + 1
		}
	}
	p.hash = h
	return len(data)
}

// zlibRsyncSum is what gzip --rsyncable ends blocks by: the sum of the last
// 4096 bytes. It ends a block after the token with a byte at which the sum is
// a multiple of 4096.
type zlibRsyncSum struct {
	// From lo to hi there is no such byte. sum is that before hi. It depends
	// on nothing but the raw bytes.
	lo, hi int
	sum    uint32
}

const gzipSumWindow = 4096

func (r *zlibRsyncSum) reset() { *r = zlibRsyncSum{lo: 0, hi: -1} }

// next returns the first such position from from on, before until; -1 if there
// is none.
func (r *zlibRsyncSum) next(in *input, from, until int) int {
	from = max(from, gzipSumWindow)
	until = min(until, in.end())
	if from-gzipSumWindow < in.base || from > until {
		return -1
	}
	if from < r.lo || from > r.hi+gzipSumWindow/2 || r.hi < from && r.hi-gzipSumWindow < in.base {
		r.lo, r.hi, r.sum = from, from, 0
		for _, c := range in.data[from-gzipSumWindow-in.base : from-in.base] {
			r.sum += uint32(c)
		}
	}
	if r.hi < from {
		r.roll(in, from)
		r.lo = from
	}
	if r.hi >= until {
		return -1
	}
	n := r.hi - in.base
	old, young := in.data[n-gzipSumWindow:], in.data[n:until-in.base]
	sum := r.sum
	for i, c := range young {
		next := sum + uint32(c) - uint32(old[i])
		if next%gzipSumWindow == 0 {
			r.hi, r.sum = r.hi+i, sum
			return r.hi
		}
		sum = next
	}
	r.hi, r.sum = until, sum
	return -1
}

// roll moves the sum on to pos.
func (r *zlibRsyncSum) roll(in *input, pos int) {
	for ; r.hi < pos; r.hi++ {
		n := r.hi - in.base
		r.sum += uint32(in.data[n]) - uint32(in.data[n-gzipSumWindow])
	}
}
