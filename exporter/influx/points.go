package influx

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/influxdata/line-protocol/v2/lineprotocol"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// The measurements. Everything but the account (and a credit's position, a
// ranking's year) is a field: one series per listener, and a correction
// overwrites a point instead of making a second one.
const (
	measurementListen       = "listen"
	measurementListenArtist = "listen_artist"
	measurementArtistTotal  = "artist_total"
	measurementAlbumTotal   = "album_total"
	measurementTrackTotal   = "track_total"
	measurementArtistYear   = "artist_year"
	measurementGap          = "gap"
	measurementAccount      = "account"
)

const (
	// maxText is the longest string field, as InfluxDB documents it.
	maxText = 64 << 10
	// maxTag keeps a series key far below its 65,535 bytes.
	maxTag = 1 << 10
)

// Times of points lie between 2000-01-01 and 2200-01-01, in ns. Others come from
// a broken clock or export. The bound is not the time of this machine, which may
// be wrong just after it has started.
const (
	earliest = 946_684_800 * int64(time.Second)
	latest   = 7_258_118_400 * int64(time.Second)
)

// encoded is an outbox entry in InfluxDB's words: lines to write, then points to
// delete.
type encoded struct {
	entry   journal.Entry
	lines   string // line protocol, each line with its newline
	count   int    // of lines
	newest  int64  // time of its newest line, ns
	deletes []identity
}

// identity is what InfluxDB tells points apart by. Tags that it does not name
// may have any value; untilNS other than timeNS makes it all points in that time.
type identity struct {
	measurement     string
	tags            [][2]string
	timeNS, untilNS int64
}

// encoder turns entries into line protocol. Its types are fixed: int64, float64,
// bool and string. Every point has every field every time, "" or false or 0
// where nothing is known, since InfluxDB merges the fields of two writes of one
// point: one left out would keep its old value.
type encoder struct {
	counted int64 // ms from which on a play counts
	zone    func(account string) *time.Location
	name    func(account string) string

	lines  lineprotocol.Encoder
	timeNS int64 // of the line that is being made
	count  int
	newest int64
	err    error
}

// encode returns e in InfluxDB's words, or why it has none.
func (c *encoder) encode(e journal.Entry) (encoded, error) {
	c.lines.Reset()
	c.count, c.newest, c.err = 0, 0, nil
	account := tagText(e.Account)
	if account == "" {
		// Without its tag the point would be one of another series.
		return encoded{}, errors.New("entry without account")
	}
	var deletes []identity
	gone := func(measurement string, timeNS int64, tags ...[2]string) {
		tags = append([][2]string{{"account", account}}, tags...)
		deletes = append(deletes, identity{measurement, tags, timeNS, timeNS})
	}
	switch e.Kind {
	case journal.EntryPlay:
		c.play(account, e.Play)
	case journal.EntryPlayGone:
		gone(measurementListen, e.TimeNS)
		gone(measurementListenArtist, e.TimeNS)
	case journal.EntryArtistTotal, journal.EntryAlbumTotal, journal.EntryTrackTotal:
		measurement := totalMeasurement(e.Kind)
		if e.Total.Empty() {
			gone(measurement, syntheticTime(e.Total.Key))
			break
		}
		c.total(measurement, account, e.Total)
	case journal.EntryArtistYear:
		year := [2]string{"year", strconv.Itoa(e.Year)}
		for i := range e.Ranked {
			c.ranked(account, year, i+1, &e.Ranked[i])
		}
		for _, key := range e.Left {
			gone(measurementArtistYear, syntheticTime(key), year)
		}
	case journal.EntryGap:
		c.point(measurementGap, account, e.Gap.From.UnixNano()).
			integer("ended_ms", milli(e.Gap.To)).
			boolean("open", e.Gap.Open()).
			end()
	case journal.EntryAccount:
		c.point(measurementAccount, account, syntheticTime(e.Account)).
			text("timezone", c.zone(e.Account).String()).
			text("name", fieldText(c.name(e.Account))).
			end()
	case journal.EntryClear:
		for _, measurement := range []string{
			measurementListen, measurementListenArtist, measurementArtistTotal, measurementAlbumTotal, measurementTrackTotal,
			measurementArtistYear, measurementGap, measurementAccount,
		} {
			deletes = append(deletes, identity{measurement, [][2]string{{"account", account}}, earliest, latest})
		}
	default:
		return encoded{}, fmt.Errorf("entry of an unknown kind %d", e.Kind)
	}
	if err := cmp.Or(c.err, c.lines.Err()); err != nil {
		c.lines.ClearErr()
		return encoded{}, err
	}
	return encoded{entry: e, lines: string(c.lines.Bytes()), count: c.count, newest: c.newest, deletes: deletes}, nil
}

