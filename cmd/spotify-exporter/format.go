package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/rivo/uniseg"

	"github.com/spotify-exporter/spotify-exporter/collector/clean"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// playRecord is a play as scripts may rely on it. The order of the fields is that
// of the columns; what is not known is null, in CSV empty.
type playRecord struct {
	ID             int64    `json:"id"`
	Account        string   `json:"account"`
	EndedAt        string   `json:"ended_at"` // RFC 3339 in UTC, with milliseconds
	StartedAt      *string  `json:"started_at"`
	MSPlayed       int64    `json:"ms_played"`
	MSPlayedSource string   `json:"ms_played_source"` // measured, reported or estimated
	MSPlayedError  int64    `json:"ms_played_error"`
	Kind           string   `json:"kind"`
	URI            *string  `json:"uri"`
	Name           *string  `json:"name"`
	Artists        []string `json:"artists"`
	Album          *string  `json:"album"`
	DurationMS     *int64   `json:"duration_ms"`
	ISRC           *string  `json:"isrc"`
	Skipped        *bool    `json:"skipped"`
	Shuffle        *bool    `json:"shuffle"`
	Offline        *bool    `json:"offline"`
	Incognito      *bool    `json:"incognito"`
	Device         *string  `json:"device"`
	Platform       *string  `json:"platform"`
	Country        *string  `json:"country"`
	ReasonStart    *string  `json:"reason_start"`
	ReasonEnd      *string  `json:"reason_end"`
	Witnesses      []string `json:"witnesses"`
	Import         *int64   `json:"import"`
}

const rfc3339Milli = "2006-01-02T15:04:05.000Z"

func newPlayRecord(play *journal.Play) playRecord {
	r := playRecord{
		ID:             play.ID,
		Account:        play.Account,
		EndedAt:        play.EndedAt.UTC().Format(rfc3339Milli),
		MSPlayed:       play.MSPlayed,
		MSPlayedSource: play.MSPlayedSource.String(),
		MSPlayedError:  play.MSPlayedError,
		Kind:           play.Item.Kind.String(),
		URI:            known(play.Item.URI),
		Name:           known(play.Item.Name),
		Artists:        artistNames(play.Item.Artists),
		Album:          known(play.Item.Album),
		DurationMS:     known(play.Item.DurationMS),
		ISRC:           known(play.Item.ISRC),
		Skipped:        play.Skipped,
		Shuffle:        play.Shuffle,
		Offline:        play.Offline,
		Incognito:      play.Incognito,
		Device:         known(play.Device),
		Platform:       known(play.Platform),
		Country:        known(play.Country),
		ReasonStart:    known(play.ReasonStart),
		ReasonEnd:      known(play.ReasonEnd),
		Import:         known(play.Batch),
	}
	if !play.StartedAt.IsZero() {
		r.StartedAt = new(play.StartedAt.UTC().Format(rfc3339Milli))
	}
	for _, witness := range play.Witnesses {
		r.Witnesses = append(r.Witnesses, witness.String())
	}
	return r
}

// known returns nil for a zero value.
func known[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func artistNames(artists []journal.Artist) []string {
	var names []string
	for _, artist := range artists {
		names = append(names, artist.Name)
	}
	return names
}

// newPlayWriter returns a func that writes one play after the other to w in a
// format; zone and widths are for the table. On a terminal no title can play tricks;
// elsewhere each is as it is.
func newPlayWriter(w *bufio.Writer, format string, zone func(account string) *time.Location, widths columns, terminal bool) (func(*journal.Play) error, error) {
	switch format {
	case "jsonl":
		var out io.Writer = w
		if terminal {
			out = escaper{w}
		}
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false) // titles stay as they are
		return func(play *journal.Play) error { return encoder.Encode(newPlayRecord(play)) }, nil
	case "csv":
		out := csv.NewWriter(w)
		var columns []string
		for field := range reflect.TypeFor[playRecord]().Fields() {
			columns = append(columns, field.Tag.Get("json"))
		}
		if err := errorOf(out, columns); err != nil {
			return nil, fmt.Errorf("print plays: %w", err)
		}
		return func(play *journal.Play) error {
			row := cells(newPlayRecord(play))
			for i := range row {
				if terminal {
					row[i] = clean.Line(row[i])
				}
			}
			return errorOf(out, row)
		}, nil
	default:
		return func(play *journal.Play) error {
			_, err := w.WriteString(tableRow(play, zone(play.Account), widths))
			return err
		}, nil
	}
}

// escaper writes in lines of JSON what would play tricks on a terminal as \u and a
// number, which means the same.
type escaper struct{ out *bufio.Writer }

func (e escaper) Write(p []byte) (int, error) {
	for _, r := range string(p) {
		if character := string(r); clean.Lines(character) == character {
			_, _ = e.out.WriteString(character) // Flush tells of an error
		} else {
			fmt.Fprintf(e.out, `\u%04x`, r)
		}
	}
	return len(p), nil
}

