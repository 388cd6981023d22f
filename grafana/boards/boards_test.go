package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
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

func TestFirstName(t *testing.T) {
	anchored := regexp.MustCompile("^(?s:" + firstName + ")$") // as Prometheus does it
	for names, want := range map[string]string{
		"": "", "Rick Astley": "Rick Astley", "Tyler, The Creator": "Tyler, The Creator", "Jay-Z; Kanye West; Frank Ocean": "Jay-Z", "a;b": "a;b",
	} {
		if got := anchored.ReplaceAllString(names, "$1"); got != want {
			t.Errorf("first of %q is %q, want %q", names, got, want)
		}
	}
}
