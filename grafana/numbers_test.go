package grafana_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/grafana"
)

// check holds a board against what its account's journal has.
type check struct {
	*view
	t        *testing.T
	account  *account
	from, to time.Time
	zone     *time.Location
	heard    listening // in the range and not too short
	everyone listening // in the range
}

// eachView opens a board for both accounts, at two ranges and with two lengths of the
// shortest play. The longer range has both changes of the clocks in both time zones,
// and begins and ends within a day.
func eachView(t *testing.T, uid string, hold func(c *check)) {
	d := filled(t)
	b := readBoards(t)[uid]
	if b == nil {
		t.Fatalf("no board %s", uid)
	}
	for _, a := range d.accounts {
		for _, l := range []looking{
			{},
			{from: "2023-03-12T06:30:00Z", to: "2023-11-05T06:30:00Z"},
			{from: "2023-03-12T06:30:00Z", to: "2023-11-05T06:30:00Z", variables: map[string]string{"minimum": "60", "by": "plays"}},
		} {
			l.account = a.alias
			t.Run(strings.Trim(fmt.Sprint(a.alias, " ", l.from, " ", l.variables["minimum"]), " "), func(t *testing.T) {
				v, err := d.view(t, b, l)
				if err != nil {
					t.Fatal(err)
				}
				c := &check{view: v, t: t, account: a, from: v.scope.Range.From, to: v.scope.Range.To, zone: a.zone}
				minimum := time.Duration(0)
				if l.variables != nil {
					minimum = time.Minute
				}
				c.heard, c.everyone = a.between(c.from, c.to, minimum), a.between(c.from, c.to, 0)
				if len(c.heard) < 50 {
					t.Fatalf("%d plays between %v and %v: the test is about nothing", len(c.heard), c.from, c.to)
				}
				hold(c)
			})
		}
	}
}

// same complains unless two numbers, or all of two lists or maps of them, agree.
func (c *check) same(what string, got, want any) {
	c.t.Helper()
	if problem := differ(got, want); problem != "" {
		c.t.Errorf("%s: %s", what, problem)
	}
}

func differ(got, want any) string {
	switch want := want.(type) {
	case int:
		return differ(got, float64(want))
	case float64:
		if got, ok := got.(float64); !ok || math.Abs(got-want) > 1e-6 {
			return fmt.Sprintf("got %v, want %v", got, want)
		}
	case map[string]float64:
		got, _ := got.(map[string]float64)
		for key := range got {
			if _, ok := want[key]; !ok {
				return fmt.Sprintf("%s: got %v, want none", key, got[key])
			}
		}
		for key := range want {
			if _, ok := got[key]; !ok {
				return fmt.Sprintf("%s: got none, want %v", key, want[key])
			}
			if problem := differ(got[key], want[key]); problem != "" {
				return key + ": " + problem
			}
		}
	default:
		if got != want {
			return fmt.Sprintf("got %v, want %v", got, want)
		}
	}
	return ""
}

// row is the only row of a panel.
func (c *check) row(title string) map[string]any {
	c.t.Helper()
	rows := c.table(c.t, title)
	if len(rows) != 1 {
		c.t.Fatalf("%s: %d rows, want 1", title, len(rows))
	}
	return rows[0]
}

// dated complains unless a date is the same for viewers in any time zone.
func (c *check) dated(what string, value any, want string) {
	c.t.Helper()
	for _, viewer := range []string{"UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland", "Pacific/Pago_Pago"} {
		if got := shown(value, zone(c.t, viewer)); got != want {
			c.t.Errorf("%s: %q where the viewer lives in %s, want %q", what, got, viewer, want)
		}
	}
}

// shown is a date as a viewer sees it: times are shown where the viewer lives.
func shown(value any, viewer *time.Location) string {
	switch value := value.(type) {
	case time.Time:
		return value.In(viewer).Format(time.DateOnly)
	case float64:
		return time.UnixMilli(int64(value)).In(viewer).Format(time.DateOnly)
	}
	return fmt.Sprint(value)
}

// byText makes a map of a table with a text and a number.
func byText(rows []map[string]any, text, number string) map[string]float64 {
	values := map[string]float64{}
	for _, row := range rows {
		name, _ := row[text].(string)
		values[name], _ = row[number].(float64)
	}
	return values
}

// timeOf is the only time in a row.
func timeOf(row map[string]any) (at time.Time) {
	for _, value := range row {
		if t, ok := value.(time.Time); ok {
			at = t
		}
	}
	return at
}

// byDate makes a map of a series, in which only the listener's midnights may stand.
func (c *check) byDate(rows []map[string]any, number string) map[string]float64 {
	c.t.Helper()
	values := map[string]float64{}
	for i, row := range rows {
		at := timeOf(row)
		local := at.In(c.zone)
		if i > 0 && local.Format(time.TimeOnly) != "00:00:00" {
			c.t.Errorf("%v is no midnight in %v", at, c.zone)
		}
		values[local.Format(time.DateOnly)], _ = row[number].(float64)
	}
	return values
}

