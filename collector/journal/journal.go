// Package journal is the only durable thing of the exporter: what every witness
// said of the listens of each account, the plays that follow from it, and what
// InfluxDB does not know yet, in one SQLite file.
package journal

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks a SQLite file as a journal of ours ("spot").
const applicationID = 0x73706f74

// Options are what a journal needs to know of the configuration. The zero value
// has the defaults.
type Options struct {
	// Now tells the time; nil: time.Now.
	Now func() time.Time
	// CountedMS is from how many ms played on a play counts; 0: 30,000.
	CountedMS int64
	// RecordPrivate exports the plays of private sessions as well.
	RecordPrivate bool
	// Confirmation is how long a play that only the tracker has seen waits for
	// Spotify's own list before it is exported; 0: 15 minutes.
	Confirmation time.Duration
	// Zone is where an account's listener lives, for the year that a play is in;
	// nil: UTC.
	Zone func(account string) *time.Location
}

// Journal is an open journal. It may be used by several goroutines, and several
// processes may have the same file open.
type Journal struct {
	path      string
	options   Options
	files     files // that SQLite has open
	db        *sql.DB
	writer    *sql.Conn            // of db, the only one that writes
	writing   chan struct{}        // held while writer is in use
	prepared  map[string]*sql.Stmt // on writer
	inserters map[string]*inserter // likewise
	known     *knownItems          // what the last transactions of writer knew of items, nil: nothing
	queued    map[queuedTotal]bool // what Sent has queued and Take has not taken since

	mu   sync.Mutex
	wake chan struct{}
	lock *os.File
}

// busyTimeout is how long a write waits for those of other processes.
const busyTimeout = 15 * time.Second

// ErrNewer is returned by Open for a journal that a newer version has written.
var ErrNewer = errors.New("written by a newer version of spotify-exporter")

// ErrNotAJournal is returned by Open for a file that is damaged or something else.
var ErrNotAJournal = errors.New("not a readable journal")

// ErrLocked is returned by Lock while another process holds the journal.
var ErrLocked = errors.New("another spotify-exporter is using this journal")

// Open opens the journal at path, which it creates (mode 0600) if it is not
// there, and brings its schema up to date. A file that is damaged, not a journal
// or of a newer version is left alone: ErrNotAJournal, ErrNewer. So is a log without
// its journal: ErrLostJournal.
func Open(ctx context.Context, path string, options Options) (*Journal, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.CountedMS == 0 {
		options.CountedMS = 30_000
	}
	if options.Confirmation == 0 {
		options.Confirmation = 15 * time.Minute
	}
	if err := checkLost(path); err != nil {
		return nil, err
	}
	// SQLite gives its -wal and -shm files the mode of the database.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("open journal: %w: user id %d has to own the file and its folder", err, os.Getuid())
	}
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	opened, err := file.Stat()
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if err := inspect(ctx, path); err != nil {
		return nil, explainSQLite(path, err)
	}
	j := &Journal{path: path, options: options, wake: make(chan struct{}), writing: make(chan struct{}, 1), prepared: map[string]*sql.Stmt{}, inserters: map[string]*inserter{}}
	if j.db, err = openDatabase(path, "rw"); err != nil {
		return nil, err
	}
	if j.writer, err = firstConn(ctx, j.db); err != nil {
		return nil, errors.Join(explainSQLite(path, err), j.db.Close())
	}
	if err := j.migrate(ctx); err != nil {
		return nil, errors.Join(explainSQLite(path, err), j.Close())
	}
	// SQLite keeps the files open, but does not tell which ones they are.
	if j.files, err = look(path); err == nil && !os.SameFile(opened, j.files[0]) {
		err = fmt.Errorf("journal %s: %w: try again", path, ErrReplaced)
	}
	if err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

// ErrLostJournal is returned by Open for a journal that is not there although it should be: a process runs on it, or its
// log is there, over which SQLite would begin a new one.
var ErrLostJournal = errors.New("the file of the journal is not there")

// checkLost is ErrLostJournal, or nil.
func checkLost(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if busy, err := running(path); err == nil && busy {
		return fmt.Errorf("%s: %w, and a spotify-exporter run or restore is using it: run notices within a minute that its file was removed, and keeps all that was in it; try again then",
			path, ErrLostJournal)
	}
	if info, err := os.Lstat(path + logSuffix); err != nil || info.Size() == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w, and its newest plays are in the log %s: put %s back beside it; if that is lost, move the log away, and restore a backup or start anew",
		path, ErrLostJournal, path+logSuffix, filepath.Base(path))
}

// inspect refuses a file that is not ours to write. It only reads: the mode of the
// journal is part of the file, so whoever sets it has changed it.
func inspect(ctx context.Context, path string) error {
	db, err := openDatabase(path, "ro")
	if err != nil {
		return err
	}
	defer db.Close()
	h, err := readHead(ctx, db)
	if err != nil {
		return err
	}
	if h.application != applicationID && (h.application != 0 || h.tables > 0) {
		return fmt.Errorf("%w: it is a SQLite file of another program, and was left as it is; choose another DATA_DIR", ErrNotAJournal)
	}
	if h.version < 0 {
		return fmt.Errorf("%w: its schema has the version %d, which no spotify-exporter gives; restore a backup", ErrNotAJournal, h.version)
	}
	if h.version > h.known {
		return fmt.Errorf("%w (schema %d, this one knows %d), and was left as it is: install that version or restore a backup", ErrNewer, h.version, h.known)
	}
	return nil
}

