package layout

import (
	"runtime"
	"strings"

	"bale/bundle/fault"
)

// Split takes what follows "oci:" to pieces: a folder and, after the first
// colon, what selects one image of it ("" if there is no colon). On Windows
// the colon of a drive letter belongs to the folder.
func Split(place string) (dir, ref string, err error) {
	drive := 0
	if runtime.GOOS == "windows" && len(place) >= 2 && place[1] == ':' {
		drive = 2
	}
	dir, ref, found := strings.Cut(place[drive:], ":")
	dir = place[:drive] + dir
	if dir == "" || found && ref == "" {
		return "", "", fault.WithHint(fault.Usage("place oci:%s is incomplete", place),
			"an OCI layout is written oci:DIR or oci:DIR:REF")
	}
	return dir, ref, nil
}
