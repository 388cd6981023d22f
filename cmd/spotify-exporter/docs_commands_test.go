package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/yuin/goldmark/ast"
	"go.yaml.in/yaml/v2"
	"mvdan.cc/sh/v3/syntax"
)

// TestDocsCommands holds every command on the pages, in blocks and within lines,
// against what there is: our own against the command line, those of Go, make, Docker
// and kubectl against the files that they are about.
func TestDocsCommands(t *testing.T) {
	checker := newDocsChecker(t)
	for _, p := range readPages(t) {
		blocks := 0
		for _, block := range nodes[*ast.FencedCodeBlock](p) {
			blocks++
			if err := checker.block(string(block.Language(p.source)), string(block.Lines().Value(p.source))); err != nil {
				t.Errorf("%s: block %d: %v", p.path, blocks, err)
			}
		}
		if n := len(nodes[*ast.CodeBlock](p)); n > 0 {
			t.Errorf("%s: %d blocks that are indented: give them a fence and a language", p.path, n)
		}
		for _, span := range nodes[*ast.CodeSpan](p) {
			if err := checker.span(p.plain(span)); err != nil {
				t.Errorf("%s: `%s`: %v", p.path, p.plain(span), err)
			}
		}
	}
}

// TestDocsChecker holds that the checker refuses what is wrong.
func TestDocsChecker(t *testing.T) {
	checker := newDocsChecker(t)
	for _, wrong := range []struct{ language, text string }{
		{"", "make test"},
		{"bash", "make test"},
		{"python", "print()"},
		{"text", "spotify-exporter check"},
		{"yaml", "a: [b"},
		{"sh", "if"},
		{"sh", "go install example.org/x@latest"},
		{"sh", "docker pull example.org/x"},
		{"sh", "brew install spotify-exporter"},
		{"sh", "spotify-exporter chekc"},
		{"sh", "spotify-exporter import --dry x.zip"},
		{"sh", "sudo spotify-exporter plays --format xml"},
		{"sh", "sudo sh -ac '. /etc/spotify-exporter/environment; spotify-exporter logon'"},
		{"sh", "cat x | spotify-exporter import - --undone"},
		{"sh", "go run ./cmd/spotify demo"},
		{"sh", "go run ./cmd/spotify-exporter demo --fast"},
		{"sh", "go test ./collectr"},
		{"sh", "go test ./collector -run TestNothingOfThatName"},
		{"sh", "make tests"},
		{"sh", "make bench-truth DAY=60"},
		{"sh", "docker compose up -d exporter"},
		{"sh", "docker compose up --detached"},
		{"sh", "docker compose start grafana"},
		{"sh", "docker compose -f deploy/compose.yml up -d"},
		{"sh", "docker compose run --rm spotify-exporter login --acount anna"},
		{"sh", "docker compose exec spotify-exporter spotify-exporter chekc"},
		{"sh", "docker compose exec grafana cat /run/spotify/grafana-password"},
		{"sh", "export INFLUX_TOKN=x"},
		{"sh", "GRAFANA_PROT=3000 docker compose up -d"},
		{"sh", "cat > .env <<END\nSPOTIFY_CLIENT=x\nEND"},
		{"sh", "echo 'GRAFANA_PROT=3000' >> .env"},
		{"sh", "cp .env.sample .env"},
		{"sh", "sudo install -m 644 deploy/systemd/unit /etc/systemd/system/"},
		{"sh", "git clone https://example.org/spotify-exporter"},
		{"sh", "kubectl exec deploy/exporter -- spotify-exporter check"},
		{"sh", "kubectl exec deploy/spotify-exporter -- spotify-exporter chekc"},
		{"sh", "kubectl apply -k deploy/k8s"},
		{"sh", "deploy/do-something"},
	} {
		if err := checker.block(wrong.language, wrong.text); err == nil {
			t.Errorf("nothing is wrong with %q in a block of %q", wrong.text, wrong.language)
		}
	}
	for _, wrong := range []string{
		"replay --rebuil", "import --wait=perhaps", "INFLUX_TOKN", "GRAFANA_PORT_=1", "spotify_up_total", "--acount",
		"deploy/prometheus/alerts.yml", "make tests", "spotify-exporter demo --speed fast", "go install x",
	} {
		if err := checker.span(wrong); err == nil {
			t.Errorf("nothing is wrong with `%s`", wrong)
		}
	}
}

