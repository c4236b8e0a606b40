package fault

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestKindsAndText(t *testing.T) {
	for _, c := range []struct {
		err  error
		kind error
	}{
		{Damaged("x: %w", io.ErrUnexpectedEOF), ErrDamaged},
		{Untrusted("x: %w", io.ErrUnexpectedEOF), ErrUntrusted},
		{Missing("x: %w", io.ErrUnexpectedEOF), ErrMissing},
		{Unsupported("x: %w", io.ErrUnexpectedEOF), ErrUnsupported},
		{Usage("x: %w", io.ErrUnexpectedEOF), ErrUsage},
	} {
		err := fmt.Errorf("outer: %w", WithHint(c.err, "do %s", "this"))
		if !errors.Is(err, c.kind) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v: kind or cause lost", c.kind)
		}
		if err.Error() != "outer: x: unexpected EOF" {
			t.Errorf("text %q", err)
		}
		if Hint(err) != "do this" {
			t.Errorf("hint %q", Hint(err))
		}
		for _, other := range []error{ErrDamaged, ErrUntrusted, ErrMissing, ErrUnsupported, ErrUsage} {
			if errors.Is(err, other) != (other == c.kind) {
				t.Errorf("%v is %v too", c.kind, other)
			}
		}
	}
}

func TestHint(t *testing.T) {
	inner := WithHint(errors.New("a"), "inner")
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"nil":        {nil, ""},
		"plain":      {errors.New("a"), ""},
		"inner wins": {WithHint(fmt.Errorf("b: %w", inner), "outer"), "inner"},
		"joined":     {errors.Join(errors.New("a"), inner), "inner"},
		"in a fault": {Damaged("c: %w", inner), "inner"},
	} {
		if got := Hint(c.err); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if WithHint(nil, "x") != nil {
		t.Error("a hint made an error of nil")
	}
}
