package grafana_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// rule is something that holds for every board.
type rule struct {
	name string
	// check tells what is wrong, nothing if nothing is.
	check func(l *lint, b *board)
	// breaks are changes of a good board that the rule must complain about, by the
	// complaint.
	breaks map[string]func(e *edit)
}

// lint collects what is wrong with a board.
type lint struct {
	boards     map[string]*board // all of them, by uid
	sources    map[string]string // types of the provisioned data sources by uid
	runbook    map[string]bool   // anchors of deploy/runbooks.md
	bad        string            // the color of what is bad
	complaints []string

	// What only rules about queries need.
	points     map[string][]string // fields and tags by measurement
	contract   contract
	prometheus string // address of one
}

func (l *lint) complain(format string, args ...any) {
	l.complaints = append(l.complaints, fmt.Sprintf(format, args...))
}

func newLint(t *testing.T) *lint {
	t.Helper()
	l := &lint{contract: readContract(t), boards: readBoards(t), sources: map[string]string{}, runbook: map[string]bool{}}
	for _, source := range readDataSources(t).DataSources {
		l.sources[source.UID] = source.Type
	}
	content, err := os.ReadFile("../deploy/runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	colors, err := os.ReadFile("boards/color.go")
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`(?m)^\tskipped += "(#\w{6})"`).FindSubmatch(colors)
	if match == nil {
		t.Fatal("boards/color.go has no color of what is bad")
	}
	l.bad = string(match[1])
	for _, heading := range regexp.MustCompile(`(?m)^## (\w+)$`).FindAllStringSubmatch(string(content), -1) {
		l.runbook[strings.ToLower(heading[1])] = true
	}
	return l
}

// boardUIDs are the boards that there are, which links from elsewhere rely on.
var boardUIDs = []string{"spotify-alltime", "spotify-artist", "spotify-listening", "spotify-now", "spotify-poller", "spotify-public", "spotify-year"}

func TestBoards(t *testing.T) {
	l := newLint(t)
	l.hold(t, rules)
	l.canFail(t, rules)
	titles := map[string]bool{}
	for _, b := range l.boards {
		if titles[b.Title] {
			t.Errorf("two boards have the title %q, of which Grafana loads one", b.Title)
		}
		titles[b.Title] = true
	}
}

// hold holds every board against every rule.
func (l *lint) hold(t *testing.T, rules []rule) {
	t.Helper()
	for _, uid := range slices.Sorted(maps.Keys(l.boards)) {
		for _, rule := range rules {
			l.complaints = nil
			rule.check(l, l.boards[uid])
			for _, complaint := range l.complaints {
				t.Errorf("%s: %s: %s", uid, rule.name, complaint)
			}
		}
	}
}

// canFail breaks a board in every way that a rule knows of.
func (l *lint) canFail(t *testing.T, rules []rule) {
	t.Helper()
	for _, rule := range rules {
		if len(rule.breaks) == 0 {
			t.Errorf("%s: nothing shows that it can fail", rule.name)
		}
		for complaint, change := range rule.breaks {
			e := &edit{t: t, bad: l.bad, file: cloned(t, l.boards["spotify-poller"].file)}
			change(e)
			content, err := json.Marshal(e.file)
			if err != nil {
				t.Fatal(err)
			}
			b, err := parseBoard(content)
			if err != nil {
				t.Fatal(err)
			}
			l.complaints = nil
			rule.check(l, b)
			if !slices.ContainsFunc(l.complaints, func(c string) bool { return strings.Contains(c, complaint) }) {
				t.Errorf("%s: no complaint %q but %q", rule.name, complaint, l.complaints)
			}
		}
	}
}

func cloned(t *testing.T, file map[string]any) map[string]any {
	t.Helper()
	content, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	var clone map[string]any
	if err := json.Unmarshal(content, &clone); err != nil {
		t.Fatal(err)
	}
	return clone
}

// edit is a board that is to be broken.
type edit struct {
	t    *testing.T
	bad  string // the color of what is bad
	file map[string]any
}

func (e *edit) set(key string, value any) { e.file[key] = value }

