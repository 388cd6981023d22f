package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// A restore is one step, the renaming of its folder to restoreFolder: before it everything is as it was, after it the
// restore is done, by whichever command comes to the journal next if this one is killed.
const (
	restoreFolder = "restore"    // in DATA_DIR: the files of a backup, checked and ready to take their places
	restoreAside  = "move-away"  // in it: the name under which the journal that is there is kept
	restoreLeft   = ".restore-*" // in DATA_DIR: what a restore leaves that is killed before that step
)

// finishRestore finishes a restore that was broken off. Without one it does nothing.
func (c *config) finishRestore() (err error) {
	if _, err := os.Lstat(filepath.Join(c.DataDir, restoreFolder)); err != nil {
		return nil // a folder that cannot be read is told by whoever opens the journal in it
	}
	held, err := journal.Hold(c.journalPath())
	if err != nil {
		return fmt.Errorf("a restore is under way: %w", err)
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	_, _, err = c.putInPlace()
	return err
}

// putInPlace moves the files of restoreFolder to their places: the journal in any case, the others where there is none
// of the same name, which would be newer. The caller holds the journal.
func (c *config) putInPlace() (restored, kept []string, err error) {
	from := filepath.Join(c.DataDir, restoreFolder)
	aside, err := os.ReadFile(filepath.Join(from, restoreAside))
	if err == nil {
		err = c.replaceJournal(from, string(aside))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("restore: %w", err)
	}
	names := []string{backupSnapshot}
	tokens, err := os.ReadDir(filepath.Join(from, backupTokens))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("restore: %w", err)
	}
	for _, token := range tokens {
		names = append(names, backupTokens+"/"+token.Name())
	}
	for _, name := range names {
		there, err := moveUnlessThere(filepath.Join(from, filepath.FromSlash(name)), filepath.Join(c.DataDir, filepath.FromSlash(name)))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return restored, kept, fmt.Errorf("restore: the journal is there, but not all that was with it: %w", err)
		case there:
			kept = append(kept, name)
		default:
			restored = append(restored, name)
		}
	}
	if err := os.RemoveAll(from); err != nil {
		return restored, kept, fmt.Errorf("restore: %w", err)
	}
	return restored, kept, nil
}

// replaceJournal puts the journal in from in its place, if it is not there already.
func (c *config) replaceJournal(from, aside string) error {
	staged := filepath.Join(from, backupJournal)
	if _, err := os.Lstat(staged); err != nil {
		return err
	}
	return journal.Replace(staged, c.journalPath(), aside)
}

// moveUnlessThere moves a file, and reports whether another one stays in its place.
func moveUnlessThere(from, to string) (there bool, err error) {
	if _, err := os.Lstat(from); err != nil {
		return false, err
	}
	if _, err := os.Lstat(to); err == nil {
		return true, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return false, err
	}
	return false, os.Rename(from, to)
}

// removeLeft removes what earlier restores have left that were killed. The caller holds the journal, so that none of
// them is under way.
func (c *config) removeLeft() error {
	left, err := filepath.Glob(filepath.Join(c.DataDir, restoreLeft))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// commit makes the files in dir a restore that will be finished, with the name under which a journal that is there is
// kept.
func (c *config) commit(dir, aside string) error {
	file, err := os.OpenFile(filepath.Join(dir, restoreAside), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = strings.NewReader(aside).WriteTo(file)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := syncFolder(file.Name()); err != nil {
		return err
	}
	if err := os.Rename(dir, filepath.Join(c.DataDir, restoreFolder)); err != nil {
		return err
	}
	return syncFolder(dir)
}
