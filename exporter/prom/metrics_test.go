package prom_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
	"github.com/spotify-exporter/spotify-exporter/exporter/prom"
	"github.com/spotify-exporter/spotify-exporter/grafana"
)

var update = flag.Bool("update", false, "write testdata/metrics.txt, the contract, anew")

const golden = "testdata/metrics.txt"

var now = time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)

// richState has two accounts: alice listens and all is well, bob's login is over.
func richState() collector.State {
	return collector.State{
		Accounts: []collector.AccountState{{
			Account:             "alice",
			Up:                  new(true),
			LastSuccess:         now.Add(-20 * time.Second),
			LastListen:          now.Add(-4 * time.Minute),
			NextPoll:            now.Add(10 * time.Second),
			NextReason:          collector.PlanItemEnd,
			AuthorizationExpiry: now.Add(100 * 24 * time.Hour),
			Polls:               4321,
			Failures:            map[spotify.Reason]uint64{spotify.ReasonNetwork: 3, spotify.ReasonServer: 1, "journal": 2},
			Recorded:            map[journal.Witness]uint64{journal.Playback: 40, journal.RecentlyPlayed: 7},
			Gaps:                1,
			HeldRatio:           new(1.0),
			Playback: &collector.Playback{
				Playing: true,
				Item: &spotify.Item{
					Kind: "track", URI: "spotify:track:4uLU6hMCjMI75M1A2tKUQC", ID: "4uLU6hMCjMI75M1A2tKUQC",
					Name:     "Never \"Gonna\" Give\\You Up",
					Artists:  []spotify.Artist{{Name: "Rick Astley"}, {Name: "Beyoncé"}},
					Album:    "Whenever You Need Somebody",
					ImageURL: "https://i.scdn.co/image/ab67616d00001e02",
				},
				Progress: 40500 * time.Millisecond,
				Duration: 213573 * time.Millisecond,
				Shuffle:  true,
				Volume:   new(0.65),
				At:       now.Add(-20 * time.Second),
			},
		}, {
			Account:     "bob",
			Up:          new(false),
			LastFailure: &spotify.Error{Endpoint: "token", Status: 400, Reason: spotify.ReasonAuth, Message: "invalid_grant: Refresh token revoked"},
			Polls:       2,
			Failures:    map[spotify.Reason]uint64{spotify.ReasonAuth: 2},
			Playback:    &collector.Playback{At: now.Add(-time.Minute)},
		}},
	}
}

func richQuota(context.Context) (collector.QuotaState, error) {
	return collector.QuotaState{Used: 612, Limit: 1000, Until: now.Add(10 * time.Minute), Why: "rate_limited"}, nil
}

func richInflux() influx.State {
	failures := map[influx.Reason]uint64{}
	for _, reason := range influx.Reasons {
		failures[reason] = 0
	}
	failures[influx.Network] = 8
	return influx.State{
		Up: new(true), LastSuccess: now.Add(-4 * time.Minute),
		PointsWritten: 81234, PointsDeleted: 12, PointsRejected: 1, WriteRetries: 9,
		WriteFailures: failures,
		HeldRatio:     map[string]float64{"alice": .98},
	}
}

func richSnapshot() grafana.State {
	failures := map[grafana.Reason]uint64{}
	for _, reason := range grafana.Reasons {
		failures[reason] = 0
	}
	failures[grafana.Network] = 3
	return grafana.State{
		Published: &grafana.Published{At: now.Add(-2 * time.Hour), Duration: 2500 * time.Millisecond, Size: 184320, Panels: 11},
		Failures:  failures,
	}
}

func richJournal(context.Context) (journal.State, error) {
	return journal.State{
		Plays: 114325, PendingPoints: 3, RejectedPoints: 1, OldestPending: now.Add(-90 * time.Second),
		SizeBytes: 61 << 20, DiskFreeBytes: 210 << 30, OpenGaps: map[string]int64{"alice": 1},
	}, nil
}

