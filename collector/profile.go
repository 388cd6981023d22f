package collector

import (
	"context"
	"math"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

const (
	hoursOfWeek = 7 * 24
	// profileWeeks is how far back a listener's habits are learned from.
	profileWeeks = 8
	// profileLife is for how long what was learned of them holds.
	profileLife = 24 * time.Hour
	// sessionPause is after what silence listening counts as a new start.
	sessionPause = 15 * time.Minute
)

// profile is when a listener listens, by hour of the week where the listener
// lives: hour 0 is Monday's first.
type profile struct {
	starts [hoursOfWeek]float64 // starts of listening an hour, 1 on average
	share  [hoursOfWeek]float64 // of the hour that something plays, 0 to 1
}

// unknownProfile is that of a listener of whom nothing is known yet.
func unknownProfile() *profile {
	var p profile
	for h := range hoursOfWeek {
		p.starts[h], p.share[h] = 1, 0.1
	}
	return &p
}

// learnProfile reads the last weeks of an account.
func learnProfile(ctx context.Context, j *journal.Journal, account string, zone *time.Location, now time.Time) (*profile, error) {
	var starts, listened [hoursOfWeek]float64
	var first, last time.Time
	plays := 0
	for play, err := range j.Plays(ctx, journal.Filter{Account: account, From: now.AddDate(0, 0, -7*profileWeeks)}) {
		if err != nil {
			return nil, err
		}
		plays++
		began := play.EndedAt.Add(-time.Duration(play.MSPlayed) * time.Millisecond)
		if first.IsZero() {
			first = began
		}
		hour := hourOfWeek(began.In(zone))
		if began.Sub(last) > sessionPause {
			starts[hour]++
		}
		listened[hour] += float64(play.MSPlayed) / 3_600_000
		last = play.EndedAt
	}
	if plays == 0 {
		return unknownProfile(), nil
	}
	weeks := max(1, now.Sub(first).Hours()/hoursOfWeek)
	p := smooth(&starts, &listened, weeks)
	return p, nil
}

// hourOfWeek is 0 for Monday's first hour.
func hourOfWeek(t time.Time) int {
	return (int(t.Weekday())+6)%7*24 + t.Hour()
}

// smooth makes rates of counts. A few weeks are few for 168 hours, so an hour
// learns from those beside it and from the same hour of the other days.
func smooth(starts, listened *[hoursOfWeek]float64, weeks float64) *profile {
	around := func(of *[hoursOfWeek]float64, h int) float64 {
		beside := (of[h] + of[(h+1)%hoursOfWeek] + of[(h+hoursOfWeek-1)%hoursOfWeek]) / 3
		var days float64
		for d := range 7 {
			days += of[(h+24*d)%hoursOfWeek]
		}
		return (beside + days/7) / 2 / weeks
	}
	var p profile
	var total float64
	for h := range hoursOfWeek {
		// An hour at which nobody ever listened is not impossible.
		p.starts[h] = around(starts, h) + 0.02
		p.share[h] = min(1, around(listened, h))
		total += p.starts[h]
	}
	for h := range hoursOfWeek {
		p.starts[h] *= hoursOfWeek / total
	}
	return &p
}

// wanted is how many looks are wanted in an hour of the week.
func (p *profile) wanted(hour int) float64 {
	return p.share[hour]*looksPlaying + (1-p.share[hour])*looksIdle*p.curiosity(hour)
}

// curiosity is how often an idle player is worth a look in an hour of the week, 1
// on average of the looks. With a fixed number of looks the time until a start is
// noticed is shortest if they are spread as the square root of the starts.
func (p *profile) curiosity(hour int) float64 { return math.Sqrt(p.starts[hour]) }