// perDay are the hours of each day of the range.
func (c *check) perDay(l listening, from, to time.Time) map[string]float64 {
	heard := by(l, day)
	days := map[string]float64{}
	for _, d := range dates(from, to, c.zone) {
		days[d] = heard[d].hours()
	}
	return days
}

func total(values map[string]float64) float64 {
	sum := 0.0
	for _, value := range values {
		sum += value
	}
	return sum
}

// tops holds a table of a top against the ten first of groups, whose names are those of
// one of their plays. Which of two with as much is first is the board's choice.
func (c *check) tops(title string, groups map[string]listening, name string, called func(p *play, name string) bool) {
	c.t.Helper()
	order := "hours"
	if variable, ok := c.scope.Variables["by"]; ok {
		order = variable.Values[0]
	}
	rows := c.table(c.t, title)
	want := tops(groups, order)
	if len(rows) != min(10, len(want)) {
		c.t.Errorf("%s: %d rows, want %d", title, len(rows), min(10, len(want)))
		return
	}
	names := map[string]bool{}
	for i, row := range rows {
		where := fmt.Sprintf("%s, rank %d (%s)", title, i+1, want[i].key)
		c.same(where+", hours", row["hours"], want[i].hours)
		c.same(where+", plays", row["plays"], want[i].plays)
		shown, _ := row[name].(string)
		if !slices.ContainsFunc(want, func(of top) bool { // one of those with as much
			return of.hours == want[i].hours && of.plays == want[i].plays && slices.ContainsFunc(of.all, func(p play) bool { return called(&p, shown) })
		}) {
			c.t.Errorf("%s: it is called %v", where, row[name])
		}
		if seen := fmt.Sprint(row[name], row["artist"]); names[seen] {
			c.t.Errorf("%s: %s is there twice", title, seen)
		} else {
			names[seen] = true
		}
	}
}

