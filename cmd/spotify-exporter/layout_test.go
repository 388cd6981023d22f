package main_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/spotify-exporter/spotify-exporter/"

// mayImport is the layout of this project: each package and which others of it its code, tests aside, may import.
// A new package has its place here before it has code.
var mayImport = map[string][]string{
	"collector":                     {"collector/clock", "collector/journal", "collector/spotify"},
	"collector/clock":               nil,
	"collector/history":             {"collector/journal"},
	"collector/history/historytest": nil,
	"collector/journal":             nil,
	"collector/spotify":             {"collector/clock"},
	"collector/spotifysim":          {"collector/clock"},
	"exporter/influx":               {"collector/clock", "collector/journal"},
	"exporter/influxtest":           nil,
	"exporter/promtest":             nil,
	"exporter/prom":                 {"collector", "collector/journal", "exporter/influx", "grafana"},
	"grafana":                       nil,
	"grafana/boards":                nil,
	"grafana/grafanatest":           nil,
	"cmd/spotify-exporter": {
		"collector", "collector/clock", "collector/history", "collector/journal", "collector/spotify",
		"collector/spotifysim", // demo
		"exporter/influx", "exporter/prom", "grafana",
	},
}

func TestLayout(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports", module+"...")
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	packages := json.NewDecoder(strings.NewReader(string(out)))
	for seen := 0; ; seen++ {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := packages.Decode(&p); errors.Is(err, io.EOF) && seen > 0 {
			return
		} else if err != nil {
			t.Fatalf("decode go list: %v", err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		allowed, ok := mayImport[name]
		if !ok {
			t.Errorf("package %s has no place in the layout", name)
			continue
		}
		for _, path := range p.Imports {
			imported, ours := strings.CutPrefix(path, module)
			if ours && !slices.Contains(allowed, imported) {
				t.Errorf("%s imports %s, which the layout does not allow", name, imported)
			}
		}
	}
}
