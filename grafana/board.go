package grafana

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// delayVariable is the constant of a board that says how much of the last hours
// its queries leave out, as a Flux duration.
const delayVariable = "delay"

// zoneVariable is the variable of a board without a time zone that says where the
// account's days begin.
const zoneVariable = "zone"

// accountVariable is the variable of a board that says whose listening it shows.
const accountVariable = "account"

// computing is a board whose panels are being computed, as Grafana's page does
// when somebody opens it.
type computing struct {
	client  *client
	scope   Scope
	now     time.Time
	account string // whose listening; "": the only one's
}

// panelWidth is how many pixels, and so data points, a column of the grid of 24
// has on a screen of 1440.
const panelWidth = 60

// open reads the time range of a board and finds the values of its variables.
func open(ctx context.Context, c *client, board map[string]any, options *Options, now time.Time) (*computing, error) {
	location := options.Location
	switch zone, _ := board["timezone"].(string); zone {
	case "", "browser": // there is none: the owner's
	case "utc":
		location = time.UTC
	default:
		loaded, err := time.LoadLocation(zone)
		if err != nil {
			return nil, failure(Unsupported, "time zone of the board: %v", err)
		}
		location = loaded
	}
	weekStart := time.Monday
	switch board["weekStart"] {
	case "sunday":
		weekStart = time.Sunday
	case "saturday":
		weekStart = time.Saturday
	}
	times, _ := board["time"].(map[string]any)
	from, _ := times["from"].(string)
	to, _ := times["to"].(string)
	// Whole hours, so that the range tells no more of times than the data may.
	now = now.Truncate(time.Hour)
	b := &computing{client: c, scope: Scope{Variables: make(map[string]Variable)}, now: now, account: options.Account}
	var err error
	if b.scope.Range, err = NewRange(cmp.Or(from, "now-6h"), cmp.Or(to, "now"), now, location, weekStart); err != nil {
		return nil, failure(Unsupported, "%v", err)
	}
	templating, _ := board["templating"].(map[string]any)
	for _, v := range objects(templating["list"]) {
		name, _ := v["name"].(string)
		value, err := b.variable(ctx, v)
		if name == delayVariable {
			value = Variable{Values: []string{fluxDuration(options.Delay)}}
		}
		if err != nil {
			return nil, within(fmt.Sprintf("variable %q", name), err)
		}
		b.scope.Variables[name] = value
	}
	if zone := b.scope.Variables[zoneVariable].Values; len(zone) == 1 && cmp.Or(stringsOf(board["timezone"])...) == "" {
		if location, err := time.LoadLocation(zone[0]); err == nil {
			b.scope.Range, err = NewRange(cmp.Or(from, "now-6h"), cmp.Or(to, "now"), now, location, weekStart)
			return b, err
		}
	}
	return b, nil
}

// within puts where it happened before an error, whose reason stays.
func within(where string, err error) error {
	if inner, ok := errors.AsType[*Error](err); ok {
		return &Error{Reason: inner.Reason, Text: where + ": " + inner.Text, Err: inner.Err}
	}
	return err
}

// fluxDuration writes a length as a Flux duration literal, such as 24h or 90m.
func fluxDuration(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return strconv.Itoa(int(d/time.Second)) + "s"
}

// objects returns the elements of a JSON array that are objects.
func objects(array any) []map[string]any {
	elements, _ := array.([]any)
	var found []map[string]any
	for _, element := range elements {
		if object, ok := element.(map[string]any); ok {
			found = append(found, object)
		}
	}
	return found
}

// all is the value of a variable whose "All" is selected.
const all = "$__all"

// variable finds the value that the page gives a variable when the board is opened:
// what the board has as current, if that is still on offer, else the first.
func (b *computing) variable(ctx context.Context, v map[string]any) (Variable, error) {
	multi, _ := v["multi"].(bool)
	includeAll, _ := v["includeAll"].(bool)
	allValue, _ := v["allValue"].(string)
	current, _ := v["current"].(map[string]any)
	value := Variable{Values: stringsOf(current["value"]), Text: strings.Join(stringsOf(current["text"]), " + "), Multi: multi || includeAll}
	kind, _ := v["type"].(string)
	switch kind {
	case "constant", "textbox":
		if len(value.Values) == 0 || kind == "constant" {
			value.Values = stringsOf(v["query"])
		}
		value.Text = ""
	case "datasource", "custom", "interval":
	case "query":
	default:
		return Variable{}, failure(Unsupported, "type %q is not supported: use query, custom, interval, constant, textbox or datasource", kind)
	}
	selectsAll := slices.Contains(value.Values, all)
	if selectsAll && allValue != "" {
		value.AllValue = allValue
		return value, nil
	}
	offered, err := b.offered(ctx, kind, v)
	if err != nil {
		return Variable{}, err
	}
	switch {
	case v["name"] == accountVariable && b.account != "":
		if kind == "query" && !slices.Contains(offered, b.account) {
			return Variable{}, failure(Unsupported, "SNAPSHOT_ACCOUNT is %s, and there are only: %s", b.account, strings.Join(offered, ", "))
		}
		value.Values, value.Text = []string{b.account}, b.account
	case v["name"] == accountVariable && len(value.Values) == 0 && len(offered) > 1:
		return Variable{}, failure(Unsupported, "say by SNAPSHOT_ACCOUNT whose listening is published: %s", strings.Join(offered, " or "))
	case selectsAll:
		value.Values = offered
	case kind == "query" && len(offered) > 0 && !slices.ContainsFunc(value.Values, func(one string) bool { return slices.Contains(offered, one) }),
		len(value.Values) == 0 && len(offered) > 0:
		value.Values, value.Text = offered[:1], offered[0]
	}
	if len(value.Values) == 0 {
		return Variable{}, failure(Unsupported, "it has no value: select one in Grafana and save the board, or see whether its query has an answer")
	}
	return value, nil
}

