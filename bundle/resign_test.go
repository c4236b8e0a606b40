package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bale/bundle/commit"
	"bale/bundle/container"
	"bale/bundle/fault"
)

func scanBytes(t testing.TB, b []byte) *Envelope {
	t.Helper()
	e, err := Scan(t.Context(), bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func resigned(t testing.TB, e *Envelope, list []Signature) []byte {
	t.Helper()
	arranged, err := ArrangeSignatures(list)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := e.Resign(t.Context(), &out, arranged); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Whatever signatures a bundle gets, all before them is the same bytes.
func TestResign(t *testing.T) {
	b := makeBundle(t, fixed(), contents(t))
	e := scanBytes(t, b)
	body, err := e.c.Body()
	if err != nil {
		t.Fatal(err)
	}
	own := e.Signatures()
	sig := func(name, data string) Signature { return Signature{name, []byte(data)} }
	for name, c := range map[string]struct {
		list []Signature
		want []string
	}{
		"its own": {own, []string{container.SigstoreName}},
		"none":    {nil, nil},
		"one more": {append(slices.Clone(own), sig(container.SigstoreName, "{}")),
			[]string{container.SigstoreName, container.SigstoreName + ".1"}},
		"all forms, in disorder": {
			[]Signature{sig("SHA256SUMS.y", "y"), sig(container.SSHName, "s"), own[0], sig("SHA256SUMS.x", "x"), sig(container.OpenPGPName, "p"), sig(container.SSHName, "")},
			[]string{container.SigstoreName, container.OpenPGPName, container.SSHName, container.SSHName + ".1", "SHA256SUMS.x", "SHA256SUMS.y"}},
		"gaps are filled": {[]Signature{sig(container.SigstoreName+".7", "{}"), sig(container.OpenPGPName+".31", "p")},
			[]string{container.SigstoreName, container.OpenPGPName}},
	} {
		got := resigned(t, e, c.list)
		if !bytes.Equal(got[:body], b[:body]) {
			t.Errorf("%s: what stands before the signatures is another", name)
		}
		again := scanBytes(t, got)
		var names []string
		for _, s := range again.Signatures() {
			names = append(names, s.Entry)
			if !slices.ContainsFunc(c.list, func(o Signature) bool { return bytes.Equal(o.Data, s.Data) }) {
				t.Errorf("%s: %s is a new signature", name, s.Entry)
			}
		}
		if !slices.Equal(names, c.want) {
			t.Errorf("%s: has %q, want %q", name, names, c.want)
		}
		if r, err := open(got); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if err := r.Check(t.Context(), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name == "its own" && !bytes.Equal(got, b) {
			t.Error("with its own signatures it is another bundle")
		}
		tr := tar.NewReader(bytes.NewReader(got))
		for {
			if _, err := tr.Next(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

func TestArrangeSignaturesRefuses(t *testing.T) {
	many := func(n int, name string) (out []Signature) {
		for i := range n {
			out = append(out, Signature{Entry: strings.ReplaceAll(name, "%d", strconv.Itoa(i))})
		}
		return out
	}
	for name, c := range map[string]struct {
		list []Signature
		says string
	}{
		"no signature":       {[]Signature{{Entry: "bale.json"}}, "not the name"},
		"the sums":           {[]Signature{{Entry: "SHA256SUMS"}}, "not the name"},
		"a way out":          {[]Signature{{Entry: "SHA256SUMS./../x"}}, "not the name"},
		"in a folder":        {[]Signature{{Entry: "SHA256SUMS.x/y"}}, "not the name"},
		"too large":          {[]Signature{{container.SSHName, make([]byte, MaxSignature+1)}}, "over the limit"},
		"unknown twice":      {many(2, "SHA256SUMS.x"), "two signatures"},
		"33 of a form":       {many(33, container.SSHName+""), "at most 32 signatures of SSH form"},
		"129 of all":         {many(129, "SHA256SUMS.x%d"), "at most 128"},
		"32 of each, and 33": {slices.Concat(many(32, container.SSHName+""), many(32, container.OpenPGPName+""), many(32, container.SigstoreName+""), many(33, "SHA256SUMS.x%d")), "at most 128"},
	} {
		if _, err := ArrangeSignatures(c.list); !errors.Is(err, fault.ErrUsage) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// fullDisk fails after so many bytes.
type fullDisk int

func (d *fullDisk) Write(p []byte) (int, error) {
	n := min(len(p), int(*d))
	*d -= fullDisk(n)
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func TestResignFails(t *testing.T) {
	b := makeBundle(t, fixed(), contents(t))
	e := scanBytes(t, b)
	for _, room := range []int{0, 1, 100_000, len(b) - 3000, len(b) - 1} {
		disk := fullDisk(room)
		if err := e.Resign(t.Context(), &disk, e.Signatures()); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("room for %d bytes: %v", room, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Resign(ctx, io.Discard, e.Signatures()); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// A file is copied by the system; it is the same bytes.
func TestResignFile(t *testing.T) {
	b := makeBundle(t, fixed(), contents(t))
	dir := t.TempDir()
	path := filepath.Join(dir, "b.bale")
	if err := os.WriteFile(path, b, 0o640); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	e, err := Scan(t.Context(), f, int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	out, err := commit.Create(path, commit.Overwrite())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Discard()
	list := append(slices.Clone(e.Signatures()), Signature{container.SSHName, []byte("x")})
	if err := e.Resign(t.Context(), out, list); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, b) {
		t.Errorf("it was changed before the commit, %v", err)
	}
	if err := out.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	now, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(now, resigned(t, scanBytes(t, b), list)) || out.Size() != int64(len(now)) {
		t.Errorf("%d bytes written, %d there, %v", out.Size(), len(now), err)
	}
}

func TestExpires(t *testing.T) {
	o := fixed()
	at := o.Created.Add(90*24*time.Hour + 5)
	o.Expires = &at
	r, err := open(makeBundle(t, o, contents(t)[5:]))
	if err != nil {
		t.Fatal(err)
	}
	if h := r.Header(); h.Expires == nil || !h.Expires.Equal(at.Truncate(time.Second)) {
		t.Errorf("expires %v", h.Expires)
	}
	for _, at := range []time.Time{o.Created, o.Created.Add(-time.Second), o.Created.Add(1), time.Unix(-1, 0), {}} {
		o.Expires = &at
		if _, err := NewWriter(t.Context(), io.Discard, o); err == nil {
			t.Errorf("made %s, expires %s", o.Created, at)
		}
	}
}

// ParseHeader refuses a bundle that expired before it was made.
func TestParseHeaderExpires(t *testing.T) {
	const head = "{\n  \"format\": \"bale\",\n  \"version\": 1,\n  \"id\": \"000102030405060708090a0b0c0d0e0f\",\n" +
		"  \"created\": \"2027-01-15T08:00:00Z\",\n  \"creator\": \"x\",\n  \"expires\": \"%s\"\n}\n"
	for at, good := range map[string]bool{
		"2027-01-15T08:00:01Z": true, "9999-12-31T23:59:59Z": true,
		"2027-01-15T08:00:00Z": false, "2027-01-15T07:59:59Z": false, "2027-01-16T08:00:00.5Z": false,
		"2027-01-16T08:00:00+00:00": false, "2027-01-16T10:00:00+02:00": false, "0001-01-01T00:00:00Z": false, "": false, "2027-01-16": false,
	} {
		h, err := ParseHeader(fmt.Appendf(nil, head, at))
		if good && (err != nil || h.Expires.Format(time.RFC3339) != at) || !good && !errors.Is(err, fault.ErrDamaged) {
			t.Errorf("%s: %v", at, err)
		}
	}
}