// errorOf writes a row and hands it on, so that what comes after is behind it.
func errorOf(out *csv.Writer, row []string) error {
	_ = out.Write(row) // tells nothing that Error does not
	out.Flush()
	return out.Error()
}

// cells are the fields of r as text, lists joined by "; ".
func cells(r playRecord) []string {
	var row []string
	for _, value := range reflect.ValueOf(r).Fields() {
		if value.Kind() == reflect.Pointer {
			if value.IsNil() {
				row = append(row, "")
				continue
			}
			value = value.Elem()
		}
		switch value := value.Interface().(type) {
		case []string:
			row = append(row, strings.Join(value, "; "))
		case string:
			row = append(row, value)
		case int64:
			row = append(row, strconv.FormatInt(value, 10))
		case bool:
			row = append(row, strconv.FormatBool(value))
		}
	}
	return row
}

// tableRow is a play as a line for people. Its columns have fixed widths: to make
// them fit, all plays would have to be held.
func tableRow(play *journal.Play, zone *time.Location, widths columns) string {
	var row string
	if widths.id {
		row = fmt.Sprintf("%6d  ", play.ID)
	}
	if widths.narrow {
		row += play.EndedAt.In(zone).Format("01-02 15:04") + "  "
	} else {
		row += play.EndedAt.In(zone).Format("2006-01-02 15:04") + fmt.Sprintf("%9s  ", clockTime(time.Duration(play.MSPlayed)*time.Millisecond))
	}
	row += fit(title(play.Item), widths.title)
	if widths.device > 0 {
		row += "  " + fit(clean.Line(play.Device), widths.device)
	}
	if widths.sources {
		var sources []string
		for _, witness := range play.Witnesses {
			sources = append(sources, strings.ReplaceAll(witness.String(), "_", " "))
		}
		row += "  " + strings.Join(sources, ", ")
	}
	return strings.TrimRight(row, " ") + "\n"
}

// columns are those of a line about a play that are there, or have a width.
type columns struct {
	id      bool
	narrow  bool // neither the year nor the time played
	title   int
	device  int // 0: left out
	sources bool
}

// tableHead names the columns.
func tableHead(widths columns) string {
	var head string
	if widths.id {
		head = "    ID  "
	}
	if widths.narrow {
		head += fit("ENDED", 11) + "  "
	} else {
		head += fit("ENDED", 16) + "   PLAYED  "
	}
	head += fit("TITLE", widths.title)
	if widths.device > 0 {
		head += "  " + fit("DEVICE", widths.device)
	}
	if widths.sources {
		head += "  SEEN BY"
	}
	return strings.TrimRight(head, " ") + "\n"
}

// columnsOf returns those with which lines fit the terminal, if out is one, beside
// something of a width.
func columnsOf(out io.Writer, beside int) columns {
	if width := terminalWidth(out); width > 0 {
		return columnsWithin(width - beside)
	}
	return columns{title: 60, device: 12, sources: true}
}

// columnsWithin returns those with which lines of plays that two have seen are no
// wider than width, as long as that is 25 or more.
func columnsWithin(width int) columns {
	const time, played, sources, device = 16, 9 + 2, 2 + len("playback, recently played"), 2 + 12
	c := columns{sources: true, title: width - time - played - sources}
	switch {
	case c.title >= 20+device:
		c.title, c.device = c.title-device, 12
	case c.title >= 16:
	case width >= time+played+20:
		c.sources, c.title = false, width-time-played
	default:
		c.sources, c.narrow, c.title = false, true, width-len("01-02 15:04  ")
	}
	c.title = min(max(c.title, 12), 60)
	return c
}

// title names an item to people: Title — Artist, Artist.
func title(item journal.Item) string {
	name := item.Name
	if name == "" {
		name = "(unknown)"
	}
	if names := artistNames(item.Artists); len(names) > 0 {
		name += symbol(" — ", " - ") + strings.Join(names, ", ")
	}
	return clean.Line(name)
}

// clockTime formats a duration as players do: 3:05, 1:02:03.
func clockTime(d time.Duration) string {
	seconds := int(d.Round(time.Second) / time.Second)
	if seconds < 3600 {
		return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
}

// fit cuts or fills s to a width on the screen, where emoji and CJK are two wide.
func fit(s string, width int) string {
	if w := uniseg.StringWidth(s); w <= width {
		return s + strings.Repeat(" ", width-w)
	}
	var b strings.Builder
	ellipsis := symbol("…", "...")
	left := width - uniseg.StringWidth(ellipsis)
	for graphemes := uniseg.NewGraphemes(s); graphemes.Next(); {
		w := graphemes.Width()
		if w > left {
			break
		}
		b.WriteString(graphemes.Str())
		left -= w
	}
	return b.String() + ellipsis + strings.Repeat(" ", max(0, left))
}
