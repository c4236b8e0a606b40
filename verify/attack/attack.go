// Package attack reads and writes the cases of testdata/trust, which tests of
// several packages share: bundles that must be refused, each for one thing that
// is wrong with it, and some that must not. README.md there says what a case is.
// No program needs it.
package attack

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"

	"bale/bundle/container"
)

// The folders of testdata/trust.
const (
	Cases = "cases"
	Bases = "base"
	Keys  = "keys"
)

const (
	caseEnding = ".txtar"
	baseEnding = ".bale"
	// encoded ends the names of files that a txtar cannot hold as they are.
	encoded = ".base64"
)

// Case is a bundle, a command line, and what must come of it.
type Case struct {
	Name   string
	Reason string   // what is wrong, in a sentence
	Base   string   // of which its entries are
	Verify []string // arguments of bale verify, without the bundle
	Exit   int      // code of bale verify
	Load   int      // code of bale load into a new layout
	Error  string   // part of the message
	Make   []string // what a file cannot hold, see README.md
	Files  []File
}

// File is an entry of the bundle, by its name, or a file beside it.
type File struct {
	Name string
	Data []byte
}

// InBundle reports whether a file is an entry of the bundle.
func (f File) InBundle() bool {
	return f.Name == container.HeaderName || f.Name == container.IndexName || f.Name == container.SumsName || container.IsSignature(f.Name)
}

func isSignature(f File) bool { return container.IsSignature(f.Name) }

// Dir returns the path of something in testdata/trust.
func Dir(elem ...string) string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(append([]string{filepath.Dir(here), "..", "..", "testdata", "trust"}, elem...)...)
}

// Path returns where a case is kept.
func Path(name string) string { return Dir(Cases, name+caseEnding) }

// Names lists the cases.
func Names() ([]string, error) {
	list, err := os.ReadDir(Dir(Cases))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range list {
		name, ok := strings.CutSuffix(e.Name(), caseEnding)
		if !ok {
			return nil, fmt.Errorf("%s is no case", e.Name())
		}
		out = append(out, name)
	}
	return out, nil
}

// Read reads a case.
func Read(name string) (*Case, error) {
	data, err := os.ReadFile(Path(name))
	if err != nil {
		return nil, err
	}
	c, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	c.Name = name
	return c, nil
}

// Write writes a case, unless it is there: what one version refused, later ones
// have to refuse. It reports whether it did.
func (c *Case) Write() (bool, error) {
	data, err := c.Encode()
	if err == nil {
		_, err = Parse(data)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", c.Name, err)
	}
	return WriteNew(Path(c.Name), data)
}

// WriteNew writes a file unless it is there, and reports whether it did.
func WriteNew(path string, data []byte) (bool, error) {
	if _, err := os.Lstat(path); err == nil {
		return false, nil
	}
	return true, os.WriteFile(path, data, 0o644) //nolint:gosec // test data is for everybody
}

// Encode returns the form that a case has on disk.
func (c *Case) Encode() ([]byte, error) {
	var b bytes.Buffer
	line := func(key, value string) { fmt.Fprintf(&b, "%s: %s\n", key, value) }
	line("reason", c.Reason)
	line("base", c.Base)
	line("verify", strings.Join(c.Verify, " "))
	line("exit", strconv.Itoa(c.Exit))
	if c.Load != c.Exit {
		line("load", strconv.Itoa(c.Load))
	}
	if c.Error != "" {
		line("error", c.Error)
	}
	for _, m := range c.Make {
		line("make", m)
	}
	a := &txtar.Archive{Comment: b.Bytes()}
	for _, f := range c.Files {
		if strings.HasSuffix(f.Name, encoded) {
			return nil, fmt.Errorf("a file cannot be called %s", f.Name)
		}
		if plain(f.Data) {
			a.Files = append(a.Files, txtar.File{Name: f.Name, Data: f.Data})
			continue
		}
		var text bytes.Buffer
		for part := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(f.Data)), 76) {
			text.Write(append(part, '\n'))
		}
		a.Files = append(a.Files, txtar.File{Name: f.Name + encoded, Data: text.Bytes()})
	}
	return txtar.Format(a), nil
}

