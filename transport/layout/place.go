package layout

import (
	"runtime"
	"strings"

	"bale/bundle/fault"
)

// Split takes what follows "oci:" to pieces: a folder and, after the first
// colon, what selects one image of it ("" if there is no colon). On Windows
// the colon of a drive letter belongs to the folder.
func Split(place string) (dir, ref string, err error) { return split("oci", "DIR", place) }

// SplitArchive does for "oci-archive:" what [Split] does for "oci:".
func SplitArchive(place string) (file, ref string, err error) { return SplitFile("oci-archive", place) }

// SplitFile does so for the place of another scheme that is a file.
func SplitFile(scheme, place string) (file, ref string, err error) {
	return split(scheme, "FILE", place)
}

func split(scheme, what, place string) (path, ref string, err error) {
	drive := 0
	if runtime.GOOS == "windows" && len(place) >= 2 && place[1] == ':' {
		drive = 2
	}
	path, ref, found := strings.Cut(place[drive:], ":")
	path = place[:drive] + path
	if path == "" || found && ref == "" {
		return "", "", fault.WithHint(fault.Usage("place %s:%s is incomplete", scheme, place),
			"it is written %s:%s or %s:%s:REF", scheme, what, scheme, what)
	}
	return path, ref, nil
}
