package verify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"bale/bundle"
	"bale/bundle/commit"
	"bale/bundle/fault"
)

const (
	stateFormat = "bale-loaded"
	// stateVersion is the version that is written, and the newest that is read.
	stateVersion = 1
	// maxState is the greatest size of a state file, in bytes. All that
	// maxNames and maxSigner allow fits in.
	maxState = 64 << 20
	// maxNames is how many names a state file remembers.
	maxNames = 4096
	// maxSigner is the greatest length of what names a signer, in bytes.
	maxSigner = 256
)

// State is a file that remembers, for each name, the bundle of the highest
// sequence that was loaded. It is read anew each time, and may be used by
// several processes. Somebody who can write it can have old bundles taken.
type State struct {
	path string
}

// NewState returns the state in a file, which need not be there yet.
func NewState(path string) *State { return &State{path} }

// UserState returns where a user's state is kept: bale/loaded.json in the
// folder that XDG_STATE_HOME names, or in ~/.local/state.
func UserState() (string, error) {
	dir := os.Getenv("XDG_STATE_HOME")
	switch {
	case dir == "":
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find the folder for state: %w", err)
		}
		dir = filepath.Join(home, ".local", "state")
	case !filepath.IsAbs(dir):
		return "", fault.Usage("XDG_STATE_HOME is %q, which is not an absolute path", dir)
	}
	return filepath.Join(dir, "bale", "loaded.json"), nil
}

// Path returns the path of the file.
func (s *State) Path() string { return s.path }

// Last returns what is remembered of a name, and false if that is nothing. A
// file that is not exactly what bale writes is a [fault.ErrDamaged].
func (s *State) Last(name string) (Loaded, bool, error) {
	list, err := s.read()
	if err != nil {
		return Loaded{}, false, err
	}
	i, ok := find(list, name)
	if !ok {
		return Loaded{}, false, nil
	}
	return list[i], true, nil
}

// Record remembers a bundle unless one of a higher sequence, or another one of
// the same, is remembered already. It returns which is remembered now. While
// another process writes it waits; waiting is as for [State.Reserve].
func (s *State) Record(ctx context.Context, l Loaded, waiting func(path string)) (Loaded, error) {
	if err := l.check(); err != nil {
		return Loaded{}, fmt.Errorf("remember a bundle: %w", err)
	}
	unlock, err := s.lock(ctx, s.path+".lock", waiting)
	if err != nil {
		return Loaded{}, err
	}
	defer unlock()
	list, err := s.read()
	if err != nil {
		return Loaded{}, err
	}
	i, ok := find(list, l.Name)
	switch {
	case ok && l.After(list[i]) != nil:
		return list[i], nil
	case ok:
		list[i] = l
	case len(list) == maxNames:
		return Loaded{}, fault.WithHint(fmt.Errorf("%s: remembers %d names, and takes no more", s.path, len(list)),
			"use another state file")
	default:
		list = slices.Insert(list, i, l)
	}
	data, err := encodeState(list)
	if err != nil {
		return Loaded{}, err
	}
	// What could not be read back must not be written.
	if _, err := parseState(data); err != nil {
		return Loaded{}, fmt.Errorf("%s: read back what is to be written: %w", s.path, err)
	}
	if err := commit.WriteFile(ctx, s.path, data, commit.Overwrite(), commit.Perm(0o600)); err != nil {
		return Loaded{}, fmt.Errorf("remember a bundle: %w", err)
	}
	return l, nil
}

// Reserve makes sure that one process at a time loads bundles of a name, so
// that what it decides by [State.Last] still holds when it is done. It waits
// for another that does, and calls waiting, which may be nil, with the path of
// the lock file when that takes long. The caller calls release in the end.
func (s *State) Reserve(ctx context.Context, name string, waiting func(path string)) (release func(), err error) {
	sum := sha256.Sum256([]byte(name))
	return s.lock(ctx, s.path+"."+hex.EncodeToString(sum[:8])+".lock", waiting)
}

// Exposed is [Exposed] for the file.
func (s *State) Exposed() string { return Exposed(s.path) }

// lock takes a lock file beside the state, whose folder it makes.
func (s *State) lock(ctx context.Context, path string, waiting func(string)) (func(), error) {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the state file: %w", err)
	}
	return lock(ctx, path, waiting)
}