func options() prom.Options {
	return prom.Options{
		Collector: richState,
		Quota:     richQuota,
		Influx:    richInflux,
		Journal:   richJournal,
		JournalFiles: func() *prom.JournalFiles {
			return &prom.JournalFiles{InPlace: true, Intact: new(true), CheckedAt: now.Add(-5 * time.Hour)}
		},
		Snapshot:       richSnapshot,
		Alerting:       func() *bool { return new(true) },
		Now:            func() time.Time { return now },
		NowPlayingInfo: true,
		Version:        "1.0.0",
		Revision:       "0123abc",
	}
}

// of returns options whose only account is a.
func of(a collector.AccountState) prom.Options {
	o := options()
	o.Collector = func() collector.State { return collector.State{Accounts: []collector.AccountState{a}} }
	return o
}

// expose returns the text that a scrape gets.
func expose(t *testing.T, m *prom.Metrics) string {
	t.Helper()
	return get(t, m.Handler(), "/metrics", "").Body.String()
}

func get(t *testing.T, handler http.Handler, path, accept string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+path, nil)
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder
}

// answerAfter is a transport that answers in memory: it sets no
// http.Response.Request.
type answerAfter struct {
	delay  time.Duration
	status int
}

func (a answerAfter) RoundTrip(*http.Request) (*http.Response, error) {
	time.Sleep(a.delay)
	if a.status == 0 {
		return nil, errors.New("connection reset")
	}
	return &http.Response{StatusCode: a.status, Body: http.NoBody}, nil
}

type endpointKey struct{}

// observe sends requests through the instrumented transports, in virtual time.
func observe(t *testing.T, m *prom.Metrics) {
	synctest.Test(t, func(t *testing.T) {
		endpoint := func(ctx context.Context) string { return ctx.Value(endpointKey{}).(string) }
		for _, r := range []struct {
			endpoint string
			answer   answerAfter
		}{
			{"player", answerAfter{120 * time.Millisecond, 200}},
			{"player", answerAfter{80 * time.Millisecond, 204}},
			{"recently_played", answerAfter{400 * time.Millisecond, 200}},
			{"recently_played", answerAfter{time.Second, 0}},
		} {
			ctx := context.WithValue(t.Context(), endpointKey{}, r.endpoint)
			send(ctx, m.InstrumentSpotify(r.answer, endpoint))
		}
		send(t.Context(), m.InstrumentInflux(answerAfter{30 * time.Millisecond, 204}))
		send(t.Context(), m.InstrumentInflux(answerAfter{time.Second, 0}))
	})
}

func send(ctx context.Context, transport http.RoundTripper) {
	request := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://example.com/", nil)
	_, _ = transport.RoundTrip(request)
}

// volatile matches the lines that differ between two runs, or machines.
var volatile = regexp.MustCompile(`(?m)^(# (HELP|TYPE) )?(go|process|promhttp)_.*\n`)

func contract(t *testing.T) string {
	m := prom.New(options())
	observe(t, m)
	text := volatile.ReplaceAllString(expose(t, m), "")
	return regexp.MustCompile(`goversion="[^"]*"`).ReplaceAllString(text, `goversion="go"`)
}

// TestContract holds what is exposed against the golden text, which rules and
// dashboards are written against.
func TestContract(t *testing.T) {
	got := contract(t)
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for _, line := range gotLines {
		if !slices.Contains(wantLines, line) {
			t.Errorf("not in the contract: %s", line)
		}
	}
	for _, line := range wantLines {
		if !slices.Contains(gotLines, line) {
			t.Errorf("missing: %s", line)
		}
	}
	if got != string(want) && !t.Failed() {
		t.Error("the order of the lines differs")
	}
}

