package main

import (
	"net/http"
	"slices"
	"testing"

	"go.yaml.in/yaml/v2"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
)

// TestScrapesAreAnswered asks for the metrics under every name by which Prometheus
// and probes know an exporter here, without WEB_HOSTS: the exporter must not take
// one of them for a website's.
func TestScrapesAreAnswered(t *testing.T) {
	var config struct {
		ScrapeConfigs []struct {
			JobName       string `yaml:"job_name"`
			StaticConfigs []struct {
				Targets []string
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(readText(t, deploy("prometheus", "prometheus.yml"))), &config); err != nil {
		t.Fatal(err)
	}
	hosts := []string{
		"localhost:10178", "127.0.0.1:10178", // published port, `spotify-exporter health`, deploy/compose.exporter.yml
		"10.42.0.7:10178", "[fd00::7]:10178", // pods, for probes and the ServiceMonitor
		"spotify-exporter.spotify.svc:10178", "spotify-exporter.spotify.svc.cluster.local:10178", // service
	}
	for _, job := range config.ScrapeConfigs {
		if job.JobName == "spotify-exporter" {
			hosts = append(hosts, job.StaticConfigs[0].Targets...)
		}
	}
	if !slices.Contains(hosts, "spotify-exporter:10178") { // in the demo this is an alias of it
		t.Errorf("deploy/prometheus/prometheus.yml scrapes %q", hosts)
	}
	simulate(t, clock.Clock{}, nil)
	d := startDaemon(t, clock.Clock{})
	for _, host := range hosts {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if answer.Body.Close(); answer.StatusCode != http.StatusOK {
			t.Errorf("a scrape of %s: %s", host, answer.Status)
		}
	}
	d.finish(t)
}
