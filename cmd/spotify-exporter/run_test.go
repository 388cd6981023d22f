package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

// runningDaemon is `run` in this process.
type runningDaemon struct {
	URL  string // of what it serves
	errs *output
	stop context.CancelFunc
	end  chan int
}

// startDaemon starts `run` and waits until it says that it has started.
func startDaemon(t *testing.T, clk clock.Clock) *runningDaemon {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	d := &runningDaemon{errs: &output{}, stop: cancel, end: make(chan int, 1)}
	p := &program{stdin: strings.NewReader(""), stdout: &output{}, stderr: d.errs, clock: clk}
	go func() { d.end <- p.run(ctx, []string{"run"}) }()
	t.Cleanup(func() { d.finish(t) })
	eventually(t, 10*time.Second, "the daemon has started", func() bool {
		d.URL = startedURL(d.errs.String())
		if len(d.end) > 0 {
			t.Fatalf("run has ended: %s", d.errs.String())
		}
		return d.URL != ""
	})
	return d
}

// startedURL finds in a log in JSON where the daemon serves; "" if it does not
// yet.
func startedURL(log string) string {
	for line := range strings.Lines(log) {
		var entry struct{ Msg, Address string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "started" {
			return "http://" + entry.Address
		}
	}
	return ""
}

// finish ends the daemon as a signal would.
func (d *runningDaemon) finish(t *testing.T) {
	t.Helper()
	d.stop()
	select {
	case exit := <-d.end:
		if exit != exitDone {
			t.Errorf("run: exit code %d: %s", exit, d.errs.String())
		}
		d.end <- exit
	case <-time.After(15 * time.Second):
		t.Fatalf("run does not end: %s", d.errs.String())
	}
}

// get returns what an address answers with status 200, "" otherwise.
func get(t *testing.T, address string) string {
	t.Helper()
	response, err := http.Get(address)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

func TestRun(t *testing.T) {
	clk := clock.New(time.Now(), 60)
	sim := simulate(t, clk, map[string]string{"SPOTIFY_NICE": "x", "TIMEZONE": "Asia/Tokyo"})
	me := sim.AddUser("me-id", "Me")

	notified, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notified.Close()
	t.Setenv("NOTIFY_SOCKET", notified.LocalAddr().String())

	// It starts without a login and without InfluxDB, and says so.
	d := startDaemon(t, clk)
	message := make([]byte, 100)
	notified.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, _, err := notified.ReadFrom(message); err != nil || string(message[:n]) != "READY=1" {
		t.Errorf("systemd is told %q (%v)", message[:n], err)
	}
	eventually(t, 5*time.Second, "it says what is missing", func() bool {
		log := d.errs.String()
		return strings.Contains(log, "no InfluxDB: the journal is the only store") && strings.Contains(log, "spotify-exporter login") && strings.Contains(log, "SPOTIFY_NICE")
	})
	if log := d.errs.String(); !strings.Contains(log, "only this machine can reach the metrics") || !strings.Contains(log, "WEB_LISTEN_ADDRESS=:10178") {
		t.Errorf("it does not say who can reach it:\n%s", log)
	}
	if get(t, d.URL+"/-/healthy") == "" || get(t, d.URL+"/-/ready") == "" {
		t.Error("neither healthy nor ready without a login")
	}
	if page := get(t, d.URL+"/"); !strings.Contains(page, "SPOTIFY_NICE is set but has no meaning here") {
		t.Errorf("the landing page does not warn:\n%s", page)
	}

	// It notices a login.
	me.At(clk.Now().Add(-20*time.Minute)).Play(spotifysim.NewTrack("Over", "Somebody", 4*time.Minute), spotifysim.NewTrack("Now", "Somebody", 2*time.Hour))
	logIn(t, "me", me)
	eventually(t, 20*time.Second, "the play of the new login is in the journal", func() bool {
		out, _ := command(t, exitDone, "plays", "--format", "jsonl")
		return strings.Contains(out, `"name":"Over"`)
	})
	var metrics string
	eventually(t, 20*time.Second, "metrics say what plays", func() bool {
		metrics = get(t, d.URL+"/metrics")
		return strings.Contains(metrics, `spotify_now_playing_info{account="me",album="`) && strings.Contains(metrics, "spotify_journal_plays 1")
	})
	// Nothing waits for an InfluxDB that there is not.
	if !strings.Contains(metrics, "spotify_journal_pending_points 0\n") || strings.Contains(metrics, "spotify_journal_oldest_pending") || strings.Contains(metrics, "spotify_influx_up") {
		t.Errorf("without InfluxDB there is a backlog:\n%s", metrics)
	}

	// Everything else works beside it.
	address := strings.TrimPrefix(d.URL, "http://")
	t.Setenv("WEB_LISTEN_ADDRESS", address)
	t.Setenv("INFLUX_TOKEN_FILE", filepath.Join(t.TempDir(), "gone")) // the daemon serves all the same
	command(t, exitDone, "health")
	t.Setenv("INFLUX_TOKEN_FILE", "")
	if out, _ := commandAt(t, clk, exitDone, "check"); !strings.Contains(out, "run serves on "+address) {
		t.Errorf("check beside run:\n%s", out)
	}
	command(t, exitDone, "gaps")
	command(t, exitDone, "replay")

	// There is one run for each journal, and it is said which mistake it is.
	if _, errs := command(t, exitFailed, "run"); !strings.Contains(errs, "WEB_LISTEN_ADDRESS: port") || !strings.Contains(errs, "another spotify-exporter is using this journal") || strings.Count(errs, "journal.db") != 1 {
		t.Errorf("second run: %s", errs)
	}
	t.Setenv("WEB_LISTEN_ADDRESS", "127.0.0.1:0")
	if _, errs := command(t, exitFailed, "run"); !strings.Contains(errs, "another spotify-exporter is using this journal") || !strings.Contains(errs, "choose another DATA_DIR; an import or replay that sends to InfluxDB ends by itself") || strings.Count(errs, "journal.db") != 1 {
		t.Errorf("second run on another port: %s", errs)
	}

	d.finish(t)
	if log := d.errs.String(); strings.Contains(log, `"ERROR"`) || strings.Contains(log, "tells no state") {
		t.Errorf("an orderly end is logged as if it were none:\n%s", log)
	}
	t.Setenv("WEB_LISTEN_ADDRESS", address)
	command(t, exitFailed, "health")
}

// TestStopBeforeTheJournalIsOpen sends a signal while an older journal waits to be
// brought up to date.
// TestRunWithoutInfluxDBThatThereWas gives InfluxDB up after it has refused points:
// nothing is missing there any more, and no alert may say so for ever.
func TestRunWithoutInfluxDBThatThereWas(t *testing.T) {
	simulate(t, clock.Clock{}, nil)
	record(t, "me", oddPlays())
	c, err := loadConfig(anyConfig)
	if err != nil {
		t.Fatal(err)
	}
	j, err := c.openJournal(t.Context(), clock.Clock{})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := j.Take(t.Context(), 0, 1)
	if err == nil {
		err = j.Reject(t.Context(), entries[0], "too old")
	}
	if err := errors.Join(err, j.Close()); err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, clock.Clock{})
	if metrics := get(t, d.URL+"/metrics"); !strings.Contains(metrics, "spotify_journal_rejected_points 0\n") {
		t.Errorf("points are missing in an InfluxDB that there is not:\n%s", metrics)
	}
}

func TestStopBeforeTheJournalIsOpen(t *testing.T) {
	simulate(t, clock.Clock{}, nil)
	address := freeAddress(t)
	t.Setenv("WEB_LISTEN_ADDRESS", address)
	record(t, "me")
	db, err := sql.Open("sqlite", filepath.Join(os.Getenv("DATA_DIR"), "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, statement := range []string{"PRAGMA user_version = 0", "BEGIN IMMEDIATE"} { // which keeps everybody else from writing
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}

	ctx, signal := context.WithCancel(t.Context())
	var errs output
	p := &program{stdin: strings.NewReader(""), stdout: &output{}, stderr: &errs}
	end := make(chan int, 1)
	go func() { end <- p.run(ctx, []string{"run"}) }()
	eventually(t, 10*time.Second, "it serves", func() bool { return get(t, "http://"+address+"/-/healthy") != "" })
	if get(t, "http://"+address+"/-/ready") != "" {
		t.Error("ready without a journal")
	}
	signal()
	select {
	case exit := <-end:
		if exit != exitDone {
			t.Errorf("exit code %d: %s", exit, errs.String())
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("run does not end: %s", errs.String())
	}
}

func TestCheckTellsTheDaemonsPlan(t *testing.T) {
	sim := simulate(t, clock.Clock{}, nil)
	logIn(t, "me", sim.AddUser("me", "Me"))
	d := startDaemon(t, clock.Clock{})
	eventually(t, 20*time.Second, "check tells the plan", func() bool {
		out, _ := command(t, exitDone, "check")
		return strings.HasPrefix(findings(out)["plan, me"], "ok: asks Spotify again in ")
	})
	d.finish(t)
	if out, _ := command(t, exitDone, "check"); findings(out)["plan, me"] != "" {
		t.Errorf("without a daemon there is no plan:\n%s", out)
	}
}

func TestNowPlayingIsPrivateOnRequest(t *testing.T) {
	clk := clock.New(time.Now(), 60)
	sim := simulate(t, clk, map[string]string{"NOW_PLAYING_INFO": "false"})
	me := sim.AddUser("me-id", "Me")
	me.At(clk.Now().Add(-time.Minute)).Play(spotifysim.NewTrack("Secret Song", "Somebody", 2*time.Hour))
	logIn(t, "me", me)
	d := startDaemon(t, clk)
	eventually(t, 10*time.Second, "something plays", func() bool {
		return strings.Contains(get(t, d.URL+"/metrics"), `spotify_playing{account="me"} 1`)
	})
	if shown := get(t, d.URL+"/metrics") + get(t, d.URL+"/"); strings.Contains(shown, "Secret Song") || strings.Contains(shown, "spotify_now_playing_info") {
		t.Errorf("what plays is told:\n%s", shown)
	}
}

func TestWebConfigFile(t *testing.T) {
	simulate(t, clock.Clock{}, map[string]string{"WEB_CONFIG_FILE": "/nowhere.yml"})
	if _, errs := command(t, exitConfig, "run"); !strings.Contains(errs, "WEB_CONFIG_FILE: /nowhere.yml") {
		t.Errorf("run: %s", errs)
	}
}

func TestDemo(t *testing.T) {
	setEnvironment(t, map[string]string{"WEB_LISTEN_ADDRESS": "127.0.0.1:0"})
	// What may be in the environment is not the demo's business.
	t.Setenv("INFLUX_URL", "http://127.0.0.1:1")
	t.Setenv("INFLUX_TOKEN", "hidden")
	out, errs := command(t, exitDone, "demo", "--for", "6s", "--speed", "400", "--json")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	var outcome map[string]int
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &outcome); err != nil {
		t.Fatalf("last line: %v in %s", err, out)
	}
	if len(outcome) != 7 || outcome["played"] < 15 || outcome["recorded"] != outcome["played"] || outcome["lost"] != 0 || outcome["doubled"] != 0 ||
		outcome["short_played"] == 0 || outcome["short_recorded"] > outcome["short_played"] || outcome["requests"] == 0 {
		t.Errorf("outcome: %v\n%s", outcome, errs)
	}
	for _, want := range []string{"http://localhost:", "/metrics", "\nplays ", "\nrecorded ", "recently played\n", "Lost:     0"} {
		if !strings.Contains(errs, want) {
			t.Errorf("demo does not show %q:\n%s", want, errs)
		}
	}
	if entries, err := os.ReadDir(os.Getenv("DATA_DIR")); err != nil || len(entries) > 0 {
		t.Errorf("the demo has left %v (%v)", entries, err)
	}
}

func TestDemoBesideAnother(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	setEnvironment(t, map[string]string{"WEB_LISTEN_ADDRESS": listener.Addr().String()})
	out, _ := command(t, exitDone, "demo", "--for", "1s", "--speed", "1")
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	if strings.Contains(out, ":"+port) || !strings.Contains(out, "http://localhost:") {
		t.Errorf("demo with its port in use:\n%s", out)
	}
}

func TestCompare(t *testing.T) {
	track := spotifysim.NewTrack("On repeat", "Somebody", time.Minute)
	played := []spotifysim.Played{
		{Item: track, EndedAt: evening, MSPlayed: 60_000},
		{Item: track, EndedAt: evening.Add(time.Minute), MSPlayed: 60_000},
		{Item: spotifysim.NewTrack("Skipped", "Somebody", time.Minute), EndedAt: evening.Add(70 * time.Second), MSPlayed: 10_000},
	}
	once := playOf(track.URI, evening.Add(time.Second))
	twice := playOf(track.URI, evening.Add(time.Minute))
	late := playOf(track.URI, evening.Add(2*time.Hour))
	until := evening.Add(time.Hour)
	tests := []struct {
		name     string
		recorded []journal.Play
		want     demoOutcome
	}{
		{"all", []journal.Play{once, twice}, demoOutcome{Played: 2, Recorded: 2, ShortPlayed: 1}},
		{"one lost", []journal.Play{twice}, demoOutcome{Played: 2, Recorded: 1, Lost: 1, ShortPlayed: 1}},
		{"one doubled", []journal.Play{once, twice, twice}, demoOutcome{Played: 2, Recorded: 2, Doubled: 1, ShortPlayed: 1}},
		{"one that is none", []journal.Play{once, twice, playOf("spotify:track:other", evening)}, demoOutcome{Played: 2, Recorded: 2, Doubled: 1, ShortPlayed: 1}},
		{"one that is later", []journal.Play{once, twice, late}, demoOutcome{Played: 2, Recorded: 2, ShortPlayed: 1}},
	}
	for _, test := range tests {
		if got := compare(played, test.recorded, until); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

func playOf(uri string, ended time.Time) journal.Play {
	return journal.Play{Item: journal.Item{URI: uri}, EndedAt: ended}
}

// TestRunForOthers opens the metrics to the network, for a name that is told.
func TestRunForOthers(t *testing.T) {
	simulate(t, clock.Clock{}, map[string]string{"WEB_LISTEN_ADDRESS": ":0", "WEB_HOSTS": "music.example.org, nas.example.org"})
	d := startDaemon(t, clock.Clock{})
	eventually(t, 5*time.Second, "it says who can reach it", func() bool {
		log := d.errs.String()
		return strings.Contains(log, "whoever can reach this address") && strings.Contains(log, "WEB_LISTEN_ADDRESS=127.0.0.1:10178")
	})
	for host, want := range map[string]int{"nas.example.org:10178": http.StatusOK, "evil.example.org:10178": http.StatusMisdirectedRequest} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("of host %s: %d, want %d", host, answer.StatusCode, want)
		}
	}
	d.finish(t)
}
