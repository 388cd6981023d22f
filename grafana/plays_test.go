package grafana_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// counted is how many ms a play has to last to count, as by default.
const counted = 30_000

// listening are plays of one account, oldest first, and what follows from them: the
// boards' numbers computed once more, in another way.
type listening []play

// between are the plays that ended in from <= end < to, of at least minimum.
func (a *account) between(from, to time.Time, minimum time.Duration) listening {
	var chosen listening
	for _, p := range a.plays {
		if p.pointNS >= from.UnixNano() && p.pointNS < to.UnixNano() && p.msPlayed >= minimum.Milliseconds() {
			chosen = append(chosen, p)
		}
	}
	return chosen
}

// where are the plays for which it holds.
func (l listening) where(holds func(*play) bool) listening {
	var chosen listening
	for _, p := range l {
		if holds(&p) {
			chosen = append(chosen, p)
		}
	}
	return chosen
}

func (p *play) counts() bool { return p.msPlayed >= counted }

// heard is how much of it was heard, "" if that is not known.
func (p *play) heard() string {
	switch {
	case p.skipped:
		return "skipped"
	case p.reasonEnd == "trackdone", p.durationMS > 0 && p.msPlayed*10 >= p.durationMS*9:
		return "whole"
	case p.durationMS > 0, p.reasonEnd != "":
		return "part"
	}
	return ""
}

func (p *play) artist() string {
	if len(p.artists) == 0 {
		return ""
	}
	return p.artists[0]
}

// hours are all that was listened.
func (l listening) hours() float64 {
	var ms int64
	for _, p := range l {
		ms += p.msPlayed
	}
	return float64(ms) / 3_600_000
}

// plays are those that count.
func (l listening) plays() int {
	n := 0
	for _, p := range l {
		if p.counts() {
			n++
		}
	}
	return n
}

// by puts plays together that share a key; those without one are left out.
func by[K comparable](l listening, key func(*play) K) map[K]listening {
	groups := map[K]listening{}
	var none K
	for _, p := range l {
		if k := key(&p); k != none {
			groups[k] = append(groups[k], p)
		}
	}
	return groups
}

func artistKey(p *play) string { return p.artistKey }
func albumKey(p *play) string  { return p.albumKey }

// songKey is "" of what is no music.
func songKey(p *play) string {
	if p.kind != "track" && p.kind != "local" {
		return ""
	}
	return p.songKey
}

// day is a date as it was where the listener was.
func day(p *play) string { return p.ended.Format(time.DateOnly) }

// monday is the first day of the week that a play ended in.
func monday(p *play) string {
	return p.ended.AddDate(0, 0, -(int(p.ended.Weekday())+6)%7).Format(time.DateOnly)
}

// dates are the days from one moment to another, where the listener is.
func dates(from, to time.Time, zone *time.Location) []string {
	year, month, day := from.In(zone).Date()
	var all []string
	for d := time.Date(year, month, day, 12, 0, 0, 0, time.UTC); ; d = d.AddDate(0, 0, 1) {
		date := d.Format(time.DateOnly)
		if date > to.Add(-1).In(zone).Format(time.DateOnly) {
			return all
		}
		all = append(all, date)
	}
}

// streak is the most of these days in a row on which there was a play, and how many
// there were at their end.
func (l listening) streak(days []string) (longest, atEnd int) {
	heard := by(l, day)
	for _, d := range days {
		if heard[d].hours() > 0 {
			atEnd++
		} else {
			atEnd = 0
		}
		longest = max(longest, atEnd)
	}
	return longest, atEnd
}

// clock are the hours of each hour of the day.
func (l listening) clock() map[string]float64 {
	clock := map[string]float64{}
	for hour := range 24 {
		clock[fmt.Sprintf("%02d", hour)] = l.where(func(p *play) bool { return p.ended.Hour() == hour }).hours()
	}
	return clock
}

// week are the hours of each hour of each day of the week.
func (l listening) week() map[string]float64 {
	week := map[string]float64{}
	for hour := range 24 {
		for _, day := range weekdays {
			week[fmt.Sprintf("%s %d", day, hour)] = 0
		}
	}
	for _, p := range l {
		week[p.ended.Format("Mon ")+fmt.Sprint(p.ended.Hour())] += float64(p.msPlayed) / 3_600_000
	}
	return week
}

// began is when a play began that had no pause.
func (p *play) began() time.Time { return p.ended.Add(-time.Duration(p.msPlayed) * time.Millisecond) }

// sessions are plays without a break of more than this between them.
func (l listening) sessions(pause time.Duration) []listening {
	var all []listening
	for i, p := range l {
		if i == 0 || p.began().Sub(l[i-1].ended) > pause {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], p)
	}
	return all
}

// firsts are the first plays ever of each key.
func (l listening) firsts(key func(*play) string) listening {
	var first listening
	seen := map[string]bool{}
	for _, p := range l {
		if k := key(&p); k != "" && !seen[k] {
			seen[k] = true
			first = append(first, p)
		}
	}
	return first
}

// top is one line of a ranking.
type top struct {
	key   string
	hours float64
	plays int
	all   listening
}

// tops ranks groups by hours or plays, then by the other, then by key.
func tops(groups map[string]listening, order string) []top {
	var all []top
	for key, plays := range groups {
		all = append(all, top{strings.Replace(key, "\x1f", " – ", 1), plays.hours(), plays.plays(), plays})
	}
	slices.SortFunc(all, func(a, b top) int {
		hours, plays := cmp.Compare(b.hours, a.hours), cmp.Compare(b.plays, a.plays)
		if order == "plays" {
			hours, plays = plays, hours
		}
		return cmp.Or(hours, plays, cmp.Compare(b.key, a.key))
	})
	return all
}
