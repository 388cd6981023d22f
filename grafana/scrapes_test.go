package grafana_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
	"github.com/spotify-exporter/spotify-exporter/exporter/prom"
	"github.com/spotify-exporter/spotify-exporter/grafana"
)

// scrapeEvery is the scrape interval of the simulated day.
const scrapeEvery = time.Minute

// scrapes are what Prometheus got from the exporter on a simulated day, as a file
// that promtool makes blocks of.
type scrapes struct {
	text     bytes.Buffer
	from, to time.Time
	points   map[string][]string // fields and tags of what InfluxDB was sent, by measurement
}

// simulated is the simulated day, which the tests of this package share.
var simulated = func() func(*testing.T) *scrapes {
	var once sync.Once
	var day *scrapes
	return func(t *testing.T) *scrapes {
		t.Helper()
		if testing.Short() {
			t.Skip("simulates a day, which takes a while")
		}
		once.Do(func() { day = simulateDay(t) })
		if day == nil {
			t.Fatal("the day could not be simulated: see the first test that asked for it")
		}
		return day
	}
}()

// simulateDay lets the exporter follow two listeners for a day in which much goes
// wrong, and scrapes it. When it ends alice listens, bob's login is over since the
// afternoon, and InfluxDB has just gone.
func simulateDay(t *testing.T) *scrapes {
	t.Helper()
	day, database, dir := &scrapes{}, &influxSink{}, t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		day.from = time.Now()
		at := func(hours float64) time.Time { return day.from.Add(time.Duration(hours * float64(time.Hour))) }
		day.to = at(24)

		sim := spotifysim.New(spotifysim.Options{ClientID: "client", Fail: t.Errorf})
		alice, bob := sim.AddUser("alice-id", "Alice"), sim.AddUser("bob-id", "Bob")
		alice.PlayDemo(1, at(7), time.Hour)
		alice.PlayDemo(2, at(20), 4*time.Hour)
		bob.PlayDemo(3, at(8.5), time.Hour)
		for _, fault := range []spotifysim.Fault{
			{Kind: spotifysim.ServerError, From: at(10), Until: at(10.5)},
			{Kind: spotifysim.Reset, From: at(11), Until: at(11.2)},
			{Kind: spotifysim.RateLimited, RetryAfter: 20 * time.Minute, From: at(12), Count: 1},
			{Kind: spotifysim.Truncated, From: at(13), Until: at(13.1)},
			{Kind: spotifysim.Reset, From: at(20.2), Until: at(22.5)}, // more than 50 plays long: a gap
		} {
			sim.Fault(fault)
		}
		database.gone = func(now time.Time) bool {
			return !now.Before(at(7.3)) && now.Before(at(7.7)) || !now.Before(at(23.8))
		}

		e := startExporter(t, dir, sim, database, map[string]*spotifysim.User{"alice": alice, "bob": bob})
		started := day.from
		for next := day.from.Add(scrapeEvery); !next.After(day.to); next = next.Add(scrapeEvery) {
			time.Sleep(time.Until(next))
			if next.Equal(at(15)) {
				bob.Revoke()
			}
			if next.Equal(at(16)) {
				started = next // as Prometheus sees it
			}
			day.scrape(t, e.metrics)
			fmt.Fprintf(&day.text, "process_start_time_seconds %d %d\n", started.Unix(), next.Unix())
			if next.After(at(15.1)) { // as deploy/prometheus/rules.yml has it
				fmt.Fprintf(&day.text, "ALERTS{alertname=\"SpotifyAuthorizationLost\",alertstate=\"firing\",severity=\"critical\",account=\"bob\"} 1 %d\n", next.Unix())
			}
			e.send(t)
		}
		e.stop(t)
	})
	fmt.Fprintln(&day.text, "# EOF")
	day.points = database.points()
	return day
}

// exporter is the program in a bubble.
type exporter struct {
	began     time.Time
	journal   *journal.Journal
	collector *collector.Collector
	influx    *influx.Exporter
	metrics   http.Handler
	cancel    context.CancelFunc
	running   sync.WaitGroup
}

// published is the state of a publisher that works every six hours, and has failed for
// the first two.
func (e *exporter) published() grafana.State {
	state := grafana.State{Failures: map[grafana.Reason]uint64{}}
	for _, reason := range grafana.Reasons {
		state.Failures[reason] = 0
	}
	up := time.Since(e.began)
	state.Failures[grafana.Network] = uint64(min(2, up.Hours()))
	if up >= 6*time.Hour {
		state.Published = &grafana.Published{At: e.began.Add(up.Truncate(6 * time.Hour)), Duration: 2 * time.Second, Size: 180_000, Panels: 11}
	}
	return state
}

