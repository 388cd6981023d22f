package grafana_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/spotify-exporter/spotify-exporter/collector/history"
	"github.com/spotify-exporter/spotify-exporter/collector/history/historytest"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
)

// The years of a history that the tests import, and the moment at which they look at
// the boards. In between, clocks change twice a year in both of the time zones, on
// days that differ.
var (
	begin = time.Date(2022, 9, 26, 0, 0, 0, 0, time.UTC)
	live  = time.Date(2024, 9, 27, 9, 30, 0, 0, time.UTC) // since then the player is followed
	now   = live.Add(24 * time.Hour)
)

// account is a listener.
type account struct {
	alias   string
	zone    *time.Location
	private bool // RECORD_PRIVATE
	plays   []play
	gaps    []journal.Gap
}

// play is what a journal has of a play that was exported, read past its own code.
type play struct {
	ended                              time.Time // in the zone of the account
	pointNS, msPlayed, durationMS      int64
	kind, uri, name, album, image      string
	songKey, artistKey, albumKey       string
	artists                            []string
	released                           string
	skipped, shuffle, offline, private bool
	device, deviceType, contextType    string
	reasonEnd                          string
}

// database is an InfluxDB with the listening of two accounts in one bucket.
type database struct {
	server   *influxtest.Server
	bucket   string
	token    string // may read the bucket and nothing else, as Grafana's does
	accounts []*account
}

// filled is the database that the tests of this package share, filled by the first
// one that asks.
var filled = func() func(testing.TB) *database {
	var once sync.Once
	var d *database
	return func(t testing.TB) *database {
		t.Helper()
		influxtest.Require2(t) // each test is named where there is none
		once.Do(func() { d = fill(t) })
		if d == nil {
			t.Fatal("the database could not be filled: see the first test that asked for it")
		}
		return d
	}
}()

// fill imports two years of two listeners, and a day that was followed live, the way the
// program does it: one in Berlin, and one in New York, whose private sessions are recorded.
func fill(t testing.TB) *database {
	t.Helper()
	server := influxtest.Shared(t)
	d := &database{server: server, bucket: server.Bucket(t), accounts: []*account{
		{alias: "berlin", zone: zone(t, "Europe/Berlin")},
		{alias: "newyork", zone: zone(t, "America/New_York"), private: true},
	}}
	d.token = server.Grant(t, d.bucket, influxtest.Read)
	for i, path := range []string{berlins(t), madeUp(t, 20_000, 2)} {
		a := d.accounts[i]
		j := a.open(t, filepath.Join(t.TempDir(), "journal.db"))
		importExport(t, j, a.alias, path)
		liveDay(t, j, a)
		a.read(t, j)
		d.export(t, a, j)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	location, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return location
}

// madeUp writes an export of 2013 to September 2024 with so many rows.
func madeUp(t testing.TB, rows int, seed uint64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "my_spotify_data.zip")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := historytest.New(historytest.Options{Rows: rows, Seed: seed}).WriteExtended(file); err != nil {
		t.Fatal(err)
	}
	return path
}

// open opens a journal for the account's plays.
func (a *account) open(t testing.TB, path string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), path, journal.Options{
		Now:           func() time.Time { return now },
		RecordPrivate: a.private,
		Zone:          func(string) *time.Location { return a.zone },
	})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// importExport records an export's plays of the years that the tests look at. Of a third of
// their items it also records what the Web API says, so that there are covers, release
// dates and guests. Some plays are followed by one of the same song that ended in the same
// ms, for which there are two points all the same.
func importExport(t testing.TB, j *journal.Journal, alias, path string) {
	t.Helper()
	export, err := history.Open(t.Context(), []string{path}, nil, history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer export.Close()
	batch, err := j.StartBatch(t.Context(), alias, path)
	if err != nil {
		t.Fatal(err)
	}
	witnessed := journal.Witnessed{Batch: batch}
	record := func() {
		if _, err := j.Record(t.Context(), alias, witnessed); err != nil {
			t.Fatal(err)
		}
		witnessed.Reports, witnessed.Items = nil, nil
	}
	known := map[string]bool{}
	for row, err := range export.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if row.Reason != "" || row.Report.EndedAt.Before(begin) || row.Report.EndedAt.After(live) {
			continue
		}
		witnessed.Reports = append(witnessed.Reports, row.Report)
		if again := row.Report; row.Index%500 == 0 && again.Item.Kind == journal.Track {
			again.MSPlayed = again.MSPlayed/2 + 1
			witnessed.Reports = append(witnessed.Reports, again)
		}
		if item := &row.Report.Item; item.Kind == journal.Track && !known[item.URI] {
			known[item.URI] = true
			if answer, ok := webAPI(item); ok {
				witnessed.Items = append(witnessed.Items, answer)
			}
		}
		if len(witnessed.Reports) == 2_500 {
			record()
		}
	}
	record()
	if _, err := j.EndBatch(t.Context(), batch, "{}", nil); err != nil {
		t.Fatal(err)
	}
}

