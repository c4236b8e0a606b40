package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// update writes testdata/vectors anew. What it held stays valid for ever:
// programs of later versions have to treat those bytes alike.
var update = flag.Bool("update", false, "write testdata/vectors anew")

const (
	minVectors   = 25
	maxVectors   = 500 << 10 // bytes, all together
	vectorReadme = "README.md"
)

// TestVectors runs every file of testdata/vectors through verify, load and
// inspect.
func TestVectors(t *testing.T) {
	dir := testdata(t, "vectors")
	if *update {
		writeVectors(t, dir)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	n, size := 0, 0
	for _, e := range list {
		if e.Name() == vectorReadme {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		n, size = n+1, size+len(b)
		t.Run(e.Name(), func(t *testing.T) {
			v, content, err := parseVector(b)
			if err != nil {
				t.Fatal(err)
			}
			v.check(t, content)
		})
	}
	if n < minVectors || size > maxVectors {
		t.Errorf("%d vectors in %d bytes, want at least %d in at most %d", n, size, minVectors, maxVectors)
	}
}

// TestForgeries does the same with bundles made just now, which the format of
// this version makes up in its own way.
func TestForgeries(t *testing.T) {
	seen := make(map[string]bool)
	for _, v := range vectors() {
		if seen[v.name] {
			t.Errorf("%s is there twice", v.name)
		}
		seen[v.name] = true
		t.Run(v.name, func(t *testing.T) { v.check(t, v.forgery.make(t)) })
	}
}

// check runs a bundle through the commands and compares what becomes of it.
func (v vector) check(t *testing.T, content []byte) {
	t.Helper()
	t.Parallel()
	dir := t.TempDir()
	file, out := filepath.Join(dir, "v.bale"), filepath.Join(dir, "out")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	key := testdata(t, "keys", forgePub)
	for _, c := range []struct {
		code int
		args []string
	}{
		{v.verify, []string{"verify", "--key", key, file}},
		{v.inspect, []string{"inspect", "--key", key, file}},
		{v.load, []string{"load", "-i", file, "--key", key, "--to", "oci:" + out}},
	} {
		o := inProcess(context.Background(), c.args...)
		if c.code == exitDone {
			if o.code != exitDone {
				t.Errorf("%s: exit %d, want 0: %s", c.args[0], o.code, o.errout)
			}
			continue
		}
		if wrong := o.refusal(c.code); wrong != "" {
			t.Errorf("%s: exit %d, want %d: %s\n%s", c.args[0], o.code, c.code, wrong, o.errout)
		}
		if !strings.Contains(o.errout, v.says) {
			t.Errorf("%s does not say %q but: %s", c.args[0], v.says, o.errout)
		}
	}
	want := []string{"v.bale"}
	if v.load == exitDone {
		want = append(want, "out")
		if _, err := layoutRoot(out, forgedImage); err != nil {
			t.Error(err)
		}
	}
	if wrong := leftovers(dir, want...); wrong != "" {
		t.Error(wrong)
	}
}

// A vector file is lines of key and value, an empty line, and the bundle.
func (v vector) encode(content []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "reason: %s\nkey: %s\nverify: %d\nload: %d\ninspect: %d\n", v.reason, forgePub, v.verify, v.load, v.inspect)
	if v.says != "" {
		fmt.Fprintf(&b, "error: %s\n", v.says)
	}
	return append(append(b.Bytes(), '\n'), content...)
}

func parseVector(b []byte) (v vector, content []byte, err error) {
	head, content, ok := bytes.Cut(b, []byte("\n\n"))
	if !ok {
		return v, nil, errors.New("no empty line")
	}
	given := make(map[string]bool)
	for _, line := range strings.Split(string(head), "\n") {
		key, value, _ := strings.Cut(line, ": ")
		if given[key] {
			return v, nil, fmt.Errorf("%s twice", key)
		}
		given[key] = true
		switch key {
		case "reason":
			v.reason = value
		case "key":
			if value != forgePub {
				return v, nil, fmt.Errorf("key %s", value)
			}
		case "verify":
			v.verify, err = strconv.Atoi(value)
		case "load":
			v.load, err = strconv.Atoi(value)
		case "inspect":
			v.inspect, err = strconv.Atoi(value)
		case "error":
			v.says = value
		default:
			err = fmt.Errorf("unknown key %q", key)
		}
		if err != nil {
			return v, nil, err
		}
	}
	for _, key := range []string{"reason", "key", "verify", "load", "inspect"} {
		if !given[key] {
			return v, nil, fmt.Errorf("no %s", key)
		}
	}
	return v, content, nil
}

// writeVectors replaces all files.
func writeVectors(t *testing.T, dir string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range list {
		if e.Name() == vectorReadme {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range vectors() {
		if slices.Contains(unwritten, v.name) {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, v.name), v.encode(v.forgery.make(t)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
