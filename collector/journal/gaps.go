package journal

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// aheadMS is how far ahead of our clock an end may be. Plays that ended later were
// dated by a device whose clock is wrong: they tell nothing of how far the history
// reaches.
const aheadMS = 5 * 60_000

// turnPage remembers a page of recently-played and tells whether it leaves a gap:
// it is full, there was a page before, and it shares no play with what was held
// of that witness. It runs before the page's reports are stored.
func (r *recording) turnPage(page *Page, reports []Report) (*Gap, error) {
	var lastMS int64
	err := r.tx.get("SELECT page_ms FROM account WHERE id = ?", []any{r.account}, []any{&lastMS})
	if err != nil {
		return nil, fmt.Errorf("read last page: %w", err)
	}
	var gap *Gap
	if lastMS != 0 && page.Full && len(reports) > 0 {
		held, err := r.held(reports)
		if err != nil {
			return nil, err
		}
		ends := make([]int64, len(reports))
		for i := range reports {
			ends[i] = unixMilli(reports[i].EndedAt)
		}
		oldestMS, latestMS := slices.Min(ends), unixMilli(page.FetchedAt)+aheadMS
		if oldestMS > latestMS { // all of them: it is our clock that is wrong
			latestMS = slices.Max(ends)
		}
		overlap := false
		for i := range reports {
			// What is in the future stays on the page until then, whatever comes meanwhile.
			_, known := held[reports[i].identity()]
			overlap = overlap || known && ends[i] <= latestMS
		}
		if !overlap {
			from, err := r.newestListed(latestMS)
			if err != nil {
				return nil, err
			}
			if from == 0 { // the pages so far were empty
				from = lastMS
			}
			if oldestMS > from {
				if gap, err = r.openGap(from, oldestMS); err != nil {
					return nil, err
				}
			}
		}
	}
	list, err := json.Marshal(playsOf(reports))
	if err != nil {
		return nil, fmt.Errorf("store page: %w", err)
	}
	_, err = r.tx.exec("UPDATE account SET page_ms = ?, page_plays = ? WHERE id = ?", unixMilli(page.FetchedAt), string(list), r.account)
	if err != nil {
		return nil, fmt.Errorf("store page: %w", err)
	}
	return gap, nil
}

// newestListed is the end of the newest play that any page has listed and that had
// ended by then, 0 if there is none.
func (r *recording) newestListed(byMS int64) (int64, error) {
	var ended int64
	err := r.tx.get("SELECT ended_ms FROM report WHERE account = ? AND witness = ? AND ended_ms <= ? ORDER BY ended_ms DESC LIMIT 1",
		[]any{r.account, RecentlyPlayed, byMS}, []any{&ended})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read last page: %w", err)
	}
	return ended, nil
}

// pagePlay is a play as Spotify's page has it.
type pagePlay struct {
	EndedMS int64  `json:"ended_ms"`
	URI     string `json:"uri"`
}

// playsOf returns the plays that the rows of a page are. Spotify lists a play twice now
// and then; as in merge, rows of one uri that end within repeatMS are one play.
func playsOf(reports []Report) []pagePlay {
	plays := make([]pagePlay, len(reports))
	for i := range reports {
		plays[i] = pagePlay{EndedMS: unixMilli(reports[i].EndedAt), URI: reports[i].Item.URI}
	}
	slices.SortFunc(plays, func(a, b pagePlay) int {
		return cmp.Or(cmp.Compare(a.URI, b.URI), cmp.Compare(a.EndedMS, b.EndedMS))
	})
	first := pagePlay{}
	return slices.DeleteFunc(plays, func(p pagePlay) bool {
		if p.URI == first.URI && p.EndedMS-first.EndedMS < repeatMS {
			return true
		}
		first = p
		return false
	})
}

func (r *recording) openGap(fromMS, toMS int64) (*Gap, error) {
	now := r.journal.now()
	gap := &Gap{Account: r.alias, From: fromMilli(fromMS), To: fromMilli(toMS), FoundAt: fromMilli(now)}
	err := r.tx.get("INSERT INTO gap (account, from_ms, to_ms, found_ms) VALUES (?, ?, ?, ?) RETURNING id", []any{r.account, fromMS, toMS, now}, []any{&gap.ID})
	if err != nil {
		return nil, fmt.Errorf("store gap: %w", err)
	}
	return gap, queueGap(r.tx, r.account, gap.ID, now)
}

