package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Batch is one import.
type Batch struct {
	ID        int64
	Account   string
	StartedAt time.Time
	EndedAt   time.Time // zero: it was interrupted, or is taken back
	Undoing   bool      // it is being taken back, or was
	UndoneAt  time.Time // zero: it stands, in part if Undoing
	Source    string    // the files' names
	Summary   string    // what EndBatch was given
	Reports   int64     // that it holds now
}

// ErrNoBatch is returned for an import that is not there or undone already.
var ErrNoBatch = errors.New("no such import, or undone already")

// StartBatch begins an import of an account, which it makes if there is none.
// The id is Witnessed.Batch of everything that belongs to it.
func (j *Journal) StartBatch(ctx context.Context, account, source string) (int64, error) {
	var id int64
	err := j.quietly(ctx, func(tx *transaction) error {
		accountID, err := j.account(tx, account)
		if err != nil {
			return err
		}
		return tx.get("INSERT INTO batch (account, started_ms, source) VALUES (?, ?, ?) RETURNING id", []any{accountID, j.now(), source}, []any{&id})
	})
	if err != nil {
		return 0, fmt.Errorf("begin import: %w", explainSQLite(j.path, err))
	}
	return id, nil
}

// Covered is a time of which an import has all plays, from the end of the first to
// the end of the last.
type Covered struct{ From, Until time.Time }

// EndBatch marks an import as complete and closes the account's gaps that it
// covers, be it that another import has brought the plays in them first. It returns
// how many that were.
func (j *Journal) EndBatch(ctx context.Context, id int64, summary string, covered []Covered) (int, error) {
	closed := 0
	err := j.write(ctx, func(tx *transaction) error {
		if err := stands(tx, id); err != nil {
			return err
		}
		var account int64
		if err := tx.get("UPDATE batch SET ended_ms = ?, summary = ? WHERE id = ? RETURNING account", []any{j.now(), summary, id}, []any{&account}); err != nil {
			return err
		}
		for _, c := range covered {
			if _, err := tx.exec("INSERT INTO coverage (batch, from_ms, until_ms) VALUES (?, ?, ?)", id, unixMilli(c.From), unixMilli(c.Until)); err != nil {
				return err
			}
		}
		var gaps []int64
		err := tx.each("SELECT id FROM gap WHERE account = ?1 AND closed_ms = 0 AND EXISTS (SELECT 1 FROM coverage WHERE batch = ?2 AND "+coversGap+")",
			[]any{account, id, slackMS}, func(rows *sql.Rows) error {
				var gap int64
				err := rows.Scan(&gap)
				gaps = append(gaps, gap)
				return err
			})
		if err != nil {
			return err
		}
		for _, gap := range gaps {
			if err := closeGap(tx, gap, j.now(), closedBy(id)); err != nil {
				return err
			}
		}
		closed = len(gaps)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("end import %d: %w", id, explainSQLite(j.path, err))
	}
	return closed, nil
}

// coversGap is the condition that a coverage reaches over a gap. Both know the ends
// of plays to the slack ?3, in ms.
const coversGap = "coverage.from_ms <= gap.from_ms + ?3 AND coverage.until_ms >= gap.to_ms - ?3"

func closedBy(batch int64) string { return fmt.Sprintf("import %d", batch) }

// stands is ErrNoBatch for an import that is not there or being taken back.
func stands(tx *transaction, id int64) error {
	var one int
	err := tx.get("SELECT 1 FROM batch WHERE id = ? AND undoing = 0", []any{id}, []any{&one})
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("import %d: %w", id, ErrNoBatch)
	}
	return err
}

