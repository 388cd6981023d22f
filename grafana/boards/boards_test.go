package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/spotify-exporter/spotify-exporter/grafana"
)

// What users import is what is written here.
func TestDashboardsAreGenerated(t *testing.T) {
	files, err := grafana.Dashboards.ReadDir("dashboards")
	if err != nil {
		t.Fatal(err)
	}
	stale := map[string]bool{}
	for _, file := range files {
		stale[file.Name()] = true
	}
	for _, b := range boards() {
		want, err := b.json()
		if err != nil {
			t.Fatal(err)
		}
		name := b.UID + ".json"
		delete(stale, name)
		got, err := os.ReadFile(filepath.Join("..", "dashboards", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator prints (%v): go generate ./grafana", name, err)
		}
	}
	for name := range stale {
		t.Errorf("%s is of no board", name)
	}
}
