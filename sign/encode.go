package sign

import (
	"bytes"
	"encoding/json"
	"fmt"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// MaxTimestamp is the greatest size of a timestamp in a Sigstore bundle, with all
// its certificates, in bytes. The libraries that parse it go as deep as what they
// parse, and look at all of it at each step.
const MaxTimestamp = 32 << 10

// Encode returns a Sigstore bundle as compact JSON without a trailing newline,
// as cosign writes it: the same bundle always gives the same bytes.
func Encode(pb *bundlepb.Bundle) ([]byte, error) {
	data, err := protojson.Marshal(pb)
	if err != nil {
		return nil, fmt.Errorf("encode signature: %w", err)
	}
	var out bytes.Buffer // protojson puts spaces in at random
	if err := json.Compact(&out, data); err != nil {
		return nil, fmt.Errorf("encode signature: %w", err)
	}
	return out.Bytes(), nil
}
