package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
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
	where := "(?1 = '' OR account.alias = ?1) AND play.ended_ms >= ?2 AND play.ended_ms < ?3"
	to := int64(1) << 62
	if !f.To.IsZero() {
		to = f.To.UnixMilli()
	}
	from := -to
	if !f.From.IsZero() {
		from = f.From.UnixMilli()
	}
	if f.Limit > 0 {
		where = `play.id IN (SELECT play.id FROM play JOIN account ON account.id = play.account WHERE ` + where +
			` ORDER BY play.point_ns DESC LIMIT ` + fmt.Sprint(f.Limit) + `)`
	}
	return j.plays(ctx, where, f.Account, from, to)
}

// Sample returns about n plays of which at least the title is known, spread over
// all that an account has, oldest first.
func (j *Journal) Sample(ctx context.Context, account string, n int) ([]Play, error) {
	var sample []Play
	for play, err := range j.plays(ctx, "account.alias = ?1 AND item.kind <> ?2 AND play.id % max(1, (SELECT count(*) FROM play) / ?3) = 0", account, Unknown, n) {
		if err != nil {
			return nil, err
		}
		sample = append(sample, play)
	}
	return sample, nil
}

// Play returns a play by its id. ErrNoPlay if there is none.
func (j *Journal) Play(ctx context.Context, id int64) (Play, error) {
	for play, err := range j.plays(ctx, "play.id = ?", id) {
		return play, err
	}
	return Play{}, fmt.Errorf("play %d: %w", id, ErrNoPlay)
}

// ErrNoPlay is returned for a play that is not there.
var ErrNoPlay = errors.New("no such play")

// plays reads the plays that match, oldest first.
func (j *Journal) plays(ctx context.Context, where string, values ...any) iter.Seq2[Play, error] {
	return func(yield func(Play, error) bool) {
		query := "SELECT account.alias, " + playColumns + ", " + itemColumns +
			" FROM play JOIN item ON item.id = play.item JOIN account ON account.id = play.account WHERE " + where +
			" ORDER BY play.point_ns, play.account"
		rows, err := j.db.QueryContext(ctx, query, values...)
		if err != nil {
			yield(Play{}, fmt.Errorf("read plays: %w", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			alias, row, err := scanPlay(rows)
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

// scanPlay reads alias, playColumns and itemColumns.
func scanPlay(rows *sql.Rows, before ...any) (string, *playRow, error) {
	var (
		alias         string
		row           playRow
		account, item int64
		scan          itemScan
	)
	targets := append(append(before, &alias), append(row.targets(&account, &item), scan.targets()...)...)
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

// Playback returns what the tracker has stored as open, nil if nothing.
func (j *Journal) Playback(ctx context.Context, account string) ([]byte, error) {
	var open []byte
	err := j.db.QueryRowContext(ctx, "SELECT playback FROM account WHERE alias = ?", account).Scan(&open)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("read what is open: %w", err)
	}
	return open, nil
}

// Reports returns what the witnesses said that made a play what it is, the most
// trusted one first.
func (j *Journal) Reports(ctx context.Context, play int64) ([]Report, error) {
	var reports []Report
	err := j.read(ctx, func(tx *transaction) error {
		catalogue, err := newCatalogue(tx, j.now())
		if err != nil {
			return err
		}
		rows, err := tx.query("SELECT "+reportColumns+" FROM report WHERE play = ?", play)
		if err != nil {
			return fmt.Errorf("read reports: %w", err)
		}
		stored, err := scanReports(rows, catalogue.items)
		if err != nil {
			return err
		}
		if err := catalogue.loadItems(); err != nil {
			return err
		}
		for _, w := range trusted {
			for _, r := range stored {
				if r.witness == w {
					reports = append(reports, r.report())
				}
			}
		}
		return nil
	})
	return reports, err
}
