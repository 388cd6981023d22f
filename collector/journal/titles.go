package journal

import (
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Reports are compared within titles. One song may have several: a uri is called
// otherwise by another witness or some years later ("Song", "Song - Remastered 2011"),
// and so are two uris of one recording. Titles that one item has had, and those of
// items with one ISRC, are one class, which is called after its first title in the
// order of the alphabet; item.title_key is the class. Most titles are a class of
// their own, the others are in the table alias. A title of which letters are lost
// (damaged.go) is in the class of the right one.

// titles are what the item was ever called, folded.
func (i *itemRow) titles() []string {
	if i.title == "" {
		return i.otherTitles
	}
	return append([]string{i.title}, i.otherTitles...)
}

// sharesTitle tells whether two items were ever called the same.
func (i *itemRow) sharesTitle(other *itemRow) bool {
	if i.title != "" && i.title == other.title {
		return true
	}
	return len(i.otherTitles)+len(other.otherTitles) > 0 &&
		slices.ContainsFunc(i.titles(), func(title string) bool { return slices.Contains(other.titles(), title) })
}

// class is the class of a title.
func (k *knownItems) class(title string) string {
	if class, ok := k.aliases[title]; ok {
		return class
	}
	return title
}

// readAliases reads the classes of several titles.
func readAliases(tx *transaction) (map[string]string, error) {
	aliases := map[string]string{}
	err := tx.each("SELECT title, class FROM alias", nil, func(rows *sql.Rows) error {
		var title, class string
		err := rows.Scan(&title, &class)
		aliases[title] = class
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read titles: %w", err)
	}
	return aliases, nil
}

// classify finds the classes of items whose titles or ISRC are new or have changed,
// and of all that are in one with them, before or now.
func (c *catalogue) classify(items []*itemRow) error {
	several := map[string]bool{} // classes of more than one title
	for _, class := range c.aliases {
		several[class] = true
	}
	classes := map[string]bool{}
	for _, row := range items {
		of := map[string]bool{row.class: true}
		for _, title := range row.titles() {
			of[c.class(title)] = true
		}
		names, err := c.undamaged(row)
		if err != nil {
			return err
		}
		for _, name := range names {
			of[c.class(Fold(name))] = true
		}
		if row.ISRC != "" {
			err := c.tx.each("SELECT title_key FROM item WHERE isrc = ? AND isrc <> ''", []any{row.ISRC}, func(rows *sql.Rows) error {
				var class string
				err := rows.Scan(&class)
				of[class] = true
				return err
			})
			if err != nil {
				return fmt.Errorf("read titles: %w", err)
			}
		}
		// A class of one title cannot have come apart.
		if len(of) > 1 || several[row.class] {
			maps.Copy(classes, of)
		}
	}
	if len(classes) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(classes))
	var members []*itemRow
	err := c.tx.each("SELECT id FROM item WHERE title_key "+inList, []any{list(names)}, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		members = append(members, c.item(id))
		return err
	})
	if err != nil {
		return fmt.Errorf("read titles: %w", err)
	}
	if err := c.loadItems(); err != nil {
		return err
	}
	return c.reclassify(names, members)
}

// reclassify makes the classes of all items that were in some, and stores what
// differs.
func (c *catalogue) reclassify(classes []string, members []*itemRow) error {
	// What titles and ISRCs are one, by the first in the order of the alphabet; an
	// ISRC comes behind all titles.
	first := map[string]string{}
	var root func(string) string
	root = func(name string) string {
		if up, ok := first[name]; ok && up != name {
			return root(up)
		}
		first[name] = name
		return name
	}
	join := func(a, b string) {
		if a, b = root(a), root(b); a != b {
			first[max(a, b)] = min(a, b)
		}
	}
	const isrc = "\U0010ffff"
	names := func(row *itemRow) []string {
		all := row.titles()
		if row.ISRC != "" {
			all = append(slices.Clone(all), isrc+row.ISRC)
		}
		return all
	}
	for _, row := range members {
		for _, name := range names(row) {
			join(names(row)[0], name)
		}
	}
	for _, damaged := range members {
		if !strings.Contains(damaged.Name, lost) {
			continue
		}
		for _, row := range members {
			if sameName(damaged.Name, row.Name) {
				join(damaged.title, row.title)
			}
		}
	}
	for _, row := range members {
		class := ""
		if names := names(row); len(names) > 0 {
			class = root(names[0])
		}
		if strings.HasPrefix(class, isrc) { // of items without any title
			class = ""
		}
		if class == row.class {
			continue
		}
		if _, ok := c.former[row]; !ok {
			c.former[row] = row.class
		}
		row.class = class
		c.rekey(row)
		if _, err := c.tx.exec("UPDATE item SET title_key = ? WHERE id = ?", class, row.id); err != nil {
			return fmt.Errorf("store titles: %w", err)
		}
	}
	for title, class := range c.aliases {
		if _, ok := first[title]; slices.Contains(classes, class) && !ok {
			first[title] = title // nothing is called that any more
		}
	}
	for title := range maps.Clone(first) {
		class := root(title)
		switch {
		case strings.HasPrefix(title, isrc) || c.class(title) == class:
			continue
		case title == class:
			delete(c.aliases, title)
			if _, err := c.tx.exec("DELETE FROM alias WHERE title = ?", title); err != nil {
				return fmt.Errorf("store titles: %w", err)
			}
		default:
			c.aliases[title] = class
			if _, err := c.tx.exec("INSERT OR REPLACE INTO alias (title, class) VALUES (?, ?)", title, class); err != nil {
				return fmt.Errorf("store titles: %w", err)
			}
		}
	}
	return nil
}

// rekey notes that an item may now be one with others, or no longer.
func (c *catalogue) rekey(row *itemRow) {
	if !slices.Contains(c.rekeyed, row) {
		c.rekeyed = append(c.rekeyed, row)
	}
}