// Batches returns all imports, oldest first.
func (j *Journal) Batches(ctx context.Context) ([]Batch, error) {
	var batches []Batch
	err := j.read(ctx, func(tx *transaction) error {
		return tx.each(`SELECT batch.id, alias, started_ms, ended_ms, undoing, undone_ms, source, summary, (SELECT count(*) FROM report WHERE report.batch = batch.id)
			FROM batch JOIN account ON account.id = batch.account ORDER BY batch.id`, nil, func(rows *sql.Rows) error {
			var b Batch
			var started, ended, undone int64
			if err := rows.Scan(&b.ID, &b.Account, &started, &ended, &b.Undoing, &undone, &b.Source, &b.Summary, &b.Reports); err != nil {
				return err
			}
			b.StartedAt, b.EndedAt, b.UndoneAt = fromMilli(started), fromMilli(ended), fromMilli(undone)
			batches = append(batches, b)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read imports: %w", err)
	}
	return batches, nil
}

// Shared returns how many of an import's plays other imports have brought as well, by
// the import that keeps them when this one is taken back.
func (j *Journal) Shared(ctx context.Context, id int64) (map[int64]int64, error) {
	shared := map[int64]int64{}
	err := j.read(ctx, func(tx *transaction) error {
		// What it has brought first goes to the first of the others; what it has brought
		// again stays where it is.
		return tx.each(`SELECT keeper, count(DISTINCT play) FROM (
				SELECT (SELECT min(batch) FROM report_again WHERE report = report.id) AS keeper, play FROM report WHERE batch = ?1
				UNION ALL SELECT report.batch, report.play FROM report_again JOIN report ON report.id = report_again.report WHERE report_again.batch = ?1)
			WHERE keeper IS NOT NULL GROUP BY keeper ORDER BY keeper`, []any{id}, func(rows *sql.Rows) error {
			var keeper, plays int64
			err := rows.Scan(&keeper, &plays)
			shared[keeper] = plays
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read import %d: %w", id, explainSQLite(j.path, err))
	}
	return shared, nil
}

// undoPortion is how many reports are taken back in one transaction if nobody says:
// few enough that a daemon beside it never waits long.
const undoPortion = 300

// UndoBatch takes an import back: its reports are removed, unless a later import
// has brought them again, the plays around them derived anew, what only it knew of
// items is forgotten, gaps that only it has covered are open again, and the outbox
// carries what has to leave InfluxDB. From then on nothing can be added to it.
//
// next, unless nil, is told after every transaction how many reports are gone and
// how long nobody else could write, and says how many are to be next, one at least.
// Interrupted, an undo is repeated.
func (j *Journal) UndoBatch(ctx context.Context, id int64, next func(done int64, held time.Duration) int) error {
	var alias string
	err := j.read(ctx, func(tx *transaction) error {
		return tx.get("SELECT alias FROM batch JOIN account ON account.id = batch.account WHERE batch.id = ? AND undone_ms = 0", []any{id}, []any{&alias})
	})
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("import %d: %w", id, ErrNoBatch)
	}
	if err == nil {
		err = j.write(ctx, func(tx *transaction) error { return j.reopen(tx, id) })
	}
	portion := undoPortion
	for done, left := int64(0), true; err == nil && left; {
		var began time.Time
		err = j.write(ctx, func(tx *transaction) error {
			began = time.Now()
			removed, err := j.undoSome(tx, id, alias, portion)
			if removed > 0 || err != nil {
				done += removed
				return err
			}
			left, err = j.forgetAgain(tx, id)
			if err != nil || left {
				return err
			}
			_, err = tx.exec("UPDATE batch SET undone_ms = ? WHERE id = ?", j.now(), id)
			return err
		})
		if err == nil && next != nil {
			portion = max(1, next(done, time.Since(began)))
		}
	}
	if err != nil {
		return fmt.Errorf("undo import %d: %w", id, explainSQLite(j.path, err))
	}
	return nil
}

// undoSome takes one portion of a batch back.
func (j *Journal) undoSome(tx *transaction, id int64, alias string, most int) (int64, error) {
	account, err := j.account(tx, alias)
	if err != nil {
		return 0, err
	}
	r := recording{journal: j, tx: tx, account: account, alias: alias}
	if r.starts, err = tx.stretches(account); err != nil {
		return 0, err
	}
	if r.catalogue, err = j.catalogue(tx); err != nil {
		return 0, err
	}
	portion, err := r.reports("batch = ? ORDER BY id LIMIT ?", id, most)
	if err != nil || len(portion) == 0 {
		return 0, err
	}
	if err := r.claim(portion, id); err != nil {
		return 0, err
	}
	var ids, facts []int64
	for _, report := range portion {
		if report.batch == id {
			r.removed = append(r.removed, report)
			ids, facts = append(ids, report.id), append(facts, report.fact)
		}
	}
	if _, err := tx.exec("DELETE FROM report WHERE id "+inList, list(ids)); err != nil {
		return 0, err
	}
	slices.Sort(facts)
	if err := r.catalogue.forget(slices.Compact(facts)); err != nil {
		return 0, err
	}
	return int64(len(portion)), r.derive()
}

// claim gives reports of a batch that is undone to the first other import that
// has brought them too.
func (r *recording) claim(portion []*reportRow, id int64) error {
	byID := make(map[int64]*reportRow, len(portion))
	ids := make([]int64, len(portion))
	for i, report := range portion {
		byID[report.id], ids[i] = report, report.id
	}
	err := r.tx.each("SELECT report, min(batch) FROM report_again WHERE report "+inList+" GROUP BY report", []any{list(ids)}, func(rows *sql.Rows) error {
		var report, batch int64
		if err := rows.Scan(&report, &batch); err != nil {
			return err
		}
		byID[report].batch = batch
		r.claimed = append(r.claimed, byID[report])
		return nil
	})
	if err != nil {
		return err
	}
	for _, report := range r.claimed {
		if _, err := r.tx.exec("UPDATE report SET batch = ? WHERE id = ?", report.batch, report.id); err != nil {
			return err
		}
		if _, err := r.tx.exec("DELETE FROM report_again WHERE report = ? AND batch = ?", report.id, report.batch); err != nil {
			return err
		}
	}
	return nil
}

// reopen undoes what EndBatch did. A gap that another import covers as well stays
// closed.
func (j *Journal) reopen(tx *transaction, id int64) error {
	now := j.now()
	var account int64
	if err := tx.get("UPDATE batch SET ended_ms = 0, undoing = 1 WHERE id = ? RETURNING account", []any{id}, []any{&account}); err != nil {
		return err
	}
	others := map[int64]int64{} // by gap, 0: none
	err := tx.each(`SELECT id, coalesce((SELECT min(batch.id) FROM batch JOIN coverage ON coverage.batch = batch.id
			WHERE batch.account = ?1 AND batch.undoing = 0 AND batch.ended_ms <> 0 AND `+coversGap+`), 0)
		FROM gap WHERE account = ?1 AND closed_by = ?2`,
		[]any{account, closedBy(id), slackMS}, func(rows *sql.Rows) error {
			var gap, other int64
			err := rows.Scan(&gap, &other)
			others[gap] = other
			return err
		})
	if err != nil {
		return err
	}
	for gap, other := range others {
		if other != 0 {
			_, err = tx.exec("UPDATE gap SET closed_by = ? WHERE id = ?", closedBy(other), gap)
		} else if _, err = tx.exec("UPDATE gap SET closed_ms = 0, closed_by = '' WHERE id = ?", gap); err == nil {
			err = queueGap(tx, account, gap, now)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// forgetAgain forgets some of what the import has brought again, and tells whether
// there is more.
func (j *Journal) forgetAgain(tx *transaction, id int64) (more bool, err error) {
	const portion = 5_000
	result, err := tx.exec("DELETE FROM report_again WHERE batch = ?1 AND report IN (SELECT report FROM report_again WHERE batch = ?1 LIMIT ?2)", id, portion)
	if err != nil {
		return false, err
	}
	forgotten, err := result.RowsAffected()
	return forgotten == portion, err
}
