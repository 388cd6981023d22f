package grafana_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spotify-exporter/spotify-exporter/exporter/promtest"
)

// TestHistogramsOfBothKinds asks what the boards ask of histograms where these are
// native, as prometheus.yml scrapes them, and where they are classic, as the
// Prometheus Operator's Prometheus has them.
func TestHistogramsOfBothKinds(t *testing.T) {
	asked := map[string]bool{}
	for _, b := range readBoards(t) {
		for _, target := range b.targets() {
			if strings.Contains(target.text(), "_request_duration_seconds") {
				asked[strings.NewReplacer("${job}", "exporter", "$__rate_interval", "5m", "$__range", "1h").Replace(target.text())] = true
			}
		}
	}
	if len(asked) < 5 {
		t.Fatalf("the boards ask for histograms with %d queries only", len(asked))
	}
	for kind, series := range map[string]string{
		"native": `
      - {series: '%[1]s{%[2]s}', values: '{{schema:0 sum:3 count:4 buckets:[1 2 1]}}+{{schema:0 sum:3 count:4 buckets:[1 2 1]}}x60'}`,
		"classic": `
      - {series: '%[1]s_bucket{%[2]s, le="1"}', values: '3+3x60'}
      - {series: '%[1]s_bucket{%[2]s, le="+Inf"}', values: '4+4x60'}
      - {series: '%[1]s_count{%[2]s}', values: '4+4x60'}
      - {series: '%[1]s_sum{%[2]s}', values: '3+3x60'}`,
	} {
		t.Run(kind, func(t *testing.T) {
			file := strings.Builder{}
			file.WriteString("tests:\n  - interval: 1m\n    input_series:")
			fmt.Fprintf(&file, series, "spotify_api_request_duration_seconds", `job="exporter", endpoint="player", code="200"`)
			fmt.Fprintf(&file, series, "spotify_influx_request_duration_seconds", `job="exporter", code="204"`)
			file.WriteString("\n    promql_expr_test:")
			for expr := range asked {
				fmt.Fprintf(&file, "\n      - {expr: %q, eval_time: 1h, exp_samples: [{labels: '{}', value: 1}]}", "count("+expr+")")
			}
			path := filepath.Join(t.TempDir(), "histograms.yml")
			if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), promtest.Tool(t, "promtool"), "test", "rules", path).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
