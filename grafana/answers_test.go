package grafana_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every query of every board runs as Grafana sends it, and what comes back has the
// columns that its panel draws.
func TestEveryQueryAnswersItsPanel(t *testing.T) {
	d := filled(t)
	for _, b := range readBoards(t) {
		for name, l := range map[string]looking{
			"Berlin":   {account: "berlin", variables: map[string]string{"artist": "Großstadtgeflüster"}},
			"New York": {account: "newyork", variables: map[string]string{"artist": "Großstadtgeflüster"}},
			// Both of its ends are hours when clocks are moved in New York.
			"eight months": {account: "newyork", from: "2023-03-12T06:30:00Z", to: "2023-11-05T06:30:00Z"},
			// The width of panels on two phones.
			"20 years, 346 pixels": {account: "berlin", from: "2005-01-01T00:00:00Z", to: "2025-01-01T00:00:00Z", pixels: 346},
			"20 years, 358 pixels": {account: "newyork", from: "2005-01-01T00:00:00Z", to: "2025-01-01T00:00:00Z", pixels: 358},
		} {
			t.Run(b.UID+"/"+name, func(t *testing.T) {
				v, err := d.view(t, b, l)
				if err != nil {
					t.Fatal(err)
				}
				v.everyAnswer(t, l.from == "")
			})
		}
	}
}

// mayBeEmpty are the queries that may find nothing in two years of listening.
var mayBeEmpty = map[string]bool{
	"spotify-alltime, panel Milestones, A":  true, // not a thousand hours
	"spotify-artist, panel Year by year, A": true, // not among the first fifty
}

// everyAnswer runs all queries of a board. Where something is to be seen, no panel may
// be empty.
func (v *view) everyAnswer(t *testing.T, seen bool) {
	t.Helper()
	drawn := map[*panel][]frame{}
	for _, q := range v.targets() {
		if q.source().Type != "influxdb" {
			continue
		}
		frames, err := v.query(t, &q)
		if err != nil {
			t.Errorf("%s: %v\n%s", q.where, err, q.text())
			continue
		}
		if seen && len(frames) == 0 && !mayBeEmpty[q.where] {
			t.Errorf("%s: no rows", q.where)
		}
		if q.panel != nil {
			drawn[q.panel] = append(drawn[q.panel], frames...)
		} else if q.variable == nil && len(frames) > 0 {
			if err := hasField(&frames[0], "time"); err != nil {
				t.Errorf("%s: %v", q.where, err)
			}
		}
	}
	for p, frames := range drawn {
		if len(frames) == 0 {
			continue
		}
		if err := p.draws(frames); err != nil {
			t.Errorf("%s, %s (%s): %v", v.UID, p.Title, p.Type, err)
		}
		if seen {
			for _, problem := range p.misses(frames) {
				t.Errorf("%s, %s (%s): %s", v.UID, p.Title, p.Type, problem)
			}
		}
	}
}

// hasField is an error if a frame has no field of a kind.
func hasField(f *frame, kind string) error {
	for _, field := range f.fields {
		if field.kind == kind {
			return nil
		}
	}
	return fmt.Errorf("no %s field among %v", kind, f.names())
}

// only is an error if there is more than one frame or its fields have labels, which
// would be part of their names.
func only(frames []frame) error {
	if len(frames) != 1 {
		return fmt.Errorf("%d tables, want 1: end with group()", len(frames))
	}
	for _, field := range frames[0].fields {
		if len(field.labels) > 0 {
			return fmt.Errorf("field %s has labels %v: end with group()", field.name, field.labels)
		}
	}
	return nil
}

// rising is an error if a frame's times do not rise, or are not its first field.
func (f *frame) rising() error {
	if f.fields[0].kind != "time" {
		return fmt.Errorf("the first field is %s, want a time", f.fields[0].name)
	}
	times := f.fields[0].values
	for i := 1; i < len(times); i++ {
		if !times[i-1].(time.Time).Before(times[i].(time.Time)) {
			return fmt.Errorf("%v is followed by %v", times[i-1], times[i])
		}
	}
	return nil
}

var weekdays = []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}

