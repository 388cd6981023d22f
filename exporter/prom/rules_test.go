package prom_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v2"

	"github.com/spotify-exporter/spotify-exporter/exporter/promtest"
)

const (
	rulesFile   = "../../deploy/prometheus/rules.yml"
	rulesTests  = "../../deploy/prometheus/*_test.yml"
	runbookFile = "../../deploy/runbooks.md"
	runbookURL  = "https://github.com/spotify-exporter/spotify-exporter/blob/main/deploy/runbooks.md#"
)

// rule is an alert of rules.yml, or a recording rule.
type rule struct {
	Alert, Record, Expr string
	Labels, Annotations map[string]string
}

func readRules(t *testing.T) (rules []rule) {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	readYAML(t, rulesFile, &file)
	for _, group := range file.Groups {
		rules = append(rules, group.Rules...)
	}
	if len(rules) < 20 {
		t.Fatalf("only %d rules found", len(rules))
	}
	return rules
}

// ruleTests is a file of tests for promtool.
type ruleTests struct {
	Tests []struct {
		Name        string
		InputSeries []struct{ Series string } `yaml:"input_series"`
		Alerts      []struct {
			Alertname string
			Expected  []struct {
				Labels map[string]string `yaml:"exp_labels"`
			} `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
	}
}

func readRuleTests(t *testing.T) map[string]ruleTests {
	t.Helper()
	names, err := filepath.Glob(rulesTests)
	if err != nil || len(names) == 0 {
		t.Fatalf("no tests of rules: %v", err)
	}
	files := map[string]ruleTests{}
	for _, name := range names {
		var file ruleTests
		readYAML(t, name, &file)
		files[name] = file
	}
	return files
}

func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// contracted is what the golden text has of a metric: its labels with the values of
// those that are a closed set.
type contracted map[string]map[string][]string

// openLabels are those whose values others decide.
var openLabels = []string{"account", "version", "revision", "goversion", "kind", "track", "artist", "album", "track_id", "image_url", "code", "endpoint", "le"}

func readContract(t *testing.T) contracted {
	t.Helper()
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	c := contracted{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(line, "{")
		name, _, _ = strings.Cut(name, " ")
		if c[name] == nil {
			c[name] = map[string][]string{}
		}
		for _, match := range labelPair.FindAllStringSubmatch(rest, -1) {
			c[name][match[1]] = append(c[name][match[1]], match[3])
		}
	}
	// What is wrong now is one of the reasons that are counted.
	c["spotify_poll_failing"]["reason"] = c["spotify_poll_failures_total"]["reason"]
	return c
}

var (
	selector   = regexp.MustCompile(`\b((?:spotify_|up\b|ALERTS\b)\w*)(\{[^}]*\})?`)
	labelPair  = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"`)
	grouping   = regexp.MustCompile(`\b(?:on|by|without|ignoring)\s*\(([^)]*)\)`)
	inTemplate = regexp.MustCompile(`\$labels\.(\w+)`)
)

// problems are what an expression selects that the contract does not have.
func (c contracted) problems(expr string) (found []string) {
	for _, match := range selector.FindAllStringSubmatch(expr, -1) {
		metric, matchers := match[1], match[2]
		if metric == "up" { // Prometheus' own
			continue
		}
		labels, ok := c[metric]
		if !ok {
			found = append(found, metric+" is not in the contract")
			continue
		}
		for _, pair := range labelPair.FindAllStringSubmatch(matchers, -1) {
			label, values := pair[1], strings.Split(pair[3], "|")
			known, ok := labels[label]
			if !ok && label != "instance" {
				found = append(found, fmt.Sprintf("%s has no label %s in the contract", metric, label))
			}
			if slices.Contains(openLabels, label) || label == "instance" {
				continue
			}
			for _, value := range values {
				if !slices.Contains(known, value) {
					found = append(found, fmt.Sprintf("%s never has %s=%q", metric, label, value))
				}
			}
		}
	}
	return found
}

