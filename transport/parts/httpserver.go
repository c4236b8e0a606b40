package parts

import (
	"bytes"
	"context"
	"net/http"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// httpServer is a program that answers a URL when it is ready.
type httpServer struct {
	program string
	args    func(addr string) []string // for a free loopback address
	env     []string                   // all of it
	ready   string                     // the path of the URL
}

// start runs the server in dir, ends it with the test, and returns its URL.
func (d httpServer) start(t testing.TB, dir string) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		Missing(t, "Linux for "+d.program) // see startChild
	}
	path := Tool(t, d.program)
	// Another process may take the free port first, so try more than one.
	var said string
	for range 3 {
		addr := FreeAddr(t)
		var output bytes.Buffer // read only after the program has ended
		cmd := exec.Command(path, d.args(addr)...)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, d.env, &output, &output
		ended := make(chan struct{})
		if err := startChild(cmd, ended); err != nil {
			t.Fatalf("start %s: %v", d.program, err)
		}
		stop := sync.OnceFunc(func() {
			_ = cmd.Process.Signal(syscall.SIGTERM)
			select {
			case <-ended:
			case <-time.After(registryStop):
				_ = killChild(cmd)
				<-ended
			}
		})
		if answered(t, "http://"+addr+d.ready, ended) {
			t.Cleanup(func() {
				stop()
				if t.Failed() {
					b := output.Bytes()
					t.Logf("%s said last:\n%s", d.program, b[max(0, len(b)-registryWords):])
				}
			})
			return "http://" + addr
		}
		stop()
		said = output.String()
	}
	t.Fatalf("%s does not start:\n%s", d.program, said)
	return ""
}

// answered waits until a URL answers with 200, or the server has ended.
func answered(t testing.TB, url string, ended <-chan struct{}) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), registryStart)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(registryPoll)
	defer tick.Stop()
	for !answers(ctx, client, url) {
		select {
		case <-ended:
			return false
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}
