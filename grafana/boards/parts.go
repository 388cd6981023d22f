package main

import "strings"

// Parts that several boards have.

// hours is a unit that stays hours: Grafana's own h becomes days and weeks.
const hours = "suffix:h"

var openInSpotify = link{Title: "Open in Spotify", URL: "https://open.spotify.com/${__data.fields.kind}/${__data.fields.track_id}", TargetBlank: true}

// openTrack is openInSpotify where there is nothing but music.
var openTrack = link{Title: "Open in Spotify", URL: "https://open.spotify.com/track/${__data.fields.track_id}", TargetBlank: true}

// toArtist leads to the board of the artist whose name is in a field.
func toArtist(field string) link {
	return link{Title: "All about ${__value.text}", URL: "/d/spotify-artist?${__url_time_range}&${account:queryparam}&var-artist=${__data.fields." + field + ":percentencode}"}
}

// byVariable chooses what tops are ranked by.
func byVariable() variable {
	return customVariable("by", "Rank by", "What the tops are ranked by.", "hours", "hours", "plays", "plays")
}

// topTable is a table of a top: rank, the columns names, and bars of hours and plays.
// Among names image_url is the cover, where one is known, and track needs
// track_id to be linked.
func topTable(title, description string, w, h int, expression string, names ...string) panel {
	columns := append(append([]string{"rank"}, names...), "hours", "plays")
	p := table(title, description, w, h).cells("md").unit("none", 0).
		field("rank", name("#"), width(36)).
		field("hours", name("Hours"), inUnit(hours), decimals(1), property{"min", 0}, fixed(listened), width(100), cell(bar)).
		field("plays", name("Plays"), property{"min", 0}, fixed(played), width(90), cell(bar))
	for _, column := range names {
		switch column {
		case "image_url":
			p = p.field(column, cover()...)
		case "artist":
			p = p.field(column, name("Artist"), links(toArtist(column)))
		case "track":
			p = p.field(column, name("Song"), links(openTrack)).field("track_id", hide()...)
			columns = append(columns, "track_id")
		case "album":
			p = p.field(column, name("Album"))
		}
	}
	return p.flux(expression).columns(columns...)
}

// bar is a cell with a bar and a number in the color of text.
var bar = cellType{Type: "gauge", Mode: "basic", ValueDisplayMode: "text"}

// cover shows the picture at the URL in a field, and nothing where there is none.
func cover() []property {
	return []property{name(" "), cell(cellType{Type: "image"}), width(46)}
}

// line draws one series of bars as a line.
func line(c string) []property {
	return []property{fixed(c), custom("drawStyle", "line"), custom("lineWidth", 2), custom("fillOpacity", 0)}
}

// clockPanel shows the hours of a day.
func clockPanel(expression string, w, h int) panel {
	return barchart("Hours of the day", "Hours listened in each hour of the day in ${zone}. A play counts for the hour in which it ended.", "hour", w, h).
		flux(expression).columns("hour", "hours").unit(hours, 1)
}

// weekPanel shows the hours of the days of a week.
func weekPanel(expression string, w, h int) panel {
	return heatmap("Hours of the week", "Hours listened in each hour of each weekday in ${zone}. A play counts for the hour in which it ended.", "hours", hours, 1, w, h).
		flux(expression)
}

// date is a unit for times of which the day is enough.
const date = "time:YYYY-MM-DD"

// anyOf is a filter by the names of fields, in the form that InfluxDB itself can filter by.
func anyOf(fields ...string) string {
	return `(r) => r._field == "` + strings.Join(fields, `" or r._field == "`) + `"`
}