// docsChecker knows what commands on the pages may name.
type docsChecker struct {
	model     *kong.Application
	variables []string // of the environment, of .env, and of Grafana's for the provisioning
	makefile  string
	metrics   string
	services  map[string]bool // of the stack: whether it is this program
	programs  map[string]func(args []string) error
}

func newDocsChecker(t *testing.T) *docsChecker {
	t.Helper()
	parser, err := kong.New(&commands{})
	if err != nil {
		t.Fatal(err)
	}
	c := &docsChecker{
		model:    parser.Model,
		makefile: readText(t, filepath.Join(root, "Makefile")),
		metrics:  readText(t, filepath.Join(root, "exporter/prom/testdata/metrics.txt")),
		services: map[string]bool{},
	}
	for _, settings := range []reflect.Type{reflect.TypeFor[environment](), reflect.TypeFor[stackEnvironment]()} {
		for field := range settings.Fields() {
			c.variables = append(c.variables, field.Tag.Get("envconfig"))
		}
	}
	sources := readText(t, filepath.Join(root, "grafana/provisioning/datasources/spotify.yml"))
	for _, match := range regexp.MustCompile(`\$\{?([A-Z_]+)`).FindAllStringSubmatch(sources, -1) {
		c.variables = append(c.variables, match[1])
	}
	for name, service := range loadCompose(t, "docker-compose.yml").Services {
		c.services[name] = service.Build != nil
	}
	address := publicAddress(t)
	anything := func([]string) error { return nil }
	c.programs = map[string]func([]string) error{
		"spotify-exporter": c.ours,
		"go":               c.goCommand,
		"make":             c.make,
		"docker":           c.docker,
		"kubectl":          c.kubectl,
		"cp":               c.sources,
		"install":          c.sources,
		"sudo":             c.call,
		"sh": func(args []string) error {
			if len(args) != 2 || args[0] != "-ac" {
				return errors.New("sh: -ac SCRIPT is what is known")
			}
			return c.shell(args[1])
		},
		".": func(args []string) error {
			if !slices.Equal(args, []string{"/etc/spotify-exporter/environment"}) {
				return errors.New("this file is not the service's")
			}
			return nil
		},
		"git": func(args []string) error {
			if !slices.Equal(args, []string{"pull"}) && !slices.Equal(args, []string{"clone", address}) {
				return fmt.Errorf("git %q", args)
			}
			return nil
		},
		"cd": func(args []string) error {
			if len(args) != 1 || args[0] != path.Base(address) {
				return fmt.Errorf("cd %q", args)
			}
			return nil
		},
		".ci/run":          func([]string) error { return exists(".ci/run") },
		"cat":              anything,
		"echo":             anything,
		"jq":               anything,
		"date":             anything,
		"nano":             anything,
		"systemctl":        anything,
		"systemd-sysusers": anything,
		"systemd-analyze":  anything,
		"curl":             anything,
	}
	return c
}

// block checks a block of code with its language.
func (c *docsChecker) block(language, code string) error {
	switch language {
	case "sh":
		return c.shell(code)
	case "yaml":
		var content any
		return yaml.Unmarshal([]byte(code), &content)
	case "text":
		for line := range strings.Lines(code) {
			if fields := strings.Fields(line); len(fields) > 0 && c.programs[fields[0]] != nil {
				return fmt.Errorf("%q is a command: make the block one of sh", line)
			}
		}
		return nil
	}
	return fmt.Errorf("language %q: sh, yaml and text are known", language)
}

