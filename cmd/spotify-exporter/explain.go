package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

type explainCommand struct {
	What    string `arg:"" name:"time|id" help:"The id of a play, as plays on a terminal and --format jsonl have it, or a time at which it was playing."`
	Account string `placeholder:"NAME" help:"With a time: plays of this account alone."`
}

// nearby is how far from a time a play may have ended that is meant by it.
const nearby = 15 * time.Minute

// Run prints what each witness said of a play, and what became of it.
func (c *explainCommand) Run(ctx context.Context, p *program) error {
	config, err := loadConfig(anyConfig)
	if err != nil {
		return err
	}
	var at time.Time
	id, notID := strconv.ParseInt(c.What, 10, 64)
	if notID != nil {
		if at, err = parseTime(c.What, p.clock.Now(), config.Zones.of(c.Account)); err != nil {
			return usageError{fmt.Errorf("TIME|ID: %w", err)}
		}
	}
	j, err := p.existingJournal(ctx, &config)
	if err != nil {
		return err
	}
	defer j.Close()
	if err := knownAccount(ctx, j, c.Account); err != nil {
		return err
	}

	var plays []journal.Play
	if notID != nil {
		plays, err = playsAt(ctx, j, c.Account, at)
	} else {
		var play journal.Play
		play, err = j.Play(ctx, id)
		plays = []journal.Play{play}
	}
	if err != nil {
		return err
	}
	if len(plays) == 0 {
		return fmt.Errorf("no play within %d minutes of %s", int(nearby.Minutes()), at.Format(time.RFC3339))
	}
	for i := range plays {
		reports, err := j.Reports(ctx, plays[i].ID)
		if err != nil {
			return err
		}
		if i > 0 {
			fmt.Fprintln(p.stdout)
		}
		if err := explain(p.stdout, &plays[i], reports, config.Zones.of(plays[i].Account)); err != nil {
			return fmt.Errorf("print explanation: %w", err)
		}
	}
	return nil
}

// playsAt returns what was playing at a time, or what ended nearest to it.
func playsAt(ctx context.Context, j *journal.Journal, account string, at time.Time) ([]journal.Play, error) {
	var playing []journal.Play
	var nearest journal.Play
	closest := nearby + 1
	// An item of a day's length is none.
	for play, err := range j.Plays(ctx, journal.Filter{Account: account, From: at.Add(-nearby), To: at.Add(24 * time.Hour)}) {
		if err != nil {
			return nil, err
		}
		started := play.StartedAt
		if started.IsZero() {
			started = play.EndedAt.Add(-time.Duration(play.MSPlayed) * time.Millisecond)
		}
		if !started.After(at) && play.EndedAt.After(at) {
			playing = append(playing, play)
		}
		if away := play.EndedAt.Sub(at).Abs(); away < closest {
			nearest, closest = play, away
		}
	}
	if len(playing) == 0 && closest <= nearby {
		playing = append(playing, nearest)
	}
	return playing, nil
}

// attribute is one thing that is known of a play, in the words of the play and of
// a report about it.
type attribute struct {
	name   string
	play   func(*journal.Play) string
	report func(*journal.Testimony) string
}

