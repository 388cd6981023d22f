package journal

import (
	"cmp"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// answer is a yes or no that may not be known; stored as NULL, 0 or 1.
type answer int8

const (
	notKnown answer = iota
	no
	yes
)

func answerOf(b *bool) answer {
	switch {
	case b == nil:
		return notKnown
	case *b:
		return yes
	default:
		return no
	}
}

func (a answer) pointer() *bool {
	if a == notKnown {
		return nil
	}
	return new(a == yes)
}

// column is what is stored.
func (a answer) column() any {
	if a == notKnown {
		return nil
	}
	return int64(a - no)
}

// Scan reads a column.
func (a *answer) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*a = notKnown
	case int64:
		*a = no
		if v != 0 {
			*a = yes
		}
	default:
		return fmt.Errorf("a yes or no is stored as %T", value)
	}
	return nil
}

// circumstances are how something was played: what reports and plays share.
type circumstances struct {
	contextType, contextURI string
	device, deviceType      string
	platform, country       string
	reasonStart, reasonEnd  string
	shuffle, offline        answer
	incognito, skipped      answer
}

const (
	placeColumns        = "context_type, context_uri, device, device_type"
	clientColumns       = "platform, country, reason_start, reason_end, shuffle, offline, incognito, skipped"
	circumstanceColumns = placeColumns + ", " + clientColumns
)

// placed tells whether it is known where it was played: no export says that.
func (c *circumstances) placed() bool {
	return c.contextType != "" || c.contextURI != "" || c.device != "" || c.deviceType != ""
}

func (c *circumstances) addPlaceTo(rows *inserter) error {
	return rows.add(c.contextType, c.contextURI, c.device, c.deviceType)
}

func (c *circumstances) addClientTo(rows *inserter) error {
	return rows.add(c.platform, c.country, c.reasonStart, c.reasonEnd,
		c.shuffle.column(), c.offline.column(), c.incognito.column(), c.skipped.column())
}

func (c *circumstances) targets() []any {
	return []any{&c.contextType, &c.contextURI, &c.device, &c.deviceType, &c.platform, &c.country, &c.reasonStart, &c.reasonEnd,
		&c.shuffle, &c.offline, &c.incognito, &c.skipped}
}

// compare orders circumstances, by nothing that matters.
func (c *circumstances) compare(other *circumstances) int {
	return cmp.Or(
		cmp.Compare(c.contextType, other.contextType), cmp.Compare(c.contextURI, other.contextURI),
		cmp.Compare(c.device, other.device), cmp.Compare(c.deviceType, other.deviceType),
		cmp.Compare(c.platform, other.platform), cmp.Compare(c.country, other.country),
		cmp.Compare(c.reasonStart, other.reasonStart), cmp.Compare(c.reasonEnd, other.reasonEnd),
		cmp.Compare(c.shuffle, other.shuffle), cmp.Compare(c.offline, other.offline),
		cmp.Compare(c.incognito, other.incognito), cmp.Compare(c.skipped, other.skipped),
	)
}

// itemRow is an item as the catalogue has it.
type itemRow struct {
	id int64
	Item
	uri                          string   // as stored: the same for all items without one
	class                        string   // of its titles, see titles.go
	title                        string   // folded
	otherTitles                  []string // folded, that it was called as well, in order
	songKey, artistKey, albumKey string
	turn                         int64 // of the last transaction that has used it
}

const itemColumns = "item.id, item.kind, item.uri, item.title_key, item.song_key, item.artist_key, item.album_key, item.name, item.artists, item.album, item.album_id, item.album_artists, item.isrc, item.release_date, item.duration_ms, item.explicit, item.image_url, item.other_titles"

// itemScan reads an itemRow from its columns.
type itemScan struct {
	row                   itemRow
	artists, albumArtists string
	explicit              answer
	otherTitles           string
}

func (s *itemScan) targets() []any {
	return []any{&s.row.id, &s.row.Kind, &s.row.uri, &s.row.class, &s.row.songKey, &s.row.artistKey, &s.row.albumKey,
		&s.row.Name, &s.artists, &s.row.Album, &s.row.AlbumID, &s.albumArtists, &s.row.ISRC, &s.row.ReleaseDate,
		&s.row.DurationMS, &s.explicit, &s.row.ImageURL, &s.otherTitles}
}

