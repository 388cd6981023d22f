package journal

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A file that was saved again in another encoding has lost the letters that are not
// ASCII: U+FFFD stands where they were. Such a name is matched to the right one, so
// that a right export does not double plays and mends the names.

const lost = "\ufffd"

// damaged reports whether letters of the item's names are lost.
func (i *Item) damaged() bool {
	for _, list := range [][]Artist{i.Artists, i.AlbumArtists} {
		for _, a := range list {
			if strings.Contains(a.Name, lost) {
				return true
			}
		}
	}
	return strings.Contains(i.Name, lost) || strings.Contains(i.Album, lost)
}

// sharesDamaged reports whether an artist of both may be one, of whose name letters
// are lost in either.
func (i *Item) sharesDamaged(other *Item) bool {
	for _, mine := range [][]Artist{i.Artists, i.AlbumArtists} {
		for _, a := range mine {
			for _, theirs := range [][]Artist{other.Artists, other.AlbumArtists} {
				for _, b := range theirs {
					if sameName(a.Name, b.Name) {
						return true
					}
				}
			}
		}
	}
	return false
}

// damagedItems are the items of whose names letters are lost.
type damagedItems struct {
	known  map[string]bool     // by identity
	titles map[string][]string // by their bones
}

func (d *damagedItems) add(identity, name string) {
	d.known[identity] = true
	if strings.Contains(name, lost) && !slices.Contains(d.titles[bones(name)], name) {
		d.titles[bones(name)] = append(d.titles[bones(name)], name)
	}
}

// readDamaged reads the items of whose names letters are lost, which are few: there
// is an index of them.
func readDamaged(tx *transaction) (*damagedItems, error) {
	d := &damagedItems{known: map[string]bool{}, titles: map[string][]string{}}
	err := tx.each("SELECT CASE uri WHEN '' THEN char(kind) || ?1 || song_key ELSE uri END, name FROM item WHERE instr(name || album || artists || album_artists, char(65533)) > 0", []any{keySeparator}, func(rows *sql.Rows) error {
		var identity, name string
		err := rows.Scan(&identity, &name)
		d.add(identity, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read damaged titles: %w", err)
	}
	return d, nil
}

// undamaged are the titles, as written, of which the item's may be what damage has
// left, or the other way round.
func (c *catalogue) undamaged(row *itemRow) (titles []string, err error) {
	if !strings.Contains(row.Name, lost) {
		for _, title := range c.damaged.titles[bones(row.Name)] {
			if sameName(title, row.Name) {
				titles = append(titles, title)
			}
		}
		return titles, nil
	}
	// All have to be looked at. Nobody imports damaged files every day.
	of := bones(row.Name)
	err = c.tx.each("SELECT DISTINCT name FROM item", nil, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		if bones(name) == of && sameName(name, row.Name) {
			titles = append(titles, name)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read titles: %w", err)
	}
	return titles, nil
}

// mend gives reports that are held, with letters lost, the names that the same reports
// say now, which are learned already: ids are of the held ones, indexes of the new.
func (r *recording) mend(said []learned, ids []int64, indexes []int) error {
	var former []int64 // facts
	for n, id := range ids {
		var fact sql.NullInt64
		if err := r.tx.get("SELECT fact FROM report WHERE id = ?", []any{id}, []any{&fact}); err != nil {
			return fmt.Errorf("read reports: %w", err)
		}
		if fact.Int64 == said[n].fact {
			continue
		}
		former = append(former, fact.Int64)
		if r.outcomes[indexes[n]] == Known {
			r.outcomes[indexes[n]] = Upgraded
		}
		if _, err := r.tx.exec("UPDATE report SET fact = ? WHERE id = ?", said[n].fact, id); err != nil {
			return fmt.Errorf("store reports: %w", err)
		}
	}
	slices.Sort(former)
	return r.catalogue.forget(slices.Compact(former))
}

// bones is what is left of a name when all that is not an ASCII letter or digit is
// taken away: the same of a name and of what damage has left of it.
func bones(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case 'A' <= c && c <= 'Z':
			b.WriteByte(c + 'a' - 'A')
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			b.WriteByte(c)
		}
	}
	return b.String()
}

// sameName reports whether two names may be one, of which letters are lost in either:
// so many U+FFFD in a row stand for one up to as many characters that are not ASCII.
func sameName(a, b string) bool {
	if !strings.Contains(a, lost) {
		a, b = b, a
	}
	if !strings.Contains(a, lost) {
		return false
	}
	return matchLost([]rune(strings.ToLower(a)), []rune(strings.ToLower(b)))
}

func matchLost(a, b []rune) bool {
	for len(a) > 0 && a[0] != utf8.RuneError {
		if len(b) == 0 || a[0] != b[0] && b[0] != utf8.RuneError {
			return false
		}
		a, b = a[1:], b[1:]
	}
	if len(a) == 0 {
		return len(b) == 0
	}
	run := 0
	for run < len(a) && a[run] == utf8.RuneError {
		run++
	}
	for n := 1; n <= run && n <= len(b) && b[n-1] >= utf8.RuneSelf; n++ {
		if matchLost(a[run:], b[n:]) {
			return true
		}
	}
	return false
}
