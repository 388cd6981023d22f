package grafana

import (
	_ "embed" // privacy.json
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// PrivacyRules are the columns that may be published, as JSON: "allowed" by panel
// type; "titles" are those of them that hold titles of music and names of artists,
// which may be any text; words of "never" are in no column's name, whatever
// "allowed" says.
//
//go:embed privacy.json
var PrivacyRules []byte

// Private is what only this installation knows and nobody else may.
type Private struct {
	Secrets  []string // tokens, keys and passwords
	Accounts []string // the listeners' ids at Spotify
	Devices  []string // names of the listeners' devices
}

// Violation is something that would have been published and must not be.
type Violation struct {
	Panel string // title; "": the board itself
	Field string // name of the column, or what else it is
	Why   string
}

// String is the violation in a sentence.
func (v Violation) String() string {
	where := "board"
	if v.Panel != "" {
		where = fmt.Sprintf("panel %q", v.Panel)
	}
	return fmt.Sprintf("%s, %s: %s", where, v.Field, v.Why)
}

// mask stands where a title had something in it that is never published.
const mask = "•••"

// gate finds what must not be published. It is made for one snapshot.
type gate struct {
	allowed map[string][]string
	titles  []string
	never   []string

	secrets    []string
	accounts   []string // folded
	devices    []string // likewise
	location   *time.Location
	violations []Violation
	masked     int // titles with something masked in them
}

func newGate(private Private, location *time.Location) (*gate, error) {
	var rules struct {
		Allowed map[string][]string `json:"allowed"`
		Titles  []string            `json:"titles"`
		Never   []string            `json:"never"`
	}
	if err := json.Unmarshal(PrivacyRules, &rules); err != nil {
		return nil, fmt.Errorf("read privacy.json: %w", err)
	}
	short := func(secret string) bool { return len(secret) < 6 } // none that anybody would call a secret
	return &gate{
		allowed: rules.Allowed, titles: rules.Titles, never: rules.Never,
		secrets:  slices.DeleteFunc(slices.Clone(private.Secrets), short),
		accounts: foldAll(private.Accounts),
		devices:  foldAll(private.Devices),
		location: location,
	}, nil
}

// foldAll folds names, without those of which nothing can be seen.
func foldAll(names []string) []string {
	var all []string
	for _, name := range names {
		if name := strings.TrimSpace(fold(name).text); name != "" {
			all = append(all, name)
		}
	}
	return all
}

// found notes a violation, once.
func (g *gate) found(panel, field, why string, args ...any) {
	v := Violation{panel, field, fmt.Sprintf(why, args...)}
	if !slices.Contains(g.violations, v) {
		g.violations = append(g.violations, v)
	}
}

// check looks through the panels of a board, whose titles it may mask, and then
// through the snapshot that was made of it.
func (g *gate) check(panels []*panel) {
	for _, p := range panels {
		for _, target := range p.targets {
			g.filters(p.name(), target)
		}
		for i := range p.frames {
			g.frame(p, &p.frames[i])
		}
	}
}

var (
	fluxToken = regexp.MustCompile(`"(?:\\.|[^"\\])*"|//[^\n]*`)
	// source is where a query reads, by name or id, here or on another server. Each
	// needs both filters.
	source = regexp.MustCompile(`\bfrom\s*\([^()]*\bbucket(?:ID)?\s*:`)
	// notIncognito leaves out plays of private sessions, however they are called there.
	notIncognito = regexp.MustCompile(`\bnot\s+r\.incognito\b|\br\.incognito\s*(?:!=\s*true|==\s*false)\b`)
	delayed      = regexp.MustCompile(`\$\{?` + delayVariable + `\b`)
)

// filters finds targets that do not leave out what visitors must not see: private
// sessions and the last hours. It reads the query as the board has it.
func (g *gate) filters(panel string, target map[string]any) {
	field := fmt.Sprintf("target %v", target["refId"])
	query, _ := target["query"].(string)
	if query == "" || target["expr"] != nil {
		g.found(panel, field, "is no Flux query: only those can leave out private sessions and the last hours")
		return
	}
	code := fluxToken.ReplaceAllStringFunc(query, func(found string) string {
		if strings.HasPrefix(found, "//") {
			return ""
		}
		return found
	})
	sources := len(source.FindAllString(code, -1))
	if len(notIncognito.FindAllString(code, -1)) < max(1, sources) {
		g.found(panel, field, "does not leave out private sessions: add |> filter(fn: (r) => r.incognito != true)")
	}
	if len(delayed.FindAllString(code, -1)) < max(1, sources) {
		g.found(panel, field, "does not leave out the last hours: end its range ${%s} earlier, a constant variable of the board", delayVariable)
	}
}

// frame checks one table of data. Titles that hold what is never published are
// masked; everything else of the kind is a violation.
func (g *gate) frame(p *panel, f *frame) {
	g.text(p.name(), "name of its data", f.Schema.Name)
	if len(f.Data.Values) > len(f.Schema.Fields) {
		g.found(p.name(), "data", "has a column without a name")
	}
	for i := range f.Schema.Fields {
		field := &f.Schema.Fields[i]
		where := fmt.Sprintf("field %q", field.Name)
		g.column(p, where, field.Name)
		for _, key := range []string{"displayName", "displayNameFromDS"} {
			text, _ := field.Config[key].(string)
			g.text(p.name(), where+", its display name", text)
		}
		for label, value := range field.Labels {
			g.column(p, fmt.Sprintf("label %q", label), label)
			if g.isTitle(label) {
				field.Labels[label] = g.masking(value)
			} else {
				g.text(p.name(), fmt.Sprintf("label %q", label), value)
			}
		}
		if i >= len(f.Data.Values) {
			continue
		}
		title := g.isTitle(field.Name)
		for row, value := range f.Data.Values[i] {
			switch value := value.(type) {
			case string:
				if title {
					f.Data.Values[i][row] = g.masking(value)
					continue
				}
				g.text(p.name(), where, value)
				if number := json.Number(value); digits.MatchString(value) {
					g.number(p.name(), where, "string", number)
				}
				if minute.MatchString(value) {
					g.found(p.name(), where, "tells the minute, which is finer than an hour (%q)", value)
				}
			case json.Number:
				g.number(p.name(), where, field.Type, value)
			case nil, bool:
			default:
				g.found(p.name(), where, "holds what is neither text nor number nor boolean")
			}
		}
	}
}

// column finds names of columns and labels that are not allowed in such a panel.
func (g *gate) column(p *panel, where, name string) {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) })
	for _, word := range words {
		if slices.Contains(g.never, word) {
			g.found(p.name(), where, "is never published: take the column out of the query, with keep() or drop()")
			return
		}
	}
	if !slices.Contains(g.allowed[p.kind], name) {
		g.found(p.name(), where, "is not among what a panel of type %s may publish (%s): rename or drop the column", p.kind, strings.Join(g.allowed[p.kind], ", "))
	}
}

