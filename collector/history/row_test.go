package history_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/history"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}

// A play has the same identity in an export with the old keys and in one with
// the new ones.
func TestOldAndNewKeysAgree(t *testing.T) {
	const old = `[{
		"ts": "2023-04-16T06:56:15Z", "username": "u", "platform": "ios", "ms_played": 193893, "conn_country": "EE",
		"ip_addr_decrypted": "0.0.0.0", "user_agent_decrypted": "unknown",
		"master_metadata_track_name": "Fake It", "master_metadata_album_artist_name": "Seether",
		"master_metadata_album_album_name": "Finding Beauty", "spotify_track_uri": "spotify:track:2UNo9DIX2UzaWMJHbCXZ44",
		"episode_name": null, "episode_show_name": null, "spotify_episode_uri": null,
		"reason_start": "unknown", "reason_end": "trackdone", "shuffle": false, "skipped": null, "offline": false,
		"offline_timestamp": 0, "incognito_mode": false }]`
	const renewed = `[{
		"ts": "2023-04-16T06:56:15Z", "platform": "ios", "ms_played": 193893, "conn_country": "EE", "ip_addr": "0.0.0.0",
		"master_metadata_track_name": "Fake It", "master_metadata_album_artist_name": "Seether",
		"master_metadata_album_album_name": "Finding Beauty", "spotify_track_uri": "spotify:track:2UNo9DIX2UzaWMJHbCXZ44",
		"episode_name": null, "episode_show_name": null, "spotify_episode_uri": null,
		"audiobook_title": null, "audiobook_uri": null, "audiobook_chapter_uri": null, "audiobook_chapter_title": null,
		"reason_start": "unknown", "reason_end": "trackdone", "shuffle": false, "skipped": false, "offline": false,
		"offline_timestamp": null, "incognito_mode": false }]`
	a, b := readJSON(t, old)[0].Report, readJSON(t, renewed)[0].Report
	if !reflect.DeepEqual(a, b) {
		t.Errorf("old %+v\nnew %+v", a, b)
	}
	want := journal.Report{
		Witness: journal.ExtendedHistory,
		Item: journal.Item{
			Kind: journal.Track, URI: "spotify:track:2UNo9DIX2UzaWMJHbCXZ44", Name: "Fake It", Album: "Finding Beauty",
			Artists: []journal.Artist{{Name: "Seether"}}, AlbumArtists: []journal.Artist{{Name: "Seether"}},
		},
		EndedAt: at("2023-04-16T06:56:15Z"), MSPlayed: 193893,
		Platform: "ios", Country: "EE", ReasonStart: "unknown", ReasonEnd: "trackdone",
		Shuffle: new(false), Offline: new(false), Incognito: new(false), Skipped: new(false),
	}
	if !reflect.DeepEqual(a, want) {
		t.Errorf("got  %+v\nwant %+v", a, want)
	}
}