// panel returns the first panel of a type.
func (e *edit) panel(kind string) map[string]any {
	e.t.Helper()
	for _, p := range e.file["panels"].([]any) {
		if p := p.(map[string]any); p["type"] == kind {
			return p
		}
	}
	e.t.Fatalf("no panel of type %s to break", kind)
	return nil
}

func (e *edit) target(kind string) map[string]any {
	return e.panel(kind)["targets"].([]any)[0].(map[string]any)
}

func (e *edit) defaults(kind string) map[string]any {
	return e.panel(kind)["fieldConfig"].(map[string]any)["defaults"].(map[string]any)
}

// variables returns the variables, to be changed in place.
func (e *edit) variables() []any { return e.file["templating"].(map[string]any)["list"].([]any) }

func (e *edit) variable(name string) map[string]any {
	e.t.Helper()
	for _, v := range e.variables() {
		if v := v.(map[string]any); v["name"] == name {
			return v
		}
	}
	e.t.Fatalf("no variable %s to break", name)
	return nil
}

// addVariable adds a variable that differs from another.
func (e *edit) addVariable(like, name string) {
	v := maps.Clone(e.variable(like))
	v["name"] = name
	e.file["templating"].(map[string]any)["list"] = append(e.variables(), v)
}

// rules are what every board keeps, whatever it asks. Those about queries are in
// lint_query_test.go.
var rules = []rule{
	{
		name: "file",
		check: func(l *lint, b *board) {
			for _, key := range []string{"id", "version", "iteration", "__inputs", "__requires", "__elements", "apiVersion", "kind", "spec"} {
				if _, ok := b.file[key]; ok {
					l.complain("has %q, which does not belong in a file that is provisioned", key)
				}
			}
			if !regexp.MustCompile(`^[a-zA-Z0-9_-]{1,40}$`).MatchString(b.UID) || !slices.Contains(boardUIDs, b.UID) {
				l.complain("the uid %q is none of ours", b.UID)
			}
			if b.SchemaVersion != 41 {
				l.complain("schemaVersion is %d, want 41", b.SchemaVersion)
			}
			if b.Editable == nil || *b.Editable {
				l.complain("is editable, though the next start of Grafana undoes changes")
			}
			if b.WeekStart != "monday" {
				l.complain("weeks begin on %q", b.WeekStart)
			}
			if b.Title == "" || b.Description == "" || !slices.Contains(b.Tags, "spotify") {
				l.complain("lacks its title, description or tag")
			}
		},
		breaks: map[string]func(e *edit){
			`has "id"`:         func(e *edit) { e.set("id", 7) },
			`has "__inputs"`:   func(e *edit) { e.set("__inputs", []any{}) },
			"none of ours":     func(e *edit) { e.set("uid", "another") },
			"schemaVersion":    func(e *edit) { e.set("schemaVersion", 16) },
			"is editable":      func(e *edit) { delete(e.file, "editable") },
			"weeks begin":      func(e *edit) { e.set("weekStart", "") },
			"lacks its title,": func(e *edit) { e.set("tags", []any{}) },
		},
	},
	{
		name: "layout",
		check: func(l *lint, b *board) {
			ids, titles := map[int]string{}, map[string]bool{}
			panels := b.all()
			for i, p := range panels {
				if other, ok := ids[p.ID]; ok || p.ID < 1 {
					l.complain("panel %q has the id %d, as %q has", p.Title, p.ID, other)
				}
				if titles[p.Title] {
					l.complain("two panels are called %q", p.Title)
				}
				ids[p.ID], titles[p.Title] = p.Title, true
				a := p.GridPos
				if a.W < 1 || a.H < 1 || a.X < 0 || a.Y < 0 || a.X+a.W > 24 {
					l.complain("panel %q does not fit: %+v", p.Title, a)
				}
				for _, q := range panels[:i] {
					if c := q.GridPos; a.X < c.X+c.W && c.X < a.X+a.W && a.Y < c.Y+c.H && c.Y < a.Y+a.H {
						l.complain("panels %q and %q overlap", q.Title, p.Title)
					}
				}
			}
		},
		breaks: map[string]func(e *edit){
			"has the id": func(e *edit) { e.panel("timeseries")["id"] = e.panel("stat")["id"] },
			"are called": func(e *edit) { e.panel("timeseries")["title"] = e.panel("stat")["title"] },
			"does not fit": func(e *edit) {
				e.panel("stat")["gridPos"] = map[string]any{"x": 20, "y": 0, "w": 6, "h": 4}
			},
			"overlap": func(e *edit) { e.panel("timeseries")["gridPos"] = e.panel("stat")["gridPos"] },
		},
	},
	{
		name: "panel types",
		check: func(l *lint, b *board) {
			for _, p := range b.all() {
				if !slices.Contains(coreTypes, p.Type) {
					l.complain("panel %q is a %s: not every Grafana has that", p.Title, p.Type)
				}
			}
		},
		breaks: map[string]func(e *edit){
			"is a treemap": func(e *edit) { e.panel("stat")["type"] = "treemap" },
		},
	},
	{
		name: "texts",
		check: func(l *lint, b *board) {
			for _, p := range b.all() {
				if p.Title == "" {
					l.complain("panel %d has no title", p.ID)
				}
				if p.Type == "row" || p.Type == "text" {
					continue
				}
				if !strings.HasSuffix(p.Description, ".") && !strings.HasSuffix(p.Description, ")") {
					l.complain("the description of panel %q is no sentence: %q", p.Title, p.Description)
				}
				if p.FieldConfig.Defaults.NoValue == "" {
					l.complain("panel %q says nothing when there is nothing to show (noValue)", p.Title)
				}
			}
			for _, v := range b.Templating.List {
				if v.Label == "" || v.Description == "" {
					l.complain("variable %s has no label or description", v.Name)
				}
			}
		},
		breaks: map[string]func(e *edit){
			"has no title": func(e *edit) { e.panel("stat")["title"] = "" },
			"no sentence":  func(e *edit) { e.panel("stat")["description"] = "see above" },
			"noValue":      func(e *edit) { delete(e.defaults("stat"), "noValue") },
			"no label":     func(e *edit) { e.variable("job")["label"] = "" },
		},
	},
	{
		name: "units",
		check: func(l *lint, b *board) {
			for _, p := range b.all() {
				unit := p.FieldConfig.Defaults.Unit != ""
				for _, override := range p.FieldConfig.Overrides {
					for _, property := range override.Properties {
						unit = unit || property.ID == "unit" && property.Value != "string"
					}
				}
				if !unit && slices.Contains(numberTypes, p.Type) && !p.mapsValues() && !p.showsText() {
					l.complain("panel %q shows numbers of no unit", p.Title)
				}
			}
		},
		breaks: map[string]func(e *edit){
			"no unit": func(e *edit) { delete(e.defaults("timeseries"), "unit") },
		},
	},
	{
		name: "thresholds",
		check: func(l *lint, b *board) {
			for _, p := range b.all() {
				t := p.FieldConfig.Defaults.Thresholds
				if t == nil {
					continue
				}
				for i, step := range t.Steps {
					switch {
					case (i == 0) != (step.Value == nil):
						l.complain("panel %q: the first threshold and no other has the value null", p.Title)
					case i > 1 && *step.Value <= *t.Steps[i-1].Value:
						l.complain("panel %q: thresholds are not in order", p.Title)
					}
				}
				if len(t.Steps) < 2 {
					l.complain("panel %q has one threshold, which limits nothing", p.Title)
				}
			}
		},
		breaks: map[string]func(e *edit){
			"the value null": func(e *edit) { e.thresholds(5) },
			"not in order":   func(e *edit) { e.thresholds(nil, 5, 3) },
			"limits nothing": func(e *edit) { e.thresholds(nil) },
		},
	},
	{
		name:  "looks",
		check: checkLooks,
		breaks: map[string]func(e *edit){
			"has no room for its title": func(e *edit) { e.panel("stat")["gridPos"] = map[string]any{"w": 1, "h": 4} },
			"no room for its line": func(e *edit) {
				e.panel("stat")["options"] = map[string]any{"graphMode": "area"}
			},
			"no mark between 0 and 1": func(e *edit) {
				e.defaults("timeseries")["unit"], e.defaults("timeseries")["decimals"] = "percentunit", 0
			},
			"texts on top of each other": func(e *edit) {
				p := e.panel("stat")
				p["type"], p["options"] = "barchart", map[string]any{"xTickLabelSpacing": 0}
			},
			"of a single bar is cut off": func(e *edit) {
				p := e.panel("stat")
				p["type"], p["options"] = "bargauge", map[string]any{"sizing": "auto"}
			},
			"no room for its dates": func(e *edit) { e.defaults("stat")["unit"] = "time:YYYY-MM-DD" },
			"without a number looks like": func(e *edit) {
				for _, p := range e.file["panels"].([]any) {
					if p := p.(map[string]any); p["title"] == "Published" {
						delete(p["fieldConfig"].(map[string]any)["defaults"].(map[string]any), "mappings")
					}
				}
			},
			"is not red where nothing": func(e *edit) {
				e.defaults("stat")["thresholds"] = map[string]any{"mode": "absolute", "steps": []any{map[string]any{"color": "#009E73", "value": nil}}}
			},
			"marks of one number of hours": func(e *edit) {
				e.defaults("timeseries")["unit"], e.defaults("timeseries")["decimals"] = "suffix:h", 1
			},
			"without separators": func(e *edit) { e.defaults("stat")["unit"] = "none" },
			"has a gradient":     func(e *edit) { e.panel("stat")["options"] = map[string]any{"colorMode": "background"} },
			"on top of each other": func(e *edit) {
				p := e.panel("timeseries")
				p["targets"] = append(p["targets"].([]any), p["targets"].([]any)...)
				e.defaults("timeseries")["custom"] = map[string]any{"drawStyle": "bars"}
			},
			"beyond a phone's screen": func(e *edit) {
				e.property("table", "Value #H", "custom.cellOptions", map[string]any{"type": "gauge"})
			},
			"at least 50 pixels":    func(e *edit) { e.property("table", "account", "custom.width", 36) },
			"wide and has room for": func(e *edit) { e.property("table", "account", "custom.width", 600) },
			"greatest of its own": func(e *edit) {
				e.property("table", "account", "custom.cellOptions", map[string]any{"type": "gauge"})
			},
		},
	},
	{
		name: "time",
		check: func(l *lint, b *board) {
			if b.Time.From == "" || b.Time.To == "" {
				l.complain("has no time range")
			}
			for _, p := range b.all() {
				if b.UID == "spotify-public" && (p.TimeFrom != "" || p.TimeShift != "") {
					l.complain("panel %q has a time of its own, which in a snapshot runs away from its data", p.Title)
				}
			}
		},
		breaks: map[string]func(e *edit){
			"no time range": func(e *edit) { e.set("time", map[string]any{}) },
			"runs away":     func(e *edit) { e.set("uid", "spotify-public"); e.panel("stat")["timeFrom"] = "24h" },
		},
	},
	{
		name:  "variables",
		check: checkVariables,
		breaks: map[string]func(e *edit){
			"${nobody} is not defined":  func(e *edit) { e.panel("stat")["title"] = "Of ${nobody}" },
			"defined and never used":    func(e *edit) { e.addVariable("job", "spare") },
			"defined twice":             func(e *edit) { e.addVariable("job", "job") },
			"must be written as ${job}": func(e *edit) { e.panel("stat")["title"] = "Of $job" },
			"[[job]]":                   func(e *edit) { e.panel("stat")["title"] = "Of [[job]]" },
			"the format glob":           func(e *edit) { e.panel("stat")["title"] = "Of ${job:glob}" },
			"is not a provisioned":      func(e *edit) { e.variable("prometheus")["current"] = map[string]any{"value": "another"} },
			"no value to begin with":    func(e *edit) { e.variable("job")["current"] = map[string]any{"value": ""} },
			"of its own data source":    func(e *edit) { e.variable("account")["datasource"] = nil },
			"is no data source variable": func(e *edit) {
				e.variable("account")["datasource"] = map[string]any{"type": "prometheus", "uid": "spotify-prom"}
			},
		},
	},
	{
		name:  "links",
		check: checkLinks,
		breaks: map[string]func(e *edit){
			"no board spotify-nowhere": func(e *edit) { e.link("/d/spotify-nowhere?${__url_time_range}") },
			"does not keep the time":   func(e *edit) { e.link("/d/spotify-now") },
			"does not keep ${account}": func(e *edit) { e.link("/d/spotify-now?${__url_time_range}") },
			"no section #nowhere":      func(e *edit) { e.link(runbook + "nowhere") },
			"is neither":               func(e *edit) { e.link("http://example.com/") },
			"drops time or variables": func(e *edit) {
				e.set("links", []any{map[string]any{"title": "x", "type": "dashboards", "tags": []any{"spotify"}}})
			},
			"no board has the tag": func(e *edit) {
				e.set("links", []any{map[string]any{"title": "x", "type": "dashboards", "tags": []any{"x"}, "includeVars": true, "keepTime": true}})
			},
			"what to do": func(e *edit) {
				e.panel("stat")["description"] = "It is red."
				e.thresholds(nil, 1)
			},
			"panel Accounts turns red": func(e *edit) { e.panel("table")["description"] = "It has red cells." },
			"panel Polls turns red": func(e *edit) {
				for _, p := range e.file["panels"].([]any) {
					if p := p.(map[string]any); p["title"] == "Polls" {
						p["description"] = "It has red stripes."
					}
				}
			},
			"no panel turns red": func(e *edit) {
				content, err := json.Marshal(e.file)
				if err == nil {
					clear(e.file)
					err = json.Unmarshal(bytes.ReplaceAll(content, []byte(e.bad), []byte("#D55E00")), &e.file)
				}
				if err != nil {
					e.t.Fatal(err)
				}
			},
		},
	},
}

