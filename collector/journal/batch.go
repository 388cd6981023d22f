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
	EndedAt   time.Time // zero: it was interrupted
	UndoneAt  time.Time // zero: it stands
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

// EndBatch marks an import as complete and closes the gaps that it covers: those
// of the account in whose time the batch has plays before, or at the start, and
// after, be it that another batch has brought them first. It returns how many that
// were.
func (j *Journal) EndBatch(ctx context.Context, id int64, summary string) (int, error) {
	closed := 0
	err := j.write(ctx, func(tx *transaction) error {
		var account int64
		if err := tx.get("UPDATE batch SET ended_ms = ?, summary = ? WHERE id = ? RETURNING account", []any{j.now(), summary, id}, []any{&account}); err != nil {
			return err
		}
		var gaps []int64
		err := tx.each(`WITH brought AS (
				SELECT min(ended_ms) AS first, max(ended_ms) AS last FROM report WHERE batch = ?2
				UNION ALL SELECT min(ended_ms), max(ended_ms) FROM report_again JOIN report ON id = report WHERE report_again.batch = ?2)
			SELECT id FROM gap WHERE account = ?1 AND closed_ms = 0
			AND from_ms >= (SELECT min(first) FROM brought) - ?3
			AND to_ms <= (SELECT max(last) FROM brought) + ?3`,
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
			if err := closeGap(tx, gap, j.now(), fmt.Sprintf("import %d", id)); err != nil {
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

// Batches returns all imports, oldest first.
func (j *Journal) Batches(ctx context.Context) ([]Batch, error) {
	var batches []Batch
	err := j.read(ctx, func(tx *transaction) error {
		return tx.each(`SELECT batch.id, alias, started_ms, ended_ms, undone_ms, source, summary, (SELECT count(*) FROM report WHERE report.batch = batch.id)
			FROM batch JOIN account ON account.id = batch.account ORDER BY batch.id`, nil, func(rows *sql.Rows) error {
			var b Batch
			var started, ended, undone int64
			if err := rows.Scan(&b.ID, &b.Account, &started, &ended, &undone, &b.Source, &b.Summary, &b.Reports); err != nil {
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

// undoPortion is how many reports are taken back in one transaction: few enough
// that a daemon beside it never waits long.
const undoPortion = 300

// UndoBatch takes an import back: its reports are removed, unless a later import
// has brought them again, the plays around them derived anew, what only it knew of
// items is forgotten, gaps that it has closed are open again, and the outbox
// carries what has to leave InfluxDB. progress,
// unless nil, is told how many reports are gone. Interrupted, it is repeated: the
// batch is marked as undone in the last transaction.
func (j *Journal) UndoBatch(ctx context.Context, id int64, progress func(done int64)) error {
	var alias string
	err := j.read(ctx, func(tx *transaction) error {
		return tx.get("SELECT alias FROM batch JOIN account ON account.id = batch.account WHERE batch.id = ? AND undone_ms = 0", []any{id}, []any{&alias})
	})
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("import %d: %w", id, ErrNoBatch)
	}
	if err != nil {
		return fmt.Errorf("undo import %d: %w", id, explainSQLite(j.path, err))
	}
	for done, left := int64(0), true; left; {
		err := j.write(ctx, func(tx *transaction) error {
			removed, err := j.undoSome(tx, id, alias)
			done += removed
			left = removed == undoPortion
			if err != nil || left {
				return err
			}
			return j.reopen(tx, id)
		})
		if err != nil {
			return fmt.Errorf("undo import %d: %w", id, explainSQLite(j.path, err))
		}
		if progress != nil {
			progress(done)
		}
	}
	return nil
}

// undoSome takes one portion of a batch back.
func (j *Journal) undoSome(tx *transaction, id int64, alias string) (int64, error) {
	account, err := j.account(tx, alias)
	if err != nil {
		return 0, err
	}
	r := recording{journal: j, tx: tx, account: account, alias: alias}
	if r.catalogue, err = j.catalogue(tx); err != nil {
		return 0, err
	}
	portion, err := r.reports("batch = ? ORDER BY id LIMIT ?", id, undoPortion)
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

// reopen undoes what EndBatch did, and marks the batch.
func (j *Journal) reopen(tx *transaction, id int64) error {
	now := j.now()
	type closed struct{ gap, account int64 }
	var gaps []closed
	err := tx.each("SELECT id, account FROM gap WHERE closed_by = ?", []any{fmt.Sprintf("import %d", id)}, func(rows *sql.Rows) error {
		var c closed
		err := rows.Scan(&c.gap, &c.account)
		gaps = append(gaps, c)
		return err
	})
	if err != nil {
		return err
	}
	for _, c := range gaps {
		if _, err := tx.exec("UPDATE gap SET closed_ms = 0, closed_by = '' WHERE id = ?", c.gap); err != nil {
			return err
		}
		if err := queueGap(tx, c.account, c.gap, now); err != nil {
			return err
		}
	}
	if _, err := tx.exec("DELETE FROM report_again WHERE batch = ?", id); err != nil {
		return err
	}
	_, err = tx.exec("UPDATE batch SET undone_ms = ? WHERE id = ?", now, id)
	return err
}