func TestProblemsAreFound(t *testing.T) {
	contract := readContract(t)
	for expr, want := range map[string]int{
		`rate(spotify_polls_total{account=~"$account"}[5m]) / up{job="any"}`: 0,
		`spotify_poll_failures_total{reason=~"network|server"}`:              0,
		`spotify_poll_failures_total{reason="internet"}`:                     1,
		`spotify_polls_total{reason="network"}`:                              2,
		`sum(spotify_listens) + spotify_playing`:                             1,
	} {
		if got := contract.problems(expr); len(got) != want {
			t.Errorf("%s: %d problems, want %d: %q", expr, len(got), want, got)
		}
	}
}

func TestRulesUseTheContract(t *testing.T) {
	contract := readContract(t)
	known := []string{"job", "instance"}
	for _, labels := range contract {
		for label := range labels {
			known = append(known, label)
		}
	}
	for _, rule := range readRules(t) {
		for _, problem := range contract.problems(rule.Expr) {
			t.Errorf("%s: %s", rule.Alert, problem)
		}
		var named []string
		for _, match := range grouping.FindAllStringSubmatch(rule.Expr, -1) {
			for label := range strings.SplitSeq(match[1], ",") {
				named = append(named, strings.TrimSpace(label))
			}
		}
		for _, match := range inTemplate.FindAllStringSubmatch(rule.Annotations["description"], -1) {
			named = append(named, match[1])
		}
		for _, label := range named {
			if !slices.Contains(known, label) {
				t.Errorf("%s: no metric has a label %s", rule.Alert, label)
			}
		}
	}
	// Tests with series that the exporter never has would prove nothing.
	for name, file := range readRuleTests(t) {
		for _, test := range file.Tests {
			for _, series := range test.InputSeries {
				for _, problem := range contract.problems(series.Series) {
					t.Errorf("%s: %s: %s", filepath.Base(name), test.Name, problem)
				}
			}
		}
	}
}

// TestRulesOutliveAMissedScrape wants each metric to be looked back for: a scrape that
// fails makes its series stale, and an alert would begin to wait anew.
func TestRulesOutliveAMissedScrape(t *testing.T) {
	const now = `spotify_poll_failing{reason!~"network|server|decode"}` // what is wrong at this moment
	for _, rule := range readRules(t) {
		for _, at := range selector.FindAllStringIndex(rule.Expr, -1) {
			selected, rest := rule.Expr[at[0]:at[1]], rule.Expr[at[1]:]
			if !strings.HasPrefix(rest, "[") && !strings.HasPrefix(selected, "up{") && selected != now {
				t.Errorf("%s: %s has no range", rule.Alert, selected)
			}
		}
	}
}

// TestRulesNameOneJob lets the file work in a Prometheus that exists already: there
// is one line to change.
func TestRulesNameOneJob(t *testing.T) {
	content, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(string(content)) {
		if strings.Contains(line, "job=") || strings.Contains(line, "job!") {
			lines++
			if !strings.Contains(line, "# the only line that names a job") {
				t.Errorf("not marked: %s", line)
			}
		}
	}
	if lines != 1 {
		t.Errorf("%d lines name a job, want 1", lines)
	}
}