// offered returns what a variable can be set to, in the order of its menu.
func (b *computing) offered(ctx context.Context, kind string, v map[string]any) ([]string, error) {
	if kind != "query" {
		var values []string
		for _, option := range objects(v["options"]) {
			if value := stringsOf(option["value"]); len(value) == 1 && value[0] != all {
				values = append(values, value[0])
			}
		}
		return values, nil
	}
	source, _ := v["datasource"].(map[string]any)
	query, _ := v["query"].(map[string]any)
	if text, ok := v["query"].(string); ok {
		query = map[string]any{"query": text}
	}
	if source["type"] != influxType || query["query"] == nil {
		return nil, failure(Unsupported, "its query is not Flux: only variables from InfluxDB are supported")
	}
	const refID = "metricFindQuery" // as the page calls it
	target := map[string]any{"refId": refID, "datasource": maps.Clone(source), "query": query["query"], "intervalMs": 1000, "maxDataPoints": 100}
	if err := b.scope.ExpandTarget(target); err != nil {
		return nil, failure(Unsupported, "%v", err)
	}
	frames, err := b.client.query(ctx, b.scope.Range, []map[string]any{target})
	if err != nil {
		return nil, err
	}
	values := firstTexts(frames[refID])
	if text, _ := v["regex"].(string); text != "" {
		if values, err = matching(values, text); err != nil {
			return nil, err
		}
	}
	sorted, _ := strconv.Atoi(fmt.Sprint(v["sort"]))
	switch sorted {
	case 1: // alphabetical
		slices.Sort(values)
	case 2:
		slices.Sort(values)
		slices.Reverse(values)
	}
	return values, nil
}

// firstTexts returns the distinct values of the first text column.
func firstTexts(frames []frame) []string {
	var values []string
	for _, f := range frames {
		i := slices.IndexFunc(f.Schema.Fields, func(f field) bool { return f.Type == "string" })
		if i < 0 || i >= len(f.Data.Values) {
			continue
		}
		for _, value := range f.Data.Values[i] {
			if text, ok := value.(string); ok && !slices.Contains(values, text) {
				values = append(values, text)
			}
		}
	}
	return values
}

// matching returns the values that a variable's regex lets through: its first
// group if it has one.
func matching(values []string, text string) ([]string, error) {
	pattern, err := regexp.Compile(strings.TrimSuffix(strings.TrimPrefix(text, "/"), "/"))
	if err != nil {
		return nil, failure(Unsupported, "its regex: %v", err)
	}
	var matched []string
	for _, value := range values {
		if found := pattern.FindStringSubmatch(value); found != nil {
			matched = append(matched, found[min(1, len(found)-1)])
		}
	}
	return matched, nil
}

// stringsOf returns a JSON value that is a text or a list of texts as a list,
// without empty ones.
func stringsOf(value any) []string {
	var texts []string
	switch value := value.(type) {
	case string:
		texts = []string{value}
	case json.Number:
		texts = []string{value.String()}
	case []any:
		for _, element := range value {
			texts = append(texts, stringsOf(element)...)
		}
	}
	return slices.DeleteFunc(texts, func(text string) bool { return text == "" })
}

// influxType is the type of InfluxDB data sources.
const influxType = "influxdb"

// panel is a panel that has been computed.
type panel struct {
	object  map[string]any // as the board has it
	title   string         // expanded
	kind    string
	targets []map[string]any // as the board has them, without hidden ones
	asked   []map[string]any // the same, expanded
	frames  []frame
	inside  []*panel // of a collapsed row
}

// every returns panels and those inside of them.
func every(panels []*panel) []*panel {
	var found []*panel
	for _, p := range panels {
		found = append(append(found, p), every(p.inside)...)
	}
	return found
}

// name is what a panel is called in messages.
func (p *panel) name() string {
	return cmp.Or(p.title, fmt.Sprintf("%s without a title", p.kind))
}