func (s *itemScan) item() (*itemRow, error) {
	row := s.row
	var err error
	if row.Artists, err = decodeArtists(s.artists); err != nil {
		return nil, err
	}
	if s.albumArtists == s.artists { // as in all exports
		row.AlbumArtists = row.Artists
	} else if row.AlbumArtists, err = decodeArtists(s.albumArtists); err != nil {
		return nil, err
	}
	row.URI, row.title = row.uri, Fold(row.Name)
	if s.otherTitles != "" {
		row.otherTitles = strings.Split(s.otherTitles, "\n") // which no folded title has
	}
	row.Explicit = s.explicit.pointer()
	return &row, nil
}

// setKeys derives the keys from the item, all but its class.
func (i *itemRow) setKeys() {
	i.uri = i.URI
	i.title, i.artistKey, i.albumKey, i.songKey = Fold(i.Name), i.ArtistKey(), i.AlbumKey(), i.SongKey()
}

func (i *itemRow) values() []any {
	return []any{i.id, i.Kind, i.uri, i.class, i.songKey, i.artistKey, i.albumKey, i.Name, encodeArtists(i.Artists),
		i.Album, i.AlbumID, encodeArtists(i.AlbumArtists), i.ISRC, i.ReleaseDate, i.DurationMS, answerOf(i.Explicit).column(), i.ImageURL, strings.Join(i.otherTitles, "\n")}
}

// reportRow is a report as it is stored, times in ms.
type reportRow struct {
	id           int64
	witness      Witness
	saidMS       int64 // the end as the witness gave it, and as it is stored
	endedMS      int64 // the same, unless it is read otherwise: see listed.go
	digest       [16]byte
	item         *itemRow
	fact         int64
	play         int64 // 0: new
	batch        int64 // 0: none
	endedErrorMS int64
	startedMS    int64
	stampMS      int64
	msPlayed     int64
	msError      int64
	afterMS      int64
	seenMS       int64
	seenPlayed   int64
	seenError    int64
	seenLeft     int64
	seenStillMS  int64
	breakFromMS  int64
	breakUntilMS int64
	breakPlayed  int64
	breakMore    int64
	circumstances

	index int // of a new report: its place in the list given
}

const (
	saidColumns   = "account, witness, ended_ms, digest, item, fact, play, batch, ended_error_ms, started_ms, stamp_ms, ms_played, ms_error, after_ms, vague"
	seenColumns   = "seen_ms, seen_played, seen_error, seen_left, seen_still_ms, break_from_ms, break_until_ms, break_played, break_more"
	reportColumns = "id, " + saidColumns + ", " + seenColumns + ", " + circumstanceColumns
)

// newReportRow stores an end that is less certain than farMS as one that is as
// certain, and forgets a stamp that lies farther away: around would not find them.
func newReportRow(r *Report, item *itemRow, fact int64) *reportRow {
	stamp := unixMilli(r.Stamp)
	if abs(stamp-unixMilli(r.EndedAt)) > farMS {
		stamp = 0
	}
	return &reportRow{
		witness: r.Witness, saidMS: unixMilli(r.EndedAt), endedMS: unixMilli(r.EndedAt), digest: r.identity(), item: item, fact: fact,
		endedErrorMS: min(max(0, r.EndedError.Milliseconds()), farMS), startedMS: unixMilli(r.StartedAt), stampMS: stamp,
		msPlayed: r.MSPlayed, msError: r.MSPlayedError,
		afterMS: unixMilli(r.BeganAfter), seenMS: unixMilli(r.SeenAt), seenPlayed: r.SeenMSPlayed, seenError: r.SeenMSError, seenLeft: r.SeenMSLeft, seenStillMS: unixMilli(r.SeenStillAt),
		breakFromMS: unixMilli(r.Break.From), breakUntilMS: unixMilli(r.Break.Until), breakPlayed: r.Break.MSPlayed, breakMore: r.Break.MSMore,
		circumstances: circumstances{
			contextType: r.ContextType, contextURI: r.ContextURI, device: r.Device, deviceType: r.DeviceType,
			platform: r.Platform, country: r.Country, reasonStart: r.ReasonStart, reasonEnd: r.ReasonEnd,
			shuffle: answerOf(r.Shuffle), offline: answerOf(r.Offline), incognito: answerOf(r.Incognito), skipped: answerOf(r.Skipped),
		},
	}
}

