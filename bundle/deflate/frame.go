package deflate

import "runtime"

// sideBySide is how many frames of a stream are rebuilt at the same time at
// most: each takes a few megabytes.
const sideBySide = 3

// frame codes whether a frame is as its forecast, and if so, all of it. The
// stream is at a byte boundary, between two blocks.
func (m *model) frame() error {
	clean := 0
	var c *frameChecker
	if m.truth != nil {
		blocks, err := m.truth.frame()
		if err != nil {
			return err
		}
		c = &frameChecker{blocks: blocks}
		if m.ahead.frame(&m.in, m.cut.tail, c) && (m.in.final || len(c.blocks) == 0 || c.blocks[0].size > 0) {
			clean = len(blocks) - len(c.blocks)
		}
	}
	if !m.c.flag(&m.l.clean, clean > 0) {
		m.state = atBlock
		if m.truth != nil {
			// the forecast has left its traces
			m.p.reset(&m.in)
			m.s.reset()
		} else if err := m.drain(); err != nil {
			return err
		}
		return nil
	}
	m.pos = m.in.end()
	if m.truth != nil {
		m.stats.Blocks += c.stats.Blocks
		m.stats.Tokens += c.stats.Tokens
		for range clean {
			m.truth.done()
		}
	} else {
		if err := m.begin(); err != nil {
			return err
		}
	}
	if m.in.final {
		m.state = atTrailer
		return m.drain()
	}
	return m.nextFrame()
}

// begin starts to rebuild the frame, and takes in others that are ready.
func (m *model) begin() error {
	for len(m.jobs) >= min(sideBySide, runtime.GOMAXPROCS(0)) {
		if err := m.collect(); err != nil {
			return err
		}
	}
	if len(m.idle) == 0 {
		p, s, _, err := m.choice.models()
		if err != nil {
			return err
		}
		m.idle = append(m.idle, &worker{f: forecast{p: p, s: s}})
	}
	k := m.idle[len(m.idle)-1]
	m.idle = m.idle[:len(m.idle)-1]
	k.in = m.in
	k.in.data = append(k.data[:0], m.in.data...)
	k.data = k.in.data
	k.w.in, k.w.out, k.w.acc, k.w.n = &k.in, k.w.out[:0], 0, 0
	done := make(chan bool, 1)
	m.jobs = append(m.jobs, running{k, done})
	tail := m.cut.tail
	go func() { done <- k.f.frame(&k.in, tail, &k.w) }()
	return nil
}

// A worker rebuilds frames.
type worker struct {
	f    forecast
	in   input
	data []byte
	w    frameWriter
}

type running struct {
	*worker
	done chan bool
}

// collect waits for the oldest job and takes over what it wrote.
func (m *model) collect() error {
	k := m.jobs[0]
	m.jobs = append(m.jobs[:0], m.jobs[1:]...)
	if !<-k.done {
		return misfit("a frame that is not as it was predicted")
	}
	m.w.out = append(m.w.out, k.w.out...)
	m.w.acc, m.w.n = k.w.acc, k.w.n
	m.idle = append(m.idle, k.worker)
	return nil
}

// drain waits for all jobs.
func (m *model) drain() error {
	for len(m.jobs) > 0 {
		if err := m.collect(); err != nil {
			return err
		}
	}
	return nil
}
