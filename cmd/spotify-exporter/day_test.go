package main

import (
	"cmp"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
)

var day = flag.Duration("day", 2*time.Hour, "how long TestDay's day is; it takes 120 times less")

// process is this program in a process of its own, which may be killed.
type process struct {
	cmd  *exec.Cmd
	errs *output
	URL  string
}

// startProcess starts `run` with a clock that shows what clk shows.
func startProcess(t testing.TB, clk clock.Clock, speed float64) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0], "run"), errs: &output{}}
	shown := clk.Now()
	p.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %g", childClock, time.Now().UnixNano(), shown.UnixNano(), speed))
	p.cmd.Stderr = p.errs
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	eventually(t, 20*time.Second, "the process has started", func() bool {
		p.URL = startedURL(p.errs.String())
		return p.URL != ""
	})
	return p
}

// kill ends the process as a power cut would.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // "signal: killed"
	if strings.Contains(p.errs.String(), "panic") {
		t.Errorf("before it was killed:\n%s", p.errs.String())
	}
}

// TestDay lets the program record a day: a real process, Spotify over real HTTP, a
// real InfluxDB, all that goes wrong in a home, and power cuts. At its end there
// is one point for each play and every field is right.
func TestDay(t *testing.T) {
	const speed = 120
	length := *day
	if testing.Short() {
		length = min(length, time.Hour)
	}
	server := influxtest.New(t)
	bucket := server.Bucket(t)
	start := time.Date(2026, 11, 20, 7, 0, 0, 0, time.UTC)
	clk := clock.New(start, speed)
	sim := simulate(t, clk, map[string]string{
		"TIMEZONE": "Asia/Kolkata", "INFLUX_URL": server.URL, "INFLUX_ORG": server.Org, "INFLUX_BUCKET": bucket,
		"INFLUX_TOKEN": server.Grant(t, bucket, influxtest.Read|influxtest.Write),
	})
	me := sim.AddUser("me-id", "Me")
	end := start.Add(length)
	me.PlayDemo(7, start.Add(time.Minute), length-time.Minute)
	logIn(t, "me", me)
	at := func(share float64) { // waits for that part of the day
		t.Helper()
		if err := clk.Sleep(t.Context(), start.Add(time.Duration(share*float64(length))).Sub(clk.Now())); err != nil {
			t.Fatal(err)
		}
	}
	metric := func(p *process, line string) func() bool {
		return func() bool { return strings.Contains(get(t, p.URL+"/metrics"), "\n"+line+"\n") }
	}

	p := startProcess(t, clk, speed)
	at(0.10)
	p.kill(t)
	p = startProcess(t, clk, speed)

	at(0.20)
	server.Stop(t)
	at(0.26)
	eventually(t, 10*time.Second, "it tells that InfluxDB is gone", metric(p, "spotify_influx_up 0"))
	p.kill(t)
	p = startProcess(t, clk, speed)
	at(0.325)
	server.Start(t)

	at(0.40)
	sim.Fault(spotifysim.Fault{Kind: spotifysim.RateLimited, RetryAfter: 10 * time.Minute, Count: 1})
	eventually(t, 10*time.Second, "the 429 has come", func() bool {
		requests := sim.Requests()
		return requests[len(requests)-1].Status == http.StatusTooManyRequests
	})
	p.kill(t) // the deadline must outlive it
	p = startProcess(t, clk, speed)

	at(0.60)
	me.Revoke()
	eventually(t, 10*time.Second, "the lost login is told", metric(p, `spotify_up{account="me"} 0`))
	requests := len(sim.Requests())
	at(0.65)
	if now := len(sim.Requests()); now > requests+1 {
		t.Errorf("%d requests with a login that is over", now-requests)
	}
	address, _, wait := startLogin(t, clk, exitDone)
	response, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	wait()
	eventually(t, 10*time.Second, "it goes on with the new login", metric(p, `spotify_up{account="me"} 1`))

	at(1)
	played := me.Played(end)
	var recorded []journal.Play
	eventually(t, clk.Real(demoLate)+20*time.Second, "everything that was played is in the journal and in InfluxDB", func() bool {
		recorded = heldPlays(t, clk)
		o := compare(played, recorded, end)
		return o.Lost == 0 && o.Doubled == 0 && metric(p, "spotify_journal_pending_points 0")()
	})
	o := compare(played, recorded, end)
	t.Logf("%d plays of 30 s and more, %d shorter of which %d were seen, %d requests", o.Played, o.ShortPlayed, o.ShortRecorded, len(sim.Requests()))
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("run ended with %v:\n%s", err, p.errs.String())
	}

	if early := sim.Requests().Early(); early > 0 {
		t.Errorf("%d requests before a Retry-After was over", early)
	}
	if most := sim.Requests().Max(24 * time.Hour); most > 1000 {
		t.Errorf("%d requests in 24 hours", most)
	}
	recorded = heldPlays(t, clk)
	points := server.Points(t, bucket, "listen")
	if len(points) != len(recorded) {
		t.Errorf("%d points of %d plays", len(points), len(recorded))
	}
	checkPoints(t, points, recorded, played)
	credits := 0
	for i := range recorded {
		credits += len(recorded[i].Item.Artists)
	}
	if got := server.Count(t, bucket, "listen_artist", "artist"); got != credits {
		t.Errorf("%d points of credited artists, want %d", got, credits)
	}
}

