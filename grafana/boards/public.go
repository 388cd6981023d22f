package main

import "strings"

// public is what strangers may see; its snapshot is published. It has no device, no
// place and no time of a single play, no links, and no pictures, since those would tell
// Spotify's servers who looks. Every panel is also held against the publisher's rules.
func public() board {
	account, zone := accountVariable(), zoneVariable()
	account.Hide = hidden
	b := newBoard("spotify-public", "Listening", "Music that was heard in the last 90 days. This is the board that is published: it shows no private sessions, no podcasts, and nothing of the last hours (SNAPSHOT_DELAY).",
		timeRange{"now-90d", "now"}, influxVariable(), bucketVariable(), account, zone, delayVariable())
	b.Title = "Public listening"
	b.Timepicker.Hidden = true
	b.Links = []boardLink{}
	b.add(
		stat("Music", "Hours, plays of 30 s and more, and how many songs they were of.", "lastNotNull", 12, 4).
			flux(`shownSongs() |> facts() |> rename(columns: {number: "songs"})`).columns("hours", "plays", "songs").unit("locale", 0).
			field("hours", inUnit(hours), fixed(listened)).
			field("plays", fixed(played)).
			field("songs", fixed(found)),
		stat("Artists", "How many different artists were heard.", "lastNotNull", 5, 4).
			flux(`shownArtists() |> facts() |> rename(columns: {number: "artists"}) |> keep(columns: ["artists"])`).unit("locale", 0).colored(other),
		stat("As of", "Until when this is true: plays of the last ${delay} are shown later.", "lastNotNull", 7, 4).
			flux(`asOf()`).words("Value").unit("string", 0).colored(before),
		bars("Hours per day", "Hours of music from midnight to midnight.", 24, 8).
			flux(`shownMS(start: midnight()) |> perDay() |> map(fn: (r) => ({_time: r._time, _value: float(v: r._value) / 3600000.0}))`).
			autoUnit(hours).colored(listened).named("hours").legend(noLegend),
		publicTop("Top artists", "By hours. Plays count for the first artist of a song.", 7, `shownArtists() |> top()`, "artist"),
		publicTop("Top songs", "By hours.", 9, `shownSongs() |> top()`, "track", "artist"),
		publicTop("Top albums", "By hours.", 8, `shownAlbums() |> top()`, "album", "artist"),
		clockPanel(`shownHours() |> clock()`, 8, 9).described("Hours of music in each hour of the day."),
		weekPanel(`shownHours() |> week()`, 8, 9).described("Hours of music in each hour of each weekday."),
		calendarPanel(`shownMS(start: midnight()) |> calendar()`, 8, 9).described("A square for each day, a column for each week: the more green, the more hours."),
	)
	return b
}

// publicTop is a table of a top without pictures and links.
func publicTop(title, description string, w int, expression string, names ...string) panel {
	columns := append(append([]string{"rank"}, names...), "hours", "plays")
	p := table(title, description, w, 17).slim().
		flux(expression+` |> withNames(fields: `+anyOf(append(names, "incognito", "kind")...)+`) |> keep(columns: ["`+strings.Join(columns, `", "`)+`"])`). // a snapshot has all columns, shown or not
		columns(columns...).unit("locale", 0).
		field("rank", rank()...).
		field("hours", append([]property{name("Hours"), decimals(1), width(100)}, bar(listened)...)...).
		field("plays", name("Plays"), width(54))
	for _, column := range names {
		p = p.field(column, name(map[string]string{"artist": "Artist", "track": "Song", "album": "Album"}[column]), wrap())
	}
	return p
}
