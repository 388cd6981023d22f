// The definitions that boards share. A panel's query is an expression over them, and
// only those that it uses are put in front of it. Blank lines separate them.

// listens reads fields of the plays from start to stop, a row for each play and field.
// Everything that is read of a play costs, so ask for no more than is shown.
listens = (fields, start=v.timeRangeStart, stop=v.timeRangeStop) => from(bucket: "${bucket}")
    |> range(start: start, stop: stop)
    |> filter(fn: (r) => r._measurement == "listen" and r.account == "${account}")
    |> filter(fn: fields)

// credits reads fields of the artists who are credited on the plays of the range.
credits = (fields, start=v.timeRangeStart, stop=v.timeRangeStop) => from(bucket: "${bucket}")
    |> range(start: start, stop: stop)
    |> filter(fn: (r) => r._measurement == "listen_artist" and r.account == "${account}")
    |> filter(fn: fields)

// described reads fields of a measurement of things that have no time of their own.
described = (measurement, fields) => from(bucket: "${bucket}")
    |> range(start: 2000-01-01T00:00:00Z, stop: 2000-01-02T00:00:00Z)
    |> filter(fn: (r) => r._measurement == measurement and r.account =~ /^${account:regex}$/)
    |> filter(fn: fields)

// rows makes a row of all that was read of a play. Columns that are the same everywhere
// are dropped before it: it copies each of them for each row.
rows = (tables=<-) => tables
    |> drop(columns: ["_start", "_stop", "_measurement", "account"])
    |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
    |> group()

// shortest is the time in ms below which plays are left out.
shortest = ${minimum} * 1000

// played reads fields of the plays from start to stop, a row for each that is not
// shorter than the board shows. ms_played has to be among the fields.
played = (fields, start=v.timeRangeStart, stop=v.timeRangeStop) => {
    all = listens(fields: fields, start: start, stop: stop) |> rows()

    return if shortest == 0 then all else all |> filter(fn: (r) => r.ms_played >= shortest)
}

// ms reads the time listened of each play. InfluxDB itself filters it, and sums it up
// if nothing stands between this and sum() or aggregateWindow().
ms = (start=v.timeRangeStart, stop=v.timeRangeStop) => listens(
    fields: (r) => r._field == "ms_played" and r._value >= shortest,
    start: start,
    stop: stop,
)

// counted reads which plays count, 1 for each.
counted = (start=v.timeRangeStart, stop=v.timeRangeStop) => if shortest == 0 then
    listens(fields: (r) => r._field == "plays", start: start, stop: stop)
else
    played(fields: (r) => r._field == "plays" or r._field == "ms_played", start: start, stop: stop)
        |> rename(columns: {plays: "_value"})
        |> keep(columns: ["_time", "_value"])

// perDay sums up values from midnight to midnight where the listener lives, days
// without any too. every may be another time, such as 1mo.
perDay = (tables=<-, every=1d, fn=sum) => tables
    |> aggregateWindow(every: every, fn: fn, createEmpty: true, timeSrc: "_start")
    |> fill(value: 0)

// brief tells whether the range is too short for weeks.
brief = int(v: v.timeRangeStop) - int(v: v.timeRangeStart) < 21 * 86400000000000

// perWeek sums up values from Monday to Sunday, or for a brief range by days. Flux' own weeks
// begin on Thursdays.
perWeek = (tables=<-, fn=sum) => tables
    |> aggregateWindow(every: if brief then 1d else 1w, offset: if brief then 0d else -3d, fn: fn, createEmpty: true, timeSrc: "_start")
    |> fill(value: 0)

// inView moves the first day of a brief range, which begins before the range and would not be
// drawn, to where the range begins. It is not moved if so little of it is left that all bars,
// as wide as the shortest time between two of them, became thin.
inView = (tables=<-) => {
    start = int(v: v.timeRangeStart)
    earliest = if brief then start - 18 * 3600000000000 else start

    return tables
        |> map(fn: (r) => ({r with _time: if int(v: r._time) >= earliest and int(v: r._time) < start then v.timeRangeStart else r._time}))
}

// midnight is when the first day of the range begins, or the one that many days before it. A
// bar is as wide as the shortest time between two of them: one that began with the range
// would make all of them thin.
midnight = (earlier=0) => date.truncate(
    // From noon on, so that an hour more or less of a change of the clocks does not matter.
    t: date.sub(d: duration(v: earlier * 86400000000000), from: date.add(d: 12h, to: date.truncate(t: v.timeRangeStart, unit: 1d))),
    unit: 1d,
)

