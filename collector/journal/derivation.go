package journal

import (
	"cmp"
	"database/sql"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"
)

// derivation replaces the plays of some chains by what their reports say now.
type derivation struct {
	*recording
	clusters []*cluster
	stale    map[int64]bool // ids of the plays that the clusters replace

	ids    []int64            // of the clusters' plays
	before map[int64]*playRow // as stored: the stale ones, and all in the time between
	after  []*playRow         // what replaces them, and again all in between, by their end
	from   int64              // ms: first and last end of what is replaced or replaces
	until  int64
}

// apply stores what differs.
func (d *derivation) apply() error {
	d.before = map[int64]*playRow{}
	if len(d.stale) > 0 {
		if err := d.read("play.id "+inList, list(slices.Sorted(maps.Keys(d.stale)))); err != nil {
			return err
		}
	}
	if err := d.identify(); err != nil {
		return err
	}
	if err := d.neighbours(); err != nil {
		return err
	}
	d.estimate()
	d.place()
	return d.save()
}

// read reads plays into before.
func (d *derivation) read(where string, values ...any) error {
	err := d.tx.each("SELECT "+playColumns+" FROM play WHERE "+where, values, func(rows *sql.Rows) error {
		var p playRow
		var account, item int64
		if err := rows.Scan(p.targets(&account, &item)...); err != nil {
			return err
		}
		p.item = d.catalogue.item(item)
		d.before[p.id] = &p
		return nil
	})
	if err != nil {
		return fmt.Errorf("read plays: %w", err)
	}
	return d.catalogue.loadItems()
}

// identify derives the plays and gives each the id of the stored play that most
// of its reports were part of, or a new one.
func (d *derivation) identify() error {
	type bond struct {
		cluster, reports int
		play             int64
	}
	var bonds []bond
	for i, c := range d.clusters {
		shared := map[int64]int{}
		for _, r := range c.reports {
			if r.play != 0 {
				shared[r.play]++
			}
		}
		for play, reports := range shared {
			bonds = append(bonds, bond{i, reports, play})
		}
	}
	slices.SortFunc(bonds, func(a, b bond) int {
		return cmp.Or(cmp.Compare(b.reports, a.reports), cmp.Compare(a.play, b.play), cmp.Compare(a.cluster, b.cluster))
	})
	ids := make([]int64, len(d.clusters))
	taken := map[int64]bool{}
	for _, b := range bonds {
		if ids[b.cluster] == 0 && !taken[b.play] && d.before[b.play] != nil {
			ids[b.cluster] = b.play
			taken[b.play] = true
		}
	}
	var last int64
	if err := d.tx.get("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'play'), 0)", nil, []any{&last}); err != nil {
		return fmt.Errorf("read plays: %w", err)
	}
	for i, c := range d.clusters {
		p := c.derive()
		p.id = ids[i]
		if old := d.before[p.id]; old != nil {
			p.sentNS, p.sentCredits = old.sentNS, old.sentCredits
		} else {
			last++
			p.id = last
		}
		ids[i] = p.id
		d.after = append(d.after, p)
		d.judge(c, p)
	}
	d.ids = ids
	return nil
}

// judge notes what the new reports of a play have led to.
func (d *derivation) judge(c *cluster, p *playRow) {
	old := d.before[p.id]
	for i, r := range c.reports {
		if r.id == 0 {
			switch {
			case old == nil && i == 0:
				d.outcomes[r.index] = New
			case old == nil || !old.alike(p):
				d.outcomes[r.index] = Upgraded
			}
		}
	}
}

// alike tells whether two states of a play say the same of it, whoever reported it.
func (p *playRow) alike(other *playRow) bool {
	return p.item.id == other.item.id && p.endedMS == other.endedMS && p.startedMS == other.startedMS &&
		p.msPlayed == other.msPlayed && p.msSource == other.msSource && p.circumstances == other.circumstances
}

