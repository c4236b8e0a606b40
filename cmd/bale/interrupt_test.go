package main

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Ctrl-C while images are being saved, whatever bale is waiting for.
func TestInterruptedSave(t *testing.T) {
	for name, m := range map[string]moment{
		"at the first word":        {path: `^/v2/$`},
		"looking for an image":     {path: `/tools/manifests/1.0$`},
		"reading a manifest":       {method: "GET", path: `/manifests/sha256:`},
		"before a layer":           {method: "GET", path: `/blobs/`},
		"within a layer":           {method: "GET", path: `/blobs/`, after: 10_000},
		"within the last of them":  {method: "GET", path: `/blobs/`, skip: 7, after: 10},
		"within a manifest's text": {method: "GET", path: `/manifests/`, after: 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			here := newGate(t, m)
			pushImages(t, here.Addr)
			here.arm()
			dir := t.TempDir()
			file := filepath.Join(dir, "b.bale")
			if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
				t.Fatal(err)
			}
			p := startBale(t, "save", "-o", file, "--force", "--key", testdata(t, "keys", forgeKey),
				here.Image("library/busybox:1.35"), here.Image("library/tools:1.0"))
			p.until("the moment", here.reached)
			brokenOff(t, p.signal(os.Interrupt))
			if b, err := os.ReadFile(file); err != nil || string(b) != "before" {
				t.Errorf("what was there is now %d bytes, %v", len(b), err)
			}
			if wrong := leftovers(dir, "b.bale"); wrong != "" {
				t.Error(wrong)
			}
		})
	}
}

// Ctrl-C while images are being loaded.
func TestInterruptedLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "b.bale")
	if err := os.WriteFile(file, realBundle(t), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]moment{
		"at the first word":       {path: `^/v2/$`},
		"asking for a layer":      {method: "HEAD", path: `/blobs/`},
		"starting an upload":      {method: "POST", path: `/blobs/uploads/`},
		"within an upload":        {method: "PATCH", path: `/blobs/uploads/`, after: 10_000},
		"ending an upload":        {method: "PUT", path: `/blobs/uploads/`},
		"starting the last":       {method: "POST", path: `/blobs/uploads/`, skip: 9},
		"writing a manifest":      {method: "PUT", path: `/manifests/sha256:`},
		"writing the last":        {method: "PUT", path: `/manifests/sha256:`, skip: 4},
		"giving the first name":   {method: "PUT", path: `/manifests/[^/:]+$`},
		"in the middle of a name": {method: "PUT", path: `/manifests/[^/:]+$`, after: 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			far := newGate(t, m)
			far.arm()
			p := startBale(t, "load", "-i", file, "--key", testdata(t, "keys", forgePub), "--to", "docker://"+far.Addr)
			p.until("the moment", far.reached)
			brokenOff(t, p.signal(syscall.SIGTERM))
			far.disarm()
			if tags, err := registryTags(far.Addr); err != nil || len(tags) > 0 {
				t.Errorf("the registry has tags %q, %v", tags, err)
			}
		})
	}
}

// A registry gives names one by one. Those given before the break are taken
// back.
func TestInterruptedBetweenNames(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "b.bale")
	if err := os.WriteFile(file, realBundle(t), 0o600); err != nil {
		t.Fatal(err)
	}
	far := newGate(t, moment{method: "PUT", path: `/manifests/[^/:]+$`, skip: 1})
	far.arm()
	p := startBale(t, "load", "-i", file, "--key", testdata(t, "keys", forgePub), "--to", "docker://"+far.Addr)
	p.until("the second name", far.reached)
	brokenOff(t, p.signal(os.Interrupt))
	far.disarm()
	tags, err := registryTags(far.Addr)
	if err != nil || len(tags) != 0 {
		t.Fatalf("the registry has tags %q, %v", tags, err)
	}
}

func brokenOff(t *testing.T, o outcome) {
	t.Helper()
	if wrong := o.refusal(exitBrokenOff); wrong != "" {
		t.Errorf("exit %d: %s\n%s", o.code, wrong, o.errout)
	}
}

// Ctrl-C before anything has begun.
func TestInterruptedFromTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "b.bale")
	if err := os.WriteFile(file, realBundle(t), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	key, pub := testdata(t, "keys", forgeKey), testdata(t, "keys", forgePub)
	for _, args := range [][]string{
		{"save", "-o", filepath.Join(dir, "out"), "--key", key, "oci:" + testdata(t, "images", "busybox")},
		{"save", "-o", filepath.Join(dir, "out"), "--unsigned", "127.0.0.1:1/a"},
		{"load", "-i", file, "--key", pub, "--to", "oci:" + filepath.Join(dir, "out")},
		{"load", "-i", file, "--key", pub, "--to", "docker://127.0.0.1:1"},
		{"load", "-i", file, "--key", pub, "--to", "docker-daemon:"},
		{"verify", "--key", pub, file},
		{"inspect", "--key", pub, file},
		{"inspect", file},
	} {
		o := inProcess(ctx, args...)
		if wrong := o.refusal(exitBrokenOff); wrong != "" {
			t.Errorf("%s: exit %d: %s\n%s", args[0], o.code, wrong, o.errout)
		}
	}
	if wrong := leftovers(dir); wrong != "" {
		t.Error(wrong)
	}
}
