package main

// allTime is the record of everything that was ever heard. It reads totals, which the
// exporter keeps, so that it opens as fast after twenty years as after one.
func allTime() board {
	b := newBoard("spotify-alltime", "All time", "Everything that was ever heard, whatever the time that is chosen.",
		timeRange{"now-1y", "now"},
		influxVariable(), bucketVariable(), accountVariable(), zoneVariable(), minimumVariable(), byVariable())
	b.Timepicker.Hidden = true // links to an artist's board take its time along
	b.add(
		stat("The record", "All hours and plays.", "lastNotNull", 8, 4).
			flux(`record()`).columns("hours", "plays").unit("locale", 0).
			field("hours", inUnit(hours), fixed(listened)).
			field("plays", fixed(played)),
		stat("Different", "How many artists, albums and songs were ever heard, whatever the length of their plays.", "lastNotNull", 8, 4).
			flux(`everDifferent()`).columns("artists", "albums", "songs").unit("locale", 0).colored(other),
		table("First listen", "The first play of all.", 8, 4).
			flux(`firstListen()`).columns("since", "song").unit("locale", 0).
			field("since", name("On"), width(110)).
			field("song", name("Song"), wrap()),

		totalsTable("Artists", "artist_total", "The artists who were heard most. Plays count for the first artist of a song.", "name"),
		totalsTable("Songs", "track_total", "The songs that were heard most. The link is to the uri that was heard most.", "name", "artist"),
		totalsTable("Albums", "album_total", "The albums that were heard most.", "name", "artist"),
		table("Most faithful", "The artists who were among a year's first fifty in most years, and their hours in those.", 12, 17).
			flux(`faithful()`).columns("artist", "years", "hours").unit("locale", 0).
			field("artist", name("Artist"), wrap(), links(toArtist("artist"))).
			field("years", append([]property{name("Years"), width(160)}, bar(average)...)...).
			field("hours", name("Hours"), decimals(1), width(90)),

		row("Through the years"),
		barchart("Hours per year", "From New Year to New Year in ${zone}.", "year", 12, 9).flux(`yearly()`).columns("year", "hours").autoUnit(hours),
		barchart("Lifetime", "All hours up to the end of each year.", "year", 12, 9).
			flux(`yearly() |> cumulativeSum(columns: ["hours"])`).columns("year", "hours").autoUnit(hours),
		table("Artists of the years", "The artist who was heard longest in each year.", 12, 12).
			flux(`champions()`).columns("year", "artist", "hours", "plays").unit("locale", 0).
			field("year", name("Year"), width(60)).
			field("artist", name("Artist"), wrap(), links(toArtist("artist"))).
			field("hours", append([]property{name("Hours"), decimals(1), width(100)}, bar(listened)...)...).
			field("plays", name("Plays"), width(70)),
		table("Milestones", "The days on which every thousandth hour and ten thousandth play were reached, and some before those; newest first.", 12, 12).
			flux(`milestones()`).columns("day", "milestone").unit("locale", 0).empty("Not 10 hours yet").
			field("day", name("Day"), width(110)).
			field("milestone", name("Milestone")),
	)
	return b
}

// totalsTable is a top of one of the measurements of totals; the artist's name is in the
// first of names that is called artist, else in name.
func totalsTable(title, measurement, description string, names ...string) panel {
	p := table(title, description, 12, 17).slim().cells("md").unit("locale", 0).
		flux(`topEver(measurement: "`+measurement+`", by: "${by}", fields: `+
			anyOf("name", "artist", "id", "image_url", "plays", "ms_played", "first_ms", "last_ms")+`)`).
		columns(append(append([]string{"image_url"}, names...), "hours", "plays", "first_ms", "last_ms", "id")...).
		field("image_url", cover()...).
		field("hours", append([]property{name("Hours"), decimals(1), width(100)}, bar(listened)...)...).
		field("plays", name("Plays"), width(54)).
		field("first_ms", name("First"), inUnit(date), width(96)).
		field("last_ms", name("Last"), inUnit(date), width(96)).
		field("id", hide()...)
	switch measurement {
	case "artist_total":
		return p.field("name", name("Artist"), wrap(), links(toArtist("name")))
	case "track_total":
		song := link{Title: "Open in Spotify", URL: "https://open.spotify.com/track/${__data.fields.id}", TargetBlank: true}
		return p.field("name", name("Song"), wrap(), links(song)).field("artist", name("Artist"), wrap(), links(toArtist("artist")))
	default:
		return p.field("name", name("Album"), wrap()).field("artist", name("Artist"), wrap(), links(toArtist("artist")))
	}
}
