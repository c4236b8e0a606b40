// Command bale carries container images: it saves them into one deduplicated,
// signed bundle, and on the far side verifies the bundle and loads them into a
// registry or an engine.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

func main() { os.Exit(realMain()) }

// realMain runs the command line on the process's own streams and returns the
// exit code. Deferred clean-up has run when it returns.
func realMain() int {
	limitMemory()
	// A lost terminal is an interrupt, and a reader that went away is an error
	// of writing: neither may end us before we have cleaned up.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // a second Ctrl-C ends the process at once
	}()
	return run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
}

// memoryGoal is where the garbage collector starts to work harder. What bale
// holds is bounded well below it whatever the size of an image.
const memoryGoal = 192 << 20

func limitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryGoal)
	}
}
