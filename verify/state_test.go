package verify_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"bale/bundle/fault"
	"bale/verify"
)

// newState returns a state in a folder that is not there yet.
func newState(t testing.TB) *verify.State {
	t.Helper()
	return verify.NewState(filepath.Join(t.TempDir(), "deep", "bale", "loaded.json"))
}

// record remembers a bundle, which must be what is remembered then.
func record(t testing.TB, s *verify.State, l verify.Loaded) {
	t.Helper()
	if now, err := s.Record(t.Context(), l, nil); err != nil || !reflect.DeepEqual(now, l) {
		t.Fatalf("remembered %+v, %v", now, err)
	}
	last(t, s, l)
}

// last compares what is remembered.
func last(t testing.TB, s *verify.State, want verify.Loaded) {
	t.Helper()
	if got, ok, err := s.Last(want.Name); err != nil || !ok || !reflect.DeepEqual(got, want) {
		t.Fatalf("last is %+v, %v, %v, want %+v", got, ok, err, want)
	}
}

func TestState(t *testing.T) {
	s := newState(t)
	if _, ok, err := s.Last("edge"); ok || err != nil {
		t.Fatalf("before anything was loaded: %v, %v", ok, err)
	}
	if _, err := os.Stat(filepath.Dir(s.Path())); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a look made the folder: %v", err)
	}
	record(t, s, edge(7))
	for _, name := range []string{"zone", "core", "e", `odd "name" <&>`} {
		l := edge(1)
		l.Name = name
		record(t, s, l)
	}
	again := edge(7)
	again.Time = someTime.Add(time.Hour)
	record(t, s, again)
	newer := edge(1<<64 - 1)
	newer.Sums, newer.ID, newer.Signers = moreSums, otherID, []string{"a", "b"}
	record(t, s, newer)

	// It never goes down.
	other := newer
	other.Sums = someSums
	for _, l := range []verify.Loaded{edge(8), other} {
		if now, err := s.Record(t.Context(), l, nil); err != nil || !reflect.DeepEqual(now, newer) {
			t.Errorf("remembered %+v, %v", now, err)
		}
		last(t, s, newer)
	}
	if _, ok, err := s.Last("edges"); ok || err != nil {
		t.Errorf("of another name: %v, %v", ok, err)
	}
	onlyFile(t, s)
}

// onlyFile makes sure that nothing lies beside the state.
func onlyFile(t testing.TB, s *verify.State) {
	t.Helper()
	list, err := os.ReadDir(filepath.Dir(s.Path()))
	if err != nil || len(list) != 1 || list[0].Name() != filepath.Base(s.Path()) {
		t.Errorf("the folder holds %v, %v", list, err)
	}
}

// What could not be read back is not written.
func TestRecordRefusesWhatIsNoBundle(t *testing.T) {
	s := newState(t)
	record(t, s, edge(7))
	for name, change := range map[string]func(*verify.Loaded){
		"zero":            func(l *verify.Loaded) { *l = verify.Loaded{} },
		"no name":         func(l *verify.Loaded) { l.Name = "" },
		"odd name":        func(l *verify.Loaded) { l.Name = "edge/" },
		"no sequence":     func(l *verify.Loaded) { l.Sequence = 0 },
		"no sums":         func(l *verify.Loaded) { l.Sums = "" },
		"other algorithm": func(l *verify.Loaded) { l.Sums = "sha512:00" },
		"short id":        func(l *verify.Loaded) { l.ID = someID[2:] },
		"no signers":      func(l *verify.Loaded) { l.Signers = nil },
		"33 signers":      func(l *verify.Loaded) { l.Signers = strings.Fields(strings.Repeat("x ", 33)) },
		"signer in lines": func(l *verify.Loaded) { l.Signers = []string{"a\nb"} },
		"quoted signer":   func(l *verify.Loaded) { l.Signers = []string{`a"b`} },
		"spaced signer":   func(l *verify.Loaded) { l.Signers = []string{"a "} },
		"foreign signer":  func(l *verify.Loaded) { l.Signers = []string{"jos\u00e9"} },
		"local time":      func(l *verify.Loaded) { l.Time = l.Time.In(time.FixedZone("", 60)) },
		"part of seconds": func(l *verify.Loaded) { l.Time = l.Time.Add(1) },
		"far too late":    func(l *verify.Loaded) { l.Time = l.Time.AddDate(10_000, 0, 0) },
	} {
		l := edge(8)
		change(&l)
		if now, err := s.Record(t.Context(), l, nil); err == nil {
			t.Errorf("%s: remembered %+v", name, now)
		}
		last(t, s, edge(7))
	}
	onlyFile(t, s)
}