// checkLooks holds panels against what Grafana draws on a screen of 1440 pixels.
func checkLooks(l *lint, b *board) {
	for _, p := range b.all() {
		if t := p.FieldConfig.Defaults.Thresholds; t != nil && (p.Type == "stat" || p.Type == "gauge") {
			// Nothing is drawn in the color of the first threshold, and that nobody answers is bad.
			off := p.ofNothing()
			if p.Title != "Scrapes" && (off == "" || slices.ContainsFunc(t.Steps, func(s threshold) bool { return s.Color == off })) {
				l.complain("panel %q without a number looks like one with a good or a bad one", p.Title)
			}
			if p.Title == "Scrapes" && (off != "" || t.Steps[0].Color != l.bad) {
				l.complain("panel %q is not red where nothing is scraped", p.Title)
			}
		}
		width, height := 59*p.GridPos.W-8, 38*p.GridPos.H-8
		// Beside the title, of 8 pixels a letter, are a sign for the description and one for links.
		if room := width - 24 - 28 - 28*min(1, len(p.Links)); p.Type != "row" && 8*utf8.RuneCountInString(p.Title) > room {
			l.complain("panel %q has no room for its title", p.Title)
		}
		// BigValueLayout.tsx: beside its line a number needs a wide panel, or a high one.
		if inner := height - 56; p.Options["graphMode"] == "area" && inner <= 100 && 2*(width-18) <= 5*inner {
			l.complain("panel %q has no room for its line", p.Title)
		}
		if d := p.FieldConfig.Defaults; p.Type == "timeseries" && d.Unit == "percentunit" && d.Decimals != nil && *d.Decimals == 0 {
			l.complain("the axis of panel %q has no mark between 0 and 1 without decimals", p.Title)
		}
		if d := p.FieldConfig.Defaults; (p.Type == "timeseries" || p.Type == "barchart") && d.Unit == "suffix:h" && d.Decimals != nil {
			l.complain("the axis of panel %q has several marks of one number of hours where there are few", p.Title)
		}
		if p.FieldConfig.Defaults.Unit == "none" {
			l.complain("panel %q shows numbers without separators of thousands (locale)", p.Title)
		}
		if p.Options["colorMode"] == "background" {
			l.complain("panel %q has a gradient, on whose lighter end white text is not seen (background_solid)", p.Title)
		}
		if p.Type == "timeseries" && p.FieldConfig.Defaults.Custom.DrawStyle == "bars" && p.FieldConfig.Defaults.Custom.Stacking.Mode != "normal" && p.barred() > 1 {
			l.complain("panel %q draws bars on top of each other", p.Title)
		}
		if text, _ := p.Options["text"].(map[string]any); p.Type == "bargauge" && (p.Options["sizing"] != "manual" || text["titleSize"] == nil) {
			l.complain("panel %q: the name of a single bar is cut off", p.Title)
		}
		// BigValueLayout.tsx: a date of 10 letters, each half as wide as it is high.
		if text, _ := p.Options["text"].(map[string]any); p.Type == "stat" && strings.HasPrefix(p.FieldConfig.Defaults.Unit, "time:") {
			if size, _ := text["valueSize"].(float64); size == 0 || 10*int(size)*6/10 > (width-48)/2 {
				l.complain("panel %q has no room for its dates", p.Title)
			}
		}
		if p.Type == "barchart" && p.Options["xTickLabelSpacing"] == 0.0 {
			l.complain("panel %q writes its texts on top of each other where there is no room for all", p.Title)
		}
		if p.Type == "table" {
			checkColumns(l, &p, width)
		}
	}
}

