//go:build unix

package sign_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"bale/sign"
)

func TestExposed(t *testing.T) {
	for mode, want := range map[fs.FileMode]string{
		0o600: "", 0o400: "", 0o700: "", 0o611: "",
		0o640: "may be read by its group (mode 0640)",
		0o644: "may be read by everybody (mode 0644)",
		0o604: "may be read by everybody (mode 0604)",
		0o620: "may be replaced by its group (mode 0620)",
		0o602: "may be replaced by everybody (mode 0602)",
		0o662: "may be read by its group (mode 0662)",
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "my.key")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(dir, "link") // has a mode of its own, 0777
		if err := os.Symlink("my.key", link); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{file, link} {
			if got := sign.Exposed(path); got != want {
				t.Errorf("%s with mode %o: %q, want %q", filepath.Base(path), mode, got, want)
			}
		}
	}
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none"), "/dev/null"} {
		if got := sign.Exposed(path); got != "" {
			t.Errorf("%s: %q", path, got)
		}
	}
}