func (g *gate) isTitle(column string) bool { return slices.Contains(g.titles, column) }

// minute is a time of day that is no whole hour.
var minute = regexp.MustCompile(`(?:^|[^0-9:])(?:[01]?[0-9]|2[0-3]):(?:0[1-9]|[1-5][0-9])(?:$|[^0-9])`)

// digits are a number that may be a time.
var digits = regexp.MustCompile(`^[0-9]{10,19}(?:\.[0-9]+)?$`)

// The values that can only be times: milliseconds of the years 2000 to 2099, and whatever is as large as microseconds of
// them. Seconds of these years may be something else as well.
const (
	firstTime   = 946_684_800_000
	lastTime    = 4_102_444_800_000
	firstSecond = 1_136_073_600 // of 2006, the year in which Spotify was founded
)

// number finds times that are finer than an hour, in columns of times and of
// numbers.
func (g *gate) number(panel, where, kind string, value json.Number) {
	ms := milliseconds(value)
	switch {
	case ms >= firstTime*1000:
		g.found(panel, where, "holds times in micro- or nanoseconds, which are finer than an hour")
	case isTime(kind, ms) && wallClock(time.UnixMilli(ms), g.location).UnixMilli()%time.Hour.Milliseconds() != 0:
		g.found(panel, where, "holds times that are finer than an hour: truncate them to the hour, or label windows by their start")
	case kind != "time" && ms >= firstSecond && ms < lastTime/1000:
		g.found(panel, where, "may hold times in seconds, which are finer than an hour: show times in columns of the type time, and long durations in hours")
	}
}

// noWord is from how many bytes on the id of an account cannot be a word by chance:
// newer ones are random, old ones are names like "anna".
const noWord = 12

var (
	localFile = regexp.MustCompile(`(?i)spotify:local:\S*|file:/\S*`)
	// mail is a mail address.
	mail = regexp.MustCompile(`[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,}`)
	// windowsFile and file are paths of Windows, and paths below a folder that is at the top of a file system.
	windowsFile = regexp.MustCompile(`(?i)\b[a-z]:\\[^\s"<>|]+|\\\\[\w.-]+\\[^\s"<>|]+`)
	file        = regexp.MustCompile(`(?i)(?:^|[^\w/:.~-])((?:~[\w.-]*|/(?:home|users|root|var|etc|usr|opt|srv|mnt|media|tmp|data|volumes|private|run|proc|sys|dev|library|applications|nas|storage|volume\d))(?:/[^\s/"'<>|()]+)+)`)
	// path is whatever may be a path: two names or more, each with a slash before it.
	path   = regexp.MustCompile(`(?:^|[^\w/:.~*?)\]-])(?:/[\p{L}\p{N}_.@%+~-]+){2,}`)
	person = regexp.MustCompile(`(?i)spotify:user:\S*|open\.spotify\.com/user/\S*`)
	// address is whatever may be an IP address.
	address = regexp.MustCompile(`[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*`)
)