var (
	variableName = regexp.MustCompile(`^[A-Z]+(?:_[A-Z0-9]*)+$`)
	metricName   = regexp.MustCompile(`^spotify_[a-z0-9_]+$`)
	placeholder  = regexp.MustCompile(`^[A-Z]+$`)
)

// span checks code within a line: a command, or the name of something.
func (c *docsChecker) span(code string) error {
	words := strings.Fields(code)
	if len(words) == 0 {
		return nil
	}
	name, _, _ := strings.Cut(words[0], "=")
	top, _, folder := strings.Cut(words[0], "/")
	if top == "" || top == "." { // not of the repository
		folder = false
	}
	switch err := exists(top); {
	case words[len(words)-1] == "…": // the rest is up to the reader
		return nil
	case c.programs[words[0]] != nil && (len(words) > 1 || words[0] == "spotify-exporter"):
		return c.mention(code)
	case len(words) > 1 && slices.ContainsFunc(c.model.Children, func(n *kong.Node) bool { return n.Name == words[0] }):
		return c.mention("spotify-exporter " + code)
	case variableName.MatchString(name):
		return c.variable(name)
	case metricName.MatchString(code):
		if !strings.Contains(c.metrics, "# TYPE "+code+" ") && !strings.Contains(code, "spotify_exporter_") {
			return errors.New("there is no such metric")
		}
	case strings.HasPrefix(words[0], "--"):
		return c.flag(strings.TrimPrefix(name, "--"))
	case len(words) == 1 && folder && err == nil:
		return exists(code)
	}
	return nil
}

// mention checks a command within a line, which may leave out what it works on.
func (c *docsChecker) mention(code string) error {
	err := c.shell(code)
	if err != nil && c.shell(code+" x") == nil {
		return nil
	}
	return err
}

// shell checks every command of a script, however it is joined with others.
func (c *docsChecker) shell(script string) error {
	file, err := syntax.NewParser().Parse(strings.NewReader(script), "")
	if err != nil {
		return err
	}
	var errs []error
	syntax.Walk(file, func(node syntax.Node) bool {
		switch node := node.(type) {
		case *syntax.Assign:
			errs = append(errs, c.variable(node.Name.Value))
		case *syntax.Stmt:
			errs = append(errs, c.settings(node))
		case *syntax.CallExpr:
			var args []string
			for _, word := range node.Args {
				args = append(args, literal(word))
			}
			if err := c.call(args); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", strings.Join(args, " "), err))
			}
		}
		return true
	})
	return errors.Join(errs...)
}

// literal returns a word as a command gets it; what the shell puts in is an x.
func literal(word *syntax.Word) string {
	var b strings.Builder
	var parts func([]syntax.WordPart)
	parts = func(all []syntax.WordPart) {
		for _, part := range all {
			switch part := part.(type) {
			case *syntax.Lit:
				b.WriteString(part.Value)
			case *syntax.SglQuoted:
				b.WriteString(part.Value)
			case *syntax.DblQuoted:
				parts(part.Parts)
			default:
				b.WriteByte('x')
			}
		}
	}
	parts(word.Parts)
	return b.String()
}

// settings checks the variables that a statement writes into .env.
func (c *docsChecker) settings(statement *syntax.Stmt) error {
	into := func(r *syntax.Redirect) bool {
		return r.Word != nil && literal(r.Word) == ".env" && r.Op != syntax.RdrIn
	}
	if !slices.ContainsFunc(statement.Redirs, into) {
		return nil
	}
	var lines string
	for _, redirect := range statement.Redirs {
		if redirect.Hdoc != nil {
			lines = literal(redirect.Hdoc)
		}
	}
	if call, ok := statement.Cmd.(*syntax.CallExpr); ok && literal(call.Args[0]) == "echo" {
		lines = literal(call.Args[1])
	}
	values, err := dotenv.ParseWithLookup(strings.NewReader(lines), nil)
	if err != nil || len(values) == 0 {
		return fmt.Errorf("%q is no line for .env (%v)", lines, err)
	}
	var errs []error
	for name := range values {
		errs = append(errs, c.variable(name))
	}
	return errors.Join(errs...)
}

