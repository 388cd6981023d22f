package grafana_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// queryRules are what every query keeps. They know the points of the simulated day, and
// let Prometheus itself read PromQL.
var queryRules = []rule{
	{
		name: "targets",
		check: func(l *lint, b *board) {
			for _, p := range b.all() {
				refIDs := map[any]bool{}
				for _, q := range p.Targets {
					if refIDs[q["refId"]] || q["refId"] == "" {
						l.complain("panel %q has two targets %v", p.Title, q["refId"])
					}
					refIDs[q["refId"]] = true
					if q["expr"] != nil && (q["instant"] == true) == (q["range"] == true) {
						l.complain("panel %q, %v is neither of a range nor of a moment", p.Title, q["refId"])
					}
					if (q["format"] == "table") != (p.Type == "table" && q["expr"] != nil) {
						l.complain("panel %q, %v has the format %v", p.Title, q["refId"], q["format"])
					}
					if legend, _ := q["legendFormat"].(string); q["expr"] != nil && q["format"] != "table" && (legend == "" || legend == "__auto") {
						l.complain("panel %q, %v has no legend of its own", p.Title, q["refId"])
					}
				}
				if len(p.Targets) > 0 && p.Datasource == nil {
					l.complain("panel %q has no data source", p.Title)
				}
				if len(p.Targets) == 0 && p.Type != "row" && p.Type != "text" {
					l.complain("panel %q asks for nothing", p.Title)
				}
			}
		},
		breaks: map[string]func(e *edit){
			"two targets":    func(e *edit) { p := e.panel("stat"); p["targets"] = []any{e.target("stat"), e.target("stat")} },
			"neither of":     func(e *edit) { delete(e.target("stat"), "instant") },
			"has the format": func(e *edit) { e.target("stat")["format"] = "table" },
			"no legend":      func(e *edit) { e.target("stat")["legendFormat"] = "__auto" },
			"no data source": func(e *edit) { delete(e.panel("stat"), "datasource") },
			"for nothing":    func(e *edit) { delete(e.panel("stat"), "targets") },
		},
	},
	{
		name:  "Flux",
		check: checkFlux,
		breaks: map[string]func(e *edit){
			"measurement listens":    func(e *edit) { e.flux(`from(bucket: "${bucket}") |> filter(fn: (r) => r._measurement == "listens")`) },
			"measurement users":      func(e *edit) { e.flux(`described(measurement: "users")`) },
			"field minutes":          func(e *edit) { e.flux(`from(bucket: "${bucket}") |> filter(fn: (r) => r._field == "minutes")`) },
			"reads r.minutes":        func(e *edit) { e.flux(`from(bucket: "${bucket}") |> map(fn: (r) => ({hours: r.minutes}))`) },
			"not the bucket":         func(e *edit) { e.flux(`from(bucket: "spotify")`) },
			"v.windowPeriod depends": func(e *edit) { e.flux(`from(bucket: "${bucket}") |> aggregateWindow(every: v.windowPeriod, fn: sum)`) },
		},
	},
	{
		name:  "PromQL",
		check: checkPromQL,
		breaks: map[string]func(e *edit){
			"parse error":                  func(e *edit) { e.promQL(`sum(`) },
			"spotify_hours is not emitted": func(e *edit) { e.promQL(`spotify_hours{job="${job}"}`) },
			"has no label reason":          func(e *edit) { e.promQL(`spotify_up{job="${job}", account=~"${account}", reason="x"}`) },
			`never has reason="weather"`:   func(e *edit) { e.promQL(`spotify_poll_failing{job="${job}", account=~"${account}", reason="weather"}`) },
			"no label city":                func(e *edit) { e.promQL(`sum by (city) (spotify_up{job="${job}", account=~"${account}"})`) },
			"no label town":                func(e *edit) { e.target("stat")["legendFormat"] = "{{town}}" },
			"of every job":                 func(e *edit) { e.promQL(`spotify_journal_plays`) },
			"of every account":             func(e *edit) { e.promQL(`spotify_up{job="${job}"}`) },
			"neither rate nor increase":    func(e *edit) { e.promQL(`spotify_influx_write_retries_total{job="${job}"}`) },
			"no counter":                   func(e *edit) { e.promQL(`rate(spotify_journal_plays{job="${job}"}[$__rate_interval])`) },
			"[5m]":                         func(e *edit) { e.promQL(`rate(spotify_influx_write_retries_total{job="${job}"}[5m])`) },
		},
	},
}

