package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
	"github.com/spotify-exporter/spotify-exporter/exporter/promtest"
)

// alertSpeed is by how much everything is faster in TestAlerts: the clocks of the
// exporter and of Spotify, every duration in the shipped configuration of
// Prometheus and Alertmanager, and time() in the rules.
const alertSpeed = 60

// TestAlerts breaks things and waits for the messages: a real Prometheus with the
// shipped rules and a real Alertmanager with the shipped routes watch two exporters,
// which poll a simulated Spotify each over HTTP; mine writes to a real InfluxDB. What
// is wrong with one is never said of the other.
func TestAlerts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	influxtest.Require2(t)
	start := time.Now()
	clk := clock.New(start, alertSpeed)
	expose := func(vars map[string]string) (*spotifysim.Spotify, *spotifysim.User) {
		vars["TIMEZONE"], vars["WEB_LISTEN_ADDRESS"] = "Europe/Berlin", promtest.FreeAddress(t)
		sim := serveSpotify(t, spotifysim.Options{Clock: clk, Fail: t.Errorf, AccessTokenLife: time.Minute}, vars)
		me := sim.AddUser("me-id", "Me")
		me.PlayDemo(7, start.Add(-time.Hour), 24*time.Hour)
		logIn(t, "me", me)
		return sim, me
	}
	blocked, _ := expose(map[string]string{})
	anna := os.Getenv("WEB_LISTEN_ADDRESS")
	startProcess(t, clk, alertSpeed)

	server := influxtest.New(t)
	bucket := server.Bucket(t)
	sim, me := expose(map[string]string{
		"INFLUX_URL": server.URL, "INFLUX_ORG": server.Org, "INFLUX_BUCKET": bucket,
		"INFLUX_TOKEN": server.Grant(t, bucket, influxtest.Read|influxtest.Write),
	})
	mine := os.Getenv("WEB_LISTEN_ADDRESS")
	daemon := startProcess(t, clk, alertSpeed)
	owner := watch(t, clk, start, mine, anna)

	// All is well, but for a Retry-After of five minutes.
	eventually(t, 20*time.Second, "Spotify is polled", func() bool {
		return get(t, daemon.URL+"/metrics") != "" && len(sim.Requests()) > 2 && len(blocked.Requests()) > 2
	})
	sim.Fault(spotifysim.Fault{Kind: spotifysim.RateLimited, RetryAfter: 5 * time.Minute, Count: 1})
	owner.sleep(10 * time.Minute)
	owner.expectNone(t, mine)
	owner.expectNone(t, anna)

	// Anna's cannot reach Spotify, all the while until its message has come.
	blockedAt := clk.Now()
	blocked.Fault(spotifysim.Fault{Kind: spotifysim.Reset})

	// My login is revoked, and made anew.
	since := clk.Now()
	me.Revoke()
	lost := owner.expect(t, "firing", "SpotifyAuthorizationLost", mine, since, 15*time.Minute)
	if command := "docker compose exec spotify-exporter spotify-exporter login --account me."; !strings.Contains(lost.Annotations["description"], command) {
		t.Errorf("the message does not say %q: %s", command, lost.Annotations["description"])
	}
	since = clk.Now()
	page, _, wait := startLogin(t, clk, exitDone)
	response, err := http.Get(page)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	wait()
	owner.expect(t, "resolved", "SpotifyAuthorizationLost", mine, since, 15*time.Minute)

	// My developer account is locked out, longer than other polls may fail without a
	// message, and InfluxDB is gone meanwhile.
	since = clk.Now()
	sim.Fault(spotifysim.Fault{Kind: spotifysim.QuotaExceeded, RetryAfter: 40 * time.Minute, Count: 1})
	server.Stop(t)
	owner.expect(t, "firing", "SpotifyQuotaExceeded", mine, since, 15*time.Minute)
	owner.expect(t, "firing", "SpotifyQuotaShared", mine, since, 15*time.Minute) // so few requests were made here
	owner.expect(t, "firing", "SpotifyInfluxDown", mine, since, 30*time.Minute)
	back := clk.Now()
	server.Start(t)
	owner.expect(t, "resolved", "SpotifyInfluxDown", mine, back, 15*time.Minute)

	if failing := owner.expect(t, "firing", "SpotifyPollsFailing", anna, blockedAt, 45*time.Minute); failing.Labels["reason"] != "network" {
		t.Errorf("polls fail for want of an answer, and the message is: %v", failing)
	}
	blockedAt = clk.Now()
	blocked.ClearFaults()

	owner.expect(t, "resolved", "SpotifyQuotaExceeded", mine, since.Add(40*time.Minute), 15*time.Minute)
	owner.expect(t, "resolved", "SpotifyPollsFailing", anna, blockedAt, 30*time.Minute)
	owner.expectNone(t, mine, "SpotifyAuthorizationLost", "SpotifyQuotaExceeded", "SpotifyQuotaShared", "SpotifyInfluxDown")

	// Mine dies, and comes back.
	since = clk.Now()
	daemon.kill(t)
	owner.expect(t, "firing", "SpotifyExporterDown", mine, since, 15*time.Minute)
	since = clk.Now()
	startProcess(t, clk, alertSpeed)
	owner.expect(t, "resolved", "SpotifyExporterDown", mine, since, 15*time.Minute)

	owner.expectNone(t, mine, "SpotifyAuthorizationLost", "SpotifyQuotaExceeded", "SpotifyQuotaShared", "SpotifyInfluxDown", "SpotifyExporterDown")
	owner.expectNone(t, anna, "SpotifyPollsFailing")
	for _, asked := range []*spotifysim.Spotify{sim, blocked} {
		if early := asked.Requests().Early(); early > 0 {
			t.Errorf("%d requests before a Retry-After was over", early)
		}
	}
}

