package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/history/historytest"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
)

// useInflux configures the program for a bucket of its own.
func useInflux(t *testing.T, server *influxtest.Server) (bucket string) {
	t.Helper()
	bucket = server.Bucket(t)
	t.Setenv("INFLUX_URL", server.URL)
	t.Setenv("INFLUX_ORG", server.Org)
	t.Setenv("INFLUX_BUCKET", bucket)
	t.Setenv("INFLUX_TOKEN", server.Token)
	return bucket
}

// year is what was played in one.
type year struct {
	listens int64
	hours   float64
}

// yearsIn asks InfluxDB.
func yearsIn(t *testing.T, server *influxtest.Server, bucket string) map[int]year {
	t.Helper()
	years := make(map[int]year)
	for _, row := range server.Query(t, fmt.Sprintf(`import "date"
		from(bucket: %q) |> range(start: 0) |> filter(fn: (r) => r._measurement == "listen" and r._field == "ms_played")
		|> map(fn: (r) => ({year: date.year(t: r._time), _value: r._value})) |> group(columns: ["year"])
		|> reduce(identity: {n: 0, ms: 0}, fn: (r, accumulator) => ({n: accumulator.n + 1, ms: accumulator.ms + r._value}))`, bucket)) {
		years[int(row["year"].(int64))] = year{row["n"].(int64), float64(row["ms"].(int64)) / 3_600_000}
	}
	return years
}

func TestImportArrivesInInfluxDB(t *testing.T) {
	path := filepath.Join(t.TempDir(), "my_spotify_data.zip")
	listening := historytest.New(historytest.Options{Rows: 20_000, Seed: 3})
	writeZip(t, path, listening.WriteExtended)
	want := make(map[int]year)
	for p := range listening.Plays() {
		if p.Kind != "unknown" && !p.Incognito {
			y := want[p.EndedAt.Year()]
			want[p.EndedAt.Year()] = year{y.listens + 1, y.hours + float64(p.MSPlayed)/3_600_000}
		}
	}
	arrivesInInfluxDB(t, path, want)
}

// arrivesInInfluxDB imports a history of 2013 to 2024, finds in InfluxDB what its years
// are to have, and takes it back.
func arrivesInInfluxDB(t *testing.T, export string, want map[int]year) {
	influxtest.Require2(t)
	server := influxtest.New(t)
	setEnvironment(t, nil)
	bucket := useInflux(t, server)
	if _, errs := command(t, exitDone, "import", "--wait", export); !strings.Contains(errs, "InfluxDB has everything.") {
		t.Errorf("--wait: %s", errs)
	}

	got := yearsIn(t, server, bucket)
	for y := 2013; y <= 2024; y++ {
		if got[y].listens != want[y].listens || math.Abs(got[y].hours-want[y].hours) > 1e-6 {
			t.Errorf("%d: %+v in InfluxDB, %+v in the export", y, got[y], want[y])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d years in InfluxDB, %d in the export", len(got), len(want))
	}

	// Taken back while InfluxDB is down, it leaves nothing behind when that is up.
	server.Stop(t)
	command(t, exitDone, "import", "--undo", "1")
	server.Start(t)
	small, truth := generated(t, 100)
	if _, errs := command(t, exitDone, "import", "--wait", "--account", "other", small); !strings.Contains(errs, "InfluxDB has everything.") {
		t.Errorf("--wait: %s", errs)
	}
	if got := server.Count(t, bucket, "listen", "ms_played"); got != truth.Exported {
		t.Errorf("%d listens are left, want the %d of the other import", got, truth.Exported)
	}
	for _, measurement := range []string{"listen_artist", "artist_total", "album_total", "track_total", "artist_year"} {
		for _, point := range server.Points(t, bucket, measurement) {
			if point["account"] != "other" {
				t.Fatalf("%s is left of an import that was taken back: %v", measurement, point)
			}
		}
	}
}

func TestImportWithInfluxDBDown(t *testing.T) {
	export, truth := generated(t, 300)
	setEnvironment(t, map[string]string{"INFLUX_URL": "http://" + freeAddress(t), "INFLUX_ORG": "home", "INFLUX_BUCKET": "spotify", "INFLUX_TOKEN": "token"})
	got, errs := runImport(t, export)
	if got.Stored != truth.Plays || !strings.Contains(errs, "InfluxDB cannot be written now") || !strings.Contains(errs, "The plays are kept until it can.") {
		t.Errorf("%+v\n%s", got, errs)
	}
}

func TestImportSaysWhatInfluxDBForgets(t *testing.T) {
	influxtest.Require2(t)
	server := influxtest.Shared(t)
	setEnvironment(t, nil)
	bucket := useInflux(t, server)
	keepForAYear(t, server, bucket)
	export, truth := generated(t, 300)
	_, errs := command(t, exitFailed, "import", "--wait", export)
	if !strings.Contains(errs, "forgets what is older than") || !strings.Contains(errs, "has refused") || !strings.Contains(errs, "replay sends them again") {
		t.Errorf("a bucket that keeps a year: %s", errs)
	}
	if got := len(recordedPlays(t)); got != truth.Plays {
		t.Errorf("%d plays in the journal, want %d", got, truth.Plays)
	}
}

// keepForAYear gives a bucket a retention.
func keepForAYear(t *testing.T, server *influxtest.Server, bucket string) {
	t.Helper()
	call := func(method, route string, body, into any) {
		t.Helper()
		content, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequestWithContext(t.Context(), method, server.URL+route, bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Token "+server.Token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if err := json.NewDecoder(response.Body).Decode(into); err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %s (%v)", method, route, response.Status, err)
		}
	}
	var found struct{ Buckets []struct{ ID string } }
	call(http.MethodGet, "/api/v2/buckets?name="+url.QueryEscape(bucket), nil, &found)
	call(http.MethodPatch, "/api/v2/buckets/"+found.Buckets[0].ID, map[string]any{"retentionRules": []map[string]any{{"type": "expire", "everySeconds": 365 * 24 * 3600}}}, &struct{}{})
}

