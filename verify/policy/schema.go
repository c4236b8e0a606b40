package policy

import _ "embed"

// Schema is the JSON Schema (draft 2020-12) of the file. What it refuses, [Parse]
// refuses too; Parse also looks at what a schema cannot say: names that nobody
// has, rules that nothing reaches, files.
//
//go:embed schema.json
var Schema []byte

// Example is a policy to begin with, with comments. It names files with keys,
// which are not there.
//
//go:embed example.yaml
var Example []byte