// startExporter starts to follow the users.
func startExporter(t *testing.T, dir string, sim *spotifysim.Spotify, database http.RoundTripper, users map[string]*spotifysim.User) *exporter {
	t.Helper()
	tokens := spotify.Tokens{Dir: filepath.Join(dir, "tokens")}
	for alias, user := range users {
		logIn(t, tokens, alias, user)
	}
	e := &exporter{began: time.Now()}
	var err error
	if e.journal, err = journal.Open(t.Context(), filepath.Join(dir, "journal.db"), journal.Options{}); err != nil {
		t.Fatal(err)
	}
	quota := collector.NewQuota(e.journal, "client", 1000, clock.Clock{}, nil)
	metrics := prom.New(prom.Options{
		Quota:     quota.Peek,
		Collector: func() collector.State { return e.collector.State() },
		Influx: func() influx.State {
			state := e.influx.State()
			state.HeldRatio = map[string]float64{"alice": 1, "bob": 1} // a database that keeps nothing cannot be asked
			return state
		},
		Journal:        e.journal.State,
		Snapshot:       e.published,
		Alerting:       func() *bool { return new(true) },
		NowPlayingInfo: true,
		Version:        "1.0.0",
		Revision:       "0123abc",
	})
	e.metrics = metrics.Handler()
	api, accounts := spotifysim.URLs("http://spotify.test")
	app, err := spotify.New(spotify.Options{
		ClientID: "client", APIURL: api, AccountsURL: accounts, Before: quota.Before,
		Base: metrics.InstrumentSpotify(delayed{sim.Transport()}, spotify.EndpointFromContext),
	})
	if err != nil {
		t.Fatal(err)
	}
	if e.influx, err = influx.New(influx.Options{
		URL: "http://influxdb:8086", Org: "home", Bucket: "spotify", Token: "token", Journal: e.journal, Base: metrics.InstrumentInflux(delayed{database}),
	}); err != nil {
		t.Fatal(err)
	}
	e.collector = collector.New(collector.Options{Journal: e.journal, App: app, Tokens: tokens, Quota: quota})
	ctx, cancel := context.WithCancel(t.Context())
	e.cancel = cancel
	e.running.Go(func() {
		if err := e.collector.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return e
}

// send sends to InfluxDB what waits for it. Doing so once a minute, and not all the
// time, costs a tenth of the CPU.
func (e *exporter) send(t *testing.T) {
	t.Helper()
	for {
		wait, err := e.influx.Step(t.Context())
		if _, away := errors.AsType[*influx.Error](err); err != nil && !away {
			t.Error(err)
		}
		if wait > 0 || err != nil {
			return
		}
	}
}

func (e *exporter) stop(t *testing.T) {
	t.Helper()
	e.cancel()
	e.running.Wait()
	if err := e.journal.Close(); err != nil {
		t.Error(err)
	}
}

// logIn leaves the token file that the login command would.
func logIn(t *testing.T, tokens spotify.Tokens, alias string, user *spotifysim.User) {
	t.Helper()
	refresh, at := user.Token(spotify.Scopes()...)
	content, err := json.Marshal(spotify.Authorization{
		ClientID: "client", Scopes: spotify.Scopes(), AuthorizedAt: at,
		Profile: spotify.Profile{AccountID: user.AccountID(), UserID: user.ID()},
		Token:   spotify.Token{RefreshToken: spotify.Secret(refresh), TokenType: "Bearer"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(tokens.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(tokens.Path(alias), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// scrape adds what the exporter tells now, without what no board asks for.
func (s *scrapes) scrape(t *testing.T, exporter http.Handler) {
	t.Helper()
	answer := httptest.NewRecorder()
	exporter.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://spotify-exporter:10178/metrics", nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("scrape: %d %s", answer.Code, answer.Body)
	}
	now := time.Now().Unix()
	fmt.Fprintf(&s.text, "up 1 %d\n", now)
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if line := lines.Text(); strings.HasPrefix(line, "spotify_") || strings.HasPrefix(line, "process_resident") {
			fmt.Fprintf(&s.text, "%s %d\n", line, now)
		}
	}
}

// delayed answers as others do, an eighth of a second later.
type delayed struct{ http.RoundTripper }

func (d delayed) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(125 * time.Millisecond)
	return d.RoundTripper.RoundTrip(r)
}

// influxSink is an InfluxDB that takes everything, remembers what fields there were, and
// is gone at times.
type influxSink struct {
	gone func(now time.Time) bool

	mu  sync.Mutex
	had map[string]map[string]bool
}

func (s *influxSink) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.gone(time.Now()) {
		return nil, errors.New("connection refused")
	}
	answer := httptest.NewRecorder()
	if r.URL.Path != "/api/v2/write" {
		answer.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(answer, `{"buckets":[]}`)
		return answer.Result(), nil
	}
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.had == nil {
		s.had = map[string]map[string]bool{}
	}
	for line := range strings.Lines(string(body)) {
		keys := lineKey.FindAllStringSubmatch(lineText.ReplaceAllString(line, ""), -1)
		measurement, _, _ := strings.Cut(line, ",")
		if s.had[measurement] == nil {
			s.had[measurement] = map[string]bool{}
		}
		for _, key := range keys {
			s.had[measurement][key[1]] = true
		}
	}
	answer.WriteHeader(http.StatusNoContent)
	return answer.Result(), nil
}

var (
	lineText = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	lineKey  = regexp.MustCompile(`[, ](\w+)=`)
)

func (s *influxSink) points() map[string][]string {
	points := map[string][]string{}
	for measurement, keys := range s.had {
		points[measurement] = slices.Sorted(maps.Keys(keys))
	}
	return points
}
