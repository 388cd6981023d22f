package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/history"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// importing is the way of an export into the journal.
type importing struct {
	export  *history.Export
	journal *journal.Journal
	account string
	source  string // what the import is called in the journal

	pace     pace
	progress *progress
	balance  *balance
	coverage *coverage
	batch    int64 // 0: nothing has been recorded
	broken   []error

	reports []journal.Report // that are still to be recorded
	bulk    *journal.Bulk    // that has recorded some; nil: all is stored
	at      string           // file and row of the first that is not stored
	stored  int              // rows before that
}

// run records all rows, some at a time. A file that breaks off does not keep the
// others from being read, but the import is not marked as complete then.
func (i *importing) run(ctx context.Context) error {
	before := make([]int64, len(i.balance.files)) // bytes of the files before each
	for n := 1; n < len(before); n++ {
		before[n] = before[n-1] + i.balance.files[n-1].Size
	}
	for row, err := range i.export.Rows(ctx) {
		if ctx.Err() != nil {
			return i.interrupted()
		}
		if err != nil {
			i.broken = append(i.broken, err)
			continue
		}
		i.balance.read(&row)
		if row.Reason != "" {
			continue
		}
		if len(i.reports) == 0 && i.bulk == nil {
			i.at = fmt.Sprintf("%s, row %d", i.balance.files[row.File].Name, row.Index)
		}
		i.reports = append(i.reports, row.Report)
		i.coverage.add(row.File, row.Report.EndedAt)
		if len(i.reports) >= i.pace.rows {
			if err := i.record(ctx); err != nil {
				return err
			}
			i.progress.set(before[row.File]+row.Offset, i.balance.Rows)
		}
	}
	if err := i.record(ctx); err != nil {
		return err
	}
	if err := i.store(ctx); err != nil {
		return err
	}
	return i.end(ctx)
}

// record records the reports at hand, and stores them with those before if others
// should be let in now.
func (i *importing) record(ctx context.Context) error {
	if len(i.reports) == 0 {
		return nil
	}
	if i.batch == 0 {
		batch, err := i.journal.StartBatch(ctx, i.account, i.source)
		if err != nil {
			return err
		}
		i.batch = batch
	}
	if i.bulk == nil {
		bulk, err := i.journal.StartBulk(ctx)
		if err != nil {
			return i.failed(ctx, err)
		}
		i.bulk = bulk
	}
	began := time.Now()
	recorded, err := i.bulk.Record(i.account, journal.Witnessed{Reports: i.reports, Batch: i.batch})
	if err != nil {
		return i.failed(ctx, err)
	}
	for n, outcome := range recorded.Outcomes {
		i.balance.recorded(&i.reports[n], outcome)
	}
	rows := len(i.reports)
	clear(i.reports)
	i.reports = i.reports[:0]
	if i.pace.daemon, err = i.journal.Running(); err != nil {
		return i.failed(ctx, err)
	}
	i.pace.recorded(rows, time.Since(began))
	if i.pace.daemon || i.bulk.Held() >= heldAlone {
		return i.store(ctx)
	}
	return nil
}

// store keeps what has been recorded, and lets others write.
func (i *importing) store(ctx context.Context) error {
	if i.bulk == nil {
		return nil
	}
	err := i.bulk.End(nil)
	held := i.bulk.Held()
	i.bulk = nil
	if err != nil {
		return i.failed(ctx, err)
	}
	i.stored = i.balance.Rows
	i.pace.pause(ctx, held)
	return nil
}

// failed is the error of rows that cannot be stored.
func (i *importing) failed(ctx context.Context, err error) error {
	if i.bulk != nil {
		err = i.bulk.End(err)
		i.bulk = nil
	}
	switch {
	case ctx.Err() != nil:
		return i.interrupted()
	case errors.Is(err, journal.ErrNoBatch):
		return fmt.Errorf("import %d is being taken back by somebody else: it ends here", i.batch)
	}
	return fmt.Errorf("%s: cannot be stored: %w; %s", i.at, err, i.goOn())
}

