// artistNames are the artists who were heard most, most first.
artistNames = () => described(measurement: "artist_total", fields: (r) => r._field == "name" or r._field == "ms_played")
    |> rows()
    |> sort(columns: ["ms_played", "name"], desc: true)
    |> limit(n: 1000)
    |> keep(columns: ["name"])

// artistAt is where the total stands of the artist whom the board is about. It is found by
// the name, or by the key, which all spellings of the name share: that is the name in
// lower case, and more than that in some languages (ß is ss).
artistAt = described(
        measurement: "artist_total",
        fields: (r) => r._field == "name" and r._value =~ /^${artist:regex}$/ or r._field == "key" and r._value =~ /(?i)^${artist:regex}$/,
    )
    |> group()
    |> sort(columns: ["_field", "_time"], desc: true)
    |> only(column: "_time", otherwise: 2000-01-01T00:00:00Z)

// artistTotal reads fields of that total.
artistTotal = (fields) => from(bucket: "${bucket}")
    |> range(start: artistAt, stop: date.add(d: 1ns, to: artistAt))
    |> filter(fn: (r) => r._measurement == "artist_total" and r.account == "${account}")
    |> filter(fn: fields)

// artistKey is what the artist's plays are counted by.
artistKey = artistTotal(fields: (r) => r._field == "key") |> only(column: "_value", otherwise: "nobody")

// theirs reads fields of the plays of the artist, artist_key and ms_played among them.
theirs = (fields, start=v.timeRangeStart, stop=v.timeRangeStop) => played(fields: fields, start: start, stop: stop)
    |> filter(fn: (r) => r.artist_key == artistKey)

// theirMS reads the time listened of each play of the artist.
theirMS = (start=v.timeRangeStart) => theirs(fields: (r) => r._field == "artist_key" or r._field == "ms_played", start: start)
    |> keep(columns: ["_time", "ms_played"])
    |> rename(columns: {ms_played: "_value"})

// theirFacts are hours, plays and songs of the artist in the range.
theirFacts = () => theirs(fields: (r) => r._field == "artist_key" or r._field == "song_key" or r._field == "ms_played" or r._field == "plays")
    |> rename(columns: {song_key: "key", ms_played: "ms"})
    |> summed(last: "\xf4\x8f\xbf\xbf")
    |> map(fn: (r) => ({ms: r.ms, plays: r.plays, number: if r.key == "" then 0 else 1})) // episodes are no songs
    |> added()
    |> rename(columns: {number: "songs"})

// theirTotal is all that was ever heard of the artist, at any time.
theirTotal = () => artistTotal(fields: (r) => r._field == "ms_played" or r._field == "plays")
    |> rows()
    |> map(fn: (r) => ({hours: float(v: r.ms_played) / 3600000.0, plays: r.plays}))

// theirTimes are when the artist was heard first and last, at any time.
theirTimes = () => artistTotal(fields: (r) => r._field == "first_ms" or r._field == "last_ms")
    |> rows()
    |> map(fn: (r) => ({first: r.first_ms, last: r.last_ms}))

// theirSongs is a row for each song of the artist.
theirSongs = () => theirs(fields: (r) => r._field == "artist_key" or r._field == "song_total" or r._field == "ms_played" or r._field == "plays")
    |> sumSongs()

// theirAlbums is a row for each album of the artist's songs.
theirAlbums = () => theirs(fields: (r) => r._field == "artist_key" or r._field == "album_key" or r._field == "ms_played" or r._field == "plays")
    |> rename(columns: {album_key: "key", ms_played: "ms"})
    |> sums()

// theirSkips is the share of the artist's plays in each month that were skipped.
theirSkips = () => theirs(fields: (r) => r._field == "artist_key" or r._field == "ms_played" or r._field == "skipped")
    |> map(fn: (r) => ({_time: r._time, _value: if r.skipped then 1.0 else 0.0}))
    |> aggregateWindow(every: 1mo, fn: mean, createEmpty: false, timeSrc: "_start")
    |> keep(columns: ["_time", "_value"])
    |> rename(columns: {_value: "skipped"})

// theirYears is the artist's rank in each year in which it was among the first fifty.
theirYears = () => from(bucket: "${bucket}")
    |> range(start: 2000-01-01T00:00:00Z, stop: 2000-01-02T00:00:00Z)
    |> filter(fn: (r) => r._measurement == "artist_year" and r.account == "${account}")
    |> filter(fn: (r) => r._field == "key" or r._field == "rank" or r._field == "plays" or r._field == "ms_played")
    |> rows()
    |> filter(fn: (r) => r.key == artistKey)
    |> map(fn: (r) => ({year: r.year, rank: r.rank, plays: r.plays, hours: float(v: r.ms_played) / 3600000.0}))
    |> sort(columns: ["year"], desc: true)

// theirCredits are hours and plays of what the artist is credited on, first or not.
theirCredits = () => credits(fields: (r) => r._field == "artist_key" or r._field == "ms_played" or r._field == "plays")
    |> rows()
    |> filter(fn: (r) => r.artist_key == artistKey and r.ms_played >= shortest)
    |> map(fn: (r) => ({ms: r.ms_played, plays: r.plays, featured: if r.pos == "0" then 0 else r.plays}))
    |> cumulativeSum(columns: ["ms", "plays", "featured"])
    |> tail(n: 1)
    |> map(fn: (r) => ({hours: float(v: r.ms) / 3600000.0, plays: r.plays, featured: r.featured}))
