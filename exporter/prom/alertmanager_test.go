package prom_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/exporter/promtest"
)

const alertmanagerFile = "../../deploy/alertmanager/alertmanager.yml"

// alertmanager starts Alertmanager with the shipped configuration, made that many
// times faster, and a file with the address to deliver to.
func alertmanager(t *testing.T, speed int, webhook string) string {
	t.Helper()
	content, err := os.ReadFile(alertmanagerFile)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	secret, config := filepath.Join(dir, "webhook_url"), filepath.Join(dir, "alertmanager.yml")
	text := strings.ReplaceAll(promtest.Faster(string(content), speed), "/etc/alertmanager/secrets/webhook_url", secret)
	for name, text := range map[string]string{secret: webhook, config: text} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return promtest.Alertmanager(t, config)
}

// fire sends alerts with these labels, as Prometheus does.
func fire(t *testing.T, alertmanager string, alerts ...map[string]string) {
	t.Helper()
	var body []map[string]any
	for _, labels := range alerts {
		body = append(body, map[string]any{"labels": labels, "endsAt": time.Now().Add(time.Hour)})
	}
	content, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(alertmanager+"/api/v2/alerts", "application/json", bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("alerts are refused: %s", response.Status)
	}
}

// alertLabels returns of each alert the labels that the tests of rules expect it to
// have, and the job.
func alertLabels(t *testing.T) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	for _, file := range readRuleTests(t) {
		for _, test := range file.Tests {
			for _, alert := range test.Alerts {
				for _, expected := range alert.Expected {
					labels := maps.Clone(expected.Labels)
					labels["alertname"] = alert.Alertname
					if labels["instance"] != "" {
						labels["job"] = "spotify-exporter"
					}
					if labels["account"] != "" {
						labels["account"] = "me"
					}
					all[alert.Alertname] = labels
				}
			}
		}
	}
	all["SpotifyTestAlert"] = map[string]string{"alertname": "SpotifyTestAlert", "severity": "warning"}
	return all
}

// TestInhibition lets alerts fire beside what causes them, each cause on an instance
// of its own, and asks Alertmanager which of them it keeps to itself.
func TestInhibition(t *testing.T) {
	if testing.Short() {
		t.Skip("runs nothing of this package")
	}
	const down, absent = "SpotifyExporterDown", "SpotifyExporterAbsent"
	polls, influx := []string{"SpotifyPollsFailing"}, []string{"SpotifyInfluxBacklog", "SpotifyBucketSettings"}
	causes := map[string][]string{
		down:                       nil, // of everything
		"SpotifyQuotaExceeded":     {"SpotifyPollsFailing", "SpotifyRateLimited"},
		"SpotifyAuthorizationLost": polls, "SpotifyClientRefused": polls, "SpotifyPremiumLapsed": polls, "SpotifyNotRegistered": polls, "SpotifyJournalFailing": polls,
		"SpotifyInfluxDown": influx, "SpotifyInfluxRefuses": influx,
	}
	all := alertLabels(t)
	if len(all) < 20 {
		t.Fatalf("only %d alerts found", len(all))
	}
	alerts := []map[string]string{all["Watchdog"], all["SpotifyTestAlert"]}
	var hidden, hiddenByAbsent []string
	for cause, hides := range causes {
		for name, labels := range all {
			if _, isCause := causes[name]; labels["instance"] == "" || isCause && cause != down && name != cause {
				continue
			}
			for _, account := range []string{"me", "anna"} {
				if account == "anna" && (name == cause || labels["account"] == "") {
					continue // it is my trouble
				}
				alert := maps.Clone(labels)
				alert["instance"] = "with " + cause
				if labels["account"] != "" {
					alert["account"] = account
				}
				alerts = append(alerts, alert)
				if cause == down && name != down || slices.Contains(hides, name) && (account == "me" || all[cause]["account"] == "") {
					hidden = append(hidden, described(alert))
				}
				if name != down {
					hiddenByAbsent = append(hiddenByAbsent, described(alert))
				}
			}
		}
	}
	server := alertmanager(t, 1, "http://127.0.0.1:9/")
	fire(t, server, alerts...)
	expectHidden(t, server, hidden)
	fire(t, server, all[absent])
	expectHidden(t, server, append(hiddenByAbsent, described(all[absent])))
}

func described(alert map[string]string) string {
	return strings.Join([]string{alert["alertname"], alert["instance"], alert["account"]}, ", ")
}

// expectHidden waits until Alertmanager keeps these alerts to itself, and no others.
func expectHidden(t *testing.T, alertmanager string, want []string) {
	t.Helper()
	var got []string
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		response, err := http.Get(alertmanager + "/api/v2/alerts?active=false&silenced=false")
		if err != nil {
			t.Fatal(err)
		}
		var alerts []struct{ Labels map[string]string }
		err = json.NewDecoder(response.Body).Decode(&alerts)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, alert := range alerts {
			got = append(got, described(alert.Labels))
		}
		slices.Sort(got)
		if slices.Sort(want); slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			break
		}
	}
	for _, alert := range got {
		if !slices.Contains(want, alert) {
			t.Errorf("is not told: %s", alert)
		}
	}
	for _, alert := range want {
		if !slices.Contains(got, alert) {
			t.Errorf("is told: %s", alert)
		}
	}
}

// TestHowOften counts the messages of days: of the end of a login once a day at most,
// whatever its severity; of other critical things more often; of the Watchdog never.
func TestHowOften(t *testing.T) {
	if testing.Short() {
		t.Skip("runs nothing of this package")
	}
	const day = 2 * time.Second
	var mu sync.Mutex
	messages, first := map[string]int{}, time.Time{}
	webhook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body struct {
			Alerts []struct{ Labels map[string]string }
		}
		err := json.NewDecoder(r.Body).Decode(&body)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			t.Error(err)
		}
		if first.IsZero() {
			first = time.Now()
		}
		for _, alert := range body.Alerts {
			messages[alert.Labels["alertname"]+" "+alert.Labels["severity"]]++
		}
	}))
	defer webhook.Close()
	server := alertmanager(t, int(24*time.Hour/day), webhook.URL)
	alert := func(name, severity string) map[string]string {
		return map[string]string{"alertname": name, "severity": severity, "instance": "a", "account": "of " + severity}
	}
	fire(t, server,
		alert("SpotifyAuthorizationEnds", "info"), alert("SpotifyAuthorizationEnds", "warning"), alert("SpotifyAuthorizationEnds", "critical"),
		alert("SpotifyJournalFailing", "critical"), alert("Watchdog", "none"))

	count := func(message string) int {
		mu.Lock()
		defer mu.Unlock()
		return messages[message]
	}
	for deadline := time.Now().Add(20 * day); count("SpotifyAuthorizationEnds critical") < 3 || count("SpotifyAuthorizationEnds warning") < 3; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in three days there were only these messages: %v", messages)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	days := float64(time.Since(first)) / float64(day)
	t.Logf("in %.1f days: %v", days, messages)
	for severity, atMost := range map[string]float64{"info": days/3 + 1, "warning": days + 1, "critical": days + 1} {
		if got := messages["SpotifyAuthorizationEnds "+severity]; got < 1 || float64(got) > atMost {
			t.Errorf("%d messages (%s) in %.1f days that a login ends", got, severity, days)
		}
	}
	if got := messages["SpotifyJournalFailing critical"]; float64(got) < 2*days {
		t.Errorf("%d messages in %.1f days that nothing is recorded", got, days)
	}
	if got := messages["Watchdog none"]; got > 0 {
		t.Errorf("%d messages that nothing is wrong", got)
	}
}
