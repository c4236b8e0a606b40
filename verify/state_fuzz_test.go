package verify

import (
	"bytes"
	"errors"
	"testing"

	"bale/bundle/fault"
)

// FuzzState: what is accepted has one form, and says the same to whoever looks
// a name up; all else is refused as what it is.
func FuzzState(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseState(data)
		if err != nil {
			if !errors.Is(err, fault.ErrDamaged) && !errors.Is(err, fault.ErrUnsupported) {
				t.Fatalf("refused with no kind: %v", err)
			}
			if len(err.Error()) > 500 {
				t.Fatalf("a message of %d bytes", len(err.Error()))
			}
			return
		}
		again, err := encodeState(list)
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("another form: %s, %v", again, err)
		}
		for i, l := range list {
			if at, ok := find(list, l.Name); !ok || at != i {
				t.Fatalf("%s is at %d, %v", l.Name, at, ok)
			}
			if err := l.After(l); err != nil {
				t.Fatalf("the same bundle is refused: %v", err)
			}
			older := l
			older.Sequence--
			if err := older.After(l); !errors.Is(err, fault.ErrUntrusted) || len(err.Error()) > 800 {
				t.Fatalf("an older bundle: %v", err)
			}
		}
	})
}
