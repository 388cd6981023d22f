// The definitions that boards share. A panel's query is an expression over them, and
// only those that it uses are put in front of it. Blank lines separate them.

// listens reads fields of the plays from start to stop, a row for each play and field.
// Everything that is read of a play costs, so ask for no more than is shown.
listens = (fields, start=v.timeRangeStart, stop=v.timeRangeStop) => from(bucket: "${bucket}")
    |> range(start: start, stop: stop)
    |> filter(fn: (r) => r._measurement == "listen" and r.account == "${account}")
    |> filter(fn: fields)

// played reads fields of the plays from start to stop, ms_played among them, a row for
// each play that is not too short.
played = (fields, start=v.timeRangeStart, stop=v.timeRangeStop) => listens(fields: fields, start: start, stop: stop)
    |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
    |> group()
    |> filter(fn: (r) => r.ms_played >= ${minimum} * 1000)

// ms reads the time listened of each play, ms, by which InfluxDB itself can filter.
ms = (start=v.timeRangeStart, stop=v.timeRangeStop) => listens(
        fields: (r) => r._field == "ms_played" and r._value >= ${minimum} * 1000,
        start: start,
        stop: stop,
    )
    |> group()
    |> keep(columns: ["_time", "_value"])

// perDay sums up values from midnight to midnight where the listener lives, days
// without any too. every may be another time, such as 1mo.
perDay = (tables=<-, every=1d) => tables
    |> aggregateWindow(every: every, fn: sum, createEmpty: true, timeSrc: "_start")
    |> fill(value: 0)

// perWeek sums up values from Monday to Sunday. Flux' own weeks begin on Thursdays.
perWeek = (tables=<-) => tables
    |> aggregateWindow(every: 1w, offset: -3d, fn: sum, createEmpty: true, timeSrc: "_start")
    |> fill(value: 0)

// inHours makes hours of ms.
inHours = (tables=<-) => tables |> map(fn: (r) => ({_time: r._time, hours: float(v: r._value) / 3600000.0}))

// sums adds up ms and plays of the rows of each key and returns a row a key. It is what
// group(columns: ["key"]) |> sum() would return, for a tenth of the work: sorted by
// key, running sums at the first row of two keys differ by what the first key has. The
// other columns are those of a key's first row in the order of the columns by.
sums = (tables=<-, by=["key"]) => {
    end = array.from(rows: [{key: "\xf4\x8f\xbf\xbf", ms: 0, plays: 0}])

    return union(tables: [tables, end])
        |> sort(columns: by)
        |> duplicate(column: "ms", as: "all_ms")
        |> duplicate(column: "plays", as: "all_plays")
        |> cumulativeSum(columns: ["all_ms", "all_plays"])
        |> map(fn: (r) => ({r with ms: r.ms - r.all_ms, plays: r.plays - r.all_plays}))
        |> unique(column: "key")
        |> sort(columns: ["key"], desc: true)
        |> difference(columns: ["ms", "plays"], keepFirst: true)
        |> filter(fn: (r) => exists r.ms)
}

// top keeps the n first by ms or plays, then by the other, then by key.
top = (tables=<-, by=["ms", "plays", "key"], n=10) => tables
    |> sort(columns: by, desc: true)
    |> limit(n: n)
    |> map(fn: (r) => ({r with hours: float(v: r.ms) / 3600000.0}))

// artists is a row for each first artist: key is the name, ms, plays.
artists = () => played(fields: (r) => r._field == "artist" or r._field == "ms_played" or r._field == "plays")
    |> map(fn: (r) => ({key: r.artist, ms: r.ms_played, plays: r.plays}))
    |> sums()

// described is a measurement of things that have no time of their own.
described = (measurement) => from(bucket: "${bucket}")
    |> range(start: 2000-01-01T00:00:00Z, stop: 2000-01-02T00:00:00Z)
    |> filter(fn: (r) => r._measurement == measurement)

// accounts are the listeners.
accounts = () => described(measurement: "account")
    |> filter(fn: (r) => r._field == "timezone")
    |> group()
    |> keep(columns: ["account"])
    |> sort(columns: ["account"])

// zone is the account's time zone, UTC where there is none. Of several accounts it is that
// of the first one.
zone = () => union(
        tables: [
            described(measurement: "account")
                |> filter(fn: (r) => r._field == "timezone" and r.account =~ /^${account:regex}$/)
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