// flux gives the first stat a query of Flux.
func (e *edit) flux(query string) {
	e.target("stat")["query"] = query
	delete(e.target("stat"), "expr")
}

func (e *edit) promQL(expr string) { e.target("stat")["expr"] = expr }

var (
	fluxMeasurement = regexp.MustCompile(`measurement(?: ==|:) "(\w+)"`)
	fluxField       = regexp.MustCompile(`_field == "(\w+)"`)
	fluxMember      = regexp.MustCompile(`\br\.(\w+)`)
	fluxComment     = regexp.MustCompile(`//[^\n]*`)
	fluxBucket      = regexp.MustCompile(`bucket: ([^)]*)\)`)
)

// checkFlux wants nothing to be read that the exporter does not write.
func checkFlux(l *lint, b *board) {
	var all []string
	for _, keys := range l.points {
		all = append(all, keys...)
	}
	for _, q := range b.targets() {
		query, ok := q.json["query"].(string)
		if _, promQL := q.json["qryType"]; !ok || promQL {
			continue
		}
		query = fluxComment.ReplaceAllString(query, "")
		for _, match := range fluxMeasurement.FindAllStringSubmatch(query, -1) {
			if l.points[match[1]] == nil {
				l.complain("%s: there is no measurement %s", q.where, match[1])
			}
		}
		for _, match := range fluxField.FindAllStringSubmatch(query, -1) {
			if !slices.Contains(all, match[1]) {
				l.complain("%s: there is no field %s", q.where, match[1])
			}
		}
		for _, match := range fluxMember.FindAllStringSubmatch(query, -1) {
			column := match[1]
			made := regexp.MustCompile(`\b` + column + `:|"` + column + `"`).MatchString(query)
			if !strings.HasPrefix(column, "_") && !slices.Contains(all, column) && !made {
				l.complain("%s: reads r.%s, which nobody writes", q.where, column)
			}
		}
		for _, match := range fluxBucket.FindAllStringSubmatch(query, -1) {
			if match[1] != `"${bucket}"` {
				l.complain("%s: reads %s and not the bucket of the variable", q.where, match[1])
			}
		}
		if strings.Contains(query, "v.windowPeriod") {
			l.complain("%s: v.windowPeriod depends on how wide the window of the browser is", q.where)
		}
	}
}

// contract is what a scrape of the exporter may have: labels by metric, and the values
// of those labels that are a closed set.
type contract map[string]map[string][]string

// openLabels are those whose values others decide.
var openLabels = []string{
	"account", "version", "revision", "goversion", "kind", "track", "artist", "album", "track_id", "image_url", "code", "endpoint", "le", "job", "instance",
	"alertname", "alertstate", "severity",
}

var (
	metricLine = regexp.MustCompile(`^(\w+)(\{.*\})? `)
	metricPair = regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)
)

// readContract reads the golden text of what the exporter shows to Prometheus. What
// Prometheus and Go add is in it as far as boards use it.
func readContract(t *testing.T) contract {
	t.Helper()
	text, err := os.ReadFile("../exporter/prom/testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	c := contract{
		"up": {}, "process_start_time_seconds": {}, "process_resident_memory_bytes": {},
		"ALERTS": {"alertname": nil, "alertstate": nil, "severity": nil, "account": nil},
	}
	for line := range strings.Lines(string(text)) {
		match := metricLine.FindStringSubmatch(line)
		if match == nil || line[0] == '#' {
			continue
		}
		if c[match[1]] == nil {
			c[match[1]] = map[string][]string{}
		}
		for _, pair := range metricPair.FindAllStringSubmatch(match[2], -1) {
			c[match[1]][pair[1]] = append(c[match[1]][pair[1]], pair[2])
		}
	}
	for name, labels := range c { // a native histogram has but its own name
		if histogram, ok := strings.CutSuffix(name, "_count"); ok {
			c[histogram] = labels
		}
	}
	// What is wrong now is one of the reasons that are counted.
	c["spotify_poll_failing"]["reason"] = c["spotify_poll_failures_total"]["reason"]
	return c
}

// node is what Prometheus makes of a part of an expression; other parts are in it.
type node map[string]any

// parse lets Prometheus read PromQL.
func (l *lint) parse(expr string) (node, error) {
	response, err := http.PostForm(l.prometheus+"/api/v1/parse_query", url.Values{"query": {expr}})
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		Error string
		Data  node
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("%s", answer.Error)
	}
	return answer.Data, nil
}