// neighbours adds the plays in between, the one before and those of the first ms
// after: where the listening time is an estimate it depends on the play before.
func (d *derivation) neighbours() error {
	for i, p := range slices.Concat(d.after, slices.Collect(maps.Values(d.before))) {
		if i == 0 {
			d.from, d.until = p.endedMS, p.endedMS
		}
		d.from, d.until = min(d.from, p.endedMS), max(d.until, p.endedMS)
	}
	fromNS, untilNS := d.from*1_000_000, (d.until+1)*1_000_000
	stale := d.before
	d.before = map[int64]*playRow{}
	err := d.read(`play.account = ?1
		AND play.point_ns >= coalesce((SELECT max(point_ns) FROM play WHERE account = ?1 AND point_ns < ?2), ?2)
		AND play.point_ns < coalesce((SELECT min(point_ns) / 1000000 + 1 FROM play WHERE account = ?1 AND point_ns >= ?3) * 1000000, ?3)`,
		d.account, fromNS, untilNS)
	if err != nil {
		return err
	}
	for id, p := range d.before {
		if stale[id] == nil {
			copied := *p
			d.after = append(d.after, &copied)
		}
	}
	maps.Copy(d.before, stale)
	slices.SortFunc(d.after, comparePlays)
	return nil
}

// comparePlays orders plays by their end and then by content.
func comparePlays(a, b *playRow) int {
	if a.endedMS != b.endedMS {
		return cmp.Compare(a.endedMS, b.endedMS)
	}
	return cmp.Or(
		cmp.Compare(pointBase(a.item), pointBase(b.item)),
		cmp.Compare(a.item.Kind, b.item.Kind),
		cmp.Compare(a.item.uri, b.item.uri),
		cmp.Compare(a.item.songKey, b.item.songKey),
		cmp.Compare(a.startedMS, b.startedMS),
		cmp.Compare(a.msPlayed, b.msPlayed),
		cmp.Compare(a.msSource, b.msSource),
		cmp.Compare(a.msError, b.msError),
		cmp.Compare(a.witnesses, b.witnesses),
		a.circumstances.compare(&b.circumstances),
		cmp.Compare(a.id, b.id), // alike in all that anybody is told
	)
}

// estimate gives the plays whose listening time nobody knows one. The play on
// the near side of the time read keeps its own.
func (d *derivation) estimate() {
	for i, p := range d.after {
		if p.msSource != Estimated || p.endedMS < d.from {
			continue
		}
		var previousMS int64
		for k := i - 1; k >= 0 && previousMS == 0; k-- {
			if d.after[k].endedMS < p.endedMS {
				previousMS = d.after[k].endedMS
			}
		}
		p.estimate(previousMS)
	}
}

