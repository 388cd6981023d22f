package journal

import (
	"database/sql"
	"fmt"
	"time"
)

// totalsPerQuery is how many totals are summed up by one query: of many more SQLite
// would hold the plays in memory while it groups them.
const totalsPerQuery = 500

// total sums up what the keys of entries, which are of one kind and one account, have: one
// query of many, since an import asks for tens of thousands. Private plays and items of
// which nothing is known are not counted. Names and id are those of the item that was played
// last, but a song's id is that of its item played most; the picture is that of the last one
// that has any, since of most items of an export no picture is known. Songs are
// music: the total of a title that only an episode or a chapter has is of no plays, and has
// no first one.
func (j *Journal) total(tx *transaction, entries []*Entry) error {
	kind := entries[0].Kind
	sums := make(map[string]*sum, len(entries))
	keys := make([]string, len(entries))
	for i, e := range entries {
		keys[i] = e.Total.Key
		sums[keys[i]] = &sum{total: e.Total, music: kind == EntryTrackTotal}
	}
	column := "item." + totalColumns[kind]
	err := tx.each(`SELECT `+column+`, item.id, item.kind, item.image_url, count(*) FILTER (WHERE ms_played >= ?1), sum(ms_played), min(ended_ms), max(ended_ms)
		FROM json_each(?2) AS wanted CROSS JOIN item ON `+column+` = wanted.value CROSS JOIN play ON play.item = item.id
		WHERE play.account = (SELECT id FROM account WHERE alias = ?3) AND item.kind <> 0 AND (coalesce(incognito, 0) = 0 OR ?4)
		GROUP BY item.id ORDER BY item.id`,
		[]any{j.options.CountedMS, list(keys), entries[0].Account, j.options.RecordPrivate}, func(rows *sql.Rows) error {
			var key string
			var i itemSum
			if err := rows.Scan(&key, &i.item, &i.kind, &i.image, &i.plays, &i.msPlayed, &i.firstMS, &i.lastMS); err != nil {
				return err
			}
			sums[key].add(&i)
			return nil
		})
	if err != nil {
		return fmt.Errorf("sum up: %w", err)
	}
	var ids []int64
	for _, s := range sums {
		ids = append(ids, s.newest, s.most)
	}
	items, err := itemsOf(tx, ids)
	if err != nil {
		return err
	}
	for _, s := range sums {
		s.describe(kind, items)
	}
	return nil
}

// itemSum is what was played of one item.
type itemSum struct {
	item, plays, msPlayed, firstMS, lastMS int64
	kind                                   Kind
	image                                  string
}

// sum becomes a total, item by item in the order of their ids.
type sum struct {
	total        *Total
	music        bool  // only music counts
	newest, most int64 // items: played last, and most

	mostPlays, mostMS    int64
	spoken               bool // all so far does not count
	picture              string
	pictured, spokenLast int64 // ms
}

func (s *sum) add(i *itemSum) {
	t, first, last := s.total, fromMilli(i.firstMS), fromMilli(i.lastMS)
	if s.music && i.kind != Track && i.kind != Local {
		if s.newest == 0 || s.spoken && i.lastMS >= s.spokenLast {
			s.spoken, s.spokenLast = true, i.lastMS
			s.newest, s.most, t.Last = i.item, i.item, last
		}
		return
	}
	if s.spoken {
		s.spoken, s.newest, s.most, t.Last = false, 0, 0, time.Time{}
	}
	t.Plays += i.plays
	t.MSPlayed += i.msPlayed
	if s.most == 0 || i.plays > s.mostPlays || i.plays == s.mostPlays && i.msPlayed > s.mostMS {
		s.most, s.mostPlays, s.mostMS = i.item, i.plays, i.msPlayed
	}
	if s.newest == 0 || first.Before(t.First) {
		t.First = first
	}
	if s.newest == 0 || !last.Before(t.Last) {
		t.Last, s.newest = last, i.item
	}
	if i.image != "" && i.lastMS >= s.pictured {
		s.picture, s.pictured = i.image, i.lastMS
	}
}

// describe takes names, id and picture from the items.
func (s *sum) describe(kind EntryKind, items map[int64]*itemRow) {
	if s.newest == 0 {
		return
	}
	s.total.describe(kind, items[s.newest])
	if s.picture != "" {
		s.total.ImageURL = s.picture
	}
	if kind == EntryTrackTotal {
		s.total.ID = items[s.most].ID()
	}
}

// itemsOf reads items by their ids.
func itemsOf(tx *transaction, ids []int64) (map[int64]*itemRow, error) {
	items := make(map[int64]*itemRow, len(ids))
	err := tx.each("SELECT "+itemColumns+" FROM item WHERE id "+inList, []any{list(ids)}, func(rows *sql.Rows) error {
		var scan itemScan
		if err := rows.Scan(scan.targets()...); err != nil {
			return err
		}
		row, err := scan.item()
		if err == nil {
			items[row.id] = row
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read items: %w", err)
	}
	return items, nil
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
	known, err := itemsOf(tx, items)
	if err != nil {
		return err
	}
	ranked := map[string]bool{}
	for i := range e.Ranked {
		e.Ranked[i].describe(e.Kind, known[items[i]])
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
	keys := make([]string, len(e.Ranked))
	for i, t := range e.Ranked {
		keys[i] = t.Key
	}
	_, err := tx.exec("INSERT OR IGNORE INTO ranked (account, year, key) SELECT account.id, ?, value FROM account CROSS JOIN json_each(?) WHERE alias = ?", e.Year, list(keys), e.Account)
	if err != nil {
		return fmt.Errorf("rank %d: %w", e.Year, err)
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