func (c *docsChecker) variable(name string) error {
	if slices.Contains(c.variables, name) || strings.Contains(c.makefile, name+"=") {
		return nil
	}
	if strings.HasSuffix(name, "_") && slices.ContainsFunc(c.variables, func(v string) bool { return strings.HasPrefix(v, name) }) {
		return nil // a family, such as INFLUX_
	}
	return fmt.Errorf("there is no variable %s", name)
}

func (c *docsChecker) flag(name string) error {
	for _, command := range append(slices.Clone(c.model.Children), c.model.Node) { // the last one has the flags of all
		for _, flag := range command.Flags {
			if flag.Name == name {
				return nil
			}
		}
	}
	return fmt.Errorf("no command has the flag --%s", name)
}

func exists(name string) error {
	_, err := os.Stat(filepath.Join(root, name))
	return err
}

// call checks one command.
func (c *docsChecker) call(args []string) error {
	if len(args) == 0 {
		return nil
	}
	check := c.programs[args[0]]
	if check == nil {
		return fmt.Errorf("%s is no command that is known here", args[0])
	}
	return check(args[1:])
}

// ours checks the command line of this program. A placeholder such as FILE stands
// for whatever its flag takes.
func (c *docsChecker) ours(args []string) error {
	err := parseOurs(args)
	if err == nil || !slices.ContainsFunc(args, placeholder.MatchString) {
		return err
	}
	given := slices.Clone(args)
	for i, arg := range given {
		if placeholder.MatchString(arg) {
			given[i] = "1"
		}
	}
	return parseOurs(given)
}

func parseOurs(args []string) error {
	helped := false
	parser, err := kong.New(&commands{}, kong.Exit(func(int) { helped = true }), kong.Writers(io.Discard, io.Discard))
	if err != nil {
		return err
	}
	if _, err = parser.Parse(args); helped {
		return nil
	}
	return err
}

func (c *docsChecker) make(args []string) error {
	for _, arg := range args {
		if name, _, isVariable := strings.Cut(arg, "="); isVariable {
			if !strings.Contains(c.makefile, " "+name+"=") {
				return fmt.Errorf("the Makefile says nothing of %s", name)
			}
		} else if !strings.Contains(c.makefile, "\n"+arg+": ") {
			return fmt.Errorf("the Makefile has no target %s", arg)
		}
	}
	return nil
}

func (c *docsChecker) goCommand(args []string) error {
	if len(args) < 2 || !slices.Contains([]string{"run", "test", "generate"}, args[0]) {
		return errors.New("go run, go test and go generate are known")
	}
	if args[0] == "run" {
		if args[1] != "./cmd/spotify-exporter" {
			return fmt.Errorf("go run %s", args[1])
		}
		return c.ours(args[2:])
	}
	folder := args[1]
	if err := exists(folder); err != nil {
		return err
	}
	for i := 2; i < len(args); i++ {
		switch args[i] {
		case "-run":
			i++
			for name := range strings.SplitSeq(args[i], "|") {
				if err := c.test(folder, name); err != nil {
					return err
				}
			}
		case "-update":
		default:
			return fmt.Errorf("go %s: %s is not known", args[0], args[i])
		}
	}
	return nil
}

// test looks for a test.
func (c *docsChecker) test(folder, name string) error {
	files, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
	if err != nil {
		return err
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if strings.Contains(string(content), "\nfunc "+name+"(") {
			return nil
		}
	}
	return fmt.Errorf("%s has no test %s", folder, name)
}