func TestTimes(t *testing.T) {
	var none time.Time
	for _, c := range []struct {
		name, ts, offlineTimestamp string
		msPlayed                   int
		started, ended, stamp      time.Time
	}{
		{"no start", "2016-01-01T12:00:00Z", "0", 60000, none, at("2016-01-01T12:00:00Z"), none},
		{"no start, new keys", "2023-01-01T12:00:00Z", "null", 60000, none, at("2023-01-01T12:00:00Z"), none},
		{"a tiny number", "2023-01-01T12:00:00Z", "37", 60000, none, at("2023-01-01T12:00:00Z"), none},
		{"ms, on time", "2020-01-01T12:00:00Z", "1577879939500", 60000, at("2020-01-01T11:58:59.5Z"), at("2020-01-01T12:00:00Z"), none},
		{"ms, just on time", "2020-01-01T12:00:59Z", "1577879939500", 60000, at("2020-01-01T11:58:59.5Z"), at("2020-01-01T12:00:59Z"), none},
		{"ms, uploaded later", "2020-01-03T18:30:00Z", "1577879939500", 60000,
			at("2020-01-01T11:58:59.5Z"), at("2020-01-01T11:59:59.5Z"), at("2020-01-03T18:30:00Z")},
		{"s, on time", "2023-01-01T12:00:00Z", "1672574340", 60000, at("2023-01-01T11:59:00Z"), at("2023-01-01T12:00:00Z"), none},
		{"s, paused for an hour", "2023-01-01T13:00:00Z", "1672574340", 60000, at("2023-01-01T11:59:00Z"), at("2023-01-01T13:00:00Z"), none},
		{"a clock that is hours ahead", "2020-01-01T10:00:00Z", "1577879939500", 60000, at("2020-01-01T11:58:59.5Z"), at("2020-01-01T10:00:00Z"), none},
		{"a clock that is days ahead", "2019-12-30T10:00:00Z", "1577879939500", 60000, none, at("2019-12-30T10:00:00Z"), none},
		{"a clock that is months behind", "2020-04-01T10:00:00Z", "1577879939500", 60000, none, at("2020-04-01T10:00:00Z"), none},
		{"far beyond the calendar", "2020-04-01T10:00:00Z", "9223372036854775807", 60000, none, at("2020-04-01T10:00:00Z"), none},
		{"as a float", "2023-01-01T12:00:00Z", "1.67257434e9", 60000, at("2023-01-01T11:59:00Z"), at("2023-01-01T12:00:00Z"), none},
	} {
		r := readJSON(t, fmt.Sprintf(`[{"ts":%q,"ms_played":%d,"offline_timestamp":%s}]`, c.ts, c.msPlayed, c.offlineTimestamp))[0].Report
		if !r.StartedAt.Equal(c.started) || !r.EndedAt.Equal(c.ended) || !r.Stamp.Equal(c.stamp) {
			t.Errorf("%s: got start %v, end %v, stamp %v", c.name, r.StartedAt, r.EndedAt, r.Stamp)
		}
	}
}

func TestItems(t *testing.T) {
	artists := func(names ...string) (list []journal.Artist) {
		for _, name := range names {
			list = append(list, journal.Artist{Name: name})
		}
		return list
	}
	const extended = `"ts":"2024-05-01T10:00:00Z","ms_played":0`
	for _, c := range []struct {
		row  string
		want journal.Item
	}{
		{extended, journal.Item{}},
		{extended + `,"master_metadata_track_name":null,"spotify_track_uri":null,"episode_name":null`, journal.Item{}},
		{extended + `,"spotify_track_uri":"spotify:track:1","master_metadata_track_name":"\u2060Banquet \"live\"","master_metadata_album_artist_name":"\u00c9l","master_metadata_album_album_name":"B\\C"`,
			journal.Item{Kind: journal.Track, URI: "spotify:track:1", Name: `Banquet "live"`, Album: `B\C`, Artists: artists("Él"), AlbumArtists: artists("Él")}},
		{extended + `,"spotify_track_uri":"spotify:local:a:b:c:60","master_metadata_track_name":"c"`,
			journal.Item{Kind: journal.Local, URI: "spotify:local:a:b:c:60", Name: "c"}},
		{extended + `,"spotify_episode_uri":"spotify:episode:1","episode_name":"E","episode_show_name":"S"`,
			journal.Item{Kind: journal.Episode, URI: "spotify:episode:1", Name: "E", Album: "S", Artists: artists("S"), AlbumArtists: artists("S")}},
		{extended + `,"audiobook_title":"B","audiobook_uri":"spotify:show:1","audiobook_chapter_uri":"spotify:episode:2","audiobook_chapter_title":"C"`,
			journal.Item{Kind: journal.Chapter, URI: "spotify:episode:2", Name: "C", Album: "B", Artists: artists("B"), AlbumArtists: artists("B")}},
		{`"endTime" : "2024-05-01 10:00","msPlayed" : 0,"artistName" : "A","trackName" : "\u2060T"`,
			journal.Item{Kind: journal.Track, Name: "T", Artists: artists("A"), AlbumArtists: artists("A")}},
		{`"endTime" : "2024-05-01 10:00","msPlayed" : 0,"artistName" : "Unknown Artist","trackName" : "Unknown Track"`, journal.Item{}},
		{`"endTime" : "2024-05-01 10:00","msPlayed" : 0,"podcastName" : "S","episodeName" : "E"`,
			journal.Item{Kind: journal.Episode, Name: "E", Album: "S", Artists: artists("S"), AlbumArtists: artists("S")}},
		{`"endTime" : "2024-05-01 10:00","msPlayed" : 0,"audiobookName" : "B","chapterName" : "C","authorName" : "A"`,
			journal.Item{Kind: journal.Chapter, Name: "C", Album: "B", Artists: artists("A"), AlbumArtists: artists("B")}},
	} {
		r := readJSON(t, "[{"+c.row+"}]")[0].Report
		if !reflect.DeepEqual(r.Item, c.want) || !r.EndedAt.Equal(at("2024-05-01T10:00:00Z")) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.row, r.Item, c.want)
		}
	}
}

