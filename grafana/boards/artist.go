package main

// artist is all about one artist, who is chosen by a click on a name on any board.
func artist() board {
	b := newBoard("spotify-artist", "Artist", "All about one artist: click a name on any board, or choose one of the thousand who were heard most.",
		timeRange{"now-1y", "now"},
		influxVariable(), bucketVariable(), accountVariable(), artistVariable(), zoneVariable(), minimumVariable(), byVariable())
	b.add(
		stat("Ever", "All that was heard of ${artist}, whatever the range: hours and plays. Plays count for the first artist of a song.", "lastNotNull", 6, 4).
			flux(`theirTotal()`).columns("hours", "plays").unit("locale", 0).
			field("hours", inUnit(hours), decimals(1), fixed(listened)).
			field("plays", fixed(played)),
		stat("First and last", "When ${artist} was heard for the first and for the last time, whatever the range.", "lastNotNull", 6, 4).
			flux(`theirTimes()`).columns("first", "last").unit(date, 0).colored(other).sized(22),
		stat("In the range", "Hours, plays and different songs of ${artist} in the range.", "lastNotNull", 6, 4).
			flux(`theirFacts()`).columns("hours", "plays", "songs").unit("locale", 0).
			field("hours", inUnit(hours), decimals(1), fixed(listened)).
			field("plays", fixed(played)).
			field("songs", fixed(found)),
		stat("With all credits", "Hours and plays of all songs in the range that ${artist} is credited on, and how many of the plays were of songs with another first artist. Exports name one artist of a song only.", "lastNotNull", 6, 4).
			flux(`theirCredits()`).columns("hours", "plays", "featured").unit("locale", 0).
			field("hours", inUnit(hours), decimals(1), fixed(listened)).
			field("plays", fixed(played)).
			field("featured", fixed(average)),
		bars("Hours per week", "Hours of ${artist}, from Monday to Sunday in ${zone}. Of less than three weeks, days.", 24, 8).
			flux(`theirMS(start: monday()) |> perWeek() |> inView() |> inHours()`).autoUnit(hours).colored(listened).legend(noLegend),

		topTable("Songs", "The songs of ${artist} that were heard most in the range. The link is to the uri that was heard most.", 12, 15,
			`theirSongs() |> top(by: "${by}") |> asSongs()`, "image_url", "track"),
		topTable("Albums", "The albums of those songs.", 12, 15,
			`theirAlbums() |> top(by: "${by}") |> withFields(fields: (r) => r._field == "album" or r._field == "image_url")`, "image_url", "album"),

		table("Year by year", "The rank of ${artist} by hours among a year's first fifty artists, whatever the range; years without such a rank are left out.", 8, 9).
			flux(`theirYears()`).columns("year", "rank", "hours", "plays").unit("locale", 0).empty("Never among a year's first 50").
			field("year", name("Year"), width(70)).
			field("rank", name("Rank"), width(70)).
			field("hours", append([]property{name("Hours"), decimals(1)}, bar(listened)...)...).
			field("plays", append([]property{name("Plays")}, bar(played)...)...),
		weekPanel(`theirs(fields: (r) => r._field == "artist_key" or r._field == "hour" or r._field == "weekday" or r._field == "ms_played") |> week()`, 8, 9),
		lines("Skip rate", "Share of each month's plays of ${artist} that were skipped.", 8, 9).
			flux(`theirSkips()`).autoUnit("percentunit").bounds(0, 1).colored(skipped).legend(noLegend).
			custom(func(c *graphCustom) { c.FillOpacity, c.ShowPoints, c.SpanNulls = 15, "always", true }),
	)
	return b
}

// artistVariable chooses the artist. A name that is not among those offered can come
// with a link.
func artistVariable() variable {
	return fluxVariable("artist", "Artist", "The artist whom the board is about; those who were heard most are offered.", "artistNames()")
}
