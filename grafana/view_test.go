package grafana_test

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/grafana"
	"github.com/spotify-exporter/spotify-exporter/grafana/grafanatest"
)

// view is a board that somebody has opened.
type view struct {
	*board
	database *database
	now      time.Time
	scope    grafana.Scope
}

// looking is how a board is looked at; what is empty is as the board has it.
type looking struct {
	account   string
	from, to  string
	now       time.Time
	variables map[string]string
}

// view opens a board as Grafana's page does: the range, then the variables, one after
// the other, since they may use those before them.
func (d *database) view(t testing.TB, b *board, l looking) (*view, error) {
	t.Helper()
	v := &view{board: b, database: d, now: l.now, scope: grafana.Scope{Variables: map[string]grafana.Variable{}}}
	if v.now.IsZero() {
		v.now = now
	}
	var err error
	v.scope.Range, err = grafana.NewRange(cmp.Or(l.from, b.Time.From), cmp.Or(l.to, b.Time.To), v.now, d.zone(l.account), time.Monday)
	if err != nil {
		return nil, err
	}
	asked := map[string]*target{}
	for _, target := range b.targets() {
		if target.variable != nil {
			asked[target.variable.Name] = &target
		}
	}
	for _, variable := range b.Templating.List {
		value, chosen := l.variables[variable.Name]
		switch {
		case chosen:
		case variable.Name == "bucket":
			value = d.bucket
		case variable.Name == "account" && l.account != "":
			value = l.account
		case variable.Type == "query":
			if asked[variable.Name].source().Type != "influxdb" {
				break // Prometheus is not here
			}
			values, err := v.values(t, asked[variable.Name].text())
			if err != nil {
				return nil, fmt.Errorf("variable %s: %w", variable.Name, err)
			}
			if len(values) > 0 {
				value = values[0]
			}
		default:
			value, _ = variable.Current.Value.(string)
		}
		v.scope.Variables[variable.Name] = grafana.Variable{Values: []string{value}}
	}
	return v, nil
}

// zone is where an account's listener lives.
func (d *database) zone(alias string) *time.Location {
	for _, a := range d.accounts {
		if a.alias == alias {
			return a.zone
		}
	}
	return time.UTC
}

// values are what a query offers for a variable: the first text column of its first
// frame (frameToMetricFindValue of Grafana's InfluxDB data source).
func (v *view) values(t testing.TB, query string) ([]string, error) {
	t.Helper()
	frames, err := v.run(t, query, 1000, time.Minute)
	if err != nil || len(frames) == 0 {
		return nil, err
	}
	var values []string
	for _, f := range frames[0].fields {
		if f.kind == "string" {
			for _, value := range f.values {
				text, _ := value.(string)
				values = append(values, text)
			}
			return values, nil
		}
	}
	return nil, fmt.Errorf("no text column in %v", frames[0].names())
}

// expand is a query as it reaches InfluxDB.
func (v *view) expand(query string, points int, interval time.Duration) (string, error) {
	expanded, err := v.scope.Expand(query)
	if err != nil {
		return "", err
	}
	if strings.Contains(expanded, "${") && strings.Contains(query, "${") {
		for name := range v.scope.Variables {
			if strings.Contains(expanded, "${"+name) {
				return "", fmt.Errorf("${%s} is left in the query", name)
			}
		}
	}
	return grafanatest.Macros{
		From: v.scope.Range.From, To: v.scope.Range.To, Interval: v.scope.Range.Interval(points, interval),
		Bucket: v.database.bucket, Organization: v.database.server.Org,
	}.Flux(expanded), nil
}

func (v *view) run(t testing.TB, query string, points int, interval time.Duration) ([]frame, error) {
	t.Helper()
	flux, err := v.expand(query, points, interval)
	if err != nil {
		return nil, err
	}
	return v.database.query(t, flux, v.now)
}

// points is how many the page asks for: what the panel says, or its width in pixels on
// a usual screen.
func (p *panel) points() int { return cmp.Or(p.MaxDataPoints, p.GridPos.W*60) }

// query runs one target.
func (v *view) query(t testing.TB, q *target) ([]frame, error) {
	t.Helper()
	points, least := 1000, time.Minute // timeInterval of the data source
	if q.panel != nil {
		points = q.panel.points()
		if q.panel.Interval != "" {
			var err error
			if least, err = time.ParseDuration(q.panel.Interval); err != nil {
				return nil, err
			}
		}
	}
	frames, err := v.run(t, q.text(), points, least)
	if err != nil {
		return nil, err
	}
	// The data source gives no more of a series, and of series (executor.go).
	if len(frames) > 1000 {
		return nil, fmt.Errorf("%d series: Grafana takes 1000", len(frames))
	}
	for i := range frames {
		if rows := frames[i].rows(); rows > 10*points {
			return nil, fmt.Errorf("%d rows: Grafana takes %d", rows, 10*points)
		}
	}
	return frames, nil
}

// answer is what the only Flux target of a panel answers.
func (v *view) answer(t testing.TB, title string) []frame {
	t.Helper()
	for _, q := range v.targets() {
		if q.panel == nil || q.panel.Title != title || q.source().Type != "influxdb" {
			continue
		}
		frames, err := v.query(t, &q)
		if err != nil {
			t.Fatalf("%s: %v", q.where, err)
		}
		return frames
	}
	t.Fatalf("%s has no panel %q", v.UID, title)
	return nil
}
