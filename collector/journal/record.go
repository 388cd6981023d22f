package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Witnessed is what is to be recorded in one transaction.
type Witnessed struct {
	// Reports are what a witness saw, in any order.
	Reports []Report
	// Items are what an API answer said of items that are no play (yet).
	Items []Item
	// Page is set when Reports are a page of recently-played.
	Page *Page
	// Playback, unless nil, replaces what the tracker holds open.
	Playback []byte
	// Batch is the import that the reports belong to; 0: none.
	Batch int64
}

// Page is what has to be remembered of a page of recently-played.
type Page struct {
	FetchedAt time.Time
	Full      bool // as many plays as Spotify gives: older ones may be missing
}

// Outcome is what a report has led to.
type Outcome uint8

// The outcomes of a report.
const (
	Known    Outcome = iota // it was held already, or changed nothing
	New                     // it made a play
	Upgraded                // it joined a play and made it better
	Repeated                // the same import, or this call, has brought it before
	Refused                 // its end cannot be: it is kept, and is no play
)

// Recorded is what Record did.
type Recorded struct {
	Outcomes []Outcome // of each report
	Plays    []Play    // those that are new or have changed, by their end; not of an import
	Gap      *Gap      // that the page has revealed
}

// Record is the one entry point of listens: it stores the reports that are not
// held yet, derives the plays around them anew, queues what that changes in
// InfluxDB, and keeps the rest of w with it, all in one transaction. The account
// is made if there is none of that alias.
//
// Recording the same again does nothing, and the order in which reports come
// does not matter.
func (j *Journal) Record(ctx context.Context, account string, w Witnessed) (Recorded, error) {
	bulk, err := j.StartBulk(ctx)
	if err != nil {
		return Recorded{}, err
	}
	recorded, err := bulk.Record(account, w)
	return recorded, bulk.End(err)
}

// Bulk is one transaction of several calls of Record. What a hundred of them
// change in one page of an index is written once, which is most of what years of
// listening cost. Nobody else can write while it lasts.
type Bulk struct {
	journal *Journal
	tx      *transaction
	began   time.Time
}

// StartBulk begins a transaction that End has to end.
func (j *Journal) StartBulk(ctx context.Context) (*Bulk, error) {
	tx, err := j.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("record: %w", explainSQLite(j.path, err))
	}
	return &Bulk{journal: j, tx: tx, began: time.Now()}, nil
}

// Held is for how long nobody else could write.
func (b *Bulk) Held() time.Duration { return time.Since(b.began) }

// End keeps all that was recorded; or nothing of it if err, which it returns then,
// is the error of something that was done meanwhile.
func (b *Bulk) End(err error) error {
	ended := b.journal.end(b.tx, err)
	switch {
	case ended == nil:
		b.journal.changed()
	case err == nil:
		return fmt.Errorf("record: %w", explainSQLite(b.journal.path, ended))
	}
	return ended
}

// Record is Journal.Record. After an error there is nothing to do but End.
func (b *Bulk) Record(account string, w Witnessed) (Recorded, error) {
	recorded, err := b.record(account, w)
	if err != nil {
		return Recorded{}, fmt.Errorf("record: %w", explainSQLite(b.journal.path, err))
	}
	return recorded, nil
}

func (b *Bulk) record(account string, w Witnessed) (recorded Recorded, err error) {
	for i := range w.Reports {
		if !slices.Contains(Witnesses[:], w.Reports[i].Witness) {
			return recorded, fmt.Errorf("report %d names no witness (%v)", i, w.Reports[i].Witness)
		}
	}
	j, tx := b.journal, b.tx
	id, err := j.account(tx, account)
	if err != nil {
		return recorded, err
	}
	if w.Batch != 0 {
		if err := stands(tx, w.Batch); err != nil {
			return recorded, err
		}
	}
	r := recording{journal: j, tx: tx, account: id, alias: account, batch: w.Batch}
	reports, indexes, err := r.refuse(&w)
	if err != nil {
		return recorded, err
	}
	r.outcomes = make([]Outcome, len(reports))
	if r.catalogue, err = j.catalogue(tx); err != nil {
		return recorded, err
	}
	if r.starts, err = tx.stretches(id); err != nil {
		return recorded, err
	}
	if w.Page != nil {
		if recorded.Gap, err = r.turnPage(w.Page, reports); err != nil {
			return recorded, err
		}
	}
	if err := r.store(reports, w.Items); err != nil {
		return recorded, err
	}
	if err := r.derive(); err != nil {
		return recorded, err
	}
	if w.Playback != nil {
		if _, err := tx.exec("UPDATE account SET playback = ? WHERE id = ?", w.Playback, id); err != nil {
			return recorded, fmt.Errorf("store what is open: %w", err)
		}
	}
	recorded.Outcomes, recorded.Plays = slices.Repeat([]Outcome{Refused}, len(w.Reports)), r.plays
	for n, i := range indexes {
		recorded.Outcomes[i] = r.outcomes[n]
	}
	return recorded, nil
}