func TestCheckAlert(t *testing.T) {
	told := &owner{}
	var refuses atomic.Bool
	webhook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuses.Load() {
			http.Error(w, "no such topic", http.StatusForbidden)
			return
		}
		told.ServeHTTP(w, r)
	}))
	defer webhook.Close()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	start := func(secret string) string {
		return promtest.Alertmanager(t, write("alertmanager.yml", shipped(t, "alertmanager/alertmanager.yml", "/etc/alertmanager/secrets/webhook_url", secret)))
	}
	watchdog := func(alertmanager string) {
		response, err := http.Post(alertmanager+"/api/v2/alerts", "application/json", strings.NewReader(`[{"labels": {"alertname": "Watchdog", "severity": "none"}}]`))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	sim := simulate(t, clock.Clock{}, nil)
	logIn(t, "me", sim.AddUser("me-id", "Me"))
	check := func(exit int, subject, want string, args ...string) {
		t.Helper()
		if out, _ := command(t, exit, append([]string{"check"}, args...)...); !strings.HasPrefix(findings(out)[subject], want) {
			t.Errorf("check %v says of %s %q, want %q:\n%s", args, subject, findings(out)[subject], want, out)
		}
	}

	check(exitDone, "alerts", "warning: nobody is told when something fails")
	check(exitFailed, "alerts", "failed: ALERTMANAGER_URL is not set", "--alert")
	t.Setenv("ALERTMANAGER_URL", "http://"+promtest.FreeAddress(t))
	check(exitFailed, "alerts", "failed: ask Alertmanager")

	url := start(write("webhook_url", webhook.URL))
	t.Setenv("ALERTMANAGER_URL", url)
	check(exitDone, "alerts", "warning: Alertmanager runs, but no Prometheus sends it the Watchdog")
	check(exitDone, "test alert", "ok: delivered", "--alert")
	told.mu.Lock()
	if len(told.messages) != 1 || told.messages[0].Labels["alertname"] != testAlert || !strings.Contains(told.messages[0].Annotations["summary"], "test") {
		t.Errorf("said to be delivered: %v", told.messages)
	}
	told.mu.Unlock()
	watchdog(url)
	check(exitDone, "alerts", "ok: Prometheus sends them to Alertmanager")

	refuses.Store(true)
	t.Setenv("ALERTMANAGER_URL", start(write("webhook_url", webhook.URL))+"/")
	check(exitFailed, "test alert", "failed: delivery failed", "--alert")

	// The stack as it is before anybody has set an address: Alertmanager runs, and as
	// soon as it had to tell something it is known that nobody is told.
	for _, secret := range []string{filepath.Join(dir, "missing"), write("empty", "")} {
		url := start(secret)
		watchdog(url)
		t.Setenv("ALERTMANAGER_URL", url)
		check(exitFailed, "test alert", "failed: delivery failed", "--alert")
		check(exitDone, "alerts", "warning: Alertmanager cannot deliver ")
	}
	daemon := startDaemon(t, clock.Clock{})
	eventually(t, 10*time.Second, "it knows that nobody is told", func() bool {
		return strings.Contains(get(t, daemon.URL+"/metrics"), "\nspotify_alerting_up 0\n")
	})
	if page := get(t, daemon.URL+"/"); !strings.Contains(page, "): nobody is told when something fails: try spotify-exporter check --alert.") {
		t.Errorf("the landing page does not tell that nobody is told:\n%s", page)
	}
}

