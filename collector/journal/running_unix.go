//go:build unix

package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Running tells whether a process, another one or this one, holds the lock of the
// journal.
func (j *Journal) Running() (bool, error) { return running(j.path) }

func running(journal string) (bool, error) {
	file, err := os.Open(lockPath(journal))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the journal's lock: %w", err)
	}
	defer file.Close()
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) {
		return false, fmt.Errorf("look at the journal's lock: %w", err)
	}
	return err != nil, nil
}
