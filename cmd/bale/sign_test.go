package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// breaker breaks off a command when a word comes to be said.
type breaker struct {
	word   string
	cancel context.CancelFunc

	mu  sync.Mutex
	all bytes.Buffer
}

func (b *breaker) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all.Write(p)
	if strings.Contains(b.all.String(), b.word) {
		b.cancel()
	}
	return len(p), nil
}

// Ctrl-C while a bundle is being signed leaves it as it was, and nothing beside
// it.
func TestInterruptedSign(t *testing.T) {
	content := realBundle(t)
	for _, word := range []string{"", "check", "to be signed", "write"} {
		for _, args := range [][]string{nil, {"-o", "out.bale"}, {"--detach", "sums"}} {
			if word == "write" && len(args) > 0 && args[0] == "--detach" {
				continue // which is done in no time
			}
			t.Run(word+" "+strings.Join(args, " "), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				file := filepath.Join(dir, "b.bale")
				if err := os.WriteFile(file, content, 0o600); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				all := []string{"sign", "--key", testdata(t, "keys", strangeKey)}
				for i, a := range args {
					if i == 1 {
						a = filepath.Join(dir, a)
					}
					all = append(all, a)
				}
				if word == "" {
					cancel()
				}
				said := &breaker{word: word, cancel: cancel}
				var out bytes.Buffer
				code := run(ctx, append(all, file), streams{in: strings.NewReader(""), out: &out, err: said})
				brokenOff(t, outcome{code, out.String(), said.all.String()})
				if b, err := os.ReadFile(file); err != nil || !bytes.Equal(b, content) {
					t.Errorf("what was there is now %d bytes, %v", len(b), err)
				}
				if wrong := leftovers(dir, "b.bale"); wrong != "" {
					t.Error(wrong)
				}
			})
		}
	}
}

// Two who sign a bundle at once do not lose the signature of one unseen.
func TestSignWhileAnotherSigns(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "b.bale")
	if err := os.WriteFile(file, realBundle(t), 0o600); err != nil {
		t.Fatal(err)
	}
	said := &breaker{word: "to be signed", cancel: func() {}}
	once := sync.Once{}
	said.cancel = func() {
		once.Do(func() { mustRun(t, "sign", "-q", "--key", testdata(t, "keys", strangeKey), file) })
	}
	var out bytes.Buffer
	code := run(t.Context(), []string{"sign", "--key", testdata(t, "keys", "sec1.pem"), file},
		streams{in: strings.NewReader(""), out: &out, err: said})
	o := outcome{code, out.String(), said.all.String()}
	if wrong := o.refusal(exitFailed); wrong != "" || !strings.Contains(o.errout, "somebody else wrote to it meanwhile") {
		t.Errorf("exit %d: %s\n%s", code, wrong, o.errout)
	}
	mustRun(t, "verify", "--key", testdata(t, "keys", "rsa.pub"), file)
	mustRun(t, "sign", "-q", "--key", testdata(t, "keys", "sec1.pem"), file)
	for _, pub := range []string{forgePub, "rsa.pub", "sec1.pub"} {
		mustRun(t, "verify", "--key", testdata(t, "keys", pub), file)
	}
	if wrong := leftovers(dir, "b.bale"); wrong != "" {
		t.Error(wrong)
	}
}
