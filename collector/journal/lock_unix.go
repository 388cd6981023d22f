//go:build unix

package journal

import (
	"errors"
	"fmt"
	"io/fs"
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
// its process id. Commands that only look, import or log in need no lock. A journal
// that was removed or replaced since Open, by a restore such as, is not locked:
// ErrRemoved, ErrReplaced.
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
	if err := j.InPlace(); err != nil {
		return errors.Join(err, file.Close())
	}
	j.lock = file
	return nil
}

// KeepLock takes the lock again if its file was removed or replaced, which lets others
// take it as well, and reports whether it was. ErrLocked if one has done so.
func (j *Journal) KeepLock() (again bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.lock == nil || named(j.lock, lockPath(j.path)) {
		return false, nil
	}
	file, err := lock(j.path)
	if err != nil {
		return false, err
	}
	former := j.lock
	j.lock = file
	return true, former.Close()
}

// named reports whether an open file is the one at path. What cannot be seen counts as
// the same.
func named(file *os.File, path string) bool {
	opened, err := file.Stat()
	if err != nil {
		return true
	}
	found, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	return err != nil || os.SameFile(opened, found)
}

// lockPath is where the lock of a journal is.
func lockPath(journal string) string { return journal + ".lock" }

// lock takes the lock of the journal at path, which is held until the file is
// closed.
func lock(journal string) (*os.File, error) {
	for {
		file, err := lockFile(journal)
		if err != nil || named(file, lockPath(journal)) {
			return file, err
		}
		// It was removed before it was locked: nobody else would see this lock.
		if err := file.Close(); err != nil {
			return nil, fmt.Errorf("lock journal: %w", err)
		}
	}
}

func lockFile(journal string) (*os.File, error) {
	path := lockPath(journal)
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
