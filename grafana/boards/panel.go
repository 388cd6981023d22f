package main

// panel is a panel. A constructor per type below gives it the shape that the type
// needs; the methods, which return a changed copy, do the rest.
type panel struct {
	ID              int              `json:"id"`
	Type            string           `json:"type"`
	Title           string           `json:"title"`
	Description     string           `json:"description,omitempty"`
	Collapsed       *bool            `json:"collapsed,omitempty"` // of rows
	GridPos         gridPos          `json:"gridPos"`
	Datasource      *datasource      `json:"datasource,omitempty"`
	Targets         []target         `json:"targets,omitempty"`
	Interval        string           `json:"interval,omitempty"`
	MaxDataPoints   int              `json:"maxDataPoints,omitempty"`
	Transformations []transformation `json:"transformations,omitempty"`
	FieldConfig     *fieldConfig     `json:"fieldConfig,omitempty"`
	Options         any              `json:"options,omitempty"`
	Links           []link           `json:"links,omitempty"`
	Panels          *[]panel         `json:"panels,omitempty"` // of a collapsed row
}

type gridPos struct {
	H int `json:"h"`
	W int `json:"w"`
	X int `json:"x"`
	Y int `json:"y"`
}

// target is a query of a panel or annotation.
type target struct {
	RefID      string     `json:"refId"`
	Datasource datasource `json:"datasource"`

	Query string `json:"query,omitempty"` // Flux

	Expr         string `json:"expr,omitempty"` // PromQL
	LegendFormat string `json:"legendFormat,omitempty"`
	Range        bool   `json:"range,omitempty"`
	Instant      bool   `json:"instant,omitempty"`
	Format       string `json:"format,omitempty"`
}

type fieldConfig struct {
	Defaults  field      `json:"defaults"`
	Overrides []override `json:"overrides"`
}

// field is how values of a panel look.
type field struct {
	DisplayName string      `json:"displayName,omitempty"`
	Unit        string      `json:"unit,omitempty"`
	Decimals    *int        `json:"decimals,omitempty"`
	Min         *float64    `json:"min,omitempty"`
	Max         *float64    `json:"max,omitempty"`
	NoValue     string      `json:"noValue,omitempty"`
	Color       *color      `json:"color,omitempty"`
	Thresholds  *thresholds `json:"thresholds,omitempty"`
	Mappings    []mapping   `json:"mappings,omitempty"`
	Links       []link      `json:"links,omitempty"`
	Custom      any         `json:"custom,omitempty"`
}

type color struct {
	Mode       string `json:"mode"`
	FixedColor string `json:"fixedColor,omitempty"`
}

type thresholds struct {
	Mode  string `json:"mode"` // absolute
	Steps []step `json:"steps"`
}

// step is a color from a value on, nil for the first one.
type step struct {
	Color string   `json:"color"`
	Value *float64 `json:"value"`
}

// mapping shows a text, or a color, in place of values.
type mapping struct {
	Type    string `json:"type"` // value, special
	Options any    `json:"options"`
}

type mapped struct {
	Text  string `json:"text,omitempty"`
	Color string `json:"color,omitempty"`
	Index int    `json:"index"`
}

// link leads from a value, a panel or a field to another page. Within Grafana its URL
// starts with /d/ and takes what it keeps with ${__url_time_range} and ${account:…}.
type link struct {
	Title       string `json:"title"`
	URL         string `json:"url"`
	TargetBlank bool   `json:"targetBlank"`
}

// override changes how the fields that match look.
type override struct {
	Matcher    matcher    `json:"matcher"`
	Properties []property `json:"properties"`
}

type matcher struct {
	ID      string `json:"id"` // byName, byType, byRegexp, byFrameRefID
	Options string `json:"options"`
}

type property struct {
	ID    string `json:"id"`
	Value any    `json:"value"`
}

// transformation is done in the browser, in a snapshot too.
type transformation struct {
	ID      string `json:"id"`
	Options any    `json:"options"`
}

