package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Quota is what is known of the requests that a developer's client id may make.
// It is shared by all processes that use the journal.
type Quota struct {
	Used  int       // requests in the 24 h before now
	Until time.Time // nobody calls before; zero: free to call
	Why   string    // what Until comes from: rate_limited, quota, server
	// Budget is what a lock-out has taught about the real quota, per 24 h, as of
	// LearnedAt; 0: nothing has been learned.
	Budget    float64
	LearnedAt time.Time
	Shared    bool // locked out far below the budget: somebody else is calling

	givenMS int64 // when Until was learned; 0: not known
}

// Quota returns the state of a client id.
func (j *Journal) Quota(ctx context.Context, client string) (Quota, error) {
	var q Quota
	var last lastRequest
	err := j.read(ctx, func(tx *transaction) error {
		var err error
		q, last, err = j.quota(tx, client)
		return err
	})
	if err != nil || !q.ahead(last, j.now()) {
		return q, err
	}
	err = j.quietly(ctx, func(tx *transaction) error {
		q, _, err = j.settledQuota(tx, client)
		return err
	})
	return q, err
}

// ahead tells whether something is stored by a clock that was ahead of now.
func (q *Quota) ahead(last lastRequest, now int64) bool {
	return max(q.givenMS, unixMilli(q.LearnedAt), last.atMS) > now
}

// settledQuota is quota, once what a clock has stored that was ahead counts from now:
// requests as made now, and a Retry-After for as long as it was given for. The clock
// may have been years ahead, and Spotify waits for nobody's clock.
func (j *Journal) settledQuota(tx *transaction, client string) (Quota, lastRequest, error) {
	q, last, err := j.quota(tx, client)
	now := j.now()
	if err != nil || !q.ahead(last, now) {
		return q, last, err
	}
	for _, update := range []string{
		"UPDATE request SET at_ms = ?1 WHERE client = ?2 AND at_ms > ?1", // the numbers rise with time
		"UPDATE quota SET until_ms = ?1 + until_ms - given_ms, given_ms = ?1 WHERE client = ?2 AND given_ms > ?1",
		"UPDATE quota SET learned_ms = ?1 WHERE client = ?2 AND learned_ms > ?1",
	} {
		if _, err := tx.exec(update, now, client); err != nil {
			return q, last, fmt.Errorf("count from now: %w", explainSQLite(j.path, err))
		}
	}
	return j.quota(tx, client)
}

// lastRequest is a client's last request: when it was made and its number.
type lastRequest struct {
	atMS   int64
	number int
}

func (j *Journal) quota(tx *transaction, client string) (Quota, lastRequest, error) {
	var q Quota
	var last lastRequest
	var until, learned int64
	err := tx.get("SELECT until_ms, given_ms, reason, budget, learned_ms, shared FROM quota WHERE client = ?", []any{client}, []any{&until, &q.givenMS, &q.Why, &q.Budget, &learned, &q.Shared})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return q, last, fmt.Errorf("read quota: %w", err)
	}
	q.Until, q.LearnedAt = fromMilli(until), fromMilli(learned)
	// They are numbered, since to count a day's requests costs more than all the rest
	// of a poll.
	var first int
	err = tx.get(`SELECT coalesce(max(at_ms), 0), coalesce((SELECT number FROM request WHERE client = ?1 ORDER BY at_ms DESC, number DESC LIMIT 1), 0),
		coalesce((SELECT number FROM request WHERE client = ?1 AND at_ms > ?2 ORDER BY at_ms, number LIMIT 1), 0) FROM request WHERE client = ?1`,
		[]any{client, j.now() - 24*3_600_000}, []any{&last.atMS, &last.number, &first})
	if err != nil {
		return q, last, fmt.Errorf("count requests: %w", err)
	}
	if first > 0 {
		q.Used = last.number - first + 1
	}
	return q, last, nil
}

// Requests returns when requests were made in the 24 h before now, oldest first.
func (j *Journal) Requests(ctx context.Context, client string) ([]time.Time, error) {
	var times []time.Time
	err := j.read(ctx, func(tx *transaction) error {
		return tx.each("SELECT at_ms FROM request WHERE client = ? AND at_ms > ? ORDER BY at_ms", []any{client, j.now() - 24*3_600_000}, func(rows *sql.Rows) error {
			var at int64
			if err := rows.Scan(&at); err != nil {
				return err
			}
			times = append(times, fromMilli(at))
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read requests: %w", err)
	}
	return times, nil
}

// Request asks for one request to the Web API: allow decides, knowing the state
// at this moment, and what it allows is counted before it is made. All in one
// transaction, so that two processes never make one too many. The error of allow
// is returned as it is.
func (j *Journal) Request(ctx context.Context, client, endpoint string, allow func(Quota) error) error {
	var refused error
	err := j.quietly(ctx, func(tx *transaction) error {
		q, last, err := j.settledQuota(tx, client)
		if err != nil {
			return err
		}
		if refused = allow(q); refused != nil {
			return nil // and what was settled stays so
		}
		now := j.now()
		if _, err := tx.exec("DELETE FROM request WHERE client = ? AND at_ms < ?", client, now-25*3_600_000); err != nil {
			return fmt.Errorf("count request: %w", explainSQLite(j.path, err))
		}
		if _, err := tx.exec("INSERT INTO request (client, at_ms, number, endpoint) VALUES (?, ?, ?, ?)", client, now, last.number+1, endpoint); err != nil {
			return fmt.Errorf("count request: %w", explainSQLite(j.path, err))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return refused
}

// RepeatRequests counts for the time since a moment what was requested in as much
// time before it, a day at most. That is the best guess of a journal that comes
// from a backup of that moment: the requests since then are not in it, and Spotify
// has not forgotten them.
func (j *Journal) RepeatRequests(ctx context.Context, since time.Time) error {
	later := j.now() - unixMilli(since)
	if later <= 0 {
		return nil
	}
	return j.quietly(ctx, func(tx *transaction) error {
		_, err := tx.exec(`INSERT INTO request (client, at_ms, number, endpoint)
			SELECT client, at_ms + ?1, (SELECT max(number) FROM request AS last WHERE last.client = request.client)
				+ row_number() OVER (PARTITION BY client ORDER BY at_ms, number), endpoint
			FROM request WHERE at_ms > ?2 AND at_ms <= ?3`,
			later, unixMilli(since)-min(later, 24*3_600_000), unixMilli(since))
		if err != nil {
			return fmt.Errorf("count requests: %w", explainSQLite(j.path, err))
		}
		return nil
	})
}

// SetQuota changes what is known of a client id, in one transaction; Used is not
// stored.
func (j *Journal) SetQuota(ctx context.Context, client string, change func(*Quota)) error {
	return j.quietly(ctx, func(tx *transaction) error {
		q, _, err := j.settledQuota(tx, client)
		if err != nil {
			return err
		}
		until := q.Until
		if change(&q); !q.Until.Equal(until) {
			q.givenMS = j.now()
		}
		_, err = tx.exec("INSERT OR REPLACE INTO quota (client, until_ms, given_ms, reason, budget, learned_ms, shared) VALUES (?, ?, ?, ?, ?, ?, ?)",
			client, unixMilli(q.Until), q.givenMS, q.Why, q.Budget, unixMilli(q.LearnedAt), q.Shared)
		if err != nil {
			return fmt.Errorf("store quota: %w", explainSQLite(j.path, err))
		}
		return nil
	})
}