// walk visits an expression and all in it, each with the names of the functions around
// it, the innermost first.
func walk(value any, calls []string, visit func(n node, calls []string)) {
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			walk(element, calls, visit)
		}
	case map[string]any:
		visit(v, calls)
		if f, ok := v["func"].(map[string]any); ok {
			calls = append([]string{f["name"].(string)}, calls...)
		}
		for _, part := range v {
			walk(part, calls, visit)
		}
	}
}

var (
	isCounter   = regexp.MustCompile(`_(total|count|sum|bucket)$|_request_duration_seconds$`) // the last: native histograms
	inBrackets  = regexp.MustCompile(`\[([^\]]+)\]`)
	legendLabel = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)
	labelValues = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)
	macro       = regexp.MustCompile(`\$__\w+`)
)

// checkPromQL wants nothing but what is in the contract, of the job and the accounts that
// are chosen, and counters only by how they grow.
func checkPromQL(l *lint, b *board) {
	hasAccount := slices.ContainsFunc(b.Templating.List, func(v variable) bool { return v.Name == "account" })
	for _, q := range b.targets() {
		if q.source().Type != "prometheus" || q.json["expr"] == nil && q.variable == nil {
			continue
		}
		expr := q.text()
		if match := labelValues.FindStringSubmatch(expr); match != nil {
			expr = "count by (" + match[2] + ") (" + match[1] + ")"
		}
		for _, match := range inBrackets.FindAllStringSubmatch(expr, -1) {
			if match[1] != "$__rate_interval" && match[1] != "$__range" {
				l.complain("%s: looks back for [%s]; it must be $__rate_interval or $__range", q.where, match[1])
			}
		}
		root, err := l.parse(macro.ReplaceAllString(expr, "1m"))
		if err != nil {
			l.complain("%s: %v", q.where, err)
			continue
		}
		var labels []any
		for _, match := range legendLabel.FindAllStringSubmatch(fmt.Sprint(q.json["legendFormat"]), -1) {
			labels = append(labels, match[1])
		}
		walk(map[string]any(root), nil, func(n node, calls []string) {
			if n["type"] == "vectorSelector" || n["type"] == "matrixSelector" {
				l.checkSelector(&q, n, calls, hasAccount)
			}
			for _, list := range []any{n["grouping"], n["labels"], n["include"]} {
				list, _ := list.([]any)
				labels = append(labels, list...)
			}
		})
		for _, label := range labels {
			if !l.contract.hasLabel(label.(string)) {
				l.complain("%s: there is no label %s", q.where, label)
			}
		}
	}
}

func (c contract) hasLabel(label string) bool {
	for _, labels := range c {
		if _, ok := labels[label]; ok {
			return true
		}
	}
	return label == "job" || label == "instance"
}

// checkSelector looks at one metric that a target selects, within the functions calls.
func (l *lint) checkSelector(q *target, n node, calls []string, hasAccount bool) {
	where := q.where
	metric, _ := n["name"].(string)
	labels, ok := l.contract[metric]
	if !ok {
		l.complain("%s: %s is not emitted", where, metric)
		return
	}
	growing := len(calls) > 0 && (calls[0] == "rate" || calls[0] == "increase")
	switch counter := isCounter.MatchString(metric); {
	case counter && !growing && q.variable == nil: // which looks at labels alone
		l.complain("%s: %s grows for ever, and is in neither rate nor increase", where, metric)
	case !counter && growing:
		l.complain("%s: %s is no counter", where, metric)
	}
	matched := map[string]string{}
	for _, m := range n["matchers"].([]any) {
		m := m.(map[string]any)
		label, value := m["name"].(string), m["value"].(string)
		matched[label] = value
		known, ok := labels[label]
		if !ok && label != "job" && label != "instance" && label != "__name__" {
			l.complain("%s: %s has no label %s", where, metric, label)
		}
		if slices.Contains(openLabels, label) || label == "__name__" || !ok {
			continue
		}
		for value := range strings.SplitSeq(value, "|") {
			if !slices.Contains(known, value) {
				l.complain("%s: %s never has %s=%q", where, metric, label, value)
			}
		}
	}
	if metric == "ALERTS" {
		return // rules are Prometheus' own
	}
	if matched["job"] != "${job}" {
		l.complain("%s: %s is of every job", where, metric)
	}
	if _, ok := labels["account"]; ok && hasAccount && q.variable == nil && matched["account"] != "${account}" {
		l.complain("%s: %s is of every account", where, metric)
	}
}