// end completes the import. Of one from a zip that is damaged nothing is kept: which
// rows are true cannot be told, and those that are would come again beside the others.
func (i *importing) end(ctx context.Context) error {
	if i.batch != 0 && errors.Is(errors.Join(i.broken...), history.ErrDamaged) {
		return errors.Join(append(i.broken, i.takeBack(ctx))...)
	}
	covered := i.coverage.covered()
	i.balance.end(i.batch, i.export.UnknownKeys(), covered)
	if i.batch == 0 || len(i.broken) > 0 {
		return nil
	}
	summary, err := i.balance.summary()
	if err != nil {
		return err
	}
	i.balance.GapsClosed, err = i.journal.EndBatch(ctx, i.batch, summary, covered)
	switch {
	case ctx.Err() != nil:
		return i.interrupted()
	case errors.Is(err, journal.ErrNoBatch):
		return i.failed(ctx, err)
	}
	return err
}

// takeBack takes back what has been stored, and returns what became of that.
func (i *importing) takeBack(ctx context.Context) error {
	i.pace.rows = firstPortion
	err := i.journal.UndoBatch(ctx, i.batch, func(_ int64, held time.Duration) int { return i.pace.next(ctx, i.journal, held) })
	if err != nil {
		return fmt.Errorf("take back what was stored: %w; import --undo %d goes on", err, i.batch)
	}
	return fmt.Errorf("nothing of it was kept: import %d is taken back", i.batch)
}

// interrupted is the error of an import that somebody has ended.
func (i *importing) interrupted() error {
	if i.bulk != nil && i.bulk.End(nil) == nil {
		i.stored = i.balance.Rows - len(i.reports)
	}
	i.bulk = nil
	return fmt.Errorf("interrupted after %d rows; %s", i.stored, i.goOn())
}

// goOn says what to do about an import that is not complete.
func (i *importing) goOn() string {
	if i.stored == 0 {
		return "nothing has been stored"
	}
	return fmt.Sprintf("what came before is stored, as import %d: run the same import again to go on, nothing is stored twice, or take it back with import --undo %d", i.batch, i.batch)
}

// pace is how many rows are recorded at a time, and how long others get the
// journal in between. While a transaction writes, a daemon beside it waits: none
// is to be longer than 100 ms while there is one. Where there is none, a longer one
// writes less: see journal.Bulk.
type pace struct {
	rows   int
	daemon bool
	paused time.Time
}

const (
	firstPortion    = 300                    // rows
	largestPortion  = 3_000                  // more would save little, and take memory
	largestBeside   = 400                    // 20 ms of work: a busy machine may take five times as long
	portionBeside   = 30 * time.Millisecond  // leaves room for rows that take longer
	portionAlone    = 200 * time.Millisecond // a daemon may start now
	heldAlone       = 2 * time.Second        // likewise: it waits for that once
	pauseForWriters = 30 * time.Millisecond  // SQLite looks every 25 ms at first whether it may write
	pauseForOthers  = 120 * time.Millisecond // and every 100 ms when it has waited for long
	othersWait      = 5 * time.Second        // at most: another import, or gaps --accept
)

// recorded learns from how long a portion took.
func (p *pace) recorded(rows int, took time.Duration) {
	good, most := portionAlone, largestPortion
	if p.daemon {
		good, most = portionBeside, largestBeside
	}
	fits := int(float64(rows) * float64(good) / float64(max(took, time.Millisecond)))
	p.rows = min(max(fits, rows/4, 50), 2*rows+50, most)
}

// next learns from a transaction that took back as many as were to be, lets others
// write, and returns how many are to be next.
func (p *pace) next(ctx context.Context, j *journal.Journal, held time.Duration) int {
	p.daemon, _ = j.Running() // that it cannot be told is no reason to stop halfway
	p.recorded(p.rows, held)
	p.pause(ctx, held)
	return p.rows
}

// pause lets others write, after a transaction of some length: a daemon, if one
// runs, and who else wants to now and then.
func (p *pace) pause(ctx context.Context, held time.Duration) {
	wait := max(held, pauseForWriters)
	if !p.daemon {
		if p.paused.IsZero() {
			p.paused = time.Now()
		}
		if time.Since(p.paused) < othersWait {
			return
		}
		wait = pauseForOthers
	}
	p.paused = time.Now()
	select {
	case <-time.After(wait):
	case <-ctx.Done(): // whoever uses ctx next says so
	}
}

// sourceName is what an import of these paths is called.
func sourceName(paths []string) string {
	names := make([]string, len(paths))
	for i, path := range paths {
		names[i] = path
		if path == "-" {
			names[i] = "standard input"
		}
	}
	return strings.Join(names, ", ")
}
