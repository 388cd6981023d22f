package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
)

// Copy writes a consistent copy of the journal to path, mode 0600, while others
// use the journal. It is complete when Copy returns; a file that is there already
// is left alone.
func (j *Journal) Copy(ctx context.Context, path string) error {
	conn, err := j.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("copy journal: %w", explainSQLite(j.path, err))
	}
	return errors.Join(j.copyTo(ctx, conn, path), conn.Close())
}

// copyTo is Copy by way of a connection.
func (j *Journal) copyTo(ctx context.Context, conn *sql.Conn, path string) error {
	// SQLite takes an empty file for none, and this one has its mode already.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("copy journal: %w", err)
	}
	if _, err = conn.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		err = explainSQLite(j.path, err)
	} else {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(fmt.Errorf("copy journal to %s: %w", path, err), os.Remove(path))
	}
	return nil
}
