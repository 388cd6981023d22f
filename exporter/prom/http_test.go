package prom_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
	"github.com/spotify-exporter/spotify-exporter/exporter/prom"
)

func TestRoutes(t *testing.T) {
	o := options()
	ready := false
	o.Ready = func() bool { return ready }
	handler := prom.New(o).Handler()
	for _, test := range []struct {
		method, path string
		ready        bool
		want         int
	}{
		{"GET", "/", true, 200},
		{"HEAD", "/", true, 200},
		{"POST", "/", true, 405},
		{"GET", "/metrics", true, 200},
		{"HEAD", "/metrics", true, 200},
		{"DELETE", "/metrics", true, 405},
		{"GET", "/-/healthy", true, 200},
		{"HEAD", "/-/healthy", true, 200},
		{"POST", "/-/healthy", true, 405},
		{"GET", "/-/healthy", false, 200},
		{"GET", "/-/ready", true, 200},
		{"HEAD", "/-/ready", true, 200},
		{"PUT", "/-/ready", true, 405},
		{"GET", "/-/ready", false, 503},
		{"GET", "/debug/pprof/", true, 404},
		{"GET", "/index.html", true, 404},
		{"GET", "/metrics/", true, 404},
	} {
		ready = test.ready
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), test.method, "http://localhost"+test.path, nil))
		if recorder.Code != test.want {
			t.Errorf("%s %s, ready %v: %d, want %d", test.method, test.path, test.ready, recorder.Code, test.want)
		}
	}
}

func landingPage(t *testing.T, o prom.Options) string {
	t.Helper()
	answer := get(t, prom.New(o).Handler(), "/", "")
	if answer.Code != http.StatusOK {
		t.Fatalf("%d: %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

func TestLandingPage(t *testing.T) {
	o := options()
	o.Warnings = func(context.Context) []string { return []string{"TIMEZONE is not set: hours are UTC"} }
	o.Influx = func() influx.State {
		s := richInflux()
		s.Paused = "401: the token may not write to the bucket"
		s.BucketWarning = "shard group duration is 7 days"
		return s
	}
	html := landingPage(t, o)
	for _, want := range []string{
		"1.0.0", "0123abc", `href="metrics"`, `href="-/healthy"`, `href="-/ready"`,
		"TIMEZONE is not set: hours are UTC", "shard group duration is 7 days",
		"alice", "working", "Rick Astley; Beyoncé", "Never &#34;Gonna&#34; Give\\You Up", "1:00", "3:33", `<progress value="0.283"`,
		"20 s ago", "4 min ago", "in 10 s, the item&#39;s end", "in 100 days", `datetime="2027-03-02T15:00:00Z"`,
		"bob", "failing", "invalid_grant", "not known",
		"612 of 1,000", "waiting", "in 10 min",
		"114,325", "61 MiB", "210 GiB",
		"paused", "401: the token may not write to the bucket", "81,234 points", "98 %",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
}

func TestLandingPageOfAFreshStart(t *testing.T) {
	html := landingPage(t, prom.Options{Collector: func() collector.State { return collector.State{} }})
	for _, want := range []string{"spotify-exporter login", "not configured", "INFLUX_URL"} {
		if !strings.Contains(html, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
}

func TestLandingPageLoadsAndRunsNothing(t *testing.T) {
	answer := get(t, prom.New(options()).Handler(), "/", "")
	html, policy := answer.Body.String(), answer.Header().Get("Content-Security-Policy")
	_, style, _ := strings.Cut(html, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	hash := sha256.Sum256([]byte(style))
	if want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"; !strings.Contains(policy, want) {
		t.Errorf("browsers will refuse the style: Content-Security-Policy %q has no %s", policy, want)
	}
	if !strings.HasPrefix(policy, "default-src 'none';") {
		t.Errorf("Content-Security-Policy allows too much: %s", policy)
	}
	if answer.Header().Get("Cache-Control") != "no-store" {
		t.Error("the page may be cached")
	}
	if found := regexp.MustCompile(`(?i)<script|<img|<link|<iframe|url\(|@import|\sstyle=|\son\w+=`).FindString(html); found != "" {
		t.Errorf("the page has %q in it", found)
	}
}

func TestHostileLandingPage(t *testing.T) {
	for i, title := range hostile() {
		o := of(hostileAccount(title))
		o.Warnings = func(context.Context) []string { return []string{title} }
		html := landingPage(t, o)
		if !utf8.ValidString(html) {
			t.Errorf("title %d: not UTF-8", i)
		}
		if found := regexp.MustCompile(`(?i)<script|<img|"\s*onmouseover|</style>.*</style>`).FindString(html); found != "" {
			t.Errorf("title %d gets %q into the page", i, found)
		}
		if strings.Count(html, "</style>") != 1 {
			t.Errorf("title %d ends the style", i)
		}
		if strings.ContainsAny(html, "\u202E\u2066\u009b\u2028\x7f") {
			t.Errorf("title %d plays tricks on the page", i)
		}
		if len(html) > 12<<10 {
			t.Errorf("title %d makes the page %d bytes long", i, len(html))
		}
	}
}

// TestClientThatGoesAway must not be told as a failure of the journal.
func TestClientThatGoesAway(t *testing.T) {
	o := options()
	o.Journal = func(ctx context.Context) (journal.State, error) {
		if err := ctx.Err(); err != nil {
			t.Error("the client's context ends the journal's query")
		}
		return richJournal(ctx)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	prom.New(o).Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/", nil))
}

// TestLoginThatEnds: the days left are told, and told louder when they are few.
func TestLoginThatEnds(t *testing.T) {
	for left, want := range map[time.Duration]string{
		90 * 24 * time.Hour: `<dd><time datetime="2027-02-20T15:00:00Z" title="2027-02-20T15:00:00Z">in 90 days</time>`,
		36 * time.Hour:      `<dd class="warning"><time datetime="2026-11-24T03:00:00Z" title="2026-11-24T03:00:00Z">in 2 days</time>`,
		-time.Hour:          `<dd class="bad"><time datetime="2026-11-22T14:00:00Z" title="2026-11-22T14:00:00Z">60 min ago</time>`,
	} {
		html := landingPage(t, of(collector.AccountState{Account: "alice", AuthorizationExpiry: now.Add(left)}))
		if !strings.Contains(html, want) {
			t.Errorf("with %v left the page has no %s", left, want)
		}
	}
}
