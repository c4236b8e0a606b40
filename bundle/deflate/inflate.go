package deflate

import "io"

// An inflater gives the raw bytes of a gzip stream.
type inflater struct {
	z   *tokenizer
	out []byte
	err error
}

// NewInflater returns the raw bytes of a gzip stream as recipes mean them: of
// all members one after the other, without checking their sums, and without
// what follows the last one. Errors are those of [Analyze].
func NewInflater(gz io.Reader) io.Reader {
	return &inflater{z: newTokenizer(newBitReader(gz))}
}

// Read implements [io.Reader].
func (f *inflater) Read(p []byte) (int, error) {
	for len(f.out) == 0 {
		if f.err != nil {
			return 0, f.err
		}
		piece, err := f.z.next()
		switch {
		case err != nil:
			f.err = err
		case piece.kind == pieceBlock:
			f.out = piece.raw
		case piece.kind == pieceEnd:
			f.err = io.EOF
		}
	}
	n := copy(p, f.out)
	f.out = f.out[n:]
	return n, nil
}
