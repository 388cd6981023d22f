package grafana

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Scope is what Grafana's page knows of a board when it expands a target before
// the target is sent to /api/ds/query: the values of the variables, the time
// range and the time zone.
//
// Of everything that begins with "$", the page expands variables and $__from,
// $__to and $__timezone. The server behind /api/ds/query expands v.timeRangeStart
// and the like in Flux, and $__interval, $__range, $__rate_interval: Expand leaves
// those alone, and package grafanatest has them.
type Scope struct {
	Variables map[string]Variable // by name, without "$"
	Range     Range
}

// Variable is the selected value of a template variable.
type Variable struct {
	Values []string // what is selected: one value, or several if Multi
	Text   string   // how the page shows it; "": the values, joined by " + "
	Multi  bool     // the variable allows several values, or "All": PromQL escapes these for a regular expression
	// AllValue is the variable's "Custom all value" when "All" is selected. It is
	// put in as it is, whatever the format. "": Values are meant.
	AllValue string
}

// reference is every way to write a variable that Grafana's page knows: $name,
// [[name:format]] and ${name.path:format}.
var reference = regexp.MustCompile(`\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.([^:^}]+))?(?::([^}]+))?\}`)

// Expand expands a text as the page does: a panel's title, a legend, or Flux.
// Several values without a format become {a,b}. What is no variable of the board
// stays as it is, as Flux has a ${…} of its own. An error names a format that
// Grafana may know and this package does not.
//
// Known formats are regex, raw, json, csv, pipe, doublequote, singlequote and
// text, and for $__from and $__to date, date:iso, date:seconds and date:PATTERN,
// in the time zone of the range.
func (s *Scope) Expand(text string) (string, error) {
	return s.expand(text, func(v Variable) string {
		if len(v.Values) == 1 {
			return v.Values[0]
		}
		return "{" + strings.Join(v.Values, ",") + "}"
	})
}

// ExpandPromQL expands a PromQL expression as the page does: like Expand, but a
// value without a format is escaped for the quotes it stands in, and the values of
// a Multi variable become a regular expression.
func (s *Scope) ExpandPromQL(expr string) (string, error) {
	return s.expand(expr, func(v Variable) string {
		if !v.Multi {
			return quoted.Replace(strings.Join(v.Values, ","))
		}
		escaped := make([]string, len(v.Values))
		for i, value := range v.Values {
			escaped[i] = quoted.Replace(promRegexp.ReplaceAllString(value, `\$0`))
		}
		if len(escaped) == 1 {
			return escaped[0]
		}
		return "(" + strings.Join(escaped, "|") + ")"
	})
}

var (
	// quoted escapes a text for a double-quoted string.
	quoted = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	// promRegexp are the characters that mean something in PromQL's regular
	// expressions, anyRegexp those in JavaScript's, with its slash.
	promRegexp = regexp.MustCompile(`[\\$^*{}\[\]+?.()|]`)
	anyRegexp  = regexp.MustCompile(`[\\^$*+?.()|\[\]{}/]`)
)

// ExpandTarget expands one target of a panel, or the query of a variable, in
// place: the uid of its data source, "query" of an InfluxDB target, "expr",
// "legendFormat" and "interval" of a Prometheus target.
func (s *Scope) ExpandTarget(target map[string]any) error {
	if source, ok := target["datasource"].(map[string]any); ok {
		if err := s.expandKey(source, "uid", s.Expand); err != nil {
			return err
		}
	}
	for key, expand := range map[string]func(string) (string, error){
		"query": s.Expand, "expr": s.ExpandPromQL, "legendFormat": s.Expand, "interval": s.Expand,
	} {
		if err := s.expandKey(target, key, expand); err != nil {
			return err
		}
	}
	return nil
}

// expandKey expands a string of an object, if it is one.
func (s *Scope) expandKey(object map[string]any, key string, expand func(string) (string, error)) error {
	text, ok := object[key].(string)
	if !ok {
		return nil
	}
	expanded, err := expand(text)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	object[key] = expanded
	return nil
}

