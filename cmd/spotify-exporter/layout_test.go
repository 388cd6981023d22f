package main_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/spotify-exporter/spotify-exporter/"

// mayImport is the layout of this project: each package and which others of it its code, tests aside, may import.
// A new package has its place here before it has code.
var mayImport = map[string][]string{
	"collector":                     {"collector/clock", "collector/journal", "collector/spotify"},
	"collector/clean":               nil,
	"collector/clock":               nil,
	"collector/history":             {"collector/journal"},
	"collector/history/historytest": nil,
	"collector/journal":             nil,
	"collector/secret":              nil,
	"collector/spotify":             {"collector/clean", "collector/clock", "collector/secret"},
	"collector/spotifysim":          {"collector/clock"},
	"deploy/image":                  nil,
	"deploy/release":                nil,
	"exporter/influx":               {"collector/clean", "collector/clock", "collector/journal", "collector/secret"},
	"exporter/influxtest":           nil,
	"exporter/promtest":             nil,
	"exporter/prom":                 {"collector", "collector/clean", "collector/journal", "exporter/influx", "grafana"},
	"grafana":                       {"collector/clean", "collector/secret"},
	"grafana/boards":                nil,
	"grafana/grafanatest":           nil,
	"cmd/spotify-exporter": {
		"collector", "collector/clean", "collector/clock", "collector/history", "collector/journal", "collector/spotify",
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

// TestNothingBesideTheClone looks for files that read data which lie beside the clone on some machines only. They have
// the name and the build tag that CI runs, and their tests the prefix, since CI runs no other tests with the tag.
func TestNothingBesideTheClone(t *testing.T) {
	var tagged int
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && entry.Name() == ".git" {
			return cmp.Or(err, fs.SkipDir)
		}
		if entry.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		behind := strings.HasPrefix(string(text), "//go:build shared\n")
		if beside := strings.Contains(string(text), "../"+"shared/"); beside && !behind || behind != (entry.Name() == "shared_test.go") {
			t.Errorf("%s: whatever reads data beside the clone is a shared_test.go that begins with //go:build shared, and nothing else is", path)
		}
		if behind {
			tagged++
			for _, name := range regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz)\w+)`).FindAllStringSubmatch(string(text), -1) {
				if !strings.HasPrefix(name[1], "TestShared") && !strings.HasPrefix(name[1], "BenchmarkShared") {
					t.Errorf("%s: %s is run by nobody: its name has to begin with TestShared", path, name[1])
				}
			}
		}
		return nil
	})
	if err != nil || tagged == 0 {
		t.Fatalf("%d files are behind the tag (%v)", tagged, err)
	}
}
