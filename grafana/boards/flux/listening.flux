// before is where the range of the same length begins that ends where the chosen one does begin.
before = time(v: int(v: v.timeRangeStart) * 2 - int(v: v.timeRangeStop))

// change compares the range with the one before: 0.1 is a tenth more.
change = () => {
    row = (what, now, past) => ({what: what, past: past, change: float(v: now) / float(v: past) - 1.0})

    return array.from(
            rows: [
                row(what: "hours", now: ms() |> total(), past: ms(start: before, stop: v.timeRangeStart) |> total()),
                row(what: "plays", now: counted() |> total(), past: counted(start: before, stop: v.timeRangeStart) |> total()),
            ],
        )
        |> filter(fn: (r) => r.past > 0)
        |> keep(columns: ["what", "change"])
}

// variety counts what is different among the plays.
variety = (start=v.timeRangeStart, stop=v.timeRangeStop) => {
    plays = played(
        fields: (r) => r._field == "artist_key" or r._field == "album_key" or r._field == "song_key" or r._field == "ms_played",
        start: start,
        stop: stop,
    )
    different = (column, what) => plays
        |> duplicate(column: column, as: "key")
        |> keep(columns: ["key"])
        |> unique(column: "key")
        |> filter(fn: (r) => r.key != "")
        |> count(column: "key")
        |> set(key: "what", value: what)

    return union(
            tables: [
                different(column: "artist_key", what: "artists"),
                different(column: "song_key", what: "songs"),
                different(column: "album_key", what: "albums"),
            ],
        )
        |> rename(columns: {key: "number"})
        |> sort(columns: ["what"])
}

// firsts is a 1 for each artist_total, album_total or track_total that was heard for
// the first time ever, whatever the length of that play, at its end.
firsts = (measurement, start=v.timeRangeStart, stop=v.timeRangeStop) => {
    from = int(v: start) / 1000000
    to = int(v: stop) / 1000000
    found = described(measurement: measurement, fields: (r) => r._field == "first_ms" and r._value >= from and r._value < to)
        |> group()
        |> findColumn(fn: (key) => true, column: "_value")
    ones = found |> array.map(fn: (x) => ({_time: time(v: x * 1000000), _value: 1}))

    // An array, since the range of what is read from InfluxDB cannot be left any more. Its first row is in no range.
    return array.from(rows: array.concat(arr: [{_time: 1970-01-01T00:00:00Z, _value: 0}], v: ones))
        |> range(start: start, stop: stop)
        |> sort(columns: ["_time"])
}

// marked reads for which plays a field that is true or false is true.
marked = (field) => listens(fields: (r) => r._field == field and r._value == true)

// allPlays reads all plays, whatever their length.
allPlays = () => listens(fields: (r) => r._field == "ms_played")

// skipRate is the share of the plays of each week, or day, that were skipped.
skipRate = () => union(
        tables: [
            marked(field: "skipped") |> perWeek(fn: count) |> group() |> set(key: "what", value: "skipped"),
            allPlays() |> perWeek(fn: count) |> group() |> set(key: "what", value: "all"),
        ],
    )
    |> pivot(rowKey: ["_time"], columnKey: ["what"], valueColumn: "_value")
    |> filter(fn: (r) => exists r.all and r.all > 0)
    |> inView()
    |> map(fn: (r) => ({_time: r._time, skipped: (if exists r.skipped then float(v: r.skipped) else 0.0) / float(v: r.all)}))
    |> sort(columns: ["_time"])

// shares are the plays that are one thing or another, of all, whatever their length.
shares = () => {
    plays = allPlays() |> count() |> total()
    share = (what, field) => ({what: what, share: float(v: marked(field: field) |> count() |> total()) / float(v: plays)})

    return array.from(
            rows: [
                share(what: "skipped", field: "skipped"),
                share(what: "on shuffle", field: "shuffle"),
                share(what: "offline", field: "offline"),
                share(what: "explicit", field: "explicit"),
            ],
        )
        |> filter(fn: (r) => plays > 0)
}