// TestMetricsPage holds the table in docs/metrics.md against the golden text.
func TestMetricsPage(t *testing.T) {
	const file, head = "../../docs/metrics.md", "| metric | type | labels | |\n|---|---|---|---|\n"
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for _, family := range regexp.MustCompile(`(?m)^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)\n(.*)`).FindAllStringSubmatch(string(text), -1) {
		help, _, _ := strings.Cut(strings.TrimPrefix(family[2], "Always 1. "), ". ")
		var labels []string
		for _, label := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(family[4], -1) {
			if label[1] != "le" {
				labels = append(labels, label[1])
			}
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s. |\n", family[1], family[3], strings.Join(labels, ", "), strings.TrimSuffix(help, "."))
	}
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, after, found := strings.Cut(string(page), head)
	if !found {
		t.Fatal("the page has no table of metrics")
	}
	for strings.HasPrefix(after, "|") {
		_, after, _ = strings.Cut(after, "\n")
	}
	if want := before + head + table.String() + after; want != string(page) {
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		t.Errorf("docs/metrics.md has another table of metrics than (write it with -update):\n%s", table.String())
	}
}

func TestLint(t *testing.T) {
	m := prom.New(options())
	observe(t, m)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
}

// TestUnknownIsAbsent starts a process: nothing has been polled, written or
// recorded. Every counter is 0 and nothing pretends to have happened in 1970.
func TestUnknownIsAbsent(t *testing.T) {
	o := of(collector.AccountState{Account: "alice"})
	o.Influx = func() influx.State { return influx.State{} }
	o.Snapshot = func() grafana.State { return grafana.State{} }
	o.Alerting = func() *bool { return nil }
	o.Quota = func(context.Context) (collector.QuotaState, error) { return collector.QuotaState{}, nil }
	o.Journal = func(context.Context) (journal.State, error) { return journal.State{}, nil }
	text := expose(t, prom.New(o))
	for line := range strings.Lines(text) {
		for _, name := range []string{"spotify_up", "spotify_influx_up", "_timestamp_seconds", "_playback_", "spotify_playing", "_bucket_warning", "spotify_now_playing_info", "_held_ratio", "_alerting_up", "spotify_request_budget_limit"} {
			if strings.HasPrefix(line, "spotify_") && strings.Contains(line, name) {
				t.Errorf("not known, but there: %s", line)
			}
		}
	}
	for _, line := range []string{
		`spotify_polls_total{account="alice"} 0`,
		`spotify_poll_failures_total{account="alice",reason="auth"} 0`,
		`spotify_poll_failures_total{account="alice",reason="journal"} 0`,
		`spotify_listens_recorded_total{account="alice",witness="playback"} 0`,
		`spotify_history_gaps_total{account="alice"} 0`,
		`spotify_history_open_gaps{account="alice"} 0`,
		`spotify_influx_points_written_total 0`,
		`spotify_journal_plays 0`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("does not start at 0: %s", line)
		}
	}
}

func TestFailureIsNoSuccess(t *testing.T) {
	text := expose(t, prom.New(of(collector.AccountState{Account: "alice", Up: new(false), LastFailure: errors.New("no answer")})))
	if !strings.Contains(text, "spotify_up{account=\"alice\"} 0\n") {
		t.Error("a failure does not show")
	}
	if strings.Contains(text, "\nspotify_last_success_timestamp_seconds{") {
		t.Error("a success is claimed after nothing but a failure")
	}
}

// TestFailing asks for the cause of now, which counters of causes do not tell: not
// after another cause, and not for polls that are not made before the end of a
// Retry-After, after a restart too.
func TestFailing(t *testing.T) {
	for want, failure := range map[string]error{
		"auth":         &spotify.Error{Reason: spotify.ReasonAuth},
		"quota":        &collector.Refusal{Reason: "quota", Until: now.Add(time.Hour)},
		"rate_limited": &collector.Refusal{Reason: "rate_limited", Until: now.Add(time.Minute)},
		"journal":      errors.New("disk full"),
	} {
		text := expose(t, prom.New(of(collector.AccountState{Account: "alice", Up: new(false), LastFailure: failure})))
		if strings.Count(text, "\nspotify_poll_failing{") != 1 || !strings.Contains(text, fmt.Sprintf("\nspotify_poll_failing{account=\"alice\",reason=%q} 1\n", want)) {
			t.Errorf("%v is not told as %s", failure, want)
		}
	}
	if strings.Contains(expose(t, prom.New(of(collector.AccountState{Account: "alice", Up: new(true)}))), "\nspotify_poll_failing{") {
		t.Error("polls that work are failing")
	}
}