func TestListening(t *testing.T) {
	eachView(t, "spotify-listening", func(c *check) {
		days := c.perDay(c.heard, c.from, c.to)
		c.same("Hours", c.byDate(c.table(c.t, "Hours"), "hours"), days)
		c.same("Hours in all", total(days), c.heard.hours())
		midnight := c.midnight()
		days = c.perDay(c.account.between(midnight, c.to, c.minimum()), midnight, c.to)
		c.same("Hours per day", c.byDate(c.table(c.t, "Hours per day"), "hours"), days)

		earlier := midnight.AddDate(0, 0, -6)
		c.same("Hours per day, mean", c.byDate(c.table(c.t, "Hours per day", "B"), "mean of 7 days"), c.means(earlier, c.to, 0))
		const year = 364 // days: 52 weeks
		c.same("Hours per day, a year before", c.byDate(c.table(c.t, "Hours per day", "C"), "a year before"),
			c.means(earlier.AddDate(0, 0, -year), c.to.In(c.zone).AddDate(0, 0, -year), year))

		plays := map[string]float64{}
		for _, d := range dates(c.from, c.to, c.zone) {
			plays[d] = float64(by(c.heard, day)[d].plays())
		}
		c.same("Plays", c.byDate(c.table(c.t, "Plays"), "Value"), plays)

		length := c.to.Sub(c.from)
		before := c.account.between(c.from.Add(-length), c.from, c.minimum())
		c.same("Against the time before", byText(c.table(c.t, "Against the time before"), "what", "change"), map[string]float64{
			"hours": c.heard.hours()/before.hours() - 1,
			"plays": float64(c.heard.plays())/float64(before.plays()) - 1,
		})
		c.same("Different", byText(c.table(c.t, "Different"), "what", "number"), map[string]float64{
			"artists": float64(len(by(c.heard, artistKey))), "songs": float64(len(by(c.heard, songKey))), "albums": float64(len(by(c.heard, albumKey))),
		})
		longest, atEnd := c.heard.streak(dates(c.from, c.to, c.zone))
		c.same("Days in a row", byText(c.table(c.t, "Days in a row"), "what", "days"), map[string]float64{"longest": float64(longest), "until now": float64(atEnd)})

		c.tops("Top artists", by(c.heard, artistKey), "artist", func(p *play, name string) bool { return p.artist() == name })
		c.tops("Top songs", by(c.heard, songKey), "track", func(p *play, name string) bool { return p.name == name })
		c.tops("Top albums", by(c.heard, albumKey), "album", func(p *play, name string) bool { return p.album == name })

		c.same("Hours of the day", byText(c.table(c.t, "Hours of the day"), "hour", "hours"), c.heard.clock())
		c.same("Hours of the week", c.cells(), c.heard.week())
		c.same("Calendar", c.calendar(), days)
		weeks := map[string]float64{}
		for _, d := range dates(c.from, c.to, c.zone) {
			date, _ := time.Parse(time.DateOnly, d)
			weeks[monday(&play{ended: date})] = 0
		}
		perWeek := c.weeks(weeks, c.account.between(c.monday(), c.to, c.minimum()), listening.hours)
		c.same("Hours per week", c.byWeek(c.table(c.t, "Hours per week"), "hours"), perWeek)

		began := map[string]float64{}
		for _, d := range dates(midnight, c.to, c.zone) {
			began[d] = 0
		}
		for _, s := range c.account.between(midnight, c.to, c.minimum()).sessions(30 * time.Minute) {
			if d := s[0].began().In(c.zone).Format(time.DateOnly); !s[0].began().Before(midnight) { // one may have begun the day before
				began[d]++
			}
		}
		c.same("Sessions per day", c.byDate(c.table(c.t, "Sessions per day"), "sessions"), began)
		c.gaps()

		sessions := c.heard.sessions(30 * time.Minute)
		var mean, most float64
		for _, s := range sessions {
			lasted := s[len(s)-1].ended.Sub(s[0].began()).Hours()
			mean += lasted / float64(len(sessions))
			most = max(most, lasted)
		}
		facts := c.row("Sessions")
		c.same("Sessions", facts["sessions"], len(sessions))
		c.same("Sessions, mean", facts["mean"], mean)
		c.same("Sessions, longest", facts["longest"], most)

		count := func(l listening) float64 { return float64(len(l)) }
		inRange := func(p *play) bool { return !p.ended.Before(c.from) && p.ended.Before(c.to) }
		everything := listening(c.account.plays)
		artists, songs := everything.firsts(artistKey).where(inRange), everything.firsts(songKey).where(inRange)
		c.same("New", byText(c.table(c.t, "New"), "what", "number"), map[string]float64{"artists": float64(len(artists)), "songs": float64(len(songs))})
		inRange = func(p *play) bool { return !p.ended.Before(c.monday()) && p.ended.Before(c.to) }
		artists, songs = everything.firsts(artistKey).where(inRange), everything.firsts(songKey).where(inRange)
		c.same("Discovery, songs", c.byWeek(c.table(c.t, "Discovery"), "songs"), c.weeks(weeks, songs, count))
		c.same("Discovery, artists", c.byWeek(c.table(c.t, "Discovery", "B"), "artists"), c.weeks(weeks, artists, count))

		skips := c.weeks(weeks, c.everyone.where(func(p *play) bool { return p.skipped }), count)
		for week, all := range c.weeks(weeks, c.everyone, count) {
			if all == 0 {
				delete(skips, week)
			} else {
				skips[week] /= all
			}
		}
		c.same("Skip rate", c.byWeek(c.table(c.t, "Skip rate"), "skipped"), skips)

		kinds, contexts, decades := map[string]float64{}, map[string]float64{}, map[string]float64{}
		for _, p := range c.heard {
			kind := map[string]string{"episode": "podcasts", "chapter": "audiobooks"}[p.kind]
			if kind == "" {
				kind = "music"
			}
			context, decade := p.contextType, "not known"
			if context == "" {
				context = "not known"
			}
			if len(p.released) >= 4 {
				decade = p.released[:3] + "0s"
			}
			hours := float64(p.msPlayed) / 3_600_000
			kinds[kind] += hours
			contexts[context] += hours
			decades[decade] += hours
		}
		c.same("Kinds", byText(c.table(c.t, "Music, podcasts, audiobooks"), "name", "hours"), kinds)
		c.same("Played from", byText(c.table(c.t, "Played from"), "name", "hours"), contexts)
		c.same("Decade of release", byText(c.table(c.t, "Decade of release"), "decade", "hours"), decades)
		c.same("Devices", total(byText(c.table(c.t, "Devices"), "name", "hours")), c.heard.hours())

		share := byText(c.table(c.t, "Shares of plays"), "what", "share")
		for what, holds := range map[string]func(*play) bool{
			"skipped": func(p *play) bool { return p.skipped }, "on shuffle": func(p *play) bool { return p.shuffle }, "offline": func(p *play) bool { return p.offline },
		} {
			c.same(what, share[what], float64(len(c.everyone.where(holds)))/float64(len(c.everyone)))
		}

		credits := map[string]listening{}
		for _, p := range c.heard {
			for _, name := range p.artists {
				credits[journal.Fold(name)] = append(credits[journal.Fold(name)], p)
			}
		}
		ofTop := byText(c.table(c.t, "Share of the top 10"), "artist", "hours")
		c.same("Share of the top 10, in all", total(ofTop), c.heard.hours())
		first := tops(by(c.heard, artistKey), "hours")
		for _, artist := range first[:min(10, len(first))] {
			ofTop["all others"] += artist.hours
		}
		c.same("Share of the top 10, others", ofTop["all others"], c.heard.hours())

		recent := c.table(c.t, "Recent plays")
		slices.Reverse(recent)
		last := c.everyone[max(0, len(c.everyone)-50):].where(func(p *play) bool { return p.msPlayed >= c.minimum().Milliseconds() })
		c.same("Recent plays", float64(len(recent)), len(last))
		for i := range min(len(recent), len(last)) {
			c.same("Recent plays, when", timeOf(recent[i]).UnixMilli(), last[i].ended.UnixMilli())
			c.same("Recent plays, what", recent[i]["track"], last[i].name)
			c.same("Recent plays, heard", recent[i]["heard"], last[i].heard())
			page := map[string]string{"track": "track", "local": "search"}[last[i].kind]
			c.same("Recent plays, where", recent[i]["page"], cmp.Or(page, "episode"))
		}
		c.tops("Artists with all credits", credits, "artist", func(p *play, name string) bool { return slices.Contains(p.artists, name) })
	})
}

