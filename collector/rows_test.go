package collector_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

// serveRaw lets recently-played answer with rows of any form.
func (w *world) serveRaw(rows []any) {
	body, err := json.Marshal(map[string]any{"items": rows})
	if err != nil {
		w.t.Fatal(err)
	}
	w.sim.Verbatim(spotifysim.EndpointRecentlyPlayed, body, 200)
}

// TestUnreadableRows: for days a row of the list cannot be read. The account works all
// the time, what else is listed is recorded and held, and the row is told and counted
// once, on however many pages it is.
func TestUnreadableRows(t *testing.T) {
	ended := "1999-12-31T20:00:00.000Z"
	tests := []struct {
		name string
		rows []any
	}{
		{"no track", []any{map[string]any{"track": nil, "played_at": ended}}},
		{"no time", []any{map[string]any{"track": rowOf(900, time.Time{}).Track, "played_at": nil}}},
		{"null", []any{nil}},
		{"two that are null", []any{nil, nil}},
		{"one of each", []any{nil, map[string]any{"track": nil, "played_at": ended}, map[string]any{"track": rowOf(900, time.Time{}).Track, "played_at": nil}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				j := w.open()
				var log lines
				c := w.start(j, collector.Options{Log: log.logger()})
				const days = 3
				for day := range days {
					var page []any
					for i, r := range rows(20, 20+7*day, w.began.Add(time.Duration(24*day)*time.Hour)) {
						if i == 3+day {
							page = append(page, test.rows...)
						}
						page = append(page, r)
					}
					w.serveRaw(page)
					time.Sleep(24 * time.Hour)
					if a := c.account(t, "me"); !*a.Up || a.Failures["decode"] != 0 || a.Unreadable != uint64(len(test.rows)) || a.HeldRatio == nil || *a.HeldRatio != 1 {
						t.Errorf("day %d: %+v", day, a)
					}
				}
				if told := log.with("cannot be read"); len(told) != len(test.rows) || slices.ContainsFunc(told, func(line string) bool { return strings.Contains(line, "Track 900") }) {
					t.Errorf("logged %q", told)
				}
				if n := len(recorded(t, j)); n != days*20 {
					t.Errorf("%d plays, want %d", n, days*20)
				}
				// What is told again is a row that is new.
				w.serveRaw([]any{rowOf(500, time.Now()), map[string]any{"track": nil, "played_at": "2000-01-03T20:00:00.000Z"}})
				time.Sleep(2 * time.Hour)
				if a := c.account(t, "me"); !*a.Up || a.Unreadable != uint64(len(test.rows))+1 {
					t.Errorf("with another one: %+v", a)
				}
			})
		})
	}
}

// TestListedTwice: a play that is listed twice, to the letter or a moment later, is one,
// in whatever order the rows are; and all plays of the page are held.
func TestListedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		j := w.open()
		page := rows(20, 20, w.began.Add(-time.Hour))
		moved := rowOf(20, w.began.Add(-time.Hour+3*time.Second))
		page = append(page, page[4], page[0], page[4], moved, page[19])
		slices.Reverse(page[2:9])
		w.serve(page)
		c := w.start(j, collector.Options{})
		time.Sleep(2 * time.Hour)
		if a := c.account(t, "me"); !*a.Up || a.HeldRatio == nil || *a.HeldRatio != 1 {
			t.Errorf("state: %+v, ratio %v", a, a.HeldRatio)
		}
		if last, err := j.LastPage(t.Context(), "me"); err != nil || last.Listed != 20 || len(last.Held) != 20 {
			t.Errorf("%d listed, %d held, %v", last.Listed, len(last.Held), err)
		}
		if n := len(recorded(t, j)); n != 20 {
			t.Errorf("%d plays", n)
		}
	})
}

// TestTimesOutOfBounds are told and counted once; the account works, and the others are
// recorded.
func TestTimesOutOfBounds(t *testing.T) {
	for _, year := range []int{1970, 2100} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)))
			w := newWorld(t)
			j := w.open()
			var log lines
			c := w.start(j, collector.Options{Log: log.logger()})
			for day := range 3 {
				page := append(rows(20, 20+day, w.began.Add(time.Duration(day)*time.Hour)), rowOf(900, time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)))
				w.serve(page)
				time.Sleep(3 * time.Hour)
				if a := c.account(t, "me"); !*a.Up || a.Unreadable != 1 || len(log.with("out of bounds")) != 1 {
					t.Errorf("%d: %+v, logged %q", year, a, log.with("out of bounds"))
				}
			}
		})
	}
}
