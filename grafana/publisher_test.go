package grafana_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/secret"
	"github.com/spotify-exporter/spotify-exporter/grafana"
	"github.com/spotify-exporter/spotify-exporter/grafana/grafanatest"
)

func TestPublish(t *testing.T) {
	h := newHarness(t, nil)
	link, err := h.Link()
	if err != nil || !regexp.MustCompile(`^https://music\.example\.org/dashboard/snapshot/[a-z0-9-]{26,40}$`).MatchString(link) {
		t.Fatalf("link %s, %v", link, err)
	}
	if info, err := os.Stat(filepath.Join(h.dir, "snapshot.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file of the keys: %v, %v; want mode 0600", info.Mode(), err)
	}
	published := h.publish(t)
	keys := h.keys(t)
	body := h.server.Snapshot(keys["key"].(string))
	if body["deleteKey"] != keys["delete_key"] || body["external"] != false || body["expires"] != 0.0 {
		t.Errorf("posted with keys %v %v, external %v, expires %v", body["key"], body["deleteKey"], body["external"], body["expires"])
	}
	if !strings.HasSuffix(link, "/"+keys["key"].(string)) || keys["key"] == keys["delete_key"] {
		t.Errorf("link %s is not of the key %s", link, keys["key"])
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	text := string(encoded)
	// What tells about the installation.
	for _, private := range []string{
		"from(bucket", "executedQueryString", "secret-bucket", "spotify-influx", "Spotify listens", "grafana.lan", "exporter at home",
		"influxdb", "72h", "hidden", "limitTo", "192.168", h.token, `"links":[{`, "timeFrom", "${",
	} {
		if strings.Contains(text, private) {
			t.Errorf("the snapshot holds %s", private)
		}
	}
	for _, want := range []string{
		`"title":"Listening until `, `"title":"Hours of anna"`, `"description":"Without the last 24h."`, `"description":"What strangers see."`,
		`"value":"hours of any plays"`, `"id":"limit"`, `"Kitchen"`, `"queryType":"snapshot"`, `12.25`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the snapshot does not hold %s", want)
		}
	}
	if published.Panels != 2 || published.Size < 1000 || published.Duration <= 0 || published.Gap <= 0 || published.Gap > published.Duration {
		t.Errorf("published %+v", published)
	}

	h.publish(t) // again: the same link, one snapshot
	if again, _ := h.Link(); again != link || h.server.Snapshots() != 1 {
		t.Errorf("after a refresh: link %s, %d snapshots; want %s and 1", again, h.server.Snapshots(), link)
	}
	kiosk, iframe, err := h.Embedding()
	if kiosk != link+"?kiosk" || !strings.HasPrefix(iframe, `<iframe src="`+kiosk+`" `) || err != nil {
		t.Errorf("embedding: %s %s %v", kiosk, iframe, err)
	}
}

// TestTokenFile has a token that setup makes when Grafana runs, which is after us, and
// replaces later.
func TestTokenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "grafana-token")
	h := newHarness(t, func(o *grafana.Options) {
		o.Token = ""
		o.ReadToken = func() (string, error) {
			content, err := os.ReadFile(file)
			return strings.TrimSpace(string(content)), err
		}
	})
	fails := func(why string) {
		t.Helper()
		_, err := h.Publish(t.Context())
		if failed, ok := errors.AsType[*grafana.Error](err); !ok || failed.Reason != grafana.Unauthorized || !strings.Contains(err.Error(), why) {
			t.Errorf("error %v, want one of %s", err, why)
		}
	}
	fails("GRAFANA_TOKEN_FILE")
	keep := func(token string) {
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keep(h.token)
	h.publish(t)

	replacement := h.server.Token(grafanatest.Editor)
	h.server.SetRole(h.token, "")
	fails("401")
	keep(replacement)
	fails("401") // and reads the file
	h.publish(t)
}

