package main

import (
	"embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// fluxFiles hold definitions of functions, each from the first column of a line on and
// with its comment above. Panels say what they show as an expression over them.
//
//go:embed flux/*.flux
var fluxFiles embed.FS

// definition is a function of fluxFiles.
type definition struct {
	name string
	text string // with its comment, without a newline at its end
}

var (
	definitionStart = regexp.MustCompile(`(?m)^(\w+) =`)
	notCode         = regexp.MustCompile(`"(?:\\.|[^"\\])*"|//[^\n]*`)
	identifier      = regexp.MustCompile(`\.?\b[a-zA-Z]\w*\b:?`)
	packageUse      = regexp.MustCompile(`\b([a-z]\w*)\.`)
	windowUse       = regexp.MustCompile(`\b(?:aggregateWindow|window)\(|\bdate\.`)
)

// packages are those of Flux' standard library that definitions may use.
var packages = map[string]string{
	"array": "array", "date": "date", "math": "math", "strings": "strings", "timezone": "timezone", "join": "join",
}

// zoneOption makes days, weeks, months and hours those of the listener.
const zoneOption = `option location = timezone.location(name: "${zone}")`

// definitions reads fluxFiles, in the order of files and lines.
func definitions() []definition {
	files, err := fluxFiles.ReadDir("flux")
	if err != nil {
		panic(err)
	}
	var all []definition
	for _, file := range files {
		content, err := fluxFiles.ReadFile("flux/" + file.Name())
		if err != nil {
			panic(err)
		}
		for block := range strings.SplitSeq(strings.TrimSpace(string(content)), "\n\n") {
			if strings.HasPrefix(block, " ") { // a blank line within a definition
				all[len(all)-1].text += "\n\n" + block
			} else if match := definitionStart.FindStringSubmatch(block); match != nil {
				all = append(all, definition{name: match[1], text: block})
			}
		}
	}
	return all
}

// identifiers are the names in Flux code that may be those of definitions: no members
// of records (r.name, name: value), no strings, no comments.
func identifiers(code string) []string {
	found := map[string]bool{}
	for _, name := range identifier.FindAllString(notCode.ReplaceAllString(code, `""`), -1) {
		found[name] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// fluxQuery returns an expression as Grafana sends it: behind the imports it needs, the
// listener's time zone if it looks at days, and the definitions it uses, but no others,
// so that a reader of the JSON sees what a panel asks and nothing else.
func fluxQuery(expression string) string {
	all := definitions()
	var parts []string
	used := map[string]bool{}
	var use func(code string)
	use = func(code string) { // definitions stand before what uses them: Flux wants it
		names := identifiers(code)
		for _, d := range all {
			if slices.Contains(names, d.name) && !used[d.name] {
				used[d.name] = true
				use(d.text)
				parts = append(parts, d.text)
			}
		}
	}
	use(expression)
	body := strings.Join(append(parts, expression), "\n\n")
	if code := notCode.ReplaceAllString(body, `""`); windowUse.MatchString(code) {
		body = zoneOption + "\n\n" + body
	}
	imports := map[string]bool{}
	for _, match := range packageUse.FindAllStringSubmatch(notCode.ReplaceAllString(body, `""`), -1) {
		if path, ok := packages[match[1]]; ok {
			imports[fmt.Sprintf("import %q", path)] = true
		}
	}
	if len(imports) > 0 {
		body = strings.Join(slices.Sorted(maps.Keys(imports)), "\n") + "\n\n" + body
	}
	return body + "\n"
}
