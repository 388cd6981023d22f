package grafana

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Range is a board's time range at one moment, and the time zone in which its
// days and weeks begin.
type Range struct {
	From, To time.Time
	Location *time.Location
}

// NewRange reads a range as boards have it: from and to each an RFC 3339 time,
// milliseconds since 1970, or "now" with arithmetic such as now-90d, now/y or
// now-1M/M. As in Grafana, rounding goes down in from and up to the last
// millisecond in to; weeks begin on weekStart.
func NewRange(from, to string, now time.Time, location *time.Location, weekStart time.Weekday) (Range, error) {
	r := Range{Location: location}
	var err error
	if r.From, err = parseTime(from, now.In(location), weekStart, false); err != nil {
		return r, fmt.Errorf("start of the time range: %w", err)
	}
	if r.To, err = parseTime(to, now.In(location), weekStart, true); err != nil {
		return r, fmt.Errorf("end of the time range: %w", err)
	}
	if !r.From.Before(r.To) {
		return r, fmt.Errorf("the time range is empty: %q to %q", from, to)
	}
	return r, nil
}

var (
	relative = regexp.MustCompile(`^now((?:[-+/]\d*[smhdwMQy])*)$`)
	step     = regexp.MustCompile(`([-+/])(\d*)([smhdwMQy])`)
)

func parseTime(text string, now time.Time, weekStart time.Weekday, up bool) (time.Time, error) {
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.UnixMilli(ms), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	arithmetic := relative.FindStringSubmatch(text)
	if arithmetic == nil {
		return time.Time{}, fmt.Errorf(`must be RFC 3339, milliseconds, or "now" with steps such as -90d or /M (got %q)`, text)
	}
	t := now.Truncate(time.Millisecond)
	for _, part := range step.FindAllStringSubmatch(arithmetic[1], -1) {
		count, err := strconv.Atoi(part[2])
		if part[2] == "" {
			count = 1
		} else if err != nil || part[1] == "/" {
			return time.Time{}, fmt.Errorf("step %q cannot be taken (in %q)", part[0], text)
		}
		switch part[1] {
		case "-":
			t = add(t, -count, part[3])
		case "+":
			t = add(t, count, part[3])
		case "/":
			t = start(t, part[3], weekStart)
			if up {
				t = add(t, 1, part[3]).Add(-time.Millisecond)
			}
		}
	}
	return t, nil
}

// add moves t by so many units, of which days and longer ones are the calendar's.
func add(t time.Time, count int, unit string) time.Time {
	switch unit {
	case "s":
		return t.Add(time.Duration(count) * time.Second)
	case "m":
		return t.Add(time.Duration(count) * time.Minute)
	case "h":
		return t.Add(time.Duration(count) * time.Hour)
	case "d":
		return t.AddDate(0, 0, count)
	case "w":
		return t.AddDate(0, 0, 7*count)
	case "Q":
		count *= 3
	case "y":
		count *= 12
	}
	// moment.js stays in the month: a month after January 31 is the end of February.
	moved := time.Date(t.Year(), t.Month()+time.Month(count), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
	last := moved.AddDate(0, 1, -1).Day()
	return moved.AddDate(0, 0, min(t.Day(), last)-1)
}

// start is the beginning of the unit that t is in.
func start(t time.Time, unit string, weekStart time.Weekday) time.Time {
	year, month, day := t.Date()
	switch unit {
	case "s":
		return t.Truncate(time.Second)
	case "m":
		return t.Truncate(time.Minute)
	case "h":
		return t.Add(-time.Duration(t.Minute())*time.Minute - time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
	case "w":
		day -= (int(t.Weekday()) - int(weekStart) + 7) % 7
	case "M":
		day = 1
	case "Q":
		month, day = month-(month-1)%3, 1
	case "y":
		month, day = 1, 1
	}
	return time.Date(year, month, day, 0, 0, 0, 0, t.Location())
}

// Interval is the page's $__interval for a range that is drawn with so many
// points: a round value, and at least lowest (a panel's "Min interval", 0 for
// none). It goes to /api/ds/query as intervalMs, where it becomes v.windowPeriod.
func (r Range) Interval(maxDataPoints int, lowest time.Duration) time.Duration {
	exact := r.To.Sub(r.From) / time.Duration(max(1, maxDataPoints))
	round := 365 * 24 * time.Hour
	for _, step := range roundIntervals {
		if exact < step.below {
			round = step.interval
			break
		}
	}
	return max(round, lowest)
}

// roundIntervals are the values that Grafana rounds intervals to, and up to which
// length each is taken (rangeutil.ts, roundInterval).
var roundIntervals = []struct{ below, interval time.Duration }{
	{10 * time.Millisecond, time.Millisecond},
	{15 * time.Millisecond, 10 * time.Millisecond},
	{35 * time.Millisecond, 20 * time.Millisecond},
	{75 * time.Millisecond, 50 * time.Millisecond},
	{150 * time.Millisecond, 100 * time.Millisecond},
	{350 * time.Millisecond, 200 * time.Millisecond},
	{750 * time.Millisecond, 500 * time.Millisecond},
	{1500 * time.Millisecond, time.Second},
	{3500 * time.Millisecond, 2 * time.Second},
	{7500 * time.Millisecond, 5 * time.Second},
	{12500 * time.Millisecond, 10 * time.Second},
	{17500 * time.Millisecond, 15 * time.Second},
	{25 * time.Second, 20 * time.Second},
	{45 * time.Second, 30 * time.Second},
	{90 * time.Second, time.Minute},
	{210 * time.Second, 2 * time.Minute},
	{450 * time.Second, 5 * time.Minute},
	{750 * time.Second, 10 * time.Minute},
	{1050 * time.Second, 15 * time.Minute},
	{1500 * time.Second, 20 * time.Minute},
	{45 * time.Minute, 30 * time.Minute},
	{90 * time.Minute, time.Hour},
	{150 * time.Minute, 2 * time.Hour},
	{270 * time.Minute, 3 * time.Hour},
	{9 * time.Hour, 6 * time.Hour},
	{24 * time.Hour, 12 * time.Hour},
	{7 * 24 * time.Hour, 24 * time.Hour},
	{21 * 24 * time.Hour, 7 * 24 * time.Hour},
	{42 * 24 * time.Hour, 30 * 24 * time.Hour},
}
