package docker

import (
	"strings"
	"testing"
)

// FuzzAnswer reads what an engine may answer to a load.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		``, `{"stream":"Loaded image: busybox:1\n"}`, `{"stream":"a"}{"stream":"b"}`, `{"error":"x"}`,
		`{"errorDetail":{"message":"no space left on device"},"error":"no space left on device"}`,
		`{"errorDetail":null}`, `{"stream":`, `<html>`, `[]`, `null`, `{"stream":"` + strings.Repeat("x", 2*maxSaid) + `"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		said, err := answered(strings.NewReader(answer))
		if len(said) > maxSaid {
			t.Errorf("%d bytes are kept", len(said))
		}
		if err != nil && err.Error() == "" && !strings.Contains(answer, "errorDetail") {
			t.Error("an error without words")
		}
	})
}
