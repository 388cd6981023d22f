// readable are the buckets that the data source may read, its own first.
readable = () => union(
        tables: [
            array.from(rows: [{_value: v.defaultBucket, order: 0}]),
            buckets()
                |> filter(fn: (r) => r.name != v.defaultBucket and r.name !~ /^_/)
                |> map(fn: (r) => ({_value: r.name, order: 1})),
        ],
    )
    |> group()
    |> sort(columns: ["order", "_value"])
    |> keep(columns: ["_value"])