// gaps holds the annotations against the journal's gaps that began in the range.
func (c *check) gaps() {
	c.t.Helper()
	targets := c.targets()
	i := slices.IndexFunc(targets, func(q target) bool { return q.where == c.UID+", annotation Gaps" })
	frames, err := c.query(c.t, &targets[i])
	if err != nil {
		c.t.Fatal(err)
	}
	var got, want [][2]int64
	for _, f := range frames {
		for row := range f.rows() {
			got = append(got, [2]int64{f.field("_time").values[row].(time.Time).UnixMilli(), f.field("timeEnd").values[row].(time.Time).UnixMilli()})
		}
	}
	for _, gap := range c.account.gaps {
		if !gap.From.Before(c.from) && gap.From.Before(c.to) {
			want = append(want, [2]int64{gap.From.UnixMilli(), gap.To.UnixMilli()})
		}
	}
	if !slices.Equal(got, want) {
		c.t.Errorf("gaps: %v, want %v", got, want)
	}
}

// cells are the hours of the week as the board has them.
func (c *check) cells() map[string]float64 {
	cells := map[string]float64{}
	for _, row := range c.table(c.t, "Hours of the week") {
		for _, day := range weekdays {
			cells[fmt.Sprintf("%s %v", day, row["hour"])], _ = row[day].(float64) // nothing: an empty cell
		}
	}
	return cells
}

// midnight is when the range's first day begins.
func (c *check) midnight() time.Time {
	year, month, date := c.from.In(c.zone).Date()
	return time.Date(year, month, date, 0, 0, 0, 0, c.zone)
}

// monday is when the range's first week begins.
func (c *check) monday() time.Time {
	first := c.midnight()
	return first.AddDate(0, 0, -(int(first.Weekday())+6)%7)
}

// calendar are the hours of each day as the board has them.
func (c *check) calendar() map[string]float64 {
	calendar := map[string]float64{}
	for _, row := range c.table(c.t, "Calendar") {
		monday := timeOf(row).In(c.zone).AddDate(0, 0, -7)
		for i, day := range weekdays {
			if hours, ok := row[day].(float64); ok {
				calendar[monday.AddDate(0, 0, i).Format(time.DateOnly)] = hours
			}
		}
	}
	return calendar
}

// means are the mean hours of each day and the six before it, called a number of days
// later.
func (c *check) means(from, to time.Time, later int) map[string]float64 {
	hours := c.perDay(c.account.between(from, to, c.minimum()), from, to)
	means := map[string]float64{}
	for i, days := 6, dates(from, to, c.zone); i < len(days); i++ {
		sum := 0.0
		for _, d := range days[i-6 : i+1] {
			sum += hours[d]
		}
		last, _ := time.Parse(time.DateOnly, days[i])
		means[last.AddDate(0, 0, later).Format(time.DateOnly)] = sum / 7
	}
	return means
}

// minimum is the shortest play that is shown.
func (c *check) minimum() time.Duration {
	seconds, _ := time.ParseDuration(c.scope.Variables["minimum"].Values[0] + "s")
	return seconds
}

// weeks sums up plays by their weeks, of which all are given.
func (c *check) weeks(all map[string]float64, l listening, sum func(listening) float64) map[string]float64 {
	heard := by(l, monday)
	weeks := map[string]float64{}
	for week := range all {
		weeks[week] = sum(heard[week])
	}
	return weeks
}

// byWeek is byDate for weeks, of which the first may begin within.
func (c *check) byWeek(rows []map[string]any, number string) map[string]float64 {
	c.t.Helper()
	weeks := map[string]float64{}
	for date, value := range c.byDate(rows, number) {
		day, _ := time.Parse(time.DateOnly, date)
		weeks[monday(&play{ended: day})] += value
	}
	return weeks
}