func TestWithoutInfluxDB(t *testing.T) {
	o := options()
	o.Influx = nil
	if text := expose(t, prom.New(o)); strings.Contains(text, "spotify_influx_") {
		t.Error("there are series of an InfluxDB that is not configured")
	}
}

func TestBucketWarning(t *testing.T) {
	for warning, want := range map[string]string{"": "0", "shard group duration is 7 days": "1"} {
		o := options()
		o.Influx = func() influx.State { return influx.State{Up: new(true), BucketWarning: warning} }
		if !strings.Contains(expose(t, prom.New(o)), "\nspotify_influx_bucket_warning "+want+"\n") {
			t.Errorf("spotify_influx_bucket_warning is not %s with the warning %q", want, warning)
		}
	}
}

func TestJournalThatFails(t *testing.T) {
	var log bytes.Buffer
	broken := true
	o := options()
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	o.JournalFiles = nil
	o.Journal = func(ctx context.Context) (journal.State, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("a scrape may wait for the journal for ever")
		}
		if broken {
			return journal.State{}, errors.New("disk I/O error")
		}
		return richJournal(ctx)
	}
	m := prom.New(o)
	for range 3 {
		text := expose(t, m)
		if strings.Count(text, "\nspotify_journal_") != 1 || strings.Contains(text, "spotify_history_open_gaps") {
			t.Fatal("there are series of a journal that cannot be read")
		}
		if !strings.Contains(text, "\nspotify_journal_up 0\n") {
			t.Fatal("it does not say that the journal cannot be read")
		}
		if !strings.Contains(text, "spotify_up{") {
			t.Fatal("the other series are gone too")
		}
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "disk I/O error") {
		t.Errorf("logged %d times, want once:\n%s", lines, log.String())
	}
	broken = false
	if !strings.Contains(expose(t, m), "spotify_journal_plays 114325\n") {
		t.Error("the series do not come back")
	}
}

// TestJournalThatHangs: a scrape answers within a second with what it has, and says that
// the journal does not answer, for as long as that hangs. SQLite does not end a wait for
// a lock with its context, nor does a disk that is gone.
func TestJournalThatHangs(t *testing.T) {
	for name, hang := range map[string]func(*prom.Options, func()){
		"state": func(o *prom.Options, wait func()) {
			o.Journal = func(ctx context.Context) (journal.State, error) { wait(); return richJournal(ctx) }
		},
		"quota": func(o *prom.Options, wait func()) {
			o.Quota = func(ctx context.Context) (collector.QuotaState, error) { wait(); return richQuota(ctx) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				var asked atomic.Int32
				goOn := make(chan struct{})
				o := options()
				o.Log = slog.New(slog.NewTextHandler(&log, nil))
				hang(&o, func() { asked.Add(1); <-goOn })
				m := prom.New(o)
				for range 3 {
					for _, path := range []string{"/metrics", "/"} {
						began := time.Now()
						answer := get(t, m.Handler(), path, "")
						if took := time.Since(began); answer.Code != http.StatusOK || took > time.Second {
							t.Errorf("%s: %d after %v", path, answer.Code, took)
						}
						text := answer.Body.String()
						switch path {
						case "/":
							if !strings.Contains(text, "alice") || !strings.Contains(text, "not readable") {
								t.Errorf("the page does not say what is wrong:\n%s", text)
							}
						case "/metrics":
							for _, want := range []string{"\nspotify_journal_up 0\n", "\nspotify_up{account=\"alice\"} 1\n", "\nspotify_influx_up 1\n"} {
								if !strings.Contains(text, want) {
									t.Errorf("no %q", want)
								}
							}
							for _, unknown := range []string{"\nspotify_journal_plays", "\nspotify_request_budget_used", "\nspotify_history_open_gaps"} {
								if strings.Contains(text, unknown) {
									t.Errorf("not known, but there: %s", unknown)
								}
							}
						}
					}
				}
				if n := asked.Load(); n != 1 {
					t.Errorf("%d readings hang, one for each scrape", n)
				}
				if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "has not answered within") {
					t.Errorf("logged %d times, want once:\n%s", lines, log.String())
				}
				close(goOn)
				synctest.Wait()
				text := expose(t, m)
				if !strings.Contains(text, "\nspotify_journal_up 1\n") || !strings.Contains(text, "\nspotify_journal_plays 114325\n") || !strings.Contains(text, "\nspotify_request_budget_used 612\n") {
					t.Error("the series do not come back")
				}
			})
		})
	}
}