// account returns the id of an alias, which it makes if there is none.
func (j *Journal) account(tx *transaction, alias string) (int64, error) {
	var id int64
	err := tx.get("SELECT id FROM account WHERE alias = ?", []any{alias}, []any{&id})
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	if err := tx.get("INSERT INTO account (alias) VALUES (?) RETURNING id", []any{alias}, []any{&id}); err != nil {
		return 0, fmt.Errorf("store account: %w", err)
	}
	_, err = tx.exec("INSERT INTO outbox (kind, account, created_ms) VALUES (?, ?, ?)", EntryAccount, id, j.now())
	return id, err
}

// recording is one transaction of Record.
type recording struct {
	journal   *Journal
	tx        *transaction
	account   int64
	alias     string
	batch     int64
	catalogue *catalogue
	starts    stretches // of the account

	added    []*reportRow // new reports
	removed  []*reportRow // reports that are taken back
	claimed  []*reportRow // reports that now belong to another import
	outcomes []Outcome
	plays    []Play
}

// store learns what was said of items and finds the reports that are new.
func (r *recording) store(reports []Report, items []Item) error {
	held, err := r.held(reports)
	if err != nil {
		return err
	}
	said := make([]learned, 0, len(reports)+len(items))
	var fresh, again []int // indexes into reports
	var againIDs []int64   // of those that another import has brought before
	var mended []learned   // said by reports that are held, with letters lost
	var mendedIDs []int64  // of those
	var mendedAt []int     // indexes into reports
	for i := range reports {
		digest := reports[i].identity()
		if have, ok := held[digest]; ok {
			switch item := reports[i].Item; {
			case item.damaged():
			case have.id != 0 && r.catalogue.damaged.known[itemIdentity(&item)]:
				mended = append(mended, learned{item: item, source: reports[i].Witness.source(), seenMS: unixMilli(reports[i].EndedAt)})
				mendedIDs, mendedAt = append(mendedIDs, have.id), append(mendedAt, i)
			case have.id == 0 && said[have.said].item.damaged():
				said[have.said].item = item
			}
			switch {
			case have.here || r.batch != 0 && have.batch == r.batch:
				r.outcomes[i] = Repeated
			case r.batch != 0:
				again, againIDs = append(again, i), append(againIDs, have.id)
				have.here = true
				held[digest] = have
			}
			continue
		}
		held[digest] = heldReport{here: true, said: len(said)}
		fresh = append(fresh, i)
		said = append(said, learned{item: reports[i].Item, source: reports[i].Witness.source(), seenMS: unixMilli(reports[i].EndedAt)})
	}
	for _, item := range items {
		said = append(said, learned{item: item, source: FromAPI, seenMS: r.journal.now()})
	}
	if err := r.bringAgain(again, againIDs); err != nil {
		return err
	}
	said = append(said, mended...)
	if len(said) == 0 {
		return nil
	}
	if err := r.catalogue.learn(said); err != nil {
		return err
	}
	if err := r.mend(said[len(said)-len(mended):], mendedIDs, mendedAt); err != nil {
		return err
	}
	for n, i := range fresh {
		row := newReportRow(&reports[i], said[n].row, said[n].fact)
		row.index, row.batch = i, r.batch
		r.interpret(row)
		r.added = append(r.added, row)
	}
	return nil
}

