package verify

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// othersWrite are the permission bits by which others may write.
const othersWrite fs.FileMode = 0o022

// Exposed returns, in words, who besides its owner may write a file that
// decisions hang on, or put another in its place; "" if nobody, as far as the
// permission bits tell. Of a symbolic link both ends are looked at.
func Exposed(path string) string {
	if runtime.GOOS == "windows" {
		return "" // where these bits say nothing
	}
	if text := exposed(path); text != "" {
		return text
	}
	if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
		return exposed(real)
	}
	return ""
}

func exposed(path string) string {
	// A link has all the bits, and they say nothing.
	if fi, err := os.Lstat(path); err == nil && fi.Mode()&fs.ModeSymlink == 0 && fi.Mode()&othersWrite != 0 {
		return fmt.Sprintf("others may write %s (%s)", path, fi.Mode())
	}
	dir := filepath.Dir(path)
	if fi, err := os.Stat(dir); err == nil && fi.Mode()&othersWrite != 0 && fi.Mode()&fs.ModeSticky == 0 {
		return fmt.Sprintf("others may replace what is in %s (%s)", dir, fi.Mode())
	}
	return ""
}
