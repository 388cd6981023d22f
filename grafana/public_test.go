package grafana_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/grafana"
	"github.com/spotify-exporter/spotify-exporter/grafana/grafanatest"
)

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
			if slices.Contains(all, a.zone.String()) {
				t.Errorf("the zone is published: %s", a.zone)
			}
			// Days break where the listener lives, in the zone that visitors are shown.
			body, err := draft.JSON()
			if err != nil {
				t.Fatal(err)
			}
			var posted map[string]any
			if err := json.Unmarshal(body, &posted); err != nil {
				t.Fatal(err)
			}
			days := 0
			for _, f := range framesIn(posted) {
				for i, field := range f["schema"].(map[string]any)["fields"].([]any) {
					if field.(map[string]any)["type"] != "time" {
						continue
					}
					for _, value := range f["data"].(map[string]any)["values"].([]any)[i].([]any) {
						if at := time.UnixMilli(int64(value.(float64))).UTC(); !at.Equal(at.Truncate(24 * time.Hour)) {
							t.Errorf("a day begins at %v", at)
						}
						days++
					}
				}
			}
			if days < 80 {
				t.Errorf("only %d days: the test sees nothing", days)
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

// pageKeys are those of each part of what Grafana's own page posts for a snapshot: of the
// body, of the board in it, and of what is in that.
var pageKeys = map[string]string{
	"body":     "dashboard expires external name",
	"board":    "annotations editable fiscalYearStartMonth graphTooltip id links panels preload refresh schemaVersion tags templating time timepicker timezone title uid version weekStart",
	"panel":    "datasource description fieldConfig gridPos hideTimeOverride id options pluginVersion targets timeFrom title transparent type",
	"target":   "datasource queryType refId snapshot",
	"frame":    "data schema",
	"schema":   "fields meta refId",
	"meta":     "executedQueryString typeVersion",
	"field":    "config labels name type typeInfo",
	"variable": "allValue current datasource definition includeAll label multi name options query refresh regex sort type",
}

// keysByPart are the keys of a body, by part.
func keysByPart(body map[string]any) map[string]map[string]bool {
	board, _ := body["dashboard"].(map[string]any)
	return map[string]map[string]bool{
		"body":     keysOf(body),
		"board":    keysOf(body["dashboard"]),
		"panel":    keysIn(body, "panels"),
		"target":   keysIn(body, "targets"),
		"frame":    keysIn(board["panels"], "snapshot"), // the board itself has one, too
		"schema":   keysIn(body, "schema"),
		"meta":     keysIn(body, "meta"),
		"field":    keysIn(body, "fields"),
		"variable": keysIn(board["templating"], "list"),
	}
}

// What is posted has the keys that Grafana's own page posts, per panel.
func TestLikeThePage(t *testing.T) {
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
	for part, ours := range keysByPart(posted) {
		theirs := map[string]bool{}
		for key := range strings.FieldsSeq(pageKeys[part]) {
			theirs[key] = true
		}
		if len(ours) == 0 {
			if part != "variable" { // no variable is published
				t.Errorf("%s: nothing is posted", part)
			}
			continue
		}
		for _, key := range difference(theirs, ours) {
			if except[part+": "+key] == "" {
				t.Errorf("%s: the page has %s, and we have not", part, key)
			}
		}
		for _, key := range difference(ours, theirs) {
			if except[part+": "+key] == "" {
				t.Errorf("%s: we have %s, and the page has not", part, key)
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