func totalMeasurement(kind journal.EntryKind) string {
	switch kind {
	case journal.EntryArtistTotal:
		return measurementArtistTotal
	case journal.EntryAlbumTotal:
		return measurementAlbumTotal
	default:
		return measurementTrackTotal
	}
}

// play writes one listen and one listen_artist for each credited artist. Their
// tag pos is the position in the credits and no role: two guests of one play
// would be one point.
func (c *encoder) play(account string, p *journal.Play) {
	ended := p.EndedAt.In(c.zone(p.Account))
	weekday := int64(ended.Weekday())
	if weekday == 0 {
		weekday = 7 // Sunday
	}
	var plays int64
	if p.MSPlayed >= c.counted {
		plays = 1
	}
	names := make([]string, len(p.Item.Artists))
	for i, artist := range p.Item.Artists {
		names[i] = artist.Name
	}
	var first journal.Artist
	if len(p.Item.Artists) > 0 {
		first = p.Item.Artists[0]
	}
	// All who saw it, the earliest kind of witness first: "playback,recently_played".
	witnesses := make([]string, len(p.Witnesses))
	for i, witness := range p.Witnesses {
		witnesses[i] = witness.String()
	}
	var song string
	if p.Item.Kind == journal.Track || p.Item.Kind == journal.Local {
		song = p.Item.SongKey() // an episode is no song, whatever its title
	}
	trackID, kind, incognito := fieldText(p.Item.ID()), p.Item.Kind.String(), isTrue(p.Incognito)
	c.point(measurementListen, account, p.PointNS).
		integer("plays", plays).
		integer("ms_played", p.MSPlayed).
		integer("duration_ms", p.Item.DurationMS).
		integer("hour", int64(ended.Hour())).
		integer("weekday", weekday).
		text("track", fieldText(p.Item.Name)).
		text("track_id", trackID).
		text("song_key", keyText(song)).
		integer("song_total", totalTime(song)).
		text("artist", fieldText(first.Name)).
		text("artist_id", fieldText(first.ID)).
		text("artist_key", keyText(p.Item.ArtistKey())).
		text("artists", fieldText(strings.Join(names, "; "))).
		text("album", fieldText(p.Item.Album)).
		text("album_id", fieldText(p.Item.AlbumID)).
		text("album_key", keyText(p.Item.AlbumKey())).
		text("isrc", fieldText(p.Item.ISRC)).
		integer("release_year", releaseYear(p.Item.ReleaseDate)).
		text("image_url", fieldText(p.Item.ImageURL)).
		text("kind", kind).
		boolean("skipped", isTrue(p.Skipped)).
		boolean("shuffle", isTrue(p.Shuffle)).
		boolean("offline", isTrue(p.Offline)).
		boolean("incognito", incognito).
		text("device", fieldText(p.Device)).
		text("device_type", fieldText(p.DeviceType)).
		text("platform", fieldText(p.Platform)).
		text("country", fieldText(p.Country)).
		text("context_type", fieldText(p.ContextType)).
		text("context_uri", fieldText(p.ContextURI)).
		text("reason_start", fieldText(p.ReasonStart)).
		text("reason_end", fieldText(p.ReasonEnd)).
		boolean("explicit", isTrue(p.Item.Explicit)).
		text("witness", strings.Join(witnesses, ",")).
		end()
	for i, artist := range p.Item.Artists {
		c.point(measurementListenArtist, account, p.PointNS, [2]string{"pos", strconv.Itoa(i)}).
			text("artist", fieldText(artist.Name)).
			text("artist_id", fieldText(artist.ID)).
			text("artist_key", keyText(journal.Fold(artist.Name))).
			integer("plays", plays).
			integer("ms_played", p.MSPlayed).
			float("ms_share", float64(p.MSPlayed)/float64(len(p.Item.Artists))).
			text("track_id", trackID).
			text("kind", kind).
			boolean("incognito", incognito).
			end()
	}
}

func (c *encoder) total(measurement, account string, t *journal.Total) {
	c.point(measurement, account, syntheticTime(t.Key)).
		text("key", keyText(t.Key)).
		text("id", fieldText(t.ID)).
		text("name", fieldText(t.Name)).
		text("artist", fieldText(t.Artist)).
		text("artist_key", keyText(journal.Fold(t.Artist))).
		text("image_url", fieldText(t.ImageURL)).
		integer("plays", t.Plays).
		integer("ms_played", t.MSPlayed).
		integer("first_ms", milli(t.First)).
		integer("last_ms", milli(t.Last)).
		end()
}

