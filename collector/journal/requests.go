package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	dayMS = 24 * 3_600_000
	// keptRequests is how many requests are remembered however long ago they seem to
	// be, since the clock may be ahead just now: those of weeks, by the default budget.
	keptRequests = 20_000
)

// Quota is what is known of the requests that a developer's client id may make.
// It is shared by all processes that use the journal.
type Quota struct {
	Now   time.Time // by the journal's clock, which the other times are of
	Used  int       // requests in the 24 h before now
	Last  int       // the number of the last request: they are counted from 1
	Until time.Time // nobody calls before; zero: free to call
	// Deadline counts the changes of Until: it tells whether it is the one that was
	// known before, whatever has been done to the clock.
	Deadline int
	Given    time.Time // when it was learned, or seen to be by a clock that was ahead
	Why      string    // what Until comes from: rate_limited, quota, server
	// Budget is what a lock-out has taught about the real quota, per 24 h, as of
	// LearnedAt; 0: nothing has been learned.
	Budget    float64
	LearnedAt time.Time
	Shared    bool // locked out far below the budget: somebody else is calling
}

// PeekQuota returns the state of a client id and never writes. While ahead is true, a
// clock that was ahead has stored some of it, and nobody has put that right yet.
func (j *Journal) PeekQuota(ctx context.Context, client string) (q Quota, ahead bool, err error) {
	var last lastRequest
	err = j.read(ctx, func(tx *transaction) error {
		var err error
		q, last, err = j.quota(tx, client)
		return err
	})
	return q, q.ahead(last, j.now()), err
}

// Quota returns the state of a client id, once what a clock has stored that was ahead
// is put right.
func (j *Journal) Quota(ctx context.Context, client string) (Quota, error) {
	q, ahead, err := j.PeekQuota(ctx, client)
	if err != nil || !ahead {
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
	return max(unixMilli(q.Given), unixMilli(q.LearnedAt), last.atMS) > now
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
	// Requests older than a day were so by that clock as well. The numbers rise with
	// time.
	if ahead := last.atMS - now; ahead > 0 {
		_, err := tx.exec("UPDATE request SET at_ms = CASE WHEN at_ms > ?1 + ?3 - ?4 THEN ?1 ELSE at_ms - ?3 END WHERE client = ?2 AND at_ms > ?1", now, client, ahead, dayMS)
		if err != nil {
			return q, last, fmt.Errorf("count from now: %w", explainSQLite(j.path, err))
		}
	}
	for _, update := range []string{
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
	now := j.now()
	q := Quota{Now: fromMilli(now)}
	var last lastRequest
	var until, given, learned int64
	err := tx.get("SELECT until_ms, given_ms, deadline, reason, budget, learned_ms, shared FROM quota WHERE client = ?", []any{client}, []any{&until, &given, &q.Deadline, &q.Why, &q.Budget, &learned, &q.Shared})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return q, last, fmt.Errorf("read quota: %w", err)
	}
	q.Until, q.Given, q.LearnedAt = fromMilli(until), fromMilli(given), fromMilli(learned)
	// They are numbered, since to count a day's requests costs more than all the rest
	// of a poll.
	var first int
	err = tx.get(`SELECT coalesce(max(at_ms), 0), coalesce((SELECT number FROM request WHERE client = ?1 ORDER BY at_ms DESC, number DESC LIMIT 1), 0),
		coalesce((SELECT number FROM request WHERE client = ?1 AND at_ms > ?2 ORDER BY at_ms, number LIMIT 1), 0) FROM request WHERE client = ?1`,
		[]any{client, now - dayMS}, []any{&last.atMS, &last.number, &first})
	if err != nil {
		return q, last, fmt.Errorf("count requests: %w", err)
	}
	if q.Last = last.number; first > 0 {
		q.Used = last.number - first + 1
	}
	return q, last, nil
}

// Requests returns when requests were made in the 24 h before now, oldest first.
func (j *Journal) Requests(ctx context.Context, client string) ([]time.Time, error) {
	var times []time.Time
	err := j.read(ctx, func(tx *transaction) error {
		return tx.each("SELECT at_ms FROM request WHERE client = ? AND at_ms > ? ORDER BY at_ms", []any{client, j.now() - dayMS}, func(rows *sql.Rows) error {
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
		// A few at a time: to look at all of them for each request would cost too much.
		_, err = tx.exec(`DELETE FROM request WHERE number <= ?3 AND id IN (
			SELECT id FROM request WHERE client = ?1 AND at_ms < ?2 ORDER BY at_ms, number LIMIT 2)`, client, now-dayMS, last.number-keptRequests)
		if err != nil {
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
			later, unixMilli(since)-min(later, dayMS), unixMilli(since))
		if err != nil {
			return fmt.Errorf("count requests: %w", explainSQLite(j.path, err))
		}
		return nil
	})
}

// SetQuota changes what is known of a client id, in one transaction; Now, Used,
// Last, Given and Deadline are not for it to change.
func (j *Journal) SetQuota(ctx context.Context, client string, change func(*Quota)) error {
	return j.quietly(ctx, func(tx *transaction) error {
		q, _, err := j.settledQuota(tx, client)
		if err != nil {
			return err
		}
		until := q.Until
		if change(&q); !q.Until.Equal(until) {
			q.Given = q.Now
			q.Deadline++
		}
		_, err = tx.exec("INSERT OR REPLACE INTO quota (client, until_ms, given_ms, deadline, reason, budget, learned_ms, shared) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			client, unixMilli(q.Until), unixMilli(q.Given), q.Deadline, q.Why, q.Budget, unixMilli(q.LearnedAt), q.Shared)
		if err != nil {
			return fmt.Errorf("store quota: %w", explainSQLite(j.path, err))
		}
		return nil
	})
}