func TestSkipped(t *testing.T) {
	for _, c := range []struct {
		year                     int
		skipped, reasonEnd, want string
	}{
		{2024, "true", `"fwdbtn"`, "true"},
		{2024, "false", `"trackdone"`, "false"},
		{2024, "false", `"unknown"`, "false"},
		{2020, "null", `"fwdbtn"`, "true"}, // until October 2022
		{2020, "null", `"endplay"`, "true"},
		{2020, "null", `"backbtn"`, "true"},
		{2020, "false", `"backbtn"`, "true"}, // the same in a newer export
		{2020, "null", `"logout"`, "false"},
		{2013, "true", `"clickrow"`, "true"}, // desktop
		{2020, "null", "null", "null"},
		{2020, "null", `"unknown"`, "null"},
		{2020, "false", `"unknown"`, "null"}, // likewise: one play has one answer, whichever export comes first
		{2020, "true", `""`, "true"},
	} {
		r := readJSON(t, fmt.Sprintf(`[{"ts":"%d-05-01T10:00:00Z","ms_played":0,"skipped":%s,"reason_end":%s}]`, c.year, c.skipped, c.reasonEnd))[0].Report
		got := "null"
		if r.Skipped != nil {
			got = fmt.Sprint(*r.Skipped)
		}
		if got != c.want {
			t.Errorf("%d, skipped %s, reason_end %s: got %s, want %s", c.year, c.skipped, c.reasonEnd, got, c.want)
		}
	}
}

func TestFlagsMayBeMissing(t *testing.T) {
	r := readJSON(t, `[{"ts":"2020-05-01T10:00:00Z","ms_played":0,"shuffle":null,"offline":null,"incognito_mode":null,"platform":null,"reason_start":null}]`)[0]
	if r.Reason != "" || r.Report.Shuffle != nil || r.Report.Offline != nil || r.Report.Incognito != nil || r.Report.Platform != "" {
		t.Errorf("got %+v", r)
	}
}

func TestPlatformsWithoutDeviceIDs(t *testing.T) {
	id := strings.Repeat("0a", 16)
	for platform, want := range map[string]string{
		"android": "android",
		"Partner android_sdk HUAWEI;vtr-l29;" + id + ";8.0.0_arm64-v8a": "Partner android_sdk HUAWEI;vtr-l29;;8.0.0_arm64-v8a",
		"x " + strings.ToUpper(id) + "ff":                               "x ",
		id[1:]:                                                          id[1:],
		id + " and " + id:                                               " and ",
	} {
		r := readJSON(t, fmt.Sprintf(`[{"ts":"2020-05-01T10:00:00Z","ms_played":0,"platform":%q}]`, platform))[0].Report
		if r.Platform != want {
			t.Errorf("%q: got %q, want %q", platform, r.Platform, want)
		}
	}
}

