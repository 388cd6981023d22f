package journal

import (
	"context"
	"fmt"
)

// Wipe empties the journal, which is faster than to open a new one for each of a
// million histories.
func (j *Journal) Wipe(ctx context.Context) error {
	return j.quietly(ctx, func(tx *transaction) error {
		for _, table := range []string{"outbox", "report_again", "ranked", "gap", "report", "play", "fact", "item", "batch", "account", "request", "quota"} {
			if _, err := tx.exec("DELETE FROM " + table); err != nil {
				return err
			}
		}
		return nil
	})
}

// Identity is what makes two reports the same one.
func (r *Report) Identity() string {
	digest := r.identity()
	return string(digest[:])
}

// LimitPages sets how many pages the file may have, 0: as many as it has now, and
// returns how many that are.
func (j *Journal) LimitPages(ctx context.Context, pages int) (int, error) {
	err := j.writer.QueryRowContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", max(1, pages))).Scan(&pages)
	return pages, err
}