// sources checks what a command copies: all but the last argument.
func (c *docsChecker) sources(args []string) error {
	var files []string
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "-D":
		case "-m":
			i++
		default:
			files = append(files, args[i])
		}
	}
	if len(files) < 2 {
		return errors.New("needs a source and a target")
	}
	for _, file := range files[:len(files)-1] {
		if strings.HasPrefix(file, "bin/") { // made by make build
			continue
		}
		if err := exists(file); err != nil {
			return err
		}
	}
	return nil
}

// options takes the options from the front of args: those that take a value, and
// those that do not.
func options(args []string, bare string, valued ...string) (rest []string, err error) {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-" {
		switch {
		case slices.Contains(strings.Fields(bare), args[0]):
			args = args[1:]
		case slices.Contains(valued, args[0]) && len(args) > 1:
			args = args[2:]
		default:
			return nil, fmt.Errorf("option %s is not known here", args[0])
		}
	}
	return args, nil
}

func (c *docsChecker) docker(args []string) error {
	switch {
	case len(args) == 4 && args[0] == "build" && args[1] == "-t" && args[3] == ".":
		return exists("Dockerfile")
	case len(args) == 2 && args[0] == "push" && strings.HasPrefix(args[1], "registry.example.org/"):
		return nil
	case len(args) < 2 || args[0] != "compose":
		return errors.New("docker build, push and compose are known")
	}
	args = args[1:]
	if i := slices.Index(args, "-f"); i >= 0 && i+1 < len(args) && i < 4 {
		if err := exists(args[i+1]); err != nil {
			return err
		}
	}
	args, err := options(args, "", "-f", "--project-directory", "--profile")
	if err != nil || len(args) == 0 {
		return errors.Join(err, errors.New("docker compose has no command"))
	}
	bare, ok := map[string]string{
		"up": "-d --build", "run": "--rm -T", "exec": "-T", "logs": "-f", "ps": "", "down": "", "restart": "", "stop": "", "config": "--quiet",
	}[args[0]]
	if !ok {
		return fmt.Errorf("docker compose %s is not known here", args[0])
	}
	rest, err := options(args[1:], bare, "-v")
	if err != nil {
		return err
	}
	services := rest
	if args[0] == "run" || args[0] == "exec" {
		if len(rest) < 1 {
			return errors.New("no service")
		}
		services = rest[:1]
	}
	for _, service := range services {
		if _, ok := c.services[service]; !ok {
			return fmt.Errorf("the stack has no service %s", service)
		}
	}
	switch args[0] {
	case "run":
		if !c.services[rest[0]] {
			return fmt.Errorf("%s is not this program", rest[0])
		}
		return c.ours(rest[1:])
	case "exec":
		if len(rest) == 3 && rest[1] == "cat" {
			if folder, file := path.Split(rest[2]); folder != "/run/spotify/" || file != grafanaPasswordFile {
				return fmt.Errorf("setup leaves no password in %s", rest[2])
			}
			return nil
		}
		if len(rest) == 1 { // the rest of the line is another command
			return nil
		}
		return c.call(rest[1:])
	}
	return nil
}

func (c *docsChecker) kubectl(args []string) error {
	args, err := options(args, "", "-n")
	if err != nil || len(args) < 2 {
		return errors.Join(err, errors.New("kubectl has no command"))
	}
	switch args[0] {
	case "exec":
		rest, err := options(args[1:], "-i -it")
		if err != nil || len(rest) < 3 || rest[0] != "deploy/spotify-exporter" || rest[1] != "--" {
			return errors.Join(err, fmt.Errorf("kubectl exec %q", rest))
		}
		return c.call(rest[2:])
	case "apply":
		if file := args[len(args)-1]; file != "my-cluster" { // that the page tells to make
			return exists(file)
		}
		return nil
	case "create":
		if len(args) == 3 && args[1] == "namespace" {
			return nil
		}
	}
	return fmt.Errorf("kubectl %q", args)
}
