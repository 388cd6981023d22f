package grafana_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/grafana"
)

// board is a dashboard as it is in its file, as far as tests look at it.
type board struct {
	UID, Title, Description string
	Tags                    []string
	SchemaVersion           int
	Editable                *bool
	Refresh                 string
	Time                    struct{ From, To string }
	Timezone, WeekStart     string
	Links                   []link
	Annotations             struct{ List []annotation }
	Templating              struct{ List []variable }
	Panels                  []panel

	file map[string]any // all of it
}

type link struct {
	Title, Type, URL      string
	Tags                  []string
	IncludeVars, KeepTime bool
}

type annotation struct {
	Name       string
	Enable     bool
	Datasource source
	Target     map[string]any
}

// source names a data source.
type source struct{ Type, UID string }

type variable struct {
	Name, Label, Description, Type string
	Query                          any // a string, or an object with the string query
	Datasource                     *source
	AllValue                       string
	Multi, IncludeAll              bool
	Current                        struct{ Text, Value any }
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Datasource               *source
	Targets                  []map[string]any
	MaxDataPoints            int
	Interval                 string
	TimeFrom, TimeShift      string
	FieldConfig              struct {
		Defaults  fieldDefaults
		Overrides []struct {
			Matcher    struct{ ID, Options string }
			Properties []struct {
				ID    string
				Value any
			}
		}
	}
	Options         map[string]any
	Transformations []struct {
		ID      string
		Options map[string]any
	}
	Links  []link
	Panels []panel // of a collapsed row
}

type fieldDefaults struct {
	Unit, NoValue string
	Decimals      *int
	Mappings      []any
	Color         struct{ Mode, FixedColor string }
	Thresholds    *struct {
		Mode  string
		Steps []threshold
	}
	Links  []link
	Custom struct {
		MinWidth  int
		DrawStyle string
		Stacking  struct{ Mode string }
	}
}

type threshold struct {
	Color string
	Value *float64
}

// readBoards reads all boards, by their uids.
func readBoards(t testing.TB) map[string]*board {
	t.Helper()
	names, err := filepath.Glob("dashboards/*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("no boards: %v", err)
	}
	boards := map[string]*board{}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := parseBoard(content)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if name != filepath.Join("dashboards", b.UID+".json") {
			t.Errorf("%s has the uid %s", name, b.UID)
		}
		boards[b.UID] = b
	}
	return boards
}

func parseBoard(content []byte) (*board, error) {
	b := &board{}
	if err := json.Unmarshal(content, b); err != nil {
		return nil, err
	}
	return b, json.Unmarshal(content, &b.file)
}

// all are the panels, those in collapsed rows too.
func (b *board) all() []panel {
	var all []panel
	for _, p := range b.Panels {
		all = append(all, p)
		all = append(all, p.Panels...)
	}
	return all
}

// target is what a board asks of a data source.
type target struct {
	where    string    // such as "spotify-poller, panel Budget, A"
	panel    *panel    // nil: asked by a variable or an annotation
	variable *variable // nil: asked by a panel or an annotation
	json     map[string]any
}

// targets are the targets of all panels, variables and annotations. That of a variable
// looks like one of a panel.
func (b *board) targets() []target {
	var all []target
	panels := b.all()
	for i := range panels {
		p := &panels[i]
		for _, json := range p.Targets {
			refID, _ := json["refId"].(string)
			all = append(all, target{where: b.UID + ", panel " + p.Title + ", " + refID, panel: p, json: json})
		}
	}
	for i := range b.Templating.List {
		v := &b.Templating.List[i]
		if v.Type != "query" || v.Datasource == nil {
			continue
		}
		query := map[string]any{"datasource": map[string]any{"type": v.Datasource.Type, "uid": v.Datasource.UID}, "query": v.Query}
		if object, ok := v.Query.(map[string]any); ok {
			maps.Copy(query, object)
		}
		all = append(all, target{where: b.UID + ", variable " + v.Name, variable: v, json: query})
	}
	for _, a := range b.Annotations.List {
		if a.Target != nil {
			all = append(all, target{where: b.UID + ", annotation " + a.Name, json: a.Target})
		}
	}
	return all
}

// source is the data source that a target asks, as it is written there.
func (q *target) source() source {
	object, _ := q.json["datasource"].(map[string]any)
	kind, _ := object["type"].(string)
	uid, _ := object["uid"].(string)
	return source{kind, uid}
}

// text is the Flux or PromQL of a target.
func (q *target) text() string {
	if expr, ok := q.json["expr"].(string); ok {
		return expr
	}
	text, _ := q.json["query"].(string)
	return text
}

// expanded is a copy of a target as Grafana's page sends it.
func (q *target) expanded(t testing.TB, scope *grafana.Scope) map[string]any {
	t.Helper()
	expanded := maps.Clone(q.json)
	if object, ok := expanded["datasource"].(map[string]any); ok {
		expanded["datasource"] = maps.Clone(object)
	}
	if err := scope.ExpandTarget(expanded); err != nil {
		t.Errorf("%s: %v", q.where, err)
	}
	return expanded
}

// scope is what the page knows of a board that is opened at a moment, with the values of
// its variables that are in the file, or the ones given by name.
func (b *board) scope(t testing.TB, now time.Time, location *time.Location, given map[string]string) *grafana.Scope {
	t.Helper()
	timeRange, err := grafana.NewRange(b.Time.From, b.Time.To, now, location, time.Monday)
	if err != nil {
		t.Fatalf("%s: %v", b.UID, err)
	}
	scope := &grafana.Scope{Variables: map[string]grafana.Variable{}, Range: timeRange}
	for _, v := range b.Templating.List {
		value, _ := v.Current.Value.(string)
		text, _ := v.Current.Text.(string)
		if other, ok := given[v.Name]; ok {
			value, text = other, ""
		}
		expanded := grafana.Variable{Values: []string{value}, Text: text, Multi: v.Multi || v.IncludeAll}
		if value == "$__all" {
			expanded.AllValue = v.AllValue
		}
		scope.Variables[v.Name] = expanded
	}
	return scope
}
