package main

import (
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
	"github.com/spotify-exporter/spotify-exporter/exporter/promtest"
)

// reachable are the services that each service of the stack can open connections
// to. Those without a line open none that matter: they end, or answer only.
//
// Alertmanager can reach the exporter and Grafana, since they share a network to
// reach it: both are what their own pages show, and Grafana asks for a password.
var reachable = map[string][]string{
	"spotify-exporter": {"alertmanager", "grafana", "influxdb", "prometheus"},
	"setup":            {"grafana", "influxdb", "prometheus", "spotify-exporter"},
	"setup-grafana":    {"grafana", "influxdb", "prometheus", "spotify-exporter"},
	"hand-over":        nil,
	"influxdb":         {"grafana", "prometheus", "spotify-exporter"},
	"prometheus":       {"alertmanager", "grafana", "influxdb", "spotify-exporter"},
	"alertmanager":     {"grafana", "spotify-exporter"},
	"grafana":          {"alertmanager", "influxdb", "prometheus", "spotify-exporter"},

	"demo":              {"demo-grafana", "demo-influxdb", "demo-prometheus"},
	"demo-setup":        {"demo", "demo-grafana", "demo-influxdb", "demo-prometheus"},
	"demo-hand-over":    nil,
	"demo-influxdb":     {"demo", "demo-grafana", "demo-prometheus"},
	"demo-prometheus":   {"demo", "demo-alertmanager", "demo-grafana", "demo-influxdb"},
	"demo-alertmanager": {"demo-grafana"},
	"demo-grafana":      {"demo", "demo-alertmanager", "demo-influxdb", "demo-prometheus"},
}

// TestComposeReachability computes which service can reach which one, and holds it
// against what is written above.
func TestComposeReachability(t *testing.T) {
	project := loadCompose(t, "docker-compose.yml")
	services := slices.Sorted(maps.Keys(project.Services))
	for _, from := range services {
		var got []string
		for _, to := range services {
			if from != to && !slices.Contains(oneShots, to) && canReach(project.Services[from], project.Services[to]) {
				got = append(got, to)
			}
		}
		want, written := reachable[from]
		if !written || !slices.Equal(got, want) {
			t.Errorf("%s can reach %q, want %q", from, got, want)
		}
	}
	for name := range project.Networks {
		if project.Networks[name].Internal {
			t.Errorf("nobody in network %s can reach the world: Spotify, or where alerts go", name)
		}
	}
}

// canReach reports whether two services share a network on which the second one
// listens.
func canReach(from, to types.ServiceConfig) bool {
	for network := range from.Networks {
		if _, shared := to.Networks[network]; shared && listensOn(to, network) {
			return true
		}
	}
	return false
}

// listensOn reports whether a service listens on the address that it has in a
// network: it does unless its command names addresses of others.
func listensOn(service types.ServiceConfig, network string) bool {
	restricted := false
	for _, argument := range service.Command {
		address, ok := strings.CutPrefix(argument, "--web.listen-address=")
		if !ok {
			continue
		}
		restricted = true
		host, _, err := net.SplitHostPort(address)
		if err != nil || host == "" || host == "0.0.0.0" || host == "::" || host == service.Name {
			return true
		}
		if config := service.Networks[network]; config != nil && slices.Contains(config.Aliases, host) {
			return true
		}
	}
	return !restricted
}

