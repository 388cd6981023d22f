// ever is before all plays, and after what has no time of its own.
ever = 2000-01-03T00:00:00Z

// beginning is the New Year before the first play.
beginning = date.truncate(
    t: listens(fields: (r) => r._field == "plays", start: ever, stop: now()) |> first() |> only(column: "_time", otherwise: now()),
    unit: 1y,
)

// record is all that was ever heard: hours and plays.
record = () => array.from(
        rows: [{hours: float(v: ms(start: ever, stop: now()) |> total()) / 3600000.0, plays: counted(start: ever, stop: now()) |> total()}],
    )

// everDifferent is of how many artists, albums and songs that was.
everDifferent = () => {
    // What has no first play is no music.
    number = (measurement) => described(measurement: measurement, fields: (r) => r._field == "first_ms" and r._value > 0)
        |> group()
        |> count()
        |> total()

    return array.from(
        rows: [{artists: number(measurement: "artist_total"), albums: number(measurement: "album_total"), songs: number(measurement: "track_total")}],
    )
}

// firstListen is the play that ended first.
firstListen = () => listens(fields: (r) => r._field == "track" or r._field == "artist", start: ever, stop: now())
    |> first()
    |> rows()
    |> map(fn: (r) => ({song: r.track + " – " + r.artist, since: dateOf(t: r._time)}))

// topEver is the n first of a measurement of totals by ms_played or plays, all that is
// known of each: only one field is sorted.
topEver = (measurement, fields, by="${by}", n=10) => {
    field = if by == "plays" then "plays" else "ms_played"
    found = described(measurement: measurement, fields: (r) => r._field == field and r._value > 0)
        |> group()
        |> sort(columns: ["_value", "_time"], desc: true)
        |> limit(n: n)
        |> map(fn: (r) => ({_time: r._time, rank: 1}))
        |> cumulativeSum(columns: ["rank"])

    return found
        |> each(
            read: (row) => from(bucket: "${bucket}")
                |> range(start: row._time, stop: date.add(d: 1ns, to: row._time))
                |> filter(fn: (r) => r._measurement == measurement and r.account == "${account}")
                |> filter(fn: fields)
                |> rows()
                |> map(fn: (r) => ({r with hours: float(v: r.ms_played) / 3600000.0})),
        )
}

// yearly is the hours of each year, without years before the first play.
yearly = () => ms(start: beginning, stop: now())
    |> perDay(every: 1y)
    |> group()
    |> filter(fn: (r) => r._value > 0)
    |> map(fn: (r) => ({year: string(v: date.year(t: r._time)), hours: float(v: r._value) / 3600000.0}))

// milestones are the days on which a sum reached the first ten and hundred of what it
// counts, and every hundred tens, newest first.
milestones = () => {
    reached = (tables=<-, unit, what) => {
        tens = tables |> unique(column: "tens")
        row = (tables=<-, column, size, n) => tables
            |> duplicate(column: column, as: "number")
            |> filter(fn: (r) => r.number > 0)
            |> limit(n: n)
            |> map(fn: (r) => ({day: dateOf(t: r._time), milestone: string(v: r.number * size * unit) + what}))

        return union(
            tables: [
                tens |> row(column: "tens", size: 10, n: 1),
                tens |> unique(column: "hundreds") |> row(column: "hundreds", size: 100, n: 1),
                tens |> unique(column: "thousands") |> row(column: "thousands", size: 1000, n: 1000),
            ],
        )
    }

    // Numbers and not names in these, which Flux computes for a thousand rows at once.
    time = ms(start: beginning, stop: now())
        |> perDay()
        |> group()
        |> cumulativeSum()
        |> map(fn: (r) => ({_time: r._time, tens: r._value / 36000000, hundreds: r._value / 360000000, thousands: r._value / 3600000000}))
    number = counted(start: beginning, stop: now())
        |> perDay()
        |> group()
        |> cumulativeSum()
        |> map(fn: (r) => ({_time: r._time, tens: r._value / 100, hundreds: r._value / 1000, thousands: r._value / 10000}))

    return union(tables: [time |> reached(unit: 1, what: " hours"), number |> reached(unit: 10, what: " plays")])
        |> sort(columns: ["day"], desc: true)
}

// ranked reads what is known of the first fifty artists of all years.
ranked = () => from(bucket: "${bucket}")
    |> range(start: 2000-01-01T00:00:00Z, stop: 2000-01-02T00:00:00Z)
    |> filter(fn: (r) => r._measurement == "artist_year" and r.account == "${account}")
    |> filter(fn: (r) => r._field == "key" or r._field == "name" or r._field == "rank" or r._field == "plays" or r._field == "ms_played")
    |> rows()

// faithful are the artists who were among a year's first fifty in most years, those
// heard longer then first.
faithful = (n=10) => ranked()
    |> map(fn: (r) => ({key: r.key, ms: r.ms_played, plays: 1, name: r.name}))
    |> sums()
    |> sort(columns: ["plays", "ms", "key"], desc: true)
    |> limit(n: n)
    |> map(fn: (r) => ({artist: r.name, years: r.plays, hours: float(v: r.ms) / 3600000.0}))

// champions are the first artist of each year.
champions = () => ranked()
    |> filter(fn: (r) => r.rank == 1)
    |> map(fn: (r) => ({year: r.year, artist: r.name, hours: float(v: r.ms_played) / 3600000.0, plays: r.plays}))
    |> sort(columns: ["year"], desc: true)
