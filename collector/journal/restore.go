package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrExists is returned by CheckRestore where there is a journal already.
var ErrExists = errors.New("there is a journal already")

// Hold keeps every process, this one too, from running on the journal at path until what it returns is closed. While
// another one does it is ErrLocked.
func Hold(path string) (io.Closer, error) { return lock(path) }

// CheckRestore reports, without a change, why the copy of a journal at from cannot take the place of what is at path:
// a journal, or the log of one, is there and is not to be moved away (ErrExists), or the copy is damaged, no journal or
// of a newer version (ErrNotAJournal, ErrNewer).
func CheckRestore(ctx context.Context, from, path string, moveAway bool) error {
	for _, suffix := range []string{"", logSuffix} {
		switch _, err := os.Lstat(path + suffix); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("restore journal: %w", err)
		case !moveAway:
			return fmt.Errorf("%s: %w, which is never overwritten", path+suffix, ErrExists)
		}
	}
	return verify(ctx, from)
}

// logSuffix is behind the name of a database in that of SQLite's write-ahead log, which has the newest changes.
const logSuffix = "-wal"

// Replace puts the journal at from, which nobody has open and which has no log, in the place of what is at path. A
// journal that is there stays under the name aside, with its log: a log without its journal, or beside another one,
// would lose plays or damage it. The caller has Hold of path.
//
// Broken off anywhere, it is finished by the same call again. Until it has been, nobody may open the journal.
func Replace(from, path, aside string) error {
	replace := func() error {
		for _, suffix := range []string{logSuffix, ""} {
			if err := keep(path+suffix, aside+suffix); err != nil {
				return err
			}
		}
		if err := syncFolder(path); err != nil {
			return err
		}
		for _, suffix := range []string{logSuffix, "-shm"} { // SQLite makes the other one of the log
			if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if err := syncFolder(path); err != nil {
			return err
		}
		if err := os.Rename(from, path); err != nil {
			return err
		}
		return syncFolder(path)
	}
	if err := replace(); err != nil {
		return fmt.Errorf("restore journal: %w", err)
	}
	return nil
}

// keep gives a file that is there a second name, or a copy where the file system has no second names.
func keep(path, aside string) error {
	err := os.Link(path, aside)
	if err == nil || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return nil // the first part may have been done before
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(aside+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	return os.Rename(aside+".part", aside)
}

// syncFolder puts the names in the folder of a file on the disk.
func syncFolder(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
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
	case h.version < 0:
		return fmt.Errorf("%w: it is damaged: its schema has the version %d", ErrNotAJournal, h.version)
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