func TestPlayback(t *testing.T) {
	item := &spotify.Item{Kind: "track", Name: "Song"}
	for _, test := range []struct {
		name     string
		playback collector.Playback
		want     string // of spotify_playing, progress, duration, shuffle; "" is absent
		info     bool
	}{
		{"playing goes on after the poll", collector.Playback{Playing: true, Item: item, Progress: time.Minute, Duration: 3 * time.Minute, At: now.Add(-30 * time.Second)}, "1 90 180 0", true},
		{"never beyond the end", collector.Playback{Playing: true, Item: item, Progress: time.Minute, Duration: 3 * time.Minute, At: now.Add(-time.Hour)}, "1 180 180 0", true},
		{"a clock that was set back", collector.Playback{Playing: true, Item: item, Progress: time.Minute, Duration: 3 * time.Minute, At: now.Add(time.Hour)}, "1 60 180 0", true},
		{"paused stands still", collector.Playback{Item: item, Progress: time.Minute, Duration: 3 * time.Minute, Shuffle: true, At: now.Add(-30 * time.Second)}, "0 60 180 1", false},
		{"nothing", collector.Playback{At: now}, "0 - - -", false},
		{"an advertisement", collector.Playback{Playing: true, At: now}, "1 - - 0", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := expose(t, prom.New(of(collector.AccountState{Account: "alice", Playback: &test.playback})))
			var got []string
			for _, name := range []string{"spotify_playing", "spotify_playback_progress_seconds", "spotify_playback_duration_seconds", "spotify_playback_shuffle"} {
				_, value, found := strings.Cut(text, "\n"+name+`{account="alice"} `)
				if !found {
					value = "-"
				}
				value, _, _ = strings.Cut(value, "\n")
				got = append(got, value)
			}
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if info := strings.Contains(text, "\nspotify_now_playing_info{"); info != test.info {
				t.Errorf("spotify_now_playing_info is there: %v, want %v", info, test.info)
			}
		})
	}
}

func TestNowPlayingInfoCanBeSwitchedOff(t *testing.T) {
	o := options()
	o.NowPlayingInfo = false
	m := prom.New(o)
	if strings.Contains(expose(t, m), "Rick Astley") || strings.Contains(get(t, m.Handler(), "/", "").Body.String(), "Rick Astley") {
		t.Error("what plays is named although that is switched off")
	}
	if !strings.Contains(expose(t, m), "spotify_playing{account=\"alice\"} 1\n") {
		t.Error("that something plays is hidden too")
	}
}

