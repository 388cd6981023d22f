package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
)

// Spotify's played_at is the end of a play. It has been the start for some time before
// (spotify/web-api#613, #1083), and when it changes, it does for all plays of a page. How
// it is read is no part of a report: reports keep what Spotify said, and the stretches
// below say which of them have starts. So it can be taken back, and the plays are derived
// as if nothing had been.

// stretch is a run of reports of the list that have starts.
type stretch struct {
	After int64 `json:"after"` // the id of the last report before it
	Until int64 `json:"until"` // the id of its last report; 0: it goes on
}

type stretches []stretch

// has reports whether a report has a start; id 0 is one that is new.
func (s stretches) has(id int64) bool {
	for _, x := range s {
		if x.Until == 0 && id == 0 || id > x.After && (x.Until == 0 || id <= x.Until) {
			return true
		}
	}
	return false
}

// open reports whether the list has starts at present.
func (s stretches) open() bool { return len(s) > 0 && s[len(s)-1].Until == 0 }

// decodeStretches reads the column.
func decodeStretches(text string) (s stretches, err error) {
	if text == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return nil, fmt.Errorf("read how the list is read: %w", err)
	}
	return s, nil
}

// stretches reads those of an account.
func (t *transaction) stretches(account int64) (stretches, error) {
	var text string
	if err := t.get("SELECT listed_starts FROM account WHERE id = ?", []any{account}, []any{&text}); err != nil {
		return nil, fmt.Errorf("read how the list is read: %w", err)
	}
	return decodeStretches(text)
}

// ListsStarts reports whether Spotify's list has the starts of an account's plays at
// present, as SetListsStarts has said last.
func (j *Journal) ListsStarts(ctx context.Context, account string) (bool, error) {
	var text string
	err := j.db.QueryRowContext(ctx, "SELECT listed_starts FROM account WHERE alias = ?", account).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read how the list is read: %w", err)
	}
	s, err := decodeStretches(text)
	return s.open(), err
}

// MarkListed notes that played_at is read rightly in all reports that there are of an
// account, if it has any. Unless again is set it does so only if that was never noted.
func (j *Journal) MarkListed(ctx context.Context, account string, again bool) error {
	err := j.quietly(ctx, func(tx *transaction) error {
		_, err := tx.exec("UPDATE account SET listed_mark = (SELECT coalesce(max(id), 0) FROM report) WHERE alias = ? AND (? OR listed_mark = 0)", account, again)
		return err
	})
	if err != nil {
		return fmt.Errorf("note how the list is read: %w", explainSQLite(j.path, err))
	}
	return nil
}

// SetListsStarts says that the list has the starts of the account's plays, or their ends
// again, in all reports since MarkListed. Their plays are derived anew; the reports stay
// as they are. Saying what holds already does nothing.
func (j *Journal) SetListsStarts(ctx context.Context, account string, starts bool) error {
	err := j.write(ctx, func(tx *transaction) error {
		id, err := j.account(tx, account)
		if err != nil {
			return err
		}
		s, err := tx.stretches(id)
		if err != nil || s.open() == starts {
			return err
		}
		var mark int64
		if err := tx.get("SELECT listed_mark FROM account WHERE id = ?", []any{id}, []any{&mark}); err != nil {
			return err
		}
		if starts {
			s = append(s, stretch{After: mark})
		} else if open := &s[len(s)-1]; mark > open.After {
			open.Until = mark
		} else { // nothing has agreed with it since: it was a mistake
			s = s[:len(s)-1]
		}
		text, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if _, err := tx.exec("UPDATE account SET listed_starts = ? WHERE id = ?", string(text), id); err != nil {
			return err
		}
		r := recording{journal: j, tx: tx, account: id, alias: account, starts: s}
		if r.catalogue, err = j.catalogue(tx); err != nil {
			return err
		}
		touched, err := r.reports("id > ? AND +account = ? AND +witness = ?", mark, id, RecentlyPlayed)
		if err != nil {
			return err
		}
		return r.deriveAll(touched)
	})
	if err != nil {
		return fmt.Errorf("read the list otherwise: %w", explainSQLite(j.path, err))
	}
	return nil
}

// interpret reads the time of a listed play as a start if it is one. When it ended is
// known then as well as its length and the pauses are.
func (r *recording) interpret(row *reportRow) {
	if row.witness != RecentlyPlayed || !r.starts.has(row.id) {
		return
	}
	row.startedMS = row.saidMS
	row.endedMS = row.saidMS + max(row.item.DurationMS, shortestListedMS)
	row.endedErrorMS = row.endedMS - row.startedMS - shortestListedMS
}

// starting reports whether the list says when the play began, and not when it ended. By
// then it may have said both.
func (c *cluster) starting() bool {
	r := c.by(RecentlyPlayed)
	return r != nil && r.startedMS != 0 // ends come first: see groupsOf
}

// listedOtherwise reports whether a listed play that is known by its start and one that
// is known by its end are one: some time between them is what was heard, and pauses.
func (r *reportRow) listedOtherwise(other *reportRow) bool {
	if r.startedMS == 0 {
		r, other = other, r
	}
	return other.endedMS >= r.startedMS+shortestListedMS-finishMS && other.endedMS <= r.endedMS+slackMS
}

// reachOfStarts is how far behind a listed start the end of its play is looked for.
func reachOfStarts(s stretches) int64 {
	if len(s) == 0 {
		return 0
	}
	return dayMS
}