// draws is an error if a panel of this type cannot draw the frames (grafana.md §d).
func (p *panel) draws(frames []frame) error {
	f := &frames[0]
	reduce := p.reduce()
	switch p.Type {
	case "timeseries", "state-timeline":
		for i := range frames {
			if err := frames[i].rising(); err != nil {
				return err
			}
			if p.Type == "timeseries" && len(frames[i].numbers()) == 0 {
				return fmt.Errorf("no numbers among %v", frames[i].names())
			}
		}
		return nil
	case "heatmap":
		if err := only(frames); err != nil {
			return err
		}
		if !slices.Equal(f.names()[1:], weekdays) || !slices.Equal(f.numbers()[max(0, len(f.numbers())-7):], weekdays) {
			return fmt.Errorf("fields %v, want a number or time and the numbers of %v", f.names(), weekdays)
		}
		if f.fields[0].kind == "time" {
			return f.rising()
		}
		hours := f.fields[0].values
		for i := 1; i < len(hours); i++ {
			if hours[i-1].(float64) >= hours[i].(float64) {
				return fmt.Errorf("hour %v is followed by %v", hours[i-1], hours[i])
			}
		}
		return nil
	case "barchart":
		if err := only(frames); err != nil {
			return err
		}
		xField, _ := p.Options["xField"].(string)
		x := f.field(xField)
		if x == nil || x.kind != "string" && x.kind != "time" || len(f.numbers()) == 0 {
			return fmt.Errorf("fields %v, want numbers over %q", f.names(), xField)
		}
		return nil
	case "bargauge", "piechart", "stat", "gauge":
		if reduce.values {
			if err := only(frames); err != nil {
				return err
			}
		}
		matched := false
		for i := range frames {
			for _, field := range frames[i].fields {
				switch {
				case reduce.fields == "":
					matched = matched || field.kind == "number"
				default:
					matched = matched || matches(reduce.fields, field.name)
				}
			}
		}
		if !matched {
			return fmt.Errorf("%q matches none of %v", reduce.fields, f.names())
		}
		if reduce.values && (p.Type == "bargauge" || p.Type == "piechart") {
			return hasField(f, "string")
		}
		return nil
	case "table":
		return only(frames)
	}
	return fmt.Errorf("nothing is known of panels of this type")
}

// reduction is which values of a frame a panel shows.
type reduction struct {
	values bool   // those of every row
	fields string // an expression, or "": all numbers
}

func (p *panel) reduce() (r reduction) {
	options, _ := p.Options["reduceOptions"].(map[string]any)
	r.values, _ = options["values"].(bool)
	r.fields, _ = options["fields"].(string)
	return r
}

// matches tells whether Grafana's /expression/ matches a name.
func matches(expression, name string) bool {
	expression = strings.TrimSuffix(strings.TrimPrefix(expression, "/"), "/")
	return regexp.MustCompile(expression).MatchString(name)
}

var dataField = regexp.MustCompile(`\$\{__data\.fields\.(?:"([^"]+)"|\["([^"]+)"\]|(\w+))`)

// misses are the fields that a panel's settings name and no frame has.
func (p *panel) misses(frames []frame) (problems []string) {
	var names []string // at the end of the transformations, and before them
	for i := range frames {
		names = append(names, frames[i].names()...)
	}
	has := func(name string) bool { return slices.Contains(names, name) }
	for _, transformation := range p.Transformations {
		if transformation.ID != "organize" {
			continue
		}
		for _, option := range []string{"excludeByName", "renameByName", "includeByName"} {
			of, _ := transformation.Options[option].(map[string]any)
			for name := range of {
				if !has(name) {
					problems = append(problems, fmt.Sprintf("organize: %s of %q, fields are %v", option, name, names))
				}
			}
		}
		renamed, _ := transformation.Options["renameByName"].(map[string]any)
		for _, name := range renamed {
			names = append(names, fmt.Sprint(name))
		}
	}
	if columns := p.columns(); p.Type == "table" && len(columns) > 0 {
		// As Grafana 13 was seen to draw it.
		for i := range frames {
			if first := frames[i].field(columns[0]); first != nil && first.kind == "number" && p.properties(columns[0])["custom.align"] != "left" {
				problems = append(problems, fmt.Sprintf("the first column, %s, is aligned to the right: long texts beside it are cut off", columns[0]))
			}
		}
	}
	for _, override := range p.FieldConfig.Overrides {
		found := false
		for _, name := range names {
			switch override.Matcher.ID {
			case "byName":
				found = found || override.Matcher.Options == name
			case "byRegexp":
				found = found || matches(override.Matcher.Options, name)
			default:
				found = true
			}
		}
		if !found {
			problems = append(problems, fmt.Sprintf("override of %s %q, fields are %v", override.Matcher.ID, override.Matcher.Options, names))
		}
		for _, property := range override.Properties {
			if property.ID != "displayName" {
				continue
			}
			names = append(names, fmt.Sprint(property.Value))
		}
	}
	var urls []string
	for _, link := range slices.Concat(p.FieldConfig.Defaults.Links, p.Links) {
		urls = append(urls, link.URL)
	}
	for _, override := range p.FieldConfig.Overrides {
		for _, property := range override.Properties {
			list, _ := property.Value.([]any)
			for _, one := range list {
				if link, ok := one.(map[string]any); ok {
					urls = append(urls, fmt.Sprint(link["url"]))
				}
			}
		}
	}
	for _, url := range urls {
		for _, match := range dataField.FindAllStringSubmatch(url, -1) {
			if name := match[1] + match[2] + match[3]; !has(name) {
				problems = append(problems, fmt.Sprintf("a link takes %q, fields are %v", name, names))
			}
		}
	}
	sorted, _ := p.Options["sortBy"].([]any)
	for _, by := range sorted {
		if name := by.(map[string]any)["displayName"].(string); !has(name) {
			problems = append(problems, fmt.Sprintf("sorted by %q, fields are %v", name, names))
		}
	}
	return problems
}