// days is the hours of each day, with its streak: which day in a row it is on which
// something was heard, -1 if it is none.
days = () => ms()
    |> perDay()
    |> stateCount(fn: (r) => r._value > 0, column: "streak")

// streaks are days in a row on which something was heard.
streaks = () => {
    row = (tables=<-, what) => tables
        |> map(fn: (r) => ({what: what, days: if r.streak > 0 then r.streak else 0}))

    return union(tables: [days() |> max(column: "streak") |> row(what: "longest"), days() |> last(column: "streak") |> row(what: "until now")])
        |> group()
        |> sort(columns: ["what"])
}

// calendar is a row for each week, by its end, as heatmaps want it, and the hours of its days.
calendar = (tables=<-) => tables
    |> perDay()
    |> map(
        fn: (r) => {
            weekday = (date.weekDay(t: r._time) + 6) % 7

            return {
                // From noon on, so that an hour more or less of a change of the clocks does not matter.
                Time: date.truncate(t: date.add(d: duration(v: (7 - weekday) * 86400000000000), to: date.add(d: 12h, to: r._time)), unit: 1d),
                order: weekday,
                day: weekdays[weekday],
                hours: float(v: r._value) / 3600000.0,
            }
        },
    )
    |> sort(columns: ["order", "Time"])
    |> pivot(rowKey: ["Time"], columnKey: ["day"], valueColumn: "hours")
    |> sort(columns: ["Time"])

// weekdays are their names.
weekdays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]

// hours24 are the hours of a day.
hours24 = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]

// week is the hours listened in each hour of the day, a row, and day of the week, a
// column, where a play counts for the hour in which it ended.
week = (tables=<-) => {
    cells = tables
        |> map(fn: (r) => ({cell: r.weekday * 24 + r.hour, ms: r.ms_played}))
        |> group(columns: ["cell"])
        |> sum(column: "ms")
        |> group()
        |> map(fn: (r) => ({hour: r.cell % 24, weekday: (r.cell - 24) / 24, hours: float(v: r.ms) / 3600000.0}))
    empty = array.from(
        rows: array.concat(
            arr: hours24 |> array.map(fn: (x) => ({hour: x, weekday: 0, hours: 0.0})),
            v: [1, 2, 3, 4, 5, 6] |> array.map(fn: (x) => ({hour: 0, weekday: x, hours: 0.0})),
        ),
    )

    return union(tables: [cells, empty])
        |> group(columns: ["hour", "weekday"])
        |> sum(column: "hours")
        |> group()
        |> map(fn: (r) => ({hour: r.hour, order: r.weekday, day: weekdays[r.weekday], hours: r.hours}))
        |> sort(columns: ["order", "hour"])
        |> unlessNothing(column: "hours", by: ["order", "hour"])
        |> pivot(rowKey: ["hour"], columnKey: ["day"], valueColumn: "hours")
        |> sort(columns: ["hour"])
}

// clock is the hours listened in each hour of the day.
clock = (tables=<-) => {
    plays = tables
        |> group(columns: ["hour"])
        |> sum(column: "ms_played")
        |> group()
        |> map(fn: (r) => ({hour: r.hour, hours: float(v: r.ms_played) / 3600000.0}))

    return union(tables: [plays, array.from(rows: hours24 |> array.map(fn: (x) => ({hour: x, hours: 0.0})))])
        |> group(columns: ["hour"])
        |> sum(column: "hours")
        |> group()
        |> sort(columns: ["hour"])
        |> unlessNothing(column: "hours", by: ["hour"])
        |> map(fn: (r) => ({hour: (if r.hour < 10 then "0" else "") + string(v: r.hour), hours: r.hours}))
}

