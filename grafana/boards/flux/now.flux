// heard reads fields of the plays of all accounts that are chosen, from start on.
heard = (fields, start=v.timeRangeStart) => from(bucket: "${bucket}")
    |> range(start: start, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "listen" and r.account =~ /^${account:regex}$/)
    |> filter(fn: fields)

// today adds up a field since midnight, for each of those accounts.
today = (field) => heard(fields: (r) => r._field == field, start: date.truncate(t: v.timeRangeStop, unit: 1d))
    |> group(columns: ["account"])
    |> sum()
    |> group()
    |> sort(columns: ["account"])
