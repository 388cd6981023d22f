package journal

import (
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// catalogue is what one transaction knows of items. What any witness said of an
// item is kept as a fact, once per wording; the item itself is resolved from its
// facts, whatever their order of arrival: field by field the most trusted source
// that has it, of the Web API's answers the latest.
type catalogue struct {
	*knownItems
	tx       *transaction
	nowMS    int64
	missing  []int64 // ids of items that are named but not read yet
	lastItem int64
	lastFact int64
	// rekeyed are the items that may now be one with others, or no longer; changed
	// are all that have changed; former are the classes of those that are in another one.
	rekeyed, changed []*itemRow
	former           map[*itemRow]string
}

// knownItems is what is in memory of the catalogue.
type knownItems struct {
	version int64 // of the file, which other connections have changed if it differs
	items   map[int64]*itemRow
	byName  map[string]*itemRow  // by identity
	facts   map[int64][]*factRow // by item; all of an item or no entry
	aliases map[string]string    // classes of titles that are not called like them
	damaged *damagedItems        // those, and some that were
	turn    int64                // of the transaction that uses it now
}

// mostKnown is how many items stay in memory from one transaction to the next, at
// 1 KB each: an import meets the same ones again and again. When there are more,
// those stay that the last one has used.
const mostKnown = 2_500

// learned is what is said of an item at one time.
type learned struct {
	item   Item
	source Source
	seenMS int64

	row  *itemRow // set by learn
	fact int64
}

// digest is what makes two wordings the same one. Most are known already, so they
// are not made JSON of first.
func (s *learned) digest() [16]byte {
	var buffer [512]byte
	content := append(buffer[:0], byte(s.source), byte(s.item.Kind), byte(answerOf(s.item.Explicit)))
	content = binary.BigEndian.AppendUint64(content, uint64(s.item.DurationMS))
	add := func(texts ...string) {
		for _, text := range texts {
			content = binary.BigEndian.AppendUint32(content, uint32(len(text)))
			content = append(content, text...)
		}
	}
	add(s.item.URI, s.item.Name, s.item.Album, s.item.AlbumID, s.item.ISRC, s.item.ReleaseDate, s.item.ImageURL)
	for _, artists := range [][]Artist{s.item.Artists, s.item.AlbumArtists} {
		content = append(content, byte(len(artists)))
		for _, a := range artists {
			add(a.ID, a.Name)
		}
	}
	sum := sha256.Sum256(content)
	return [16]byte(sum[:16])
}

// factRow is a fact without its content.
type factRow struct {
	id, item, seenMS int64
	source           Source
	digest           [16]byte
}

// itemIdentity is what makes two items the same one.
func itemIdentity(i *Item) string {
	if i.URI != "" {
		return i.URI
	}
	return string(rune(i.Kind)) + keySeparator + i.SongKey()
}

func newKnownItems() *knownItems {
	return &knownItems{items: map[int64]*itemRow{}, byName: map[string]*itemRow{}, facts: map[int64][]*factRow{}}
}

// used returns what is known of the items that the last transaction has used.
func (k *knownItems) used() *knownItems {
	u := newKnownItems()
	u.version, u.turn, u.aliases, u.damaged = k.version, k.turn, k.aliases, k.damaged
	for id, row := range k.items {
		if row.turn != k.turn {
			continue
		}
		u.items[id], u.byName[itemIdentity(&row.Item)] = row, row
		if facts, ok := k.facts[id]; ok {
			u.facts[id] = facts
		}
	}
	return u
}

// catalogue returns the catalogue for a transaction that writes.
func (j *Journal) catalogue(tx *transaction) (*catalogue, error) {
	var version int64
	if err := tx.get("PRAGMA data_version", nil, []any{&version}); err != nil {
		return nil, fmt.Errorf("read catalogue: %w", err)
	}
	switch {
	case j.known == nil || j.known.version != version:
		aliases, err := readAliases(tx)
		if err != nil {
			return nil, err
		}
		damaged, err := readDamaged(tx)
		if err != nil {
			return nil, err
		}
		j.known = newKnownItems()
		j.known.version, j.known.aliases, j.known.damaged = version, aliases, damaged
	case len(j.known.items) > mostKnown:
		j.known = j.known.used()
	}
	j.known.turn++
	c := &catalogue{knownItems: j.known, tx: tx, nowMS: j.now(), former: map[*itemRow]string{}}
	err := tx.get("SELECT coalesce((SELECT max(id) FROM item), 0), coalesce((SELECT max(id) FROM fact), 0)", nil, []any{&c.lastItem, &c.lastFact})
	if err != nil {
		return nil, fmt.Errorf("read catalogue: %w", err)
	}
	return c, nil
}

// item returns the item with an id, which loadItems fills in if it is not known.
func (c *catalogue) item(id int64) *itemRow {
	row := c.items[id]
	if row == nil {
		row = &itemRow{id: id}
		c.items[id] = row
		c.missing = append(c.missing, id)
	}
	row.turn = c.turn
	return row
}

// learn stores what is new in what was said and points every entry to its item.
func (c *catalogue) learn(said []learned) error {
	if err := c.find(said); err != nil {
		return err
	}
	var known []int64
	for i := range said {
		if row := c.byName[itemIdentity(&said[i].item)]; row != nil {
			known = append(known, row.id)
		}
	}
	if err := c.readFacts(known); err != nil {
		return err
	}

	items := c.tx.inserter("INSERT OR ROLLBACK INTO item", strings.ReplaceAll(itemColumns, "item.", ""))
	newFacts := c.tx.inserter("INSERT OR ROLLBACK INTO fact", "id, item, source, digest, seen_ms, content")
	fresh := map[*itemRow]bool{}   // made here
	unclear := map[*itemRow]bool{} // to be resolved anew
	var related []*itemRow         // made here, and of one class with others by more than their titles
	for i := range said {
		s := &said[i]
		identity := itemIdentity(&s.item)
		row := c.byName[identity]
		if row == nil {
			c.lastItem++
			row = &itemRow{id: c.lastItem, Item: s.item}
			row.setKeys()
			row.class = c.class(row.title)
			if row.damaged() {
				c.damaged.add(identity, row.Name)
			}
			if row.ISRC != "" || strings.Contains(row.Name, lost) || len(c.damaged.titles) > 0 && len(c.damaged.titles[bones(row.Name)]) > 0 {
				related = append(related, row)
			}
			c.items[row.id], c.byName[identity] = row, row
			fresh[row] = true
			if err := items.add(row.values()...); err != nil {
				return fmt.Errorf("store item: %w", err)
			}
		}
		s.row, row.turn = row, c.turn
		digest := s.digest()
		have := c.facts[row.id]
		at := slices.IndexFunc(have, func(f *factRow) bool { return f.digest == digest })
		if at < 0 {
			c.lastFact++
			fact := &factRow{id: c.lastFact, item: row.id, seenMS: s.seenMS, source: s.source, digest: digest}
			if s.source != FromAPI {
				fact.seenMS = 0 // an export speaks of one day
			}
			c.facts[row.id] = append(have, fact)
			content, err := json.Marshal(s.item)
			if err != nil {
				return fmt.Errorf("store fact: %w", err)
			}
			if err := newFacts.add(fact.id, fact.item, fact.source, fact.digest[:], fact.seenMS, string(content)); err != nil {
				return fmt.Errorf("store fact: %w", err)
			}
			s.fact = fact.id
			if len(have) > 0 || !fresh[row] {
				unclear[row] = true
			}
			continue
		}
		s.fact = have[at].id
		if s.source == FromAPI && s.seenMS > have[at].seenMS {
			have[at].seenMS = s.seenMS
			// The row may still wait in the inserter.
			if err := newFacts.flush(); err != nil {
				return fmt.Errorf("store fact: %w", err)
			}
			if _, err := c.tx.exec("UPDATE fact SET seen_ms = ? WHERE id = ?", s.seenMS, s.fact); err != nil {
				return fmt.Errorf("store fact: %w", err)
			}
			if len(have) > 1 {
				unclear[row] = true
			}
		}
	}
	if err := items.flush(); err != nil {
		return fmt.Errorf("store item: %w", err)
	}
	if err := newFacts.flush(); err != nil {
		return fmt.Errorf("store fact: %w", err)
	}
	if err := c.classify(related); err != nil {
		return err
	}
	return c.resolve(unclear)
}

// forget removes those of the facts that no report refers to any more. What the Web
// API has said is kept for good.
func (c *catalogue) forget(facts []int64) error {
	var left []int64 // items that lose a fact
	err := c.tx.each(`DELETE FROM fact WHERE id `+inList+` AND source <> ? AND NOT EXISTS (SELECT 1 FROM report WHERE report.item = fact.item AND report.fact = fact.id) RETURNING item`,
		[]any{list(facts), FromAPI}, func(rows *sql.Rows) error {
			var item int64
			err := rows.Scan(&item)
			left = append(left, item)
			return err
		})
	if err != nil {
		return fmt.Errorf("forget facts: %w", err)
	}
	unclear := map[*itemRow]bool{}
	for _, id := range left {
		delete(c.facts, id)
		unclear[c.item(id)] = true
	}
	if err := c.loadItems(); err != nil {
		return err
	}
	return c.resolve(unclear)
}

// find loads the items that are said something of.
func (c *catalogue) find(said []learned) error {
	var uris, names []string
	seen := map[string]bool{}
	for i := range said {
		identity := itemIdentity(&said[i].item)
		if c.byName[identity] != nil || seen[identity] {
			continue
		}
		seen[identity] = true
		if uri := said[i].item.URI; uri != "" {
			uris = append(uris, uri)
		} else {
			names = append(names, said[i].item.SongKey())
		}
	}
	if len(uris) > 0 {
		if err := c.load("item.uri "+inList+" AND item.uri <> ''", list(uris)); err != nil {
			return err
		}
	}
	if len(names) > 0 {
		return c.load("item.song_key "+inList+" AND item.uri = ''", list(names))
	}
	return nil
}

// loadItems fills in the items that reports or plays have named by id.
func (c *catalogue) loadItems() error {
	if len(c.missing) == 0 {
		return nil
	}
	missing := list(c.missing)
	c.missing = nil
	return c.load("item.id "+inList, missing)
}

// load reads the items that match; values is a list. A row that is known by id
// already is filled in where it is.
func (c *catalogue) load(where, values string) error {
	err := c.tx.each("SELECT "+itemColumns+" FROM item WHERE "+where, []any{values}, func(rows *sql.Rows) error {
		var scan itemScan
		if err := rows.Scan(scan.targets()...); err != nil {
			return err
		}
		row, err := scan.item()
		if err != nil {
			return err
		}
		if have := c.items[row.id]; have != nil {
			*have = *row
			row = have
		}
		row.turn = c.turn
		c.items[row.id], c.byName[itemIdentity(&row.Item)] = row, row
		return nil
	})
	if err != nil {
		return fmt.Errorf("read catalogue: %w", err)
	}
	return nil
}

// readFacts reads what is known of items.
func (c *catalogue) readFacts(items []int64) error {
	items = slices.DeleteFunc(items, func(id int64) bool { _, ok := c.facts[id]; return ok })
	if len(items) == 0 {
		return nil
	}
	for _, id := range items {
		c.facts[id] = nil
	}
	err := c.tx.each("SELECT id, item, source, digest, seen_ms FROM fact WHERE item "+inList, []any{list(items)}, func(rows *sql.Rows) error {
		var f factRow
		var digest []byte
		if err := rows.Scan(&f.id, &f.item, &f.source, &digest, &f.seenMS); err != nil {
			return err
		}
		copy(f.digest[:], digest)
		c.facts[f.item] = append(c.facts[f.item], &f)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read facts: %w", err)
	}
	return nil
}

// resolve derives items from their facts anew and stores those that change.
func (c *catalogue) resolve(items map[*itemRow]bool) error {
	var retitled []*itemRow
	for row := range items {
		var resolved itemRow
		titles := map[string]bool{}
		first := true
		err := c.tx.each("SELECT content FROM fact WHERE item = ? ORDER BY instr(content, char(65533)) > 0, source, seen_ms DESC, digest", []any{row.id}, func(rows *sql.Rows) error {
			var content sql.RawBytes
			var fact Item
			if err := rows.Scan(&content); err != nil {
				return err
			}
			if err := json.Unmarshal(content, &fact); err != nil {
				return err
			}
			if first {
				resolved.Item, first = fact, false
			} else {
				resolved.fill(&fact)
			}
			titles[Fold(fact.Name)] = true
			return nil
		})
		if err != nil {
			return fmt.Errorf("read facts of item %d: %w", row.id, err)
		}
		if first {
			// Without facts it has no reports either. It is kept for its id, and is a
			// reason for nothing any more.
			resolved.Item = row.Item
			resolved.ISRC = ""
		}
		resolved.id, resolved.turn, resolved.class = row.id, row.turn, row.class
		resolved.setKeys()
		if resolved.damaged() {
			c.damaged.add(itemIdentity(&resolved.Item), resolved.Name)
		}
		delete(titles, "")
		delete(titles, resolved.title)
		resolved.otherTitles = slices.Sorted(maps.Keys(titles))
		if sameValues(resolved.values(), row.values()) {
			continue
		}
		moves, err := c.moves(row, &resolved)
		if err != nil {
			return err
		}
		if moves {
			c.rekey(row)
		}
		if row.title != resolved.title || row.ISRC != resolved.ISRC || !slices.Equal(row.otherTitles, resolved.otherTitles) {
			retitled = append(retitled, row)
		}
		if err := c.dirtyTotals(row); err != nil { // those of the old keys
			return err
		}
		*row = resolved
		c.changed = append(c.changed, row)
		columns := strings.Split(strings.ReplaceAll(itemColumns, "item.", ""), ", ")[1:]
		_, err = c.tx.exec("UPDATE item SET "+strings.Join(columns, " = ?, ")+" = ? WHERE id = ?", append(row.values()[1:], row.id)...)
		if err != nil {
			return fmt.Errorf("store item: %w", err)
		}
	}
	return c.classify(retitled)
}

// classes are the class of an item's titles and the one that it had before.
func (c *catalogue) classes(row *itemRow) []string {
	if former, ok := c.former[row]; ok && former != row.class {
		return []string{row.class, former}
	}
	return []string{row.class}
}

// moves tells whether the change of an item may change which reports are one play
// (see sameSong), if it stays in its class, or an estimate made of its length.
func (c *catalogue) moves(old, resolved *itemRow) (bool, error) {
	if old.Kind != resolved.Kind {
		return true, nil
	}
	longer := old.DurationMS != resolved.DurationMS
	if !longer && old.title == resolved.title && old.ISRC == resolved.ISRC && slices.Equal(old.otherTitles, resolved.otherTitles) &&
		slices.Equal(old.Artists, resolved.Artists) && slices.Equal(old.AlbumArtists, resolved.AlbumArtists) {
		return false, nil
	}
	var matters bool
	err := c.tx.get(`SELECT EXISTS (SELECT 1 FROM item WHERE title_key = ?1 AND id <> ?2)
		OR ?3 AND EXISTS (SELECT 1 FROM play WHERE item = ?2 AND ms_source = ?4)`,
		[]any{old.class, old.id, longer, Estimated}, []any{&matters})
	if err != nil {
		return false, fmt.Errorf("read catalogue: %w", err)
	}
	return matters, nil
}

// fill takes from a less trusted fact what is still missing.
func (i *Item) fill(fact *Item) {
	if i.Kind == Unknown || i.Kind == Episode && fact.Kind == Chapter { // which the Web API does not tell apart
		i.Kind = fact.Kind
	}
	for _, field := range []struct{ have, said *string }{
		{&i.Name, &fact.Name}, {&i.Album, &fact.Album}, {&i.AlbumID, &fact.AlbumID}, {&i.ISRC, &fact.ISRC},
		{&i.ReleaseDate, &fact.ReleaseDate}, {&i.ImageURL, &fact.ImageURL},
	} {
		if *field.have == "" {
			*field.have = *field.said
		}
	}
	if len(i.Artists) == 0 {
		i.Artists = fact.Artists
	}
	if len(i.AlbumArtists) == 0 {
		i.AlbumArtists = fact.AlbumArtists
	}
	if i.DurationMS == 0 {
		i.DurationMS = fact.DurationMS
	}
	if i.Explicit == nil {
		i.Explicit = fact.Explicit
	}
}

// dirtyTotals queues the totals of an item whose keys are about to change, for
// every account that has played it.
func (c *catalogue) dirtyTotals(row *itemRow) error {
	for kind, key := range totalKeys(row) {
		if key == "" {
			continue
		}
		_, err := c.tx.exec(`INSERT OR REPLACE INTO outbox (kind, account, key, created_ms)
			SELECT DISTINCT ?, account, ?, ? FROM play WHERE item = ?`, kind, key, c.nowMS, row.id)
		if err != nil {
			return fmt.Errorf("queue totals: %w", err)
		}
	}
	return nil
}

// totalKeys are the totals that a play of the item counts in.
func totalKeys(row *itemRow) map[EntryKind]string {
	if row.Kind == Unknown {
		return nil
	}
	return map[EntryKind]string{EntryArtistTotal: row.artistKey, EntryAlbumTotal: row.albumKey, EntryTrackTotal: row.songKey}
}

func sameValues(a, b []any) bool {
	return slices.EqualFunc(a, b, func(x, y any) bool { return x == y })
}