// followed tells whether the report says what only the tracker knows, or where it
// was played: an import saves what storing nothing of it would cost.
func (r *reportRow) followed() bool {
	return r.seenMS != 0 || r.seenPlayed != 0 || r.seenError != 0 || r.seenLeft != 0 || r.seenStillMS != 0 ||
		r.breakFromMS != 0 || r.breakUntilMS != 0 || r.breakPlayed != 0 || r.breakMore != 0 || r.placed()
}

// addTo adds all columns but the id, and only if it was followed those that say
// how.
func (r *reportRow) addTo(rows *inserter, account int64) error {
	// What is read into the end of a listed play is not stored.
	endedErrorMS, startedMS := r.endedErrorMS, r.startedMS
	if r.saidMS != r.endedMS {
		endedErrorMS, startedMS = 0, 0
	}
	err := rows.add(account, int64(r.witness), r.saidMS, r.digest[:], r.item.id, orNull(r.fact), r.play, orNull(r.batch), endedErrorMS,
		startedMS, r.stampMS, r.msPlayed, r.msError, r.afterMS, r.vague())
	if err == nil && r.followed() {
		err = rows.add(r.seenMS, r.seenPlayed, r.seenError, r.seenLeft, r.seenStillMS, r.breakFromMS, r.breakUntilMS, r.breakPlayed, r.breakMore)
		if err == nil {
			err = r.addPlaceTo(rows)
		}
	}
	if err != nil {
		return err
	}
	return r.addClientTo(rows)
}

// newReportColumns are the columns that addTo adds to.
func newReportColumns(followed bool) string {
	if followed {
		return strings.TrimPrefix(reportColumns, "id, ")
	}
	return saidColumns + ", " + constant(seenColumns, "0") + ", " + constant(placeColumns, "''") + ", " + clientColumns
}

// orNull stores 0 as NULL.
func orNull(id int64) any {
	if id == 0 {
		return nil
	}
	return id
}

