package main

// year is a year in retrospect, on any day of it.
func year() board {
	b := newBoard("spotify-year", "Year", "A year in retrospect, on any day of it: in numbers, tops and records.",
		timeRange{"now-1y", "now"},
		influxVariable(), bucketVariable(), accountVariable(), zoneVariable(), yearVariable(), minimumVariable(), byVariable())
	b.Timepicker.Hidden = true // the year is the variable's
	b.add(
		stat("The year", "Hours and plays in ${year}, and the hours of the year before.", "lastNotNull", 10, 4).
			flux(`yearFacts()`).columns("hours", "plays", "before").unit(hours, 0).
			field("hours", fixed(listened)).
			field("plays", inUnit("locale"), fixed(played)).
			field("before", name("year before"), fixed(before)),
		stat("Different", "How many albums, artists and songs were heard.", "lastNotNull", 8, 4).
			flux(`variety(start: newYear, stop: yearEnd)`).rows("/^number$/").unit("locale", 0).colored(other),
		stat("New", "Artists and songs that were heard for the first time ever, short plays included.", "lastNotNull", 6, 4).
			flux(`yearNews()`).rows("/^number$/").unit("locale", 0).colored(found),

		topTable("Artists of the year", "Plays count for the first artist of a song. Click a name for all about the artist.", 7, 18,
			`artists(start: newYear, stop: yearEnd) |> top(by: "${by}") |> withFields(fields: (r) => r._field == "artist" or r._field == "image_url")`, "image_url", "artist"),
		topTable("Songs of the year", "A song is a title of a first artist, whatever its uris. The link is to the uri that was heard most.", 9, 18,
			`songs(start: newYear, stop: yearEnd) |> top(by: "${by}") |> asSongs()`, "image_url", "track", "artist"),
		topTable("Albums of the year", "An album is a name of an artist, whatever its editions' ids.", 8, 18,
			`albums(start: newYear, stop: yearEnd) |> top(by: "${by}") |> withFields(fields: (r) => r._field == "album" or r._field == "artist" or r._field == "image_url")`, "image_url", "album", "artist"),

		row("Records"),
		stat("Biggest day", "The day on which most was heard, in ${zone}.", "lastNotNull", 6, 4).
			flux(`biggestDay()`).columns("hours", "day").words("(hours|day)").unit(hours, 1).field("day", inUnit("string"), fixed(other)),
		stat("Longest session", "A session ends when nothing is heard for half an hour.", "lastNotNull", 6, 4).
			flux(`longestSession()`).columns("hours", "day").words("(hours|day)").unit(hours, 1).field("day", inUnit("string"), fixed(other)),
		stat("Longest streak", "The most days in a row on which something was heard.", "lastNotNull", 4, 4).
			flux(`longestStreak()`).unit("suffix:days", 0).colored(average),
		table("Most repeated in a day", "The song that was played most often from one midnight to the next, in ${zone}.", 8, 4).
			flux(`mostRepeated()`).columns("song", "times", "day").unit("locale", 0).
			field("song", name("Song"), wrap()).
			field("times", name("Times"), width(70)).
			field("day", name("Day"), width(110)),

		row("When"),
		barchart("Months", "Hours of each month of ${year} and of the year before.", "month", 12, 9).
			flux(`months()`).autoUnit(hours).legend(bottomLegend).columns("month", "this year", "the year before").
			field("this year", fixed(listened)).field("the year before", fixed(before)),
		weekPanel(`played(fields: (r) => r._field == "hour" or r._field == "weekday" or r._field == "ms_played", start: newYear, stop: yearEnd) |> week()`, 12, 9),
		heatmap("Days", "A square for each day of ${year}, a column for each week by its number. Days break at midnight in ${zone}.", "hours", hours, 1, 24, 8).
			flux(`yearWeeks()`),
	)
	return b
}

// yearVariable chooses among the years with plays.
func yearVariable() variable {
	return fluxVariable("year", "Year", "A year of which there are plays.", "years()")
}