func TestAllTime(t *testing.T) {
	d := filled(t)
	b := readBoards(t)["spotify-alltime"]
	for _, a := range d.accounts {
		for _, order := range []string{"hours", "plays"} {
			t.Run(a.alias+" by "+order, func(t *testing.T) {
				v, err := d.view(t, b, looking{account: a.alias, variables: map[string]string{"by": order}})
				if err != nil {
					t.Fatal(err)
				}
				c := &check{view: v, t: t, account: a, zone: a.zone, heard: a.plays, everyone: a.plays}
				c.allTime()
			})
		}
	}
}

func (c *check) allTime() {
	t := c.t
	record := c.row("The record")
	c.same("hours", record["hours"], c.heard.hours())
	c.same("plays", record["plays"], c.heard.plays())
	different := c.row("Different")
	c.same("artists", different["artists"], len(by(c.heard, artistKey)))
	c.same("albums", different["albums"], len(by(c.heard, albumKey)))
	c.same("songs", different["songs"], len(by(c.heard, songKey)))
	first := c.heard[0]
	c.dated("first listen", c.row("First listen")["since"], first.ended.Format(time.DateOnly))
	c.same("first listen's song", c.row("First listen")["song"], first.name+" – "+first.artist())

	milestones := c.table(t, "Milestones")
	for i, row := range milestones {
		c.dated("Milestones, day of "+fmt.Sprint(row["milestone"]), row["day"], c.reached(fmt.Sprint(row["milestone"])))
		if i > 0 && fmt.Sprint(milestones[i-1]["day"]) < fmt.Sprint(row["day"]) {
			t.Errorf("Milestones: %v stands before %v", milestones[i-1], row)
		}
	}
	c.same("Milestones", float64(len(milestones)), c.milestones())

	c.totals("Artists", by(c.heard, artistKey), func(p *play, name, _ string) bool { return p.artist() == name })
	c.totals("Songs", by(c.heard, songKey), func(p *play, name, artist string) bool { return p.name == name && p.artist() == artist })
	c.totals("Albums", by(c.heard, albumKey), func(p *play, name, artist string) bool { return p.album == name && p.artist() == artist })

	year := func(p *play) string { return p.ended.Format("2006") }
	yearly, lifetime, sum := map[string]float64{}, map[string]float64{}, 0.0
	for y := c.heard[0].ended.Year(); y <= c.heard[len(c.heard)-1].ended.Year(); y++ {
		name := fmt.Sprint(y)
		yearly[name] = by(c.heard, year)[name].hours()
		sum += yearly[name]
		lifetime[name] = sum
	}
	c.same("Hours per year", byText(c.table(t, "Hours per year"), "year", "hours"), yearly)
	c.same("Lifetime", byText(c.table(t, "Lifetime"), "year", "hours"), lifetime)
	champions := map[string]float64{}
	faithful := map[string]listening{}
	for y, l := range by(c.heard, year) {
		ranked := tops(by(l, artistKey), "hours")
		champions[y] = ranked[0].hours
		for _, artist := range ranked[:min(50, len(ranked))] {
			faithful[artist.key] = append(faithful[artist.key], artist.all...)
		}
	}
	c.same("Artists of the years", byText(c.table(t, "Artists of the years"), "year", "hours"), champions)
	most := 0
	for _, l := range faithful {
		most = max(most, len(by(l, year)))
	}
	row := c.table(t, "Most faithful")[0]
	c.same("Most faithful", row["years"], most)
	if !slices.ContainsFunc(c.heard, func(p play) bool {
		return p.artist() == row["artist"] && differ(row["hours"], faithful[p.artistKey].hours()) == ""
	}) {
		t.Errorf("Most faithful: %v", row)
	}
}

// reached is the day on which so many hours or plays were reached.
func (c *check) reached(milestone string) string {
	var goal float64
	var what string
	_, _ = fmt.Sscan(milestone, &goal, &what)
	sum := 0.0
	for _, p := range c.heard {
		switch {
		case what == "hours":
			sum += float64(p.msPlayed) / 3_600_000
		case p.counts():
			sum++
		}
		if sum >= goal {
			return day(&p)
		}
	}
	return "never"
}

// milestones are how many of them there are: the first 10, 100 and every 1,000 hours, ten
// times that of plays. What is passed on one day together is one.
func (c *check) milestones() int {
	n := 0
	for what, unit := range map[string]int{"hours": 1, "plays": 10} {
		for _, goal := range []int{10, 100} {
			if c.reached(fmt.Sprint(goal*unit, " ", what)) != "never" {
				n++
			}
		}
		for goal := 1000; c.reached(fmt.Sprint(goal*unit, " ", what)) != "never"; goal += 1000 {
			n++
		}
	}
	return n
}