// A receiver that takes messages for months and then no more is noticed with the
// first that it does not take.
func TestAlertsThatArriveNoMore(t *testing.T) {
	var tried, failed atomic.Int64
	alertmanager := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			fmt.Fprintf(w, "alertmanager_notification_requests_total{integration=\"webhook\"} %d\nalertmanager_notification_requests_failed_total{integration=\"webhook\"} %d\n", tried.Load(), failed.Load())
			return
		}
		io.WriteString(w, "[{}]") // the Watchdog
	}))
	defer alertmanager.Close()
	sim := simulate(t, clock.Clock{}, nil)
	logIn(t, "me", sim.AddUser("me-id", "Me"))
	t.Setenv("ALERTMANAGER_URL", alertmanager.URL)
	daemon := startDaemon(t, clock.Clock{})
	eventually(t, 10*time.Second, "the daemon has looked by itself", func() bool {
		return strings.Contains(get(t, daemon.URL+"/metrics"), "\nspotify_alerting_up 1\n")
	})
	for _, step := range []struct {
		tried, failed int64
		says          string
	}{
		{0, 0, ""}, {40, 3, ""}, {42, 5, "without success: 2)"}, {42, 5, "without success: 2)"}, {43, 6, "without success: 3)"},
		{44, 6, ""}, {45, 7, "without success: 1)"}, {2, 2, "without success: 2)"}, {3, 2, ""},
	} {
		tried.Store(step.tried)
		failed.Store(step.failed)
		page := get(t, daemon.URL+"/")
		if step.says == "" && strings.Contains(page, "cannot deliver") || !strings.Contains(page, step.says) {
			t.Errorf("%d of %d failed: the status page does not say %q:\n%s", step.failed, step.tried, step.says, page)
		}
	}
}

// message is one alert in what Alertmanager sends to a webhook.
type message struct {
	Status      string
	Labels      map[string]string
	Annotations map[string]string

	at time.Time // of the fast clock
}

// owner is who is told.
type owner struct {
	clock clock.Clock

	mu       sync.Mutex
	messages []message
}

// watch starts Prometheus and Alertmanager as they are shipped, but for addresses
// and speed, and returns whom they tell of the exporters at these addresses.
func watch(t *testing.T, clk clock.Clock, start time.Time, addresses ...string) *owner {
	t.Helper()
	o := &owner{clock: clk}
	webhook := httptest.NewServer(o)
	t.Cleanup(webhook.Close)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secret := write("webhook_url", webhook.URL)
	alertmanager := promtest.Alertmanager(t, write("alertmanager.yml", shipped(t, "alertmanager/alertmanager.yml", "/etc/alertmanager/secrets/webhook_url", secret)))

	epoch := float64(start.UnixMilli()) / 1000
	write("rules.yml", shipped(t, "prometheus/rules.yml", "time()", fmt.Sprintf("(%.3[1]f + (time() - %.3[1]f) * %d)", epoch, alertSpeed)))
	t.Setenv("SPOTIFY_EXPORTER_COMMAND", "docker compose exec spotify-exporter spotify-exporter")
	promtest.Prometheus(t,
		write("prometheus.yml", shipped(t, "prometheus/prometheus.yml", "spotify-exporter:10178", strings.Join(addresses, ", "), "alertmanager:9093", strings.TrimPrefix(alertmanager, "http://"))),
		"--rules.alert.resend-delay=1s", "--query.lookback-delta=5s")
	return o
}

// shipped returns a file of deploy/ with some strings replaced, and durations that
// are alertSpeed times shorter.
func shipped(t *testing.T, name string, replace ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../../deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	text := promtest.Faster(string(content), alertSpeed)
	for pair := range slices.Chunk(replace, 2) {
		if !strings.Contains(text, pair[0]) {
			t.Fatalf("%s has no %s", name, pair[0])
		}
		text = strings.ReplaceAll(text, pair[0], pair[1])
	}
	return text
}

// ServeHTTP is the webhook.
func (o *owner) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct{ Alerts []message }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range body.Alerts {
		m.at = o.clock.Now()
		o.messages = append(o.messages, m)
	}
}

// expect waits for a message about what happened then to the exporter at an address.
func (o *owner) expect(t *testing.T, status, alert, instance string, since time.Time, promised time.Duration) message {
	t.Helper()
	var found message
	eventually(t, o.clock.Real(promised)+30*time.Second, alert+" is "+status, func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		i := slices.IndexFunc(o.messages, func(m message) bool {
			return m.Status == status && m.Labels["alertname"] == alert && m.Labels["instance"] == instance && !m.at.Before(since)
		})
		if i >= 0 {
			found = o.messages[i]
		}
		return i >= 0
	})
	t.Logf("%s is %s after %v", alert, status, found.at.Sub(since).Round(time.Second))
	return found
}

// expectNone expects messages about the exporter at an address, or about none, of
// nothing but these alerts so far.
func (o *owner) expectNone(t *testing.T, instance string, but ...string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.messages {
		if of := m.Labels["instance"]; (of == instance || of == "") && !slices.Contains(but, m.Labels["alertname"]) {
			t.Errorf("%s: %v %v", m.Status, m.Labels, m.Annotations)
		}
	}
}

func (o *owner) sleep(d time.Duration) { time.Sleep(o.clock.Real(d)) }
