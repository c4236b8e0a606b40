package chunk

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Piece is one chunk as it is cut.
type Piece struct {
	Lane Lane
	Kind Kind
	Data []byte // valid until the call it is passed to returns
	File *File  // of a tar that Data belongs to, nil if none; the same for all its pieces
}

// File is a file in a tar.
type File struct {
	Name string // as the tar has it
	Size int64
}

// Span is a stretch of content that lies in one lane. Spans alternate between
// lanes and say how the lanes weave together; see [Splitter.Split].
type Span struct {
	Lane   Lane
	Length int64
}

// maxPax bounds the pax records that are looked into for a size.
const maxPax = 1 << 20

// maxSpans bounds how many spans one blob may have (a file takes two), so that
// what they take in the index stays far below the limit of a segment. Beyond
// it the rest of a tar is cut as plain content: it still is rebuilt exactly.
const maxSpans = 2 << 20

// Splitter cuts content into chunks. It holds buffers for reuse and is not
// safe for concurrent use.
type Splitter struct {
	content, structure *cutter
	in                 *bufio.Reader
	emit               func(Piece) error
	kind               Kind
	file               *File
	headers            bytes.Buffer // structure not cut yet
	spans              []Span
}

// NewSplitter returns a Splitter.
func NewSplitter() (*Splitter, error) {
	content, err := newCutter(minContent, normalContent, maxContent)
	if err != nil {
		return nil, err
	}
	structure, err := newCutter(minStructure, normalStructure, maxStructure)
	if err != nil {
		return nil, err
	}
	return &Splitter{content: content, structure: structure, in: bufio.NewReaderSize(nil, 1<<20)}, nil
}

// Split reads r to its end, calls emit for each chunk, and returns the spans
// that say how the chunks of the lanes form the content: take Length bytes
// from Lane, span after span. Within a lane chunks are emitted in order, but
// chunks of different lanes are not in the order of the content. Content that
// is no tar has one span, or none if it is empty.
//
// An error of r or emit is returned as it is. The spans are valid until the
// next call.
func (s *Splitter) Split(r io.Reader, emit func(Piece) error) ([]Span, error) {
	s.in.Reset(r)
	s.emit = emit
	s.spans = s.spans[:0]
	s.headers.Reset()
	s.kind = Data
	s.file = nil
	start, err := s.in.Peek(blockSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case len(start) == blockSize && isHeader(start):
		err = s.tar()
	case isPacked(start):
		s.kind = Packed
		err = s.plain(s.in)
	default:
		err = s.plain(s.in)
	}
	if err == nil {
		err = s.flush()
	}
	s.emit = nil
	return s.spans, err
}

// tar cuts a tar from header to header. What does not look like one any more
// is cut as plain content.
func (s *Splitter) tar() error {
	before := noExtension
	for {
		s.file = nil
		block, err := s.in.Peek(blockSize)
		if errors.Is(err, io.EOF) {
			return s.plain(s.in)
		}
		if err != nil {
			return err
		}
		if isZero(block) {
			if err := s.header(blockSize); err != nil {
				return err
			}
			before = noExtension
			continue
		}
		e, ok := entry{}, false
		if isHeader(block) && len(s.spans) < maxSpans {
			e, ok = parseEntry(block, before)
		}
		if !ok {
			return s.plain(s.in)
		}
		name := before.name
		if name == "" {
			name = entryName(block)
		}
		if !e.extends {
			before = noExtension
		}
		if err := s.header(blockSize); err != nil {
			return err
		}
		switch {
		case (e.pax || e.long) && e.size <= maxPax:
			err = s.payload(e, &before)
		case e.content:
			s.file = &File{name, e.size}
			err = s.plain(io.LimitReader(s.in, e.size))
		default:
			err = s.header(e.size)
		}
		if err != nil {
			return err
		}
		if err := s.header((blockSize - e.size%blockSize) % blockSize); err != nil {
			return err
		}
	}
}

// payload takes what follows an extension header as structure, and notes it.
func (s *Splitter) payload(e entry, x *extension) error {
	var buf bytes.Buffer
	if _, err := io.CopyN(&buf, s.in, e.size); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	x.payload(e, buf.Bytes())
	return s.structureBytes(buf.Bytes())
}

// header takes n bytes as structure; fewer, if the content ends early.
func (s *Splitter) header(n int64) error {
	for n > 0 {
		p, err := s.in.Peek(int(min(n, maxStructure)))
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(p) == 0 {
			return nil
		}
		if err := s.structureBytes(p); err != nil {
			return err
		}
		if _, err := s.in.Discard(len(p)); err != nil {
			return err
		}
		n -= int64(len(p))
	}
	return nil
}

// structureBytes adds to the structure lane and emits what is sure to be a chunk.
func (s *Splitter) structureBytes(p []byte) error {
	s.span(Structure, len(p))
	s.headers.Write(p)
	for s.headers.Len() >= maxStructure {
		if err := s.headerChunk(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Splitter) headerChunk() error {
	b := s.headers.Bytes()
	n, err := s.structure.first(b[:min(len(b), maxStructure)])
	if err != nil {
		return err
	}
	return s.emit(Piece{Structure, Headers, s.headers.Next(n), nil})
}

// flush emits the rest of the structure lane.
func (s *Splitter) flush() error {
	for s.headers.Len() > 0 {
		if err := s.headerChunk(); err != nil {
			return err
		}
	}
	return nil
}

// plain cuts r to its end as content.
func (s *Splitter) plain(r io.Reader) error {
	return s.content.cut(r, func(p []byte) error {
		s.span(Content, len(p))
		return s.emit(Piece{Content, s.kind, p, s.file})
	})
}

func (s *Splitter) span(l Lane, n int) {
	if n == 0 {
		return
	}
	if last := len(s.spans) - 1; last >= 0 && s.spans[last].Lane == l {
		s.spans[last].Length += int64(n)
		return
	}
	s.spans = append(s.spans, Span{l, int64(n)})
}

// isPacked tells compressed content by its first bytes: gzip (RFC 1952), zstd
// (RFC 8878) with its skippable frames, xz, bzip2.
func isPacked(p []byte) bool {
	for _, magic := range []string{"\x1f\x8b\x08", "\x28\xb5\x2f\xfd", "\xfd7zXZ\x00", "BZh"} {
		if bytes.HasPrefix(p, []byte(magic)) {
			return true
		}
	}
	return len(p) >= 4 && p[0]&0xf0 == 0x50 && bytes.Equal(p[1:4], []byte{0x2a, 0x4d, 0x18})
}