// panels computes the panels of a list and of the collapsed rows in it, one after
// the other: nobody waits, and the database has other things to do.
func (b *computing) panels(ctx context.Context, list any) ([]*panel, error) {
	var computed []*panel
	for _, object := range objects(list) {
		p := &panel{object: object}
		p.kind, _ = object["type"].(string)
		p.title, _ = object["title"].(string)
		var err error
		if p.title, err = b.scope.Expand(p.title); err != nil {
			return nil, failure(Unsupported, "panel %q: title: %v", p.title, err)
		}
		if err := b.compute(ctx, p); err != nil {
			return nil, within(fmt.Sprintf("panel %q", p.name()), err)
		}
		if p.inside, err = b.panels(ctx, object["panels"]); err != nil {
			return nil, err
		}
		computed = append(computed, p)
	}
	return computed, nil
}

// compute runs the queries of one panel.
func (b *computing) compute(ctx context.Context, p *panel) error {
	switch {
	case p.object["libraryPanel"] != nil:
		return failure(Unsupported, "it is a library panel, which a snapshot leaves empty: unlink it")
	case cmp.Or(stringsOf(p.object["repeat"])...) != "":
		return failure(Unsupported, "it is repeated for every value of a variable, which is not supported")
	}
	r, err := b.ownRange(p.object)
	if err != nil {
		return err
	}
	grid, _ := p.object["gridPos"].(map[string]any)
	points := number(p.object["maxDataPoints"])
	if points == 0 {
		points = max(100, number(grid["w"])*panelWidth)
	}
	lowest, err := b.lowest(p.object["interval"])
	if err != nil {
		return err
	}
	interval := r.Interval(points, lowest)
	scope := b.scope
	scope.Range = r
	for _, target := range objects(p.object["targets"]) {
		if hidden, _ := target["hide"].(bool); hidden {
			continue
		}
		asked := maps.Clone(target)
		if asked["datasource"] == nil {
			asked["datasource"] = p.object["datasource"]
		}
		if source, ok := asked["datasource"].(map[string]any); ok {
			asked["datasource"] = maps.Clone(source)
		} else {
			return failure(Unsupported, "target %v has no data source of its own", asked["refId"])
		}
		if err := scope.ExpandTarget(asked); err != nil {
			return failure(Unsupported, "target %v: %v", asked["refId"], err)
		}
		asked["intervalMs"], asked["maxDataPoints"] = interval.Milliseconds(), points
		p.targets, p.asked = append(p.targets, target), append(p.asked, asked)
	}
	if len(p.asked) == 0 {
		return nil // a row, a text, or a panel that shows nothing
	}
	frames, err := b.client.query(ctx, r, p.asked)
	if err != nil {
		return err
	}
	for _, asked := range p.asked {
		refID, _ := asked["refId"].(string)
		for _, f := range frames[refID] {
			f.Schema.RefID = refID
			f.strip()
			p.frames = append(p.frames, f)
		}
	}
	return nil
}

// ownRange is the range of a panel: the board's, or a length of its own up to now
// (timeFrom), or earlier (timeShift).
func (b *computing) ownRange(object map[string]any) (Range, error) {
	r := b.scope.Range
	if text, _ := object["timeFrom"].(string); text != "" {
		own, err := NewRange("now-"+strings.TrimPrefix(text, "now-"), "now", b.now, r.Location, time.Monday)
		if err != nil {
			return r, failure(Unsupported, "relative time: %v", err)
		}
		r = own
	}
	if text, _ := object["timeShift"].(string); text != "" {
		var moved [2]time.Time
		for i, end := range []time.Time{r.From, r.To} {
			shifted, err := parseTime("now-"+text, end.In(r.Location), time.Monday, false)
			if err != nil {
				return r, failure(Unsupported, "time shift: %v", err)
			}
			moved[i] = shifted
		}
		r.From, r.To = moved[0], moved[1]
	}
	return r, nil
}

// lowest reads a panel's "Min interval".
func (b *computing) lowest(value any) (time.Duration, error) {
	text, _ := value.(string)
	if text == "" {
		return 0, nil
	}
	text, err := b.scope.Expand(strings.TrimPrefix(text, ">"))
	if err != nil {
		return 0, failure(Unsupported, "min interval: %v", err)
	}
	if count, unit := text[:max(0, len(text)-1)], text[max(0, len(text)-1):]; unit == "d" || unit == "w" {
		if days, err := strconv.Atoi(count); err == nil {
			if unit == "w" {
				days *= 7
			}
			return time.Duration(days) * 24 * time.Hour, nil
		}
	}
	lowest, err := time.ParseDuration(text)
	if err != nil {
		return 0, failure(Unsupported, "min interval: %v", err)
	}
	return lowest, nil
}

// number is a JSON number as an int; 0 if it is none.
func number(value any) int {
	n, _ := value.(json.Number)
	i, _ := n.Int64()
	return int(i)
}
