package policy_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"bale/verify/policy"
)

// schema returns the published schema.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(policy.Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("policy.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("policy.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance turns YAML into what the validator takes.
func instance(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The schema takes what is good, and of what is bad all but what it cannot know.
func TestSchemaAgrees(t *testing.T) {
	s := schema(t)
	for _, path := range files(t, "good", 8) {
		if err := s.Validate(instance(t, read(t, path))); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := s.Validate(instance(t, policy.Example)); err != nil {
		t.Errorf("the example: %v", err)
	}
	refused := 0
	for _, path := range files(t, "bad", 80) {
		data := read(t, path)
		m := wanted.FindSubmatch(data)
		if m == nil || string(m[2]) == "-" { // not even YAML, or more than it
			continue
		}
		err := s.Validate(instance(t, data))
		if refuses := string(m[2]) == "refuses"; refuses != (err != nil) {
			t.Errorf("%s: the schema should say %s: %v", path, m[2], err)
		}
		if err != nil {
			refused++
		}
	}
	if refused < 30 {
		t.Errorf("the schema refuses only %d", refused)
	}
}
