package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

const (
	demoSeed = 1
	// usualPerformance is how long the listener plays for whoever looks on, before
	// going on as on other days.
	usualPerformance = 2 * time.Hour
	// fillPortion is how many plays go into one transaction.
	fillPortion = 2500
)

// parseDays reads how many days of listening the demo is to be filled with.
func parseDays(text string) (int, error) {
	days, err := strconv.Atoi(strings.TrimSuffix(text, "d"))
	if err != nil || !strings.HasSuffix(text, "d") || days < 1 || days > 7305 {
		return 0, usageError{fmt.Errorf("--fill: must be from 1d to 7305d (got %q)", text)}
	}
	return days, nil
}

// past is what the listener has played for some days until start, and later gives what
// is played, week by week and for ever, when the performance is over that follows.
func (s *show) past(days int, start time.Time, performance time.Duration) (past []spotifysim.Given, later func() []spotifysim.Given) {
	local := start.In(s.config.Zones.of(demoAccount))
	listening := spotifysim.NewDays(demoSeed, local.AddDate(0, 0, -days), spotifysim.Habits{})
	given := listening.Next(days + 1)
	now := slices.IndexFunc(given, func(g spotifysim.Given) bool { return !g.EndedAt.Before(start) })
	if now < 0 {
		now = len(given)
	}
	rest := given[now:]
	// The last track of the performance takes an hour.
	over := start.Add(performance + time.Hour)
	return online(given[:now]), func() []spotifysim.Given {
		for {
			week := slices.DeleteFunc(rest, func(g spotifysim.Given) bool { return !g.StartedAt.After(over) })
			rest = listening.Next(7)
			if week = online(week); len(week) > 0 {
				return week
			}
		}
	}
}

// online is given without what was played offline at its end: Spotify would be told of it
// hours later, when the next list has begun.
func online(given []spotifysim.Given) []spotifysim.Given {
	for len(given) > 0 && given[len(given)-1].Offline {
		given = given[:len(given)-1]
	}
	return given
}

// fill puts what has been played into a new journal, which has it take the place of
// what an earlier demo has left in InfluxDB. The demo's clock does not run yet.
func (s *show) fill(ctx context.Context, past []spotifysim.Given, start time.Time) error {
	stopped := clock.New(start, 1)
	j, err := s.config.openJournal(ctx, stopped)
	if err != nil {
		return err
	}
	listener := spotifysim.New(spotifysim.Options{Clock: stopped}).AddUser("demo", "Demo")
	listener.PlayDays(past)
	played := listener.Played(start)
	for portion := range slices.Chunk(played, fillPortion) {
		var witnessed journal.Witnessed
		for i := range portion {
			report := reportOf(&portion[i])
			witnessed.Reports = append(witnessed.Reports, report)
			witnessed.Items = append(witnessed.Items, report.Item)
		}
		if _, err := j.Record(ctx, demoAccount, witnessed); err != nil {
			return errors.Join(err, j.Close())
		}
	}
	if _, err := j.Rebuild(ctx); err != nil {
		return errors.Join(err, j.Close())
	}
	s.screen.line("The listener has played %s tracks and episodes so far.", humanize.Comma(int64(len(played))))
	return j.Close()
}

// reportOf is a play as if an extended history had told of it, with all that the
// Web API knows of its item.
func reportOf(p *spotifysim.Played) journal.Report {
	report := journal.Report{
		Witness: journal.ExtendedHistory, Item: journalItem(&p.Item),
		EndedAt: p.EndedAt, StartedAt: p.StartedAt, MSPlayed: p.MSPlayed,
		Device: p.Device.Name, DeviceType: p.Device.Type, Platform: p.Device.Type, Country: "NL",
		ReasonStart: p.ReasonStart, ReasonEnd: p.ReasonEnd,
		Shuffle: new(p.Shuffle), Offline: new(p.Offline), Incognito: new(p.Private), Skipped: new(p.Skipped),
	}
	if p.Context != nil {
		report.ContextType, report.ContextURI = p.Context.Type, p.Context.URI
	}
	return report
}

// journalItem is an item as the journal keeps what the Web API says of it, but for
// its cover: there is none that could be shown.
func journalItem(i *spotifysim.Item) journal.Item {
	artists := func(list ...spotifysim.Artist) (credited []journal.Artist) {
		for _, a := range list {
			credited = append(credited, journal.Artist(a))
		}
		return credited
	}
	item := journal.Item{
		Kind: journal.Track, URI: i.URI, Name: i.Name, ISRC: i.ISRC, ReleaseDate: i.ReleaseDate,
		DurationMS: i.Duration.Milliseconds(), Explicit: new(i.Explicit),
		Artists: artists(i.Artists...), Album: i.Album.Name, AlbumID: i.Album.ID, AlbumArtists: artists(i.Album.Artists...),
	}
	if i.Kind == spotifysim.Episode {
		item.Kind, item.Album, item.AlbumID = journal.Episode, i.Show.Name, i.Show.ID
		item.Artists = artists(spotifysim.Artist{ID: i.Show.ID, Name: i.Show.Name})
	}
	return item
}