// newPanel returns a panel. Its description says what it shows and, where that can be
// bad, what to do.
func newPanel(kind, title, description string, w, h int) panel {
	return panel{
		Type: kind, Title: title, Description: description,
		GridPos:     gridPos{W: w, H: h},
		FieldConfig: &fieldConfig{Defaults: field{NoValue: "No listens"}, Overrides: []override{}},
	}
}

// row is a heading for the panels that follow.
func row(title string) panel {
	open := false
	return panel{Type: "row", Title: title, Collapsed: &open, Panels: &[]panel{}, GridPos: gridPos{W: gridWidth, H: 1}}
}

// mostPoints is what Flux queries say they want at most. Grafana cuts off what they get at
// ten times that and fails them; without it that is ten times the panel's width in pixels,
// which on a phone is less than the days of ten years.
const mostPoints = 5000

// flux adds a query to InfluxDB: an expression over the definitions in flux/*.flux.
func (p panel) flux(expression string) panel {
	p.MaxDataPoints = mostPoints
	return p.target(target{Datasource: influxSource, Query: fluxQuery(expression)})
}

// prom adds a PromQL query over the board's time range. The legend may use {{label}}.
func (p panel) prom(expr, legend string) panel {
	return p.target(target{Datasource: promSource, Expr: expr, LegendFormat: legend, Range: true, Format: "time_series"})
}

// promNow adds a PromQL query at the end of the board's time range.
func (p panel) promNow(expr, legend string) panel {
	return p.target(target{Datasource: promSource, Expr: expr, LegendFormat: legend, Instant: true, Format: "time_series"})
}

// promRows adds a PromQL query at the end of the board's time range, whose answer is a
// table with a column for each label and one called Value, or Value #A and so on if there
// are several.
func (p panel) promRows(expr string) panel {
	return p.target(target{Datasource: promSource, Expr: expr, Instant: true, Format: "table"})
}

func (p panel) target(t target) panel {
	t.RefID = string(rune('A' + len(p.Targets)))
	p.Targets = append(p.Targets[:len(p.Targets):len(p.Targets)], t)
	p.Datasource = &p.Targets[0].Datasource
	return p
}

// change returns a copy of the panel whose field defaults have been changed.
func (p panel) change(f func(*field)) panel {
	config := *p.FieldConfig
	f(&config.Defaults)
	p.FieldConfig = &config
	return p
}

// unit sets what values are in, in Grafana's words, and how many decimals they have.
func (p panel) unit(unit string, decimals int) panel {
	return p.change(func(f *field) { f.Unit, f.Decimals = unit, &decimals })
}

// autoUnit sets what values are in, and lets Grafana choose the decimals that the marks of an
// axis need: with 0 of them an axis from 0 to 1 has no marks in between.
func (p panel) autoUnit(unit string) panel { return p.change(func(f *field) { f.Unit = unit }) }

// bounds fix what an axis, bar or gauge spans.
func (p panel) bounds(low, high float64) panel {
	return p.change(func(f *field) { f.Min, f.Max = &low, &high })
}

// from fixes where an axis or bar starts.
func (p panel) from(low float64) panel { return p.change(func(f *field) { f.Min = &low }) }

// empty is the text where there is nothing to show. A stat or gauge shows it in the color of
// what is off: that of its first threshold may say that all is well.
func (p panel) empty(text string) panel {
	p = p.change(func(f *field) { f.NoValue = text })
	if p.Type != "stat" && p.Type != "gauge" {
		return p
	}
	return p.change(func(f *field) {
		f.Mappings = append(f.Mappings, mapping{"special", map[string]any{"match": "null+nan", "result": mapped{text, before, 9}}}) // 9: behind those of values
	})
}

// missing is the text where there is nothing to show though there has to be something: it
// has the color of the first threshold.
func (p panel) missing(text string) panel { return p.change(func(f *field) { f.NoValue = text }) }

