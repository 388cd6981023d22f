package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// parseTime reads a time as people and scripts give it on the command line: RFC
// 3339; a day or a day and a time in zone; or how long ago (90m, 12h, 7d, 2w).
func parseTime(text string, now time.Time, zone *time.Location) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	if len(text) > 1 {
		n, err := strconv.ParseUint(text[:len(text)-1], 10, 16)
		ago := -int(n)
		switch unit := text[len(text)-1]; {
		case err != nil:
		case unit == 'w':
			return now.In(zone).AddDate(0, 0, 7*ago), nil
		case unit == 'd':
			return now.In(zone).AddDate(0, 0, ago), nil
		case unit == 'h':
			return now.Add(time.Duration(ago) * time.Hour), nil
		case unit == 'm':
			return now.Add(time.Duration(ago) * time.Minute), nil
		}
	}
	return time.Time{}, fmt.Errorf("must be like 2026-11-22, \"2026-11-22 18:30\", 2026-11-22T18:30:00+01:00, or 7d, 12h or 30m for how long ago (got %q)", text)
}

// period is the part of the command line that chooses a time.
type period struct {
	From string `placeholder:"TIME" help:"Plays that ended at this time or later: 2026-11-22, \"2026-11-22 18:30\", RFC 3339, or 7d, 12h for how long ago."`
	To   string `placeholder:"TIME" help:"Plays that ended before this time."`
}

// parse returns the bounds, zero where there is none.
func (p *period) parse(now time.Time, zone *time.Location) (from, to time.Time, err error) {
	var fromErr, toErr error
	if p.From != "" {
		if from, fromErr = parseTime(p.From, now, zone); fromErr != nil {
			fromErr = fmt.Errorf("--from: %w", fromErr)
		}
	}
	if p.To != "" {
		if to, toErr = parseTime(p.To, now, zone); toErr != nil {
			toErr = fmt.Errorf("--to: %w", toErr)
		}
	}
	if err := errors.Join(fromErr, toErr); err != nil {
		return from, to, usageError{err}
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return from, to, usageError{fmt.Errorf("--from: must be before --to (got %s and %s)", from.Format(time.RFC3339), to.Format(time.RFC3339))}
	}
	return from, to, nil
}
