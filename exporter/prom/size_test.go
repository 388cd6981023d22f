package prom_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
	"github.com/spotify-exporter/spotify-exporter/exporter/prom"
	"github.com/spotify-exporter/spotify-exporter/exporter/promtest"
)

// household is the metrics of three accounts that listen, after some months.
func household(t testing.TB, change ...func(*prom.Options)) *prom.Metrics {
	o := options()
	one := richState().Accounts[0]
	names := []string{"alice", "bob", "carol"}
	o.Collector = func() collector.State {
		state := richState()
		state.Accounts = nil
		for _, name := range names {
			one.Account = name
			state.Accounts = append(state.Accounts, one)
		}
		return state
	}
	o.Journal = func(ctx context.Context) (journal.State, error) {
		state, err := richJournal(ctx)
		state.OpenGaps = map[string]int64{"alice": 1}
		return state, err
	}
	for _, c := range change {
		c(&o)
	}
	m := prom.New(o)
	endpoint := func(ctx context.Context) string { return ctx.Value(endpointKey{}).(string) }
	for _, answered := range []struct {
		endpoint string
		statuses []int
	}{
		{"player", []int{200, 204, 429, 502}},
		{"recently_played", []int{200, 502}},
		{"me", []int{200}},
	} {
		for _, status := range answered.statuses {
			ctx := context.WithValue(t.Context(), endpointKey{}, answered.endpoint)
			send(ctx, m.InstrumentSpotify(answerAfter{status: status}, endpoint))
		}
	}
	for _, status := range []int{200, 204, 503} {
		send(t.Context(), m.InstrumentInflux(answerAfter{status: status}))
	}
	return m
}

// TestSizeOfAScrape keeps what a homelab's Prometheus has to store small: 210 series
// for three accounts, those that it adds itself included, or 400 in text, without
// native histograms.
func TestSizeOfAScrape(t *testing.T) {
	m := household(t)
	lines := 0
	for line := range strings.Lines(expose(t, m)) {
		if !strings.HasPrefix(line, "#") {
			lines++
		}
	}
	if lines > 400 {
		t.Errorf("%d series in text (at most 400)", lines)
	}

	exporter := httptest.NewServer(m.Handler())
	defer exporter.Close()
	config := filepath.Join(t.TempDir(), "prometheus.yml")
	err := os.WriteFile(config, []byte("scrape_configs: [{job_name: household, scrape_interval: 1s, scrape_native_histograms: true, static_configs: [{targets: ['"+
		strings.TrimPrefix(exporter.URL, "http://")+"']}]}]"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	prometheus := promtest.Prometheus(t, config)
	ask := prometheus + "/api/v1/query?query=" + url.QueryEscape(`count({job="household"}) and on () up{job="household"} == 1`)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		response, err := http.Get(ask)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Data struct{ Result []struct{ Value [2]any } }
		}
		err = json.NewDecoder(response.Body).Decode(&answer)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if len(answer.Data.Result) == 1 {
			stored, err := strconv.Atoi(answer.Data.Result[0].Value[1].(string))
			t.Logf("%d series stored with native histograms, %d in text", stored, lines)
			if err != nil || stored > 210 || stored < 100 {
				t.Errorf("%d series stored with native histograms (at most 210; %v)", stored, err)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("Prometheus has scraped nothing")
		}
	}
}

// BenchmarkScrape is one scrape of three accounts, as Prometheus asks for it, with a
// journal of 300,000 plays that are all in InfluxDB. What is promised is the CPU time.
func BenchmarkScrape(b *testing.B) {
	handler := household(b, filledJournal(b, 300_000)).Handler()
	request := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "http://localhost/metrics", nil)
	request.Header.Set("Accept", string(expfmt.NewFormat(expfmt.TypeProtoDelim)))
	request.Header.Set("Accept-Encoding", "gzip")
	before := cpuTime(b)
	for b.Loop() {
		handler.ServeHTTP(httptest.NewRecorder(), request)
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(time.Millisecond)/float64(b.N), "cpu-ms/op")
}

func TestScrapeIsNotCompressed(t *testing.T) {
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/metrics", nil)
	request.Header.Set("Accept-Encoding", "gzip, zstd")
	answer := httptest.NewRecorder()
	household(t).Handler().ServeHTTP(answer, request)
	if got := answer.Header().Get("Content-Encoding"); got != "" && got != "identity" {
		t.Errorf("compressed as %s", got)
	}
	if size := answer.Body.Len(); answer.Code != http.StatusOK || size > 50_000 {
		t.Errorf("%d, %d bytes", answer.Code, size)
	}
}

