package grafana

import (
	"encoding/json"
	"time"
)

// A snapshot tells no time zone, which would name a country. Its times are those that the listener's clock showed, as if
// they were UTC, and so is its zone: days begin at midnight for visitors as well, in summer and in winter. An offset would
// be wrong in one of them.

// wallClock returns the time in UTC at which a clock shows what one in a zone shows at t.
func wallClock(t time.Time, zone *time.Location) time.Time {
	_, offset := t.In(zone).Zone()
	return t.Add(time.Duration(offset) * time.Second)
}

// toWallClock changes the times in a frame, also those in columns of numbers.
func (f *frame) toWallClock(zone *time.Location) {
	for i, column := range f.Data.Values[:min(len(f.Data.Values), len(f.Schema.Fields))] {
		for row, value := range column {
			number, ok := value.(json.Number)
			if !ok {
				continue
			}
			if ms := milliseconds(number); isTime(f.Schema.Fields[i].Type, ms) {
				column[row] = wallClock(time.UnixMilli(ms), zone).UnixMilli()
			}
		}
	}
}

// milliseconds returns a number without its fraction.
func milliseconds(number json.Number) int64 {
	ms, err := number.Int64()
	if err != nil {
		float, _ := number.Float64()
		ms = int64(float)
	}
	return ms
}

// isTime reports whether a number in a column of a type is a time in milliseconds.
func isTime(kind string, ms int64) bool {
	return kind == "time" || ms >= firstTime && ms < lastTime
}