// barred are how many queries of a panel are drawn as bars.
func (p *panel) barred() int {
	n := len(p.Targets)
	for _, override := range p.FieldConfig.Overrides {
		for _, property := range override.Properties {
			if property.ID == "custom.drawStyle" && property.Value == "line" {
				n--
			}
		}
	}
	return n
}

// checkColumns holds a table's columns against its width, and its bars against that of a phone.
func checkColumns(l *lint, p *panel, room int) {
	const narrowest = 50 // TableNG/constants.ts
	used := 0
	for _, column := range p.columns() {
		properties := p.properties(column)
		if properties["custom.hidden"] == true {
			continue
		}
		width, fixed := properties["custom.width"].(float64)
		if fixed && width < narrowest {
			l.complain("panel %q: column %s is %v pixels wide: Grafana draws at least %d pixels", p.Title, column, width, narrowest)
		}
		if used += int(width); !fixed {
			used += p.FieldConfig.Defaults.Custom.MinWidth
		}
		options, _ := properties["custom.cellOptions"].(map[string]any)
		const phone = 358 - 2*8
		if options["type"] == "gauge" && used > phone {
			l.complain("panel %q: the bars of column %s end %d pixels from the left, beyond a phone's screen", p.Title, column, used)
		}
		if options["type"] == "gauge" && properties["max"] == nil && properties["fieldMinMax"] != true {
			l.complain("panel %q: the bars of column %s are drawn up to the greatest number of all columns, not the greatest of its own (fieldMinMax)", p.Title, column)
		}
	}
	if used > room {
		l.complain("panel %q: its columns are %d pixels wide and has room for %d", p.Title, used, room)
	}
}

