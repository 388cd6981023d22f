package journal

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// Span is a stretch of time, both ends in ns since 1970 and part of it.
type Span struct {
	From, Until int64
	Points      int // that were asked for in it
}

// Spans returns the fewest stretches that have the points at all the times in
// them, which are no plays any more, and no point of a play: what may be deleted
// at once.
func (j *Journal) Spans(ctx context.Context, account string, times []int64) ([]Span, error) {
	if len(times) == 0 {
		return nil, nil
	}
	times = slices.Sorted(slices.Values(times))
	var spans []Span
	next := 0
	// upTo makes spans of the times before a play.
	upTo := func(play int64) {
		from := next
		for next < len(times) && times[next] < play {
			next++
		}
		if from < next {
			spans = append(spans, Span{times[from], times[next-1], next - from})
		}
		// A play has come to where one was: its point is written again afterwards.
		for next < len(times) && times[next] == play {
			spans = append(spans, Span{play, play, 1})
			next++
		}
	}
	err := j.read(ctx, func(tx *transaction) error {
		return tx.each(`SELECT point_ns FROM play WHERE account = (SELECT id FROM account WHERE alias = ?) AND point_ns BETWEEN ? AND ? ORDER BY point_ns`,
			[]any{account, times[0], times[len(times)-1]}, func(rows *sql.Rows) error {
				var play int64
				err := rows.Scan(&play)
				upTo(play)
				return err
			})
	})
	if err != nil {
		return nil, fmt.Errorf("read plays: %w", err)
	}
	upTo(times[len(times)-1] + 1)
	return spans, nil
}

// totalColumns are the keys of items by which totals are made.
var totalColumns = map[EntryKind]string{EntryArtistTotal: "artist_key", EntryAlbumTotal: "album_key", EntryTrackTotal: "song_key"}

// SentTotals counts, by kind, the account's totals that InfluxDB has taken and that do
// not wait to be sent again.
func (j *Journal) SentTotals(ctx context.Context, account string) (map[EntryKind]int64, error) {
	sent := map[EntryKind]int64{}
	err := j.read(ctx, func(tx *transaction) error {
		for kind, key := range totalColumns {
			var n int64
			err := tx.get(`SELECT count(DISTINCT `+key+`) FROM account CROSS JOIN item WHERE alias = ?1 AND `+key+` <> '' AND item.kind <> 0
				AND EXISTS (SELECT 1 FROM play WHERE play.item = item.id AND play.account = account.id AND (coalesce(incognito, 0) = 0 OR ?2)
					AND sent_ns <> 0 AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.kind = ?3 AND outbox.account = account.id AND ref = play.id))
				AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.kind = ?4 AND outbox.account = account.id AND ref = 0 AND outbox.key = item.`+key+`)`,
				[]any{account, j.options.RecordPrivate, EntryPlay, kind}, []any{&n})
			if err != nil {
				return err
			}
			sent[kind] = n
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count sent totals: %w", explainSQLite(j.path, err))
	}
	return sent, nil
}

// QueueTotals queues all totals of a kind that an account has.
func (j *Journal) QueueTotals(ctx context.Context, account string, kind EntryKind) error {
	err := j.quietly(ctx, func(tx *transaction) error {
		_, err := tx.exec(`INSERT OR REPLACE INTO outbox (kind, account, key, created_ms)
			SELECT DISTINCT ?1, play.account, item.`+totalColumns[kind]+`, ?2 FROM play JOIN item ON item.id = play.item
			WHERE play.account = (SELECT id FROM account WHERE alias = ?3) AND item.`+totalColumns[kind]+` <> '' AND item.kind <> 0 AND (coalesce(incognito, 0) = 0 OR ?4)`,
			kind, j.now(), account, j.options.RecordPrivate)
		return err
	})
	if err != nil {
		return fmt.Errorf("queue totals: %w", explainSQLite(j.path, err))
	}
	return nil
}
