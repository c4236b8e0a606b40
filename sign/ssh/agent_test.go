package ssh

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"bale/bundle/fault"
	"bale/sign"
	"bale/transport/parts"
)

// socketDir makes a folder for sockets, whose paths have 107 bytes at most.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bale-ssh-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// realAgent is an ssh-agent of OpenSSH that ends with the test.
type realAgent struct {
	dir string
	env []string
}

func startAgent(t *testing.T) *realAgent {
	t.Helper()
	program := parts.Tool(t, "ssh-agent")
	a := &realAgent{dir: socketDir(t)}
	socket := filepath.Join(a.dir, "agent")
	cmd := exec.Command(program, "-D", "-a", socket)
	// It asks for a confirmation through this, which says no.
	cmd.Env = append([]string{"HOME=" + a.dir, "PATH=" + os.Getenv("PATH"), "DISPLAY=none"}, "SSH_ASKPASS=/bin/false")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	// It prints where it listens once it does.
	if n, err := out.Read(make([]byte, 1)); n != 1 {
		t.Fatalf("ssh-agent does not start: %v", err)
	}
	a.env = []string{agentVariable + "=" + socket}
	t.Setenv(agentVariable, socket)
	return a
}

func (a *realAgent) add(t *testing.T, args ...string) {
	t.Helper()
	out, err := openssh(t, a.dir, "ssh-add", nil, a.env, append([]string{"-q"}, args...)...)
	must(t, out, err)
}

// key has ssh-keygen make a key in the agent's folder.
func (a *realAgent) key(t *testing.T, name string, args ...string) *PublicKey {
	t.Helper()
	out, err := keygen(t, a.dir, nil, append(args, "-q", "-N", "", "-C", name, "-f", name)...)
	must(t, out, err)
	return one(t, string(load(t, a.dir, name+".pub")))
}