// place gives every play in the time that is replaced the time of its point. The
// plays of one ms are placed together, in the order of their content, so that it
// does not matter which came first.
func (d *derivation) place() {
	slices.SortFunc(d.after, comparePlays) // the estimates have changed
	taken := map[int64]bool{}
	for _, p := range d.after {
		if p.endedMS < d.from || p.endedMS > d.until {
			continue
		}
		base := pointBase(p.item)
		for step := int64(0); ; step++ {
			ns := p.endedMS*1_000_000 + (base+step)%1_000_000
			if !taken[ns] {
				taken[ns] = true
				p.pointNS = ns
				break
			}
		}
	}
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

// save writes the plays that are new or differ, deletes those that are gone, and
// queues all of it for InfluxDB.
func (d *derivation) save() error {
	kept := map[int64]bool{}
	var changed []*playRow
	var drop []int64
	queue := newQueue(d.recording)
	for _, p := range d.after {
		kept[p.id] = true
		old := d.before[p.id]
		if old != nil && *old == *p {
			continue
		}
		if old != nil {
			drop = append(drop, old.id)
			if old.item != p.item || old.endedMS != p.endedMS || !d.exported(p) {
				queue.totals(old)
			}
		}
		if p.sentNS != 0 && (p.sentNS != p.pointNS || !d.exported(p) || int(p.sentCredits) > len(p.item.Artists)) {
			queue.gone(p)
			p.sentNS, p.sentCredits = 0, 0
		}
		changed = append(changed, p)
	}
	for _, id := range slices.Sorted(maps.Keys(d.before)) {
		if p := d.before[id]; !kept[id] {
			drop = append(drop, id)
			queue.totals(p)
			if p.sentNS != 0 {
				queue.gone(p)
			}
			queue.forget(id)
		}
	}
	if len(drop) > 0 {
		if _, err := d.tx.exec("DELETE FROM play WHERE id "+inList, list(drop)); err != nil {
			return fmt.Errorf("store plays: %w", err)
		}
	}
	for _, placed := range []bool{false, true} {
		plays := d.tx.inserter("INSERT OR ROLLBACK INTO play", newPlayColumns(placed))
		for _, p := range changed {
			if p.placed() != placed {
				continue
			}
			if err := p.addTo(plays, d.account); err != nil {
				return fmt.Errorf("store plays: %w", err)
			}
		}
		if err := plays.flush(); err != nil {
			return fmt.Errorf("store plays: %w", err)
		}
	}
	for _, p := range changed {
		switch {
		case !d.exported(p):
			queue.forget(p.id)
		case d.before[p.id] == nil:
			queue.add(p)
		default:
			queue.write(p)
		}
		if d.batch == 0 {
			d.plays = append(d.plays, p.play(d.alias))
		}
	}
	if err := d.saveReports(); err != nil {
		return err
	}
	return queue.flush()
}

// exported tells whether the play leaves the journal.
func (r *recording) exported(p *playRow) bool {
	return p.item.Kind != Unknown && (p.incognito != yes || r.journal.options.RecordPrivate)
}

// saveReports stores the new reports and points the others to their plays.
func (d *derivation) saveReports() error {
	var last int64
	if err := d.tx.get("SELECT coalesce(max(id), 0) FROM report", nil, []any{&last}); err != nil {
		return fmt.Errorf("read reports: %w", err)
	}
	for _, followed := range []bool{false, true} {
		// SQLite gives the ids, the same: with those of ours it would have to be able to
		// go back from the middle of a statement.
		reports := d.tx.inserter("INSERT OR ROLLBACK INTO report", newReportColumns(followed))
		for i, c := range d.clusters {
			for _, r := range c.reports {
				if r.id != 0 || r.followed() != followed {
					continue
				}
				last++
				r.id, r.play = last, d.ids[i]
				if err := r.addTo(reports, d.account); err != nil {
					return fmt.Errorf("store reports: %w", err)
				}
			}
		}
		if err := reports.flush(); err != nil {
			return fmt.Errorf("store reports: %w", err)
		}
	}
	for i, c := range d.clusters {
		for _, r := range c.reports {
			if play := d.ids[i]; r.play != play {
				if _, err := d.tx.exec("UPDATE report SET play = ? WHERE id = ?", play, r.id); err != nil {
					return fmt.Errorf("store reports: %w", err)
				}
				r.play = play
			}
		}
	}
	return nil
}

// queue collects what a transaction changes in InfluxDB.
type queue struct {
	*recording
	createdMS int64
	deletes   []*playRow
	added     []*playRow
	writes    []*playRow
	forgotten []int64
	keys      map[totalKey]bool
	years     map[int]bool
}

type totalKey struct {
	kind EntryKind
	key  string
}

func newQueue(r *recording) *queue {
	return &queue{recording: r, createdMS: r.journal.now(), keys: map[totalKey]bool{}, years: map[int]bool{}}
}

// gone queues the deletion of the point that may be in InfluxDB.
func (q *queue) gone(p *playRow) { q.deletes = append(q.deletes, new(*p)) }

// add queues a play that was never queued before.
func (q *queue) add(p *playRow) { q.added = append(q.added, p) }

// write queues the play.
func (q *queue) write(p *playRow) { q.writes = append(q.writes, p) }

// forget takes a play that is no more, or not to be exported any more, out of the
// queue.
func (q *queue) forget(id int64) { q.forgotten = append(q.forgotten, id) }

// totals queues what the play counts in.
func (q *queue) totals(p *playRow) {
	for kind, key := range totalKeys(p.item) {
		if key != "" {
			q.keys[totalKey{kind, key}] = true
		}
	}
	q.years[q.journal.year(q.alias, p.endedMS)] = true
}

// year is the calendar year of an end where the account's listener lives.
func (j *Journal) year(alias string, endedMS int64) int {
	zone := time.UTC
	if j.options.Zone != nil {
		zone = j.options.Zone(alias)
	}
	return time.UnixMilli(endedMS).In(zone).Year()
}

// flush stores the entries: deletions before writes, totals behind both, since
// entries are sent in the order in which they were queued.
func (q *queue) flush() error {
	if len(q.forgotten) > 0 {
		_, err := q.tx.exec("DELETE FROM outbox WHERE kind = ? AND account = ? AND ref "+inList, EntryPlay, q.account, list(q.forgotten))
		if err != nil {
			return fmt.Errorf("queue plays: %w", err)
		}
	}
	const columns = "kind, account, ref, key, time_ns, created_ms, due_ms"
	entries := q.tx.inserter("INSERT OR REPLACE INTO outbox", columns)
	add := func(to *inserter, kind EntryKind, ref int64, key string, timeNS, dueMS int64) error {
		if err := to.add(int64(kind), q.account, ref, key, timeNS, q.createdMS, dueMS); err != nil {
			return fmt.Errorf("queue plays: %w", err)
		}
		return nil
	}
	for _, p := range q.deletes {
		if err := add(entries, EntryPlayGone, 0, "", p.sentNS, 0); err != nil {
			return err
		}
	}
	due := func(p *playRow) int64 {
		if p.witnesses != 1<<Playback {
			return 0
		}
		return p.endedMS + q.journal.options.Confirmation.Milliseconds()
	}
	for _, p := range q.writes {
		if err := add(entries, EntryPlay, p.id, "", 0, due(p)); err != nil {
			return err
		}
	}
	if len(q.added) > 0 {
		if err := entries.flush(); err != nil {
			return fmt.Errorf("queue plays: %w", err)
		}
		// What replaces nothing needs no way back from the middle of a statement.
		fresh := q.tx.inserter("INSERT OR ROLLBACK INTO outbox", columns)
		for _, p := range q.added {
			if err := add(fresh, EntryPlay, p.id, "", 0, due(p)); err != nil {
				return err
			}
		}
		if err := fresh.flush(); err != nil {
			return fmt.Errorf("queue plays: %w", err)
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(q.keys), func(a, b totalKey) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.key, b.key))
	}) {
		if err := add(entries, k.kind, 0, k.key, 0, 0); err != nil {
			return err
		}
	}
	for _, year := range slices.Sorted(maps.Keys(q.years)) {
		if err := add(entries, EntryArtistYear, int64(year), "", 0, 0); err != nil {
			return err
		}
	}
	if err := entries.flush(); err != nil {
		return fmt.Errorf("queue plays: %w", err)
	}
	return nil
}

