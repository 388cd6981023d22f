package main

import (
	"slices"
	"strings"
)

// Parts that several boards have.

// hours is a unit that stays hours: Grafana's own h becomes days and weeks.
const hours = "suffix:h"

// openInSpotify takes from the field page what pageOf of flux/listening.flux says.
var openInSpotify = link{Title: "Open in Spotify", URL: "https://open.spotify.com/${__data.fields.page}/${__data.fields.track_id}", TargetBlank: true}

// openTrack is openInSpotify where there is nothing but music.
var openTrack = link{Title: "Open in Spotify", URL: "https://open.spotify.com/track/${__data.fields.track_id}", TargetBlank: true}

// toArtist leads to the board of the artist whose name is in a field.
func toArtist(field string) link {
	return link{Title: "All about ${__data.fields." + field + "}", URL: "/d/spotify-artist?${__url_time_range}&${account:queryparam}&var-artist=${__data.fields." + field + ":percentencode}"}
}

// toListening leads to the board Listening of the account in the field account.
var toListening = link{Title: "What ${__value.text} has heard", URL: "/d/spotify-listening?${__url_time_range}&var-account=${__data.fields.account:percentencode}"}

// byVariable chooses what tops are ranked by.
func byVariable() variable {
	return customVariable("by", "Rank by", "What the tops are ranked by.", "hours", "hours", "plays", "plays")
}

// topTable is a table of a top: the columns names, a bar of the hours, and the plays. Among
// names image_url is the cover, which stands in the place of the rank, and track needs
// track_id to be linked.
func topTable(title, description string, w, h int, expression string, names ...string) panel {
	columns := append(slices.Clone(names), "hours", "plays")
	if names[0] != "image_url" {
		columns = append([]string{"rank"}, columns...)
	}
	p := table(title, description, w, h).slim().cells("md").unit("locale", 0).
		field("rank", rank()...).
		field("hours", append([]property{name("Hours"), decimals(1), width(100)}, bar(listened)...)...).
		field("plays", name("Plays"), width(54))
	for _, column := range names {
		switch column {
		case "image_url":
			p = p.field(column, cover()...)
		case "artist":
			p = p.field(column, name("Artist"), wrap(), links(toArtist(column)))
		case "track":
			p = p.field(column, name("Song"), wrap(), links(openTrack)).field("track_id", hide()...)
			columns = append(columns, "track_id")
		case "album":
			p = p.field(column, name("Album"), wrap())
		}
	}
	return p.flux(expression).columns(columns...)
}

// rank is a column of ranks, which stands first: Grafana's table cuts off the upper and lower
// half of long names beside a first column that is aligned to the right.
func rank() []property { return []property{name("#"), width(narrowest), custom("align", "left")} }

// bar is a cell with a bar and a number in the color of text. The longest bar is that of the
// greatest number in the field, and not in any field of the table.
func bar(c string) []property {
	return []property{{"min", 0}, {"fieldMinMax", true}, fixed(c), cell(cellType{Type: "gauge", Mode: "basic", ValueDisplayMode: "text"})}
}

// note is a picture for what has none.
const note = "data:image/svg+xml," +
	"%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' height='32' rx='3' fill='%238e8e8e' fill-opacity='.15'/%3E" +
	"%3Cpath d='M13 22V10l9-2v11' fill='none' stroke='%238e8e8e' stroke-width='2'/%3E" +
	"%3Cellipse cx='10.5' cy='22' rx='3' ry='2.5' fill='%238e8e8e'/%3E%3Cellipse cx='19.5' cy='19.5' rx='3' ry='2.5' fill='%238e8e8e'/%3E%3C/svg%3E"

// cover shows the picture at the URL in a field, and a note where there is none.
func cover() []property {
	var mappings []mapping
	for _, nothing := range []string{"empty", "null"} {
		mappings = append(mappings, mapping{"special", map[string]any{"match": nothing, "result": mapped{Text: note}}})
	}
	return []property{name(" "), cell(cellType{Type: "image"}), width(narrowest), {"mappings", mappings}}
}

// line draws one series of bars as a line.
func line(c string) []property {
	return []property{fixed(c), custom("drawStyle", "line"), custom("lineWidth", 2), custom("fillOpacity", 0)}
}

// clockPanel shows the hours of a day.
func clockPanel(expression string, w, h int) panel {
	return barchart("Hours of the day", "Hours listened in each hour of the day in ${zone}. A play counts for the hour in which it ended.", "hour", w, h).
		flux(expression).columns("hour", "hours").autoUnit(hours)
}

// weekPanel shows the hours of the days of a week.
func weekPanel(expression string, w, h int) panel {
	return heatmap("Hours of the week", "Hours listened in each hour of each weekday in ${zone}. A play counts for the hour in which it ended.", "hours", hours, 1, w, h).
		flux(expression)
}

// calendarPanel shows the hours of each day, however many years there are. (A status history
// would draw no more than a week for every two pixels.)
func calendarPanel(expression string, w, h int) panel {
	return heatmap("Calendar", "A square for each day, a column for each week. Days break at midnight in ${zone}.", "hours", hours, 1, w, h).
		flux(expression)
}

// date is a unit for times of which the day is enough.
const date = "time:YYYY-MM-DD"

// minute is a unit for times that are looked at more closely.
const minute = "time:YYYY-MM-DD HH:mm"

// anyOf is a filter by the names of fields, in the form that InfluxDB itself can filter by.
func anyOf(fields ...string) string {
	return `(r) => r._field == "` + strings.Join(fields, `" or r._field == "`) + `"`
}
