package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// spooling are the folders that spool makes.
const spooling = ".spotify-exporter-*"

// spool makes a folder in parent, for this user alone, for files that are needed for a while, and returns what removes
// it. It first removes those that processes have left which were killed: nobody holds their locks any more. Where locks
// cannot be had, they stay.
func spool(parent string) (dir string, remove func() error, err error) {
	left, _ := filepath.Glob(filepath.Join(parent, spooling)) // fails for a bad pattern only
	for _, dir := range left {
		if folder, err := lockFolder(dir); err == nil {
			_ = os.RemoveAll(dir) // it is tried again the next time
			_ = folder.Close()
		}
	}
	for {
		if dir, err = os.MkdirTemp(parent, spooling); err != nil {
			return "", nil, err
		}
		folder, err := lockFolder(dir)
		if err != nil && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EWOULDBLOCK)) {
			continue // somebody else has just taken it for one that was left
		}
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			_ = folder.Close()
			continue
		}
		return dir, func() error {
			err := os.RemoveAll(dir)
			_ = folder.Close() // nil where locks cannot be had
			return err
		}, nil
	}
}

// lockFolder locks a folder until it is closed, or this process ends.
func lockFolder(dir string) (*os.File, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	return folder, nil
}

// spool makes such a folder in the data directory, or, if that is not there yet, where it would be made: the system's
// folder for temporary files may be in memory, and small.
func (c *config) spool() (dir string, remove func() error, err error) {
	parent := c.DataDir
	if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
		parent = existingParent(parent)
	}
	if dir, remove, err = spool(parent); err != nil {
		return "", nil, c.cannotWrite(err)
	}
	return dir, remove, nil
}