func TestAgentSigns(t *testing.T) {
	a := startAgent(t)
	for algorithm, args := range realKeys {
		name := strings.ReplaceAll(algorithm, " ", "-")
		pub := a.key(t, name, args...)
		a.add(t, name)
		if err := os.Remove(filepath.Join(a.dir, name)); err != nil { // it is in the agent only
			t.Fatal(err)
		}
		s, err := Agent(t.Context(), pub)
		if err != nil {
			t.Fatalf("%s: %v", algorithm, err)
		}
		sig, err := s.Sign(t.Context(), sums)
		if err != nil {
			t.Fatalf("%s: %v", algorithm, err)
		}
		if sig.Form != sign.SSH || sig.By != pub.Identity() {
			t.Errorf("%s: form %s, by %+v", algorithm, sig.Form, sig.By)
		}
		if err := check(pub, sums, sig.Data); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
		out, err := accepts(t, "alice@example.com "+string(load(t, a.dir, name+".pub")), string(sig.Data), sums)
		must(t, out, err)
		// And ssh-keygen through the same agent, for us.
		write(t, a.dir, "SHA256SUMS", sums)
		_ = os.Remove(filepath.Join(a.dir, "SHA256SUMS.sig"))
		out, err = openssh(t, a.dir, "ssh-keygen", nil, a.env, "-Y", "sign", "-f", name+".pub", "-n", "file", "SHA256SUMS")
		must(t, out, err)
		if err := check(pub, sums, load(t, a.dir, "SHA256SUMS.sig")); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}

func TestAgentWithoutKey(t *testing.T) {
	a := startAgent(t)
	pub := a.key(t, "key", "-t", "ed25519")
	missing := func(when string) {
		t.Helper()
		s, err := Agent(t.Context(), pub)
		if !errors.Is(err, fault.ErrMissing) || s != nil || !strings.Contains(fault.Hint(err), "ssh-add") || !strings.Contains(err.Error(), pub.Fingerprint()) {
			t.Errorf("%s: %v", when, err)
		}
	}
	missing("empty agent")
	a.add(t, "key")
	s, err := Agent(t.Context(), pub)
	if err != nil {
		t.Fatal(err)
	}
	lock := append(askpass(t, a.dir, "a lock"), a.env...)
	out, err := openssh(t, a.dir, "ssh-add", nil, lock, "-x")
	must(t, out, err)
	missing("locked agent")
	if sig, err := s.Sign(t.Context(), sums); err == nil || sig != nil || !strings.Contains(fault.Hint(err), "ssh-add -X") {
		t.Errorf("locked since: %v", err)
	}
	out, err = openssh(t, a.dir, "ssh-add", nil, lock, "-X")
	must(t, out, err)
	if _, err := s.Sign(t.Context(), sums); err != nil {
		t.Errorf("unlocked: %v", err)
	}
	out, err = openssh(t, a.dir, "ssh-add", nil, a.env, "-D")
	must(t, out, err)
	missing("emptied agent")
}

// The agent asks a person, who says no.
func TestAgentRefuses(t *testing.T) {
	a := startAgent(t)
	pub := a.key(t, "key", "-t", "ed25519")
	a.add(t, "-c", "key")
	s, err := Agent(t.Context(), pub)
	if err != nil {
		t.Fatal(err)
	}
	if sig, err := s.Sign(t.Context(), sums); err == nil || sig != nil || !strings.Contains(fault.Hint(err), "confirm") {
		t.Error(err)
	}
}

func TestNoAgent(t *testing.T) {
	pub := public(t, "ed25519")
	for name, socket := range map[string]string{"not set": "", "no socket": filepath.Join(t.TempDir(), "none")} {
		t.Setenv(agentVariable, socket)
		s, err := Agent(t.Context(), pub)
		if !errors.Is(err, fault.ErrMissing) || s != nil || !strings.Contains(err.Error(), pub.Fingerprint()) || fault.Hint(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// fakeAgent answers what a real one never would. What it does not have panics.
type fakeAgent struct {
	agent.ExtendedAgent
	public *PublicKey
	answer func(data []byte, flags agent.SignatureFlags) (*ssh.Signature, error)
}

func (f *fakeAgent) List() ([]*agent.Key, error) {
	return []*agent.Key{{Format: f.public.kind.name, Blob: f.public.blob}}, nil
}

func (f *fakeAgent) SignWithFlags(_ ssh.PublicKey, data []byte, flags agent.SignatureFlags) (*ssh.Signature, error) {
	return f.answer(data, flags)
}

// serve has each connection to a new socket answered by f.
func serve(t *testing.T, f func(net.Conn)) {
	t.Helper()
	socket := filepath.Join(socketDir(t), "agent")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f(conn)
			_ = conn.Close()
		}
	}()
	t.Setenv(agentVariable, socket)
}

// A token behind an agent signs; that is how FIDO keys are used.
func TestAgentWithFIDO(t *testing.T) {
	for _, kind := range fidoKinds {
		tok := newToken(t, kind)
		serve(t, func(c net.Conn) {
			_ = agent.ServeAgent(&fakeAgent{public: tok.public, answer: func(data []byte, _ agent.SignatureFlags) (*ssh.Signature, error) {
				return tok.answer(data)
			}}, c)
		})
		s, err := Agent(t.Context(), tok.public)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := s.Sign(t.Context(), sums)
		if err != nil {
			t.Fatal(err)
		}
		if err := check(tok.public, sums, sig.Data); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// What an agent gives is checked before it leaves.
func TestAgentLies(t *testing.T) {
	k := private(t, "rsa")
	for name, answer := range map[string]func([]byte, agent.SignatureFlags) (*ssh.Signature, error){
		"over something else": func(data []byte, _ agent.SignatureFlags) (*ssh.Signature, error) {
			return k.signer.SignWithAlgorithm(nil, data[1:], ssh.KeyAlgoRSASHA512)
		},
		"SHA-1": func(data []byte, flags agent.SignatureFlags) (*ssh.Signature, error) {
			if flags != agent.SignatureFlagRsaSha512 {
				return nil, errors.New("not asked for SHA-512")
			}
			return k.signer.SignWithAlgorithm(nil, data, ssh.KeyAlgoRSA)
		},
		"empty": func([]byte, agent.SignatureFlags) (*ssh.Signature, error) { return &ssh.Signature{}, nil },
	} {
		serve(t, func(c net.Conn) { _ = agent.ServeAgent(&fakeAgent{public: k.public, answer: answer}, c) })
		s, err := Agent(t.Context(), k.public)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := s.Sign(t.Context(), sums)
		if err == nil || sig != nil || !strings.Contains(err.Error(), "own check") {
			t.Errorf("%s: %v", name, err)
		}
		if errors.Is(err, fault.ErrUntrusted) || errors.Is(err, fault.ErrDamaged) {
			t.Errorf("%s: %v is said of a bundle", name, err)
		}
	}
	for name, answer := range map[string][]byte{
		"hangs up": nil, "cut": {0, 0, 0, 9, 12}, "endless": {0xff, 0xff, 0xff, 0xff, 12}, "many keys": {0, 0, 0, 5, 12, 0xff, 0xff, 0xff, 0xff}, "unknown": {0, 0, 0, 1, 99},
	} {
		serve(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 64))
			_, _ = c.Write(answer)
		})
		if s, err := Agent(t.Context(), k.public); err == nil || s != nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Who waits for a touch can give up.
func TestAgentEndsWithContext(t *testing.T) {
	tok := newToken(t, ssh.KeyAlgoSKED25519)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	serve(t, func(c net.Conn) {
		_ = agent.ServeAgent(&fakeAgent{public: tok.public, answer: func([]byte, agent.SignatureFlags) (*ssh.Signature, error) {
			cancel() // the request has come
			<-gone
			return nil, errors.New("nobody touched it")
		}}, c)
	})
	s, err := Agent(ctx, tok.public)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := s.Sign(ctx, sums)
	close(gone)
	if !errors.Is(err, context.Canceled) || sig != nil {
		t.Error(err)
	}
	if s, err := Agent(ctx, tok.public); !errors.Is(err, context.Canceled) || s != nil {
		t.Error(err)
	}
}