// plain reports whether a txtar holds some content as it is.
func plain(data []byte) bool {
	return len(data) == 0 || utf8.Valid(data) && data[len(data)-1] == '\n' && !txtar.NeedsQuote(data) && !bytes.ContainsAny(data, "\r\x00")
}

// Parse is the other way.
func Parse(data []byte) (*Case, error) {
	a := txtar.Parse(data)
	c := &Case{Exit: -1, Load: -1}
	given := make(map[string]bool)
	for text := range strings.Lines(string(a.Comment)) {
		key, value, ok := strings.Cut(strings.TrimSuffix(text, "\n"), ": ")
		if !ok || given[key] && key != "make" {
			return nil, fmt.Errorf("line %q", text)
		}
		given[key] = true
		var err error
		switch key {
		case "reason":
			c.Reason = value
		case "base":
			c.Base = value
		case "verify":
			c.Verify = strings.Fields(value)
		case "exit":
			c.Exit, err = strconv.Atoi(value)
		case "load":
			c.Load, err = strconv.Atoi(value)
		case "error":
			c.Error = value
		case "make":
			c.Make = append(c.Make, value)
		default:
			err = fmt.Errorf("unknown key %q", key)
		}
		if err != nil {
			return nil, err
		}
	}
	if c.Load < 0 {
		c.Load = c.Exit
	}
	switch {
	case c.Reason == "" || c.Base == "" || !given["verify"] || c.Exit < 0:
		return nil, errors.New("reason, base, verify or exit is missing")
	case c.Exit != 0 && c.Error == "":
		return nil, errors.New("it does not say which error")
	}
	for _, f := range a.Files {
		one := File{f.Name, f.Data}
		if name, ok := strings.CutSuffix(f.Name, encoded); ok {
			raw, err := base64.StdEncoding.DecodeString(string(f.Data))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.Name, err)
			}
			one = File{name, raw}
		}
		if !filepath.IsLocal(one.Name) {
			return nil, fmt.Errorf("file %q", one.Name)
		}
		c.Files = append(c.Files, one)
	}
	return c, nil
}

// Base returns the entries of a base, and when it was made.
func Base(name string) (entries []File, made time.Time, err error) {
	data, err := os.ReadFile(Dir(Bases, name+baseEnding))
	if err != nil {
		return nil, made, err
	}
	r := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return entries, made, nil
		}
		if err != nil {
			return nil, made, err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, made, err
		}
		entries, made = append(entries, File{h.Name, content}), h.ModTime
	}
}

// BasePath returns where a base is kept.
func BasePath(name string) string { return Dir(Bases, name+baseEnding) }

// Sums returns the SHA256SUMS of a base.
func Sums(base string) ([]byte, error) {
	entries, _, err := Base(base)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(entries, func(f File) bool { return f.Name == container.SumsName })
	if i < 0 {
		return nil, fmt.Errorf("%s has no %s", base, container.SumsName)
	}
	return entries[i].Data, nil
}

// Bundle returns the bundle of a case: the base with the entries of the case in
// place of its own. If the case has signatures, the base keeps none.
func (c *Case) Bundle() ([]byte, error) {
	entries, made, err := Base(c.Base)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(c.Files, isSignature) {
		entries = slices.DeleteFunc(entries, isSignature)
	}
	for _, f := range c.Files {
		if !f.InBundle() {
			continue
		}
		i := slices.IndexFunc(entries, func(e File) bool { return e.Name == f.Name })
		if i < 0 || isSignature(f) {
			entries = append(entries, f)
			continue
		}
		entries[i] = f
	}
	var out bytes.Buffer
	w, err := container.NewWriter(&out, made)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if err := w.Add(e.Name, e.Data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