// filledJournal has metrics read a journal of so many plays of three accounts, and what
// was asked of Spotify for them in a day.
func filledJournal(b *testing.B, plays int) func(*prom.Options) {
	j, err := journal.Open(b.Context(), filepath.Join(b.TempDir(), "journal.db"), journal.Options{Now: func() time.Time { return now }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = j.Close() })
	const portion = 10_000
	for from := 0; from < plays; from += portion {
		var reports []journal.Report
		for n := from; n < min(from+portion, plays); n++ {
			ended := now.Add(-time.Duration(plays-n) * 10 * time.Minute).Truncate(time.Second)
			song := n % 20_000
			reports = append(reports, journal.Report{Witness: journal.ExtendedHistory, EndedAt: ended, MSPlayed: 180_000, Item: journal.Item{
				Kind: journal.Track, URI: fmt.Sprintf("spotify:track:%022d", song), Name: fmt.Sprintf("Song %d", song),
				Artists: []journal.Artist{{Name: fmt.Sprintf("Artist %d", song/12)}}, Album: fmt.Sprintf("Album %d", song/8),
			}})
		}
		if _, err := j.Record(b.Context(), []string{"alice", "bob", "carol"}[from/portion%3], journal.Witnessed{Reports: reports}); err != nil {
			b.Fatal(err)
		}
	}
	for {
		entries, err := j.Take(b.Context(), 0, portion)
		if err == nil && len(entries) == 0 {
			break
		}
		if err == nil {
			err = j.Sent(b.Context(), entries)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	quota := collector.NewQuota(j, "client", 1000, clock.Clock{}, nil)
	for range 900 {
		if err := quota.Before(b.Context(), "player"); err != nil {
			b.Fatal(err)
		}
	}
	return func(o *prom.Options) {
		o.Quota = quota.Peek
		o.Journal = func(ctx context.Context) (journal.State, error) {
			state, err := j.State(ctx)
			if err == nil && (state.Plays != int64(plays) || state.PendingPoints != 0) {
				err = fmt.Errorf("%d plays of %d, of which %d wait", state.Plays, plays, state.PendingPoints)
			}
			if err != nil {
				b.Error(err)
			}
			return state, err
		}
	}
}

// cpuTime is what this process has used so far.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// TestSeriesOfAMonth scrapes while an account listens for a month: whatever plays
// and fails, its series are those of the first days, and only what plays now is
// named, one song at a time.
func TestSeriesOfAMonth(t *testing.T) {
	const songs = 30 * 100
	reasons := collector.Reasons()
	plans := []collector.PlanReason{collector.PlanIdle, collector.PlanPlaying, collector.PlanItemEnd, collector.PlanRecentlyPlayed, collector.PlanBudget, collector.PlanFailure}
	seen, named, afterDays := map[string]bool{}, map[string]bool{}, 0
	for song := range songs {
		account := richState().Accounts[0]
		account.Playback.Item.ID = strconv.Itoa(song)
		account.Playback.Playing = song%10 != 0
		account.NextReason = plans[song%len(plans)]
		if song%50 == 0 {
			account.Up, account.LastFailure = new(false), &spotify.Error{Reason: reasons[song/50%len(reasons)]}
		}
		now := 0
		for line := range strings.Lines(expose(t, prom.New(of(account)))) {
			series, _, _ := strings.Cut(line, "} ")
			switch {
			case !strings.Contains(line, `{account="`):
			case strings.HasPrefix(line, "spotify_now_playing_info{"):
				now++
				named[series] = true
			default:
				seen[series] = true
			}
		}
		if now > 1 {
			t.Fatalf("%d songs play now", now)
		}
		if song == 50*len(reasons) { // every reason has been seen
			afterDays = len(seen)
		}
	}
	t.Logf("%d series of an account, and %d that named what played", len(seen), len(named))
	if len(seen) != afterDays || afterDays > 48 {
		t.Errorf("%d series of an account after five days and %d after a month, want the same and at most 48", afterDays, len(seen))
	}
	if len(named) != songs*9/10 {
		t.Errorf("%d series named what played, want one for each of %d songs", len(named), songs*9/10)
	}
}
