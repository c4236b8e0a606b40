package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"bale/bundle/fault"
)

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{fault.Unsupported("x"), 1},
		{syscall.ENOSPC, 1},
		{context.DeadlineExceeded, 1},
		{fault.Usage("x"), 2},
		{fmt.Errorf("x: %w", fault.Usage("x")), 2},
		{fault.Damaged("x"), 3},
		{fault.WithHint(fault.Damaged("x"), "y"), 3},
		{fault.Untrusted("x"), 4},
		{fault.Untrusted("%w", fault.Unsupported("x")), 4},
		{fault.Missing("x"), 5},
		{fault.Damaged("%w", fault.Missing("x")), 3},
		{errors.Join(errors.New("x"), fault.Missing("x")), 5},
		{context.Canceled, 130},
		{errors.Join(fault.Damaged("x"), context.Canceled), 130},
	} {
		if got := exitCode(c.err); got != c.code {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.code)
		}
	}
}

// What a package says about its own error wins over what is said of its kind.
func TestAdvise(t *testing.T) {
	c := newVerify(&app{})
	for _, x := range []struct {
		err  error
		hint string
	}{
		{fault.WithHint(fault.Usage("x"), "mine"), "mine"},
		{fmt.Errorf("x: %w", fault.WithHint(fs.ErrNotExist, "mine")), "mine"},
		{fault.Usage("x"), "see: verify --help"},
		{fmt.Errorf("write x: %w", syscall.ENOSPC), "make room"},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, "who may"},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}, "spelling"},
		{fault.Damaged("x"), "whole"},
		{errors.New("x"), ""},
	} {
		err := advise(x.err, c)
		if got := fault.Hint(err); !strings.Contains(got, x.hint) || x.hint == "" && got != "" {
			t.Errorf("%v: hint %q, want %q", x.err, got, x.hint)
		}
		if !errors.Is(err, x.err) || err.Error() != x.err.Error() || exitCode(err) != exitCode(x.err) {
			t.Errorf("%v became %v", x.err, err)
		}
	}
}

// An error is one line, and others that belong to it stand before it.
func TestErrorIsOneLine(t *testing.T) {
	var b strings.Builder
	a := &app{streams: streams{err: &b}}
	a.fail(fault.WithHint(errors.Join(errors.New("one"), errors.New("two")), "do it"))
	if got, want := b.String(), "bale: and: two\nbale: error: one (and 1 more, see above)\nbale: hint: do it\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