// goodState is the form that a state has on disk, and must keep.
const goodState = `{
  "format": "bale-loaded",
  "version": 1,
  "loaded": [
    {
      "name": "core",
      "sequence": 18446744073709551615,
      "sums": "` + moreSums + `",
      "id": "` + otherID + `",
      "loaded": "2026-11-21T14:30:00Z",
      "signers": [
        "a",
        "b"
      ]
    },
    {
      "name": "edge",
      "sequence": 7,
      "sums": "` + someSums + `",
      "id": "` + someID + `",
      "loaded": "2026-11-21T14:30:00Z",
      "signers": [
        "68a6-34eb-4c6a-3965-ec3b"
      ]
    }
  ]
}
`

func TestStateForm(t *testing.T) {
	s := newState(t)
	core := verify.Loaded{Name: "core", Sequence: 1<<64 - 1, Sums: moreSums, ID: otherID, Time: someTime, Signers: []string{"a", "b"}}
	record(t, s, edge(7))
	record(t, s, core)
	if got := string(read(t, s.Path())); got != goodState {
		t.Errorf("got %s", got)
	}
}

func TestDamagedState(t *testing.T) {
	swap := func(old, replacement string) string {
		if !strings.Contains(goodState, old) {
			t.Fatalf("no %q", old)
		}
		return strings.Replace(goodState, old, replacement, 1)
	}
	core := goodState[strings.Index(goodState, "    {"):strings.Index(goodState, "    {\n      \"name\": \"edge\"")]
	for name, c := range map[string]struct {
		text string
		kind error
	}{
		"empty":               {"", fault.ErrDamaged},
		"cut":                 {goodState[:len(goodState)/2], fault.ErrDamaged},
		"without its end":     {strings.TrimSuffix(goodState, "\n"), fault.ErrDamaged},
		"more after it":       {goodState + "\n", fault.ErrDamaged},
		"two of them":         {goodState + goodState, fault.ErrDamaged},
		"zeros":               {strings.Repeat("\x00", len(goodState)), fault.ErrDamaged},
		"null":                {"null\n", fault.ErrDamaged},
		"a list":              {"[]\n", fault.ErrDamaged},
		"another format":      {swap("bale-loaded", "bale"), fault.ErrDamaged},
		"no format":           {swap(`"format": "bale-loaded",`, ""), fault.ErrDamaged},
		"version 0":           {swap(`"version": 1`, `"version": 0`), fault.ErrDamaged},
		"version 2":           {swap(`"version": 1`, `"version": 2`), fault.ErrUnsupported},
		"version 1.0":         {swap(`"version": 1`, `"version": 1.0`), fault.ErrDamaged},
		"unknown field":       {swap(`"version": 1,`, `"version": 1, "x": 1,`), fault.ErrDamaged},
		"unknown field below": {swap(`"id":`, `"x": 1, "id":`), fault.ErrDamaged},
		"field twice":         {swap(`"sequence": 7,`, `"sequence": 7, "sequence": 7,`), fault.ErrDamaged},
		"field in capitals":   {swap(`"sequence": 7`, `"Sequence": 7`), fault.ErrDamaged},
		"no list":             {swap(goodState[strings.Index(goodState, `"loaded": [`):], `"loaded": null`+"\n}\n"), fault.ErrDamaged},
		"name twice":          {swap(`"edge"`, `"core"`), fault.ErrDamaged},
		"whole entry twice":   {swap(core, core+core), fault.ErrDamaged},
		"out of order":        {swap(`"core"`, `"zone"`), fault.ErrDamaged},
		"odd name":            {swap(`"core"`, `" core"`), fault.ErrDamaged},
		"name with a bell":    {swap(`"core"`, `"co\u0007re"`), fault.ErrDamaged},
		"sequence 0":          {swap(`"sequence": 7`, `"sequence": 0`), fault.ErrDamaged},
		"sequence -1":         {swap(`"sequence": 7`, `"sequence": -1`), fault.ErrDamaged},
		"sequence 7.0":        {swap(`"sequence": 7`, `"sequence": 7.0`), fault.ErrDamaged},
		"sequence 2^64":       {swap(`18446744073709551615`, `18446744073709551616`), fault.ErrDamaged},
		"sequence in words":   {swap(`"sequence": 7`, `"sequence": "7"`), fault.ErrDamaged},
		"short sums":          {swap(`22d477"`, `22d4"`), fault.ErrDamaged},
		"sums in capitals":    {swap(`sha256:121cd`, `sha256:121CD`), fault.ErrDamaged},
		"id in capitals":      {swap(otherID, strings.ToUpper(otherID)), fault.ErrDamaged},
		"time with a zone":    {swap(`14:30:00Z`, `14:30:00+00:00`), fault.ErrDamaged},
		"time with a part":    {swap(`14:30:00Z`, `14:30:00.5Z`), fault.ErrDamaged},
		"time before 1970":    {swap(`2026-11-21`, `1969-11-21`), fault.ErrDamaged},
		"no signers":          {swap("[\n        \"a\",\n        \"b\"\n      ]", "[]"), fault.ErrDamaged},
		"no list of signers":  {swap("[\n        \"a\",\n        \"b\"\n      ]", "null"), fault.ErrDamaged},
		"empty signer":        {swap(`"a"`, `""`), fault.ErrDamaged},
		"long signer":         {swap(`"a"`, `"`+strings.Repeat("a", 257)+`"`), fault.ErrDamaged},
		"signer with a bell":  {swap(`"a"`, `"a\u0007"`), fault.ErrDamaged},
		"signer with a quote": {swap(`"a"`, `"a\""`), fault.ErrDamaged},
		"signer in capitals":  {swap(`"a"`, `"\u0041"`), fault.ErrDamaged},
		"far too large":       {goodState + strings.Repeat("\n", 16<<20), fault.ErrDamaged},
		"too many names":      {manyNames(4097), fault.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			s := verify.NewState(filepath.Join(t.TempDir(), "loaded.json"))
			if err := os.WriteFile(s.Path(), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, known, err := s.Last("edge")
			if known || !errors.Is(err, c.kind) || !strings.Contains(err.Error(), s.Path()) || fault.Hint(err) == "" || len(err.Error()) > 500 {
				t.Errorf("known %v, %v (hint %q)", known, err, fault.Hint(err))
			}
			if _, err := s.Record(t.Context(), edge(9), nil); !errors.Is(err, c.kind) {
				t.Errorf("record: %v", err)
			}
			if string(read(t, s.Path())) != c.text {
				t.Error("it was changed")
			}
			onlyFile(t, s)
		})
	}
}

