//go:build unix

package journal

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
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
	path := j.path + ".lock"
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("lock journal: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			owner, _ := os.ReadFile(path)
			return fmt.Errorf("journal %s: %w (process %s): stop that one first", j.path, ErrLocked, strings.TrimSpace(string(owner)))
		}
		return fmt.Errorf("lock journal %s: %w", path, err)
	}
	if err := file.Truncate(0); err != nil {
		return errors.Join(fmt.Errorf("lock journal: %w", err), file.Close())
	}
	if _, err := fmt.Fprintln(file, os.Getpid()); err != nil {
		return errors.Join(fmt.Errorf("lock journal: %w", err), file.Close())
	}
	j.lock = file
	return nil
}
