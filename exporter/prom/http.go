package prom

import (
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// The limits of /metrics: more scrapers at once, or a longer wait, are a
// mistake or an attack, and Prometheus itself gives up after 10 s by default.
const (
	maxScrapes    = 8
	scrapeTimeout = 10 * time.Second
)

// Handler serves /metrics, the landing page, /-/healthy (this process serves)
// and /-/ready (the journal is open), for GET and HEAD. Neither of the last two
// asks whether anybody is logged in or Spotify is up: no restart would help. A
// request for a host that is not ours is refused on every route.
func (m *Metrics) Handler() http.Handler {
	metrics := promhttp.InstrumentMetricHandler(m.registry, promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		Registry:            m.registry,
		ErrorLog:            slog.NewLogLogger(m.options.Log.Handler(), slog.LevelError),
		EnableOpenMetrics:   true,
		DisableCompression:  true, // of a few kB would be a third of what a scrape costs
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
	}))
	mux := http.NewServeMux() // of a GET pattern it also serves HEAD, and 405 otherwise
	mux.Handle("GET /metrics", metrics)
	mux.Handle("GET /{$}", m.landingPage())
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "healthy\n")
	})
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) {
		if !m.options.Ready() {
			answer(w, http.StatusServiceUnavailable, "not ready: the journal is not open\n")
			return
		}
		answer(w, http.StatusOK, "ready\n")
	})
	return noSniffing(forOwnHosts(mux, m.options.Hosts))
}

// noSniffing keeps browsers from taking an answer for another type than it says.
func noSniffing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// answer sends a line of text that nobody may cache.
func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // a client that went away needs no answer
}
