package grafana_test

import (
	"testing"
	"time"
)

// A bar that begins before the range is not drawn. In a range of a week or less that would be
// the only one of weeks, and most of a first day.
func TestBriefRanges(t *testing.T) {
	d := filled(t)
	for _, b := range []string{"spotify-listening", "spotify-artist"} {
		for _, a := range d.accounts {
			for name, days := range map[string]float64{"24h": 1, "7d": 7, "20d": 20} {
				t.Run(b+"/"+a.alias+"/"+name, func(t *testing.T) {
					to := now.Truncate(time.Hour)
					from := to.Add(-time.Duration(days * 24 * float64(time.Hour)))
					v, err := d.view(t, readBoards(t)[b], looking{
						account: a.alias, from: from.Format(time.RFC3339), to: to.Format(time.RFC3339), variables: map[string]string{"artist": "Live Artist 1"},
					})
					if err != nil {
						t.Fatal(err)
					}
					c := &check{view: v, t: t, account: a, zone: a.zone, from: from, to: to}
					heard := a.between(c.midnight(), to, 0)
					if b == "spotify-artist" {
						heard = heard.where(func(p *play) bool { return p.artist() == "Live Artist 1" })
					} else {
						c.days("Hours per day", "hours", c.perDay(heard, from, to))
					}
					c.days("Hours per week", "hours", c.perDay(heard, from, to))
				})
			}
		}
	}
}

// days holds bars against the values of days: each is drawn on its day, within the range.
func (c *check) days(title, number string, want map[string]float64) {
	c.t.Helper()
	rows := c.table(c.t, title)
	got := map[string]float64{}
	var last time.Time
	for i, row := range rows {
		at := timeOf(row)
		if at.Before(c.from) {
			c.t.Errorf("%s: a bar at %v is not drawn, the range begins at %v", title, at, c.from)
		}
		if i > 0 && at.Sub(last) < 6*time.Hour {
			c.t.Errorf("%s: from %v to %v, bars are thin", title, last, at)
		}
		last = at
		got[at.In(c.zone).Format(time.DateOnly)], _ = row[number].(float64)
	}
	c.same(title, got, want)
}
