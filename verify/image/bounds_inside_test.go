package image

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"bale/bundle/fault"
)

// What is small in JSON can be large in memory: two bytes of a list are a hundred
// here. So what is too much is refused before it is all there.
func TestManySmallThings(t *testing.T) {
	const size = 4 << 20
	numbers := append([]byte("[0"), bytes.Repeat([]byte(",0"), size/2)...)
	numbers = append(numbers, ']')
	var names bytes.Buffer
	for i := 0; names.Len() < size; i++ {
		fmt.Fprintf(&names, `"%x":0,`, i)
	}
	for name, c := range map[string]struct {
		data []byte
		read func([]byte) error
		want string
	}{
		"layers": {[]byte(`{"layers":` + string(numbers) + `}`), func(b []byte) error { _, _, err := parseLayers(b); return err }, "more than 4096 layers"},
		"subjects": {[]byte(`{"_type":"https://in-toto.io/Statement/v1","predicateType":"p","subject":` + string(numbers) + `}`),
			func(b []byte) error { _, err := parseStatement(b); return err }, "more than 1024 subjects"},
		"signatures": {[]byte(`{"payload":"","payloadType":"","signatures":` + string(numbers) + `}`),
			func(b []byte) error { _, err := parseEnvelope(b); return err }, "more than 64 signatures"},
		"names":          {[]byte("{" + names.String() + `"z":0}`), func(b []byte) error { _, err := parseObject(b); return err }, "more than 262144 names"},
		"names in lists": {[]byte(`{"a":[{` + names.String() + `"z":0}]}`), func(b []byte) error { _, err := parseObject(b); return err }, "more than 262144 names"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.read(c.data)
			if !errors.Is(err, fault.ErrDamaged) && !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	// Many, each for a while, as in an SBOM.
	if _, err := parseObject([]byte(`{"a":[` + strings.Repeat(`{"b":0,"c":{"d":0}},`, 200_000) + `0]}`)); err != nil {
		t.Error(err)
	}
}
