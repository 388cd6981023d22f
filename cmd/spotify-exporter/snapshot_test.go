package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/grafana/grafanatest"
)

// serveGrafana is a Grafana with a board of one table, whose only artist is what
// artist returns, and its variables in the environment.
func serveGrafana(t *testing.T, column string, artist func() string) *grafanatest.Server {
	t.Helper()
	server := grafanatest.New(t)
	server.Answer = func(map[string]any) ([]grafanatest.Frame, error) {
		return []grafanatest.Frame{{
			Schema: grafanatest.Schema{Fields: []grafanatest.Field{{Name: column, Type: "string"}}},
			Data:   grafanatest.Data{Values: [][]any{{artist()}}},
		}}, nil
	}
	board := map[string]any{
		"uid": "spotify-public", "title": "What I hear", "time": map[string]any{"from": "now-30d", "to": "now"},
		"templating": map[string]any{"list": []any{map[string]any{"name": "delay", "type": "constant", "query": "1h", "hide": 2}}},
		"panels": []any{map[string]any{
			"id": 1, "type": "table", "title": "Artists", "gridPos": map[string]any{"x": 0, "y": 0, "w": 24, "h": 8},
			"targets": []any{map[string]any{
				"refId": "A", "datasource": map[string]any{"type": "influxdb", "uid": "spotify-influx"},
				"query": `from(bucket: v.bucket) |> range(start: -30d, stop: -${delay}) |> filter(fn: (r) => r.incognito == false)`,
			}},
		}},
	}
	encoded, err := json.Marshal(board)
	if err != nil {
		t.Fatal(err)
	}
	server.SetBoard(t, encoded)
	for name, value := range map[string]string{
		"GRAFANA_URL": server.URL, "GRAFANA_TOKEN": server.Token(grafanatest.Editor), "GRAFANA_PUBLIC_URL": "https://music.example.org",
	} {
		t.Setenv(name, value)
	}
	return server
}

func TestSnapshotCommand(t *testing.T) {
	setEnvironment(t, nil)
	server := serveGrafana(t, "artist", func() string { return "Kitchen" })
	link, _ := command(t, exitDone, "snapshot", "--print-url")
	if !strings.HasPrefix(link, "https://music.example.org/dashboard/snapshot/") || strings.Count(link, "\n") != 1 || server.Snapshots() != 0 {
		t.Fatalf("--print-url: %s, %d snapshots", link, server.Snapshots())
	}
	file := filepath.Join(t.TempDir(), "body.json")
	_, shown := command(t, exitDone, "snapshot", "--dry-run", "--out", file)
	body, err := os.ReadFile(file)
	if err != nil || !json.Valid(body) || !strings.Contains(string(body), `"Kitchen"`) || server.Snapshots() != 0 {
		t.Errorf("--dry-run wrote %s, %v; %d snapshots", body, err, server.Snapshots())
	}
	if !strings.Contains(shown, `"never"`) || !strings.Contains(shown, "Artists  table  1 row  artist") {
		t.Errorf("--dry-run says:\n%s", shown)
	}
	out, said := command(t, exitDone, "snapshot")
	if out != link || !strings.HasPrefix(said, "1 panel, ") || server.Snapshots() != 1 {
		t.Errorf("snapshot prints %s%s; %d snapshots", out, said, server.Snapshots())
	}
	if !strings.Contains(said, "cannot be seen at its public address") { // there is no such host
		t.Errorf("snapshot says nothing of the public address: %s", said)
	}
	embed, hint := command(t, exitDone, "snapshot", "--print-embed")
	if want := strings.TrimSpace(link) + "?kiosk"; !strings.HasPrefix(embed, want+"\n<iframe src=\""+want+"\"") {
		t.Errorf("--print-embed: %s", embed)
	}
	if proxy, embedding := strings.Index(hint, "deploy/proxy"), strings.Index(hint, "allow_embedding"); proxy < 0 || embedding < proxy {
		t.Errorf("--print-embed does not point at the proxy first: %s", hint)
	}
}

// The names of devices are in the journal, ids and tokens in the files of the logins.
func TestSnapshotKeepsPrivate(t *testing.T) {
	sim := simulate(t, clock.Clock{}, nil)
	logIn(t, "me", sim.AddUser("listener-4711", "Me"))
	record(t, "me", journal.Witnessed{Reports: []journal.Report{{
		Witness: journal.Playback, EndedAt: time.Now().Add(-time.Hour), MSPlayed: 60_000, Device: "Kitchen",
		Item: journal.Item{Kind: journal.Track, URI: "spotify:track:1", Name: "Song", Artists: []journal.Artist{{Name: "Artist"}}},
	}}})
	c, err := loadConfig(anyConfig)
	if err != nil {
		t.Fatal(err)
	}
	authorization, err := c.tokens().Load("me")
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	server := serveGrafana(t, "month", func() string { return text })
	for what, private := range map[string]string{
		"the name of a device": "Kitchen", "the id of an account": authorization.UserID,
		"a token or key": string(authorization.Token.RefreshToken),
	} {
		text = "May, " + private
		_, errs := command(t, exitFailed, "snapshot")
		if !strings.Contains(errs, `panel "Artists", field "month": holds `+what) || strings.Contains(errs, private) || server.Snapshots() != 0 {
			t.Errorf("%s: %s; %d snapshots", what, errs, server.Snapshots())
		}
		_, errs = command(t, exitFailed, "snapshot", "--dry-run")
		if !strings.Contains(errs, `private: panel "Artists", field "month": holds `+what) {
			t.Errorf("--dry-run, %s: %s", what, errs)
		}
	}
}

