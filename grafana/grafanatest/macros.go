// Package grafanatest gives tests a Grafana of their own: a strict double of the few routes that we call, with real data behind /api/ds/query.
package grafanatest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Macros is what Grafana's server knows when it runs a target that came to
// /api/ds/query, and puts in for what the page left alone: v.… of Flux, and
// $__interval and its like.
type Macros struct {
	From, To time.Time
	Interval time.Duration // intervalMs of the request
	// Bucket and Organization are those of the InfluxDB data source.
	Bucket, Organization string
	// ScrapeInterval is "timeInterval" of the Prometheus data source; 0: 15 s.
	ScrapeInterval time.Duration
}

var fluxVariable = regexp.MustCompile(`[a-zA-Z]+\.([a-zA-Z]+)`)

// Flux expands a query as the InfluxDB data source does: by text, in comments
// too, and whatever stands before the dot.
func (m Macros) Flux(query string) string {
	values := map[string]string{
		"timeRangeStart": m.From.UTC().Format(time.RFC3339Nano),
		"timeRangeStop":  m.To.UTC().Format(time.RFC3339Nano),
		"windowPeriod":   m.Interval.String(),
		"bucket":         strconv.Quote(m.Bucket),
		"defaultBucket":  strconv.Quote(m.Bucket),
		"organization":   strconv.Quote(m.Organization),
	}
	query = fluxVariable.ReplaceAllStringFunc(query, func(found string) string {
		_, name, _ := strings.Cut(found, ".")
		if value, ok := values[name]; ok {
			return value
		}
		return found
	})
	return strings.NewReplacer("$__interval_ms", milliseconds(m.Interval), "$__interval", short(m.Interval)).Replace(query)
}

// PromQL expands an expression as the Prometheus data source does, and returns
// the step of a range query too. minStep is the target's "interval": "", or the
// least step, such as "1m".
func (m Macros) PromQL(expr, minStep string) (expanded string, step time.Duration, err error) {
	scrape := m.ScrapeInterval
	if scrape == 0 {
		scrape = 15 * time.Second
	}
	atLeast := time.Duration(0)
	if minStep != "" {
		if atLeast, err = time.ParseDuration(minStep); err != nil {
			return "", 0, fmt.Errorf("interval of the target: %w", err)
		}
		scrape = atLeast // $__rate_interval takes the least step for the scrape interval
	}
	length := m.To.Sub(m.From)
	const mostPoints = 11000 // that Prometheus gives for a series
	step = max(m.Interval, atLeast, length/mostPoints)
	rate := max(m.Interval+scrape, 4*scrape)
	seconds := strconv.FormatInt(length.Round(time.Second).Milliseconds()/1000, 10)
	var pairs []string
	for _, macro := range []struct{ name, value string }{
		{"interval_ms", milliseconds(step)},
		{"interval", short(step)},
		{"range_ms", milliseconds(length)},
		{"range_s", seconds},
		{"range", seconds + "s"},
		{"rate_interval_ms", milliseconds(rate)},
		{"rate_interval", rate.String()},
	} {
		pairs = append(pairs, "$__"+macro.name, macro.value, "${__"+macro.name+"}", macro.value)
	}
	return strings.NewReplacer(pairs...).Replace(expr), step, nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// short writes a length in its largest unit, as $__interval has it: 90 s is 1m.
func short(d time.Duration) string {
	const day = 24 * time.Hour
	for _, unit := range []struct {
		name   string
		length time.Duration
	}{{"y", 365 * day}, {"d", day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		if d >= unit.length {
			return strconv.FormatInt(int64(d/unit.length), 10) + unit.name
		}
	}
	return milliseconds(max(d, time.Millisecond)) + "ms"
}