// resend queues all plays of an item that the catalogue has learned more of,
// whoever played it.
func (r *recording) resend(row *itemRow) error {
	_, err := r.tx.exec(`INSERT OR REPLACE INTO outbox (kind, account, time_ns, created_ms)
		SELECT ?, account, sent_ns, ? FROM play WHERE item = ? AND sent_credits > ?`,
		EntryPlayGone, r.journal.now(), row.id, len(row.Artists))
	if err != nil {
		return fmt.Errorf("queue plays: %w", err)
	}
	if _, err := r.tx.exec("UPDATE play SET sent_ns = 0, sent_credits = 0 WHERE item = ? AND sent_credits > ?", row.id, len(row.Artists)); err != nil {
		return fmt.Errorf("queue plays: %w", err)
	}
	_, err = r.tx.exec(`INSERT OR REPLACE INTO outbox (kind, account, ref, created_ms, due_ms)
		SELECT ?1, account, id, ?2,
			CASE witnesses WHEN ?3 THEN ended_ms + ?4 ELSE 0 END
		FROM play WHERE item = ?5 AND ?6 AND (incognito IS NULL OR incognito = 0 OR ?7)`,
		EntryPlay, r.journal.now(), int64(1)<<Playback, r.journal.options.Confirmation.Milliseconds(), row.id,
		row.Kind != Unknown, r.journal.options.RecordPrivate)
	if err != nil {
		return fmt.Errorf("queue plays: %w", err)
	}
	return nil
}