// TestAlertsAreComplete wants for each alert a severity, what to say, a section of
// the runbook, a test that it fires and one that it does not.
func TestAlertsAreComplete(t *testing.T) {
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, file := range readRuleTests(t) {
		for _, test := range file.Tests {
			for _, alert := range test.Alerts {
				if len(alert.Expected) == 0 {
					silent[alert.Alertname] = true
				}
				for _, expected := range alert.Expected {
					fires[alert.Alertname+" "+expected.Labels["severity"]] = true
				}
			}
		}
	}
	content, err := os.ReadFile(runbookFile)
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	preface, rest, _ := strings.Cut(string(content), "\n## Watchdog\n")
	for section := range strings.SplitSeq("Watchdog\n"+rest, "\n## ") {
		heading, text, _ := strings.Cut(section, "\n")
		sections[heading] = text
	}

	var names []string
	for _, rule := range readRules(t) {
		name, severity := rule.Alert, rule.Labels["severity"]
		names = append(names, name)
		if !slices.Contains([]string{"critical", "warning", "info"}, severity) && (name != "Watchdog" || severity != "none") {
			t.Errorf("%s: severity %q", name, severity)
		}
		if name != "Watchdog" && !strings.HasPrefix(name, "Spotify") {
			t.Errorf("%s does not begin with Spotify", name)
		}
		if summary := rule.Annotations["summary"]; !strings.HasSuffix(summary, ".") || strings.Count(summary, ". ") > 0 || strings.Contains(summary, "{{") {
			t.Errorf("%s: the summary is no static sentence: %q", name, summary)
		}
		if rule.Annotations["description"] == "" {
			t.Errorf("%s has no description", name)
		}
		if got, want := rule.Annotations["runbook_url"], runbookURL+strings.ToLower(name); got != want {
			t.Errorf("%s: runbook_url %s, want %s", name, got, want)
		}
		for _, part := range []string{"Means", "Lost", "See", "Mend", "Be sure"} {
			if !strings.Contains(sections[name], "* **"+part+":** ") {
				t.Errorf("%s: the runbook has no %q", name, part)
			}
		}
		if !strings.Contains(preface, fmt.Sprintf("| [%s](#%s) |", name, strings.ToLower(name))) {
			t.Errorf("%s is not in the runbook's table", name)
		}
		if !fires[name+" "+severity] {
			t.Errorf("%s (%s): no test fires it", name, severity)
		}
		if !silent[name] && name != "Watchdog" {
			t.Errorf("%s: no test is a near miss", name)
		}
	}
	for heading := range sections {
		if !slices.Contains(names, heading) {
			t.Errorf("the runbook has a section on %s, which is no alert", heading)
		}
	}
}

// TestRules asks the tools of Prometheus and Alertmanager.
func TestRules(t *testing.T) {
	if testing.Short() {
		t.Skip("runs nothing of this package, and takes a while")
	}
	tests, err := filepath.Glob(rulesTests)
	if err != nil {
		t.Fatal(err)
	}
	promtool, amtool := promtest.Tool(t, "promtool"), promtest.Tool(t, "amtool")
	run := func(tool string, args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput(); err != nil {
			t.Errorf("%s %v: %v\n%s", filepath.Base(tool), args, err, out)
		}
	}
	run(promtool, "check", "rules", "--lint=all", "--lint-fatal", rulesFile)
	t.Setenv("SPOTIFY_EXPORTER_COMMAND", "docker compose exec spotify-exporter spotify-exporter")
	run(promtool, "check", "config", "--lint=all", "--lint-fatal", "../../deploy/prometheus/prometheus.yml")
	run(promtool, append([]string{"test", "rules"}, tests...)...)

	const alertmanager = "../../deploy/alertmanager/"
	run(amtool, "check-config", alertmanager+"alertmanager.yml")
	shipped, err := os.ReadFile(alertmanager + "alertmanager.yml")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "watchdog.yml") // uses the lines that are there for a dead man's switch
	watched := bytes.ReplaceAll(shipped, []byte("\n    # "), []byte("\n    "))
	if bytes.Equal(watched, shipped) {
		t.Error("there are no lines for a dead man's switch")
	}
	if err := os.WriteFile(name, watched, 0o600); err != nil {
		t.Fatal(err)
	}
	run(amtool, "check-config", name)
	owner := regexp.MustCompile(`(?m)^  - name: owner\n(    .*\n)+`)
	for _, other := range []string{"email.yml", "telegram.yml"} {
		content, err := os.ReadFile(alertmanager + other)
		if err != nil {
			t.Fatal(err)
		}
		receiver := owner.Find(content)
		if receiver == nil || !owner.Match(shipped) {
			t.Fatalf("no receiver to exchange in %s", other)
		}
		name := filepath.Join(t.TempDir(), other)
		if err := os.WriteFile(name, bytes.Replace(shipped, owner.Find(shipped), receiver, 1), 0o600); err != nil {
			t.Fatal(err)
		}
		run(amtool, "check-config", name)
	}
}