// monday is when the first week of the range begins, or the one that many days before it. Of
// a brief range, the first day.
monday = (earlier=0) => midnight(earlier: if brief then earlier else earlier + (date.weekDay(t: v.timeRangeStart) + 6) % 7)

// dateOf is the date of a time where the listener lives, such as 2024-12-31. It is a text:
// Grafana shows times where its viewer lives, and there it may be another day.
dateOf = (t) => {
    two = (n) => (if n < 10 then "-0" else "-") + string(v: n)

    return string(v: date.year(t: t)) + two(n: date.month(t: t)) + two(n: date.monthDay(t: t))
}

// total is the sum of all values, 0 if there are none.
total = (tables=<-) => tables |> sum() |> filter(fn: (r) => exists r._value) |> only(column: "_value", otherwise: 0)

// only is the value of a column of a table's only row, otherwise if there is no row.
only = (tables=<-, column, otherwise) => {
    found = tables |> findColumn(fn: (key) => true, column: column)

    return if length(arr: found) > 0 then found[0] else otherwise
}

// unlessNothing leaves out all rows if the sum of a column of numbers, none below 0, is 0. The
// rows are sorted by the columns by.
unlessNothing = (tables=<-, column, by) => tables
    |> duplicate(column: column, as: "sum")
    |> cumulativeSum(columns: ["sum"])
    |> sort(columns: by, desc: true)
    |> cumulativeSum(columns: ["sum"]) // begins with the sum of all
    |> filter(fn: (r) => r.sum > 0)
    |> drop(columns: ["sum"])
    |> sort(columns: by)

// inHours makes hours of ms.
inHours = (tables=<-) => tables |> map(fn: (r) => ({_time: r._time, hours: float(v: r._value) / 3600000.0}))

// sums adds up ms and plays of the rows of each key and returns a row a key. It is what
// group(columns: ["key"]) |> sum() would return, for a tenth of the work: sorted by
// key, the running sums before two keys' first rows differ by what the first key has.
// All else is of a key's first row in the order of the columns by.
sums = (tables=<-, by=["key"]) => tables
    |> summed(by: by, last: "\xf4\x8f\xbf\xbf")
    |> filter(fn: (r) => r.key != "")

// summed is sums for keys of any type. last is one that sorts behind all others.
summed = (tables=<-, by=["key"], last) => {
    end = array.from(rows: [{key: last, ms: 0, plays: 0}])

    return union(tables: [tables |> drop(columns: [""]), end]) // to drop nothing makes Flux forget what columns there are
        |> sort(columns: by)
        |> duplicate(column: "ms", as: "all_ms")
        |> duplicate(column: "plays", as: "all_plays")
        |> cumulativeSum(columns: ["all_ms", "all_plays"])
        |> unique(column: "key")
        |> map(fn: (r) => ({r with ms: r.ms - r.all_ms, plays: r.plays - r.all_plays}))
        |> sort(columns: ["key"], desc: true)
        |> difference(columns: ["ms", "plays"], keepFirst: true)
        |> filter(fn: (r) => exists r.ms)
}

// artists is a row for each first artist: key, ms, plays, and the _time of one play.
artists = (start=v.timeRangeStart, stop=v.timeRangeStop) => played(
        fields: (r) => r._field == "artist_key" or r._field == "ms_played" or r._field == "plays",
        start: start,
        stop: stop,
    )
    |> rename(columns: {artist_key: "key", ms_played: "ms"})
    |> sums()

// albums is a row for each album, which is a name of an artist: key, ms, plays, and the
// _time of one play.
albums = (start=v.timeRangeStart, stop=v.timeRangeStop) => played(
        fields: (r) => r._field == "album_key" or r._field == "ms_played" or r._field == "plays",
        start: start,
        stop: stop,
    )
    |> rename(columns: {album_key: "key", ms_played: "ms"})
    |> sums()

// songs is a row for each song, which is a title of a first artist, whatever its uris:
// ms, plays, the _time of one play, and as key where the song's total stands: so it need
// not be looked for.
songs = (start=v.timeRangeStart, stop=v.timeRangeStop) => played(
        fields: (r) => r._field == "song_total" or r._field == "ms_played" or r._field == "plays",
        start: start,
        stop: stop,
    )
    |> sumSongs()

