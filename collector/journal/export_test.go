package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Wipe empties the journal, which is faster than to open a new one for each of a
// million histories.
func (j *Journal) Wipe(ctx context.Context) error {
	return j.quietly(ctx, func(tx *transaction) error {
		j.known, j.queued = nil, nil
		for _, table := range []string{"outbox", "report_again", "ranked", "gap", "report", "play", "fact", "item", "alias", "refused", "coverage", "batch", "account", "request", "quota"} {
			if _, err := tx.exec("DELETE FROM " + table); err != nil {
				return err
			}
		}
		return nil
	})
}

// CheckReferences is an error if a row refers to one that there is not: SQLite is
// not asked to see to it.
func (j *Journal) CheckReferences(ctx context.Context) error {
	for _, query := range []string{
		"SELECT \"table\", rowid FROM pragma_foreign_key_check",
		"SELECT 'report', id FROM report WHERE play NOT IN (SELECT id FROM play) OR fact NOT IN (SELECT id FROM fact)",
	} {
		var table string
		var row sql.NullInt64
		err := j.db.QueryRowContext(ctx, query+" LIMIT 1").Scan(&table, &row)
		if !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("row %d of %s refers to nothing (%v)", row.Int64, table, err)
		}
	}
	return nil
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
				items[identity].class = items[identity].title
			}
			rows = append(rows, newReportRow(&reports[i], items[identity], 0))
		}
		var all []*cluster
		for _, chain := range chains(rows) {
			all = append(all, merge(chain)...)
		}
		for _, c := range joinNameless(all) {
			c.derive()
			plays++
		}
	}
	return plays
}

// Apart returns the sizes of the groups in which Record would look at reports that
// an account has not reported yet.
func (j *Journal) Apart(ctx context.Context, account string, reports []Report) (sizes []int, err error) {
	err = j.quietly(ctx, func(tx *transaction) error {
		id, err := j.account(tx, account)
		if err != nil {
			return err
		}
		rows := make([]*reportRow, len(reports))
		for i := range reports {
			rows[i] = newReportRow(&reports[i], &itemRow{}, 0)
		}
		groups, err := (&recording{journal: j, tx: tx, account: id}).apart(rows)
		for _, group := range groups {
			sizes = append(sizes, len(group))
		}
		return err
	})
	return sizes, err
}

// ExplainIO is what an error with this code of SQLite is said to mean.
func ExplainIO(code int) string { return explainIO(code) }

// RefusedReports counts the reports that are kept and are no plays.
func (j *Journal) RefusedReports(ctx context.Context) (n int64, err error) {
	err = j.db.QueryRowContext(ctx, "SELECT count(*) FROM refused").Scan(&n)
	return n, err
}
