package pack

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"bale/bundle/fault"
)

// changed returns n bytes that do not compress, and the same with a byte
// changed every so often.
func changed(n, every int) (old, now []byte) {
	old = make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(old) // never fails
	now = bytes.Clone(old)
	for i := every / 2; i < n; i += every {
		now[i] ^= 0x55
	}
	return old, now
}

func TestDictionary(t *testing.T) {
	e, err := NewDictionaryEncoder()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		old, size int // bytes
	}{
		{"small", 5000, 5000},
		{"tiny dictionary", 3, 5000},
		{"many blocks", 1 << 20, 1 << 20},
		{"as large as they may be together", 12 << 20, 4 << 20},
		{"small again", 5000, 4000},
	} {
		t.Run(c.name, func(t *testing.T) {
			old, now := changed(c.old, 10_000)
			raw := now[max(0, len(now)-c.size):]
			if len(raw) < c.size {
				raw = append(make([]byte, c.size-len(raw)), raw...)
			}
			frame, err := e.Encode(nil, raw, old)
			if err != nil {
				t.Fatal(err)
			}
			if len(frame) > c.size/4 && c.old > 100 {
				t.Errorf("%d bytes in %d: the dictionary was not used", c.size, len(frame))
			}
			got, err := DecodeDictionary(frame, int64(len(raw)), old)
			if err != nil || !bytes.Equal(got, raw) {
				t.Fatalf("%d other bytes, %v", len(got), err)
			}
			if c.old < 100 {
				return
			}
			old[len(old)-1] ^= 1
			old[len(old)/2] ^= 1
			old[0] ^= 1
			for name, wrong := range map[string][]byte{"altered": old, "none": nil, "short": old[:len(old)/2]} {
				got, err := DecodeDictionary(frame, int64(len(raw)), wrong)
				if !errors.Is(err, fault.ErrDamaged) && (err != nil || !bytes.Equal(got, raw)) {
					t.Errorf("dictionary %s: %v, and other content", name, err)
				}
			}
		})
	}
}

func TestDictionaryLimits(t *testing.T) {
	e, err := NewDictionaryEncoder()
	if err != nil {
		t.Fatal(err)
	}
	frame, err := e.Encode(nil, []byte("content"), []byte("contents of old"))
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func() ([]byte, error){
		"size":       func() ([]byte, error) { return DecodeDictionary(frame, 8, []byte("contents of old")) },
		"raw":        func() ([]byte, error) { return DecodeDictionary(frame, MaxFrame+1, nil) },
		"dictionary": func() ([]byte, error) { return DecodeDictionary(frame, 7, make([]byte, MaxDictionary+1)) },
		"noise":      func() ([]byte, error) { return DecodeDictionary(make([]byte, 20), 7, nil) },
	} {
		if _, err := f(); !errors.Is(err, fault.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