// webAPI is what the Web API says of a third of the tracks: more than the export does,
// and the same whenever it is asked.
func webAPI(item *journal.Item) (journal.Item, bool) {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(item.URI))
	sum := hash.Sum64()
	if sum%3 > 0 {
		return journal.Item{}, false
	}
	answer := *item
	artist := fnv.New64a()
	_, _ = artist.Write([]byte(item.ArtistKey()))
	answer.Artists = []journal.Artist{{ID: fmt.Sprintf("%022d", artist.Sum64()%1e15), Name: item.Artist()}}
	if sum%5 == 0 {
		answer.Artists = append(answer.Artists, journal.Artist{ID: fmt.Sprintf("%022d", sum%7), Name: fmt.Sprintf("Guest %d", sum%7)})
	}
	answer.AlbumID = fmt.Sprintf("%022d", sum%1e15)
	answer.AlbumArtists = answer.Artists[:1]
	answer.ISRC = fmt.Sprintf("DEX%09d", sum%1e9)
	answer.ReleaseDate = fmt.Sprint(1950 + sum%75)
	answer.DurationMS = int64(120_000 + sum%240_000)
	answer.Explicit = new(sum%11 == 0)
	answer.ImageURL = fmt.Sprintf("https://i.scdn.co/image/%040d", sum%1e15)
	return answer, true
}

// liveDay records the day before now as the poller sees one, with everything that no
// export knows, and a gap before it.
func liveDay(t testing.TB, j *journal.Journal, a *account) {
	t.Helper()
	at := live
	var reports []journal.Report
	for n := range 60 {
		number := n % 23
		item := journal.Item{
			Kind: journal.Track, URI: fmt.Sprintf("spotify:track:%022d", number), Name: fmt.Sprintf("Live %d", number),
			Artists: []journal.Artist{{ID: fmt.Sprintf("%022d", number%5), Name: fmt.Sprintf("Live Artist %d", number%5)}},
			Album:   fmt.Sprintf("Live Album %d", number%7), AlbumID: fmt.Sprintf("%022d", number%7),
			ISRC: fmt.Sprintf("DEX%09d", number), ReleaseDate: fmt.Sprintf("%d-05-04", 1961+number*2), DurationMS: 200_000,
			Explicit: new(number == 3), ImageURL: fmt.Sprintf("https://i.scdn.co/image/%040d", number),
		}
		if number%5 == 4 { // whose key is more than the name in lower case
			item.Artists[0].Name = "Großstadtgeflüster"
		}
		item.AlbumArtists = item.Artists
		if number%4 == 1 {
			item.Artists = append(item.Artists, journal.Artist{ID: fmt.Sprintf("%022d", 99), Name: "Live Guest"})
		}
		if number%4 == 2 && number%5 != 4 {
			item.Artists = append(item.Artists, journal.Artist{Name: "Großstadtgeflüster"})
		}
		switch number {
		case 20:
			item = journal.Item{Kind: journal.Episode, URI: fmt.Sprintf("spotify:episode:%022d", number), Name: "An episode", Artists: []journal.Artist{{Name: "A show"}}, Album: "A show", DurationMS: 1_800_000}
		case 21:
			item = journal.Item{Kind: journal.Chapter, URI: fmt.Sprintf("spotify:episode:%022d", number), Name: "A chapter", Artists: []journal.Artist{{Name: "A book"}}, Album: "A book", DurationMS: 900_000}
		case 22:
			item = journal.Item{Kind: journal.Local, URI: "spotify:local:Band:Demos:Cellar:100", Name: "Cellar", Artists: []journal.Artist{{Name: "Band"}}, Album: "Demos", DurationMS: 100_000}
		}
		played := item.DurationMS
		reason := "trackdone"
		if n%6 == 5 {
			played, reason = 20_000, "fwdbtn"
		}
		began := at.Add(2 * time.Second)
		at = began.Add(time.Duration(played) * time.Millisecond)
		device := [][2]string{{"Kitchen", "Speaker"}, {"Phone", "Smartphone"}, {"Desk", "Computer"}}[n/20]
		report := journal.Report{
			Witness: journal.Playback, Item: item, EndedAt: at, StartedAt: began, MSPlayed: played, EndedError: time.Second,
			ContextType: []string{"playlist", "album", "artist", ""}[n/15], Device: device[0], DeviceType: device[1],
			Shuffle: new(n/15 == 0), Offline: new(n >= 50), Incognito: new(n == 30 || n == 31), Skipped: new(n%6 == 5), ReasonEnd: reason,
		}
		if report.ContextType != "" {
			report.ContextURI = fmt.Sprintf("spotify:%s:%022d", report.ContextType, n/15)
		}
		reports = append(reports, report)
		if n%10 == 9 {
			at = at.Add(3*time.Hour + 50*time.Minute)
		}
	}
	full := journal.Page{FetchedAt: reports[10].EndedAt, Full: true}
	for _, witnessed := range []journal.Witnessed{
		{Page: &journal.Page{FetchedAt: now.Add(-36 * time.Hour)}, Reports: []journal.Report{listed(&reports[0], now.Add(-37*time.Hour))}},
		{Page: &full, Reports: []journal.Report{listed(&reports[1], reports[1].EndedAt), listed(&reports[2], reports[2].EndedAt)}},
		{Reports: reports},
	} {
		if _, err := j.Record(t.Context(), a.alias, witnessed); err != nil {
			t.Fatal(err)
		}
	}
}

