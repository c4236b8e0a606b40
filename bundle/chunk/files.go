package chunk

import (
	"bufio"
	"errors"
	"io"
)

// Files walks along the structure lane of a tar and calls emit for each file
// that has content there, in the order of the content lane. It ends where the
// lane does, or does not look like a tar's any more, without an error.
func Files(structure io.Reader, emit func(File) error) error {
	in := bufio.NewReaderSize(structure, 64<<10)
	before := noExtension
	for {
		block := make([]byte, blockSize)
		if _, err := io.ReadFull(in, block); err != nil {
			return endOf(err)
		}
		if isZero(block) {
			before = noExtension
			continue
		}
		if !isHeader(block) {
			return nil
		}
		e, ok := parseEntry(block, before)
		if !ok {
			return nil
		}
		f := File{before.name, e.size}
		if f.Name == "" {
			f.Name = entryName(block)
		}
		if !e.extends {
			before = noExtension
		}
		pad := (blockSize - e.size%blockSize) % blockSize
		skip := e.size + pad
		switch {
		case (e.pax || e.long) && e.size <= maxPax:
			p := make([]byte, e.size)
			if _, err := io.ReadFull(in, p); err != nil {
				return endOf(err)
			}
			before.payload(e, p)
			skip = pad
		case e.content:
			if e.size > 0 {
				if err := emit(f); err != nil {
					return err
				}
			}
			skip = pad
		}
		if _, err := io.CopyN(io.Discard, in, skip); err != nil {
			return endOf(err)
		}
	}
}

// endOf makes the end of a lane no error.
func endOf(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}
