package journal

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"
)

// Filter chooses plays. Zero fields choose all.
type Filter struct {
	Account  string
	From, To time.Time // by the end: From <= end < To
	Limit    int       // the newest so many
}

// Plays returns the chosen plays, oldest first, as one consistent state of the
// journal and in constant memory. An error ends it.
func (j *Journal) Plays(ctx context.Context, f Filter) iter.Seq2[Play, error] {
	const where = "play.point_ns >= ?1 AND play.point_ns < ?2"
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if !f.From.IsZero() {
		from = firstPoint(f.From)
	}
	if !f.To.IsZero() {
		to = firstPoint(f.To)
	}
	all := j.plays(ctx, f.Account, where, from, to)
	if f.Limit == 0 {
		return all
	}
	return func(yield func(Play, error) bool) {
		// Two accounts may have a play at the same ns: the order is that of plays.
		var oldest, listener int64
		err := j.db.QueryRowContext(ctx, `SELECT point_ns, listener FROM (
			SELECT point_ns, account.id AS listener FROM account CROSS JOIN play ON play.id IN (
				SELECT id FROM play WHERE play.account = account.id AND point_ns >= ?2 AND point_ns < ?3 ORDER BY point_ns DESC LIMIT ?4)
			WHERE ?1 = '' OR account.alias = ?1 ORDER BY point_ns DESC, listener DESC LIMIT ?4)
			ORDER BY point_ns, listener LIMIT 1`, f.Account, from, to, f.Limit).Scan(&oldest, &listener)
		if errors.Is(err, sql.ErrNoRows) {
			return
		}
		if err != nil {
			yield(Play{}, fmt.Errorf("read plays: %w", err))
			return
		}
		j.plays(ctx, f.Account, where+" AND (play.point_ns > ?3 OR play.point_ns = ?3 AND play.account >= ?4)", from, to, oldest, listener)(yield)
	}
}

// firstPoint is the earliest time of a point of a play that ended at t; of times
// that ns cannot tell, the first or last that they can.
func firstPoint(t time.Time) int64 {
	const most = math.MaxInt64 / 1_000_000
	return max(-most, min(most, t.UnixMilli())) * 1_000_000
}

// Sample returns about n of an account's plays that ended at from or later and of
// which at least the title is known, spread over all of them, oldest first.
func (j *Journal) Sample(ctx context.Context, account string, from time.Time, n int) ([]Play, error) {
	var plays int64
	fromNS := unixMilli(from) * 1_000_000
	err := j.db.QueryRowContext(ctx, "SELECT count(*) FROM play WHERE account = (SELECT id FROM account WHERE alias = ?) AND point_ns >= ?", account, fromNS).Scan(&plays)
	if err != nil {
		return nil, fmt.Errorf("count plays: %w", err)
	}
	var sample []Play
	for play, err := range j.plays(ctx, account, "play.point_ns >= ?1 AND item.kind <> ?2 AND play.id % ?3 = 0", fromNS, Unknown, max(1, plays/int64(n))) {
		if err != nil {
			return nil, err
		}
		sample = append(sample, play)
	}
	return sample, nil
}

// Play returns a play by its id. ErrNoPlay if there is none.
func (j *Journal) Play(ctx context.Context, id int64) (Play, error) {
	for play, err := range j.plays(ctx, "", "play.id = ?1", id) {
		return play, err
	}
	return Play{}, fmt.Errorf("play %d: %w", id, ErrNoPlay)
}

// ErrNoPlay is returned for a play that is not there.
var ErrNoPlay = errors.New("no such play")