// columns are those that a table shows, or has for links.
func (p *panel) columns() []string {
	var columns []string
	for _, transformation := range p.Transformations {
		include, _ := transformation.Options["include"].(map[string]any)
		names, _ := include["names"].([]any)
		for _, name := range names {
			column, _ := name.(string)
			columns = append(columns, column)
		}
	}
	return columns
}

// properties are what overrides set of a field.
func (p *panel) properties(field string) map[string]any {
	set := map[string]any{}
	for _, override := range p.FieldConfig.Overrides {
		if override.Matcher.ID == "byName" && override.Matcher.Options == field {
			for _, property := range override.Properties {
				set[property.ID] = property.Value
			}
		}
	}
	return set
}

// property sets what one field of the first panel of a type looks like.
func (e *edit) property(kind, field, id string, value any) {
	config := e.panel(kind)["fieldConfig"].(map[string]any)
	config["overrides"] = append(config["overrides"].([]any), map[string]any{
		"matcher":    map[string]any{"id": "byName", "options": field},
		"properties": []any{map[string]any{"id": id, "value": value}},
	})
}

// coreTypes are panels that every Grafana has.
var coreTypes = []string{
	"row", "text", "stat", "gauge", "bargauge", "timeseries", "barchart", "piechart", "table", "heatmap", "histogram", "state-timeline", "status-history",
}