// TestComposeAddresses resolves the names by which the services find each other, as
// the name server of Docker does.
func TestComposeAddresses(t *testing.T) {
	project := loadCompose(t, "docker-compose.yml")
	resolve := func(from types.ServiceConfig, host string) (found []string) {
		for network := range from.Networks {
			for name, to := range project.Services {
				config, shared := to.Networks[network]
				known := shared && (name == host || config != nil && slices.Contains(config.Aliases, host))
				if known && (listensOn(to, network) || name == from.Name) && !slices.Contains(found, name) {
					found = append(found, name)
				}
			}
		}
		return found
	}
	for _, want := range []struct{ from, host, to string }{
		{"prometheus", "spotify-exporter", "spotify-exporter"}, // deploy/prometheus/prometheus.yml
		{"prometheus", "alertmanager", "alertmanager"},
		{"prometheus", "prometheus-inside", "prometheus"}, // --web.listen-address
		{"grafana", "prometheus-inside", "prometheus"},
		{"grafana", "influxdb", "influxdb"},
		{"grafana", "alertmanager", "alertmanager"},
		{"spotify-exporter", "influxdb", "influxdb"},
		{"spotify-exporter", "grafana", "grafana"},
		{"spotify-exporter", "alertmanager", "alertmanager"}, // ALERTMANAGER_URL of .env
		{"setup", "influxdb", "influxdb"},
		{"setup-grafana", "grafana", "grafana"},
		{"demo-prometheus", "spotify-exporter", "demo"},
		{"demo-prometheus", "alertmanager", "demo-alertmanager"},
		{"demo-prometheus", "prometheus-inside", "demo-prometheus"},
		{"demo-grafana", "prometheus-inside", "demo-prometheus"},
		{"demo-grafana", "influxdb", "demo-influxdb"},
		{"demo-grafana", "alertmanager", "demo-alertmanager"},
		{"demo", "influxdb", "demo-influxdb"},
		{"demo-setup", "influxdb", "demo-influxdb"},
	} {
		if got := resolve(project.Services[want.from], want.host); !slices.Equal(got, []string{want.to}) {
			t.Errorf("in %s the name %s is that of %q, want %s", want.from, want.host, got, want.to)
		}
	}
	for name, service := range project.Services {
		for _, argument := range service.Command {
			if address, ok := strings.CutPrefix(argument, "--web.listen-address="); ok {
				if _, _, err := net.SplitHostPort(address); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
}

// TestComposePrometheusListens runs a Prometheus with the addresses of the stack:
// 127.0.0.2 stands for the network with InfluxDB, 127.0.0.3 for that with Alertmanager.
func TestComposePrometheusListens(t *testing.T) {
	_, port, err := net.SplitHostPort(promtest.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	var flags []string
	for _, argument := range loadCompose(t, "docker-compose.yml").Services["prometheus"].Command {
		if strings.HasPrefix(argument, "--web.") {
			flags = append(flags, strings.NewReplacer("prometheus-inside", "127.0.0.2", ":9090", ":"+port).Replace(argument))
		}
	}
	config := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	promtest.Prometheus(t, config, flags...)
	for host, want := range map[string]bool{"127.0.0.1": true, "127.0.0.2": true, "127.0.0.3": false} {
		connection, err := net.Dial("tcp", net.JoinHostPort(host, port))
		if err == nil {
			connection.Close()
		}
		if (err == nil) != want {
			t.Errorf("Prometheus listens on %s: %v, want %v", host, err == nil, want)
		}
	}
}

// TestComposeInfluxDBShowsNoProfiles asks an InfluxDB with the settings of the stack
// for what anybody could ask it without a token.
func TestComposeInfluxDBShowsNoProfiles(t *testing.T) {
	influxtest.Require2(t)
	environment := loadCompose(t, "docker-compose.yml").Services["influxdb"].Environment
	var flags []string
	for variable, value := range environment {
		name := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(variable, "INFLUXD_"), "_", "-"))
		if !strings.HasSuffix(name, "-path") && name != "log-level" && name != "reporting-disabled" { // which tests have of their own
			flags = append(flags, "--"+name+"="+*value)
		}
	}
	server := influxtest.New(t, flags...)
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/heap", "/debug/pprof/all"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if response.Body.Close(); response.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", path, response.Status)
		}
	}
}

// Docker publishes ports around a firewall: what GRAFANA_PORT does not say is this
// machine alone.
func TestComposePublishesGrafanaWhereAsked(t *testing.T) {
	for given, want := range map[string]string{"": "127.0.0.1:3000", "3000": ":3000", "192.168.1.5:8080": "192.168.1.5:8080"} {
		ports := loadCompose(t, "docker-compose.yml", "GRAFANA_PORT="+given).Services["grafana"].Ports
		if len(ports) != 1 || ports[0].HostIP+":"+ports[0].Published != want {
			t.Errorf("GRAFANA_PORT=%s: published on %+v, want %s", given, ports, want)
		}
	}
	if strings.Contains(readText(t, root+"/.env.example"), "\nGRAFANA_PORT=3000\n") {
		t.Error("whoever copies .env.example publishes Grafana to the network")
	}
}
