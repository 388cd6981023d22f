//go:build unix

package journal

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// A look of Running holds the lock for a moment, so that Lock does not give up at
// once.
const (
	lockPatience = 200 * time.Millisecond
	lockAgain    = 5 * time.Millisecond
)

// Lock makes this process the only one that runs on the journal, until Close or
// the process ends, however it ends. Held by another process: ErrLocked, with
// its process id. Commands that only look, import or log in need no lock.
func (j *Journal) Lock() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.lock != nil {
		return nil
	}
	file, err := lock(j.path)
	if err != nil {
		return err
	}
	j.lock = file
	return nil
}

// lock takes the lock of the journal at path, which is held until the file is
// closed.
func lock(journal string) (*os.File, error) {
	path := journal + ".lock"
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock journal: %w", err)
	}
	deadline := time.Now().Add(lockPatience)
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	for errors.Is(err, syscall.EWOULDBLOCK) && time.Now().Before(deadline) {
		time.Sleep(lockAgain)
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		defer file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			owner, _ := os.ReadFile(path)
			return nil, fmt.Errorf("journal %s: %w (process %s): stop that one first", journal, ErrLocked, strings.TrimSpace(string(owner)))
		}
		return nil, fmt.Errorf("lock journal %s: %w", path, err)
	}
	if err := file.Truncate(0); err != nil {
		return nil, errors.Join(fmt.Errorf("lock journal: %w", err), file.Close())
	}
	if _, err := fmt.Fprintln(file, os.Getpid()); err != nil {
		return nil, errors.Join(fmt.Errorf("lock journal: %w", err), file.Close())
	}
	return file, nil
}
