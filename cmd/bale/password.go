package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"

	"bale/bundle/fault"
)

// passwordEnv is cosign's variable, so that pipelines need no second one.
const passwordEnv = "COSIGN_PASSWORD"

// password returns the password of a private key: from the environment, or
// typed at the terminal.
func (a *app) password(ctx context.Context) ([]byte, error) {
	if p, ok := os.LookupEnv(passwordEnv); ok {
		return []byte(p), nil
	}
	return a.ask(ctx, "Password for the private key: ")
}

// newPassword returns a password for a new key, typed twice. An empty one is
// allowed, as with cosign.
func (a *app) newPassword(ctx context.Context) ([]byte, error) {
	if p, ok := os.LookupEnv(passwordEnv); ok {
		return []byte(p), nil
	}
	first, err := a.ask(ctx, "Password for the private key (empty for none): ")
	if err != nil {
		return nil, err
	}
	second, err := a.ask(ctx, "The same once more: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, second) {
		return nil, fault.WithHint(errors.New("the two passwords differ"), "type the same password twice, or set %s", passwordEnv)
	}
	return first, nil
}

// ask reads a line from the terminal without showing it.
func (a *app) ask(ctx context.Context, prompt string) ([]byte, error) {
	in, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return nil, fault.WithHint(fault.Usage("the private key needs a password, and there is no terminal to ask at"),
			"set %s", passwordEnv)
	}
	before, err := term.GetState(int(in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("read password: %w", err)
	}
	fmt.Fprint(a.err, prompt)
	defer fmt.Fprintln(a.err)
	type answer struct {
		password []byte
		err      error
	}
	// The read cannot be broken off, so Ctrl-C leaves it behind, and the
	// terminal as it was.
	answered := make(chan answer, 1)
	go func() {
		p, err := term.ReadPassword(int(in.Fd()))
		answered <- answer{p, err}
	}()
	select {
	case got := <-answered:
		if got.err != nil {
			return nil, fmt.Errorf("read password: %w", got.err)
		}
		return got.password, nil
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), term.Restore(int(in.Fd()), before))
	}
}