func (c *encoder) ranked(account string, year [2]string, rank int, t *journal.Total) {
	c.point(measurementArtistYear, account, syntheticTime(t.Key), year).
		text("key", keyText(t.Key)).
		text("name", fieldText(t.Name)).
		integer("rank", int64(rank)).
		integer("plays", t.Plays).
		integer("ms_played", t.MSPlayed).
		end()
}

// point starts a point. Only account and text that is ours may be tags, in the order
// of their names; account is before all others.
func (c *encoder) point(measurement, account string, timeNS int64, tags ...[2]string) *encoder {
	if timeNS < earliest || timeNS >= latest {
		c.err = fmt.Errorf("time of the point is %s: not within 2000 to 2200", time.Unix(0, timeNS).UTC().Format(time.RFC3339Nano))
	}
	c.timeNS, c.newest = timeNS, max(c.newest, timeNS)
	c.lines.StartLine(measurement)
	c.lines.AddTag("account", account)
	for _, tag := range tags {
		c.lines.AddTag(tag[0], tag[1])
	}
	return c
}

func (c *encoder) integer(key string, value int64) *encoder {
	c.lines.AddField(key, lineprotocol.IntValue(value))
	return c
}

func (c *encoder) boolean(key string, value bool) *encoder {
	c.lines.AddField(key, lineprotocol.BoolValue(value))
	return c
}

// float adds a number that is finite.
func (c *encoder) float(key string, value float64) *encoder {
	v, ok := lineprotocol.FloatValue(value)
	if !ok {
		c.err = fmt.Errorf("field %s is %v", key, value)
	}
	c.lines.AddField(key, v)
	return c
}

// text adds a fieldText.
func (c *encoder) text(key, value string) *encoder {
	v, ok := lineprotocol.StringValue(value)
	if !ok {
		c.err = fmt.Errorf("field %s is no UTF-8", key)
	}
	c.lines.AddField(key, v)
	return c
}

func (c *encoder) end() {
	c.lines.EndLine(time.Unix(0, c.timeNS))
	c.count++
}

// syntheticTime is where the one point of a thing that has no time of its own
// stands: always at the same ns of 2000-01-01, so that it is overwritten in place
// and adds no series.
func syntheticTime(key string) int64 {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(key))
	return earliest + int64(hash.Sum64()%uint64(24*time.Hour))
}

// totalTime is where the point of the total of a key is, 0 if it has none: queries find
// it by that, at once, and by its key only in all totals.
func totalTime(key string) int64 {
	if key == "" {
		return 0
	}
	return syntheticTime(key)
}

// fieldText returns s as a string field takes it: valid UTF-8 of at most 64 KiB
// without control characters. The client would write a newline as the two
// characters \n, and InfluxDB keeps bytes that are no UTF-8, which Flux and JSON
// then cannot show.
func fieldText(s string) string { return bounded(s, maxText) }

// keyText returns a key of an artist, album or song as queries group by it: names are
// spelt in several ways over the years ("Reise, Reise", "REISE, REISE"), keys are not.
// It can be read, and what stands between its parts in the journal is no text.
func keyText(key string) string { return fieldText(strings.Replace(key, "\x1f", " – ", 1)) }

// tagText returns s as a tag value takes it. A backslash at its end would escape
// what follows, and InfluxDB has no way to write it.
func tagText(s string) string {
	return strings.TrimRight(bounded(s, maxTag), `\`)
}

// bounded returns s as the line protocol takes it, of at most size bytes.
func bounded(s string, size int) string {
	if plain(s) && len(s) <= size {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r // U+FFFD for a byte that is no UTF-8
	}, s)
	if len(s) <= size {
		return s
	}
	for size > 0 && !utf8.RuneStart(s[size]) {
		size--
	}
	return s[:size]
}

// plain tells whether bounded would leave s as it is, apart from its length.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}

// releaseYear is the year of a release date, which is a year, a month or a day.
// Spotify says "0000" where it does not know: 0.
func releaseYear(date string) int64 {
	year, _, _ := strings.Cut(date, "-")
	n, err := strconv.ParseUint(year, 10, 16)
	if err != nil {
		return 0
	}
	return int64(n)
}

// isTrue is false for what nobody knows.
func isTrue(b *bool) bool { return b != nil && *b }

// milli is t in ms since 1970, 0 if it is not known.
func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