// TestAServerThatRepeatsTheToken answers with the headers that it got, as proxies and debugging servers do.
func TestAServerThatRepeatsTheToken(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"message":"no access with Authorization: %s"}`, r.Header.Get("Authorization"))
	}))
	defer server.Close()
	h := newHarness(t, func(o *grafana.Options) { o.URL, o.Base = server.URL, http.DefaultTransport })
	_, err := h.Publish(t.Context())
	if err == nil || strings.Contains(err.Error(), h.token) || !strings.Contains(err.Error(), secret.Mark) {
		t.Errorf("error %v", err)
	}
}

// What is asked of the data sources is what the page would ask, with our delay.
func TestAsked(t *testing.T) {
	h := newHarness(t, nil)
	h.publish(t)
	var texts []string
	for _, query := range h.asked {
		texts = append(texts, query["query"].(string))
	}
	want := []string{
		"accounts",
		"days of anna: from(bucket: v.defaultBucket) |> range(start: v.timeRangeStart, stop: 24h) |> filter(fn: (r) => r.incognito != true)",
		"artists: from(bucket: v.defaultBucket) |> range(start: v.timeRangeStart, stop: 24h) |> filter(fn: (r) => r.incognito != true)",
	}
	if !slices.Equal(texts, want) {
		t.Fatalf("asked\n%s\nwant\n%s", strings.Join(texts, "\n"), strings.Join(want, "\n"))
	}
	// 30 days over 6 of 24 columns; 90 days over 500 points.
	if h.asked[1]["intervalMs"] != 7_200_000.0 || h.asked[1]["maxDataPoints"] != 360.0 || h.asked[2]["intervalMs"] != 10_800_000.0 || h.asked[2]["maxDataPoints"] != 500.0 {
		t.Errorf("intervals: %v", h.asked)
	}
	if source := h.asked[1]["datasource"].(map[string]any); source["uid"] != "spotify-influx" {
		t.Errorf("data source %v", source)
	}
}

// Whatever is wrong, the error says what to do, and visitors keep what they have.
func TestRefused(t *testing.T) {
	tests := map[string]struct {
		change func(*testing.T, *harness)
		reason grafana.Reason
		words  []string
	}{
		"a viewer": {func(t *testing.T, h *harness) { h.server.SetRole(h.token, grafanatest.Viewer) }, grafana.Forbidden, []string{"GRAFANA_TOKEN", "role Editor"}},
		"no token": {func(t *testing.T, h *harness) { h.server.SetRole(h.token, "") }, grafana.Unauthorized, []string{"GRAFANA_TOKEN", "Service accounts"}},
		"disabled": {func(t *testing.T, h *harness) { h.server.Disabled = true }, grafana.Forbidden, []string{"[snapshots] enabled"}},
		"too old":  {func(t *testing.T, h *harness) { h.server.Version = "12.4.2" }, grafana.TooOld, []string{"12.4.2", "12.4.3", "13.0.1", "CVE-2026-28380"}},
		"a beta":   {func(t *testing.T, h *harness) { h.server.Version = "13.0.0-beta1+security-01" }, grafana.TooOld, []string{"13.0.0"}},
		"a proxy": {func(t *testing.T, h *harness) {
			h.server.LimitBody = 3500
			h.edit(t, "What strangers see.", strings.Repeat("long ", 500))
		}, grafana.Refused, []string{"413", "proxy"}},
		"a query":   {func(t *testing.T, h *harness) { h.fails = "artists" }, grafana.QueryFailed, []string{`panel "Artists"`, "query A", "undefined identifier"}},
		"variable":  {func(t *testing.T, h *harness) { h.fails = "accounts" }, grafana.QueryFailed, []string{`variable "account"`}},
		"no source": {func(t *testing.T, h *harness) { h.server.Answer = nil }, grafana.QueryFailed, []string{"Data source not found"}},
		"no Grafana": {func(t *testing.T, h *harness) {
			h.server.Intercept = func(w http.ResponseWriter, _ *http.Request) bool {
				_, _ = io.WriteString(w, "<html>log in</html>")
				return true
			}
		}, grafana.NotFound, []string{"GRAFANA_URL", "proxy"}},
		"library panel": {func(t *testing.T, h *harness) { h.edit(t, `"id": 4, `, `"id": 4, "libraryPanel": {"uid": "x"}, `) }, grafana.Unsupported, []string{`panel "Artists"`, "library panel"}},
		"repeated":      {func(t *testing.T, h *harness) { h.edit(t, `"id": 4, `, `"id": 4, "repeat": "account", `) }, grafana.Unsupported, []string{`panel "Artists"`, "repeated"}},
		"new model":     {func(t *testing.T, h *harness) { h.edit(t, `"panels": [`, `"elements": [`) }, grafana.Unsupported, []string{"classic"}},
		"odd format":    {func(t *testing.T, h *harness) { h.edit(t, `Hours of ${account}`, `Hours of ${account:lucene}`) }, grafana.Unsupported, []string{"${account:lucene}"}},
		"bad zone":      {func(t *testing.T, h *harness) { h.edit(t, `Europe/Berlin`, `Europe/Bärlin`) }, grafana.Unsupported, []string{"Europe/Bärlin"}},
		"not private": {func(t *testing.T, h *harness) { h.edit(t, `r.incognito != true`, `true`) }, grafana.Privacy,
			[]string{`panel "Hours of anna", target A`, `panel "Artists", target A`, "private sessions"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, nil)
			h.publish(t)
			before := h.title(t)
			h.edit(t, "Listening until", "A newer board,")
			test.change(t, h)
			h.refused(t, test.reason, test.words...)
			h.server.Disabled, h.server.Intercept = false, nil
			if title := h.title(t); title != before {
				t.Errorf("visitors see %q, and not %q any more", title, before)
			}
		})
	}
}

func TestRefusedAtOnce(t *testing.T) {
	h := newHarness(t, func(o *grafana.Options) { o.Dashboard = "nothing" })
	h.refused(t, grafana.NotFound, `"nothing"`, "SNAPSHOT_DASHBOARD")
	h = newHarness(t, nil)
	h.server.NoAPI = true
	h.refused(t, grafana.NotFound, "/apis/", "newer")
	if h.server.Snapshots() != 0 {
		t.Error("something was published")
	}
}

// Nobody's listening is published because of the alphabet.
func TestWhoseListening(t *testing.T) {
	for account, want := range map[string]string{"": "SNAPSHOT_ACCOUNT whose listening is published: anna or me", "zoe": "SNAPSHOT_ACCOUNT is zoe, and there are only: anna, me"} {
		h := newHarness(t, func(o *grafana.Options) { o.Account = account })
		h.refused(t, grafana.Unsupported, want)
	}
	h := newHarness(t, func(o *grafana.Options) { o.Account = "me" })
	h.publish(t)
	if text := encoded(t, h.seen(t)); !strings.Contains(text, "Hours of me") {
		t.Errorf("published: %s", text)
	}
}

func TestVersions(t *testing.T) {
	for version, fine := range map[string]bool{
		"": true, // hidden
		// The fix, and what came after it in the same line.
		"11.6.14": true, "11.6.15": true, "12.2.8": true, "12.2.9": true, "12.2.10": true, "12.3.6": true, "12.3.7": true,
		"12.4.3": true, "12.4.4": true, "13.0.1": true, "13.0.2": true, "13.1.0": true, "13.2.3": true, "14.0.0": true, "v13.0.1": true,
		// Builds of these, and pre-releases of newer ones.
		"12.2.8+security-01": true, "12.2.8-security-01": true, "12.4.3+security-02": true, "11.6.14+security-01": true,
		"13.0.2-pre": true, "13.1.0-beta1": true, "14.0.0-pre": true, "13.1.0-89123456789.patch4": true, "13.1.0-17592837465.patch4-17592839001": true,

		"11.6.13": false, "12.2.7": false, "12.3.5": false, "12.4.2": false, "13.0.0": false, "9.5.21": false, "10.4.99": false,
		"11.5.99": false, "12.0.99": false, "12.1.99": false, // lines without the fix
		"12.2.7+security-09": false, "12.2.7-security-09": false, "13.0.0+security-01": false,
		"12.2.8-beta1": false, "13.0.1-pre": false, "12.4.0-85518.patch7-85777": false, "12.4.3-rc1+security-01": false, // before the fix, maybe
		"main": false, "12": false, "12.x": false, "13.0.1.2": false, "-1.0.0": false,
	} {
		h := newHarness(t, nil)
		h.server.Version = version
		if _, err := h.Publish(t.Context()); (err == nil) != fine {
			t.Errorf("Grafana %q: %v", version, err)
		}
	}
}

// TestForce publishes although Grafana lacks a fix, with the risk told, and a draft, which
// nobody can delete, is made there without it.
func TestForce(t *testing.T) {
	const version = "12.3.5"
	h := newHarness(t, nil)
	h.server.Version = version
	h.refused(t, grafana.TooOld, "every editor of this Grafana can delete any snapshot (CVE-2026-28380)", "12.3.6", "snapshot --force")
	if _, err := h.Draft(t.Context()); err != nil {
		t.Error(err)
	}
	var log bytes.Buffer
	h = newHarness(t, func(o *grafana.Options) {
		o.Force = true
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	h.server.Version = version
	h.publish(t)
	if !strings.Contains(log.String(), "every editor of this Grafana can delete any snapshot (CVE-2026-28380)") || !strings.Contains(log.String(), version) {
		t.Errorf("the risk is not told: %s", log.String())
	}
}

// Publish tries a post again, and finds out whether one without an answer has arrived.
func TestPostIsTriedAgain(t *testing.T) {
	for name, lose := range map[string]func(*harness, *http.Request){
		"before it arrived": func(*harness, *http.Request) {},
		"after it arrived": func(h *harness, r *http.Request) {
			h.server.Intercept = nil
			h.server.ServeHTTP(httptest.NewRecorder(), r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, nil)
				lost := 0
				h.server.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
					if r.Method != http.MethodPost || r.URL.Path != "/api/snapshots" || lost == 2 {
						return false
					}
					lost++
					lose(h, r)
					w.WriteHeader(http.StatusBadGateway)
					return true
				}
				published := h.publish(t)
				if h.seen(t) == nil || lost == 0 || published.Gap < time.Second || published.Gap > 4*time.Second {
					t.Errorf("seen after a gap of %s and %d posts that were lost", published.Gap, lost)
				}
			})
		})
	}
}

// What Grafana does not take, or shows other than it was posted, does not stay: the
// old one is put back.
func TestOldIsPutBack(t *testing.T) {
	for name, intercept := range map[string]func(posts int, w http.ResponseWriter, r *http.Request) bool{
		"refused": func(posts int, w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost || posts > 1 {
				return false
			}
			w.WriteHeader(http.StatusBadRequest)
			return true
		},
		"seen otherwise": func(posts int, w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || posts != 1 {
				return false
			}
			_, _ = io.WriteString(w, `{"dashboard": {"panels": []}}`)
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, nil)
			h.publish(t)
			before := h.seen(t)
			h.edit(t, "Listening until", "A newer board,")
			posts := 0
			h.server.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasPrefix(r.URL.Path, "/api/snapshots") {
					return false
				}
				if r.Method == http.MethodPost {
					posts++
				}
				return intercept(posts, w, r)
			}
			if _, err := h.Publish(t.Context()); err == nil {
				t.Fatal("published")
			}
			h.server.Intercept = nil
			after := h.seen(t)
			if encoded(t, after) != encoded(t, before) {
				t.Errorf("visitors see %s\nand before %s", encoded(t, after), encoded(t, before))
			}
			h.publish(t) // and it goes on with the same keys
			if !strings.HasPrefix(h.title(t), "A newer board,") {
				t.Errorf("later visitors see %q", h.title(t))
			}
		})
	}
}

// The old one cannot be put back at once: then later, before anything else.
func TestOldIsPutBackLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		h.publish(t)
		before := h.title(t)
		h.edit(t, "Listening until", "A newer board,")
		posts := 0
		h.server.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost || r.URL.Path != "/api/snapshots" {
				return false
			}
			posts++
			w.WriteHeader([]int{http.StatusBadRequest, http.StatusBadGateway}[min(posts-1, 1)])
			return true
		}
		h.refused(t, grafana.Refused)
		if posts < 3 || h.server.Snapshots() != 0 {
			t.Fatalf("%d posts, %d snapshots", posts, h.server.Snapshots())
		}
		h.server.Intercept = nil
		h.fails = "artists"
		h.refused(t, grafana.QueryFailed)
		if h.title(t) != before {
			t.Errorf("visitors see %q, want %q", h.title(t), before)
		}
	})
}

// Grafana takes its time for everything: that is one failure of the network, and the
// link is mended by the next try.
func TestTooSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		h.publish(t)
		slow := true
		h.server.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
			if !slow || r.Method != http.MethodPost || r.URL.Path != "/api/snapshots" {
				return false
			}
			<-r.Context().Done()
			return true
		}
		h.refused(t, grafana.Network, "within 1m0s")
		slow = false
		h.publish(t)
		if h.title(t) == "" {
			t.Error("visitors get nothing")
		}
	})
}

func encoded(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A board that is saved while its panels are computed is computed again.
func TestBoardEditedInBetween(t *testing.T) {
	h := newHarness(t, nil)
	h.server.Intercept = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/api/ds/query" {
			h.server.Intercept = nil
			h.edit(t, "Listening until", "Without that panel,")
		}
		return false
	}
	h.publish(t)
	if !strings.HasPrefix(h.title(t), "Without that panel,") {
		t.Errorf("visitors see %q, which is no longer on the board", h.title(t))
	}
}

// A token of another service account, to which Grafana denies deleting by key, deletes
// by the delete key.
func TestAnotherServiceAccount(t *testing.T) {
	h := newHarness(t, nil)
	h.publish(t)
	h.server.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodDelete || !strings.HasSuffix(r.URL.Path, h.keys(t)["key"].(string)) {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"message": "Access denied to this snapshot"}`)
		return true
	}
	h.edit(t, "Listening until", "A newer board,")
	h.publish(t)
	if !strings.HasPrefix(h.title(t), "A newer board,") {
		t.Errorf("visitors see %q", h.title(t))
	}
}

