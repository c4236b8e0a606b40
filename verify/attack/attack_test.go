package attack_test

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"

	"bale/verify/attack"
)

// What is written is what is read, whatever bytes files have.
func TestEncode(t *testing.T) {
	c := &attack.Case{
		Reason: "a reason", Base: "edge", Verify: []string{"--key", "a.pub"}, Exit: 4, Load: 3, Error: "some: error",
		Make: []string{"fifo a", "link b a"},
	}
	for name, data := range map[string]string{
		"text": "a\nb\n", "no-end": "a", "marker": "-- x --\n", "cr": "a\r\n", "zero": "\x00\n", "noise": "\xff\xfe", "long": strings.Repeat("x", 200),
	} {
		c.Files = append(c.Files, attack.File{Name: name, Data: []byte(data)})
	}
	data, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := attack.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, c) {
		t.Errorf("%+v, want %+v", got, c)
	}
	c.Files = []attack.File{{Name: "a.base64"}}
	if _, err := c.Encode(); err == nil {
		t.Error("a file with the ending of those that are encoded")
	}
}

func TestParseRefuses(t *testing.T) {
	const good = "reason: r\nbase: b\nverify: v\nexit: 4\nerror: e\n"
	if _, err := attack.Parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no reason":    strings.Replace(good, "reason: r\n", "", 1),
		"no error":     strings.Replace(good, "error: e\n", "", 1),
		"no exit":      strings.Replace(good, "exit: 4\n", "", 1),
		"exit no code": strings.Replace(good, "4", "four", 1),
		"twice":        good + "base: b\n",
		"unknown":      good + "note: x\n",
		"no key":       good + "hello\n",
		"way out":      good + "-- ../x --\n",
		"no base64":    good + "-- x.base64 --\n****\n",
	} {
		if c, err := attack.Parse([]byte(text)); err == nil {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// Without entries of its own a case is its base, byte for byte.
func TestBundleIsItsBase(t *testing.T) {
	for _, base := range []string{"edge", "keyless"} {
		want, err := os.ReadFile(attack.BasePath(base))
		if err != nil {
			t.Fatal(err)
		}
		got, err := (&attack.Case{Base: base}).Bundle()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: other bytes, %v", base, err)
		}
	}
}
