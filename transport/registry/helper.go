package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"
	"github.com/google/go-containerregistry/pkg/authn"

	"bale/bundle/fault"
)

const (
	helperPrefix = "docker-credential-"
	// helperTime is how long a helper may take: somebody may have to type a
	// PIN, but nobody may be there to do so.
	helperTime = 2 * time.Minute
	// helperStop is how long what a killed helper started may hold its output.
	helperStop = time.Second
	maxHelper  = 64 << 10 // bytes of a helper's answer
)

// helperName is what a helper may be called. A path is none.
var helperName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// helpers runs Docker's credential helpers, one at a time since they may ask
// the user, and remembers what they said for a while.
type helpers struct {
	limit time.Duration
	turn  chan struct{}
	known map[helperQuestion]helperAnswer
}

type helperQuestion struct{ name, server string }

type helperAnswer struct {
	account *authn.AuthConfig
	at      time.Time
}

func newHelpers() *helpers {
	return &helpers{limit: helperTime, turn: make(chan struct{}, 1), known: map[helperQuestion]helperAnswer{}}
}

// get asks the helper docker-credential-NAME for an account at server. It
// returns nil if the helper knows none.
func (h *helpers) get(ctx context.Context, name, server string) (*authn.AuthConfig, error) {
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	q := helperQuestion{name, server}
	if a, ok := h.known[q]; ok && time.Since(a.at) < keepSecrets {
		return a.account, nil
	}
	account, err := h.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	h.known[q] = helperAnswer{account, time.Now()}
	return account, nil
}

func (h *helpers) ask(ctx context.Context, q helperQuestion) (*authn.AuthConfig, error) {
	program := helperPrefix + q.name
	if !helperName.MatchString(q.name) {
		return nil, fault.Usage("credential helper %.200q is no name of a program", q.name)
	}
	limited, cancel := context.WithTimeout(ctx, h.limit)
	defer cancel()
	run := &helperRun{ctx: limited, program: program}
	found, err := client.Get(func(args ...string) client.Program {
		run.args = args
		return run
	}, q.server)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err == nil:
		return helperAccount(found), nil
	case credentials.IsErrCredentialsNotFound(err):
		return nil, nil
	case errors.Is(run.err, exec.ErrNotFound):
		return nil, fault.WithHint(fmt.Errorf("credential helper %s for %s is not installed", program, q.server),
			"install it, or take it out of credsStore and credHelpers in Docker's config.json")
	case limited.Err() != nil:
		return nil, fault.WithHint(fmt.Errorf("credential helper %s for %s gave no answer within %v", program, q.server, h.limit),
			"it may wait for a passphrase: see what it does with: echo %s | %s get", q.server, program)
	case run.err != nil:
		return nil, fault.WithHint(fmt.Errorf("credential helper %s for %s: %w%s", program, q.server, run.err, run.words()),
			"see what it says with: echo %s | %s get", q.server, program)
	}
	// Its answer is not repeated, for it may hold the secret.
	return nil, fault.WithHint(fmt.Errorf("credential helper %s for %s gives no answer of the right form", program, q.server),
		"it must print JSON with Username and Secret")
}

func helperAccount(c *credentials.Credentials) *authn.AuthConfig {
	switch {
	case c.Secret == "":
		return nil
	case c.Username == tokenUser:
		return &authn.AuthConfig{IdentityToken: c.Secret}
	}
	return &authn.AuthConfig{Username: c.Username, Password: c.Secret}
}

// helperRun is one run of a helper; it implements client.Program.
type helperRun struct {
	ctx     context.Context
	program string
	args    []string
	in      io.Reader

	out, log limitedBuffer
	err      error
}

// Input implements client.Program.
func (r *helperRun) Input(in io.Reader) { r.in = in }

// Output implements client.Program.
func (r *helperRun) Output() ([]byte, error) {
	cmd := exec.CommandContext(r.ctx, r.program, r.args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = r.in, &r.out, &r.log
	cmd.WaitDelay = helperStop
	r.err = cmd.Run()
	return r.out.Bytes(), r.err
}

// words is what a helper that failed said. By the protocol that is a message
// for people, but what looks like an answer is kept back.
func (r *helperRun) words() string {
	said := strings.TrimSpace(r.out.String())
	if said == "" {
		said = strings.TrimSpace(r.log.String())
	}
	if said == "" || strings.Contains(said, "{") || strings.Contains(said, "Secret") {
		return ""
	}
	return ": " + printable(said)
}

// limitedBuffer keeps the first bytes of what is written to it.
type limitedBuffer struct{ bytes.Buffer }

// Write implements io.Writer. It never fails, for a helper that talks too much
// is not to be stopped by a broken pipe.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	if room := maxHelper - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}
