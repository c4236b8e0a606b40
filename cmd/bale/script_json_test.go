package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdJSON checks that an output is one JSON value and nothing else, and what
// stands at some paths: "images.0.name=docker.io/library/busybox:1.35". The
// value of a list is its length.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: json stdout|stderr [PATH=VALUE...]")
	}
	d := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	d.UseNumber()
	var v any
	ts.Check(d.Decode(&v))
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		ts.Fatalf("something follows the JSON value")
	}
	for _, a := range args[1:] {
		path, want, _ := strings.Cut(a, "=")
		got, err := jsonAt(v, path)
		ts.Check(err)
		if got != want {
			ts.Fatalf("%s is %q, want %q", path, got, want)
		}
	}
}

func jsonAt(v any, path string) (string, error) {
	for _, step := range strings.Split(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = at[step]; !ok {
				return "", fmt.Errorf("%s: no %s", path, step)
			}
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(at) {
				return "", fmt.Errorf("%s: no element %s of %d", path, step, len(at))
			}
			v = at[i]
		default:
			return "", fmt.Errorf("%s: %s of %v", path, step, v)
		}
	}
	if list, ok := v.([]any); ok {
		return strconv.Itoa(len(list)), nil
	}
	return fmt.Sprint(v), nil
}
