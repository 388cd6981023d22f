package main

// listening is the home board: what was heard in the time that is chosen.
func listening() board {
	b := newBoard("spotify-listening", "Listening", "What was heard in the time that is chosen, and when, and how.",
		timeRange{"now-90d", "now"}, influxVariable(), bucketVariable(), accountVariable(), zoneVariable(), minimumVariable())
	b.add(
		stat("Hours", "Time listened in the range, pauses and what was skipped over not counted. The line is per day.", "sum", 5, 4).
			flux(`ms() |> perDay() |> inHours()`).unit("suffix: h", 1).spark(),
		bars("Hours per day", "From midnight to midnight where the listener lives.", 19, 8).
			flux(`ms() |> perDay() |> inHours()`).unit("suffix: h", 1).colored(listened),
		bargauge("Top artists", "By hours. Plays count for the first artist of a song.", "/^hours$/", 12, 10).
			flux(`artists() |> top() |> keep(columns: ["key", "hours"])`).unit("suffix: h", 1),
	)
	return b
}
