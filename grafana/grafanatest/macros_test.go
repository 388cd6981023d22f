package grafanatest_test

import (
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/grafana/grafanatest"
)

func macros() grafanatest.Macros {
	to := time.Date(2026, 11, 22, 17, 30, 0, 0, time.UTC)
	return grafanatest.Macros{From: to.Add(-36 * time.Hour), To: to, Interval: 90 * time.Second, Bucket: "spotify", Organization: "home"}
}

func TestFluxMacros(t *testing.T) {
	for query, want := range map[string]string{
		`from(bucket: v.defaultBucket) |> range(start: v.timeRangeStart, stop: v.timeRangeStop)`: `from(bucket: "spotify") |> range(start: 2026-11-21T05:30:00Z, stop: 2026-11-22T17:30:00Z)`,
		`aggregateWindow(every: v.windowPeriod) // x.bucket, v.organization`:                     `aggregateWindow(every: 1m30s) // "spotify", "home"`,
		`$__interval $__interval_ms ${__interval} r.artist`:                                      `1m 90000 ${__interval} r.artist`,
	} {
		if got := macros().Flux(query); got != want {
			t.Errorf("%s:\n got %s\nwant %s", query, got, want)
		}
	}
}

func TestPromQLMacros(t *testing.T) {
	for _, test := range []struct {
		expr, minStep, want string
		step                time.Duration
	}{
		{`rate(x[$__rate_interval]) [$__interval:${__interval_ms}]`, "", `rate(x[1m45s]) [1m:90000]`, 90 * time.Second},
		{`increase(x[${__range}]) $__range_s $__range_ms $__rate_interval_ms`, "", `increase(x[129600s]) 129600 129600000 105000`, 90 * time.Second},
		{`rate(x[$__rate_interval])`, "5m", `rate(x[20m0s])`, 5 * time.Minute},
	} {
		got, step, err := macros().PromQL(test.expr, test.minStep)
		if got != test.want || step != test.step || err != nil {
			t.Errorf("%s:\n got %s, step %s, %v\nwant %s, step %s", test.expr, got, step, err, test.want, test.step)
		}
	}
	wide := macros()
	wide.From = wide.To.Add(-11000 * 24 * time.Hour)
	if _, step, _ := wide.PromQL("x", ""); step != 24*time.Hour {
		t.Errorf("step %s of a range of 11,000 days: more points than Prometheus gives", step)
	}
	if _, _, err := macros().PromQL("x", "soon"); err == nil {
		t.Error(`interval "soon" was taken`)
	}
}
