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

// Derive makes plays of reports as Record does, without the database, and returns
// how many they are. So many reports are looked at together.
func Derive(reports []Report, together int) int {
	items := map[string]*itemRow{}
	plays := 0
	for from := 0; from < len(reports); from += together {
		var rows []*reportRow
		for i := from; i < min(from+together, len(reports)); i++ {
			identity := itemIdentity(&reports[i].Item)
			if items[identity] == nil {
				items[identity] = &itemRow{id: int64(len(items)), Item: reports[i].Item}
				items[identity].setKeys()
			}
			rows = append(rows, newReportRow(&reports[i], items[identity], 0))
		}
		for _, chain := range chains(rows) {
			for _, c := range merge(chain) {
				c.derive()
				plays++
			}
		}
	}
	return plays
}