// totals holds a table of totals against groups. Which of those that are alike by hours,
// or by plays, stands first is not said.
func (c *check) totals(title string, groups map[string]listening, called func(p *play, name, artist string) bool) {
	c.t.Helper()
	order := c.scope.Variables["by"].Values[0]
	rows, want := c.table(c.t, title), tops(groups, order)
	c.same(title+", rows", float64(len(rows)), 10)
	for i, row := range rows {
		by := map[string]any{"hours": want[i].hours, "plays": want[i].plays}[order]
		c.same(fmt.Sprintf("%s, %s of rank %d", title, order, i+1), row[order], by)
		name, _ := row["name"].(string)
		artist, _ := row["artist"].(string)
		at := slices.IndexFunc(want, func(of top) bool {
			return slices.ContainsFunc(of.all, func(p play) bool { return called(&p, name, artist) })
		})
		if at < 0 {
			c.t.Errorf("%s: there is no %s by %s", title, name, artist)
			continue
		}
		of := want[at]
		c.same(name+", hours", row["hours"], of.hours)
		c.same(name+", plays", row["plays"], of.plays)
		c.same(name+", first", row["first_ms"], float64(of.all[0].ended.UnixMilli()))
		c.same(name+", last", row["last_ms"], float64(of.all[len(of.all)-1].ended.UnixMilli()))
	}
}

func TestYear(t *testing.T) {
	d := filled(t)
	b := readBoards(t)["spotify-year"]
	for _, a := range d.accounts {
		for _, l := range []looking{
			{account: a.alias, variables: map[string]string{"year": "2023"}},
			{account: a.alias, variables: map[string]string{"year": "2024", "minimum": "60", "by": "plays"}},
		} {
			t.Run(a.alias+" "+l.variables["year"], func(t *testing.T) {
				v, err := d.view(t, b, l)
				if err != nil {
					t.Fatal(err)
				}
				var year int
				_, _ = fmt.Sscan(l.variables["year"], &year)
				c := &check{view: v, t: t, account: a, zone: a.zone}
				c.from, c.to = time.Date(year, 1, 1, 0, 0, 0, 0, a.zone), time.Date(year+1, 1, 1, 0, 0, 0, 0, a.zone)
				c.heard, c.everyone = a.between(c.from, c.to, c.minimum()), a.between(c.from, c.to, 0)
				c.year()
			})
		}
	}
}

func (c *check) year() {
	t := c.t
	before := c.account.between(c.from.AddDate(-1, 0, 0), c.from, c.minimum())
	facts := c.row("The year")
	c.same("hours", facts["hours"], c.heard.hours())
	c.same("plays", facts["plays"], c.heard.plays())
	c.same("before", facts["before"], before.hours())
	c.same("Different", byText(c.table(t, "Different"), "what", "number"), map[string]float64{
		"artists": float64(len(by(c.heard, artistKey))), "songs": float64(len(by(c.heard, songKey))), "albums": float64(len(by(c.heard, albumKey))),
	})
	inYear := func(p *play) bool { return !p.ended.Before(c.from) && p.ended.Before(c.to) }
	c.same("New", byText(c.table(t, "New"), "what", "number"), map[string]float64{
		"artists": float64(len(listening(c.account.plays).firsts(artistKey).where(inYear))),
		"songs":   float64(len(listening(c.account.plays).firsts(songKey).where(inYear))),
	})
	c.tops("Artists of the year", by(c.heard, artistKey), "artist", func(p *play, name string) bool { return p.artist() == name })
	c.tops("Songs of the year", by(c.heard, songKey), "track", func(p *play, name string) bool { return p.name == name })
	c.tops("Albums of the year", by(c.heard, albumKey), "album", func(p *play, name string) bool { return p.album == name })

	days := c.perDay(c.heard, c.from, c.to)
	biggest := ""
	for d, hours := range days {
		if hours > days[biggest] {
			biggest = d
		}
	}
	row := c.row("Biggest day")
	c.same("Biggest day, hours", row["hours"], days[biggest])
	c.dated("Biggest day", row["day"], biggest)
	lasted, began := 0.0, time.Time{}
	for _, s := range c.heard.sessions(30 * time.Minute) {
		if hours := s[len(s)-1].ended.Sub(s[0].began()).Hours(); hours > lasted {
			lasted, began = hours, s[0].began()
		}
	}
	row = c.row("Longest session")
	c.same("Longest session", row["hours"], lasted)
	c.dated("Longest session", row["day"], began.Format(time.DateOnly))
	streak, _ := c.heard.streak(dates(c.from, c.to, c.zone))
	c.same("Longest streak", c.row("Longest streak")["days"], streak)

	row = c.row("Most repeated in a day")
	repeated := by(c.heard.where(func(p *play) bool { return p.counts() && songKey(p) != "" }), func(p *play) string { return day(p) + p.songKey })
	most := 0
	for _, l := range repeated {
		most = max(most, len(l))
	}
	c.same("Most repeated in a day", row["times"], most)
	if !slices.ContainsFunc(c.heard, func(p play) bool {
		return p.name+" – "+p.artist() == row["song"] && len(repeated[day(&p)+p.songKey]) == most && shown(row["day"], c.zone) == day(&p)
	}) {
		t.Errorf("Most repeated in a day: %v", row)
	}

	thisYear, lastYear := map[string]float64{}, map[string]float64{}
	for month := time.January; month <= time.December; month++ {
		of := func(p *play) bool { return p.ended.Month() == month }
		thisYear[month.String()[:3]], lastYear[month.String()[:3]] = c.heard.where(of).hours(), before.where(of).hours()
	}
	c.same("Months", byText(c.table(t, "Months"), "month", "this year"), thisYear)
	c.same("Months before", byText(c.table(t, "Months"), "month", "the year before"), lastYear)
	c.same("Hours of the week", c.cells(), c.heard.week())

	got := map[string]float64{}
	first := (int(c.from.Weekday()) + 6) % 7
	for _, row := range c.table(t, "Days") {
		for i, day := range weekdays {
			if hours, ok := row[day].(float64); ok {
				got[c.from.AddDate(0, 0, 7*(int(row["week"].(float64))-1)+i-first).Format(time.DateOnly)] = hours
			}
		}
	}
	c.same("Days", got, days)
}

