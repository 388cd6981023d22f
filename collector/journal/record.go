package journal

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
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
)

// Recorded is what Record did.
type Recorded struct {
	Outcomes []Outcome // of each report
	Plays    []Play    // those that are new or have changed, by their end
	Gap      *Gap      // that the page has revealed
	// Held is for how long nobody else could write.
	Held time.Duration
}

// Record is the one entry point of listens: it stores the reports that are not
// held yet, derives the plays around them anew, queues what that changes in
// InfluxDB, and keeps the rest of w with it, all in one transaction. The account
// is made if there is none of that alias.
//
// Recording the same again does nothing, and the order in which reports come
// does not matter.
func (j *Journal) Record(ctx context.Context, account string, w Witnessed) (Recorded, error) {
	var recorded Recorded
	var began time.Time
	err := j.write(ctx, func(tx *transaction) error {
		began = time.Now()
		id, err := j.account(tx, account)
		if err != nil {
			return err
		}
		r := recording{journal: j, tx: tx, account: id, alias: account, batch: w.Batch, outcomes: make([]Outcome, len(w.Reports))}
		if r.catalogue, err = newCatalogue(tx); err != nil {
			return err
		}
		if w.Page != nil {
			if recorded.Gap, err = r.turnPage(w.Page, w.Reports); err != nil {
				return err
			}
		}
		if err := r.store(w.Reports, w.Items); err != nil {
			return err
		}
		if err := r.derive(); err != nil {
			return err
		}
		if w.Playback != nil {
			if _, err := tx.exec("UPDATE account SET playback = ? WHERE id = ?", w.Playback, id); err != nil {
				return fmt.Errorf("store what is open: %w", err)
			}
		}
		recorded.Outcomes, recorded.Plays = r.outcomes, r.plays
		return nil
	})
	if err != nil {
		return Recorded{}, fmt.Errorf("record: %w", explainSQLite(j.path, err))
	}
	recorded.Held = time.Since(began)
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
	for i := range reports {
		digest := reports[i].identity()
		if have, ok := held[digest]; ok {
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
		held[digest] = heldReport{here: true}
		fresh = append(fresh, i)
		said = append(said, learned{item: reports[i].Item, source: reports[i].Witness.source(), seenMS: unixMilli(reports[i].EndedAt)})
	}
	for _, item := range items {
		said = append(said, learned{item: item, source: FromAPI, seenMS: r.journal.now()})
	}
	if err := r.bringAgain(again, againIDs); err != nil {
		return err
	}
	if len(said) == 0 {
		return nil
	}
	if err := r.catalogue.learn(said); err != nil {
		return err
	}
	for n, i := range fresh {
		row := newReportRow(&reports[i], said[n].row, said[n].fact)
		row.index, row.batch = i, r.batch
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
	err := r.tx.each("SELECT id, coalesce(batch, 0), digest FROM report WHERE account = ? AND ended_ms "+inList, []any{r.account, list(slices.Compact(ends))}, func(rows *sql.Rows) error {
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
	for _, row := range r.catalogue.rekeyed {
		moved, err := r.reports("item = ?", row.id)
		if err != nil {
			return err
		}
		held := map[[16]byte]bool{}
		for _, t := range touched {
			held[t.digest] = true
		}
		touched = append(touched, slices.DeleteFunc(moved, func(m *reportRow) bool { return held[m.digest] })...)
	}
	for _, near := range apart(touched) {
		if err := r.deriveAround(near); err != nil {
			return err
		}
	}
	for _, row := range r.catalogue.changed {
		if err := r.resend(row); err != nil {
			return err
		}
	}
	return nil
}

// apart splits reports into groups that are far enough from each other to be
// looked at one by one: an item that was played for ten years must not make us
// read ten years.
func apart(reports []*reportRow) [][]*reportRow {
	slices.SortFunc(reports, compareReports)
	var groups [][]*reportRow
	var until int64
	begin := 0
	for i, r := range reports {
		from, end := r.reach()
		if i > begin && from-until > 24*3_600_000 {
			groups = append(groups, reports[begin:i:i])
			begin, until = i, end
		}
		if i == begin {
			until = end
		}
		until = max(until, end)
	}
	if len(reports) > 0 {
		groups = append(groups, reports[begin:])
	}
	return groups
}

// reports reads reports of the account and their items.
func (r *recording) reports(where string, values ...any) ([]*reportRow, error) {
	rows, err := r.tx.query("SELECT "+reportColumns+" FROM report WHERE account = ? AND "+where, append([]any{r.account}, values...)...)
	if err != nil {
		return nil, fmt.Errorf("read reports: %w", err)
	}
	reports, err := scanReports(rows, r.catalogue.items)
	if err != nil {
		return nil, err
	}
	return reports, r.catalogue.loadItems()
}

// around reads all reports that may be in one chain with the touched ones. A
// chain may lead from report to report further and further away; it is followed
// until nothing more turns up.
func (r *recording) around(touched []*reportRow) ([]*reportRow, error) {
	reach := reachOf(touched)
	byDigest := map[[16]byte]*reportRow{}
	for _, t := range touched {
		byDigest[t.digest] = t
	}
	titles := map[string]bool{}
	for _, t := range touched {
		titles[t.item.titleKey] = true
	}
	var read span
	for first := true; first || reach.from < read.from || reach.until > read.until; first = false {
		read = reach
		found, err := r.reports("ended_ms BETWEEN ? AND ?", read.from-vagueMS-slackMS, read.until+vagueMS+slackMS)
		if err != nil {
			return nil, err
		}
		vague, err := r.reports("vague = 1 AND ended_ms BETWEEN ? AND ?", read.from-farMS, read.until+farMS)
		if err != nil {
			return nil, err
		}
		found = append(found, vague...)
		for _, f := range found {
			if byDigest[f.digest] != nil {
				continue
			}
			byDigest[f.digest] = f
			if from, until := f.reach(); titles[f.item.titleKey] && until >= reach.from && from <= reach.until {
				reach.from, reach.until = min(reach.from, from), max(reach.until, until)
			}
		}
	}
	for _, gone := range r.removed {
		delete(byDigest, gone.digest)
	}
	return slices.SortedFunc(maps.Values(byDigest), compareReports), nil
}

// chains splits reports, which are in order, into those of one title whose times
// touch.
func chains(reports []*reportRow) [][]*reportRow {
	type open struct {
		chain int
		until int64
	}
	byTitle := map[string][]*reportRow{}
	for _, r := range reports {
		byTitle[r.item.titleKey] = append(byTitle[r.item.titleKey], r)
	}
	var all [][]*reportRow
	for _, title := range slices.Sorted(maps.Keys(byTitle)) {
		group := byTitle[title]
		slices.SortFunc(group, func(a, b *reportRow) int {
			aFrom, _ := a.reach()
			bFrom, _ := b.reach()
			return cmp.Or(cmp.Compare(aFrom, bFrom), compareReports(a, b))
		})
		var until int64
		begin := 0
		for i, r := range group {
			from, end := r.reach()
			if i > begin && from > until {
				all = append(all, group[begin:i])
				begin = i
			}
			until = max(until, end)
			if i == begin {
				until = end
			}
		}
		all = append(all, group[begin:])
	}
	return all
}

// deriveAround derives the chains that the touched reports are in.
func (r *recording) deriveAround(touched []*reportRow) error {
	reports, err := r.around(touched)
	if err != nil {
		return err
	}
	stirred := map[*reportRow]bool{}
	stale := map[int64]bool{} // plays to be derived anew
	for _, t := range touched {
		stirred[t] = true
		stale[t.play] = true
	}
	delete(stale, 0)
	d := derivation{recording: r, stale: stale}
	waiting := chains(reports)
	for again := true; again; {
		again = false
		waiting = slices.DeleteFunc(waiting, func(chain []*reportRow) bool {
			if !slices.ContainsFunc(chain, func(x *reportRow) bool { return stirred[x] || stale[x.play] }) {
				return false
			}
			for _, x := range chain {
				if x.play != 0 && !stale[x.play] {
					stale[x.play] = true
					again = true // its other reports may be in another chain
				}
			}
			d.clusters = append(d.clusters, merge(chain)...)
			return true
		})
	}
	return d.apply()
}

// pointBase is the time of a point below its ms: plays of one ms are told apart
// by what was played.
func pointBase(item *itemRow) int64 {
	h := fnv.New64a()
	if item.uri != "" {
		h.Write([]byte(item.uri))
	} else {
		h.Write([]byte(item.songKey))
	}
	return int64(h.Sum64() % 1_000_000)
}
