package blob

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/opencontainers/go-digest"

	"bale/bundle/fault"
)

var good = bytes.Repeat([]byte("content "), 1000)

func TestReaderPassesGoodContent(t *testing.T) {
	for _, d := range []digest.Digest{digest.FromBytes(good), digest.SHA512.FromBytes(good)} {
		for name, r := range map[string]io.Reader{
			"whole":      bytes.NewReader(good),
			"bytes":      iotest.OneByteReader(bytes.NewReader(good)),
			"data + EOF": iotest.DataErrReader(bytes.NewReader(good)),
		} {
			v, err := NewReader(r, d, int64(len(good)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(v)
			if err != nil || !bytes.Equal(got, good) {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
			if _, err := v.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("%s: after the end: %v", name, err)
			}
		}
	}
}

// Bad content never ends with io.EOF, however it is read.
func TestReaderRefusesBadContent(t *testing.T) {
	altered := bytes.Clone(good)
	altered[4000] ^= 1
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		r    io.Reader
		size int64
		want error
	}{
		"altered":    {bytes.NewReader(altered), 8000, fault.ErrDamaged},
		"short":      {bytes.NewReader(good[:7999]), 8000, fault.ErrDamaged},
		"empty":      {bytes.NewReader(nil), 8000, fault.ErrDamaged},
		"long":       {bytes.NewReader(append(bytes.Clone(good), 'x')), 8000, fault.ErrDamaged},
		"size lower": {bytes.NewReader(good), 7999, fault.ErrDamaged},
		"size 0":     {bytes.NewReader(good), 0, fault.ErrDamaged},
		"failing":    {io.MultiReader(bytes.NewReader(good[:100]), iotest.ErrReader(boom)), 8000, boom},
		"fails late": {io.MultiReader(bytes.NewReader(good), iotest.ErrReader(boom)), 8000, boom},
	} {
		v, err := NewReader(c.r, digest.FromBytes(good), c.size)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, v)
		if !errors.Is(err, c.want) || errors.Is(err, io.EOF) || n > c.size {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
		if _, again := v.Read(make([]byte, 1)); !errors.Is(again, c.want) {
			t.Errorf("%s: the error does not stay: %v", name, again)
		}
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		d    digest.Digest
		size int64
		want error
	}{
		"sha256":        {digest.FromString(""), 0, nil},
		"sha512":        {digest.SHA512.FromString(""), 1 << 60, nil},
		"sha384":        {digest.SHA384.FromString(""), 0, fault.ErrUnsupported},
		"negative":      {digest.FromString(""), -1, fault.ErrDamaged},
		"empty":         {"", 0, fault.ErrDamaged},
		"upper case":    {"sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855", 0, fault.ErrDamaged},
		"leads out":     {"sha256:../../../../etc/passwd", 0, fault.ErrDamaged},
		"short":         {"sha256:abcd", 0, fault.ErrDamaged},
		"no algorithm":  {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 0, fault.ErrDamaged},
		"new algorithm": {"blake3:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 0, fault.ErrDamaged},
	} {
		if err := Check(c.d, c.size); !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadAll(t *testing.T) {
	d := digest.FromBytes(good)
	if b, err := ReadAll(bytes.NewReader(good), d, 8000, 8000); err != nil || !bytes.Equal(b, good) {
		t.Error(err)
	}
	unread := iotest.ErrReader(errors.New("was read"))
	if b, err := ReadAll(unread, d, 8001, 8000); !errors.Is(err, fault.ErrDamaged) || b != nil {
		t.Error("over the limit:", err)
	}
	if b, err := ReadAll(bytes.NewReader(good[1:]), d, 8000, 8000); !errors.Is(err, fault.ErrDamaged) || b != nil {
		t.Error("short:", err)
	}
}

type closer struct {
	io.Reader
	closed int
}

func (c *closer) Close() error { c.closed++; return nil }

func TestCloseReachesTheSource(t *testing.T) {
	c := &closer{Reader: bytes.NewReader(nil)}
	v, err := NewReader(c, digest.FromString(""), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil || c.closed != 1 {
		t.Error(err, c.closed)
	}
}