func TestPublic(t *testing.T) {
	d := filled(t)
	b := readBoards(t)["spotify-public"]
	for _, a := range d.accounts {
		for _, l := range []looking{{}, {from: "2023-03-12T06:30:00Z", to: "2023-11-05T06:30:00Z"}} {
			l.account = a.alias
			t.Run(a.alias+" "+l.from, func(t *testing.T) {
				v, err := d.view(t, b, l)
				if err != nil {
					t.Fatal(err)
				}
				c := &check{view: v, t: t, account: a, zone: a.zone, from: v.scope.Range.From}
				delay, err := time.ParseDuration(v.scope.Variables["delay"].Values[0])
				if err != nil {
					t.Fatal(err)
				}
				c.to = v.scope.Range.To.Add(-delay).Truncate(time.Hour)
				shown := func(p *play) bool { return p.kind == "track" && !p.private }
				c.heard, c.everyone = a.between(c.from, c.to, 0).where(shown), a.between(c.midnight(), c.to, 0).where(shown)
				if len(c.heard) == len(a.between(c.from, v.scope.Range.To, 0)) {
					t.Error("nothing is hidden: the test is about nothing")
				}
				c.public()
			})
		}
	}
}

// public holds the board for strangers: heard is what it shows, everyone the same from the first midnight on.
func (c *check) public() {
	t := c.t
	music := c.row("Music")
	c.same("hours", music["hours"], c.heard.hours())
	c.same("plays", music["plays"], c.heard.plays())
	c.same("songs", music["songs"], len(by(c.heard, songKey)))
	c.same("Artists", c.row("Artists")["artists"], len(by(c.heard, artistKey)))
	days := c.perDay(c.everyone, c.from, c.to)
	c.same("Hours per day", c.byDate(c.table(t, "Hours per day"), "Value"), days)
	c.tops("Top artists", by(c.heard, artistKey), "artist", func(p *play, name string) bool { return p.artist() == name })
	c.tops("Top songs", by(c.heard, songKey), "track", func(p *play, name string) bool { return p.name == name })
	c.tops("Top albums", by(c.heard, albumKey), "album", func(p *play, name string) bool { return p.album == name })
	c.same("Hours of the day", byText(c.table(t, "Hours of the day"), "hour", "hours"), c.heard.clock())
	c.same("Hours of the week", c.cells(), c.heard.week())
	c.same("Calendar", c.calendar(), days)
	c.same("As of", c.row("As of")["Value"], c.to.In(c.zone).Format("2 Jan 2006"))
}

func TestArtist(t *testing.T) {
	d := filled(t)
	b := readBoards(t)["spotify-artist"]
	for _, a := range d.accounts {
		favourite := tops(by(a.plays, artistKey), "hours")[0].all[0]
		for _, key := range []string{favourite.artistKey, journal.Fold("Großstadtgeflüster")} {
			theirs := listening(a.plays).where(func(p *play) bool { return p.artistKey == key })
			name := theirs[len(theirs)-1].artist()
			t.Run(a.alias+" "+name, func(t *testing.T) {
				v, err := d.view(t, b, looking{account: a.alias, variables: map[string]string{"artist": name}})
				if err != nil {
					t.Fatal(err)
				}
				c := &check{view: v, t: t, account: a, zone: a.zone, from: v.scope.Range.From, to: v.scope.Range.To, everyone: theirs}
				c.heard = a.between(c.from, c.to, 0).where(func(p *play) bool { return p.artistKey == key })
				c.artist(key)
			})
		}
	}
}