// The process is killed when the old snapshot is gone and the new one not there. The
// next one puts it up although no query works any more.
func TestCrashBetweenDeleteAndPost(t *testing.T) {
	server := grafanatest.New(t)
	var crash atomic.Value // what happens at a post
	crash.Store(func() {})
	server.Intercept = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && r.URL.Path == "/api/snapshots" {
			crash.Load().(func())()
		}
		return false
	}
	h := newHarness(t, nil)
	h.server = server
	h.token = server.Token(grafanatest.Editor)
	server.Answer = h.answer
	server.SetBoard(t, boardFile(t))
	options := grafana.Options{URL: server.URL, Token: h.token, Dashboard: "spotify-public", Account: "anna", Delay: 24 * time.Hour, Dir: h.dir}
	var err error
	if h.Publisher, err = grafana.New(options); err != nil {
		t.Fatal(err)
	}
	h.publish(t)
	h.edit(t, "Listening until", "A newer board,")

	child := exec.Command(os.Args[0], "-test.run=^TestHelperPublish$")
	child.Env = append(os.Environ(), "PUBLISH_URL="+server.URL, "PUBLISH_TOKEN="+h.token, "PUBLISH_DIR="+h.dir)
	started, killed := make(chan *os.Process, 1), make(chan struct{})
	crash.Store(func() {
		if err := (<-started).Kill(); err != nil {
			t.Error(err)
		}
		<-killed
		panic(http.ErrAbortHandler) // it never arrived
	})
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	started <- child.Process
	_ = child.Wait()
	close(killed)
	crash.Store(func() {})
	if h.server.Snapshots() != 0 {
		t.Fatal("the crash was too early or too late")
	}

	h.fails = "artists"
	h.refused(t, grafana.QueryFailed)
	found := server.Snapshot(h.keys(t)["key"].(string))["dashboard"]
	if title, _ := found.(map[string]any)["title"].(string); !strings.HasPrefix(title, "A newer board,") {
		t.Errorf("visitors see %q", title)
	}
	if _, err := os.Stat(filepath.Join(h.dir, "snapshot.next.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the body that was to be published is still kept: %v", err)
	}
}

// TestHelperPublish is the process that TestCrashBetweenDeleteAndPost kills.
func TestHelperPublish(t *testing.T) {
	if os.Getenv("PUBLISH_URL") == "" {
		t.Skip("is part of TestCrashBetweenDeleteAndPost")
	}
	p, err := grafana.New(grafana.Options{
		URL: os.Getenv("PUBLISH_URL"), Token: os.Getenv("PUBLISH_TOKEN"), Dashboard: "spotify-public", Account: "anna", Delay: 24 * time.Hour, Dir: os.Getenv("PUBLISH_DIR"),
	})
	if err == nil {
		_, err = p.Publish(t.Context())
	}
	t.Fatal("not killed", err)
}
