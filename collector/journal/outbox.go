package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// rankedArtists is how many artists of a year are ranked.
const rankedArtists = 50

// Take returns the oldest entries of the outbox that are due, at most limit, in
// the order in which they have to be sent; none: there is nothing to send. It
// notes that their points may be in InfluxDB from now on, so that a play which
// moves meanwhile leaves nothing behind.
func (j *Journal) Take(ctx context.Context, limit int) ([]Entry, error) {
	var entries []Entry
	err := j.quietly(ctx, func(tx *transaction) error {
		var err error
		if entries, err = j.due(tx, limit); err != nil {
			return err
		}
		return j.fill(tx, entries)
	})
	if err != nil {
		return nil, fmt.Errorf("take from outbox: %w", explainSQLite(j.path, err))
	}
	return entries, nil
}

// due reads the entries alone.
func (j *Journal) due(tx *transaction, limit int) ([]Entry, error) {
	rows, err := tx.query(`SELECT seq, kind, alias, ref, key, time_ns FROM outbox JOIN account ON account.id = outbox.account
		WHERE rejected = '' AND due_ms <= ? ORDER BY seq LIMIT ?`, j.now(), limit)
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
	plays := map[int64]*Entry{}
	var ids []int64
	for i := range entries {
		e := &entries[i]
		var err error
		switch e.Kind {
		case EntryPlay:
			plays[e.Play.ID] = e
			ids = append(ids, e.Play.ID)
		case EntryArtistTotal, EntryAlbumTotal, EntryTrackTotal:
			err = j.total(tx, e)
		case EntryArtistYear:
			err = j.artistYear(tx, e)
		case EntryGap:
			err = fillGap(tx, e)
		}
		if err != nil {
			return err
		}
	}
	if len(ids) == 0 {
		return nil
	}
	err := tx.each("SELECT account.alias, "+playColumns+", "+itemColumns+
		" FROM play JOIN item ON item.id = play.item JOIN account ON account.id = play.account WHERE play.id "+inList,
		[]any{list(ids)}, func(rows *sql.Rows) error {
			alias, row, err := scanPlay(rows)
			if err != nil {
				return err
			}
			*plays[row.id].Play = row.play(alias)
			return nil
		})
	if err != nil {
		return err
	}
	_, err = tx.exec(`UPDATE play SET sent_ns = point_ns,
		sent_credits = (SELECT max(sent_credits, CASE artists WHEN '' THEN 0 ELSE json_array_length(artists) END) FROM item WHERE item.id = play.item)
		WHERE id `+inList, list(ids))
	return err
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

// Sent takes entries that are in InfluxDB off the outbox; one that has changed
// since Take stays. What the plays count in is queued behind everything else.
func (j *Journal) Sent(ctx context.Context, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	err := j.quietly(ctx, func(tx *transaction) error {
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
				row := &itemRow{Item: e.Play.Item}
				row.setKeys()
				q.totals(&playRow{item: row, endedMS: e.Play.EndedAt.UnixMilli()})
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

// Replay queues everything that InfluxDB should have once more: all of it, or
// with a from or to only the plays that ended in from <= end < to. It returns how
// many plays that are.
func (j *Journal) Replay(ctx context.Context, from, to time.Time) (int64, error) {
	var plays int64
	err := j.write(ctx, func(tx *transaction) error {
		now := j.now()
		fromMS, toMS := int64(-1)<<62, int64(1)<<62
		if !from.IsZero() {
			fromMS = from.UnixMilli()
		}
		if !to.IsZero() {
			toMS = to.UnixMilli()
		}
		result, err := tx.exec(`INSERT OR REPLACE INTO outbox (kind, account, ref, created_ms)
			SELECT ?, play.account, play.id, ? FROM play JOIN item ON item.id = play.item
			WHERE ended_ms >= ? AND ended_ms < ? AND item.kind <> ? AND (coalesce(incognito, 0) = 0 OR ?) ORDER BY play.point_ns`,
			EntryPlay, now, fromMS, toMS, Unknown, j.options.RecordPrivate)
		if err != nil {
			return err
		}
		if plays, err = result.RowsAffected(); err != nil {
			return err
		}
		// Points of plays that must not leave the journal any more.
		if !j.options.RecordPrivate {
			_, err := tx.exec(`INSERT OR REPLACE INTO outbox (kind, account, time_ns, created_ms)
				SELECT ?, account, sent_ns, ? FROM play WHERE sent_ns <> 0 AND incognito = 1 AND ended_ms >= ? AND ended_ms < ?`,
				EntryPlayGone, now, fromMS, toMS)
			if err != nil {
				return err
			}
			if _, err := tx.exec("UPDATE play SET sent_ns = 0, sent_credits = 0 WHERE sent_ns <> 0 AND incognito = 1 AND ended_ms >= ? AND ended_ms < ?", fromMS, toMS); err != nil {
				return err
			}
		}
		if !from.IsZero() || !to.IsZero() {
			return nil
		}
		if _, err := tx.exec("INSERT OR REPLACE INTO outbox (kind, account, created_ms) SELECT ?, id, ? FROM account", EntryAccount, now); err != nil {
			return err
		}
		_, err = tx.exec("INSERT OR REPLACE INTO outbox (kind, account, ref, created_ms) SELECT ?, account, id, ? FROM gap", EntryGap, now)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("replay: %w", explainSQLite(j.path, err))
	}
	return plays, nil
}
