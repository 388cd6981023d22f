package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrExists is returned by Restore where there is a journal already.
var ErrExists = errors.New("there is a journal already")

// Restore moves a copy that Copy has made to path, in the same file system, where
// it is the journal from now on. A journal that is there is moved to aside, unless
// that is empty. It refuses, and changes nothing: where a journal or the log of one
// is and aside is empty (ErrExists), where a process runs on it (ErrLocked), and a
// copy that is damaged, no journal or of a newer version (ErrNotAJournal, ErrNewer).
func Restore(ctx context.Context, from, path, aside string) (err error) {
	held, err := lock(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	// SQLite would take the log of another journal for that of this one.
	var there []string
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if _, err := os.Lstat(path + suffix); err == nil {
			there = append(there, suffix)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("restore journal: %w", err)
		}
	}
	if len(there) > 0 && aside == "" {
		return fmt.Errorf("%s: %w, which is never overwritten", path+there[0], ErrExists)
	}
	if err := verify(ctx, from); err != nil {
		return err
	}
	for _, suffix := range there {
		if err := os.Rename(path+suffix, aside+suffix); err != nil {
			return fmt.Errorf("move journal aside: %w", err)
		}
	}
	if err := os.Rename(from, path); err != nil {
		return fmt.Errorf("restore journal: %w", err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err == nil {
		err = errors.Join(dir.Sync(), dir.Close())
	}
	if err != nil {
		return fmt.Errorf("restore journal: %w", err)
	}
	return nil
}

// verify reads a copy of a journal from beginning to end.
func verify(ctx context.Context, path string) error {
	db, err := openDatabase(path, "ro")
	if err != nil {
		return err
	}
	defer db.Close()
	h, err := readHead(ctx, db)
	switch {
	case err != nil:
		return explainCopy(err)
	case h.application != applicationID:
		return fmt.Errorf("%w: it is empty or of another program", ErrNotAJournal)
	case h.version > h.known:
		return fmt.Errorf("%w (schema %d, this one knows %d): restore it with that version", ErrNewer, h.version, h.known)
	}
	var found string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&found); err != nil {
		return explainCopy(err)
	}
	if found != "ok" {
		return fmt.Errorf("%w: it is damaged: %s", ErrNotAJournal, found)
	}
	var dangling int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM pragma_foreign_key_check").Scan(&dangling); err != nil {
		return explainCopy(err)
	}
	if dangling > 0 {
		return fmt.Errorf("%w: it is damaged: %d rows refer to some that are missing", ErrNotAJournal, dangling)
	}
	return nil
}

// explainCopy is explainSQLite for a copy.
func explainCopy(err error) error {
	if failed, ok := errors.AsType[*sqlite.Error](err); ok {
		switch failed.Code() & 0xff {
		case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
			return fmt.Errorf("%w: it is damaged: %v", ErrNotAJournal, err)
		}
	}
	return fmt.Errorf("read copy of journal: %w", err)
}
