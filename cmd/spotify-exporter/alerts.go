package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
)

// What is said where there is no Alertmanager.
const (
	nobodyTold    = "nobody is told when something fails"
	nobodyToldFix = "run Prometheus and Alertmanager with the files of deploy/, and set ALERTMANAGER_URL"
)

const (
	testAlert = "SpotifyTestAlert" // has a route of its own in alertmanager.yml
	// alertTimeout is how long a test alert may take: the group_wait of routes that
	// do not know it is half a minute.
	alertTimeout = 45 * time.Second
	// alertLook is how often Alertmanager is asked what has become of it.
	alertLook = 200 * time.Millisecond
	// alertingLook is how often the daemon looks whether somebody would be told, and
	// alertingLookAgain how often while nobody would.
	alertingLook      = 5 * time.Minute
	alertingLookAgain = time.Minute
)

// alerts checks whether somebody would be told of a failure.
func (c *check) alerts(ctx context.Context, send bool) {
	level, text, fix, _ := c.config.alerts(ctx, deliveries{})
	if send && c.config.AlertmanagerURL == "" {
		level, text = influx.Failure, "ALERTMANAGER_URL is not set: "+text
	}
	c.finding(level, "alerts", text, fix)
	if !send || level == influx.Failure {
		return
	}
	if err := (alertmanager{c.config.AlertmanagerURL}).test(ctx); err != nil {
		c.failed("test alert", err.Error(), "see Alertmanager's log; the address to deliver to belongs into its file secrets/webhook_url")
		return
	}
	c.ok("test alert", "delivered; look whether it has arrived")
}

// alerts tells whether somebody would be told of a failure, as far as that can be
// known without telling: of the deliveries since those in before, one has to have
// arrived. It returns what is to be before in the next look.
func (c *config) alerts(ctx context.Context, before deliveries) (level influx.Level, text, fix string, arrived deliveries) {
	if c.AlertmanagerURL == "" {
		return influx.Warning, nobodyTold, nobodyToldFix, before
	}
	a := alertmanager{c.AlertmanagerURL}
	var watching []struct{}
	err := a.get(ctx, "api/v2/alerts?filter="+url.QueryEscape(`alertname="Watchdog"`), &watching)
	var now deliveries
	if err == nil {
		now, err = a.deliveries(ctx)
	}
	if err != nil {
		return influx.Failure, err.Error(), "see that Alertmanager runs and that ALERTMANAGER_URL is its address", before
	}
	tried, failed := now.tried-before.tried, now.failed-before.failed
	if tried < 0 { // it was started again
		tried, failed = now.tried, now.failed
		before = deliveries{}
	}
	if failed < tried {
		before = now
	}
	switch {
	case len(watching) == 0:
		return influx.Warning, "Alertmanager runs, but no Prometheus sends it the Watchdog of our rules",
			`see "alerting" and "rule_files" in prometheus.yml; it takes a minute after a start`, before
	case tried > 0 && failed == tried:
		return influx.Warning, fmt.Sprintf("Alertmanager cannot deliver (tries without success: %.0f): %s", tried, nobodyTold),
			"try spotify-exporter check --alert", before
	}
	return influx.OK, "Prometheus sends them to Alertmanager", "", before
}

// alertmanager is a way to the API of Alertmanager.
type alertmanager struct {
	url string
}

// test sends an alert and waits until Alertmanager has delivered it.
func (a alertmanager) test(ctx context.Context) error {
	before, err := a.deliveries(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal([]map[string]any{{
		"labels": map[string]string{"alertname": testAlert, "severity": "warning"},
		"annotations": map[string]string{
			"summary":     "This is a test: alerts arrive.",
			"description": "Somebody ran spotify-exporter check --alert. Nothing is wrong.",
		},
		"endsAt": time.Now().Add(time.Minute),
	}})
	if err != nil {
		return fmt.Errorf("encode alert: %w", err)
	}
	if err := a.call(ctx, http.MethodPost, "api/v2/alerts", bytes.NewReader(body), nil); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, alertTimeout, fmt.Errorf("nothing was delivered within %v: no receiver gets it", alertTimeout))
	defer cancel()
	tick := time.NewTicker(alertLook)
	defer tick.Stop()
	for tried := false; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		now, err := a.deliveries(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		case now.failed > before.failed:
			return errors.New("delivery failed")
		case tried:
			return nil
		}
		tried = now.tried > before.tried // that it has failed is counted a moment later
	}
}

// deliveries are how often Alertmanager has tried to deliver something, since its
// start.
type deliveries struct {
	tried, failed float64
}

// deliveries reads them from Alertmanager's metrics.
func (a alertmanager) deliveries(ctx context.Context) (deliveries, error) {
	var text []byte
	if err := a.get(ctx, "metrics", &text); err != nil {
		return deliveries{}, err
	}
	sum := func(name string) (total float64) {
		for line := range strings.Lines(string(text)) {
			if series, value, ok := strings.Cut(strings.TrimSpace(line), "} "); ok && strings.HasPrefix(series, name+"{") {
				number, _ := strconv.ParseFloat(value, 64)
				total += number
			}
		}
		return total
	}
	return deliveries{
		tried:  sum("alertmanager_notification_requests_total"),
		failed: sum("alertmanager_notification_requests_failed_total"),
	}, nil
}

func (a alertmanager) get(ctx context.Context, path string, into any) error {
	return a.call(ctx, http.MethodGet, path, nil, into)
}

// call makes a request and decodes the answer's JSON, or keeps it as it is if into
// is a *[]byte; nil: it is not looked at.
func (a alertmanager) call(ctx context.Context, method, path string, body io.Reader, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(a.url, "/")+"/"+path, body)
	if err != nil {
		return fmt.Errorf("ask Alertmanager: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		return fmt.Errorf("ask Alertmanager at %s: %w", a.url, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 8<<20))
	if err != nil {
		return fmt.Errorf("ask Alertmanager at %s: %w", a.url, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask Alertmanager at %s: %s", a.url, response.Status)
	}
	switch into := into.(type) {
	case nil:
	case *[]byte:
		*into = answer
	default:
		if err := json.Unmarshal(answer, into); err != nil {
			return fmt.Errorf("ask Alertmanager at %s: its answer is none of Alertmanager", a.url)
		}
	}
	return nil
}