// sessions is a row for each session, which ends when nothing is heard for half an
// hour: _time is its start, hours is how long it lasted, breaks included.
sessions = (start=v.timeRangeStart, stop=v.timeRangeStop) => {
    end = array.from(rows: [{_time: 2262-01-01T00:00:00Z, ms_played: 0}, {_time: 1970-01-01T00:00:00Z, ms_played: 0}]) // so that the first and last one are between others

    return union(tables: [ms(start: start, stop: stop) |> group() |> keep(columns: ["_time", "_value"]) |> rename(columns: {_value: "ms_played"}), end])
        |> sort(columns: ["_time"])
        |> elapsed(unit: 1ms, columnName: "quiet")
        |> filter(fn: (r) => r.quiet - r.ms_played > 1800000)
        |> map(fn: (r) => ({_time: r._time, began: int(v: r._time) / 1000000 - r.ms_played, ended: int(v: r._time) / 1000000 - r.quiet}))
        |> sort(columns: ["_time"], desc: true)
        |> duplicate(column: "ended", as: "before") // when the session before this one ended
        |> difference(columns: ["ended"], keepFirst: true)
        |> filter(fn: (r) => exists r.ended)
        |> map(fn: (r) => ({_time: time(v: r.began * 1000000), hours: float(v: r.before - r.ended - r.began) / 3600000.0}))
        |> sort(columns: ["_time"])
}

// slices is the hours of each name, the n first and the others as one.
slices = (tables=<-, n=8) => {
    some = tables
        |> group(columns: ["name"])
        |> sum(column: "ms_played")
        |> group()
        |> sort(columns: ["ms_played"], desc: true)
        |> map(fn: (r) => ({name: r.name, ms: r.ms_played, rank: 1}))
        |> cumulativeSum(columns: ["rank"])

    return some
        |> map(fn: (r) => ({name: if r.rank <= n then r.name else "others", hours: float(v: r.ms) / 3600000.0, rank: if r.rank <= n then r.rank else n + 1}))
        |> group(columns: ["name", "rank"])
        |> sum(column: "hours")
        |> group()
        |> sort(columns: ["rank"])
        |> keep(columns: ["name", "hours"])
}

// credited is a row for each artist who is credited on a play, featured ones too: key,
// ms, plays, and the _time of one play.
credited = () => {
    all = credits(fields: (r) => r._field == "artist_key" or r._field == "ms_played" or r._field == "plays") |> rows()
    some = if shortest == 0 then all else all |> filter(fn: (r) => r.ms_played >= shortest)

    return some |> rename(columns: {artist_key: "key", ms_played: "ms"}) |> sums()
}

// asCredited adds the name of the artist in a row of a top of those.
asCredited = (tables=<-) => tables
    |> each(
        read: (row) => credits(fields: (r) => r._field == "artist" or r._field == "artist_key", start: row._time, stop: date.add(d: 1ns, to: row._time))
            |> rows()
            |> filter(fn: (r) => r.artist_key == row.key)
            |> map(fn: (r) => ({artist: r.artist, plays: row.plays, hours: row.hours})),
    )

// discoveries counts who and what was heard for the first time ever.
discoveries = () => array.from(
        rows: [
            {what: "artists", number: firsts(measurement: "artist_total") |> total()},
            {what: "songs", number: firsts(measurement: "track_total") |> total()},
        ],
    )

// ofTop is the hours of the ten first artists and those of all others.
ofTop = () => {
    tops = artists() |> top(by: "hours") |> withFields(fields: (r) => r._field == "artist") |> keep(columns: ["artist", "hours", "rank"])
    all = array.from(rows: [{hours: float(v: ms() |> total()) / 3600000.0}])

    return union(
            tables: [
                tops,
                union(tables: [all, tops |> map(fn: (r) => ({hours: -r.hours}))])
                    |> sum(column: "hours")
                    |> map(fn: (r) => ({artist: "all others", hours: r.hours, rank: 11})),
            ],
        )
        |> filter(fn: (r) => r.hours > 0.0)
        |> sort(columns: ["rank"])
        |> keep(columns: ["artist", "hours"])
}

