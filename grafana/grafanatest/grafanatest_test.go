package grafanatest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
	"github.com/spotify-exporter/spotify-exporter/grafana/grafanatest"
)

// asker sends requests to a server with a board called "known".
type asker struct {
	*grafanatest.Server
	editor, viewer string
}

func newAsker(t *testing.T) *asker {
	t.Helper()
	s := grafanatest.New(t)
	s.SetBoard(t, []byte(`{"uid": "known", "title": "Known"}`))
	return &asker{s, s.Token(grafanatest.Editor), s.Token(grafanatest.Viewer)}
}

// ask returns the status and the decoded answer.
func (a *asker) ask(t *testing.T, token, method, path string, body any) (int, map[string]any) {
	t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, a.URL+path, bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(content, &answer); err != nil {
		t.Fatalf("%s %s answers %s", method, path, content)
	}
	return response.StatusCode, answer
}

// command is a body for /api/snapshots.
func command(uid, key, deleteKey string) map[string]any {
	return map[string]any{"dashboard": map[string]any{"uid": uid, "id": nil, "title": "x"}, "name": "x", "key": key, "deleteKey": deleteKey}
}

// TestSnapshots is section b of the fact sheet, line by line.
func TestSnapshots(t *testing.T) {
	a := newAsker(t)
	other := a.Token(grafanatest.Editor)
	withID := command("known", "with-id", "delete-with-id")
	withID["dashboard"].(map[string]any)["id"] = 7
	for _, step := range []struct {
		what, token, method, path string
		body                      any
		status                    int
		message                   string
	}{
		{"a stranger posts", "", "POST", "/api/snapshots", command("known", "k", "d"), 401, "Unauthorized"},
		{"a viewer posts", a.viewer, "POST", "/api/snapshots", command("known", "k", "d"), 403, "snapshots:create"},
		{"of an unknown board", a.editor, "POST", "/api/snapshots", command("unknown", "k", "d"), 403, "forbidden"},
		{"of no board", a.editor, "POST", "/api/snapshots", command("", "k", "d"), 403, "forbidden"},
		{"an editor posts", a.editor, "POST", "/api/snapshots", command("known", "k", "d"), 200, ""},
		{"the same key", a.editor, "POST", "/api/snapshots", command("known", "k", "d2"), 500, "Failed to create snapshot"},
		{"the same delete key", a.editor, "POST", "/api/snapshots", command("known", "k2", "d"), 500, "Failed to create snapshot"},
		{"a stranger looks", "", "GET", "/api/snapshots/k", nil, 200, ""},
		{"for another key", "", "GET", "/api/snapshots/other", nil, 404, "not found"},
		{"there is no PUT", a.editor, "PUT", "/api/snapshots/k", command("known", "k", "d"), 404, "Not found"},
		{"a viewer deletes", a.viewer, "DELETE", "/api/snapshots/k", nil, 403, "snapshots:delete"},
		{"of another key", a.editor, "DELETE", "/api/snapshots/other", nil, 404, ""},
		{"another editor deletes", other, "DELETE", "/api/snapshots/k", nil, 200, "Snapshot deleted"},
		{"it is gone", "", "GET", "/api/snapshots/k", nil, 404, ""},
		{"one with the id of its board", a.editor, "POST", "/api/snapshots", withID, 200, ""},
		{"is its maker's", other, "DELETE", "/api/snapshots/with-id", nil, 403, "Access denied to this snapshot"},
		{"a stranger has the delete key", "", "GET", "/api/snapshots-delete/delete-with-id", nil, 401, ""},
		{"a viewer has it", a.viewer, "GET", "/api/snapshots-delete/delete-with-id", nil, 200, "Snapshot deleted"},
		{"nothing is left", a.viewer, "GET", "/api/snapshots-delete/delete-with-id", nil, 404, ""},
		{"another route", a.editor, "GET", "/api/snapshot/shared-options", nil, 404, "Not found"},
		{"a board", a.viewer, "GET", "/api/dashboards/uid/known", nil, 200, ""},
		{"an unknown one", a.viewer, "GET", "/api/dashboards/uid/unknown", nil, 404, "Dashboard not found"},
	} {
		status, answer := a.ask(t, step.token, step.method, step.path, step.body)
		if message, _ := answer["message"].(string); status != step.status || !strings.Contains(message, step.message) {
			t.Errorf("%s: %d %v, want %d %s", step.what, status, answer, step.status, step.message)
		}
	}
}