// colored gives all values one of the colors of color.go.
func (p panel) colored(fixed string) panel {
	return p.change(func(f *field) { f.Color = &color{"fixed", fixed} })
}

// limits color values by thresholds: base, and from each value on the color after it.
func (p panel) limits(base string, steps ...step) panel {
	return p.change(func(f *field) {
		f.Color = &color{Mode: "thresholds"}
		f.Thresholds = &thresholds{"absolute", append([]step{{Color: base}}, steps...)}
	})
}

// at is a step of limits.
func at(value float64, color string) step { return step{color, &value} }

// maps shows texts in place of values, in their order: value, text and color, which
// may be "", in turns.
func (p panel) maps(triples ...string) panel {
	options := map[string]mapped{}
	for i := 0; i < len(triples); i += 3 {
		options[triples[i]] = mapped{triples[i+1], triples[i+2], i / 3}
	}
	return p.change(func(f *field) { f.Mappings = append(f.Mappings, mapping{"value", options}) })
}

// texts leaves texts as they are: with a unit "1989" would be a number to Grafana, and the
// hour "00" be "0.0 h".
func (p panel) texts() panel { return p.override(matcher{"byType", "string"}, inUnit("string")) }

// named is how the field, or the series, name is called where it is shown.
func (p panel) named(name string) panel { return p.change(func(f *field) { f.DisplayName = name }) }

// field changes how one field looks; its properties are those of Grafana's field
// configuration, such as displayName, unit, custom.width.
func (p panel) field(name string, properties ...property) panel {
	return p.override(matcher{"byName", name}, properties...)
}

func (p panel) override(m matcher, properties ...property) panel {
	config := *p.FieldConfig
	config.Overrides = append(config.Overrides[:len(config.Overrides):len(config.Overrides)], override{m, properties})
	p.FieldConfig = &config
	return p
}

// Properties of fields.
func name(s string) property           { return property{"displayName", s} }
func inUnit(s string) property         { return property{"unit", s} }
func decimals(n int) property          { return property{"decimals", n} }
func wrap() property                   { return custom("wrapText", true) } // long names on several lines
func width(pixels int) property        { return property{"custom.width", pixels} }
func fixed(c string) property          { return property{"color", color{"fixed", c}} }
func links(l ...link) property         { return property{"links", l} }
func cell(options any) property        { return property{"custom.cellOptions", options} }
func mapTo(options any) property       { return property{"mappings", []mapping{{"value", options}}} }
func custom(id string, v any) property { return property{"custom." + id, v} }

// hide keeps a column for links, but does not show it. Grafana's older tables know it as
// hidden, its newer ones as hideFrom.
func hide() []property {
	return []property{custom("hidden", true), custom("hideFrom", hideFrom{true, true, true})}
}

// links adds links to the panel's head.
func (p panel) links(l ...link) panel {
	p.Links = append(p.Links[:len(p.Links):len(p.Links)], l...)
	return p
}

// windows are the shortest that rates are taken over, such as 5m: what happens rarely makes
// no curve otherwise.
func (p panel) windows(shortest string) panel {
	p.Interval = shortest
	return p
}

// transform adds a transformation.
func (p panel) transform(id string, options any) panel {
	p.Transformations = append(p.Transformations[:len(p.Transformations):len(p.Transformations)], transformation{id, options})
	return p
}

// columns puts the columns of a table in this order and leaves out all others.
func (p panel) columns(names ...string) panel {
	order := map[string]int{}
	for i, name := range names {
		order[name] = i
	}
	return p.
		transform("filterFieldsByName", map[string]any{"include": map[string]any{"names": names}}).
		transform("organize", map[string]any{"indexByName": order, "excludeByName": struct{}{}, "renameByName": struct{}{}})
}

// described changes the description.
func (p panel) described(description string) panel {
	p.Description = description
	return p
}