// sumSongs adds up ms_played and plays of the rows of each song, and returns a row a song.
sumSongs = (tables=<-) => tables
    |> rename(columns: {song_total: "key", ms_played: "ms"})
    |> filter(fn: (r) => r.key > 0)
    |> summed(last: 9223372036854775807)

// facts adds up the rows of songs or the like: hours, plays and how many there are.
facts = (tables=<-) => tables
    |> map(fn: (r) => ({ms: r.ms, plays: r.plays, number: 1}))
    |> added()

// added adds up ms, plays and number.
added = (tables=<-) => tables
    |> cumulativeSum(columns: ["ms", "plays", "number"])
    |> tail(n: 1)
    |> map(fn: (r) => ({hours: float(v: r.ms) / 3600000.0, plays: r.plays, number: r.number}))

// top keeps the n first by one of ms and plays, then the other, then key, and numbers
// them by rank.
top = (tables=<-, by="hours", n=10) => tables
    |> sort(columns: if by == "plays" then ["plays", "ms", "key"] else ["ms", "plays", "key"], desc: true)
    |> limit(n: n)
    |> map(fn: (r) => ({_time: r._time, key: r.key, ms: r.ms, plays: r.plays, hours: float(v: r.ms) / 3600000.0, rank: 1}))
    |> cumulativeSum(columns: ["rank"])

// each adds to the rows of a top the columns that read returns for one of them: what is
// not summed or sorted by need not be read for every play.
each = (tables=<-, read) => {
    none = array.from(rows: [{rank: 0}])
    found = union(tables: [tables |> drop(columns: [""]), none])
        |> drop(columns: [""])
        |> sort(columns: ["rank"])
        |> tableFind(fn: (key) => true)
    one = (rank) => {
        row = getRecord(table: found, idx: rank)

        return read(row: row)
            |> map(fn: (r) => ({r with rank: row.rank}))
            |> drop(columns: [""])
    }
    ranks = getColumn(table: found, column: "rank") |> array.filter(fn: (x) => x > 0)

    return union(tables: array.concat(arr: [none, none], v: ranks |> array.map(fn: (x) => one(rank: x))))
        |> filter(fn: (r) => r.rank > 0)
        |> drop(columns: [""])
        |> sort(columns: ["rank"])
}

// withFields adds fields of the play at a row's _time to the rows of a top.
withFields = (tables=<-, fields) => tables
    |> each(
        read: (row) => listens(fields: fields, start: row._time, stop: date.add(d: 1ns, to: row._time))
            |> rows()
            |> map(fn: (r) => ({r with plays: row.plays, hours: row.hours})),
    )

// asSongs adds the names, the cover and the track_id that was heard most of the song in a
// row of a top of songs. They are in its total.
asSongs = (tables=<-) => tables
    |> each(
        read: (row) => from(bucket: "${bucket}")
            |> range(start: time(v: row.key), stop: time(v: row.key + 1))
            |> filter(fn: (r) => r._measurement == "track_total" and r.account == "${account}")
            |> filter(fn: (r) => r._field == "name" or r._field == "artist" or r._field == "id" or r._field == "image_url")
            |> rows()
            |> map(fn: (r) => ({track: r.name, artist: r.artist, image_url: r.image_url, track_id: r.id, plays: row.plays, hours: row.hours})),
    )

// accounts are the listeners.
accounts = () => from(bucket: "${bucket}")
    |> range(start: 2000-01-01T00:00:00Z, stop: 2000-01-02T00:00:00Z)
    |> filter(fn: (r) => r._measurement == "account" and r._field == "timezone")
    |> group()
    |> keep(columns: ["account"])
    |> sort(columns: ["account"])

// zone is the account's time zone, UTC where there is none. Of several accounts it is that
// of the first one.
zone = () => union(
        tables: [
            described(measurement: "account", fields: (r) => r._field == "timezone")
                |> group()
                |> sort(columns: ["account"])
                |> keep(columns: ["_value"])
                |> map(fn: (r) => ({_value: r._value, order: 0})),
            array.from(rows: [{_value: "UTC", order: 1}]),
        ],
    )
    |> sort(columns: ["order"])
    |> limit(n: 1)
    |> keep(columns: ["_value"])