// listed is what Spotify's list of the last plays says of a play.
func listed(r *journal.Report, ended time.Time) journal.Report {
	return journal.Report{Witness: journal.RecentlyPlayed, Item: r.Item, EndedAt: ended, MSPlayed: -1, ContextType: r.ContextType, ContextURI: r.ContextURI}
}

// export sends all that a journal has for InfluxDB, and sees that it is there.
//
// InfluxDB 2.9.1 may lose the first write into a shard that is new or was idle: a
// monitor that frees the caches of idle shards every ten seconds can come between the
// making of the cache and the write into it. The write is answered with 204 and is in
// the log on the disk, but queries do not see it before a restart.
func (d *database) export(t testing.TB, a *account, j *journal.Journal) {
	t.Helper()
	exporter, err := influx.New(influx.Options{
		URL: d.server.URL, Org: d.server.Org, Bucket: d.bucket, Token: d.server.Token, Journal: j,
		Zone: func(string) *time.Location { return a.zone },
	})
	if err != nil {
		t.Fatal(err)
	}
	if warning, err := exporter.EnsureBucket(t.Context()); warning != "" || err != nil {
		t.Fatal(warning, err)
	}
	for range 3 {
		for wait := time.Duration(0); wait == 0; {
			if wait, err = exporter.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		state, err := j.State(t.Context())
		if err != nil || state.PendingPoints+state.RejectedPoints > 0 {
			t.Fatalf("%d points pending and %d rejected (%v)", state.PendingPoints, state.RejectedPoints, err)
		}
		held := d.held(t, a)
		if held == len(a.plays) {
			return
		}
		t.Logf("InfluxDB holds %d of %d listens that it has taken: they are sent again", held, len(a.plays))
		if _, err := j.Replay(t.Context(), time.Time{}, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("InfluxDB does not hold what it has taken")
}

// held counts an account's listens.
func (d *database) held(t testing.TB, a *account) int {
	t.Helper()
	rows := d.server.Query(t, fmt.Sprintf(`from(bucket: %q) |> range(start: 2000-01-02T00:00:00Z, stop: 2200-01-01T00:00:00Z)
		|> filter(fn: (r) => r._measurement == "listen" and r._field == "ms_played" and r.account == %q) |> count()`, d.bucket, a.alias))
	if len(rows) == 0 {
		return 0
	}
	return int(rows[0]["_value"].(int64))
}

// read reads from the journal's tables the plays that were exported.
func (a *account) read(t testing.TB, j *journal.Journal) {
	t.Helper()
	var err error
	if a.gaps, err = j.Gaps(context.WithoutCancel(t.Context()), a.alias); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+j.Path()+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), `SELECT ended_ms, point_ns, ms_played, duration_ms, kind, uri, name, album, image_url, song_key, artist_key, album_key,
			artists, release_date, coalesce(skipped, 0), coalesce(shuffle, 0), coalesce(offline, 0), coalesce(incognito, 0), device, device_type, context_type, reason_end
		FROM play JOIN item ON item.id = play.item WHERE kind <> 0 AND (coalesce(incognito, 0) = 0 OR ?) ORDER BY point_ns`, a.private)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var p play
		var endedMS int64
		var kind journal.Kind
		var artists string
		if err := rows.Scan(&endedMS, &p.pointNS, &p.msPlayed, &p.durationMS, &kind, &p.uri, &p.name, &p.album, &p.image, &p.songKey, &p.artistKey, &p.albumKey,
			&artists, &p.released, &p.skipped, &p.shuffle, &p.offline, &p.private, &p.device, &p.deviceType, &p.contextType, &p.reasonEnd); err != nil {
			t.Fatal(err)
		}
		var credits []journal.Artist
		if artists != "" {
			if err := json.Unmarshal([]byte(artists), &credits); err != nil {
				t.Fatal(err)
			}
		}
		for _, artist := range credits {
			p.artists = append(p.artists, artist.Name)
		}
		p.kind, p.ended = kind.String(), time.UnixMilli(endedMS).In(a.zone)
		a.plays = append(a.plays, p)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