func TestSnapshotMistakes(t *testing.T) {
	setEnvironment(t, nil)
	if _, errs := command(t, exitConfig, "snapshot"); !strings.Contains(errs, "GRAFANA_URL: required") {
		t.Errorf("without an address: %s", errs)
	}
	t.Setenv("GRAFANA_URL", "http://127.0.0.1:1")
	if _, errs := command(t, exitConfig, "snapshot"); !strings.Contains(errs, "GRAFANA_TOKEN: required for the snapshot") {
		t.Errorf("without a token: %s", errs)
	}
	t.Setenv("GRAFANA_TOKEN", "glsa_hidden")
	if _, errs := command(t, exitUsage, "snapshot", "--out", "x"); !strings.Contains(errs, "--dry-run") {
		t.Errorf("--out alone: %s", errs)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	t.Setenv("GRAFANA_URL", other.URL)
	if _, errs := command(t, exitFailed, "snapshot"); !strings.Contains(errs, "see that GRAFANA_URL is its address") {
		t.Errorf("at the address of something else: %s", errs)
	}
	t.Setenv("GRAFANA_URL", "http://127.0.0.1:1")
	if _, errs := command(t, exitFailed, "snapshot"); !strings.Contains(errs, "Grafana did not answer") || strings.Contains(errs, "hidden") {
		t.Errorf("without a Grafana: %s", errs)
	}
}

// The daemon publishes, and what goes wrong with that is in the metrics and nowhere
// else.
func TestSnapshotInRun(t *testing.T) {
	for name, broken := range map[string]bool{"fine": false, "broken": true} {
		t.Run(name, func(t *testing.T) {
			sim := simulate(t, clock.Clock{}, nil)
			logIn(t, "me", sim.AddUser("me-id", "Me"))
			server := serveGrafana(t, "artist", func() string { return "Kitchen" })
			server.Intercept = func(w http.ResponseWriter, _ *http.Request) bool {
				if broken {
					w.WriteHeader(http.StatusBadGateway)
				}
				return broken
			}
			t.Setenv("SNAPSHOT_INTERVAL", "10m")
			d := startDaemon(t, clock.Clock{})
			want := []string{"spotify_snapshot_panels 1", `spotify_snapshot_failures_total{reason="server"} 0`}
			if broken {
				want = []string{`spotify_snapshot_failures_total{reason="server"} 1`}
			}
			want = append(want, `spotify_up{account="me"} 1`)
			eventually(t, 20*time.Second, fmt.Sprint("the metrics have ", want), func() bool {
				text := get(t, d.URL+"/metrics")
				for _, series := range want {
					if !strings.Contains(text, "\n"+series+"\n") {
						return false
					}
				}
				return strings.Contains(text, "\nspotify_snapshot_last_success_timestamp_seconds ") != broken
			})
		})
	}
}

// TestSnapshotWhoseTokenIsToCome starts without the file that setup leaves when Grafana
// runs: recording does not wait for that.
func TestSnapshotWhoseTokenIsToCome(t *testing.T) {
	simulate(t, clock.Clock{}, nil)
	serveGrafana(t, "artist", func() string { return "Kitchen" })
	t.Setenv("GRAFANA_TOKEN", "")
	t.Setenv("GRAFANA_TOKEN_FILE", filepath.Join(t.TempDir(), "grafana-token"))
	t.Setenv("SNAPSHOT_INTERVAL", "10m")
	d := startDaemon(t, clock.Clock{})
	eventually(t, 10*time.Second, "it says what it waits for", func() bool {
		return strings.Contains(d.errs.String(), "GRAFANA_TOKEN_FILE") &&
			strings.Contains(get(t, d.URL+"/metrics"), `spotify_snapshot_failures_total{reason="unauthorized"} 1`)
	})
	out, _ := commandAt(t, clock.Clock{}, exitFailed, "check") // nobody is logged in
	if found := findings(out)["snapshot"]; !strings.HasPrefix(found, "warning: GRAFANA_TOKEN_FILE") {
		t.Errorf("check: %s", found)
	}
	if _, errs := command(t, exitFailed, "snapshot"); !strings.Contains(errs, "GRAFANA_TOKEN_FILE") {
		t.Errorf("snapshot: %s", errs)
	}
}

func TestSnapshotInCheck(t *testing.T) {
	sim := simulate(t, clock.Clock{}, nil)
	logIn(t, "me", sim.AddUser("me-id", "Me"))
	out, _ := command(t, exitDone, "check")
	if found := findings(out)["snapshot"]; !strings.HasPrefix(found, "ok: GRAFANA_URL is not set") {
		t.Errorf("without Grafana: %s", found)
	}
	server := serveGrafana(t, "artist", func() string { return "Kitchen" })
	t.Setenv("GRAFANA_PUBLIC_URL", server.URL)
	t.Setenv("SNAPSHOT_INTERVAL", "6h")
	out, _ = command(t, exitDone, "check")
	if !strings.Contains(out, `ok       snapshot: Grafana 13.0.1 has the board "What I hear" and GRAFANA_TOKEN may publish it`) ||
		!strings.Contains(out, "warning  snapshot: visitors do not get it") {
		t.Errorf("before the first one:\n%s", out)
	}
	command(t, exitDone, "snapshot")
	out, _ = command(t, exitDone, "check")
	if !strings.Contains(out, "ok       snapshot: visitors get it at "+server.URL) {
		t.Errorf("after it:\n%s", out)
	}
	t.Setenv("GRAFANA_TOKEN", server.Token(grafanatest.Viewer))
	out, _ = command(t, exitDone, "check") // run works without it
	if !strings.Contains(out, "warning  snapshot: ") || !strings.Contains(out, "needs the role Editor") {
		t.Errorf("as a viewer:\n%s", out)
	}
}