// Whatever is wrong with a row, it is accounted for and the next one is read.
func TestBadRows(t *testing.T) {
	tomorrow := time.Now().Add(49 * time.Hour).UTC().Format(time.RFC3339)
	for _, c := range []struct {
		row    string
		reason history.Reason
		detail string // a part of it
	}{
		{`{"ms_played":1}`, history.BadRow, "no ts"},
		{`{"ts":null,"ms_played":1}`, history.BadRow, "ts: \"null\" is not a time"},
		{`{"ts":"yesterday","ms_played":1}`, history.BadRow, `ts: "yesterday" is not a time`},
		{`{"ts":1714557600,"ms_played":1}`, history.BadRow, "ts"},
		{`{"ts":"2024-05-01T10:00:00Z"}`, history.BadRow, "no ms_played"},
		{`{"ts":"2024-05-01T10:00:00Z","ms_played":null}`, history.BadRow, "ms_played"},
		{`{"ts":"2024-05-01T10:00:00Z","ms_played":"long"}`, history.BadRow, `ms_played: "long" is not`},
		{`{"ts":"2024-05-01T10:00:00Z","ms_played":1.5}`, history.BadRow, "ms_played"},
		{`{"ts":"2024-05-01T10:00:00Z","ms_played":{}}`, history.BadRow, "ms_played"},
		{`{"ts":"2024-05-01T10:00:00Z","ms_played":-1}`, history.BadMSPlayed, "-1"},
		{`{"ts":"2024-05-01T10:00:00Z","ms_played":604800001}`, history.BadMSPlayed, "604800001"},
		{`{"ts":"2024-05-01T10:00:00Z","ms_played":1e300}`, history.BadRow, "ms_played"},
		{`{"ts":"1970-01-01T00:00:00Z","ms_played":1}`, history.BadTime, "1970"},
		{`{"ts":"` + tomorrow + `","ms_played":1}`, history.BadTime, tomorrow},
		{`{"ts":"2024-05-01T10:00:00Z","ms_played":1,"spotify_track_uri":7}`, history.BadRow, "spotify_track_uri"},
		{`{"ts":"2024-05-01T10:00:00Z" "ms_played":1}`, history.BadRow, "not a JSON object"},
		{`{"ts":"2024-05-01T10:00:00Z","ms_played":1,}`, history.BadRow, "not a JSON object"},
		{`{"ts":"2024-05-01T10:00:00Z","ms_played":}`, history.BadRow, "not a JSON object"},
		{`"ts"`, history.BadRow, "not a JSON object"},
		{`null`, history.BadRow, "not a JSON object"},
		{`17`, history.BadRow, "not a JSON object"},
		{`[]`, history.BadRow, "not a JSON object"},
	} {
		got := readJSON(t, "["+minimal+","+c.row+","+minimal+"]")
		if len(got) != 3 || got[0].Reason != "" || got[2].Reason != "" {
			t.Errorf("%s: got %+v", c.row, got)
			continue
		}
		bad := got[1]
		if bad.Reason != c.reason || !strings.Contains(bad.Detail, c.detail) || bad.Index != 2 || bad.Offset != int64(len(minimal)+2) {
			t.Errorf("%s: got %+v", c.row, bad)
		}
		if !reflect.DeepEqual(bad.Report, journal.Report{}) {
			t.Errorf("%s: it has a report: %+v", c.row, bad.Report)
		}
	}
}

func TestUnknownKeysAreCounted(t *testing.T) {
	e := open(t, write(t, t.TempDir(), "a.json", []byte(`[`+minimal+`,
		{"ts":"2024-05-01T10:00:00Z","ms_played":1,"new":{"a":["]}",1]},"shuffle":"yes","conn_country":{}},
		{"ts":"2024-05-01T10:00:00Z","ms_played":1,"new":null}]`)))
	for _, row := range rows(t, e) {
		if row.Reason != "" || row.Report.Shuffle != nil {
			t.Errorf("got %+v", row)
		}
	}
	want := map[string]int{"new": 2, "shuffle (of another type)": 1, "conn_country (of another type)": 1}
	if got := e.UnknownKeys(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}
