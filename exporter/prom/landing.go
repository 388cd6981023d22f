package prom

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/clean"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
)

var (
	//go:embed landing.html
	landingHTML string
	//go:embed landing.css
	landingCSS string
)

// The tones of a status or a fact, which are classes in landing.css.
const (
	good    = "good"
	warning = "warning"
	bad     = "bad"
)

// maxNoteBytes bounds warnings and errors, which may hold what a server said.
const maxNoteBytes = 500

// page is what the landing page shows.
type page struct {
	Style    template.CSS
	Version  string
	Revision string
	Warnings []string
	Accounts []card
	Parts    []card // what all accounts share
}

// card is one part of the page: an account, the journal, …
type card struct {
	Title, Status, Tone string
	Note                string // what is wrong, or what to do
	Player              *player
	Facts               []fact
}

// player is what an account plays.
type player struct {
	Title, Artists, Album string
	Position, Length      string // m:ss, "" if not known
	Progress              float64
}

// fact is one line of a card. At is the exact time behind the text, if any.
type fact struct {
	Name, Text, Tone string
	At               time.Time
}

// Stamp is At for machines and the curious.
func (f fact) Stamp() string { return f.At.UTC().Format(time.RFC3339) }

// landingPage returns the handler of "/". Titles come from strangers: they are
// shortened to valid UTF-8 (html/template lets broken one through), everything is
// escaped, and the page may load and run nothing at all.
func (m *Metrics) landingPage() http.Handler {
	layout := template.Must(template.New("landing").Parse(landingHTML))
	hash := sha256.Sum256([]byte(landingCSS))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		if err := layout.Execute(&body, m.page(r.Context())); err != nil {
			m.options.Log.Error("landing page cannot be made", "err", err)
			http.Error(w, "the landing page cannot be made: see the log", http.StatusInternalServerError)
			return
		}
		header := w.Header()
		header.Set("Content-Type", "text/html; charset=utf-8")
		header.Set("Content-Security-Policy", policy)
		header.Set("Cache-Control", "no-store")
		header.Set("Referrer-Policy", "no-referrer")
		_, _ = body.WriteTo(w) // a client that went away needs no page
	})
}

// warningsTimeout bounds how long the page waits for its warnings, some of which
// another server may have to be asked for.
const warningsTimeout = 2 * time.Second

func (m *Metrics) page(ctx context.Context) page {
	ctx, cancel := context.WithTimeout(ctx, warningsTimeout)
	defer cancel()
	now := m.options.Now()
	state := m.options.Collector()
	read := m.readJournal()
	var sent influx.State
	if m.options.Influx != nil {
		sent = m.options.Influx()
	}

	p := page{
		Style:    template.CSS(landingCSS),
		Version:  m.options.Version,
		Revision: m.options.Revision,
	}
	for _, text := range append(slices.Clone(m.options.Warnings(ctx)), sent.BucketWarning) {
		if text != "" {
			p.Warnings = append(p.Warnings, clean.Short(text, maxNoteBytes))
		}
	}
	for _, account := range state.Accounts {
		c := accountCard(account, now, m.options.NowPlayingInfo)
		if read.state != nil && read.state.OpenGaps[account.Account] > 0 {
			c.Facts = append(c.Facts, fact{Name: "Open gaps", Text: humanize.Comma(read.state.OpenGaps[account.Account]), Tone: warning})
		}
		if account.ListsStarts {
			c.Facts = append(c.Facts, fact{Name: "Spotify's list", Text: "has the starts of plays, and is read so", Tone: warning})
		}
		c.Facts = append(c.Facts, held("journal", account.HeldRatio)...)
		if ratio, ok := sent.HeldRatio[account.Account]; ok {
			c.Facts = append(c.Facts, held("InfluxDB", &ratio)...)
		}
		p.Accounts = append(p.Accounts, c)
	}
	if read.quota != nil {
		p.Parts = append(p.Parts, requestsCard(read.quota, now))
	}
	kept := card{Title: "Journal", Status: "not readable", Tone: bad, Note: "See the log for why."}
	if read.state != nil {
		kept = journalCard(read.state, now)
	}
	if m.options.JournalFiles != nil {
		kept = kept.withFiles(m.options.JournalFiles(), now)
	}
	p.Parts = append(p.Parts, kept)
	if m.options.Influx != nil {
		p.Parts = append(p.Parts, influxCard(sent, now))
	} else {
		p.Parts = append(p.Parts, card{Title: "InfluxDB", Status: "not configured",
			Note: "The journal alone keeps the listens. Set INFLUX_URL to send them to InfluxDB too."})
	}
	return p
}

func accountCard(account collector.AccountState, now time.Time, named bool) card {
	c := card{Title: account.Account, Status: "not polled yet"}
	switch {
	case account.Up != nil && *account.Up:
		c.Status, c.Tone = "working", good
	case account.Up != nil:
		c.Status, c.Tone = "failing", bad
	}
	if account.LastFailure != nil {
		c.Note = clean.Short(account.LastFailure.Error(), maxNoteBytes)
	}
	playing := "not known"
	if playback := account.Playback; playback != nil {
		switch {
		case playback.Playing:
			playing = "playing"
		case playback.Item != nil:
			playing = "paused"
		default:
			playing = "nothing"
		}
		if named && playback.Item != nil {
			c.Player = newPlayer(playback, now)
		}
	}
	c.Facts = []fact{
		{Name: "Player", Text: playing},
		moment("Last listen", account.LastListen, now),
		moment("Last successful poll", account.LastSuccess, now),
	}
	next := moment("Next poll", account.NextPoll, now)
	if why := account.NextReason.Words(account.NextFailed); why != "" && !next.At.IsZero() {
		next.Text += ", " + why
	}
	c.Facts = append(c.Facts, next, authorization(account.AuthorizationExpiry, now))

	var recorded, failed uint64
	for _, n := range account.Recorded {
		recorded += n
	}
	for _, n := range account.Failures {
		failed += n
	}
	return c.with(
		fact{Name: "Recorded since start", Text: plural(recorded, "listen")},
		fact{Name: "Polls since start", Text: fmt.Sprintf("%s (%s failed)", comma(account.Polls), comma(failed))})
}

