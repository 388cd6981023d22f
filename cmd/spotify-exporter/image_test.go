package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// stages parses the Dockerfile, and fails for what Docker's own linter finds.
func stages(t *testing.T) (build, image instructions.Stage) {
	t.Helper()
	content, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range parsed.Warnings {
		t.Errorf("Dockerfile: %s", warning.Short)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, description, url, message string, location []parser.Range) {
		t.Errorf("Dockerfile:%v: %s: %s", location, rule, message)
	}})
	all, _, err := instructions.Parse(parsed.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 {
		t.Fatalf("%d stages, want 2", len(all))
	}
	return all[0], all[1]
}

func TestImage(t *testing.T) {
	build, image := stages(t)
	minor := strings.Join(strings.SplitN(runtime.Version(), ".", 3)[:2], ".") // go1.26
	base := regexp.MustCompile(`^golang:` + regexp.QuoteMeta(strings.TrimPrefix(minor, "go")) + `\.\d+(@sha256:[0-9a-f]{64})?$`)
	if !base.MatchString(build.BaseName) || build.Platform != "$BUILDPLATFORM" {
		t.Errorf("built from %s on %s, want an exact tag of the Go of these tests, %s, on the builder's platform", build.BaseName, build.Platform, minor)
	}
	if image.BaseName != "scratch" {
		t.Errorf("the image is made from %s: nothing but ours is to be in it", image.BaseName)
	}
	labels := make(map[string]string)
	environment := make(map[string]string)
	var user, entrypoint, probe string
	for _, command := range image.Commands {
		switch c := command.(type) {
		case *instructions.RunCommand:
			t.Errorf("%s: there is nothing that could run it", c)
		case *instructions.UserCommand:
			user = c.User
		case *instructions.EntrypointCommand:
			entrypoint = strings.Join(c.CmdLine, " ")
		case *instructions.HealthCheckCommand:
			probe = strings.Join(c.Health.Test, " ")
		case *instructions.EnvCommand:
			for _, variable := range c.Env {
				environment[variable.Key] = variable.Value
			}
		case *instructions.LabelCommand:
			for _, label := range c.Labels {
				labels[label.Key] = label.Value
			}
		}
	}
	if environment["WEB_LISTEN_ADDRESS"] != ":10178" || environment["DATA_DIR"] != "/data" {
		t.Errorf("environment %v: nobody outside of the container reaches it, or its data is not in the volume", environment)
	}
	if user != "65532:65532" || entrypoint != "/usr/bin/spotify-exporter" || probe != "CMD /usr/bin/spotify-exporter health" {
		t.Errorf("user %q, entry point %q, probe %q", user, entrypoint, probe)
	}
	for _, name := range []string{"title", "description", "url", "source", "documentation", "licenses", "version", "revision"} {
		if labels["org.opencontainers.image."+name] == "" {
			t.Errorf("no label org.opencontainers.image.%s", name)
		}
	}
}

// ignored is .dockerignore.
func ignored(t *testing.T) *patternmatcher.PatternMatcher {
	t.Helper()
	content, err := os.ReadFile("../../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	patterns, err := ignorefile.ReadAll(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return matcher
}

func TestDockerIgnore(t *testing.T) {
	matcher := ignored(t)
	matches := func(path string) bool {
		found, err := matcher.MatchesOrParentMatches(path)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	for _, path := range []string{".env", "data/journal.db", "data/tokens/me.json", "imports/my_spotify_data.zip", "bin/spotify-exporter", "collector/collector.test"} {
		if !matches(path) {
			t.Errorf("%s goes into the build", path)
		}
	}
	out, err := exec.CommandContext(t.Context(), "git", "-C", "../..", "ls-files").Output()
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		if matches(lines.Text()) {
			t.Errorf("%s is kept from the build: the version would be that of a changed tree", lines.Text())
		}
	}
}
