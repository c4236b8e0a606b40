package gnupg

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
	"unicode"

	"bale/bundle/fault"
	"bale/sign"
	"bale/sign/openpgp"
)

const (
	program = "gpg"

	maxOutput = openpgp.MaxKeyring
	maxWords  = 64 << 10 // of what it says
	maxShown  = 200      // of that, in a message

	// A gpg that was told to end may leave pipes open by its agent.
	patience = 5 * time.Second
)

// statusFD is the first of exec.Cmd.ExtraFiles.
const statusFD = "3"

// run runs gpg and returns what it writes. The errors say what gpg said, which
// never is a password: gpg-agent asks for those.
func run(ctx context.Context, input []byte, args ...string) ([]byte, error) {
	status, statusEnd, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = status.Close() }() // read only: nothing to lose

	cmd := exec.CommandContext(ctx, program, append([]string{"--batch", "--no-auto-check-trustdb", "--status-fd", statusFD}, args...)...)
	cmd.ExtraFiles = []*os.File{statusEnd}
	// The agent that it may start keeps its environment for as long as it lives.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return sign.IsSecretName(name)
	})
	cmd.Stdin = bytes.NewReader(input)
	out, words := &limited{most: maxOutput}, &limited{most: maxWords}
	cmd.Stdout, cmd.Stderr = out, words
	cmd.WaitDelay = patience
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it restores the terminal

	err = cmd.Start()
	_ = statusEnd.Close() // the copy of this process
	if err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return nil, fault.WithHint(fault.Missing("there is no program gpg"), "install GnuPG, or give a key in a file")
		}
		return nil, err
	}
	lines := make(chan []byte, 1)
	go func() {
		said, _ := io.ReadAll(io.LimitReader(status, maxWords))
		_, _ = io.Copy(io.Discard, status) // or gpg would wait
		lines <- said
	}()
	err = cmd.Wait()
	// An agent that gpg started must not keep this from ending.
	_ = status.SetReadDeadline(time.Now().Add(patience))
	said := <-lines
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, failure(said, words.Bytes(), err)
	case out.over:
		return nil, fault.Unsupported("gpg wrote more than %d bytes", maxOutput)
	}
	return out.Bytes(), nil
}

// failure makes an error of what gpg said.
func failure(status, words []byte, err error) error {
	text := last(words)
	if text == "" {
		text = err.Error()
	}
	for line := range strings.Lines(string(status)) {
		f := strings.Fields(strings.TrimPrefix(line, "[GNUPG:] "))
		if len(f) == 0 {
			continue
		}
		switch f[0] {
		case "INV_SGNR", "NO_SECKEY", "KEYEXPIRED", "KEYREVOKED":
			return fault.WithHint(fault.Usage("gpg cannot sign with it: %s", text), "see which keys can: gpg --list-secret-keys")
		}
	}
	return fault.WithHint(fault.Usage("gpg: %s", text), "see which keys there are: gpg --list-secret-keys; to be asked for a password on a terminal: export GPG_TTY=$(tty)")
}

// last returns the last line of what gpg said, fit to be shown.
func last(words []byte) string {
	lines := strings.Split(strings.TrimSpace(string(words)), "\n")
	text := strings.TrimPrefix(strings.TrimSpace(lines[len(lines)-1]), "gpg: ")
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if r := []rune(text); len(r) > maxShown {
		text = string(r[:maxShown]) + "..."
	}
	return text
}

// limited keeps the first bytes of what is written, and drops the rest.
type limited struct {
	bytes.Buffer
	most int
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	if room := l.most - l.Len(); len(p) > room {
		l.over = true
		l.Buffer.Write(p[:room])
		return len(p), nil
	}
	return l.Buffer.Write(p)
}