// artist holds the board of an artist: everyone are all plays, heard those in the range.
func (c *check) artist(key string) {
	t := c.t
	ever := c.row("Ever")
	c.same("hours ever", ever["hours"], c.everyone.hours())
	c.same("plays ever", ever["plays"], c.everyone.plays())
	times := c.row("First and last")
	c.same("first", times["first"], float64(c.everyone[0].ended.UnixMilli()))
	c.same("last", times["last"], float64(c.everyone[len(c.everyone)-1].ended.UnixMilli()))
	facts := c.row("In the range")
	c.same("hours", facts["hours"], c.heard.hours())
	c.same("plays", facts["plays"], c.heard.plays())
	c.same("songs", facts["songs"], len(by(c.heard, songKey)))
	credited := c.account.between(c.from, c.to, 0).where(func(p *play) bool {
		return slices.ContainsFunc(p.artists, func(name string) bool { return journal.Fold(name) == key })
	})
	credits := c.row("With all credits")
	c.same("hours with all credits", credits["hours"], credited.hours())
	c.same("plays with all credits", credits["plays"], credited.plays())
	c.same("featured", credits["featured"], credited.where(func(p *play) bool { return p.artistKey != key }).plays())
	c.tops("Songs", by(c.heard, songKey), "track", func(p *play, name string) bool { return p.name == name })
	c.tops("Albums", by(c.heard, albumKey), "album", func(p *play, name string) bool { return p.album == name })
	weeks := map[string]float64{}
	for _, d := range dates(c.from, c.to, c.zone) {
		date, _ := time.Parse(time.DateOnly, d)
		weeks[monday(&play{ended: date})] = 0
	}
	wholeWeeks := c.account.between(c.monday(), c.to, 0).where(func(p *play) bool { return p.artistKey == key })
	c.same("Hours per week", c.byWeek(c.table(t, "Hours per week"), "hours"), c.weeks(weeks, wholeWeeks, listening.hours))
	c.same("Hours of the week", c.cells(), c.heard.week())
	years := map[string]float64{}
	for year, l := range by(c.account.plays, func(p *play) string { return p.ended.Format("2006") }) {
		rank := slices.IndexFunc(tops(by(l, artistKey), "hours"), func(of top) bool { return of.all[0].artistKey == key })
		if rank >= 0 && rank < 50 {
			years[year] = float64(rank + 1)
		}
	}
	c.same("Year by year", byText(c.table(t, "Year by year"), "year", "rank"), years)
	month := func(p *play) string { return p.ended.Format("2006-01") }
	rates := map[string]float64{}
	for month, l := range by(c.heard, month) {
		rates[month] = float64(len(l.where(func(p *play) bool { return p.skipped }))) / float64(len(l))
	}
	got := map[string]float64{}
	for date, rate := range c.byDate(c.table(t, "Skip rate"), "skipped") {
		got[date[:7]] = rate
	}
	c.same("Skip rate", got, rates)
}

// The board Now is of one account or of several, whose midnight is that of the first.
func TestNow(t *testing.T) {
	d := filled(t)
	b := readBoards(t)["spotify-now"]
	for _, chosen := range [][]string{{"berlin"}, {"newyork"}, {"berlin", "newyork"}} {
		t.Run(strings.Join(chosen, " and "), func(t *testing.T) {
			v, err := d.view(t, b, looking{account: chosen[0]})
			if err != nil {
				t.Fatal(err)
			}
			v.scope.Variables["account"] = grafana.Variable{Values: chosen}
			where := zone(t, v.scope.Variables["zone"].Values[0])
			from, to := v.scope.Range.From, v.scope.Range.To
			year, month, date := to.In(where).Date()
			midnight := time.Date(year, month, date, 0, 0, 0, 0, where)
			hours, plays := map[string]float64{}, map[string]float64{}
			type heard struct {
				account string
				play
			}
			var last []heard
			for _, a := range d.accounts {
				if !slices.Contains(chosen, a.alias) {
					continue
				}
				if today := a.between(midnight, to, 0); len(today) > 0 {
					hours[a.alias], plays[a.alias] = today.hours(), float64(today.plays())
				}
				for _, p := range a.between(from, to, 0) {
					last = append(last, heard{a.alias, p})
				}
			}
			c := &check{view: v, t: t}
			c.same("Today", byText(c.table(t, "Today"), "account", "hours"), hours)
			c.same("Plays today", byText(c.table(t, "Plays today"), "account", "plays"), plays)
			slices.SortStableFunc(last, func(a, b heard) int { return b.ended.Compare(a.ended) })
			rows := c.table(t, "Just heard")
			c.same("Just heard", float64(len(rows)), min(10, len(last)))
			for i, row := range rows {
				if !slices.ContainsFunc(last, func(h heard) bool {
					return h.account == row["account"] && h.name == row["track"] && h.artist() == row["artist"] && float64(h.msPlayed) == row["ms_played"] && h.skipped == row["skipped"] &&
						h.ended.Equal(last[i].ended) && h.ended.UnixMilli() == timeOf(row).UnixMilli()
				}) {
					t.Errorf("Just heard, %d: %v, want %v", i, row, last[i])
				}
			}
		})
	}
}
