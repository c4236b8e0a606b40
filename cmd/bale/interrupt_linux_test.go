package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A lost terminal cleans up as Ctrl-C does.
func TestHangUp(t *testing.T) {
	t.Parallel()
	here := newGate(t, moment{method: "GET", path: `/blobs/`, after: 10_000})
	pushImages(t, here.Addr)
	here.arm()
	dir := t.TempDir()
	p := startBale(t, "save", "-o", filepath.Join(dir, "b.bale"), "--unsigned", here.Image("library/tools:1.0"))
	p.until("a layer on its way", here.reached)
	brokenOff(t, p.signal(syscall.SIGHUP))
	if wrong := leftovers(dir); wrong != "" {
		t.Error(wrong)
	}
}

// Ctrl-C while a list of images is awaited that never comes.
func TestInterruptedWaitingForAList(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	list := filepath.Join(t.TempDir(), "list")
	if err := syscall.Mkfifo(list, 0o600); err != nil {
		t.Fatal(err)
	}
	p := startBale(t, "save", "-o", filepath.Join(dir, "b.bale"), "--unsigned", "--images", list)
	reached := make(chan struct{})
	go func() {
		// Opening succeeds when somebody reads; we never write.
		w, err := os.OpenFile(list, os.O_WRONLY, 0)
		if err == nil {
			close(reached)
			<-t.Context().Done()
			_ = w.Close()
		}
	}()
	select {
	case <-reached:
	case <-time.After(time.Minute):
		t.Fatal("the list is not being read")
	}
	brokenOff(t, p.signal(os.Interrupt))
	if wrong := leftovers(dir); wrong != "" {
		t.Error(wrong)
	}
}
