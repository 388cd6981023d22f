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

// rankedArtists is how many artists of a year are ranked.
const rankedArtists = 50

// Take returns the oldest entries of the outbox that are due, at most limit, in
// the order in which they have to be sent; none: there is nothing to send. Those
// up to the sequence number after are left out: they are on their way. None are due
// while a Rebuild is under way. It
// notes that their points may be in InfluxDB from now on, so that a play which
// moves meanwhile leaves nothing behind.
func (j *Journal) Take(ctx context.Context, after int64, limit int) ([]Entry, error) {
	var entries []Entry
	err := j.quietly(ctx, func(tx *transaction) error {
		var err error
		if entries, err = j.due(tx, after, limit); err != nil {
			return err
		}
		if slices.ContainsFunc(entries, func(e Entry) bool { return e.Kind != EntryPlay }) {
			j.queued = nil // some of it is on its way now
		}
		return j.fill(tx, entries)
	})
	if err != nil {
		return nil, fmt.Errorf("take from outbox: %w", explainSQLite(j.path, err))
	}
	return entries, nil
}

// due reads the entries alone.
func (j *Journal) due(tx *transaction, after int64, limit int) ([]Entry, error) {
	rows, err := tx.query(`SELECT seq, kind, alias, ref, key, time_ns FROM outbox JOIN account ON account.id = outbox.account
		WHERE seq > ? AND rejected = '' AND due_ms <= ? AND NOT EXISTS (SELECT 1 FROM setting WHERE name = ?)
		ORDER BY seq LIMIT ?`, after, j.now(), rebuildSetting, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var entries []Entry
	for rows.Next() {
		var e Entry
		var ref int64
		var key string
		if err := rows.Scan(&e.Seq, &e.Kind, &e.Account, &ref, &key, &e.TimeNS); err != nil {
			return nil, err
		}
		switch e.Kind {
		case EntryPlay:
			e.Play = &Play{ID: ref}
		case EntryArtistTotal, EntryAlbumTotal, EntryTrackTotal:
			e.Total = &Total{Key: key}
		case EntryArtistYear:
			e.Year = int(ref)
		case EntryGap:
			e.Gap = &Gap{ID: ref}
		}
		entries = append(entries, e)
	}
	return entries, rows.Err()
}

// fill reads what the entries are about.
func (j *Journal) fill(tx *transaction, entries []Entry) error {
	type sort struct {
		kind    EntryKind
		account string
	}
	plays := map[int64]*Entry{}
	totals := map[sort][]*Entry{}
	for i := range entries {
		e := &entries[i]
		var err error
		switch of := (sort{e.Kind, e.Account}); e.Kind {
		case EntryPlay:
			plays[e.Play.ID] = e
		case EntryArtistTotal, EntryAlbumTotal, EntryTrackTotal:
			totals[of] = append(totals[of], e)
		case EntryArtistYear:
			err = j.artistYear(tx, e)
		case EntryGap:
			err = fillGap(tx, e)
		}
		if err != nil {
			return err
		}
	}
	for _, all := range totals {
		for some := range slices.Chunk(all, totalsPerQuery) {
			if err := j.total(tx, some); err != nil {
				return err
			}
		}
	}
	return fillPlays(tx, plays)
}

// fillPlays reads the plays of entries, by id, and notes that their points and those of
// their credits may be in InfluxDB.
func fillPlays(tx *transaction, entries map[int64]*Entry) error {
	if len(entries) == 0 {
		return nil
	}
	rows := make([]*playRow, 0, len(entries))
	ids := list(slices.Sorted(maps.Keys(entries)))
	var items []int64 // of rows
	err := tx.each("SELECT "+playColumns+" FROM play WHERE id "+inList, []any{ids}, func(result *sql.Rows) error {
		var row playRow
		var account, item int64
		if err := result.Scan(row.targets(&account, &item)...); err != nil {
			return err
		}
		rows, items = append(rows, &row), append(items, item)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read plays: %w", err)
	}
	known, err := itemsOf(tx, slices.Compact(slices.Sorted(slices.Values(items))))
	if err != nil {
		return err
	}
	credited := map[int][]int64{} // plays, by how many credits each has
	for i, row := range rows {
		e := entries[row.id]
		row.item = known[items[i]]
		e.row, *e.Play = row, row.play(e.Account)
		credits := len(row.item.Artists)
		credited[credits] = append(credited[credits], row.id)
	}
	for credits, ids := range credited {
		if _, err := tx.exec("UPDATE play SET sent_ns = point_ns, sent_credits = max(sent_credits, ?) WHERE id "+inList, credits, list(ids)); err != nil {
			return fmt.Errorf("store plays: %w", err)
		}
	}
	return nil
}

func fillGap(tx *transaction, e *Entry) error {
	var from, to, found, closed int64
	g := e.Gap
	err := tx.get("SELECT from_ms, to_ms, found_ms, closed_ms, closed_by FROM gap WHERE id = ?", []any{g.ID}, []any{&from, &to, &found, &closed, &g.ClosedBy})
	if err != nil {
		return fmt.Errorf("read gap %d: %w", g.ID, err)
	}
	g.Account = e.Account
	g.From, g.To, g.FoundAt, g.ClosedAt = fromMilli(from), fromMilli(to), fromMilli(found), fromMilli(closed)
	return nil
}

// SentByYear counts, by calendar year of their points, UTC, the account's plays that
// InfluxDB has taken and that neither wait to be sent again nor were rejected.
func (j *Journal) SentByYear(ctx context.Context, account string) (map[int]int64, error) {
	sent := map[int]int64{}
	err := j.read(ctx, func(tx *transaction) error {
		const dayNS = int64(24 * time.Hour)
		// Days are a division, years would be a calculation for every play.
		count := func(sign int64, plays string, values ...any) error {
			return tx.each("SELECT sent_ns / ?1, count(*) FROM "+plays+" AND sent_ns <> 0 AND sent_ns = point_ns GROUP BY 1", append([]any{dayNS, account}, values...), func(rows *sql.Rows) error {
				var day, n int64
				if err := rows.Scan(&day, &n); err != nil {
					return err
				}
				sent[time.Unix(0, day*dayNS).UTC().Year()] += sign * n
				return nil
			})
		}
		if err := count(1, "play WHERE play.account = (SELECT id FROM account WHERE alias = ?2)"); err != nil {
			return err
		}
		return count(-1, "outbox JOIN play ON play.id = outbox.ref WHERE outbox.kind = ?3 AND outbox.account = (SELECT id FROM account WHERE alias = ?2)", EntryPlay)
	})
	if err != nil {
		return nil, fmt.Errorf("count sent plays: %w", err)
	}
	maps.DeleteFunc(sent, func(_ int, n int64) bool { return n == 0 })
	return sent, nil
}

// Sent takes entries that are in InfluxDB off the outbox; one that has changed
// since Take stays. What the plays count in is queued behind everything else.
func (j *Journal) Sent(ctx context.Context, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	err := j.quietly(ctx, func(tx *transaction) error {
		if j.queued == nil {
			j.queued = map[queuedTotal]bool{}
		}
		queues := map[string]*queue{}
		var seqs []int64
		for i := range entries {
			e := &entries[i]
			seqs = append(seqs, e.Seq)
			q := queues[e.Account]
			if q == nil {
				id, err := j.account(tx, e.Account)
				if err != nil {
					return err
				}
				q = newQueue(&recording{journal: j, tx: tx, account: id, alias: e.Account})
				queues[e.Account] = q
			}
			switch e.Kind {
			case EntryPlay:
				q.totals(e.row)
			case EntryArtistYear:
				if err := forgetRanked(tx, q.account, e); err != nil {
					return err
				}
			}
		}
		if _, err := tx.exec("DELETE FROM outbox WHERE seq "+inList, list(seqs)); err != nil {
			return err
		}
		for _, q := range queues {
			q.leaveOut(j.queued)
			if err := q.flush(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("clear outbox: %w", explainSQLite(j.path, err))
	}
	return nil
}

// queuedTotal is a total, or a year's ranking, that Sent has queued.
type queuedTotal struct {
	account int64
	totalKey
	year int
}

// leaveOut leaves out the totals that were queued before and still wait: they are
// summed up when they are taken. A batch of an import names thousands of them.
func (q *queue) leaveOut(queued map[queuedTotal]bool) {
	for key := range q.keys {
		if t := (queuedTotal{account: q.account, totalKey: key}); queued[t] {
			delete(q.keys, key)
		} else {
			queued[t] = true
		}
	}
	for year := range q.years {
		if t := (queuedTotal{account: q.account, year: year}); queued[t] {
			delete(q.years, year)
		} else {
			queued[t] = true
		}
	}
}

// Reject takes an entry that InfluxDB will never accept out of the way. It stays
// in the journal with the reason, counts in State, and is tried again when it
// changes or is replayed.
func (j *Journal) Reject(ctx context.Context, e Entry, reason string) error {
	if reason == "" {
		return errors.New("reject an outbox entry: no reason given")
	}
	return j.quietly(ctx, func(tx *transaction) error {
		_, err := tx.exec("UPDATE outbox SET rejected = ? WHERE seq = ?", reason, e.Seq)
		if err != nil {
			return fmt.Errorf("reject outbox entry: %w", explainSQLite(j.path, err))
		}
		return nil
	})
}

// RetryRejected puts the entries that InfluxDB did not accept back into the outbox, except those whose reason begins with
// except, and returns how many they are.
func (j *Journal) RetryRejected(ctx context.Context, except string) (n int64, err error) {
	err = j.quietly(ctx, func(tx *transaction) error {
		result, err := tx.exec("UPDATE outbox SET rejected = '' WHERE rejected <> '' AND substr(rejected, 1, length(?1)) <> ?1", except)
		if err == nil {
			n, err = result.RowsAffected()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("try rejected outbox entries again: %w", explainSQLite(j.path, err))
	}
	return n, nil
}

// Rejection is an entry that InfluxDB did not accept.
type Rejection struct {
	Seq     int64
	Kind    EntryKind
	Account string
	Play    int64 // of an EntryPlay
	Reason  string
}

// Rejected returns what InfluxDB did not accept, oldest first, at most limit.
func (j *Journal) Rejected(ctx context.Context, limit int) ([]Rejection, error) {
	rows, err := j.db.QueryContext(ctx, `SELECT seq, kind, alias, ref, rejected FROM outbox JOIN account ON account.id = outbox.account
		WHERE rejected <> '' ORDER BY seq LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("read rejected: %w", err)
	}
	defer rows.Close()
	var list []Rejection
	for rows.Next() {
		var r Rejection
		var ref int64
		if err := rows.Scan(&r.Seq, &r.Kind, &r.Account, &ref, &r.Reason); err != nil {
			return nil, fmt.Errorf("read rejected: %w", err)
		}
		if r.Kind == EntryPlay {
			r.Play = ref
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// replayPortion is how many plays are queued in one transaction: few enough that a
// daemon beside it never waits long.
const replayPortion = 5_000

// Replay queues everything that InfluxDB should have once more: all of it, or
// with a from or to only the plays that ended in from <= end < to. It returns how
// many plays that are. What must not leave the journal any more is queued to be
// deleted.
func (j *Journal) Replay(ctx context.Context, from, to time.Time) (int64, error) {
	chosen := span{-latestMS, latestMS + 1}
	if !from.IsZero() {
		chosen.from = unixMilli(from)
	}
	if !to.IsZero() {
		chosen.until = unixMilli(to)
	}
	accounts, err := j.Accounts(ctx)
	if err != nil {
		return 0, err
	}
	var plays int64
	for _, alias := range accounts {
		n, err := j.replay(ctx, alias, chosen)
		if err != nil {
			return plays, fmt.Errorf("replay: %w", explainSQLite(j.path, err))
		}
		plays += n
	}
	if !from.IsZero() || !to.IsZero() {
		return plays, nil
	}
	err = j.write(ctx, func(tx *transaction) error {
		for kind, things := range map[EntryKind]string{
			EntryAccount: "SELECT ?, id, 0, ? FROM account",
			EntryGap:     "SELECT ?, account, id, ? FROM gap",
			// A year may have lost all its plays to the one beside it, in another time zone.
			EntryArtistYear: "SELECT DISTINCT ?, account, year, ? FROM ranked",
		} {
			if _, err := tx.exec("INSERT OR REPLACE INTO outbox (kind, account, ref, created_ms) "+things, kind, j.now()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return plays, fmt.Errorf("replay: %w", explainSQLite(j.path, err))
	}
	return plays, nil
}

// QueueAccount queues the point of an account, whose name or time zone has changed.
func (j *Journal) QueueAccount(ctx context.Context, account string) error {
	err := j.quietly(ctx, func(tx *transaction) error {
		_, err := tx.exec("INSERT OR REPLACE INTO outbox (kind, account, created_ms) SELECT ?, id, ? FROM account WHERE alias = ?", EntryAccount, j.now(), account)
		return err
	})
	if err != nil {
		return fmt.Errorf("queue account: %w", explainSQLite(j.path, err))
	}
	return nil
}

// replay queues the plays of one account that ended in a span.
func (j *Journal) replay(ctx context.Context, alias string, chosen span) (plays int64, err error) {
	last := chosen.from*1_000_000 - 1 // point_ns of the last play looked at
	for more := true; more; {
		err := j.write(ctx, func(tx *transaction) error {
			id, err := j.account(tx, alias)
			if err != nil {
				return err
			}
			r := recording{journal: j, tx: tx, account: id, alias: alias}
			queue := newQueue(&r)
			seen := 0
			err = tx.each("SELECT "+playColumns+", "+itemColumns+` FROM play JOIN item ON item.id = play.item
				WHERE play.account = ? AND point_ns > ? AND point_ns < ? ORDER BY point_ns LIMIT ?`,
				[]any{id, last, chosen.until * 1_000_000, replayPortion}, func(rows *sql.Rows) error {
					var p playRow
					var account, item int64
					var scan itemScan
					if err := rows.Scan(append(p.targets(&account, &item), scan.targets()...)...); err != nil {
						return err
					}
					if p.item, err = scan.item(); err != nil {
						return err
					}
					seen++
					last = p.pointNS
					switch {
					case r.exported(&p):
						plays++
						queue.write(&p)
					case p.sentNS != 0:
						queue.gone(&p)
						queue.totals(&p)
						queue.forget(p.id)
					}
					return nil
				})
			if err != nil {
				return err
			}
			more = seen == replayPortion
			var gone []int64
			for _, p := range queue.deletes {
				gone = append(gone, p.id)
			}
			if _, err := tx.exec("UPDATE play SET sent_ns = 0, sent_credits = 0 WHERE id "+inList, list(gone)); err != nil {
				return err
			}
			return queue.flush()
		})
		if err != nil {
			return plays, err
		}
	}
	return plays, nil
}
