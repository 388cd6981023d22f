package main

// listening is the home board: what was heard in the time that is chosen.
func listening() board {
	b := newBoard("spotify-listening", "Listening", "What was heard in the time that is chosen, when and how, and what is new.",
		timeRange{"now-90d", "now"},
		influxVariable(), bucketVariable(), accountVariable(), zoneVariable(), minimumVariable(), byVariable(), prometheusVariable(), jobVariable())
	b.Annotations.List = append(b.Annotations.List, annotation{
		Name: "Gaps", Datasource: influxSource, Enable: true, IconColor: skipped,
		Target: &target{RefID: "Gaps", Datasource: influxSource, Query: fluxQuery(`gaps()`)},
	})
	b.add(
		stat("Hours", "Time listened: what was skipped over and pauses do not count.", "sum", 6, 4).
			flux(`ms() |> perDay() |> inHours()`).unit(hours, 1).
			links(link{Title: "All time", URL: "/d/spotify-alltime?${__url_time_range}&${account:queryparam}"}),
		stat("Against the time before", "How many more hours and plays than in the range of the same length that ends where this one begins; fewer have a minus.", "lastNotNull", 6, 4).
			flux(`change()`).rows("/^change$/").unit("percentunit", 0).empty("Nothing before").
			limits(average, at(0, listened)),
		stat("Plays", "Plays that count: of 30 s and more, if the exporter's COUNT_FROM is not set otherwise.", "sum", 6, 4).
			flux(`counted() |> perDay() |> keep(columns: ["_time", "_value"])`).unit("locale", 0).colored(played),
		stat("Different", "How many albums, artists and songs were heard. A song is a title of a first artist, however many uris it has.", "lastNotNull", 6, 4).
			flux(`variety()`).rows("/^number$/").unit("locale", 0).colored(other),
		stat("New", "Artists and songs that were heard for the first time ever, short plays included.", "lastNotNull", 6, 4).
			flux(`discoveries()`).rows("/^number$/").unit("locale", 0).colored(found),
		stat("Days in a row", "Days on which something was heard, one after another: the longest streak in the range, and the one at its end.", "lastNotNull", 6, 4).
			flux(`streaks()`).rows("/^days$/").unit("locale", 0).colored(average),
		stat("Sessions", "A session ends when nothing is heard for half an hour. Lengths are from start to end, breaks included.", "lastNotNull", 9, 4).
			flux(`sessionFacts()`).columns("sessions", "mean", "longest").unit(hours, 1).colored(other).
			field("sessions", inUnit("locale"), decimals(0)),
		stat("Alerts", "Whether somebody would be told if plays were no longer recorded: Alertmanager answers, gets the Watchdog of the rules, and can deliver. If not, the exporter's status page says what to do.", "lastNotNull", 3, 4).
			promNow("min("+ofJob("spotify_alerting_up")+")", "alerts").
			maps("0", "nobody is told", skipped, "1", "on", listened).empty("Not known").
			links(link{Title: "Poller", URL: "/d/spotify-poller?${__url_time_range}&${account:queryparam}"}),

		bars("Hours per day", "From midnight to midnight in ${zone}, with the mean of seven days and that of 52 weeks earlier.", 24, 9).
			flux(`ms(start: midnight()) |> perDay() |> inView() |> inHours()`).
			flux(`ms(start: midnight(earlier: 6)) |> perDay() |> overWeek() |> inView() |> inHours() |> rename(columns: {hours: "mean of 7 days"})`).
			flux(`ms(start: midnight(earlier: 370), stop: date.sub(d: 364d, from: v.timeRangeStop)) |> perDay() |> overWeek() |> timeShift(duration: 364d) |> inView() |> inHours() |> rename(columns: {hours: "a year before"})`).
			autoUnit(hours).legend(bottomLegend).
			field("hours", fixed(listened)).
			field("mean of 7 days", line(average)...).
			field("a year before", line(before)...),

		topTable("Top artists", "Plays count for the first artist of a song. Click a name for all about the artist.", 7, 18,
			`artists() |> top(by: "${by}") |> withFields(fields: (r) => r._field == "artist" or r._field == "image_url")`, "image_url", "artist"),
		topTable("Top songs", "A song is a title of a first artist, whatever its uris. The link is to the uri that was heard most.", 9, 18,
			`songs() |> top(by: "${by}") |> asSongs()`, "image_url", "track", "artist"),
		topTable("Top albums", "An album is a name of an artist, whatever its editions' ids.", 8, 18,
			`albums() |> top(by: "${by}") |> withFields(fields: (r) => r._field == "album" or r._field == "artist" or r._field == "image_url")`, "image_url", "album", "artist"),

		row("When"),
		clockPanel(`played(fields: (r) => r._field == "hour" or r._field == "ms_played") |> clock()`, 8, 9),
		weekPanel(`played(fields: (r) => r._field == "hour" or r._field == "weekday" or r._field == "ms_played") |> week()`, 8, 9),
		calendarPanel(`ms(start: midnight()) |> calendar()`, 8, 9),
		bars("Hours per week", "From Monday to Sunday, and 52 weeks earlier. Of less than three weeks, days.", 12, 8).
			flux(`ms(start: monday()) |> perWeek() |> inView() |> inHours()`).
			flux(`ms(start: monday(earlier: 364), stop: date.sub(d: 364d, from: v.timeRangeStop)) |> perWeek() |> timeShift(duration: 364d) |> inView() |> inHours() |> rename(columns: {hours: "a year before"})`).
			autoUnit(hours).legend(bottomLegend).
			field("hours", fixed(listened)).
			field("a year before", line(before)...),
		bars("Sessions per day", "How many sessions began on a day.", 12, 8).
			flux(`sessions(start: midnight()) |> filter(fn: (r) => int(v: r._time) >= int(v: midnight())) |> map(fn: (r) => ({_time: r._time, _value: 1})) |> perDay() |> inView() |> keep(columns: ["_time", "_value"]) |> rename(columns: {_value: "sessions"})`).
			unit("locale", 0).colored(other).legend(noLegend),

		row("New and skipped"),
		bars("Discovery", "Artists and songs that were heard for the first time ever, per week (of less than three weeks, per day), short plays included.", 12, 8).
			flux(`firsts(measurement: "track_total", start: monday()) |> perWeek() |> inView() |> keep(columns: ["_time", "_value"]) |> unlessNothing(column: "_value", by: ["_time"]) |> rename(columns: {_value: "songs"})`).
			flux(`firsts(measurement: "artist_total", start: monday()) |> perWeek() |> inView() |> keep(columns: ["_time", "_value"]) |> unlessNothing(column: "_value", by: ["_time"]) |> rename(columns: {_value: "artists"})`).
			unit("locale", 0).legend(bottomLegend).field("songs", fixed(found)).field("artists", line(other)...).empty("Nothing new"),
		lines("Skip rate", "Share of each week's plays (of less than three weeks, of each day's) that were skipped, whatever their length. Live plays of less than 30 s may be missed, imports know them all.", 12, 8).
			flux(`skipRate()`).autoUnit("percentunit").bounds(0, 1).colored(skipped).legend(noLegend).
			custom(func(c *graphCustom) { c.FillOpacity, c.ShowPoints, c.SpanNulls = 15, "auto", true }),

		row("What and how"),
		bargauge("Music, podcasts, audiobooks", "Hours of each kind.", "/^hours$/", 8, 8).flux(`kinds()`).unit(hours, 1),
		bargauge("Devices", "Hours on each device; of imported plays, which do not know it, on each platform.", "/^hours$/", 8, 8).flux(`devices()`).unit(hours, 1),
		bargauge("Played from", "Hours by what it was played from. Imported plays do not know it.", "/^hours$/", 8, 8).flux(`contexts()`).unit(hours, 1),
		bargauge("Shares of plays", "Plays of which each is true, of all plays, whatever their length.", "/^share$/", 7, 9).
			flux(`shares()`).unit("percentunit", 0).bounds(0, 1).colored(played),
		barchart("Decade of release", "Hours by the decade in which the album came out; known once Spotify's API has told of a track.", "decade", 9, 9).
			flux(`decades()`).autoUnit(hours),
		bargauge("Share of the top 10", "Hours of the ten first artists, and of all others.", "/^hours$/", 8, 9).flux(`ofTop()`).unit(hours, 1),

		row("Single plays"),
		topTable("Artists with all credits", "Featured artists count as well as first ones, so the sum may be more than was heard. Exports name one artist of a song only.", 8, 15,
			`credited() |> top(by: "${by}") |> asCredited()`, "artist"),
		table("Recent plays", "The plays of the range that ended last, and whether they were heard to the end. Click a title to open it in Spotify.", 16, 15).
			flux(`recent()`).cells("md").
			columns("_time", "image_url", "heard", "track", "artist", "album", "ms_played", "device", "page", "track_id").
			unit("locale", 0).
			field("_time", name("Ended"), inUnit(minute), width(140)).
			field("image_url", cover()...).
			field("heard", name("Heard"), width(90), cell(cellType{Type: "color-text"}), mapTo(map[string]mapped{
				"whole": {"✓ whole", listened, 0}, "skipped": {"» skipped", skipped, 1}, "part": {"part", average, 2},
			})).
			field("track", name("Title"), wrap(), links(openInSpotify)).
			field("artist", name("Artist"), wrap(), links(toArtist("artist"))).
			field("album", name("Album"), wrap()).
			field("ms_played", name("Listened"), inUnit("ms"), decimals(1), width(90)).
			field("device", name("Device"), width(120)).
			field("page", hide()...).
			field("track_id", hide()...),
	)
	return b
}