// Beside a daemon an import holds nothing up and nothing is lost, and the daemon
// sends it.
func TestImportBesideADaemon(t *testing.T) {
	influxtest.Require2(t)
	server := influxtest.Shared(t)
	clk := clock.New(time.Now(), 60)
	sim := simulate(t, clk, nil)
	bucket := useInflux(t, server)
	me := sim.AddUser("me-id", "Me")
	var songs []spotifysim.Item
	for n := range 60 {
		songs = append(songs, spotifysim.NewTrack(fmt.Sprintf("Live %d", n), "Somebody", 3*time.Minute))
	}
	me.At(clk.Now()).Play(songs...)
	logIn(t, "me", me)
	startDaemon(t, clk)
	j := openTestJournal(t)
	defer j.Close()
	began := time.Now().Add(-time.Hour)
	live := func() (n int) {
		for play, err := range j.Plays(t.Context(), journal.Filter{From: began}) {
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(play.Item.Name, "Live ") {
				n++
			}
		}
		return n
	}
	eventually(t, 30*time.Second, "a live play is recorded", func() bool { return live() > 0 })

	// A live play ends every few seconds, and an import may be shorter than that.
	export, truth := generated(t, 10_000)
	imports, during := 0, 0
	for deadline := time.Now().Add(2 * time.Minute); during == 0 && time.Now().Before(deadline); imports++ {
		before := live()
		var errs output
		p := &program{stdin: strings.NewReader(""), stdout: &output{}, stderr: &errs, clock: clk}
		ended := make(chan int, 1)
		account := "me"
		if imports > 0 {
			account = fmt.Sprintf("other%d", imports)
		}
		go func() {
			ended <- p.run(t.Context(), []string{"import", "--wait", "--json", "--account", account, export})
		}()
		eventually(t, 120*time.Second, "the import has ended", func() bool {
			if len(ended) == 0 {
				during = live() - before
				return false
			}
			return true
		})
		if exit := <-ended; exit != exitDone || !strings.Contains(errs.String(), "InfluxDB has everything.") {
			t.Fatalf("import: exit code %d, %s", exit, errs.String())
		}
	}
	if during == 0 {
		t.Error("no live play was recorded while an import ran")
	}
	imported := 0
	for _, point := range server.Points(t, bucket, "listen") {
		if point["witness"] == "extended_history" {
			imported++
		}
	}
	if imported != imports*truth.Exported {
		t.Errorf("%d imported listens in InfluxDB, want %d", imported, imports*truth.Exported)
	}
	if gaps, _ := command(t, exitDone, "gaps", "--json"); gaps != "" {
		t.Errorf("gaps after an import beside the daemon: %s", gaps)
	}
}
