// until is where the public board ends: the last hours would tell where somebody is.
until = date.truncate(t: date.sub(d: ${delay}, from: v.timeRangeStop), unit: 1h)

// shown reads fields of the plays that strangers may see, a row for each: music, in no
// private session, and until then. Nothing on the public board is read in another way.
// incognito and kind have to be among the fields.
shown = (fields, start=v.timeRangeStart, stop=until) => from(bucket: "${bucket}")
    // A range may be shorter than the delay, and InfluxDB refuses one that has no length.
    |> range(start: if start < stop then start else date.sub(d: 1ns, from: stop), stop: stop)
    |> filter(fn: (r) => r._measurement == "listen" and r.account == "${account}")
    |> filter(fn: fields)
    |> rows()
    |> filter(fn: (r) => r.incognito == false and r.kind == "track")

// shownArtists, shownSongs and shownAlbums are what artists, songs and albums are.
shownArtists = () => shown(
        fields: (r) => r._field == "artist_key" or r._field == "incognito" or r._field == "kind" or r._field == "ms_played" or r._field == "plays",
    )
    |> rename(columns: {artist_key: "key", ms_played: "ms"})
    |> sums()

shownSongs = () => shown(
        fields: (r) => r._field == "song_total" or r._field == "incognito" or r._field == "kind" or r._field == "ms_played" or r._field == "plays",
    )
    |> sumSongs()

shownAlbums = () => shown(
        fields: (r) => r._field == "album_key" or r._field == "incognito" or r._field == "kind" or r._field == "ms_played" or r._field == "plays",
    )
    |> rename(columns: {album_key: "key", ms_played: "ms"})
    |> sums()

// withNames adds names of the play at a row's _time to the rows of a top.
withNames = (tables=<-, fields) => tables
    |> each(
        read: (row) => shown(fields: fields, start: row._time, stop: date.add(d: 1ns, to: row._time))
            |> map(fn: (r) => ({r with plays: row.plays, hours: row.hours})),
    )

// shownMS is the time listened of each of those plays.
shownMS = (start=v.timeRangeStart) => shown(fields: (r) => r._field == "incognito" or r._field == "kind" or r._field == "ms_played", start: start)
    |> keep(columns: ["_time", "ms_played"])
    |> rename(columns: {ms_played: "_value"})

// shownHours are their hours in each hour of the day and day of the week.
shownHours = () => shown(fields: (r) => r._field == "hour" or r._field == "weekday" or r._field == "incognito" or r._field == "kind" or r._field == "ms_played")

// asOf says until when anything is shown.
asOf = () => shownMS()
    |> tail(n: 1)
    |> map(fn: (r) => ({Value: string(v: date.monthDay(t: until)) + " " + monthNames[date.month(t: until) - 1] + " " + string(v: date.year(t: until))}))