// TestFluxFrames is section d: how tables become frames.
func TestFluxFrames(t *testing.T) {
	influxtest.Require2(t)
	server := influxtest.Shared(t)
	a := newAsker(t)
	a.Influx = &grafanatest.Influx{URL: server.URL, Org: server.Org, Bucket: server.Bucket(t), Token: server.Token}
	const series = `import "array"
		array.from(rows: [
			{_time: 2026-11-22T00:00:00Z, _value: 1.5, _field: "ms", artist: "A", _measurement: "listen"},
			{_time: 2026-11-23T00:00:00Z, _value: 2.5, _field: "ms", artist: "A", _measurement: "listen"},
			{_time: 2026-11-22T00:00:00Z, _value: 3.5, _field: "ms", artist: "B", _measurement: "listen"},
		])`
	day := float64(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC).UnixMilli())
	for _, test := range []struct {
		what, flux string
		want       string // name: field{labels} field{labels} = values
	}{
		{"a table without a key", series + ` |> group() |> keep(columns: ["artist", "_value"])`, `: _value artist = [[1.5 2.5 3.5] [A A B]]`},
		{"times first", series + ` |> group() |> keep(columns: ["artist", "_time"]) |> limit(n: 1)`, fmt.Sprintf(`: _time artist = [[%v] [A]]`, day)},
		{"time and value alone", series + ` |> group() |> keep(columns: ["_time", "_value"]) |> limit(n: 1)`, fmt.Sprintf(`: Time Value = [[%v] [1.5]]`, day)},
		{"series", series + ` |> group(columns: ["artist"]) |> keep(columns: ["_time", "_value", "artist"]) |> last()`, fmt.Sprintf(`: Time Value{artist=A} = [[%v] [2.5]] : Time Value{artist=B} = [[%v] [3.5]]`, day+86_400_000, day)},
		{"named by their field", series + ` |> group(columns: ["_measurement", "_field"]) |> keep(columns: ["_time", "_value", "_measurement", "_field"]) |> limit(n: 1)`, fmt.Sprintf(`listen: Time ms = [[%v] [1.5]]`, day)},
		{"range is no label", `from(bucket: v.bucket) |> range(start: v.timeRangeStart, stop: v.timeRangeStop)`, ``},
		{"types", `import "array" array.from(rows: [{n: 3, b: true, s: "x"}])`, `: n b s = [[3] [true] [x]]`},
	} {
		status, answer := a.ask(t, a.viewer, "POST", "/api/ds/query", map[string]any{
			"from": "1795305600000", "to": "1795392000000",
			"queries": []any{map[string]any{"refId": "A", "datasource": map[string]any{"uid": grafanatest.InfluxUID}, "query": test.flux, "intervalMs": 1000, "maxDataPoints": 100}},
		})
		if status != 200 {
			t.Errorf("%s: %d %v", test.what, status, answer)
			continue
		}
		encoded, err := json.Marshal(answer["results"].(map[string]any)["A"].(map[string]any)["frames"])
		if err != nil {
			t.Fatal(err)
		}
		var frames []grafanatest.Frame
		if err := json.Unmarshal(encoded, &frames); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range frames {
			line := f.Schema.Name + ":"
			for _, field := range f.Schema.Fields {
				line += " " + field.Name
				for label, value := range field.Labels {
					line += fmt.Sprintf("{%s=%s}", label, value)
				}
			}
			got = append(got, fmt.Sprintf("%s = %v", line, f.Data.Values))
			if f.Schema.RefID != "A" {
				t.Errorf("%s: refId %q", test.what, f.Schema.RefID)
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.what, strings.Join(got, " "), test.want)
		}
	}

	// One bad query of several is named, and the answer is no success.
	status, answer := a.ask(t, a.viewer, "POST", "/api/ds/query", map[string]any{
		"from": "0", "to": "1",
		"queries": []any{map[string]any{"refId": "B", "datasource": map[string]any{"uid": grafanatest.InfluxUID}, "query": "nonsense(", "intervalMs": 1000}},
	})
	failed, _ := answer["results"].(map[string]any)["B"].(map[string]any)
	if text, _ := failed["error"].(string); status != 400 || text == "" || !reflect.DeepEqual(failed["status"], 400.0) {
		t.Errorf("a bad query: %d %v", status, answer)
	}
}
