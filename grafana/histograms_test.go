package grafana_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"go.yaml.in/yaml/v2"
)

// TestHistogramsAreScrapedAsTheBoardsAskForThem is about prometheus.yml: a
// Prometheus that is asked for native histograms has no _bucket and no _count of
// them, unless it is asked for those as well. One that is asked for nothing, such
// as the Prometheus Operator's, has these alone.
func TestHistogramsAreScrapedAsTheBoardsAskForThem(t *testing.T) {
	boards, err := filepath.Glob("dashboards/*.json")
	if err != nil {
		t.Fatal(err)
	}
	classic := regexp.MustCompile(`_duration_seconds_(bucket|count|sum)\b`)
	asked, native := false, regexp.MustCompile(`_request_duration_seconds[{\[]`)
	for _, board := range boards {
		content, err := os.ReadFile(board)
		if err != nil {
			t.Fatal(err)
		}
		asked = asked || classic.Match(content)
		if found := native.Find(content); found != nil {
			t.Errorf("%s asks for a native histogram, which not every Prometheus has: %s", board, found)
		}
	}
	if !asked {
		t.Fatal("no board asks for a histogram")
	}
	content, err := os.ReadFile("../deploy/prometheus/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		ScrapeConfigs []struct {
			JobName string `yaml:"job_name"`
			Native  bool   `yaml:"scrape_native_histograms"`
			Classic bool   `yaml:"always_scrape_classic_histograms"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	for _, job := range file.ScrapeConfigs {
		if job.JobName == "spotify-exporter" && job.Native && !job.Classic {
			t.Error("the boards' histograms are not scraped: always_scrape_classic_histograms")
		}
	}
}
