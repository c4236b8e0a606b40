package sign

import (
	"fmt"
	"io/fs"
	"os"
	"runtime"
)

// The permissions by which others than the owner get at a key.
const (
	groupRead   fs.FileMode = 0o040
	groupWrite  fs.FileMode = 0o020
	othersRead  fs.FileMode = 0o004
	othersWrite fs.FileMode = 0o002
)

// Exposed says, for a warning, who else than its owner may read or replace the
// private key in the file at path, such as "may be read by everybody (mode
// 0644)". It is "" if nobody, if there is no such file, and where permissions
// are not in the mode: on Windows. A link is followed.
func Exposed(path string) string {
	fi, err := os.Stat(path)
	if err != nil || !fi.Mode().IsRegular() || runtime.GOOS == "windows" {
		return "" // who reads it says what is wrong
	}
	mode := fi.Mode().Perm()
	may := func(what string, group, others fs.FileMode) string {
		switch {
		case mode&others != 0:
			return fmt.Sprintf("may be %s by everybody (mode %04o)", what, mode)
		case mode&group != 0:
			return fmt.Sprintf("may be %s by its group (mode %04o)", what, mode)
		}
		return ""
	}
	if s := may("read", groupRead, othersRead); s != "" {
		return s
	}
	return may("replaced", groupWrite, othersWrite)
}
