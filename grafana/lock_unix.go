//go:build unix

package grafana

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// lock makes this process the only one that publishes from a folder, until unlock
// or the process ends, however it ends.
func lock(dir string) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, &Error{Reason: Local, Text: "lock the snapshot", Err: err}
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, failure(Local, "another process publishes the snapshot just now: try again in a minute")
		}
		return nil, &Error{Reason: Local, Text: "lock the snapshot", Err: err}
	}
	return func() { _ = file.Close() }, nil
}