// bringAgain notes that this import has brought reports which another one has
// brought before: they stay when that one is undone.
func (r *recording) bringAgain(indexes []int, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	noted := map[int64]bool{}
	err := r.tx.each("SELECT report FROM report_again WHERE batch = ? AND report "+inList, []any{r.batch, list(ids)}, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		noted[id] = true
		return err
	})
	if err != nil {
		return fmt.Errorf("read reports: %w", err)
	}
	for n, i := range indexes {
		if noted[ids[n]] {
			r.outcomes[i] = Repeated
		}
	}
	_, err = r.tx.exec("INSERT OR IGNORE INTO report_again (batch, report) SELECT ?1, id FROM report WHERE id "+inList+" AND batch <> ?1", r.batch, list(ids))
	if err != nil {
		return fmt.Errorf("store reports: %w", err)
	}
	return nil
}

// heldReport is a report that there is already.
type heldReport struct {
	id    int64
	batch int64 // 0: none
	here  bool  // the list has had it before
	said  int   // the index of what it says, if it is not stored yet
}

// held returns those of the reports that the journal has, by identity, and some
// more.
func (r *recording) held(reports []Report) (map[[16]byte]heldReport, error) {
	held := make(map[[16]byte]heldReport, len(reports))
	if len(reports) == 0 {
		return held, nil
	}
	ends := make([]int64, len(reports))
	for i := range reports {
		ends[i] = unixMilli(reports[i].EndedAt)
	}
	slices.Sort(ends)
	from, until := ends[0], ends[len(ends)-1]
	where, values := "ended_ms "+inList, []any{r.account, list(slices.Compact(ends))}
	if until-from < int64(len(ends))*2*3_600_000 { // close together, as in an export: read all between
		where, values = "ended_ms BETWEEN ? AND ?", []any{r.account, from, until}
	}
	err := r.tx.each("SELECT id, coalesce(batch, 0), digest FROM report WHERE account = ? AND "+where, values, func(rows *sql.Rows) error {
		var have heldReport
		var digest sql.RawBytes
		if err := rows.Scan(&have.id, &have.batch, &digest); err != nil {
			return err
		}
		held[[16]byte(digest)] = have
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read reports: %w", err)
	}
	return held, nil
}

// derive makes the plays around all that was added or removed, and stores what
// differs from before.
func (r *recording) derive() error {
	touched := slices.Concat(r.added, r.removed, r.claimed)
	if err := r.deriveAll(touched); err != nil {
		return err
	}
	for _, row := range r.catalogue.changed {
		if err := r.resend(row); err != nil {
			return err
		}
	}
	return nil
}

// deriveAll derives the plays around the touched reports, and around those whose
// items have changed so that they may be of other plays now: whoever played them.
func (r *recording) deriveAll(touched []*reportRow) error {
	held := map[[16]byte]bool{}
	for _, t := range touched {
		held[t.digest] = true
	}
	others := map[int64]*recording{}
	moved := map[int64][]*reportRow{r.account: touched}
	for _, row := range r.catalogue.rekeyed {
		accounts, err := r.accountsWith(row)
		if err != nil {
			return err
		}
		for id, alias := range accounts {
			of := r
			if id != r.account {
				if others[id] == nil {
					starts, err := r.tx.stretches(id)
					if err != nil {
						return err
					}
					others[id] = &recording{journal: r.journal, tx: r.tx, account: id, alias: alias, catalogue: r.catalogue, starts: starts}
				}
				of = others[id]
			}
			reports, err := of.reports("item = ? AND +account = ?", row.id, of.account)
			if err != nil {
				return err
			}
			moved[id] = append(moved[id], slices.DeleteFunc(reports, func(m *reportRow) bool { return id == r.account && held[m.digest] })...)
		}
	}
	if err := r.deriveApart(moved[r.account]); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(others)) {
		if err := others[id].deriveApart(moved[id]); err != nil {
			return err
		}
	}
	return nil
}

// deriveApart derives the plays around reports of one account.
func (r *recording) deriveApart(touched []*reportRow) error {
	groups, err := r.apart(touched)
	if err != nil {
		return err
	}
	for _, group := range groups {
		if err := r.deriveAround(group); err != nil {
			return err
		}
	}
	return nil
}

// accountsWith returns the aliases of all who have reports of an item.
func (r *recording) accountsWith(row *itemRow) (map[int64]string, error) {
	accounts := map[int64]string{}
	err := r.tx.each("SELECT id, alias FROM account WHERE EXISTS (SELECT 1 FROM report WHERE item = ? AND report.account = account.id)", []any{row.id}, func(rows *sql.Rows) error {
		var id int64
		var alias string
		err := rows.Scan(&id, &alias)
		accounts[id] = alias
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	return accounts, nil
}