// sessionFacts are the number of sessions, their mean length and the longest one.
sessionFacts = () => sessions()
    |> reduce(
        identity: {sessions: 0, sum: 0.0, longest: 0.0},
        fn: (r, accumulator) => ({
            sessions: accumulator.sessions + 1,
            sum: accumulator.sum + r.hours,
            longest: if r.hours > accumulator.longest then r.hours else accumulator.longest,
        }),
    )
    |> map(fn: (r) => ({sessions: r.sessions, mean: r.sum / float(v: r.sessions), longest: r.longest}))

// kinds are what was listened to.
kinds = () => played(fields: (r) => r._field == "kind" or r._field == "ms_played")
    |> group(columns: ["kind"])
    |> sum(column: "ms_played")
    |> group()
    |> map(
        fn: (r) => ({
            name: if r.kind == "episode" then "podcasts" else if r.kind == "chapter" then "audiobooks" else "music",
            ms_played: r.ms_played,
        }),
    )
    |> slices()

// devices are what it was listened to on; exports know the platform only.
devices = () => played(fields: (r) => r._field == "device" or r._field == "platform" or r._field == "ms_played")
    |> group(columns: ["device", "platform"])
    |> sum(column: "ms_played")
    |> group()
    |> map(fn: (r) => ({name: if r.device != "" then r.device else if r.platform != "" then r.platform else "not known", ms_played: r.ms_played}))
    |> slices()

// contexts are what it was played from; exports do not know them.
contexts = () => played(fields: (r) => r._field == "context_type" or r._field == "ms_played")
    |> group(columns: ["context_type"])
    |> sum(column: "ms_played")
    |> group()
    |> map(fn: (r) => ({name: if r.context_type != "" then r.context_type else "not known", ms_played: r.ms_played}))
    |> slices()

// decades are the hours of music of each decade of release.
decades = () => played(fields: (r) => r._field == "release_year" or r._field == "ms_played")
    |> map(fn: (r) => ({decade: r.release_year / 10, ms: r.ms_played}))
    |> group(columns: ["decade"])
    |> sum(column: "ms")
    |> group()
    |> sort(columns: ["decade"])
    |> map(fn: (r) => ({decade: if r.decade > 0 then string(v: r.decade) + "0s" else "not known", hours: float(v: r.ms) / 3600000.0}))

// recent is the plays that ended last, newest first. Whether one was heard to the end may not
// be known.
recent = (n=50) => listens(
        fields: (r) =>
            r._field == "track" or r._field == "artist" or r._field == "album" or r._field == "track_id" or r._field == "kind"
                or r._field == "image_url" or r._field == "ms_played" or r._field == "duration_ms" or r._field == "skipped"
                or r._field == "reason_end" or r._field == "device",
    )
    |> tail(n: n)
    |> rows()
    |> filter(fn: (r) => r.ms_played >= shortest)
    |> map(
        fn: (r) => ({r with heard: if r.skipped then
                "skipped"
            else if r.reason_end == "trackdone" or r.duration_ms > 0 and r.ms_played * 10 >= r.duration_ms * 9 then
                "whole"
            else if r.duration_ms == 0 and r.reason_end == "" then
                ""
            else
                "part", page: pageOf(kind: r.kind)}),
    )
    |> sort(columns: ["_time"], desc: true)

// pageOf is the sort of page of open.spotify.com that a thing has. A file of the listener's
// own has none and no id: its search page.
pageOf = (kind) => if kind == "track" then "track" else if kind == "local" then "search" else "episode"

// gaps are holes in the history, for annotations.
gaps = () => from(bucket: "${bucket}")
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "gap" and r.account == "${account}")
    |> rows()
    |> map(
        fn: (r) => ({
            _time: r._time,
            timeEnd: time(v: r.ended_ms * 1000000),
            title: "Gap",
            text: if r.open then "Plays may be missing here: import your extended history" else "Closed: an import has filled it, or it was accepted",
        }),
    )

// overWeek moves the mean of a value and the six days before it.
overWeek = (tables=<-) => tables |> movingAverage(n: 7)