func (c card) with(facts ...fact) card {
	c.Facts = append(c.Facts, facts...)
	return c
}

func newPlayer(playback *collector.Playback, now time.Time) *player {
	item := playback.Item
	p := &player{Title: label(item.Name), Artists: label(playback.Artists()), Album: label(item.Album)}
	if p.Album == p.Artists {
		p.Album = "" // a show is both
	}
	if playback.Duration > 0 {
		position := progress(playback, now)
		p.Position, p.Length = clock(position), clock(playback.Duration)
		p.Progress = math.Round(1000*position.Seconds()/playback.Duration.Seconds()) / 1000
	}
	return p
}

// authorization tells when the account must log in again; two weeks before, that
// it is time, as `check` does.
func authorization(expiry, now time.Time) fact {
	f := moment("Login ends", expiry, now)
	switch days := expiry.Sub(now).Hours() / 24; {
	case expiry.IsZero():
	case days <= 0:
		f.Name, f.Tone = "Login ended", bad
	default:
		f.Text = "in " + plural(uint64(math.Ceil(days)), "day")
		if days < 14 {
			f.Tone = warning
		}
	}
	return f
}

// held tells how much of Spotify's last page of plays a store has.
func held(store string, ratio *float64) []fact {
	if ratio == nil {
		return nil
	}
	f := fact{Name: "Recent plays in " + store, Text: fmt.Sprintf("%.0f %%", math.Floor(*ratio*100))}
	if *ratio < 1 {
		f.Tone = warning
	}
	return []fact{f}
}

func requestsCard(quota *collector.QuotaState, now time.Time) card {
	c := card{Title: "Spotify", Status: "within budget", Tone: good}
	used := humanize.Comma(int64(quota.Used))
	switch {
	case quota.Until.After(now):
		c.Status, c.Tone = "waiting", bad
		c.Note = "Spotify asked for silence; nothing is sent before it is over."
	case quota.Limit > 0 && quota.Used >= quota.Limit:
		c.Status, c.Tone = "budget used up", warning
	}
	if quota.Limit > 0 {
		used += " of " + humanize.Comma(int64(quota.Limit))
	}
	c.Facts = []fact{{Name: "Requests in 24 hours", Text: used}}
	if quota.Until.After(now) {
		c.Facts = append(c.Facts, moment("Silent until", quota.Until, now))
	}
	if quota.Shared {
		c.Facts = append(c.Facts, fact{Name: "Quota", Text: "another program seems to use the same developer account", Tone: warning})
	}
	return c
}

func journalCard(state *journal.State, now time.Time) card {
	c := card{Title: "Journal", Status: "open", Tone: good}
	c.Facts = []fact{
		{Name: "Plays", Text: humanize.Comma(state.Plays)},
		{Name: "Points waiting", Text: humanize.Comma(state.PendingPoints)},
	}
	if !state.OldestPending.IsZero() {
		c.Facts = append(c.Facts, moment("Oldest waits since", state.OldestPending, now))
	}
	if state.RejectedPoints > 0 {
		c.Facts = append(c.Facts, fact{Name: "Points rejected", Text: humanize.Comma(state.RejectedPoints), Tone: bad})
	}
	return c.with(
		fact{Name: "Size", Text: humanize.IBytes(uint64(max(state.SizeBytes, 0)))},
		fact{Name: "Disk free", Text: humanize.IBytes(uint64(max(state.DiskFreeBytes, 0)))})
}

func influxCard(state influx.State, now time.Time) card {
	c := card{Title: "InfluxDB", Status: "not asked yet", Note: clean.Short(state.Paused, maxNoteBytes)}
	switch {
	case state.Paused != "":
		c.Status, c.Tone = "paused", bad
	case state.Up != nil && *state.Up:
		c.Status, c.Tone = "working", good
	case state.Up != nil:
		c.Status, c.Tone = "failing", bad
	}
	c.Facts = []fact{
		moment("Last success", state.LastSuccess, now),
		{Name: "Written since start", Text: plural(state.PointsWritten, "point")},
	}
	if state.PointsDeleted > 0 {
		c.Facts = append(c.Facts, fact{Name: "Deleted since start", Text: plural(state.PointsDeleted, "point")})
	}
	if state.PointsRejected > 0 {
		c.Facts = append(c.Facts, fact{Name: "Rejected since start", Text: plural(state.PointsRejected, "point"), Tone: bad})
	}
	return c
}

// moment is a point in time, told by its distance.
func moment(name string, t, now time.Time) fact {
	switch {
	case t.IsZero():
		return fact{Name: name, Text: "not known"}
	case t.After(now):
		return fact{Name: name, Text: "in " + distance(t.Sub(now)), At: t}
	}
	return fact{Name: name, Text: distance(now.Sub(t)) + " ago", At: t}
}

// distance is a duration at the precision that people care for.
func distance(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return plural(uint64(d.Hours()/24), "day")
}

// clock formats a position in an item as players do: 3:05, 1:02:03.
func clock(d time.Duration) string {
	seconds := int(d / time.Second)
	if seconds < 3600 {
		return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
}

func comma(n uint64) string { return humanize.Comma(int64(min(n, math.MaxInt64))) }

func plural(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return comma(n) + " " + noun + "s"
}