// numberTypes are those that show numbers.
var numberTypes = []string{"stat", "gauge", "bargauge", "timeseries", "barchart", "piechart", "heatmap", "histogram", "status-history"}

// mapsValues tells whether a panel shows texts for numbers.
func (p *panel) mapsValues() bool {
	return slices.ContainsFunc(p.FieldConfig.Defaults.Mappings, func(m any) bool { return m.(map[string]any)["type"] == "value" })
}

// ofNothing is the color of a stat or gauge that gets no number, "" if none is set.
func (p *panel) ofNothing() string {
	for _, m := range p.FieldConfig.Defaults.Mappings {
		if m := m.(map[string]any); m["type"] == "special" {
			options, _ := m["options"].(map[string]any)
			result, _ := options["result"].(map[string]any)
			if color, _ := result["color"].(string); options["match"] == "null+nan" && result["text"] == p.FieldConfig.Defaults.NoValue {
				return color
			}
		}
	}
	return ""
}

// showsText tells whether a stat shows the last text of a field.
func (p *panel) showsText() bool {
	reduce, _ := p.Options["reduceOptions"].(map[string]any)
	fields, _ := reduce["fields"].(string)
	return p.Type == "stat" && fields != "" && reduce["values"] != true || p.Type == "stat" && p.Options["textMode"] == "name"
}