// manyNames is a state with so many names, the last of which is edge.
func manyNames(n int) string {
	head, rest, _ := strings.Cut(goodState, "    {\n")
	core, _, _ := strings.Cut(rest, "    {\n")
	var b strings.Builder
	b.WriteString(head)
	for i := range n - 1 {
		b.WriteString("    {\n" + strings.Replace(core, `"core"`, fmt.Sprintf(`"%05d"`, i), 1))
	}
	return b.String() + goodState[strings.LastIndex(goodState, "    {\n"):]
}

func TestStateIsBounded(t *testing.T) {
	s := verify.NewState(filepath.Join(t.TempDir(), "loaded.json"))
	if err := os.WriteFile(s.Path(), []byte(manyNames(4096)), 0o600); err != nil {
		t.Fatal(err)
	}
	record(t, s, edge(8)) // which is there
	l := edge(1)
	l.Name = "one more"
	if _, err := s.Record(t.Context(), l, nil); err == nil || fault.Hint(err) == "" {
		t.Errorf("got %v", err)
	}
	last(t, s, edge(8))
}

func TestStateThatIsNoFile(t *testing.T) {
	s := newState(t)
	if err := os.MkdirAll(s.Path(), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Last("edge"); !errors.Is(err, fault.ErrDamaged) {
		t.Errorf("a folder: %v", err)
	}
	// A folder in the place of the lock, and a file in the place of the folder.
	s = newState(t)
	if err := os.MkdirAll(s.Path()+".lock", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Record(t.Context(), edge(7), nil); err == nil || fault.Hint(err) == "" {
		t.Errorf("a folder for a lock: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s = verify.NewState(filepath.Join(file, "loaded.json"))
	if _, _, err := s.Last("edge"); err == nil {
		t.Error("read below a file")
	}
	if _, err := s.Reserve(t.Context(), "edge", nil); err == nil {
		t.Error("locked below a file")
	}
}

func TestUserState(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	t.Setenv("XDG_STATE_HOME", "")
	if got, err := verify.UserState(); err != nil || got != filepath.Join(home, ".local", "state", "bale", "loaded.json") {
		t.Errorf("got %s, %v", got, err)
	}
	t.Setenv("XDG_STATE_HOME", filepath.Join(home, "x"))
	if got, err := verify.UserState(); err != nil || got != filepath.Join(home, "x", "bale", "loaded.json") {
		t.Errorf("got %s, %v", got, err)
	}
	t.Setenv("XDG_STATE_HOME", "x")
	if _, err := verify.UserState(); !errors.Is(err, fault.ErrUsage) {
		t.Errorf("a relative folder: %v", err)
	}
}

func TestCancelledRecord(t *testing.T) {
	s := newState(t)
	record(t, s, edge(7))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Record(ctx, edge(8), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	last(t, s, edge(7))
	onlyFile(t, s)
}
