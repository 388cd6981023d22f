package history

import (
	"bytes"
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// decoder turns rows into reports.
type decoder struct {
	earliest, latest time.Time      // an end must lie between them
	unknown          map[string]int // see Export.UnknownKeys
}

func newDecoder(now time.Time) decoder {
	return decoder{
		// The company was founded in 2006.
		earliest: time.Date(2006, 1, 1, 0, 0, 0, 0, time.UTC),
		// A day for a clock that is wrong.
		latest:  now.AddDate(0, 0, 1),
		unknown: map[string]int{},
	}
}

// skippedKnown is when "skipped": false began to mean something.
var skippedKnown = time.Date(2022, 11, 1, 0, 0, 0, 0, time.UTC)

// maxMSPlayed is the longest listening time that is believed: 7 days. The longest
// seen in 95,000 rows has 5.5 hours.
const maxMSPlayed = 7 * 24 * 60 * 60 * 1000

// decode fills row with the report that raw is, or with the reason why it is none.
func (d *decoder) decode(format Format, raw []byte, row *Row) {
	if format == Extended {
		d.extended(raw, row)
	} else {
		d.account(raw, row)
	}
}

// extended decodes a row of the extended streaming history, with the keys of
// exports until October 2024 and those since.
func (d *decoder) extended(raw []byte, row *Row) {
	var (
		end                                time.Time
		msPlayed                           int64 = -1
		offlineTimestamp                   int64
		trackURI, track, artist, album     string
		episodeURI, episode, show          string
		bookURI, book, chapterURI, chapter string
		skipped                            *bool
	)
	r := &row.Report
	members := object{rest: raw}
	for members.next() {
		value := members.value
		switch key := members.key; string(key) {
		case "ts":
			end = d.end(key, value, time.RFC3339, row)
		case "ms_played":
			msPlayed = d.msPlayed(key, value, row)
		case "offline_timestamp":
			offlineTimestamp = d.number(key, value)
		case "spotify_track_uri":
			trackURI = d.uri(key, value, row)
		case "master_metadata_track_name":
			track = d.name(key, value, row)
		case "master_metadata_album_artist_name":
			artist = d.name(key, value, row)
		case "master_metadata_album_album_name":
			album = d.name(key, value, row)
		case "spotify_episode_uri":
			episodeURI = d.uri(key, value, row)
		case "episode_name":
			episode = d.name(key, value, row)
		case "episode_show_name":
			show = d.name(key, value, row)
		case "audiobook_uri":
			bookURI = d.uri(key, value, row)
		case "audiobook_title":
			book = d.name(key, value, row)
		case "audiobook_chapter_uri":
			chapterURI = d.uri(key, value, row)
		case "audiobook_chapter_title":
			chapter = d.name(key, value, row)
		case "platform":
			r.Platform = withoutDeviceID(d.text(key, value))
		case "conn_country":
			r.Country = d.text(key, value)
		case "reason_start":
			r.ReasonStart = d.text(key, value)
		case "reason_end":
			r.ReasonEnd = d.text(key, value)
		case "shuffle":
			r.Shuffle = d.flag(key, value)
		case "skipped":
			skipped = d.flag(key, value)
		case "offline":
			r.Offline = d.flag(key, value)
		case "incognito_mode":
			r.Incognito = d.flag(key, value)
		case "username", "ip_addr", "ip_addr_decrypted", "user_agent_decrypted",
			"city", "region", "metro_code", "latitude", "longitude":
			// Who and where: nobody's business, never copied out of the read buffer.
		default:
			d.unknownKey(string(key))
		}
	}
	switch {
	case members.broken:
		row.fail(BadRow, "it is not a JSON object")
	case end.IsZero():
		row.fail(BadRow, "it has no ts")
	case msPlayed < 0:
		row.fail(BadRow, "it has no ms_played")
	}
	if row.Reason != "" {
		row.Report = journal.Report{}
		return
	}

	r.Witness = journal.ExtendedHistory
	r.MSPlayed = msPlayed
	r.StartedAt, r.EndedAt, r.Stamp = times(end, offlineTimestamp, msPlayed)
	r.Skipped = wasSkipped(skipped, r.ReasonEnd, end)

	// A row is of one kind only. Of a song the export knows the album's artist, not
	// those of the song; of an audiobook the title, not the author.
	switch {
	case chapterURI != "" || bookURI != "" || chapter != "" || book != "":
		if chapter == "" { // without its chapter all that is known is the book
			chapterURI = cmp.Or(chapterURI, bookURI)
		}
		r.Item = item(journal.Chapter, chapterURI, cmp.Or(chapter, book), book, book)
	case strings.HasPrefix(trackURI, "spotify:local:"):
		r.Item = item(journal.Local, trackURI, track, artist, album)
	case trackURI != "" || track != "" || artist != "":
		r.Item = item(journal.Track, trackURI, track, artist, album)
	case episodeURI != "" || episode != "" || show != "":
		r.Item = item(journal.Episode, episodeURI, episode, show, show)
	}
	// Else it is of something that was removed or of a local file: kind unknown, as
	// 138 of the 41,418 rows of history A.
}

// item returns an item with one artist, who is the album's artist too.
func item(kind journal.Kind, uri, name, artist, album string) journal.Item {
	i := journal.Item{Kind: kind, URI: uri, Name: name, Album: album}
	if artist != "" {
		i.Artists = []journal.Artist{{Name: artist}}
		i.AlbumArtists = i.Artists
	}
	return i
}

// times returns when a play started, zero if nobody knows, when it ended, and the
// stamp if ts was not its end.
//
// offline_timestamp is the start by the listener's clock, offline or not: in
// milliseconds in rows that were collected until October 2022, in seconds
// afterwards, 0 or null or some small number if not known. A few lie far off.
//
// In the old rows ts is the time at which the play was uploaded, often hours
// later and the same for many plays: of the 26,848 such rows of history A 3,145
// have a ts more than a minute after start + ms_played, 608 of them even after
// the next play had started, which only 3 contradict if they ended at start +
// ms_played. With ts as the end, plays of that history overlap by 11.2 h (318
// pairs by more than 5 s), with this rule by 2.6 h (80 pairs); with a threshold
// of 10 s, 10 min or 1 h it is 2.7, 3.4 or 5.5 h. In the new rows ts is the end
// and what lies between is pauses: the rule would raise the overlap of those
// 10,999 from 1.4 h to 6.4 h.
func times(ts time.Time, offlineTimestamp, msPlayed int64) (started, ended, stamp time.Time) {
	milliseconds := offlineTimestamp >= 1e11
	switch {
	case milliseconds:
		started = time.UnixMilli(offlineTimestamp).UTC()
	case offlineTimestamp >= 1e9:
		started = time.Unix(offlineTimestamp, 0).UTC()
	}
	if started.Before(ts.AddDate(0, 0, -30)) || started.After(ts.AddDate(0, 0, 1)) {
		return time.Time{}, ts, time.Time{}
	}
	ended = started.Add(time.Duration(msPlayed) * time.Millisecond)
	if milliseconds && ts.Sub(ended) > time.Minute {
		return started, ended, ts
	}
	return started, ts, time.Time{}
}

// wasSkipped tells whether the listener left the item. Since November 2022
// skipped is true exactly if reason_end is fwdbtn, backbtn or endplay (42,586
// rows without an exception). Before, it was null mostly, which newer exports
// turn into false: so what the reason says counts, and where it says nothing
// neither of the two does.
func wasSkipped(skipped *bool, reasonEnd string, end time.Time) *bool {
	switch {
	case skipped != nil && *skipped:
		return skipped
	case reasonEnd != "" && reasonEnd != "unknown":
		return new(reasonEnd == "fwdbtn" || reasonEnd == "backbtn" || reasonEnd == "endplay")
	case end.Before(skippedKnown):
		return nil
	}
	return skipped
}

// end reads the time at which a play ended.
func (d *decoder) end(key, value []byte, layout string, row *Row) time.Time {
	text, ok := unquote(value)
	end, err := time.Parse(layout, text)
	switch {
	case !ok || err != nil:
		row.fail(BadRow, "%s: %s is not a time", key, shown(value))
	case end.Before(d.earliest) || end.After(d.latest):
		row.fail(BadTime, "%s: %s cannot be", key, shown(value))
	}
	return end.UTC().Truncate(time.Millisecond)
}

// msPlayed reads a listening time.
func (d *decoder) msPlayed(key, value []byte, row *Row) int64 {
	ms, err := integer(value)
	switch {
	case err != nil:
		row.fail(BadRow, "%s: %s is not a number of milliseconds", key, shown(value))
	case ms < 0 || ms > maxMSPlayed:
		row.fail(BadMSPlayed, "%s: %d is not between 0 and %d", key, ms, maxMSPlayed)
	default:
		row.MSPlayed = ms
	}
	return ms
}

// uri reads the uri of an item, which may be missing.
func (d *decoder) uri(key, value []byte, row *Row) string {
	uri, ok := unquote(value)
	if !ok && !isNull(value) {
		row.fail(BadRow, "%s: %s is not a uri", key, shown(value))
	}
	return uri
}

// fail notes why the row is no report; the first reason stays.
func (r *Row) fail(reason Reason, format string, args ...any) {
	if r.Reason == "" {
		r.Reason, r.Detail = reason, fmt.Sprintf(format, args...)
	}
}

// text reads a text that may be missing.
func (d *decoder) text(key, value []byte) string {
	text, ok := unquote(value)
	if !ok && !isNull(value) {
		d.unknownKey(string(key) + " (of another type)")
	}
	return text
}

// name reads a name or title. Some have a word joiner in front (U+2060), which
// keeps Spotify's own apps from taking them for something else; it is left out.
func (d *decoder) name(key, value []byte, row *Row) string {
	name := d.text(key, value)
	row.Damaged = row.Damaged || strings.ContainsRune(name, '\ufffd')
	return strings.TrimLeft(name, "\u2060")
}

// flag reads a truth value that may be missing.
func (d *decoder) flag(key, value []byte) *bool {
	switch string(value) {
	case "true":
		return new(true)
	case "false":
		return new(false)
	case "null":
	default:
		d.unknownKey(string(key) + " (of another type)")
	}
	return nil
}

// number reads a whole number that may be missing: 0.
func (d *decoder) number(key, value []byte) int64 {
	n, err := integer(value)
	if err != nil && !isNull(value) {
		d.unknownKey(string(key) + " (of another type)")
	}
	return n
}

// unknownKey counts a key. Files made to fill the memory get no further than
// a hundred of them.
func (d *decoder) unknownKey(key string) {
	if len(key) > 64 {
		key = key[:64]
	}
	key = strings.ToValidUTF8(key, "\ufffd")
	if _, ok := d.unknown[key]; ok || len(d.unknown) < 100 {
		d.unknown[key]++
	}
}

// integer reads a whole number, written as one or as 1.5e3.
func integer(value []byte) (int64, error) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(string(value), 64)
	if err != nil {
		return 0, err
	}
	if n = int64(f); float64(n) != f || f >= 1<<63 || f < -1<<63 {
		return 0, strconv.ErrRange
	}
	return n, nil
}

func isNull(value []byte) bool { return string(value) == "null" }

// shown is a value for an error message: printable and not too long.
func shown(value []byte) string {
	const most = 40
	short := bytes.ToValidUTF8(value[:min(len(value), most)], nil)
	quoted := strconv.Quote(string(bytes.Trim(short, `"`)))
	if len(value) > most {
		quoted += "…"
	}
	return quoted
}

// withoutDeviceID removes the ids of devices, 32 or more hexadecimal digits, that
// some platforms carry: "Partner android_sdk HUAWEI;vtr-l29;<id>;8.0.0_arm64-v8a".
func withoutDeviceID(platform string) string {
	const least = 32
	for start := 0; len(platform)-start >= least; {
		end := start
		for end < len(platform) && isHex(platform[end]) {
			end++
		}
		if end-start >= least {
			platform = platform[:start] + platform[end:]
			continue
		}
		start = end + 1
	}
	return platform
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