// read returns what is remembered, sorted by name.
func (s *State) read() ([]Loaded, error) {
	data, err := s.content()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var list []Loaded
	if err == nil {
		list, err = parseState(data)
	}
	if errors.Is(err, fault.ErrDamaged) {
		err = fault.WithHint(err, "put back a copy of it; if there is none, remove it: then of each name the next bundle is taken whatever its sequence")
	}
	if err != nil {
		return nil, fmt.Errorf("state file %s: %w", s.path, err)
	}
	return list, nil
}

// content returns the bytes of the file.
func (s *State) content() ([]byte, error) {
	// A pipe in its place would block.
	fi, err := os.Lstat(s.path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fault.Damaged("is not a regular file")
	}
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read from
	return io.ReadAll(io.LimitReader(f, maxState+1))
}

// find returns where a name is in a list, or where it belongs.
func find(list []Loaded, name string) (int, bool) {
	return slices.BinarySearchFunc(list, name, func(l Loaded, n string) int { return cmp.Compare(l.Name, n) })
}

// stateFile is the form that a state has on disk.
type stateFile struct {
	Format  string   `json:"format"`
	Version int      `json:"version"`
	Loaded  []Loaded `json:"loaded"` // in ascending order of names
}

// encodeState returns the one form that a state has on disk.
func encodeState(list []Loaded) ([]byte, error) {
	f := stateFile{Format: stateFormat, Version: stateVersion, Loaded: append([]Loaded{}, list...)}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(f); err != nil {
		return nil, fmt.Errorf("encode a state file: %w", err)
	}
	return b.Bytes(), nil
}

// parseState reads a state file. A newer version is a [fault.ErrUnsupported],
// anything but the exact form a [fault.ErrDamaged].
func parseState(data []byte) ([]Loaded, error) {
	if len(data) > maxState {
		return nil, fault.Damaged("has more than %d bytes", maxState)
	}
	// As with bale.json: what is newer must not look damaged.
	var v struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, fault.Damaged("is not JSON as bale writes it: %s", Clip(err.Error()))
	}
	if v.Format != stateFormat || v.Version < 1 {
		return nil, fault.Damaged("is of format %q version %d, not %q", Clip(v.Format), v.Version, stateFormat)
	}
	if v.Version > stateVersion {
		return nil, fault.WithHint(fault.Unsupported("has version %d, this bale reads up to %d", v.Version, stateVersion),
			"use the bale that wrote it, or a newer one")
	}
	var f stateFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fault.Damaged("is not JSON as bale writes it: %s", Clip(err.Error()))
	}
	if again, err := encodeState(f.Loaded); err != nil || !bytes.Equal(again, data) {
		return nil, fault.Damaged("is not in the form that bale writes")
	}
	if len(f.Loaded) > maxNames {
		return nil, fault.Damaged("has %d names, more than %d", len(f.Loaded), maxNames)
	}
	for i, l := range f.Loaded {
		if err := l.check(); err != nil {
			return nil, err
		}
		if i > 0 && f.Loaded[i-1].Name >= l.Name {
			return nil, fault.Damaged("names %s twice, or out of order", Clip(l.Name))
		}
	}
	return f.Loaded, nil
}

// check refuses what [NewLoaded] does not make.
func (l Loaded) check() error {
	if err := bundle.CheckName(l.Name); err != nil {
		return fault.Damaged("%w", err)
	}
	name := Clip(l.Name)
	switch id, err := hex.DecodeString(l.ID); {
	case err != nil || len(id) != 16 || hex.EncodeToString(id) != l.ID:
		return fault.Damaged("%s: %q is not a bundle id", name, Clip(l.ID))
	case l.Sequence == 0:
		return fault.Damaged("%s: has no sequence", name)
	case l.Sums.Validate() != nil || l.Sums.Algorithm() != "sha256":
		return fault.Damaged("%s: %q is not a SHA-256", name, Clip(l.Sums.String()))
	case l.Time.Nanosecond() != 0 || l.Time.Location() != time.UTC || l.Time.Unix() < 0:
		return fault.Damaged("%s: time is not in whole seconds of UTC since 1970", name)
	case len(l.Signers) == 0 || len(l.Signers) > maxSigners:
		return fault.Damaged("%s: has %d signers", name, len(l.Signers))
	}
	for _, s := range l.Signers {
		if !isSignerName(s) {
			return fault.Damaged("%s: %q does not name a signer", name, Clip(s))
		}
	}
	return nil
}