func queueGap(tx *transaction, account, gap, nowMS int64) error {
	_, err := tx.exec("INSERT OR REPLACE INTO outbox (kind, account, ref, created_ms) VALUES (?, ?, ?, ?)", EntryGap, account, gap, nowMS)
	if err != nil {
		return fmt.Errorf("queue gap: %w", err)
	}
	return nil
}

// Gaps returns the gaps of an account, or of all if it is "", oldest first.
func (j *Journal) Gaps(ctx context.Context, account string) ([]Gap, error) {
	rows, err := j.db.QueryContext(ctx, `SELECT gap.id, alias, from_ms, to_ms, found_ms, closed_ms, closed_by
		FROM gap JOIN account ON account.id = gap.account WHERE ?1 = '' OR alias = ?1 ORDER BY from_ms, gap.id`, account)
	if err != nil {
		return nil, fmt.Errorf("read gaps: %w", err)
	}
	defer rows.Close()
	var gaps []Gap
	for rows.Next() {
		var g Gap
		var from, to, found, closed int64
		if err := rows.Scan(&g.ID, &g.Account, &from, &to, &found, &closed, &g.ClosedBy); err != nil {
			return nil, fmt.Errorf("read gaps: %w", err)
		}
		g.From, g.To, g.FoundAt, g.ClosedAt = fromMilli(from), fromMilli(to), fromMilli(found), fromMilli(closed)
		gaps = append(gaps, g)
	}
	return gaps, rows.Err()
}

// ErrNoGap is returned for a gap that is not there or closed already.
var ErrNoGap = errors.New("no open gap of that id")

// AcceptGap closes a gap that no import will ever cover.
func (j *Journal) AcceptGap(ctx context.Context, id int64) error {
	return j.write(ctx, func(tx *transaction) error {
		return closeGap(tx, id, j.now(), "accepted")
	})
}

func closeGap(tx *transaction, id, nowMS int64, by string) error {
	var account int64
	err := tx.get("UPDATE gap SET closed_ms = ?, closed_by = ? WHERE id = ? AND closed_ms = 0 RETURNING account", []any{nowMS, by, id}, []any{&account})
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("gap %d: %w", id, ErrNoGap)
	}
	if err != nil {
		return fmt.Errorf("close gap %d: %w", id, err)
	}
	return queueGap(tx, account, id, nowMS)
}

// LastPage is what is remembered of an account's last page of recently-played.
type LastPage struct {
	FetchedAt time.Time // zero: there was none
	Listed    int       // plays on it
	Held      []Play    // those of them that the journal has a play of
}

// LastPage looks up, in the journal as it is now, the plays that Spotify's last
// page listed.
func (j *Journal) LastPage(ctx context.Context, account string) (LastPage, error) {
	var page LastPage
	var fetched int64
	var list, listed string
	err := j.db.QueryRowContext(ctx, "SELECT page_ms, page_plays, listed_starts FROM account WHERE alias = ?", account).Scan(&fetched, &list, &listed)
	if errors.Is(err, sql.ErrNoRows) {
		return page, nil
	}
	if err != nil {
		return page, fmt.Errorf("read last page: %w", err)
	}
	page.FetchedAt = fromMilli(fetched)
	var plays []pagePlay
	if list != "" {
		if err := json.Unmarshal([]byte(list), &plays); err != nil {
			return page, fmt.Errorf("read last page: %w", err)
		}
	}
	starts, err := decodeStretches(listed)
	if err != nil {
		return page, err
	}
	page.Listed = len(plays)
	if len(plays) == 0 {
		return page, nil
	}
	missing := map[string][]int64{} // ends by uri
	from, until := plays[0].EndedMS, plays[0].EndedMS
	for _, listed := range plays {
		missing[listed.URI] = append(missing[listed.URI], listed.EndedMS)
		from, until = min(from, listed.EndedMS), max(until, listed.EndedMS)
	}
	held := j.plays(ctx, account, "play.point_ns BETWEEN ?1 AND ?2", (from-repeatMS)*1_000_000, (until+repeatMS+reachOfStarts(starts))*1_000_000)
	for play, err := range held {
		if err != nil {
			return page, err
		}
		ends := missing[play.Item.URI]
		at := slices.IndexFunc(ends, func(said int64) bool {
			if starts.open() {
				return abs(said-unixMilli(play.StartedAt)) < repeatMS
			}
			return abs(said-play.EndedAt.UnixMilli()) < repeatMS
		})
		if at >= 0 {
			missing[play.Item.URI] = slices.Delete(ends, at, at+1)
			page.Held = append(page.Held, play)
		}
	}
	return page, nil
}
