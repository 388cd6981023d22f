package journal

import (
	"context"
	"fmt"
)

// Integrity reads the whole file, on a connection of its own and beside everything else, and returns ErrNotAJournal if a
// part of it is damaged. Reads of other parts work all the same, so that nobody might notice. It takes about a second
// for 100 MB.
func (j *Journal) Integrity(ctx context.Context) error {
	db, err := openDatabase(j.path, "ro")
	if err != nil {
		return err
	}
	defer db.Close()
	var found string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("read the whole journal: %w", context.Cause(ctx))
		}
		return fmt.Errorf("read the whole journal: %w", explainSQLite(j.path, err))
	}
	if found != "ok" {
		return fmt.Errorf("journal %s: %w: it is damaged: %s", j.path, ErrNotAJournal, found)
	}
	return nil
}
