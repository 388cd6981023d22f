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
		if r.catalogue, err = newCatalogue(tx, j.now()); err != nil {
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
					others[id] = &recording{journal: r.journal, tx: r.tx, account: id, alias: alias, catalogue: r.catalogue}
				}
				of = others[id]
			}
			reports, err := of.reports("item = ?", row.id)
			if err != nil {
				return err
			}
			moved[id] = append(moved[id], slices.DeleteFunc(reports, func(m *reportRow) bool { return id == r.account && held[m.digest] })...)
		}
	}
	for _, near := range apart(moved[r.account]) {
		if err := r.deriveAround(near); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(others)) {
		for _, near := range apart(moved[id]) {
			if err := others[id].deriveAround(near); err != nil {
				return err
			}
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

// surroundings are reports of some time, in order. Of the titles named, all are
// there that have to do with each other within reach.
type surroundings struct {
	reports []*reportRow
	titles  map[string]bool
	reach   span
}

// hold tells whether the whole chain of a report is there.
func (s *surroundings) hold(x *reportRow) bool {
	from, until := x.reach()
	return s.titles[x.item.titleKey] && until >= s.reach.from && from <= s.reach.until
}

// around reads all reports that may be in one chain with the touched ones, which
// may be new or gone. A chain may lead from report to report further and further
// away; it is followed until nothing more turns up.
func (r *recording) around(touched []*reportRow) (*surroundings, error) {
	s := &surroundings{titles: map[string]bool{}, reach: reachOf(touched)}
	byDigest := map[[16]byte]*reportRow{}
	var stored []int64
	for _, t := range touched {
		for _, title := range r.catalogue.titles(t.item) {
			s.titles[title] = true
		}
		if t.id == 0 {
			byDigest[t.digest] = t
		} else {
			stored = append(stored, t.id) // and may have come to another play since it was read
		}
	}
	if len(stored) > 0 {
		found, err := r.reports("id "+inList, list(stored))
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			byDigest[f.digest] = f
		}
	}
	var read span
	for first := true; first || s.reach != read; first = false {
		read = s.reach
		found, err := r.reports("ended_ms BETWEEN ? AND ?", read.from-vagueMS-slackMS, read.until+vagueMS+slackMS)
		if err != nil {
			return nil, err
		}
		vague, err := r.reports("vague = 1 AND ended_ms BETWEEN ? AND ?", read.from-farMS, read.until+farMS)
		if err != nil {
			return nil, err
		}
		for _, f := range slices.Concat(found, vague) {
			if byDigest[f.digest] == nil {
				byDigest[f.digest] = f
			}
		}
		for _, f := range byDigest {
			if s.hold(f) {
				from, until := f.reach()
				s.reach = span{min(s.reach.from, from), max(s.reach.until, until)}
			}
		}
	}
	s.reports = slices.SortedFunc(maps.Values(byDigest), compareReports)
	return s, nil
}

// chains splits reports, which are in order, into those of one title whose times
// touch.
func chains(reports []*reportRow) [][]*reportRow {
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
	for {
		surroundings, err := r.around(touched)
		if err != nil {
			return err
		}
		stale, stirred := r.affected(touched, chains(surroundings.reports))
		// A play whose items have changed may hold reports of what are other chains
		// now, perhaps far away.
		left, err := r.missing(stale, surroundings)
		if err != nil {
			return err
		}
		if len(left) > 0 {
			touched = slices.Concat(touched, left)
			continue
		}
		d := derivation{recording: r, stale: stale}
		for _, chain := range stirred {
			d.clusters = append(d.clusters, merge(chain)...)
		}
		return d.apply()
	}
}

// affected returns the plays that have to be derived anew, and the chains which
// their reports are in. Those are the chains around the touched reports, under the
// titles that these have or had: whoever leaves a chain makes room in it.
func (r *recording) affected(touched []*reportRow, waiting [][]*reportRow) (stale map[int64]bool, chains [][]*reportRow) {
	stirred := map[string][]span{} // by title
	stale = map[int64]bool{}
	for _, t := range touched {
		stale[t.play] = true
		from, until := t.reach()
		for _, title := range r.catalogue.titles(t.item) {
			stirred[title] = append(stirred[title], span{from, until})
		}
	}
	stale[0] = false // of new reports
	for again := true; again; {
		again = false
		waiting = slices.DeleteFunc(waiting, func(chain []*reportRow) bool {
			reach := reachOf(chain)
			touches := func(s span) bool { return s.until >= reach.from && s.from <= reach.until }
			if !slices.ContainsFunc(stirred[chain[0].item.titleKey], touches) &&
				!slices.ContainsFunc(chain, func(x *reportRow) bool { return stale[x.play] }) {
				return false
			}
			for _, x := range chain {
				if x.play != 0 && !stale[x.play] {
					stale[x.play] = true
					again = true // its other reports may be in another chain
				}
			}
			chains = append(chains, chain)
			return true
		})
	}
	delete(stale, 0)
	return stale, chains
}

// missing returns the reports of plays whose chains are not there, or not whole.
func (r *recording) missing(plays map[int64]bool, s *surroundings) ([]*reportRow, error) {
	if len(plays) == 0 {
		return nil, nil
	}
	whole := map[int64]bool{}
	for _, x := range s.reports {
		whole[x.id] = s.hold(x)
	}
	var missing []int64
	err := r.tx.each("SELECT id FROM report WHERE play "+inList, []any{list(slices.Collect(maps.Keys(plays)))}, func(rows *sql.Rows) error {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		if !whole[id] {
			missing = append(missing, id)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read reports: %w", err)
	}
	if len(missing) == 0 {
		return nil, nil
	}
	return r.reports("id "+inList, list(missing))
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
