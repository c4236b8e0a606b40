package deflate

const (
	// calm is after how many right predictions in a row they are no longer
	// coded one by one.
	calm = 64
	// maxBatch is how many predictions are coded together at most.
	maxBatch = 4096
	// predictAtOnce is how many tokens a predictor is asked for at a time: they
	// and what it wants to see after them fit into ahead.
	predictAtOnce = 256
)

// tokenState is what the coding of tokens remembers.
type tokenState struct {
	queue  []token // predicted, from the place of coding on
	room   []token
	queued int // raw bytes of queue
	streak int // right predictions since the last wrong one
	recent uint8
	found  *matches
}

func (s *tokenState) init() {
	s.found = newMatches()
	s.room = make([]token, 0, 2*maxBatch)
	s.streak = 0
}

// forget drops predictions and all that was found: a frame begins.
func (m *model) forget() {
	m.queue, m.queued = m.room[:0], 0
	m.found.reset()
}

// batch returns how many predictions are coded together.
func (m *model) batch() int {
	if m.streak < calm {
		return 32
	}
	return min(m.streak, maxBatch)
}

// peek returns up to n predictions after the first skip; none at the end of
// the frame only.
func (m *model) peek(skip, n int) ([]token, error) {
	for len(m.queue) < skip+n {
		at := m.pos + m.queued
		if m.in.last && at >= m.in.end() {
			break
		}
		if err := m.look(at); err != nil {
			return nil, err
		}
		before := len(m.queue)
		m.queue = m.p.predict(&m.in, m.queue, min(predictAtOnce, skip+n-before))
		if len(m.queue) == before {
			// a predictor that has nothing to say: a literal will do
			m.queue = append(m.queue, literal(m.in.data[at-m.in.base]))
		}
		m.queued += rawLength(m.queue[before:])
	}
	return m.queue[min(skip, len(m.queue)):min(skip+n, len(m.queue))], nil
}

// used drops the first n predictions: they were right.
func (m *model) used(n int) {
	m.queued -= rawLength(m.queue[:n])
	if m.queue = m.queue[n:]; len(m.queue) == 0 {
		m.queue = m.room[:0]
	}
}

// lost drops all predictions, and makes new ones from the place of coding on.
func (m *model) lost() {
	m.queue, m.queued = m.room[:0], 0
	if m.p != nil && m.pos <= m.in.end() {
		m.p.resume(&m.in, m.pos)
	}
}

// codeRight codes how many of the predictions are right.
func (m *model) codeRight(pred, truth []token) int {
	if m.streak < calm {
		for i, p := range pred {
			hit := m.c.flag(&m.l.hit[m.hitContext(p)], truth != nil && truth[i] == p)
			m.recent = m.recent<<1 | uint8(toInt(hit))
			if !hit {
				m.streak = 0
				return i
			}
			m.streak++
		}
		return len(pred)
	}
	n := 0
	if truth != nil {
		for n < len(pred) && n < len(truth) && truth[n] == pred[n] {
			n++
		}
	}
	size := 0
	for k := m.streak; k > calm; k >>= 1 {
		size++
	}
	if m.c.flag(&m.l.allRight[min(size, 15)], truth != nil && n == len(pred)) {
		m.streak += len(pred)
		return len(pred)
	}
	if n = int(m.c.number(&m.l.right, uint64(n))); n >= len(pred) {
		m.c.fail("more predictions are right than there are")
		n = len(pred) - 1
	}
	m.streak = 0
	m.recent <<= 1
	return n
}

// hitContext is what a single prediction's truth depends on.
func (m *model) hitContext(p token) int {
	kind := 0
	if p.isMatch() {
		switch n := p.length(); {
		case n == 3:
			kind = 1
		case n < 6:
			kind = 2
		case n < 32:
			kind = 3
		case n < maxMatch:
			kind = 4
		default:
			kind = 5
		}
	}
	return kind<<3 | int(m.recent&7)
}
