package influx_test

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
)

// line is a decoded line of line protocol.
type line struct {
	measurement string
	tags        map[string]string
	fields      map[string]any // int64, float64, bool, string
	time        int64
}

// decode reads a line as InfluxDB does (docs: line protocol, "Special characters").
func decode(text string) (line, error) {
	l := line{tags: map[string]string{}, fields: map[string]any{}}
	head, rest, ok := cut(text, ' ', false)
	if !ok {
		return l, fmt.Errorf("no fields: %q", text)
	}
	name, tags, more := cut(head, ',', false)
	l.measurement = unescape(name)
	for more {
		var tag string
		tag, tags, more = cut(tags, ',', false)
		key, value, ok := cut(tag, '=', false)
		if !ok || value == "" || strings.HasSuffix(value, `\`) {
			return l, fmt.Errorf("invalid tag format %q in %q", tag, text)
		}
		l.tags[unescape(key)] = unescape(value)
	}
	fields, stamp, ok := cut(rest, ' ', true)
	if !ok {
		return l, fmt.Errorf("no time: %q", text)
	}
	for more := true; more; {
		var field string
		field, fields, more = cut(fields, ',', true)
		key, value, ok := cut(field, '=', false)
		if !ok || value == "" {
			return l, fmt.Errorf("invalid field format %q in %q", field, text)
		}
		parsed, err := decodeValue(value)
		if err != nil {
			return l, fmt.Errorf("field %s: %w", key, err)
		}
		l.fields[unescape(key)] = parsed
	}
	var err error
	l.time, err = strconv.ParseInt(stamp, 10, 64)
	return l, err
}

func decodeValue(value string) (any, error) {
	if inner, ok := strings.CutPrefix(value, `"`); ok {
		inner, ok := strings.CutSuffix(inner, `"`)
		if !ok {
			return nil, fmt.Errorf("open string %q", value)
		}
		return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(inner), nil
	}
	if whole, ok := strings.CutSuffix(value, "i"); ok {
		return strconv.ParseInt(whole, 10, 64)
	}
	if value == "true" || value == "false" {
		return value == "true", nil
	}
	return strconv.ParseFloat(value, 64)
}

// cut cuts at the first sep that is neither behind a backslash nor in quotes,
// which only field values have. As in InfluxDB's scanner, two backslashes are one
// only in quotes.
func cut(s string, sep byte, quotes bool) (before, after string, found bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case quotes && s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted && (i == 0 || s[i-1] != '\\'):
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

func unescape(s string) string {
	return strings.NewReplacer(`\,`, `,`, `\ `, ` `, `\=`, `=`).Replace(s)
}

// encode returns the decoded lines of an entry.
func encode(t *testing.T, e journal.Entry, zone *time.Location) []line {
	t.Helper()
	text, _, err := influx.Encode(e, zone)
	if err != nil {
		t.Fatal(err)
	}
	var lines []line
	for one := range strings.Lines(text) {
		l, err := decode(strings.TrimSuffix(one, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}

func mustZone(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// full is a play of which everything is known: a Sunday evening in UTC, Monday
// 00:30 in Berlin.
func full() *journal.Play {
	ended := time.Date(2026, 3, 1, 23, 30, 0, 123_000_000, time.UTC)
	return &journal.Play{
		ID: 1, Account: "me",
		Item: journal.Item{
			Kind: journal.Track, URI: "spotify:track:6rqhFgbbKwnb9MLmUQDhG6", Name: "Song",
			Artists: []journal.Artist{{ID: "a1", Name: "First"}, {ID: "a2", Name: "Second"}, {Name: "Third"}},
			Album:   "Album", AlbumID: "al1", AlbumArtists: []journal.Artist{{ID: "a9", Name: "Various"}},
			ISRC: "DEXX01234567", ReleaseDate: "1999-04", DurationMS: 180_000, Explicit: new(true), ImageURL: "https://i.scdn.co/image/1",
		},
		EndedAt: ended, StartedAt: ended.Add(-2 * time.Minute), MSPlayed: 100_000, MSPlayedSource: journal.Measured,
		ContextType: "playlist", ContextURI: "spotify:playlist:1", Device: "Kitchen", DeviceType: "Speaker",
		Platform: "linux", Country: "DE", ReasonStart: "clickrow", ReasonEnd: "fwdbtn",
		Shuffle: new(true), Offline: new(false), Incognito: new(false), Skipped: new(true),
		Witnesses: []journal.Witness{journal.Playback, journal.RecentlyPlayed}, PointNS: ended.UnixNano() + 456_789,
	}
}

func entryOf(p *journal.Play) journal.Entry {
	return journal.Entry{Kind: journal.EntryPlay, Account: p.Account, Play: p}
}

func TestAPlayIsOneListenAndItsCredits(t *testing.T) {
	p := full()
	got := encode(t, entryOf(p), mustZone(t, "Europe/Berlin"))
	credit := func(pos, artist, id string) line {
		return line{"listen_artist", map[string]string{"account": "me", "pos": pos}, map[string]any{
			"artist": artist, "artist_id": id, "artist_key": strings.ToLower(artist), "plays": int64(1), "ms_played": int64(100_000), "ms_share": 100_000. / 3,
			"track_id": "6rqhFgbbKwnb9MLmUQDhG6", "kind": "track", "incognito": false,
		}, p.PointNS}
	}
	want := []line{
		{"listen", map[string]string{"account": "me"}, map[string]any{
			"plays": int64(1), "ms_played": int64(100_000), "duration_ms": int64(180_000), "hour": int64(0), "weekday": int64(1),
			"track": "Song", "track_id": "6rqhFgbbKwnb9MLmUQDhG6", "song_key": "first – song", "song_total": influx.Synthetic("first\x1fsong"), "artist": "First", "artist_id": "a1", "artist_key": "first", "artists": "First; Second; Third",
			"album": "Album", "album_id": "al1", "album_key": "various – album", "isrc": "DEXX01234567", "release_year": int64(1999), "image_url": "https://i.scdn.co/image/1",
			"kind": "track", "skipped": true, "shuffle": true, "offline": false, "incognito": false, "device": "Kitchen", "device_type": "Speaker",
			"platform": "linux", "country": "DE", "context_type": "playlist", "context_uri": "spotify:playlist:1",
			"reason_start": "clickrow", "reason_end": "fwdbtn", "explicit": true, "witness": "playback,recently_played",
		}, p.PointNS},
		credit("0", "First", "a1"), credit("1", "Second", "a2"), credit("2", "Third", ""),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// An episode is no song, nor is a chapter: what counts songs leaves both out.
func TestSongsAreMusic(t *testing.T) {
	for kind, is := range map[journal.Kind]bool{journal.Track: true, journal.Local: true, journal.Episode: false, journal.Chapter: false} {
		p := full()
		p.Item.Kind = kind
		fields := encode(t, entryOf(p), time.UTC)[0].fields
		want := map[bool]map[string]any{
			true:  {"song_key": "first – song", "song_total": influx.Synthetic("first\x1fsong")},
			false: {"song_key": "", "song_total": int64(0)},
		}[is]
		for field, value := range want {
			if fields[field] != value {
				t.Errorf("%s: %s is %v, want %v", kind, field, fields[field], value)
			}
		}
		if fields["artist_key"] != "first" || fields["album_key"] != "various – album" {
			t.Errorf("%s: artist %v, album %v", kind, fields["artist_key"], fields["album_key"])
		}
	}
}

// What nobody knows is written as empty, in the type that it has when it is known:
// the point that is overwritten would keep an old value otherwise.
func TestAnUnknownFieldIsWrittenEmpty(t *testing.T) {
	p := full()
	known := encode(t, entryOf(p), time.UTC)[0].fields
	bare := encode(t, entryOf(&journal.Play{Account: "me", Item: journal.Item{Kind: journal.Local}, EndedAt: p.EndedAt, PointNS: p.PointNS}), time.UTC)
	if len(bare) != 1 {
		t.Fatalf("a play without artists is %d lines, want the listen alone", len(bare))
	}
	for field, value := range known {
		empty, ok := bare[0].fields[field]
		if !ok || reflect.TypeOf(empty) != reflect.TypeOf(value) {
			t.Errorf("%s: %T %v of an unknown play, %T of a known one", field, empty, empty, value)
		}
		switch field {
		case "hour", "weekday", "kind":
		default:
			if !reflect.ValueOf(empty).IsZero() {
				t.Errorf("%s: %v, want the zero value", field, empty)
			}
		}
	}
}

func TestHourAndWeekdayAreTheListeners(t *testing.T) {
	for _, test := range []struct {
		ended, zone   string
		hour, weekday int64
	}{
		{"2026-03-01T12:00:00Z", "UTC", 12, 7},              // Sunday is the last day
		{"2026-03-02T00:00:00Z", "UTC", 0, 1},               // Monday the first
		{"2026-03-01T23:30:00Z", "Asia/Kolkata", 5, 1},      // UTC+5:30
		{"2026-03-29T00:59:59Z", "Europe/Berlin", 1, 7},     // summer time begins at 01:00 UTC
		{"2026-03-29T01:00:00Z", "Europe/Berlin", 3, 7},     //
		{"2026-10-25T01:30:00Z", "Europe/Berlin", 2, 7},     // the second 02:30 of that night
		{"2026-01-01T02:00:00Z", "America/New_York", 21, 3}, // the day before
	} {
		ended, err := time.Parse(time.RFC3339, test.ended)
		if err != nil {
			t.Fatal(err)
		}
		p := full()
		p.EndedAt, p.PointNS = ended, ended.UnixNano()
		fields := encode(t, entryOf(p), mustZone(t, test.zone))[0].fields
		if fields["hour"] != test.hour || fields["weekday"] != test.weekday {
			t.Errorf("%s in %s: hour %v weekday %v, want %d %d", test.ended, test.zone, fields["hour"], fields["weekday"], test.hour, test.weekday)
		}
	}
}

func TestAPlayCountsFrom30Seconds(t *testing.T) {
	for ms, plays := range map[int64]int64{0: 0, 29_999: 0, 30_000: 1} {
		p := full()
		p.MSPlayed = ms
		for _, l := range encode(t, entryOf(p), time.UTC) {
			if l.fields["plays"] != plays {
				t.Errorf("%s of %d ms: plays %v, want %d", l.measurement, ms, l.fields["plays"], plays)
			}
		}
	}
}

func TestReleaseYear(t *testing.T) {
	for date, year := range map[string]int64{"": 0, "0000": 0, "0000-01-01": 0, "1981": 1981, "1981-12": 1981, "1981-12-15": 1981, "soon": 0} {
		p := full()
		p.Item.ReleaseDate = date
		if got := encode(t, entryOf(p), time.UTC)[0].fields["release_year"]; got != year {
			t.Errorf("%q: %v, want %d", date, got, year)
		}
	}
}

func TestOtherEntries(t *testing.T) {
	first, last := time.UnixMilli(1_600_000_000_001), time.UnixMilli(1_700_000_000_002)
	total := &journal.Total{Key: "key", ID: "id", Name: "Name", Artist: "Artist", ImageURL: "url", Plays: 7, MSPlayed: 8, First: first, Last: last}
	totalFields := map[string]any{"key": "key", "id": "id", "name": "Name", "artist": "Artist", "artist_key": "artist", "image_url": "url", "plays": int64(7), "ms_played": int64(8),
		"first_ms": int64(1_600_000_000_001), "last_ms": int64(1_700_000_000_002)}
	me := map[string]string{"account": "me"}
	year := map[string]string{"account": "me", "year": "2024"}
	synthetic := func(key string) string {
		return time.Unix(0, influx.Synthetic(key)).UTC().Format(time.RFC3339Nano)
	}
	from := time.UnixMilli(1_650_000_000_003)
	gap := &journal.Gap{From: from, To: last}
	for name, test := range map[string]struct {
		entry   journal.Entry
		lines   []line
		deletes []string
	}{
		"artist total": {journal.Entry{Kind: journal.EntryArtistTotal, Total: total}, []line{{"artist_total", me, totalFields, influx.Synthetic("key")}}, nil},
		"album total":  {journal.Entry{Kind: journal.EntryAlbumTotal, Total: total}, []line{{"album_total", me, totalFields, influx.Synthetic("key")}}, nil},
		"track total":  {journal.Entry{Kind: journal.EntryTrackTotal, Total: total}, []line{{"track_total", me, totalFields, influx.Synthetic("key")}}, nil},
		"empty total":  {journal.Entry{Kind: journal.EntryTrackTotal, Total: &journal.Total{Key: "key"}}, nil, []string{"track_total,account=me " + synthetic("key")}},
		"play gone": {journal.Entry{Kind: journal.EntryPlayGone, TimeNS: 1_700_000_000_000_000_001}, nil,
			[]string{"listen,account=me 2023-11-14T22:13:20.000000001Z", "listen_artist,account=me 2023-11-14T22:13:20.000000001Z"}},
		"year": {journal.Entry{Kind: journal.EntryArtistYear, Year: 2024, Ranked: []journal.Total{*total, {Key: "b", Name: "B", Plays: 1, MSPlayed: 2}}, Left: []string{"c"}},
			[]line{
				{"artist_year", year, map[string]any{"key": "key", "name": "Name", "rank": int64(1), "plays": int64(7), "ms_played": int64(8)}, influx.Synthetic("key")},
				{"artist_year", year, map[string]any{"key": "b", "name": "B", "rank": int64(2), "plays": int64(1), "ms_played": int64(2)}, influx.Synthetic("b")},
			},
			[]string{"artist_year,account=me,year=2024 " + synthetic("c")}},
		"gap": {journal.Entry{Kind: journal.EntryGap, Gap: gap},
			[]line{{"gap", me, map[string]any{"ended_ms": last.UnixMilli(), "open": true}, from.UnixNano()}}, nil},
		"account": {journal.Entry{Kind: journal.EntryAccount},
			[]line{{"account", me, map[string]any{"timezone": "Europe/Berlin", "name": "Name of me"}, influx.Synthetic("me")}}, nil},
	} {
		test.entry.Account = "me"
		if got := encode(t, test.entry, mustZone(t, "Europe/Berlin")); !reflect.DeepEqual(got, test.lines) {
			t.Errorf("%s:\ngot  %v\nwant %v", name, got, test.lines)
		}
		if _, deletes, _ := influx.Encode(test.entry, time.UTC); !reflect.DeepEqual(deletes, test.deletes) {
			t.Errorf("%s deletes %q, want %q", name, deletes, test.deletes)
		}
	}
}

// The synthetic time is part of what is stored: another one would leave the old
// points where they are, beside the new.
func TestSyntheticTimeNeverChanges(t *testing.T) {
	for key, want := range map[string]int64{"": 946_684_800_000_000_000 + 0xcbf29ce484222325%86_400_000_000_000, "a": 946_684_800_000_000_000 + 0xaf63dc4c8601ec8c%86_400_000_000_000} {
		if got := influx.Synthetic(key); got != want {
			t.Errorf("%q: %d, want %d", key, got, want)
		}
	}
}

func TestEntriesThatHaveNoPoint(t *testing.T) {
	for name, change := range map[string]func(*journal.Entry){
		"no account":         func(e *journal.Entry) { e.Account = "" },
		"only a backslash":   func(e *journal.Entry) { e.Account = `\` },
		"zero time":          func(e *journal.Entry) { e.Play.PointNS = 0 },
		"time before 2000":   func(e *journal.Entry) { e.Play.PointNS = time.Date(1999, 12, 31, 23, 0, 0, 0, time.UTC).UnixNano() },
		"time after 2200":    func(e *journal.Entry) { e.Play.PointNS = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano() },
		"a kind of tomorrow": func(e *journal.Entry) { e.Kind = 99 },
	} {
		e := entryOf(full())
		change(&e)
		if lines, _, err := influx.Encode(e, time.UTC); err == nil {
			t.Errorf("%s: encoded as %q, want an error", name, lines)
		}
	}
}

func TestLongTextIsCutBetweenRunes(t *testing.T) {
	p := full()
	p.Item.Name = "x" + strings.Repeat("é", 40_000)
	got := encode(t, entryOf(p), time.UTC)[0].fields["track"].(string)
	if len(got) != 64<<10-1 || !utf8.ValidString(got) {
		t.Errorf("80,001 bytes became %d, valid %v; want 65,535 and valid", len(got), utf8.ValidString(got))
	}
}

// FuzzEncode: whatever a title, an artist or an alias is made of, a play is one
// line for the listen and one for each credit, and reads back as it was, but for
// control characters, which are spaces, and bytes that are no UTF-8.
func FuzzEncode(f *testing.F) {
	for _, s := range unsanitary {
		f.Add(s, s, "me")
		f.Add("a", "b", s)
	}
	f.Fuzz(func(t *testing.T, title, artist, account string) {
		p := full()
		p.Item.Name, p.Item.Artists, p.Account = title, []journal.Artist{{Name: artist}}, account
		text, _, err := influx.Encode(entryOf(p), time.UTC)
		tag := strings.TrimRight(sanitary(account, 1<<10), `\`)
		if tag == "" {
			if err == nil {
				t.Fatalf("account %q encoded as %q", account, text)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if len(lines) != 2 {
			t.Fatalf("%d lines, want 2: %q", len(lines), text)
		}
		want := map[string]any{"track": sanitary(title, 64<<10), "artist": sanitary(artist, 64<<10)}
		for _, one := range lines {
			l, err := decode(one)
			if err != nil {
				t.Fatal(err)
			}
			if l.tags["account"] != tag {
				t.Errorf("account %q became %q", account, l.tags["account"])
			}
			for field, value := range l.fields {
				if w, ok := want[field]; ok && value != w {
					t.Errorf("%s %q became %q", field, w, value)
				}
			}
			if l.time != p.PointNS {
				t.Errorf("time %d became %d", p.PointNS, l.time)
			}
		}
	})
}

// sanitary is what is to become of a text, written without looking at the code.
func sanitary(s string, size int) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x20 || r == 0x7f {
			r = ' '
		}
		if b.Len()+utf8.RuneLen(r) > size {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// unsanitary are texts that have broken line protocol somewhere.
var unsanitary = []string{
	"plain", `"quoted"`, `"open`, `back\slash`, `ends in \`, `ends in \\`, `\"`, `\,`, `\ `, "two\nlines", "carriage\r\nreturn", "tab\tstop", "form\ffeed", "nul\x00byte",
	"a,b=c d", "emoji 🎧👩‍🎤", "zero\u2060width", "invalid \xff\xfe utf8", "", " ", "  leading and trailing  ", "#comment", "i", "1i", "true", "<nil>", "\u2028line separator", "${expression}", `'); DROP`,
}
