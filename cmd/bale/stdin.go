package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"bale/bundle/fault"
)

// maxPassword is the greatest length in bytes of a registry's password or token
// that comes through a pipe.
const maxPassword = 64 << 10

// takeStdin gives standard input to the one who reads it to its end. Of two who
// want it, one would get nothing.
func (a *app) takeStdin(what string) (io.Reader, error) {
	if a.stdin != "" {
		return nil, fault.Usage("standard input cannot be both %s and %s", a.stdin, what)
	}
	a.stdin = what
	return a.in, nil
}

// stdinPassword reads a password as docker login --password-stdin does: all that
// comes, without the end of the line.
func (a *app) stdinPassword(ctx context.Context) (string, error) {
	in, err := a.takeStdin("a password")
	if err != nil {
		return "", err
	}
	type answer struct {
		text []byte
		err  error
	}
	answered := make(chan answer, 1)
	go func() { // Ctrl-C leaves the read behind
		b, err := io.ReadAll(io.LimitReader(in, maxPassword+1))
		answered <- answer{b, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case got := <-answered:
		password := strings.TrimRight(string(got.text), "\r\n")
		switch {
		case got.err != nil:
			return "", fmt.Errorf("read the password from standard input: %w", got.err)
		case len(got.text) > maxPassword:
			return "", fault.Usage("what came through standard input is no password: it has more than %d bytes", maxPassword)
		case password == "":
			return "", fault.Usage("no password came through standard input")
		}
		return password, nil
	}
}