// scanReports reads reports selected with reportColumns. The catalogue has to load
// their items.
func scanReports(rows *sql.Rows, catalogue *catalogue) ([]*reportRow, error) {
	defer rows.Close()
	var reports []*reportRow
	for rows.Next() {
		var (
			r           reportRow
			account     int64
			digest      []byte
			item        int64
			fact, batch sql.NullInt64
			vague       bool // follows from the rest
		)
		targets := append([]any{&r.id, &account, &r.witness, &r.saidMS, &digest, &item, &fact, &r.play, &batch, &r.endedErrorMS,
			&r.startedMS, &r.stampMS, &r.msPlayed, &r.msError, &r.afterMS, &vague, &r.seenMS, &r.seenPlayed, &r.seenError, &r.seenLeft, &r.seenStillMS, &r.breakFromMS, &r.breakUntilMS, &r.breakPlayed, &r.breakMore}, r.circumstances.targets()...)
		if err := rows.Scan(targets...); err != nil {
			return nil, fmt.Errorf("read reports: %w", err)
		}
		copy(r.digest[:], digest)
		r.endedMS = r.saidMS
		r.fact, r.batch = fact.Int64, batch.Int64
		r.item = catalogue.item(item)
		reports = append(reports, &r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read reports: %w", err)
	}
	return reports, nil
}

// playRow is a play as it is stored.
type playRow struct {
	id        int64
	item      *itemRow
	endedMS   int64
	startedMS int64
	msPlayed  int64
	msSource  MSPlayedSource
	msError   int64
	circumstances
	afterMS   int64
	witnesses int64
	batch     int64
	pointNS   int64

	sentNS, sentCredits int64
}

const playColumns = "play.id, play.account, play.item, play.ended_ms, play.started_ms, play.ms_played, play.ms_source, play.ms_error, play.context_type, play.context_uri, play.device, play.device_type, play.platform, play.country, play.reason_start, play.reason_end, play.shuffle, play.offline, play.incognito, play.skipped, play.after_ms, play.witnesses, play.batch, play.point_ns, play.sent_ns, play.sent_credits"

// newPlayColumns are the columns that addTo adds to.
func newPlayColumns(placed bool) string {
	columns := strings.ReplaceAll(playColumns, "play.", "")
	if placed {
		return columns
	}
	return strings.Replace(columns, placeColumns, constant(placeColumns, "''"), 1)
}

// addTo adds all columns, those of the place only if it is known.
func (p *playRow) addTo(rows *inserter, account int64) error {
	if err := rows.add(p.id, account, p.item.id, p.endedMS, p.startedMS, p.msPlayed, int64(p.msSource), p.msError); err != nil {
		return err
	}
	if p.placed() {
		if err := p.addPlaceTo(rows); err != nil {
			return err
		}
	}
	if err := p.addClientTo(rows); err != nil {
		return err
	}
	return rows.add(p.afterMS, p.witnesses, p.batch, p.pointNS, p.sentNS, p.sentCredits)
}

func (p *playRow) targets(account, item *int64) []any {
	targets := append([]any{&p.id, account, item, &p.endedMS, &p.startedMS, &p.msPlayed, &p.msSource, &p.msError}, p.circumstances.targets()...)
	return append(targets, &p.afterMS, &p.witnesses, &p.batch, &p.pointNS, &p.sentNS, &p.sentCredits)
}

// has tells whether the witness reported the play.
func (p *playRow) has(w Witness) bool { return p.witnesses&(1<<w) != 0 }

func (p *playRow) play(alias string) Play {
	var witnesses []Witness
	for _, w := range Witnesses {
		if p.has(w) {
			witnesses = append(witnesses, w)
		}
	}
	return Play{
		ID: p.id, Account: alias, Item: p.item.Item,
		EndedAt: fromMilli(p.endedMS), StartedAt: fromMilli(p.startedMS),
		MSPlayed: p.msPlayed, MSPlayedSource: p.msSource, MSPlayedError: p.msError,
		ContextType: p.contextType, ContextURI: p.contextURI, Device: p.device, DeviceType: p.deviceType,
		Platform: p.platform, Country: p.country, ReasonStart: p.reasonStart, ReasonEnd: p.reasonEnd,
		Shuffle: p.shuffle.pointer(), Offline: p.offline.pointer(), Incognito: p.incognito.pointer(), Skipped: p.skipped.pointer(),
		Witnesses: witnesses, Batch: p.batch, PointNS: p.pointNS,
	}
}

// report is what the witness said, with the item as the catalogue knows it now.
func (r *reportRow) report() Report {
	return Report{
		Witness: r.witness, Item: r.item.Item,
		EndedAt: fromMilli(r.endedMS), EndedError: time.Duration(r.endedErrorMS) * time.Millisecond,
		StartedAt: fromMilli(r.startedMS), Stamp: fromMilli(r.stampMS),
		MSPlayed: r.msPlayed, MSPlayedError: r.msError,
		BeganAfter: fromMilli(r.afterMS), SeenAt: fromMilli(r.seenMS), SeenMSPlayed: r.seenPlayed, SeenMSError: r.seenError, SeenMSLeft: r.seenLeft, SeenStillAt: fromMilli(r.seenStillMS),
		Break:       Break{From: fromMilli(r.breakFromMS), Until: fromMilli(r.breakUntilMS), MSPlayed: r.breakPlayed, MSMore: r.breakMore},
		ContextType: r.contextType, ContextURI: r.contextURI, Device: r.device, DeviceType: r.deviceType,
		Platform: r.platform, Country: r.country, ReasonStart: r.reasonStart, ReasonEnd: r.reasonEnd,
		Shuffle: r.shuffle.pointer(), Offline: r.offline.pointer(), Incognito: r.incognito.pointer(), Skipped: r.skipped.pointer(),
	}
}