// head is what a SQLite file says of itself.
type head struct {
	application, version, tables int
	known                        int // the newest version that this program knows
}

func readHead(ctx context.Context, db *sql.DB) (h head, err error) {
	err = db.QueryRowContext(ctx, "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_user_version, pragma_application_id").
		Scan(&h.version, &h.application, &h.tables)
	if err != nil {
		return h, fmt.Errorf("read schema: %w", err)
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	h.known = len(names)
	return h, err
}

// openDatabase opens the file to be read ("ro") or written as well ("rw").
func openDatabase(path, mode string) (*sql.DB, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	pragmas := []string{fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds())}
	if mode == "rw" {
		// No foreign_keys: a report would be looked up six times. What is referred to
		// is never deleted, but reports, and tests check the references.
		pragmas = append(pragmas, "journal_mode(WAL)", "synchronous(FULL)", "cache_size(-8000)", "temp_store(MEMORY)")
	}
	query := url.Values{"mode": {mode}, "_pragma": pragmas}
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: absolute, RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4)
	return db, nil
}

// firstConn makes the connection that makes the file a journal. SQLite waits for
// others when it writes, but not when it changes a file's journal_mode.
func firstConn(ctx context.Context, db *sql.DB) (*sql.Conn, error) {
	for began := time.Now(); ; {
		conn, err := db.Conn(ctx)
		if failed, ok := errors.AsType[*sqlite.Error](err); !ok || failed.Code()&0xff != sqlite3.SQLITE_BUSY || time.Since(began) > busyTimeout {
			return conn, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// migrate brings the schema up to date, each step in a transaction of its own.
// user_version counts the steps that the file has seen.
func (j *Journal) migrate(ctx context.Context) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	var version int
	if err := j.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	for ; version < len(names); version++ {
		step, err := migrations.ReadFile(names[version])
		if err != nil {
			return err
		}
		err = j.write(ctx, func(tx *transaction) error {
			// Another process may have made this step while we waited for the lock.
			var now int
			if err := tx.get("PRAGMA user_version", nil, []any{&now}); err != nil || now > version {
				return err
			}
			// Not prepared: several statements.
			if _, err := tx.conn.ExecContext(ctx, string(step)); err != nil {
				return err
			}
			_, err := tx.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d; PRAGMA application_id = %d", version+1, applicationID))
			return err
		})
		if err != nil {
			return fmt.Errorf("bring schema to version %d: %w", version+1, err)
		}
	}
	return nil
}

// explainSQLite says what a user can do about a file that SQLite refuses.
func explainSQLite(path string, err error) error {
	if failed, ok := errors.AsType[*sqlite.Error](err); ok {
		switch failed.Code() & 0xff {
		case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
			return fmt.Errorf("journal %s: %w: the file is damaged or no journal (%v); it was left as it is: restore a backup, or move it away to start anew", path, ErrNotAJournal, err)
		case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
			return fmt.Errorf("journal %s: cannot be written by user id %d (%w); change its owner and that of its folder", path, os.Getuid(), err)
		case sqlite3.SQLITE_BUSY:
			return fmt.Errorf("journal %s: another process has been writing to it for %d s (%w); try again when that has ended", path, busyTimeout/time.Second, err)
		case sqlite3.SQLITE_FULL:
			return fmt.Errorf("journal %s: the disk is full (%w)", path, err)
		case sqlite3.SQLITE_IOERR:
			return fmt.Errorf("journal %s: %s (%w)", path, explainIO(failed.Code()), err)
		}
	}
	return fmt.Errorf("journal %s: %w", path, err)
}

// Close closes the journal, once nothing uses it any more, and gives up its lock.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	// With a statement left, SQLite keeps the file open and does not empty its log.
	var errs []error
	for _, s := range j.prepared {
		errs = append(errs, s.Close())
	}
	for _, i := range j.inserters {
		errs = append(errs, i.close())
	}
	errs = append(errs, j.writer.Close(), j.db.Close())
	if j.lock != nil {
		errs = append(errs, j.lock.Close())
		j.lock = nil
	}
	return errors.Join(errs...)
}

// RecordPrivate reports whether plays of private sessions are exported as well (Options.RecordPrivate).
func (j *Journal) RecordPrivate() bool { return j.options.RecordPrivate }

// Path returns where the journal is.
func (j *Journal) Path() string { return j.path }

// Wake returns a channel that is closed at the next change made through this
// Journal. Take it before looking, or a change in between is missed. Changes by
// other processes close nothing: look now and then as well.
func (j *Journal) Wake() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.wake
}

// Setting returns what SetSetting stored under name, "" if nothing.
func (j *Journal) Setting(ctx context.Context, name string) (string, error) {
	var value string
	err := j.db.QueryRowContext(ctx, "SELECT value FROM setting WHERE name = ?", name).Scan(&value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("read setting %s: %w", name, err)
	}
	return value, nil
}

// SetSetting stores a value that has to outlive the process.
func (j *Journal) SetSetting(ctx context.Context, name, value string) error {
	return j.write(ctx, func(tx *transaction) error {
		_, err := tx.exec("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", name, value)
		if err != nil {
			return fmt.Errorf("store setting %s: %w", name, err)
		}
		return nil
	})
}

// now is the time in ms since 1970.
func (j *Journal) now() int64 { return j.options.Now().UnixMilli() }
