//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package verify

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Who opened a lock file before its holder removed it has not got the lock,
// whether another file stands there by then or none.
func TestRemovedLockFileIsNoLock(t *testing.T) {
	for name, another := range map[string]bool{"none there": false, "another there": true} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "lock")
			unlock, err := tryLock(path)
			if err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }() // nothing is written
			if err := holdLock(f); !errors.Is(err, errBusy) {
				t.Errorf("held twice: %v", err)
			}
			unlock()
			if another {
				unlock, err := tryLock(path)
				if err != nil {
					t.Fatal(err)
				}
				defer unlock()
			}
			if err := holdLock(f); !errors.Is(err, errBusy) {
				t.Errorf("held what was removed: %v", err)
			}
		})
	}
}
