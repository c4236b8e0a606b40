package main

import (
	"errors"
	"strings"
	"testing"

	"bale/bundle/fault"
)

// Who gives a file that is not there as a base is not only told that Docker Hub
// has no such image.
func TestBaseThatIsNoFile(t *testing.T) {
	hub := fault.WithHint(fault.Missing("no such image"), "look elsewhere")
	for _, c := range []struct {
		images []string
		file   bool
	}{
		{[]string{"april.inventory"}, true},
		{[]string{"docker://app:1", "receipt"}, true},
		{[]string{"app:1"}, false},
		{[]string{"docker://app"}, false},
		{[]string{"team/app"}, false},
	} {
		err := noBase(c.images, hub)
		if got := strings.Contains(err.Error(), "is no file here"); got != c.file {
			t.Errorf("%s: %v", c.images, err)
		}
		if !errors.Is(err, fault.ErrMissing) || fault.Hint(err) != "look elsewhere" {
			t.Errorf("%s: kind or hint of %v is lost", c.images, err)
		}
	}
}