// thresholds gives the first stat other thresholds.
func (e *edit) thresholds(values ...any) {
	var steps []any
	for _, value := range values {
		steps = append(steps, map[string]any{"color": e.bad, "value": value})
	}
	e.defaults("stat")["thresholds"] = map[string]any{"mode": "absolute", "steps": steps}
}

// link gives the first stat one link.
func (e *edit) link(url string) {
	e.panel("stat")["links"] = []any{map[string]any{"title": "x", "url": url}}
}

var (
	braced   = regexp.MustCompile(`\$\{(\w+)(?:\.[\w.]+|\[[^\]]*\])*(?::(\w+))?\}`)
	unbraced = regexp.MustCompile(`\$[a-zA-Z]\w*|\[\[\w+.*?\]\]`)
)

// texts are all strings of a board with the place of each.
func texts(value any, where string, found func(where, text string)) {
	switch v := value.(type) {
	case string:
		found(where, v)
	case []any:
		for i, element := range v {
			texts(element, fmt.Sprintf("%s[%d]", where, i), found)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			texts(v[key], where+"."+key, found)
		}
	}
}

// checkVariables wants every variable to be defined and used, in the few forms that
// the snapshot publisher knows as well.
func checkVariables(l *lint, b *board) {
	used, own := map[string]bool{}, map[string]string{} // own: the place of a variable's definition
	for i, v := range b.Templating.List {
		if _, twice := own[v.Name]; twice {
			l.complain("variable %s is defined twice", v.Name)
		}
		own[v.Name] = fmt.Sprintf(".templating.list[%d].", i)
		switch value, _ := v.Current.Value.(string); {
		case v.Type == "datasource" && l.sources[value] != v.Query:
			l.complain("variable %s: %q is not a provisioned %v", v.Name, value, v.Query)
		case v.Type != "datasource" && v.Type != "query" && value == "":
			l.complain("variable %s has no value to begin with", v.Name)
		case v.Type == "query" && v.Datasource == nil:
			l.complain("variable %s asks nobody: it must be of its own data source", v.Name)
		}
	}
	texts(b.file, "", func(where, text string) {
		for _, match := range braced.FindAllStringSubmatch(text, -1) {
			name, format := match[1], match[2]
			if strings.HasPrefix(name, "__") {
				continue // Grafana's own
			}
			place, ok := own[name]
			if !ok {
				l.complain("%s: ${%s} is not defined", where, name)
			}
			if place == "" || !strings.HasPrefix(where, place) {
				used[name] = true
			}
			if format != "" && format != "regex" && (format != "queryparam" || !strings.HasSuffix(where, "rl")) {
				l.complain("%s: ${%s} has the format %s; there are regex and, in links, queryparam", where, name, format)
			}
		}
		for _, found := range unbraced.FindAllString(text, -1) {
			name := strings.Trim(found, "$[]")
			if _, ok := own[name]; ok {
				l.complain("%s: %s must be written as ${%s}", where, found, name)
			}
		}
	})
	for name := range own {
		if !used[name] {
			l.complain("variable %s is defined and never used", name)
		}
	}
	for _, q := range b.targets() {
		name := strings.Trim(q.source().UID, "${}")
		i := slices.IndexFunc(b.Templating.List, func(v variable) bool { return v.Name == name })
		if i < 0 || b.Templating.List[i].Type != "datasource" || b.Templating.List[i].Query != q.source().Type {
			l.complain("%s asks %v, which is no data source variable", q.where, q.source())
		}
	}
}

