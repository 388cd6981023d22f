package grafana_test

import (
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/grafana"
)

func scope(t *testing.T) grafana.Scope {
	t.Helper()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	r, err := grafana.NewRange("now-90d/d", "now", time.Date(2026, 11, 22, 17, 30, 0, 0, time.UTC), berlin, time.Monday)
	if err != nil {
		t.Fatal(err)
	}
	return grafana.Scope{Range: r, Variables: map[string]grafana.Variable{
		"account": {Values: []string{"me"}},
		"artist":  {Values: []string{"AC/DC", `The "The"`}, Text: "two of them", Multi: true},
		"one":     {Values: []string{"a.b"}, Multi: true},
		"any":     {Values: []string{"x"}, AllValue: ".*", Text: "All", Multi: true},
	}}
}

func TestExpand(t *testing.T) {
	s := scope(t)
	for text, want := range map[string]string{
		`r.account == "${account}" or $account or [[account]]`: `r.account == "me" or me or me`,
		`${artist}`:             `{AC/DC,The "The"}`,
		`/${artist:regex}/`:     `/(AC\/DC|The "The")/`,
		`/${one:regex}/`:        `/a\.b/`,
		`/${any:regex}/ ${any}`: `/.*/ .*`,
		`${artist:json}`:        `["AC/DC","The \"The\""]`,
		`${one:json}`:           `["a.b"]`,
		`${account:json}`:       `me`,
		`${artist:doublequote}`: `"AC/DC","The \"The\""`,
		`${artist:singlequote}`: `'AC/DC','The "The"'`,
		`${artist:pipe} ${artist:csv} ${artist:raw}`: `AC/DC|The "The" AC/DC,The "The" AC/DC,The "The"`,
		`${artist:text} ${any.text} ${one:text}`:     `two of them All a.b`,
		`timezone.location(name: "${__timezone}")`:   `timezone.location(name: "Europe/Berlin")`,
		`${__from} ${__to:date}`:                     `1787522400000 2026-11-22T17:30:00.000Z`,
		`${__to:date:seconds}`:                       `1795368600`,
		`as of ${__to:date:D MMMM YYYY HH:mm}`:       `as of 22 November 2026 18:30`,
		// Flux has a ${…} of its own, and the server its macros.
		`"${r.artist} ${string(v: 1)}" $__interval ${__interval} v.windowPeriod /^x$/`: `"${r.artist} ${string(v: 1)}" $__interval ${__interval} v.windowPeriod /^x$/`,
	} {
		if got, err := s.Expand(text); got != want || err != nil {
			t.Errorf("%s:\n got %s, %v\nwant %s", text, got, err, want)
		}
	}
	for _, text := range []string{`${account:lucene}`, `${account.name}`, `${__to:day}`} {
		if _, err := s.Expand(text); err == nil || !strings.HasPrefix(err.Error(), text+": ") {
			t.Errorf("%s: error %v, want one that names it", text, err)
		}
	}
}

func TestExpandPromQL(t *testing.T) {
	s := scope(t)
	s.Variables["odd"] = grafana.Variable{Values: []string{`a"b\c.d`}}
	for text, want := range map[string]string{
		`x{a="$account"}`:                 `x{a="me"}`,
		`x{a="$odd"}`:                     `x{a="a\"b\\c.d"}`,
		`x{a=~"$one", b=~"$any"}`:         `x{a=~"a\\.b", b=~".*"}`,
		`x{a=~"$artist"}`:                 `x{a=~"(AC/DC|The \"The\")"}`,
		`rate(x[$__rate_interval]) > $__`: `rate(x[$__rate_interval]) > $__`,
	} {
		if got, err := s.ExpandPromQL(text); got != want || err != nil {
			t.Errorf("%s:\n got %s, %v\nwant %s", text, got, err, want)
		}
	}
}

func TestExpandTarget(t *testing.T) {
	s := scope(t)
	target := map[string]any{
		"refId": "$account", "expr": `x{a=~"$one"}`, "legendFormat": "$one", "interval": "$__rate_interval", "query": "$one",
		"datasource": map[string]any{"type": "prometheus", "uid": "$account"},
	}
	if err := s.ExpandTarget(target); err != nil {
		t.Fatal(err)
	}
	if target["refId"] != "$account" || target["expr"] != `x{a=~"a\\.b"}` || target["legendFormat"] != "a.b" ||
		target["interval"] != "$__rate_interval" || target["query"] != "a.b" || target["datasource"].(map[string]any)["uid"] != "me" {
		t.Errorf("expanded: %v", target)
	}
	if err := s.ExpandTarget(map[string]any{"query": "${one:glob2}"}); err == nil || !strings.HasPrefix(err.Error(), "query: ${one:glob2}: ") {
		t.Errorf("error %v", err)
	}
}

func TestNewRange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 31, 10, 20, 30, 0, berlin) // a Tuesday, two days into summer time
	for _, test := range []struct{ from, to, wantFrom, wantTo string }{
		{"now-90d", "now", "2025-12-31T10:20:30+01:00", "2026-03-31T10:20:30+02:00"},
		{"now-3d/d", "now/d", "2026-03-28T00:00:00+01:00", "2026-03-31T23:59:59.999+02:00"},
		{"now/w", "now/w", "2026-03-30T00:00:00+02:00", "2026-04-05T23:59:59.999+02:00"},
		{"now-1M/M", "now-1M", "2026-02-01T00:00:00+01:00", "2026-02-28T10:20:30+01:00"},
		{"now/y", "now/y", "2026-01-01T00:00:00+01:00", "2026-12-31T23:59:59.999+01:00"},
		{"now-1Q/Q", "now/h", "2025-10-01T00:00:00+02:00", "2026-03-31T10:59:59.999+02:00"},
		{"1774000000000", "2026-03-31T00:00:00Z", "2026-03-20T10:46:40+01:00", "2026-03-31T02:00:00+02:00"},
	} {
		r, err := grafana.NewRange(test.from, test.to, now, berlin, time.Monday)
		from, to := r.From.In(berlin).Format(time.RFC3339Nano), r.To.In(berlin).Format(time.RFC3339Nano)
		if from != test.wantFrom || to != test.wantTo || err != nil {
			t.Errorf("%s to %s: %s to %s, %v; want %s to %s", test.from, test.to, from, to, err, test.wantFrom, test.wantTo)
		}
	}
	for _, from := range []string{"", "yesterday", "now-1", "now/2d", "now+1d"} {
		if _, err := grafana.NewRange(from, "now", now, berlin, time.Monday); err == nil {
			t.Errorf("%q was taken", from)
		}
	}
}

func TestInterval(t *testing.T) {
	day := 24 * time.Hour
	for _, test := range []struct {
		length time.Duration
		points int
		lowest time.Duration
		want   time.Duration
	}{
		{90 * day, 1000, 0, 2 * time.Hour},
		{90 * day, 1000, day, day},
		{90 * day, 90, 0, day},
		{365 * day, 24, 0, 7 * day},
		{3650 * day, 10, 0, 365 * day},
		{time.Second, 1000, 0, time.Millisecond},
	} {
		r := grafana.Range{From: time.Unix(0, 0), To: time.Unix(0, 0).Add(test.length)}
		if got := r.Interval(test.points, test.lowest); got != test.want {
			t.Errorf("%s in %d points, at least %s: %s, want %s", test.length, test.points, test.lowest, got, test.want)
		}
	}
}