// text finds what is private in a text that visitors read.
func (g *gate) text(panel, where, text string) {
	if kind, _, _ := g.denied(text); kind != "" {
		g.found(panel, where, "holds %s", kind)
		return
	}
	if path.MatchString(text) {
		g.found(panel, where, "holds a path")
	}
	if bad := badAddress(text); bad != "" {
		g.found(panel, where, "holds %s", bad)
	}
	folded := fold(text)
	for _, device := range g.devices {
		if start, _ := folded.find(device, true); start >= 0 {
			g.found(panel, where, "holds the name of a device")
		}
	}
}

// masking returns a title with everything masked that is never published.
func (g *gate) masking(title string) string {
	const most = 20 // in one title; of a stranger one nothing is left
	masked := title
	for range most {
		kind, start, end := g.denied(masked)
		if kind == "" {
			if masked != title {
				g.masked++
			}
			return masked
		}
		masked = masked[:start] + mask + masked[end:]
	}
	g.masked++
	return mask
}

// denied finds something in a text that is private wherever it stands, and says what
// it is; "": there is nothing.
func (g *gate) denied(text string) (kind string, start, end int) {
	for _, secret := range g.secrets {
		if at := strings.Index(text, secret); at >= 0 {
			return "a token or key", at, at + len(secret)
		}
	}
	if len(g.accounts) > 0 {
		folded := fold(text)
		for _, account := range g.accounts {
			if start, end := folded.find(account, len(account) < noWord); start >= 0 {
				return "the id of an account", start, end
			}
		}
	}
	if at := localFile.FindStringIndex(text); at != nil {
		return "the uri of a local file", at[0], at[1]
	}
	if at := person.FindStringIndex(text); at != nil {
		return "the uri of an account", at[0], at[1]
	}
	if at := mail.FindStringIndex(text); at != nil {
		return "a mail address", at[0], at[1]
	}
	if at := windowsFile.FindStringIndex(text); at != nil {
		return "the path of a file", at[0], at[1]
	}
	if at := file.FindStringSubmatchIndex(text); at != nil {
		return "the path of a file", at[2], at[3]
	}
	if start, end := ipAddress(text); end > 0 {
		return "an IP address", start, end
	}
	return "", 0, 0
}

// ipAddress finds an IP address in a text, also one of version 4 within a longer
// number. One of version 6 has to stand alone: Re::Act is none.
func ipAddress(text string) (start, end int) {
	for {
		at := address.FindStringIndex(text[start:])
		if at == nil {
			return 0, 0
		}
		start, end = start+at[0], start+at[1]
		for ; end > start; end-- {
			ip, err := netip.ParseAddr(text[start:end])
			if err == nil && !ip.IsUnspecified() && (ip.Is4() || standsAlone(text, start, end)) {
				return start, end
			}
		}
		start++
	}
}

// standsAlone tells whether no letter or digit goes on from a part of a text.
func standsAlone(text string, start, end int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:start])
	after, _ := utf8.DecodeRuneInString(text[end:])
	inWord := func(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }
	return !inWord(before) && !inWord(after)
}

// snapshot checks a snapshot as it would be sent, but for its frames.
func (g *gate) snapshot(dashboard map[string]any) { g.value("", "dashboard", dashboard) }

// visible are the keys of a dashboard below which texts are read by visitors. Other
// texts are settings, among which the id of an account or the name of a device can
// be by chance only: "auto".
var visible = []string{"title", "description", "content", "text", "label", "tags", "value", "options", "renamePattern", "renameByName"}

func (g *gate) value(panel, key string, value any) {
	switch value := value.(type) {
	case string:
		if slices.Contains(visible, key) {
			g.text(panel, key, value)
			return
		}
		settings := gate{secrets: g.secrets}
		if kind, _, _ := settings.denied(value); kind != "" {
			g.found(panel, key, "holds %s", kind)
		} else if bad := badAddress(value); bad != "" {
			g.found(panel, key, "holds %s", bad)
		}
	case []any:
		for _, element := range value {
			g.value(panel, key, element)
		}
	case map[string]any:
		if title, ok := value["title"].(string); ok && value["gridPos"] != nil {
			panel = title
		}
		for name, element := range value {
			g.value(panel, "key", name)
			if key == "renameByName" {
				name = key
			}
			g.value(panel, name, element)
		}
	}
}