// hostile are titles that somebody might give an episode.
func hostile() []string {
	return []string{
		`"} 1` + "\n" + `spotify_up{account="mallory"} 1` + "\n",
		"</script><script>alert(1)</script><img src=x onerror=alert(1)>",
		`" onmouseover="alert(1)`,
		"{{.Version}} </style> javascript:alert(1)",
		"broken \xff\xfe\xf0\x9f UTF-8 \x00 \r\n",
		strings.Repeat("é", 5000),
		strings.Repeat("x", 127) + "é",
		strings.Repeat("x", 126) + "é",
		"turned \u202Egpj.exe\u2066 \u009b31m \u2028 \x7f",
		"",
	}
}

func hostileAccount(title string) collector.AccountState {
	return collector.AccountState{Account: "alice", LastFailure: errors.New(title), NextPoll: now.Add(time.Minute), Playback: &collector.Playback{
		Playing:  true,
		Item:     &spotify.Item{Kind: title, ID: title, Name: title, Album: title, ImageURL: title, Artists: []spotify.Artist{{Name: title}, {Name: title}}},
		Duration: time.Minute,
	}}
}

func TestHostileLabels(t *testing.T) {
	for i, title := range hostile() {
		text := expose(t, prom.New(of(hostileAccount(title))))
		if !utf8.ValidString(text) {
			t.Errorf("title %d: not UTF-8", i)
		}
		if strings.Contains(text, "\nspotify_up") {
			t.Errorf("title %d made a series of its own", i)
		}
		line := regexp.MustCompile(`(?m)^spotify_now_playing_info\{.*\} 1$`).FindString(text)
		if line == "" {
			t.Fatalf("title %d: no series", i)
		}
		match := regexp.MustCompile(`track="((?:[^"\\]|\\.)*)"`).FindStringSubmatch(line)
		value := strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n").Replace(match[1])
		if len(value) > 128 {
			t.Errorf("title %d: label of %d bytes", i, len(value))
		}
		if strings.ContainsAny(value, "\u202E\u2066\u009b\u2028\x7f") {
			t.Errorf("title %d plays tricks: %q", i, value)
		}
		if title == strings.Repeat("x", 126)+"é" && value != title {
			t.Errorf("title %d fits and was cut to %q", i, value)
		}
	}
}

func TestOpenMetrics(t *testing.T) {
	m := prom.New(options())
	answer := get(t, m.Handler(), "/metrics", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
	if got := answer.Header().Get("Content-Type"); !strings.HasPrefix(got, "application/openmetrics-text") {
		t.Errorf("Content-Type: %s", got)
	}
	if !strings.HasSuffix(answer.Body.String(), "# EOF\n") {
		t.Error("not terminated as OpenMetrics is")
	}
}

func TestNativeHistograms(t *testing.T) {
	m := prom.New(options())
	observe(t, m)
	answer := get(t, m.Handler(), "/metrics", string(expfmt.NewFormat(expfmt.TypeProtoDelim)))
	decoder := expfmt.NewDecoder(answer.Body, expfmt.ResponseFormat(answer.Header()))
	native := map[string]bool{}
	for {
		var family dto.MetricFamily
		err := decoder.Decode(&family)
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, metric := range family.GetMetric() {
			if h := metric.GetHistogram(); h != nil && h.Schema != nil && len(h.GetPositiveSpan()) > 0 && len(h.GetBucket()) > 0 {
				native[family.GetName()] = true
			}
		}
	}
	for _, name := range []string{"spotify_api_request_duration_seconds", "spotify_influx_request_duration_seconds"} {
		if !native[name] {
			t.Errorf("%s is not both native and classic", name)
		}
	}
}

// TestConcurrentScrapes is for the race detector.
func TestConcurrentScrapes(t *testing.T) {
	handler := prom.New(options()).Handler()
	var scrapes sync.WaitGroup
	for range 4 {
		scrapes.Go(func() {
			for _, path := range []string{"/metrics", "/", "/-/ready"} {
				if status := get(t, handler, path, "").Code; status != http.StatusOK {
					t.Errorf("%s: %d", path, status)
				}
			}
		})
	}
	scrapes.Wait()
}