// heldPlays returns all plays of the journal of DATA_DIR.
func heldPlays(t *testing.T, clk clock.Clock) (plays []journal.Play) {
	t.Helper()
	c, err := loadConfig(anyConfig)
	if err != nil {
		t.Fatal(err)
	}
	j, err := c.openJournal(t.Context(), clk)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for play, err := range j.Plays(t.Context(), journal.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		plays = append(plays, play)
	}
	return plays
}

// checkPoints holds every point against what was really played. Only the
// listening time may be off, by as much as the journal says it may where the
// player was seen to play.
func checkPoints(t *testing.T, points []map[string]any, recorded []journal.Play, played []spotifysim.Played) {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		t.Fatal(err)
	}
	for _, point := range points {
		at := point["_time"].(time.Time)
		i := slices.IndexFunc(recorded, func(p journal.Play) bool { return p.PointNS == at.UnixNano() })
		if i < 0 {
			t.Errorf("a point at %v that is no play: %v", at, point["track"])
			continue
		}
		play := recorded[i]
		truth := slices.MinFunc(played, func(a, b spotifysim.Played) int {
			away := func(p spotifysim.Played) time.Duration {
				if p.Item.URI != play.Item.URI {
					return time.Hour
				}
				return p.EndedAt.Sub(play.EndedAt).Abs()
			}
			return cmp.Compare(away(a), away(b))
		})
		item := truth.Item
		year, _, _ := strings.Cut(item.ReleaseDate, "-")
		releaseYear, _ := strconv.ParseInt(year, 10, 64)
		var artists []string
		for _, artist := range item.Artists {
			artists = append(artists, artist.Name)
		}
		local := play.EndedAt.In(zone)
		counted := int64(0)
		if play.MSPlayed >= 30_000 {
			counted = 1
		}
		want := map[string]any{
			"account": "me", "kind": "track", "plays": counted, "ms_played": play.MSPlayed, "duration_ms": item.Duration.Milliseconds(),
			"hour": int64(local.Hour()), "weekday": int64((local.Weekday()+6)%7 + 1),
			"track": item.Name, "track_id": strings.TrimPrefix(item.URI, "spotify:track:"), "artist": artists[0], "artist_id": item.Artists[0].ID,
			"artists": strings.Join(artists, "; "), "album": item.Album.Name, "album_id": item.Album.ID, "isrc": item.ISRC, "release_year": releaseYear,
			"explicit": item.Explicit, "incognito": false,
		}
		listed := slices.Contains(play.Witnesses, journal.RecentlyPlayed)
		if slices.Contains(play.Witnesses, journal.Playback) {
			want["device"], want["device_type"], want["shuffle"] = truth.Device.Name, truth.Device.Type, truth.Shuffle
			if truth.Context != nil {
				want["context_type"], want["context_uri"] = truth.Context.Type, truth.Context.URI
			}
		}
		for field, value := range want {
			if point[field] != value {
				t.Errorf("%s at %v: %s is %v, want %v", item.Name, at, field, point[field], value)
			}
		}
		if listed && !play.EndedAt.Equal(truth.EndedAt) {
			t.Errorf("%s ended at %v, want %v", item.Name, play.EndedAt, truth.EndedAt)
		}
		if truth.MSPlayed >= 30_000 && !listed {
			t.Errorf("%s at %v: Spotify's list has it, but %v saw it", item.Name, at, play.Witnesses)
		}
		off := max(play.MSPlayed-truth.MSPlayed, truth.MSPlayed-play.MSPlayed)
		if off > play.MSPlayedError {
			t.Errorf("%s at %v: %d ms played is %d off, and said to be %d off at most (%s, %v)", item.Name, at, play.MSPlayed, off, play.MSPlayedError, play.MSPlayedSource, play.Witnesses)
		}
	}
}