// plays reads the plays that match, oldest first; where has numbered parameters.
// Each account's plays come from their index in this order, and SQLite merges
// them: it never holds, and never sorts, more than a row of each.
func (j *Journal) plays(ctx context.Context, account, where string, values ...any) iter.Seq2[Play, error] {
	return func(yield func(Play, error) bool) {
		var accounts []string
		err := j.read(ctx, func(tx *transaction) error {
			return tx.each("SELECT id FROM account WHERE ?1 = '' OR alias = ?1", []any{account}, func(rows *sql.Rows) error {
				var id int64
				err := rows.Scan(&id)
				accounts = append(accounts, fmt.Sprintf(`SELECT account.alias, %s, %s, play.point_ns AS place, play.account AS listener
					FROM play CROSS JOIN item CROSS JOIN account
					WHERE play.account = %d AND item.id = play.item AND account.id = play.account AND (%s)`, playColumns, itemColumns, id, where))
				return err
			})
		})
		if err != nil {
			yield(Play{}, fmt.Errorf("read plays: %w", err))
			return
		}
		if len(accounts) == 0 {
			return
		}
		rows, err := j.db.QueryContext(ctx, strings.Join(accounts, " UNION ALL ")+" ORDER BY place, listener", values...)
		if err != nil {
			yield(Play{}, fmt.Errorf("read plays: %w", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			alias, row, err := scanPlay(rows, new(int64), new(int64))
			if err != nil {
				yield(Play{}, err)
				return
			}
			if !yield(row.play(alias), nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Play{}, fmt.Errorf("read plays: %w", err))
		}
	}
}

// scanPlay reads alias, playColumns, itemColumns and what is behind them.
func scanPlay(rows *sql.Rows, behind ...any) (string, *playRow, error) {
	var (
		alias         string
		row           playRow
		account, item int64
		scan          itemScan
	)
	targets := slices.Concat([]any{&alias}, row.targets(&account, &item), scan.targets(), behind)
	if err := rows.Scan(targets...); err != nil {
		return "", nil, fmt.Errorf("read plays: %w", err)
	}
	var err error
	row.item, err = scan.item()
	return alias, &row, err
}

// Accounts returns the aliases of all accounts that the journal has seen.
func (j *Journal) Accounts(ctx context.Context) ([]string, error) {
	rows, err := j.db.QueryContext(ctx, "SELECT alias FROM account ORDER BY alias")
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	defer rows.Close()
	var accounts []string
	for rows.Next() {
		var alias string
		if err := rows.Scan(&alias); err != nil {
			return nil, fmt.Errorf("read accounts: %w", err)
		}
		accounts = append(accounts, alias)
	}
	return accounts, rows.Err()
}

// Devices returns the names of all devices of recorded plays, of all accounts.
func (j *Journal) Devices(ctx context.Context) ([]string, error) {
	rows, err := j.db.QueryContext(ctx, "SELECT DISTINCT device FROM play WHERE device != '' ORDER BY device")
	if err != nil {
		return nil, fmt.Errorf("read devices: %w", err)
	}
	defer rows.Close()
	var devices []string
	for rows.Next() {
		var device string
		if err := rows.Scan(&device); err != nil {
			return nil, fmt.Errorf("read devices: %w", err)
		}
		devices = append(devices, device)
	}
	return devices, rows.Err()
}

// Playback returns what the tracker has stored as open, nil if nothing.
func (j *Journal) Playback(ctx context.Context, account string) ([]byte, error) {
	var open []byte
	err := j.db.QueryRowContext(ctx, "SELECT playback FROM account WHERE alias = ?", account).Scan(&open)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("read what is open: %w", err)
	}
	return open, nil
}

// Testimony is a report of a play, and why it is one of it.
type Testimony struct {
	Report
	// Ends tells that its end is the play's. The other reports are held against it.
	Ends bool
	// Same is what tells that it is of the same item: "uri", "isrc", "names", or
	// "names and length" where both know the length. "": nothing but the time does.
	Same string
	// Apart is how far the ends lie apart, of several that are likely the nearest, and
	// Beyond how much of it neither says of its own error.
	Apart, Beyond time.Duration
	// Part tells that the tracker saw a part of the play, which was paused for long.
	Part bool
}

// Reports returns what the witnesses said that made a play what it is, the most
// trusted one first.
func (j *Journal) Reports(ctx context.Context, play int64) ([]Testimony, error) {
	var testimonies []Testimony
	err := j.read(ctx, func(tx *transaction) error {
		catalogue := &catalogue{knownItems: newKnownItems(), tx: tx}
		rows, err := tx.query("SELECT "+reportColumns+" FROM report WHERE play = ?", play)
		if err != nil {
			return fmt.Errorf("read reports: %w", err)
		}
		stored, err := scanReports(rows, catalogue)
		if err != nil {
			return err
		}
		if err := catalogue.loadItems(); err != nil {
			return err
		}
		if len(stored) == 0 {
			return nil
		}
		var c cluster
		for _, w := range trusted {
			for _, r := range stored {
				if r.witness == w {
					c.reports = append(c.reports, r)
				}
			}
		}
		for _, r := range c.reports {
			testimonies = append(testimonies, c.testimony(r))
		}
		return nil
	})
	return testimonies, err
}

// testimony tells why r is one of the cluster's reports: the terms of cost.
func (c *cluster) testimony(r *reportRow) Testimony {
	end := c.ender()
	t := Testimony{Report: r.report(), Ends: r == end}
	if t.Ends {
		return t
	}
	from, until := end.window()
	otherFrom, otherUntil := r.window()
	beyond := max(0, otherFrom-until, from-otherUntil)
	t.Same = cmp.Or(r.item.sameness(end.item), r.item.sameness(c.reports[0].item))
	t.Apart = time.Duration(end.off(r)) * time.Millisecond
	t.Beyond = time.Duration(beyond) * time.Millisecond
	t.Part = r.witness == Playback && beyond > slackMS
	return t
}

// sameness tells why two items may be one, see sameSong.
func (i *itemRow) sameness(other *itemRow) string {
	switch {
	case i.Kind == Unknown || !i.sameSong(other):
		return ""
	case i.uri != "" && i.uri == other.uri:
		return "uri"
	case i.ISRC != "" && i.ISRC == other.ISRC:
		return "isrc"
	case i.DurationMS != 0 && other.DurationMS != 0:
		return "names and length"
	}
	return "names"
}
