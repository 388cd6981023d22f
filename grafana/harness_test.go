package grafana_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/grafana"
	"github.com/spotify-exporter/spotify-exporter/grafana/grafanatest"
)

// harness is a Publisher and its Grafana, without a network: in virtual time too.
type harness struct {
	*grafana.Publisher
	server *grafanatest.Server
	token  string
	dir    string
	logged *strings.Builder
	fails  string // of a query that holds this, with an error
	asked  []map[string]any
}

// newHarness has a board in testdata/board.json; change may be nil.
func newHarness(t testing.TB, change func(*grafana.Options)) *harness {
	t.Helper()
	h := &harness{server: grafanatest.NewUnstarted(), dir: t.TempDir(), logged: new(strings.Builder)}
	h.token = h.server.Token(grafanatest.Editor)
	h.server.SetBoard(t, boardFile(t))
	h.server.Answer = h.answer
	options := grafana.Options{
		URL: h.server.URL, PublicURL: "https://music.example.org/", Token: h.token, Dashboard: "spotify-public", Account: "anna",
		Delay: 24 * time.Hour, Interval: 6 * time.Hour, Dir: h.dir, Base: h.server,
		Log: slog.New(slog.NewTextHandler(h.logged, nil)),
	}
	if change != nil {
		change(&options)
	}
	var err error
	if h.Publisher, err = grafana.New(options); err != nil {
		t.Fatal(err)
	}
	return h
}

func boardFile(t testing.TB) []byte {
	t.Helper()
	file, err := os.ReadFile("testdata/board.json")
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// edit saves a new version of the board with a text replaced.
func (h *harness) edit(t testing.TB, old, new string) {
	t.Helper()
	file := string(boardFile(t))
	if !strings.Contains(file, old) {
		t.Fatalf("the board has no %s", old)
	}
	h.server.SetBoard(t, []byte(strings.ReplaceAll(file, old, new)))
}

// answer makes the frames of the board's queries.
func (h *harness) answer(query map[string]any) ([]grafanatest.Frame, error) {
	h.asked = append(h.asked, query)
	text, _ := query["query"].(string)
	day := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Hour).UnixMilli() // midnight in Berlin
	switch {
	case h.fails != "" && strings.Contains(text, h.fails):
		return nil, errors.New("error @1:1-1:9: undefined identifier h")
	case text == "accounts":
		return []grafanatest.Frame{table(column("account", "string", "me", "anna"))}, nil
	case strings.HasPrefix(text, "days"):
		f := table(column("Time", "time", day, day+86_400_000), column("Value", "number", 1.5, nil))
		f.Schema.Meta = map[string]any{"executedQueryString": text, "typeVersion": []int{0, 0}}
		return []grafanatest.Frame{f}, nil
	case strings.HasPrefix(text, "artists"):
		return []grafanatest.Frame{table(column("artist", "string", "Kitchen", "192.168.1.7"), column("hours", "number", 12.25, 3))}, nil
	}
	return nil, fmt.Errorf("unknown query %q", text)
}

type typedColumn struct {
	grafanatest.Field
	values []any
}

func column(name, kind string, values ...any) typedColumn {
	return typedColumn{grafanatest.Field{Name: name, Type: kind, TypeInfo: map[string]any{"frame": kind, "nullable": true}, Config: map[string]any{}}, values}
}

func table(columns ...typedColumn) grafanatest.Frame {
	var f grafanatest.Frame
	for _, c := range columns {
		f.Schema.Fields = append(f.Schema.Fields, c.Field)
		f.Data.Values = append(f.Data.Values, c.values)
	}
	return f
}

// publish publishes and fails the test if that fails.
func (h *harness) publish(t *testing.T) *grafana.Published {
	t.Helper()
	published, err := h.Publish(t.Context())
	if err != nil {
		t.Fatalf("publish: %v", err)
	}
	return published
}

// refused publishes, which must fail for that reason and in these words.
func (h *harness) refused(t *testing.T, reason grafana.Reason, words ...string) {
	t.Helper()
	_, err := h.Publish(t.Context())
	failed, ok := errors.AsType[*grafana.Error](err)
	if !ok || failed.Reason != reason {
		t.Fatalf("publish: %v, want an error of reason %s", err, reason)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
	if strings.Contains(err.Error(), h.token) || strings.Contains(err.Error(), h.keys(t)["delete_key"].(string)) {
		t.Errorf("the error tells a secret: %v", err)
	}
}

// keys is the content of the file with the keys.
func (h *harness) keys(t *testing.T) map[string]any {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(h.dir, "snapshot.json"))
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(content, &keys); err != nil {
		t.Fatal(err)
	}
	return keys
}

// seen is the dashboard that a visitor gets; nil: none.
func (h *harness) seen(t *testing.T) map[string]any {
	t.Helper()
	request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, h.server.URL+"/api/snapshots/"+h.keys(t)["key"].(string), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := h.server.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Dashboard map[string]any `json:"dashboard"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer.Dashboard
}

// title is what a visitor reads at the top; "": there is nothing.
func (h *harness) title(t *testing.T) string {
	title, _ := h.seen(t)["title"].(string)
	return title
}