// expand replaces every reference; plain writes a value that has no format.
func (s *Scope) expand(text string, plain func(Variable) string) (string, error) {
	var failed error
	expanded := reference.ReplaceAllStringFunc(text, func(found string) string {
		part := reference.FindStringSubmatch(found)
		name, path, format := part[1]+part[2]+part[4], part[5], part[3]+part[6]
		value, err := s.value(found, name, path, format, plain)
		if err != nil && failed == nil {
			failed = fmt.Errorf("%s: %w", found, err)
		}
		return value
	})
	return expanded, failed
}

func (s *Scope) value(found, name, path, format string, plain func(Variable) string) (string, error) {
	switch name {
	case "__timezone":
		return s.Range.Location.String(), nil
	case "__from":
		return s.Range.format(s.Range.From, format)
	case "__to":
		return s.Range.format(s.Range.To, format)
	}
	v, ok := s.Variables[name]
	switch {
	case !ok:
		return found, nil
	case path == "text":
		format = "text"
	case path != "" && path != "value":
		return "", fmt.Errorf("variables have no .%s here; there are .text and .value", path)
	}
	switch {
	case format == "text" && v.Text != "":
		return v.Text, nil
	case format == "text":
		return strings.Join(v.Values, " + "), nil
	case v.AllValue != "":
		return v.AllValue, nil
	case format == "":
		return plain(v), nil
	}
	return v.format(format)
}

// format writes the values in one of Grafana's formats.
func (v Variable) format(format string) (string, error) {
	each := func(separator string, write func(string) string) string {
		written := make([]string, len(v.Values))
		for i, value := range v.Values {
			written[i] = write(value)
		}
		return strings.Join(written, separator)
	}
	asIs := func(value string) string { return value }
	switch format {
	case "regex":
		escaped := each("|", func(value string) string { return anyRegexp.ReplaceAllString(value, `\$0`) })
		if len(v.Values) == 1 {
			return escaped, nil
		}
		return "(" + escaped + ")", nil
	case "raw", "csv":
		return each(",", asIs), nil
	case "pipe":
		return each("|", asIs), nil
	case "json":
		if !v.Multi && len(v.Values) == 1 {
			return v.Values[0], nil // a single value is not quoted (formatRegistry.ts)
		}
		encoded, err := json.Marshal(v.Values)
		return string(encoded), err
	case "doublequote":
		return each(",", func(value string) string { return `"` + strings.ReplaceAll(value, `"`, `\"`) + `"` }), nil
	case "singlequote":
		return each(",", func(value string) string { return `'` + strings.ReplaceAll(value, `'`, `\'`) + `'` }), nil
	}
	return "", fmt.Errorf("format %q is not supported; use regex, raw, json, csv, pipe, doublequote, singlequote or text", format)
}

// moment is moment.js' pattern language, as far as it is here, in Go's.
var moment = strings.NewReplacer(
	"YYYY", "2006", "YY", "06", "MMMM", "January", "MMM", "Jan", "MM", "01", "M", "1",
	"DD", "02", "D", "2", "dddd", "Monday", "ddd", "Mon", "HH", "15", "mm", "04", "ss", "05")

// format writes one end of the range: milliseconds since 1970 without a format.
func (r Range) format(t time.Time, format string) (string, error) {
	switch kind, pattern, _ := strings.Cut(format, ":"); {
	case format == "", format == "date:ms":
		return strconv.FormatInt(t.UnixMilli(), 10), nil
	case format == "date", format == "date:iso":
		return iso(t), nil
	case format == "date:seconds":
		return strconv.FormatInt(t.Unix(), 10), nil
	case kind == "date":
		return t.In(r.Location).Format(moment.Replace(pattern)), nil
	}
	return "", fmt.Errorf("format %q is not supported; use date, date:iso, date:seconds or date:YYYY-MM-DD", format)
}

// iso writes a time as JavaScript's toISOString does.
func iso(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