const runbook = "https://github.com/spotify-exporter/spotify-exporter/blob/main/deploy/runbooks.md#"

// ownTime are boards that open at a time of their own: a year, or all.
var ownTime = []string{"spotify-alltime", "spotify-artist", "spotify-year"}

var (
	toBoard    = regexp.MustCompile(`^/d/([\w-]+)(?:\?(.*))?$`)
	inMarkdown = regexp.MustCompile(`\]\((\S+?)\)`)
)

// checkLinks wants links to lead somewhere, within Grafana with the time and the
// account, and what turns red to say what to do.
func checkLinks(l *lint, b *board) {
	check := func(where, url string) {
		if match := toBoard.FindStringSubmatch(url); match != nil {
			other := l.boards[match[1]]
			switch {
			case other == nil:
				l.complain("%s: no board %s", where, match[1])
				return
			case !slices.Contains(ownTime, match[1]) && !strings.Contains(match[2], "${__url_time_range}") && !strings.Contains(match[2], "from="):
				l.complain("%s: %s does not keep the time", where, url)
			}
			has := func(b *board) bool {
				return slices.ContainsFunc(b.Templating.List, func(v variable) bool { return v.Name == "account" })
			}
			if has(b) && has(other) && !strings.Contains(match[2], "${account:queryparam}") && !strings.Contains(match[2], "var-account=") {
				l.complain("%s: %s does not keep ${account}", where, url)
			}
			return
		}
		switch section, ok := strings.CutPrefix(url, runbook); {
		case ok && !l.runbook[section]:
			l.complain("%s: the runbook has no section #%s", where, section)
		case !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "${__data.fields"):
			l.complain("%s: %s is neither a board nor https", where, url)
		}
	}
	for _, link := range b.Links {
		if link.Type != "dashboards" {
			check("link "+link.Title, link.URL)
			continue
		}
		// "All" is no account to boards of a single one.
		all := slices.ContainsFunc(b.Templating.List, func(v variable) bool { return v.Name == "account" && v.IncludeAll })
		if link.IncludeVars == all || !link.KeepTime {
			l.complain("link %q drops time or variables, or hands over all accounts", link.Title)
		}
		for _, tag := range link.Tags {
			if tag != "spotify" {
				l.complain("link %q: no board has the tag %s", link.Title, tag)
			}
		}
	}
	anyRed := false
	for _, p := range b.all() {
		where := "panel " + p.Title
		for _, link := range slices.Concat(p.Links, p.FieldConfig.Defaults.Links) {
			check(where, link.URL)
		}
		for _, match := range inMarkdown.FindAllStringSubmatch(p.Description, -1) {
			check(where, match[1])
		}
		for _, override := range p.FieldConfig.Overrides {
			for _, property := range override.Properties {
				if property.ID != "links" {
					continue
				}
				for _, link := range property.Value.([]any) {
					url, _ := link.(map[string]any)["url"].(string)
					check(where, url)
				}
			}
		}
		red := p.turns(l.bad)
		anyRed = anyRed || red
		if b.UID == "spotify-poller" && red && !strings.Contains(p.Description, runbook) {
			l.complain("%s turns red and does not say what to do", where)
		}
	}
	if b.UID == "spotify-poller" && !anyRed {
		l.complain("no panel turns red: %s is not the color of what is bad any more", l.bad)
	}
}

// turns tells whether thresholds or mappings of a panel, or of a field of it, have a color.
func (p *panel) turns(color string) bool {
	found := false
	has := func(_, text string) { found = found || text == color }
	if t := p.FieldConfig.Defaults.Thresholds; t != nil {
		found = slices.ContainsFunc(t.Steps, func(s threshold) bool { return s.Color == color })
	}
	texts(p.FieldConfig.Defaults.Mappings, "", has)
	for _, override := range p.FieldConfig.Overrides {
		for _, property := range override.Properties {
			if property.ID == "thresholds" || property.ID == "mappings" {
				texts(property.Value, "", has)
			}
		}
	}
	return found
}
