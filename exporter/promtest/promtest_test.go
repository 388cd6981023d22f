package promtest_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/exporter/promtest"
)

func TestServers(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	alertmanager := promtest.Alertmanager(t, write("alertmanager.yml", "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"))
	write("rules.yml", "groups: [{name: test, interval: 50ms, rules: [{alert: Now, expr: vector(1)}]}]\n")
	promtest.Prometheus(t, write("prometheus.yml", "rule_files: [rules.yml]\nalerting: {alertmanagers: [{static_configs: [{targets: ['"+
		strings.TrimPrefix(alertmanager, "http://")+"']}]}]}\n"), "--rules.alert.resend-delay=1s")

	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get(alertmanager + "/api/v2/alerts")
		if err != nil {
			t.Fatal(err)
		}
		var alerts []struct{ Labels map[string]string }
		err = json.NewDecoder(response.Body).Decode(&alerts)
		_ = response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if len(alerts) == 1 && alerts[0].Labels["alertname"] == "Now" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no alert of Prometheus has reached Alertmanager")
		}
	}
}

func TestToolThatIsMissing(t *testing.T) {
	list := filepath.Join(t.TempDir(), "skipped")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("PROMTEST_SKIPPED", list)
	t.Setenv("CI", "")
	t.Run("skipped", func(t *testing.T) {
		promtest.Tool(t, "promtool")
		t.Error("a test without its tool goes on")
	})
	if text, err := os.ReadFile(list); err != nil || !strings.Contains(string(text), "exporter/promtest") || !strings.Contains(string(text), "TestToolThatIsMissing/skipped\n") {
		t.Errorf("the list of skipped tests is %q (%v)", text, err)
	}
}
