// Package prom shows the exporter's state to Prometheus and people: it owns every metric name, the landing page and the health endpoints.
package prom

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/singleflight"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
	"github.com/spotify-exporter/spotify-exporter/grafana"
)

// Options are where Metrics reads from. Its funcs are called at every scrape, by
// several goroutines at once; only Collector is required. A scrape does not wait for
// Quota and Journal for longer than journalWait; the others must return quickly.
type Options struct {
	// Collector returns the poller's state.
	Collector func() collector.State
	// Quota returns what may be asked of Spotify. It may read the journal. While it
	// fails, its series are absent; nil: they always are.
	Quota func(context.Context) (collector.QuotaState, error)
	// Influx returns the InfluxDB writer's state; nil if none is configured.
	Influx func() influx.State
	// Snapshot returns the state of the publisher; nil if nothing is published.
	Snapshot func() grafana.State
	// Journal returns the journal's state. While it fails or takes too long, the
	// journal's series are absent.
	Journal func(context.Context) (journal.State, error)
	// JournalFiles returns what is known of the journal's files, nil while it is not
	// open; nil if nobody looks after them.
	JournalFiles func() *JournalFiles
	// Ready tells whether the journal is open, which is all that /-/ready asks.
	Ready func() bool
	// Alerting tells whether somebody would be told of a failure, nil while that is
	// not known; nil if nobody wants to be.
	Alerting func() *bool
	// Warnings are what an operator should put right, as sentences for the landing
	// page.
	Warnings func(context.Context) []string
	// Hosts are names of this exporter in the Host header of requests, beside those
	// that cannot be anybody else's.
	Hosts []string
	// Now is the clock by which the states' times are meant; nil means time.Now.
	Now func() time.Time

	// NowPlayingInfo lets /metrics and the landing page name what plays.
	NowPlayingInfo bool

	Version  string // of this program
	Revision string // its commit
	Log      *slog.Logger
}

// Metrics is everything that Prometheus may know. It is a prometheus.Collector
// of the contract in testdata/metrics.txt.
type Metrics struct {
	options  Options
	families families
	registry *prometheus.Registry

	spotifyDuration *prometheus.HistogramVec // endpoint, code
	influxDuration  *prometheus.HistogramVec // code

	reading       singleflight.Group // of the journal: one at a time, however many ask
	journalFailed atomic.Bool        // the last reading failed, and it was logged
}

// New returns Metrics with a registry of its own, to which Go's and the
// process's metrics are added.
func New(options Options) *Metrics {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Ready == nil {
		options.Ready = func() bool { return true }
	}
	if options.Warnings == nil {
		options.Warnings = func(context.Context) []string { return nil }
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	m := &Metrics{
		options:  options,
		families: newFamilies(),
		registry: prometheus.NewRegistry(),
		spotifyDuration: newDuration("spotify_api_request_duration_seconds",
			"Time from a request to Spotify's Web API to the head of its answer. Requests that were never answered are not in it: see spotify_poll_failures_total.",
			"endpoint", "code"),
		influxDuration: newDuration("spotify_influx_request_duration_seconds",
			"Time from a request to InfluxDB to the head of its answer. Requests that were never answered are not in it: see spotify_influx_write_failures_total.",
			"code"),
	}
	m.registry.MustRegister(m,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// newDuration returns a histogram with classic buckets, for everybody, and a
// native one for scrapers that ask for it. The native settings are those of
// Prometheus' own remote-write.
func newDuration(name, help string, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:                            name,
		Help:                            help,
		Buckets:                         []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}, labels)
}

// roundTripperFunc is a func as http.RoundTripper.
type roundTripperFunc func(*http.Request) (*http.Response, error)

// RoundTrip calls f.
func (f roundTripperFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// InstrumentSpotify returns next with the time of its answers observed. endpoint
// names the API route from the request's context, as there must be no ids in a
// label.
func (m *Metrics) InstrumentSpotify(next http.RoundTripper, endpoint func(context.Context) string) http.RoundTripper {
	return roundTripperFunc(func(r *http.Request) (*http.Response, error) {
		start := time.Now()
		response, err := next.RoundTrip(r)
		if err == nil {
			m.spotifyDuration.WithLabelValues(label(endpoint(r.Context())), code(response)).Observe(time.Since(start).Seconds())
		}
		return response, err
	})
}

// InstrumentInflux returns next with the time of its answers observed.
func (m *Metrics) InstrumentInflux(next http.RoundTripper) http.RoundTripper {
	return roundTripperFunc(func(r *http.Request) (*http.Response, error) {
		start := time.Now()
		response, err := next.RoundTrip(r)
		if err == nil {
			m.influxDuration.WithLabelValues(code(response)).Observe(time.Since(start).Seconds())
		}
		return response, err
	})
}
