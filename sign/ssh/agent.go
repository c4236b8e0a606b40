package ssh

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"bale/bundle/fault"
	"bale/sign"
)

// agentVariable names the socket of the user's agent.
const agentVariable = "SSH_AUTH_SOCK"

// agentSigner signs through ssh-agent.
type agentSigner struct {
	public *PublicKey
	socket string
}

// Agent returns a signer that asks the user's ssh-agent to sign with a key, as
// ssh-keygen -Y sign does when it is given a .pub file. The agent must be there
// and have the key; it may ask a person then (ssh-add -c), or wait for a touch.
func Agent(ctx context.Context, public *PublicKey) (sign.Signer, error) {
	if public == nil || public.key == nil {
		return nil, fault.Usage("an empty SSH key given to sign with")
	}
	a := &agentSigner{public, os.Getenv(agentVariable)}
	if a.socket == "" {
		return nil, fault.WithHint(fault.Missing("sign with %s: there is no ssh-agent (%s is not set)", public, agentVariable),
			"start one: eval $(ssh-agent); ssh-add KEY; or give the private key")
	}
	err := a.talk(ctx, func(c agent.ExtendedAgent) error {
		keys, err := c.List()
		if err != nil {
			return fmt.Errorf("ask ssh-agent for its keys: %w", err)
		}
		for _, k := range keys {
			if bytes.Equal(k.Blob, public.blob) {
				return nil
			}
		}
		return fault.WithHint(fault.Missing("ssh-agent does not have the key, or is locked"),
			"add it with ssh-add KEY, or unlock the agent with ssh-add -X; ssh-add -l shows what it has")
	})
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", public, err)
	}
	return a, nil
}

// String names the signer for a message.
func (a *agentSigner) String() string { return a.public.String() + " in ssh-agent" }

// Sign implements [sign.Signer].
func (a *agentSigner) Sign(ctx context.Context, message []byte) (*sign.Signature, error) {
	var sig *sign.Signature
	err := a.talk(ctx, func(c agent.ExtendedAgent) (err error) {
		sig, err = a.public.made(message, func(data []byte) (*ssh.Signature, error) {
			s, err := c.SignWithFlags(a.public.key, data, a.flags())
			if err != nil {
				return nil, fault.WithHint(fmt.Errorf("ssh-agent did not sign: %w", err),
					"unlock it (ssh-add -X), confirm what it asks, or touch the token; ssh-add -l shows what it has")
			}
			return s, nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", a, err)
	}
	return sig, nil
}

// flags ask for SHA-512 where the agent would take SHA-1 by itself.
func (a *agentSigner) flags() agent.SignatureFlags {
	if a.public.kind.name == ssh.KeyAlgoRSA {
		return agent.SignatureFlagRsaSha512
	}
	return 0
}

// talk connects to the agent for one conversation, which ends with ctx.
func (a *agentSigner) talk(ctx context.Context, f func(agent.ExtendedAgent) error) error {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", a.socket)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fault.WithHint(fault.Missing("no ssh-agent answers: %w", err),
			"%s names a socket that is not there any more: start an agent, or give the private key", agentVariable)
	}
	defer func() { _ = conn.Close() }() // nothing is kept in it
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	// Without Close the client asks one thing at a time, with no goroutine.
	err = f(agent.NewClient(struct{ io.ReadWriter }{conn}))
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

var _ sign.Signer = (*agentSigner)(nil)
