package policy

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
)

// The schema has the very fields that are read.
func TestSchemaHasTheFields(t *testing.T) {
	type object struct {
		Properties map[string]object `json:"properties"`
		Defs       map[string]object `json:"$defs"`
	}
	var top object
	if err := json.Unmarshal(Schema, &top); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		schema object
		fields []string
	}{
		"policy":      {top, policyFields},
		"signer":      {top.Defs["signer"], signerFields},
		"keyless":     {top.Defs["keyless"], keylessFields},
		"certificate": {top.Defs["certificate"], certificateFields},
		"role":        {top.Defs["role"], roleFields},
		"bundle":      {top.Defs["bundle"], bundleFields},
		"lists":       {top.Defs["bundle"].Properties["images"], listFields},
		"image":       {top.Defs["image"], imageFields},
		"attestation": {top.Defs["attestation"], attestationFields},
	} {
		has, reads := slices.Sorted(maps.Keys(c.schema.Properties)), slices.Sorted(slices.Values(c.fields))
		if !slices.Equal(has, reads) {
			t.Errorf("%s: the schema has %v, and read are %v", name, has, reads)
		}
	}
}
