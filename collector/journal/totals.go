package journal

import (
	"database/sql"
	"fmt"
	"time"
)

// totalQueries sum up the plays of one key, item by item. Private plays and items of
// which nothing is known are not counted.
var totalQueries = map[EntryKind]string{
	EntryArtistTotal: totalQuery("artist_key"),
	EntryAlbumTotal:  totalQuery("album_key"),
	EntryTrackTotal:  totalQuery("song_key"),
}

func totalQuery(key string) string {
	return `SELECT item.id, item.kind, item.image_url, count(*) FILTER (WHERE ms_played >= ?1), sum(ms_played), min(ended_ms), max(ended_ms)
		FROM item CROSS JOIN play ON play.item = item.id
		WHERE item.` + key + ` = ?2 AND play.account = (SELECT id FROM account WHERE alias = ?3) AND item.kind <> 0 AND (coalesce(incognito, 0) = 0 OR ?4)
		GROUP BY item.id ORDER BY item.id`
}

// total sums up what the entry's key has. Names and id are those of the item that was played
// last, but a song's id is that of its item played most; the picture is that of the last one
// that has any, since of most items of an export no picture is known. Songs are
// music: the total of a title that only an episode or a chapter has is of no plays, and has
// no first one.
func (j *Journal) total(tx *transaction, e *Entry) error {
	t := e.Total
	var newest, most, mostPlays, mostMS int64
	var spoken int64
	var spokenLast, pictured time.Time
	var picture string
	err := tx.each(totalQueries[e.Kind], []any{j.options.CountedMS, t.Key, e.Account, j.options.RecordPrivate}, func(rows *sql.Rows) error {
		var item, plays, msPlayed, firstMS, lastMS int64
		var kind Kind
		var image string
		if err := rows.Scan(&item, &kind, &image, &plays, &msPlayed, &firstMS, &lastMS); err != nil {
			return err
		}
		if e.Kind == EntryTrackTotal && kind != Track && kind != Local {
			if last := fromMilli(lastMS); !last.Before(spokenLast) {
				spoken, spokenLast = item, last
			}
			return nil
		}
		t.Plays += plays
		t.MSPlayed += msPlayed
		if most == 0 || plays > mostPlays || plays == mostPlays && msPlayed > mostMS {
			most, mostPlays, mostMS = item, plays, msPlayed
		}
		if first := fromMilli(firstMS); newest == 0 || first.Before(t.First) {
			t.First = first
		}
		if last := fromMilli(lastMS); newest == 0 || !last.Before(t.Last) {
			t.Last, newest = last, item
		}
		if last := fromMilli(lastMS); image != "" && !last.Before(pictured) {
			picture, pictured = image, last
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sum up %q: %w", t.Key, err)
	}
	if newest == 0 && spoken != 0 {
		t.Last, newest, most = spokenLast, spoken, spoken
	}
	if newest == 0 {
		return nil
	}
	item, err := itemOf(tx, newest)
	if err != nil {
		return err
	}
	t.describe(e.Kind, item)
	if picture != "" {
		t.ImageURL = picture
	}
	if e.Kind == EntryTrackTotal && most != newest {
		if item, err = itemOf(tx, most); err != nil {
			return err
		}
		t.ID = item.ID()
	}
	return nil
}

func itemOf(tx *transaction, id int64) (*itemRow, error) {
	var scan itemScan
	if err := tx.get("SELECT "+itemColumns+" FROM item WHERE id = ?", []any{id}, scan.targets()); err != nil {
		return nil, fmt.Errorf("read item %d: %w", id, err)
	}
	return scan.item()
}

// describe takes names, id and picture from an item that counts in the total.
func (t *Total) describe(kind EntryKind, item *itemRow) {
	t.ImageURL = item.ImageURL
	switch kind {
	case EntryArtistTotal, EntryArtistYear:
		t.Name = item.Artist()
		if len(item.Artists) > 0 {
			t.ID = item.Artists[0].ID
		}
	case EntryAlbumTotal:
		t.Name, t.ID, t.Artist = item.Album, item.AlbumID, item.Artist()
		if len(item.AlbumArtists) > 0 {
			t.Artist = item.AlbumArtists[0].Name
		}
	case EntryTrackTotal:
		t.Name, t.ID, t.Artist = item.Name, item.ID(), item.Artist()
	}
}

// artistYear ranks a year's artists by the time listened to them.
func (j *Journal) artistYear(tx *transaction, e *Entry) error {
	zone := time.UTC
	if j.options.Zone != nil {
		zone = j.options.Zone(e.Account)
	}
	from := time.Date(e.Year, 1, 1, 0, 0, 0, 0, zone).UnixMilli()
	until := time.Date(e.Year+1, 1, 1, 0, 0, 0, 0, zone).UnixMilli()
	rows, err := tx.query(`SELECT artist_key, count(*) FILTER (WHERE ms_played >= ?1), sum(ms_played), max(point_ns), item.id
		FROM play JOIN item ON item.id = play.item
		WHERE play.account = (SELECT id FROM account WHERE alias = ?2) AND point_ns >= ?3 AND point_ns < ?4
			AND artist_key <> '' AND item.kind <> 0 AND (coalesce(incognito, 0) = 0 OR ?5)
		GROUP BY artist_key ORDER BY 3 DESC, 2 DESC, 1 LIMIT ?6`,
		j.options.CountedMS, e.Account, from*1_000_000, until*1_000_000, j.options.RecordPrivate, rankedArtists)
	if err != nil {
		return fmt.Errorf("rank %d: %w", e.Year, err)
	}
	var items []int64
	for rows.Next() {
		var t Total
		var last, item int64 // item is the one played last: SQLite takes it from the row of the maximum
		if err := rows.Scan(&t.Key, &t.Plays, &t.MSPlayed, &last, &item); err != nil {
			rows.Close()
			return fmt.Errorf("rank %d: %w", e.Year, err)
		}
		t.Last = fromMilli(last / 1_000_000)
		e.Ranked = append(e.Ranked, t)
		items = append(items, item)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("rank %d: %w", e.Year, err)
	}
	ranked := map[string]bool{}
	for i := range e.Ranked {
		item, err := itemOf(tx, items[i])
		if err != nil {
			return err
		}
		e.Ranked[i].describe(e.Kind, item)
		ranked[e.Ranked[i].Key] = true
	}
	left, err := tx.query("SELECT key FROM ranked WHERE account = (SELECT id FROM account WHERE alias = ?) AND year = ?", e.Account, e.Year)
	if err != nil {
		return fmt.Errorf("rank %d: %w", e.Year, err)
	}
	defer left.Close()
	for left.Next() {
		var key string
		if err := left.Scan(&key); err != nil {
			return fmt.Errorf("rank %d: %w", e.Year, err)
		}
		if !ranked[key] {
			e.Left = append(e.Left, key)
		}
	}
	if err := left.Err(); err != nil {
		return fmt.Errorf("rank %d: %w", e.Year, err)
	}
	return markRanked(tx, e)
}

// markRanked notes which artists' points may be in InfluxDB from now on.
func markRanked(tx *transaction, e *Entry) error {
	for _, t := range e.Ranked {
		_, err := tx.exec("INSERT OR IGNORE INTO ranked (account, year, key) SELECT id, ?, ? FROM account WHERE alias = ?", e.Year, t.Key, e.Account)
		if err != nil {
			return fmt.Errorf("rank %d: %w", e.Year, err)
		}
	}
	return nil
}

// forgetRanked forgets the artists whose points have been deleted.
func forgetRanked(tx *transaction, account int64, e *Entry) error {
	for _, key := range e.Left {
		if _, err := tx.exec("DELETE FROM ranked WHERE account = ? AND year = ? AND key = ?", account, e.Year, key); err != nil {
			return fmt.Errorf("rank %d: %w", e.Year, err)
		}
	}
	return nil
}
