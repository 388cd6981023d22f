package grafana_test

import (
	"cmp"
	"fmt"
	"slices"
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
	scope    grafana.Scope
	pixels   int
}

// looking is how a board is looked at; what is empty is as the board has it.
type looking struct {
	account   string
	from, to  string
	now       time.Time
	variables map[string]string
	pixels    int // how wide panels are
}

// otherSource is a data source with another uid than the provisioned ones, in a Grafana
// that was there before.
const otherSource = "another"

// view opens a board as Grafana's page does: the range, then the variables, one after
// the other, since they may use those before them.
func (d *database) view(t testing.TB, b *board, l looking) (*view, error) {
	t.Helper()
	v := &view{board: b, database: d, pixels: l.pixels, scope: grafana.Scope{Variables: map[string]grafana.Variable{}}}
	moment := l.now
	if moment.IsZero() {
		moment = now
	}
	var err error
	v.scope.Range, err = grafana.NewRange(cmp.Or(l.from, b.Time.From), cmp.Or(l.to, b.Time.To), moment, d.zone(l.account), time.Monday)
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
		case variable.Type == "datasource":
			value = otherSource
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
	return v.database.query(t, flux, points)
}

// points is how many the page asks for: what the panel says, or its width in pixels, on a
// usual screen if it is not said.
func (p *panel) points(pixels int) int { return cmp.Or(p.MaxDataPoints, pixels, p.GridPos.W*60) }

// query runs one target.
func (v *view) query(t testing.TB, q *target) ([]frame, error) {
	t.Helper()
	if uid, err := v.scope.Expand(q.source().UID); uid != otherSource || err != nil {
		return nil, fmt.Errorf("asks the data source %s, not the one that is chosen (%v)", uid, err)
	}
	points, least := 1000, time.Minute // timeInterval of the data source
	if q.panel != nil {
		points = q.panel.points(v.pixels)
		if q.panel.Interval != "" {
			var err error
			if least, err = time.ParseDuration(q.panel.Interval); err != nil {
				return nil, err
			}
		}
	}
	return v.run(t, q.text(), points, least)
}

// answer is what a panel gets from InfluxDB: for its first query, or those that are
// named.
func (v *view) answer(t testing.TB, title string, refIDs ...string) []frame {
	t.Helper()
	if len(refIDs) == 0 {
		refIDs = []string{"A"}
	}
	var frames []frame
	for _, refID := range refIDs {
		where := fmt.Sprintf("%s, panel %s, %s", v.UID, title, refID)
		targets := v.targets()
		i := slices.IndexFunc(targets, func(q target) bool { return q.where == where })
		if i < 0 {
			t.Fatalf("there is no %s", where)
		}
		answer, err := v.query(t, &targets[i])
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		frames = append(frames, answer...)
	}
	return frames
}

// table are the rows that a panel gets, by column.
func (v *view) table(t testing.TB, title string, refIDs ...string) []map[string]any {
	t.Helper()
	var rows []map[string]any
	for _, f := range v.answer(t, title, refIDs...) {
		for i := range f.rows() {
			row := map[string]any{}
			for _, field := range f.fields {
				row[field.name] = field.values[i]
			}
			rows = append(rows, row)
		}
	}
	return rows
}
