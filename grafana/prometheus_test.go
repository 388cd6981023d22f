package grafana_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/exporter/promtest"
	"github.com/spotify-exporter/spotify-exporter/grafana"
	"github.com/spotify-exporter/spotify-exporter/grafana/grafanatest"
)

// TestPrometheus holds what boards ask of Prometheus against the rules and against a real
// one that has scraped a simulated day, under two jobs.
func TestPrometheus(t *testing.T) {
	day := simulated(t)
	server := promtest.Backfilled(t, day.text.Bytes(), scrapeEvery, "spotify-exporter", "music")
	t.Run("rules", func(t *testing.T) {
		l := newLint(t)
		l.points, l.prometheus = day.points, server
		l.hold(t, queryRules)
		l.canFail(t, queryRules)
	})
	boards, double := readBoards(t), grafanatest.NewUnstarted()
	double.PrometheusURL = server
	t.Run("day", func(t *testing.T) {
		pages := map[string]*page{}
		for uid, b := range boards {
			page := &page{t: t, board: b, grafana: double, source: "spotify-prom", scope: b.scope(t, day.to, time.UTC, nil)}
			page.load()
			page.check()
			pages[uid] = page
		}
		for _, seen := range atTheEnd {
			pages[seen.board].see(seen.panel, seen.legend, seen.low, seen.high)
		}
	})
	t.Run("other names", func(t *testing.T) {
		given := map[string]string{"prometheus": "their-prom", "influx": "their-influx", "job": "music", "bucket": "theirs"}
		for _, b := range boards {
			page := &page{t: t, board: b, grafana: double, source: "their-prom", scope: b.scope(t, day.to, time.UTC, given)}
			page.load()
			page.check()
			for _, q := range b.targets() {
				for _, name := range []string{"spotify-prom", "spotify-influx", "spotify-exporter", `"spotify"`} {
					if content, _ := json.Marshal(q.expanded(t, page.scope)); strings.Contains(strings.ReplaceAll(string(content), `\"`, `"`), name) {
						t.Errorf("%s still names %s", q.where, name)
					}
				}
			}
		}
	})
	t.Run("one account", func(t *testing.T) {
		for _, b := range boards {
			page := &page{t: t, board: b, grafana: double, source: "spotify-prom", scope: b.scope(t, day.to, time.UTC, map[string]string{"account": "bob"})}
			page.load()
			for where, answer := range page.answers {
				for _, s := range answer {
					if account := s.labels["account"]; account != "" && account != "bob" {
						t.Errorf("%s shows %s, and only bob is chosen", where, s)
					}
				}
			}
		}
	})
	t.Run("nothing scraped", func(t *testing.T) {
		for _, b := range boards {
			page := &page{t: t, board: b, grafana: double, source: "spotify-prom", scope: b.scope(t, day.from.AddDate(-1, 0, 0), time.UTC, nil)}
			page.load()
			for where, answer := range page.answers {
				for _, s := range answer {
					t.Errorf("%s shows %s, though nothing was scraped", where, s)
				}
			}
		}
	})
}

// atTheEnd is what is to be seen when the simulated day ends.
var atTheEnd = []struct {
	board, panel, legend string
	low, high            float64
}{
	{"spotify-now", "Player", "alice", 1, 1},
	{"spotify-now", "Playing", "The Long Way Round", 0.06, 0.07}, // four minutes of an hour
	{"spotify-now", "Position", "alice", 230, 241},
	{"spotify-now", "Left", "alice", 3359, 3370},
	{"spotify-now", "Last look", "bob", 32_300, 32_800}, // nine hours
	{"spotify-poller", "Accounts that fail", "accounts", 1, 1},
	{"spotify-poller", "Shortest login", "days", 180, 182},
	{"spotify-poller", "50 of 50", "held", 1, 1},
	{"spotify-poller", "Alerts", "SpotifyAuthorizationLost bob", 1, 1},
	{"spotify-poller", "Polls", "bob: auth", 1, 1},
	{"spotify-poller", "Polls", "alice", 1, 1},
	{"spotify-poller", "Budget used", "localhost:10178", 0.5, 1},
	{"spotify-poller", "May ask again in", "localhost:10178", 0, 0},
	{"spotify-poller", "Open gaps", "alice", 1, 1},
	{"spotify-poller", "Open gaps", "bob", 0, 0},
	{"spotify-poller", "Plays recorded", "alice: playback", 5, 40}, // in an hour
	{"spotify-poller", "InfluxDB answers", "localhost:10178", 0, 0},
	{"spotify-poller", "Oldest in the queue", "localhost:10178", 1, 900},           // gone for twelve minutes
	{"spotify-poller", "Spotify's answers take", "half of them within", 0.1, 0.25}, // 125 ms
}

// page is a board that is open in Grafana.
type page struct {
	t       *testing.T
	board   *board
	grafana *grafanatest.Server
	source  string // uid under which its Prometheus is asked
	scope   *grafana.Scope
	answers map[string][]series // by target
}

// series is one of an answer: with a value for each time, or with one at the end of the
// time range.
type series struct {
	legend string
	labels map[string]string
	values []float64
}

func (s series) String() string {
	return fmt.Sprintf("%s%v %v", s.legend, s.labels, s.values[len(s.values)-1])
}

// points are how many a panel of some width has.
const points = 1000

// load asks Prometheus what Grafana asks for the board.
func (p *page) load() {
	p.t.Helper()
	p.answers = map[string][]series{}
	for _, q := range p.board.targets() {
		if q.source().Type != "prometheus" {
			continue
		}
		target := q.expanded(p.t, p.scope)
		object := target["datasource"].(map[string]any)
		if object["uid"] != p.source {
			p.t.Errorf("%s asks %v", q.where, object)
		}
		var err error
		if q.variable != nil {
			p.answers[q.where], err = p.offered(target["query"].(string))
		} else {
			object["uid"] = grafanatest.PrometheusUID
			p.answers[q.where], err = p.ask(&q, target)
		}
		if err != nil {
			p.t.Errorf("%s: %v", q.where, err)
		}
	}
}

