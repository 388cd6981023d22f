// years are those of which there are plays, the last one first, this year if there are none.
years = () => {
    found = from(bucket: "${bucket}")
        |> range(start: 2000-01-01T00:00:00Z, stop: 2000-01-02T00:00:00Z)
        |> filter(fn: (r) => r._measurement == "artist_year" and r.account == "${account}" and r._field == "rank" and r._value == 1)
        |> group()
        |> keep(columns: ["year"])
        |> sort(columns: ["year"], desc: true)

    return if length(arr: found |> findColumn(fn: (key) => true, column: "year")) > 0 then
        found
    else
        array.from(rows: [{year: string(v: date.year(t: now()))}])
}

// midyear is a time that is in the year wherever the listener lives.
midyear = ${year}-07-01T00:00:00Z

// newYear is when it begins, and yearEnd when the next one does.
newYear = date.truncate(t: midyear, unit: 1y)

yearEnd = date.truncate(t: date.add(d: 1y, to: midyear), unit: 1y)

// lastNewYear is when the year before it begins.
lastNewYear = date.truncate(t: date.sub(d: 1y, from: midyear), unit: 1y)

// yearFacts are its hours and plays, and those of the year before.
yearFacts = () => array.from(
        rows: [
            {
                hours: float(v: ms(start: newYear, stop: yearEnd) |> total()) / 3600000.0,
                plays: counted(start: newYear, stop: yearEnd) |> total(),
                before: float(v: ms(start: lastNewYear, stop: newYear) |> total()) / 3600000.0,
            },
        ],
    )

// yearNews are the artists and songs that were first heard in the year.
yearNews = () => array.from(
        rows: [
            {what: "artists", number: firsts(measurement: "artist_total", start: newYear, stop: yearEnd) |> total()},
            {what: "songs", number: firsts(measurement: "track_total", start: newYear, stop: yearEnd) |> total()},
        ],
    )

// yearDays are the hours of each of its days.
yearDays = () => ms(start: newYear, stop: yearEnd) |> perDay()

// biggestDay is the day on which most was heard.
biggestDay = () => yearDays()
    |> max()
    |> filter(fn: (r) => r._value > 0)
    |> map(fn: (r) => ({day: dateOf(t: r._time), hours: float(v: r._value) / 3600000.0}))

// longestSession is when it began and how long it lasted, breaks of less than half an
// hour included.
longestSession = () => sessions(start: newYear, stop: yearEnd)
    |> max(column: "hours")
    |> map(fn: (r) => ({day: dateOf(t: r._time), hours: r.hours}))

// longestStreak is the most days in a row on which something was heard.
longestStreak = () => yearDays()
    |> stateCount(fn: (r) => r._value > 0, column: "days")
    |> max(column: "days")
    |> filter(fn: (r) => r.days > 0)
    |> keep(columns: ["days"])

// mostRepeated is the song that was heard most often in one day. A row at each midnight,
// of no song, numbers the days for the plays that follow. A day and where the song's total
// stands, within one day, are one number.
mostRepeated = () => {
    found = played(fields: (r) => r._field == "song_total" or r._field == "ms_played" or r._field == "plays", start: newYear, stop: yearEnd)
    midnights = yearDays()
        |> map(fn: (r) => ({_time: r._time, day: 1, song_total: 0, ms_played: 0, plays: 0}))
        |> cumulativeSum(columns: ["day"])

    return union(tables: [found |> drop(columns: [""]), midnights |> drop(columns: [""])])
        |> sort(columns: ["_time"])
        |> fill(column: "day", usePrevious: true)
        |> filter(fn: (r) => r.song_total > 0)
        |> map(fn: (r) => ({_time: r._time, key: r.day * 86400000000000 + r.song_total, ms: r.ms_played, plays: r.plays}))
        |> summed(last: 9223372036854775807)
        |> top(by: "plays", n: 1)
        |> filter(fn: (r) => r.plays > 0)
        |> withFields(fields: (r) => r._field == "track" or r._field == "artist")
        |> map(fn: (r) => ({song: r.track + " – " + r.artist, times: r.plays, day: dateOf(t: r._time)}))
}

// months are the hours of each month of the year and of the one before.
months = () => {
    hoursOf = (start, stop, year) => ms(start: start, stop: stop)
        |> perDay(every: 1mo)
        |> map(fn: (r) => ({month: date.month(t: r._time), year: year, hours: float(v: r._value) / 3600000.0}))

    return union(
            tables: [
                hoursOf(start: newYear, stop: yearEnd, year: "this year"),
                hoursOf(start: lastNewYear, stop: newYear, year: "the year before"),
            ],
        )
        |> sort(columns: ["year", "month"])
        |> pivot(rowKey: ["month"], columnKey: ["year"], valueColumn: "hours")
        |> sort(columns: ["month"])
        |> map(fn: (r) => ({r with month: monthNames[r.month - 1]}))
}

// monthNames are the months' names.
monthNames = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

// yearWeeks is a row for each week of the year, by its number, and the hours of its days.
yearWeeks = () => {
    first = (date.weekDay(t: newYear) + 6) % 7

    return yearDays()
        |> map(
            fn: (r) => {
                weekday = (date.weekDay(t: r._time) + 6) % 7

                return {
                    week: (date.yearDay(t: r._time) - 1 + first) / 7 + 1,
                    order: weekday,
                    day: weekdays[weekday],
                    hours: float(v: r._value) / 3600000.0,
                }
            },
        )
        |> sort(columns: ["order", "week"])
        |> pivot(rowKey: ["week"], columnKey: ["day"], valueColumn: "hours")
        |> sort(columns: ["week"])
}