// attributes are what is explained. An empty text means: not known.
func attributes(zone *time.Location) []attribute {
	when := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.In(zone).Format("2006-01-02 15:04:05.000")
	}
	length := func(ms int64) string {
		if ms < 0 {
			return ""
		}
		return strconv.FormatInt(ms, 10)
	}
	flag := func(b *bool) string {
		if b == nil {
			return ""
		}
		return strconv.FormatBool(*b)
	}
	never := func(*journal.Play) string { return "" } // only reports have it
	item := func(name string, text func(journal.Item) string) attribute {
		return attribute{name,
			func(p *journal.Play) string { return text(p.Item) },
			func(r *journal.Testimony) string { return text(r.Item) }}
	}
	return []attribute{
		{"ended_at", func(p *journal.Play) string { return when(p.EndedAt) }, func(r *journal.Testimony) string { return when(r.EndedAt) }},
		{"ended " + symbol("±", "+-"), never, func(r *journal.Testimony) string { return off(r.EndedError) }},
		{"started_at", func(p *journal.Play) string { return when(p.StartedAt) }, func(r *journal.Testimony) string { return when(r.StartedAt) }},
		{"ms_played", func(p *journal.Play) string { return length(p.MSPlayed) }, func(r *journal.Testimony) string { return length(r.MSPlayed) }},
		{"seen_at", never, func(r *journal.Testimony) string {
			if r.SeenStillAt.IsZero() {
				return when(r.SeenAt)
			}
			return ""
		}},
		{"paused_since", never, func(r *journal.Testimony) string {
			if r.SeenStillAt.IsZero() {
				return ""
			}
			return when(r.SeenAt)
		}},
		{"paused_still_at", never, func(r *journal.Testimony) string { return when(r.SeenStillAt) }},
		{"maybe_two_from", never, func(r *journal.Testimony) string { return when(r.Break.From) }},
		{"maybe_two_until", never, func(r *journal.Testimony) string { return when(r.Break.Until) }},
		item("uri", func(i journal.Item) string { return i.URI }),
		item("name", func(i journal.Item) string { return i.Name }),
		item("artists", func(i journal.Item) string { return strings.Join(artistNames(i.Artists), "; ") }),
		item("album", func(i journal.Item) string { return i.Album }),
		item("isrc", func(i journal.Item) string { return i.ISRC }),
		item("release_date", func(i journal.Item) string { return i.ReleaseDate }),
		item("duration_ms", func(i journal.Item) string { return strings.TrimPrefix(strconv.FormatInt(i.DurationMS, 10), "0") }),
		{"context", func(p *journal.Play) string { return p.ContextURI }, func(r *journal.Testimony) string { return r.ContextURI }},
		{"device", func(p *journal.Play) string { return p.Device }, func(r *journal.Testimony) string { return r.Device }},
		{"platform", func(p *journal.Play) string { return p.Platform }, func(r *journal.Testimony) string { return r.Platform }},
		{"country", func(p *journal.Play) string { return p.Country }, func(r *journal.Testimony) string { return r.Country }},
		{"reason_start", func(p *journal.Play) string { return p.ReasonStart }, func(r *journal.Testimony) string { return r.ReasonStart }},
		{"reason_end", func(p *journal.Play) string { return p.ReasonEnd }, func(r *journal.Testimony) string { return r.ReasonEnd }},
		{"skipped", func(p *journal.Play) string { return flag(p.Skipped) }, func(r *journal.Testimony) string { return flag(r.Skipped) }},
		{"shuffle", func(p *journal.Play) string { return flag(p.Shuffle) }, func(r *journal.Testimony) string { return flag(r.Shuffle) }},
		{"offline", func(p *journal.Play) string { return flag(p.Offline) }, func(r *journal.Testimony) string { return flag(r.Offline) }},
		{"incognito", func(p *journal.Play) string { return flag(p.Incognito) }, func(r *journal.Testimony) string { return flag(r.Incognito) }},
	}
}

// explain prints a play with a column for each of its reports, the most trusted
// first, so that whose word was taken can be seen in each line.
func explain(w io.Writer, play *journal.Play, reports []journal.Testimony, zone *time.Location) error {
	say(w, "Play %d of %s: %s", play.ID, play.Account, title(play.Item))
	say(w, "Listening time is %s, at most %v off.", play.MSPlayedSource, time.Duration(play.MSPlayedError)*time.Millisecond)
	if play.Batch != 0 {
		say(w, "The first of its reports came with import %d.", play.Batch)
	}
	say(w, "%s\n", together(reports))

	none := symbol("–", "-")
	var facts table
	head := []string{"", "PLAY", "AS SAID BY"}
	for i := range reports {
		head = append(head, strings.ToUpper(strings.ReplaceAll(reports[i].Witness.String(), "_", " ")))
	}
	facts.add(head...)
	for _, a := range attributes(zone) {
		value := a.play(play)
		by, any := "", value != ""
		var row []string
		for i := range reports {
			said := a.report(&reports[i])
			any = any || said != ""
			if by == "" && said != "" && said == value {
				by = reports[i].Witness.String()
			}
			row = append(row, cmp.Or(said, none))
		}
		if !any {
			continue
		}
		if by == "" && value != "" {
			by = "(derived)" // from several reports, the plays around it, or the catalogue
		}
		facts.add(append([]string{a.name, cmp.Or(value, none), cmp.Or(by, none)}, row...)...)
	}
	return facts.write(w, terminalWidth(w))
}

// off is how far a time may be off, "" if it is said to be exact.
func off(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.Round(time.Millisecond).String()
}

// together tells in a line what has made one play of the reports.
func together(reports []journal.Testimony) string {
	if len(reports) == 1 {
		return "Nobody else has reported it."
	}
	end := reports[slices.IndexFunc(reports, func(r journal.Testimony) bool { return r.Ends })].Witness
	var because []string
	for i := range reports {
		r := &reports[i]
		if r.Ends {
			continue
		}
		text := r.Witness.String() + " "
		switch r.Same {
		case "":
			text += "says no more of what it was"
		case "isrc":
			text += "has the same ISRC"
		default:
			text += "has the same " + r.Same
		}
		switch apart := r.Apart.Round(time.Millisecond); {
		case r.Part:
			text += " and saw a part of it that ended in a long pause"
		case r.Beyond == 0:
			text += fmt.Sprintf(" and an end %v off, as its error allows", apart)
		default:
			text += fmt.Sprintf(" and an end %v off, %v more than the errors allow (at most 1m30s)", apart, r.Beyond.Round(time.Millisecond))
		}
		because = append(because, text)
	}
	return fmt.Sprintf("It is one play with that of %v, since %s.", end, strings.Join(because, "; "))
}
