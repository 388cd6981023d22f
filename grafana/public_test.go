package grafana_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/grafana"
	"github.com/spotify-exporter/spotify-exporter/grafana/grafanatest"
)

// capturedBody is what Grafana's own page posted for a snapshot of another board.
const capturedBody = "../../shared/data/grafana/ui-snapshot-body.json"

// publicBoard is the board that is published, as somebody looks at it just when the
// tests' database ends.
func publicBoard(t *testing.T) []byte {
	t.Helper()
	file, err := grafana.Dashboards.ReadFile("dashboards/spotify-public.json")
	if err != nil {
		t.Fatal(err)
	}
	var model map[string]any
	if err := json.Unmarshal(file, &model); err != nil {
		t.Fatal(err)
	}
	end := now.Truncate(time.Hour)
	model["time"] = map[string]any{"from": end.AddDate(0, 0, -90).Format(time.RFC3339), "to": end.Format(time.RFC3339)}
	changed, err := json.Marshal(model)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// publicHarness has the Public board and a real InfluxDB behind its Grafana.
func publicHarness(t *testing.T, alias string, change func(*grafana.Options)) *harness {
	t.Helper()
	d := filled(t)
	h := newHarness(t, func(o *grafana.Options) {
		o.Account = alias
		if change != nil {
			change(o)
		}
	})
	h.server.Influx = &grafanatest.Influx{URL: d.server.URL, Org: d.server.Org, Bucket: d.bucket, Token: d.token}
	h.server.Answer = nil
	h.server.SetBoard(t, publicBoard(t))
	return h
}

// The Public board passes the gate as it is, with data in every panel, and nothing in it
// is of a private session, of the last hours or no music.
func TestPublicBoard(t *testing.T) {
	for _, a := range filled(t).accounts {
		t.Run(a.alias, func(t *testing.T) {
			h := publicHarness(t, a.alias, nil)
			draft := h.draft(t)
			for _, violation := range draft.Violations {
				t.Error(violation)
			}
			for _, panel := range draft.Panels {
				if panel.Rows == 0 {
					t.Errorf("panel %q is empty", panel.Title)
				}
			}
			shown, kept := map[string]bool{}, map[string]bool{} // artists, titles and albums
			until := now.Truncate(time.Hour).Add(-24 * time.Hour)
			for _, p := range a.plays {
				names := kept
				if p.kind == "track" && !p.private && p.ended.Before(until) {
					names = shown
				}
				for _, name := range append([]string{p.name, p.album}, p.artists...) {
					names[name] = true
				}
			}
			for name := range shown {
				delete(kept, name)
			}
			if len(kept) < 10 {
				t.Fatalf("only %d names are to be kept: the test sees nothing", len(kept))
			}
			all := readable(t, draft)
			for _, text := range all {
				if kept[text] && text != "" {
					t.Errorf("%q is in the snapshot", text)
				}
			}
			if !slices.Contains(all, a.zone.String()) {
				t.Errorf("days break elsewhere than in %s, where the listener lives", a.zone)
			}
		})
	}
}

// The delay is what SNAPSHOT_DELAY says: every play until then counts, and none after.
func TestPublicBoardEnds(t *testing.T) {
	berlin := filled(t).accounts[0]
	for _, delay := range []time.Duration{time.Hour, 90 * time.Hour} {
		h := publicHarness(t, berlin.alias, func(o *grafana.Options) { o.Delay = delay })
		plays := -1.0
		body, err := h.draft(t).JSON()
		if err != nil {
			t.Fatal(err)
		}
		var posted map[string]any
		if err := json.Unmarshal(body, &posted); err != nil {
			t.Fatal(err)
		}
		for _, f := range framesIn(posted) {
			for i, field := range f["schema"].(map[string]any)["fields"].([]any) {
				if field.(map[string]any)["name"] == "plays" && plays < 0 { // of the first panel
					plays, _ = f["data"].(map[string]any)["values"].([]any)[i].([]any)[0].(float64)
				}
			}
		}
		end := now.Truncate(time.Hour)
		want := 0.0
		for _, p := range berlin.plays {
			if p.kind == "track" && p.msPlayed >= 30_000 && !p.ended.Before(end.AddDate(0, 0, -90)) && p.ended.Before(end.Add(-delay)) {
				want++
			}
		}
		if plays != want {
			t.Errorf("with a delay of %s: %v plays, want %v", delay, plays, want)
		}
	}
}

// A range may be shorter than the delay: nothing is shown then, and nothing fails.
func TestPublicBoardOfAShortRange(t *testing.T) {
	d := filled(t)
	for _, delay := range []string{"24h", "2400h"} {
		v, err := d.view(t, readBoards(t)["spotify-public"], looking{
			account: "berlin", from: now.Add(-24 * time.Hour).Format(time.RFC3339), to: now.Format(time.RFC3339), variables: map[string]string{"delay": delay},
		})
		if err != nil {
			t.Fatal(err)
		}
		v.everyAnswer(t, false)
		for _, title := range []string{"Music", "Artists", "Top artists", "Top songs", "Top albums"} {
			if rows := v.table(t, title); len(rows) > 0 {
				t.Errorf("with a delay of %s, %s shows %v", delay, title, rows)
			}
		}
		for _, row := range v.table(t, "Hours per day") {
			if row["Value"] != 0.0 {
				t.Errorf("with a delay of %s, hours per day show %v", delay, row)
			}
		}
	}
}

// framesIn are the tables of data of a body, in the order of the panels.
func framesIn(posted map[string]any) (frames []map[string]any) {
	for _, p := range posted["dashboard"].(map[string]any)["panels"].([]any) {
		targets, _ := p.(map[string]any)["targets"].([]any)
		for _, target := range targets {
			for _, f := range target.(map[string]any)["snapshot"].([]any) {
				frames = append(frames, f.(map[string]any))
			}
		}
	}
	return frames
}

// What is posted has the keys that Grafana's own page posts, per panel.
func TestLikeThePage(t *testing.T) {
	content, err := os.ReadFile(capturedBody)
	if err != nil {
		t.Skip("no body of Grafana's page on this machine")
	}
	var captured map[string]any
	if err := json.Unmarshal(content, &captured); err != nil {
		t.Fatal(err)
	}
	h := publicHarness(t, "berlin", nil)
	published := h.publish(t)
	t.Logf("%d panels, %d bytes in %s", published.Panels, published.Size, published.Duration)
	posted := h.server.Snapshot(h.keys(t)["key"].(string))

	// What differs, and why.
	except := map[string]string{
		"body: key":                 "ours, so that the link stays",
		"body: deleteKey":           "ours too",
		"board: preload":            "the page adds it",
		"board: description":        "the other board has none",
		"board: snapshot":           "Grafana adds it",
		"panel: pluginVersion":      "tells which Grafana this is",
		"panel: timeFrom":           "would move the data out of view: the data are cut to it",
		"panel: hideTimeOverride":   "belongs to timeFrom",
		"panel: transformations":    "the other board has none",
		"panel: transparent":        "as the board has it",
		"variable: allValue":        "there is one value, and no query to put it in",
		"variable: datasource":      "tells about the installation",
		"variable: definition":      "is the query",
		"field: labels":             "of Flux, where there are some",
		"schema: name":              "of Flux, where there is one",
		"meta: executedQueryString": "is the query",
	}
	for _, part := range []struct {
		name           string
		theirs, posted map[string]bool
	}{
		{"body", keysOf(captured), keysOf(posted)},
		{"board", keysOf(captured["dashboard"]), keysOf(posted["dashboard"])},
		{"panel", keysIn(captured, "panels"), keysIn(posted, "panels")},
		{"target", keysIn(captured, "targets"), keysIn(posted, "targets")},
		{"frame", keysIn(captured, "snapshot"), keysIn(posted["dashboard"].(map[string]any)["panels"], "snapshot")},
		{"schema", keysIn(captured, "schema"), keysIn(posted, "schema")},
		{"meta", keysIn(captured, "meta"), keysIn(posted, "meta")},
		{"field", keysIn(captured, "fields"), keysIn(posted, "fields")},
		{"variable", keysIn(captured["dashboard"].(map[string]any)["templating"], "list"), keysIn(posted["dashboard"].(map[string]any)["templating"], "list")},
	} {
		t.Logf("%s: %s", part.name, strings.Join(slices.Sorted(maps.Keys(part.posted)), " "))
		for _, key := range difference(part.theirs, part.posted) {
			if except[part.name+": "+key] == "" && len(part.posted) > 0 {
				t.Errorf("%s: the page has %s, and we have not", part.name, key)
			}
		}
		for _, key := range difference(part.posted, part.theirs) {
			if except[part.name+": "+key] == "" {
				t.Errorf("%s: we have %s, and the page has not", part.name, key)
			}
		}
	}
}

func keysOf(object any) map[string]bool {
	found := map[string]bool{}
	if object, ok := object.(map[string]any); ok {
		for key := range object {
			found[key] = true
		}
	}
	return found
}

// keysIn are the keys of all objects that are called so, or are in a list that is.
func keysIn(value any, name string) map[string]bool {
	found := map[string]bool{}
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			maps.Copy(found, keysIn(element, name))
		}
	case map[string]any:
		for key, element := range value {
			if key != name {
				maps.Copy(found, keysIn(element, name))
				continue
			}
			list, ok := element.([]any)
			if !ok {
				list = []any{element}
			}
			for _, element := range list {
				maps.Copy(found, keysOf(element))
				maps.Copy(found, keysIn(element, name))
			}
		}
	}
	return found
}

func difference(a, b map[string]bool) []string {
	var only []string
	for key := range a {
		if !b[key] {
			only = append(only, key)
		}
	}
	slices.Sort(only)
	return only
}