// ask sends a target of a panel or an annotation.
func (p *page) ask(q *target, target map[string]any) ([]series, error) {
	lowest := scrapeEvery
	if q.panel != nil && q.panel.Interval != "" {
		var err error
		if lowest, err = time.ParseDuration(q.panel.Interval); err != nil {
			return nil, err
		}
	}
	target["intervalMs"] = p.scope.Range.Interval(points, lowest).Milliseconds()
	target["maxDataPoints"] = points
	content, err := json.Marshal(map[string]any{
		"from": strconv.FormatInt(p.scope.Range.From.UnixMilli(), 10), "to": strconv.FormatInt(p.scope.Range.To.UnixMilli(), 10),
		"queries": []any{target},
	})
	if err != nil {
		return nil, err
	}
	request := httptest.NewRequestWithContext(p.t.Context(), http.MethodPost, "/api/ds/query", bytes.NewReader(content))
	request.Header.Set("Authorization", "Bearer "+p.grafana.Token(grafanatest.Viewer))
	recorder := httptest.NewRecorder()
	p.grafana.ServeHTTP(recorder, request)
	var answer struct {
		Message string
		Results map[string]struct {
			Error  string
			Frames []grafanatest.Frame
		}
	}
	if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil {
		return nil, err
	}
	result := answer.Results[target["refId"].(string)]
	if recorder.Code != http.StatusOK {
		return nil, fmt.Errorf("%d %s %s", recorder.Code, answer.Message, result.Error)
	}
	var all []series
	for _, frame := range result.Frames {
		if len(frame.Schema.Fields) == 0 {
			continue // Prometheus had nothing
		}
		s := series{legend: frame.Schema.Name, labels: frame.Schema.Fields[1].Labels}
		for _, value := range frame.Data.Values[1] {
			number, ok := value.(float64)
			if !ok {
				number = math.NaN()
			}
			s.values = append(s.values, number)
		}
		all = append(all, s)
	}
	return all, nil
}

// offered asks for the values of a variable, as the data source of Grafana's page does,
// and returns each as a series.
func (p *page) offered(query string) ([]series, error) {
	match := labelValues.FindStringSubmatch(query)
	if match == nil {
		return nil, fmt.Errorf("%s is no label_values(metric, label)", query)
	}
	form := url.Values{"match[]": {match[1]}}
	for name, at := range map[string]time.Time{"start": p.scope.Range.From, "end": p.scope.Range.To} {
		form.Set(name, strconv.FormatInt(at.Unix(), 10))
	}
	response, err := http.Get(p.grafana.PrometheusURL + "/api/v1/label/" + match[2] + "/values?" + form.Encode())
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		Error string
		Data  []string
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		return nil, errors.New(answer.Error)
	}
	var all []series
	for _, value := range answer.Data {
		all = append(all, series{legend: value, values: []float64{1}})
	}
	return all, nil
}

// check wants of each answer what the type of its panel needs.
func (p *page) check() {
	p.t.Helper()
	for _, q := range p.board.targets() {
		answer, asked := p.answers[q.where]
		if !asked {
			continue
		}
		if len(answer) == 0 {
			p.t.Errorf("%s: nothing", q.where)
		}
		for _, s := range answer {
			if !slices.ContainsFunc(s.values, func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }) {
				p.t.Errorf("%s: no number in %s", q.where, s)
			}
		}
	}
	for _, panel := range p.board.all() {
		if panel.Datasource == nil || panel.Datasource.Type != "prometheus" {
			continue
		}
		names := map[string]bool{} // of columns, or of series
		for _, q := range panel.Targets {
			where := p.board.UID + ", panel " + panel.Title + ", " + q["refId"].(string)
			if panel.Type == "table" {
				maps.Copy(names, columns(p.answers[where], q["refId"].(string), len(panel.Targets)))
				continue
			}
			for _, s := range p.answers[where] {
				if names[s.legend] {
					p.t.Errorf("panel %q has two series %q", panel.Title, s.legend)
				}
				names[s.legend] = true
			}
		}
		for _, override := range panel.FieldConfig.Overrides {
			if override.Matcher.ID == "byName" && !names[override.Matcher.Options] {
				p.t.Errorf("panel %q changes %q and has only %v", panel.Title, override.Matcher.Options, slices.Sorted(maps.Keys(names)))
			}
		}
	}
}

// see wants the last number of a series, or of a table's row with such a label, between
// two numbers.
func (p *page) see(panel, legend string, low, high float64) {
	p.t.Helper()
	for _, q := range p.board.targets() {
		if q.panel == nil || q.panel.Title != panel {
			continue
		}
		for _, s := range p.answers[q.where] {
			if s.legend != legend && s.labels["track"] != legend {
				continue
			}
			if last := s.values[len(s.values)-1]; !(last >= low && last <= high) {
				p.t.Errorf("panel %q: %s is %v, want %v to %v", panel, legend, last, low, high)
			}
			return
		}
	}
	p.t.Errorf("panel %q does not show %q", panel, legend)
}

// columns are those that Grafana's page makes of an answer whose format is a table.
func columns(answer []series, refID string, targets int) map[string]bool {
	value := "Value"
	if targets > 1 {
		value += " #" + refID
	}
	names := map[string]bool{"Time": true, value: true}
	for _, s := range answer {
		for label := range s.labels {
			names[label] = true
		}
	}
	return names
}
