package main

import (
	"context"
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
	batch    int64 // 0: nothing has been recorded
	broken   []error

	reports []journal.Report // that are still to be recorded
	at      string           // file and row of the first of them
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
		if len(i.reports) == 0 {
			i.at = fmt.Sprintf("%s, row %d", i.balance.files[row.File].Name, row.Index)
		}
		i.reports = append(i.reports, row.Report)
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
	return i.end(ctx)
}

// record records the reports at hand in one transaction.
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
	recorded, err := i.journal.Record(ctx, i.account, journal.Witnessed{Reports: i.reports, Batch: i.batch})
	switch {
	case ctx.Err() != nil:
		return i.interrupted()
	case err != nil:
		return fmt.Errorf("%s: cannot be stored: %w; %s", i.at, err, i.goOn())
	}
	for n, outcome := range recorded.Outcomes {
		i.balance.recorded(&i.reports[n], outcome)
	}
	rows := len(i.reports)
	clear(i.reports)
	i.reports = i.reports[:0]
	if err := i.pace.pause(ctx, i.journal, recorded.Held); err != nil {
		return err
	}
	i.pace.recorded(rows, recorded.Held)
	return nil
}

// end completes the import.
func (i *importing) end(ctx context.Context) error {
	i.balance.end(i.batch, i.export.UnknownKeys())
	if i.batch == 0 || len(i.broken) > 0 {
		return nil
	}
	summary, err := i.balance.summary()
	if err != nil {
		return err
	}
	i.balance.GapsClosed, err = i.journal.EndBatch(ctx, i.batch, summary)
	if ctx.Err() != nil {
		return i.interrupted()
	}
	return err
}

// interrupted is the error of an import that somebody has ended.
func (i *importing) interrupted() error {
	return fmt.Errorf("interrupted after %d rows; %s", i.balance.Rows-len(i.reports), i.goOn())
}

// goOn says what to do about an import that is not complete.
func (i *importing) goOn() string {
	if i.batch == 0 {
		return "nothing has been stored"
	}
	return fmt.Sprintf("what came before is stored, as import %d: run the same import again to go on, nothing is stored twice, or take it back with import --undo %d", i.batch, i.batch)
}

// pace is how many rows go into one transaction, and how long others get the
// journal in between. While a transaction writes, a daemon beside it waits: none
// is to be longer than 100 ms while there is one.
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
	pauseForWriters = 30 * time.Millisecond  // SQLite looks every 25 ms at first whether it may write
	pauseForOthers  = 120 * time.Millisecond // and every 100 ms when it has waited for long
	othersWait      = 5 * time.Second        // at most: another import, or gaps --accept
)

// recorded learns from how long a transaction took.
func (p *pace) recorded(rows int, took time.Duration) {
	good, most := portionAlone, largestPortion
	if p.daemon {
		good, most = portionBeside, largestBeside
	}
	fits := int(float64(rows) * float64(good) / float64(max(took, time.Millisecond)))
	p.rows = min(max(fits, rows/4, 50), 2*rows+50, most)
}

// pause lets others write: a daemon, if one runs, and who else wants to now and
// then.
func (p *pace) pause(ctx context.Context, j *journal.Journal, took time.Duration) error {
	var err error
	if p.daemon, err = j.Running(); err != nil {
		return err
	}
	wait := max(took, pauseForWriters)
	if !p.daemon {
		if p.paused.IsZero() {
			p.paused = time.Now()
		}
		if time.Since(p.paused) < othersWait {
			return nil
		}
		wait = pauseForOthers
	}
	p.paused = time.Now()
	select {
	case <-time.After(wait):
	case <-ctx.Done(): // whoever uses ctx next says so
	}
	return nil
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
