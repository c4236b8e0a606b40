package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bale/bundle/fault"
)

const (
	// lockEvery is how often a lock is tried that somebody else holds.
	lockEvery = 20 * time.Millisecond
	// patience is how long that goes on before the user is told.
	patience = time.Second
)

// errBusy says that somebody else holds a lock.
var errBusy = errors.New("somebody else holds the lock")

// lock takes the lock of a file that is there only while somebody holds it. It
// waits as long as it must, and calls waiting once when that takes a while.
func lock(ctx context.Context, path string, waiting func(path string)) (unlock func(), err error) {
	told := time.Now().Add(patience)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		unlock, err := tryLock(path)
		if err == nil {
			return unlock, nil
		}
		if !errors.Is(err, errBusy) {
			return nil, fault.WithHint(fmt.Errorf("lock the state file: %w", err),
				"check that its folder may be written to; BALE_STATE names another file")
		}
		if waiting != nil && time.Now().After(told) {
			waiting(path)
			waiting = nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(lockEvery):
		}
	}
}
