package collector_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/history"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

// heard is a play as a recorder has it, or as it was.
type heard struct {
	uri     string
	began   time.Time // zero in a record
	ended   time.Time
	ms      int64
	errorMS int64
	sure    time.Duration // how far the end may be off, by what is recorded
	skipped bool
}

// recorded is what a journal holds.
func recorded(t testing.TB, j *journal.Journal) []heard {
	t.Helper()
	var all []heard
	for p, err := range j.Plays(t.Context(), journal.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		h := heard{uri: p.Item.URI, ended: p.EndedAt, ms: p.MSPlayed, errorMS: p.MSPlayedError, skipped: p.Skipped != nil && *p.Skipped}
		if slices.Equal(p.Witnesses, []journal.Witness{journal.Playback}) {
			h.sure = endError(t, j, &p)
		}
		all = append(all, h)
	}
	return all
}

// played is what was really played and can be known: not in private.
func (w *world) played() []heard {
	var all []heard
	for _, p := range w.user.Played(time.Now()) {
		if !p.Private {
			all = append(all, heard{uri: p.Item.URI, began: p.StartedAt, ended: p.EndedAt, ms: p.MSPlayed, skipped: p.Skipped})
		}
	}
	return all
}

// pair is a play and what was recorded of it.
type pair struct{ truth, record *heard }

// match pairs plays and records of one uri, the nearest ends first, within five
// minutes or what the record says of its end. What only the tracker knows ended for it
// when it was paused, and may have been left so for hours. An export cuts ends to the
// second.
func match(truth, records []heard) (pairs []pair, lost, extra []heard) {
	type candidate struct {
		truth, record int
		apart         time.Duration
		differ        int64 // of two that end in one second
	}
	byURI := map[string][]int{}
	for i, r := range records {
		byURI[r.uri] = append(byURI[r.uri], i)
	}
	var candidates []candidate
	for i, p := range truth {
		for _, k := range byURI[p.uri] {
			r, ended := records[k], p.ended
			if r.ended.Equal(r.ended.Truncate(time.Second)) {
				ended = ended.Truncate(time.Second)
			}
			apart := ended.Sub(r.ended).Abs()
			if apart <= max(5*time.Minute, r.sure) || r.sure > 0 && r.ended.After(p.began) && r.ended.Before(p.ended) {
				candidates = append(candidates, candidate{i, k, apart, abs(r.ms - p.ms)})
			}
		}
	}
	slices.SortFunc(candidates, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.apart, b.apart), cmp.Compare(a.differ, b.differ), cmp.Compare(a.truth, b.truth), cmp.Compare(a.record, b.record))
	})
	usedTruth, usedRecord := map[int]bool{}, map[int]bool{}
	for _, c := range candidates {
		if usedTruth[c.truth] || usedRecord[c.record] {
			continue
		}
		usedTruth[c.truth], usedRecord[c.record] = true, true
		pairs = append(pairs, pair{&truth[c.truth], &records[c.record]})
	}
	for i := range truth {
		if !usedTruth[i] {
			lost = append(lost, truth[i])
		}
	}
	for i := range records {
		if !usedRecord[i] {
			extra = append(extra, records[i])
		}
	}
	return pairs, lost, extra
}

// score holds a recording against the truth.
type score struct {
	Policy       string  `json:"policy"`
	Days         int     `json:"days"`
	Plays        int     `json:"plays"`   // of 30 s and more
	Right        int     `json:"right"`   // same uri, end within 2 s, time within max(2 s, 2 %)
	Lost         int     `json:"lost"`    // of 30 s and more
	Doubled      int     `json:"doubled"` // of 30 s and more
	MSErrorPct   float64 `json:"ms_error_pct"`
	ErrorP95     float64 `json:"play_error_p95_s"`
	SkipsFound   float64 `json:"skips_found_pct"`
	Short        int     `json:"short"`
	ShortHeld    int     `json:"short_recorded"`
	ShortSeen    int     `json:"short_looked_at"`
	ShortSound   int     `json:"short_within_bound"`
	NoticeMedian float64 `json:"notice_median_s"`
	NoticeP95    float64 `json:"notice_p95_s"`
	StaleMedian  float64 `json:"stale_median_s"`
	PerDay       float64 `json:"requests_a_day"`
	MaxRequests  int     `json:"max_requests_24h"`
	Early        int     `json:"early_requests"`
}

const counted = 30_000 // ms

func (w *world) score(policy string, records []heard, days int) score {
	truth := w.played()
	pairs, lost, extra := match(truth, records)
	s := score{Policy: policy, Days: days}
	looks := w.looks()
	var truthMS, recordMS int64
	var offs []float64
	skips, found := 0, 0
	for _, p := range truth {
		if p.ms >= counted {
			s.Plays++
			truthMS += p.ms
		} else if p.ms >= 5_000 {
			s.Short++
		}
	}
	for _, r := range records {
		if r.ms >= counted {
			recordMS += r.ms
		}
	}
	held := map[*heard]*heard{}
	for _, p := range pairs {
		held[p.truth] = p.record
		if p.truth.ms < counted {
			continue
		}
		off := abs(p.truth.ms - p.record.ms)
		offs = append(offs, float64(off)/1000)
		if p.truth.ended.Sub(p.record.ended).Abs() <= 2*time.Second && off <= max(2_000, p.truth.ms/50) {
			s.Right++
		} else if testing.Verbose() {
			w.t.Logf("%s is wrong: %s ended %v (recorded %v later), %d ms (recorded %d ± %d more)", policy, p.truth.uri, p.truth.ended, p.record.ended.Sub(p.truth.ended), p.truth.ms, p.record.ms-p.truth.ms, p.record.errorMS)
			if off > p.record.errorMS {
				w.around(p.truth.ended, records)
			}
		}
		if p.truth.skipped {
			skips++
			if p.record.skipped {
				found++
			}
		}
	}
	for _, p := range lost {
		if p.ms >= counted {
			s.Lost++
			if testing.Verbose() {
				w.t.Logf("%s lost: %s ended %v, %d ms", policy, p.uri, p.ended, p.ms)
			}
		}
	}
	for _, r := range extra {
		if r.ms >= counted {
			s.Doubled++
			if testing.Verbose() {
				w.t.Logf("%s has one too many: %s ended %v, %d ms ± %d", policy, r.uri, r.ended, r.ms, r.errorMS)
				w.around(r.ended, records)
			}
		}
	}
	for i := range truth {
		p := &truth[i]
		if p.ms >= counted || p.ms < 5_000 {
			continue
		}
		if held[p] != nil {
			s.ShortHeld++
		}
		if w.seen(p, looks) {
			s.ShortSeen++
			r := held[p]
			for _, q := range pairs {
				// Who skips back and forth hears an item twice within a minute, and a look falls
				// into one of them: the record may be of either, by its end.
				if r == nil && q.truth.uri == p.uri && q.truth.ms < counted && q.record.ended.Sub(p.ended).Abs() <= q.record.sure && !w.seen(q.truth, looks) {
					r = q.record
				}
			}
			if r != nil && abs(r.ms-p.ms) <= r.errorMS {
				s.ShortSound++
			} else if testing.Verbose() {
				w.t.Logf("%s: short play %s ended %v, %d ms, recorded as %+v", policy, p.uri, p.ended, p.ms, held[p])
				w.around(p.ended, records)
			}
		}
	}
	if truthMS > 0 {
		s.MSErrorPct = 100 * math.Abs(float64(recordMS-truthMS)) / float64(truthMS)
	}
	s.ErrorP95 = quantile(offs, 0.95)
	if skips > 0 {
		s.SkipsFound = 100 * float64(found) / float64(skips)
	}
	s.NoticeMedian, s.NoticeP95 = w.noticed(truth, looks)
	s.StaleMedian = w.stale(truth, looks)
	requests := w.sim.Requests()
	s.PerDay = float64(len(requests)) / float64(days)
	s.MaxRequests, s.Early = requests.Max(24*time.Hour), requests.Early()
	return s
}

// seen tells whether a look fell into a play: it came while the item sounded.
func (w *world) seen(p *heard, looks []time.Time) bool {
	at, _ := slices.BinarySearchFunc(looks, p.began.Add(500*time.Millisecond), time.Time.Compare)
	for ; at < len(looks) && looks[at].Before(p.ended.Add(-500*time.Millisecond)); at++ {
		if s := w.user.State(looks[at]); s.Item.URI == p.uri && s.Playing && !s.Offline {
			return true
		}
	}
	return false
}

// around logs what was played, seen and recorded about a time.
func (w *world) around(at time.Time, records []heard) {
	type event struct {
		at   time.Time
		text string
	}
	var events []event
	for _, p := range w.user.Played(time.Now()) {
		if p.EndedAt.Sub(at).Abs() < 12*time.Minute {
			events = append(events, event{p.EndedAt, fmt.Sprintf("played %s from %s, %d ms of %v, %s", p.Item.URI[14:20], p.StartedAt.Format("15:04:05.000"), p.MSPlayed, p.Item.Duration, p.ReasonEnd)})
		}
	}
	for _, r := range records {
		if r.ended.Sub(at).Abs() < 12*time.Minute {
			events = append(events, event{r.ended, fmt.Sprintf("    recorded %s, %d ms ± %d", r.uri[14:20], r.ms, r.errorMS)})
		}
	}
	for _, look := range w.looks() {
		if look.Sub(at).Abs() < 12*time.Minute {
			s := w.user.State(look)
			uri := "nothing------------------"
			if s.Item.URI != "" {
				uri = s.Item.URI
			}
			events = append(events, event{look, fmt.Sprintf("        look %s %v playing %v", uri[14:20], s.Progress, s.Playing)})
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return a.at.Compare(b.at) })
	for _, e := range events {
		w.t.Logf("        %s %s", e.at.UTC().Format("15:04:05.000"), e.text)
	}
}

// looks are when the player was asked and answered.
func (w *world) looks() []time.Time {
	var looks []time.Time
	for _, r := range w.sim.Requests() {
		if (r.Endpoint == spotifysim.EndpointPlayer || r.Endpoint == spotifysim.EndpointCurrentlyPlaying) && r.Status/100 == 2 {
			looks = append(looks, r.At)
		}
	}
	return looks
}

// noticed is the time from the start of a session of five minutes and more to the
// first look at it, in seconds.
func (w *world) noticed(truth []heard, looks []time.Time) (median, p95 float64) {
	var delays []float64
	for i := 0; i < len(truth); {
		began := truth[i].ended.Add(-time.Duration(truth[i].ms) * time.Millisecond)
		last := truth[i].ended
		for i++; i < len(truth) && truth[i].ended.Add(-time.Duration(truth[i].ms)*time.Millisecond).Sub(last) < 15*time.Minute; i++ {
			last = truth[i].ended
		}
		if last.Sub(began) < 5*time.Minute || w.user.State(began.Add(time.Second)).Offline {
			continue
		}
		at, _ := slices.BinarySearchFunc(looks, began, time.Time.Compare)
		if at < len(looks) && looks[at].Before(last) {
			delays = append(delays, looks[at].Sub(began).Seconds())
		} else {
			delays = append(delays, last.Sub(began).Seconds())
		}
	}
	return quantile(delays, 0.5), quantile(delays, 0.95)
}

// stale is how old the last look is, in the median, while something plays.
func (w *world) stale(truth []heard, looks []time.Time) float64 {
	var ages []float64
	for _, p := range truth {
		for at := p.ended.Add(-time.Duration(p.ms) * time.Millisecond); at.Before(p.ended); at = at.Add(10 * time.Second) {
			i, _ := slices.BinarySearchFunc(looks, at, time.Time.Compare)
			if i > 0 {
				ages = append(ages, at.Sub(looks[i-1]).Seconds())
			}
		}
	}
	return quantile(ages, 0.5)
}

func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(len(values)-1, int(q*float64(len(values))))]
}

func abs(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}

// window is which of the days with plays of a history are played.
type window struct{ skip, days int }

// windows are those that TRUTH_DAYS and TRUTH_SKIP_DAYS ask for, else two short ones, of which the
// second has pauses of more than ten minutes, in which Spotify ended a play or did not.
func windows(t testing.TB) []window {
	t.Helper()
	days, skip := os.Getenv("TRUTH_DAYS"), os.Getenv("TRUTH_SKIP_DAYS")
	switch {
	case days == "" && skip == "" && testing.Short():
		return []window{{700, 2}}
	case days == "" && skip == "":
		return []window{{700, 2}, {1350, 6}}
	case days == "all":
		days, skip = strconv.Itoa(math.MaxInt32), cmp.Or(skip, "0")
	}
	var w window
	for text, to := range map[string]*int{cmp.Or(days, "2"): &w.days, cmp.Or(skip, "700"): &w.skip} {
		var err error
		if *to, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	return []window{w}
}

// realDays reads the days of a window of a history.
func realDays(t testing.TB, path string, w window) []spotifysim.Given {
	t.Helper()
	export, err := history.Open(t.Context(), []string{path}, nil, history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer export.Close()
	skip, days := w.skip, w.days
	var reports []journal.Report
	seen := map[string]bool{}
	for row, err := range export.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		r := row.Report
		if row.Reason != "" || r.Item.URI == "" || r.Item.Kind != journal.Track {
			continue
		}
		key := fmt.Sprint(r.Item.URI, r.EndedAt, r.StartedAt, r.MSPlayed)
		if !seen[key] {
			seen[key] = true
			reports = append(reports, r)
		}
	}
	slices.SortStableFunc(reports, func(a, b journal.Report) int { return a.EndedAt.Compare(b.EndedAt) })
	lengths := trackLengths(reports)
	var given []spotifysim.Given
	var day string
	for _, r := range reports {
		if d := r.EndedAt.Format(time.DateOnly); d != day {
			if skip--; skip < 0 {
				if days--; days < 0 {
					break
				}
			}
			day = d
		}
		if skip >= 0 {
			continue
		}
		item := spotifysim.NewTrack(r.Item.Name, r.Item.Artist(), lengths[r.Item.URI])
		item.URI = r.Item.URI
		given = append(given, spotifysim.Given{Item: item, StartedAt: startOf(&r), EndedAt: r.EndedAt, MSPlayed: r.MSPlayed, ReasonStart: r.ReasonStart, ReasonEnd: r.ReasonEnd,
			Shuffle: r.Shuffle != nil && *r.Shuffle, Offline: r.Offline != nil && *r.Offline})
	}
	if len(given) == 0 {
		t.Fatalf("%s has no %d days with plays", path, w.skip+1)
	}
	return given
}

// startOf is when a play began, with the pauses that the history leaves room for;
// zero if it says nothing or would have it paused for more than half a day.
func startOf(r *journal.Report) time.Time {
	if r.EndedAt.Sub(r.StartedAt)-time.Duration(r.MSPlayed)*time.Millisecond > 12*time.Hour {
		return time.Time{}
	}
	return r.StartedAt
}

// trackLengths tells how long the tracks of a history are, which it does not say:
// as long as they were most often when heard to their end, else as the longest
// play, else three minutes and a half.
func trackLengths(reports []journal.Report) map[string]time.Duration {
	done, longest := map[string]map[int64]int{}, map[string]int64{}
	for i := range reports {
		r := &reports[i]
		longest[r.Item.URI] = max(longest[r.Item.URI], r.MSPlayed)
		if r.ReasonEnd == "trackdone" && r.MSPlayed >= counted {
			if done[r.Item.URI] == nil {
				done[r.Item.URI] = map[int64]int{}
			}
			done[r.Item.URI][r.MSPlayed]++
		}
	}
	lengths := map[string]time.Duration{}
	for uri, ms := range longest {
		most := 0
		for length, plays := range done[uri] {
			if plays > most || plays == most && length > ms {
				ms, most = length, plays
			}
		}
		if most == 0 {
			ms = max(ms, 210_000)
		}
		lengths[uri] = time.Duration(ms) * time.Millisecond
	}
	return lengths
}

// policy is a way to record; it returns what it has recorded.
type policy struct {
	name string
	run  func(w *world, until time.Time) []heard
}

// ours runs the collector, with one restart in the middle.
func ours(w *world, until time.Time) []heard {
	half := time.Now().Add(time.Until(until) / 2)
	for _, stop := range []time.Time{half, until} {
		j := w.journal()
		w.run(j, stop, collector.Options{})
		if stop.Equal(until) {
			records := recorded(w.t, j)
			w.importTruth(j)
			if err := j.Close(); err != nil {
				w.t.Error(err)
			}
			return records
		}
		if err := j.Close(); err != nil {
			w.t.Error(err)
		}
		time.Sleep(2 * time.Minute) // the restart
	}
	panic("not reached")
}

// told is what of the plays an export tells, whose times are whole seconds: of those
// of 0 ms that are alike to the second just one.
func told(played []heard) []heard {
	type row struct {
		uri   string
		ended int64
	}
	have := map[row]bool{}
	return slices.DeleteFunc(slices.Clone(played), func(p heard) bool {
		r := row{p.uri, p.ended.Unix()}
		again := p.ms == 0 && have[r]
		have[r] = have[r] || p.ms == 0
		return again
	})
}

// importTruth records the extended history of what was played. It must add the
// plays that nobody saw, all of them too short to be listed, and no other, and
// correct every listening time.
func (w *world) importTruth(j *journal.Journal) {
	w.t.Helper()
	before, truth := recorded(w.t, j), told(w.played())
	_, unseen, _ := match(truth, before)
	added := w.importHistory(j)
	for _, r := range added {
		if r.MSPlayed >= counted {
			w.t.Errorf("the import adds a play of %d ms: %s ended %v", r.MSPlayed, r.Item.URI, r.EndedAt)
			w.around(r.EndedAt, before)
		}
	}
	if len(added) != len(unseen) {
		w.t.Errorf("the import adds %d plays; %d had not been seen", len(added), len(unseen))
		for _, p := range unseen {
			if !slices.ContainsFunc(added, func(r journal.Report) bool {
				return r.Item.URI == p.uri && r.EndedAt.Equal(p.ended.Truncate(time.Second))
			}) {
				w.t.Logf("not seen, and not added: %s ended %v, %d ms", p.uri, p.ended, p.ms)
				w.around(p.ended, before)
			}
		}
	}
	w.exact(j, truth)
}

// importHistory records the extended history of what was played, and returns what
// it adds.
func (w *world) importHistory(j *journal.Journal) (added []journal.Report) {
	w.t.Helper()
	file := filepath.Join(w.dir, "Streaming_History_Audio_2020.json")
	out, err := os.Create(file)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := errors.Join(w.user.WriteExtendedHistory(out, w.began, time.Now()), out.Close()); err != nil {
		w.t.Fatal(err)
	}
	export, err := history.Open(w.t.Context(), []string{file}, nil, history.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	defer export.Close()
	var reports []journal.Report
	for row, err := range export.Rows(w.t.Context()) {
		if err != nil {
			w.t.Fatal(err)
		}
		if row.Reason != "" {
			w.t.Fatalf("row %d: %s %s", row.Index, row.Reason, row.Detail)
		}
		reports = append(reports, row.Report)
	}
	result, err := j.Record(w.t.Context(), "me", journal.Witnessed{Reports: reports})
	if err != nil {
		w.t.Fatal(err)
	}
	for i, outcome := range result.Outcomes {
		if outcome == journal.New {
			added = append(added, reports[i])
		}
	}
	return added
}

// exact holds a journal with the extended history against what was played: all of it
// must be there once, and its listening time be exact.
func (w *world) exact(j *journal.Journal, truth []heard) {
	w.t.Helper()
	after := recorded(w.t, j)
	pairs, lost, extra := match(truth, after)
	for _, p := range lost {
		w.t.Errorf("after the import %s ended %v, %d ms, is not there", p.uri, p.ended, p.ms)
	}
	for _, p := range extra {
		w.t.Errorf("after the import there is one too many: %s ended %v, %d ms", p.uri, p.ended, p.ms)
		w.around(p.ended, after)
	}
	for _, p := range pairs {
		if p.truth.ms != p.record.ms {
			w.t.Errorf("after the import %s ended %v has %d ms instead of %d", p.truth.uri, p.truth.ended, p.record.ms, p.truth.ms)
		}
	}
}

// listOnly asks for recently-played every 120 s and takes the length of the track
// for the time listened, as the largest peer does.
func listOnly(w *world, until time.Time) []heard {
	account := w.app(nil).Account(w.tokens, "me")
	held := map[string]heard{}
	for time.Now().Before(until) {
		wait := 120 * time.Second
		page, err := account.RecentlyPlayed(w.t.Context(), 0)
		if failed, ok := err.(*spotify.Error); ok && failed.HasRetryAfter {
			wait = failed.RetryAfter + time.Second
		}
		for _, p := range page.Plays {
			held[p.Item.URI+p.PlayedAt.String()] = heard{uri: p.Item.URI, ended: p.PlayedAt, ms: p.Item.DurationMS}
		}
		time.Sleep(wait)
	}
	var records []heard
	for _, r := range held {
		records = append(records, r)
	}
	return records
}

// oldScript asks what plays, every 30 s and less often when nothing does, and
// stores a row unless its track is that of the last row.
func oldScript(w *world, until time.Time) []heard {
	account := w.app(nil).Account(w.tokens, "me")
	var records []heard
	last := ""
	idle := 30 * time.Second
	for time.Now().Before(until) {
		player, err := account.Player(w.t.Context())
		wait := 30 * time.Second
		switch failed, ok := err.(*spotify.Error); {
		case ok && failed.HasRetryAfter:
			wait = failed.RetryAfter + time.Second
		case err != nil:
		case player.Active && player.Playing && player.Item != nil:
			idle = 30 * time.Second
			if player.Item.URI != last {
				last = player.Item.URI
				length := time.Duration(player.Item.DurationMS) * time.Millisecond
				left := length
				if player.ProgressMS != nil {
					left -= time.Duration(*player.ProgressMS) * time.Millisecond
				}
				records = append(records, heard{uri: player.Item.URI, ended: player.ReceivedAt.Add(left), ms: player.Item.DurationMS})
			}
		default:
			idle = min(2*idle, 5*time.Minute)
			wait = idle
		}
		time.Sleep(wait)
	}
	return records
}

// TestTruth plays days (of the history in the file TRUTH_HISTORY, else generated ones),
// and a scripted one behind them, and holds what is recorded against what was played,
// for our policy and, with TRUTH_POLICIES=all, for two known ones under the same rules.
// TRUTH_DAYS sets how many days with plays, or all, and TRUTH_SKIP_DAYS how many to
// leave out before. The days have an outage of Spotify, a 429 of ten minutes and, for
// ours, a restart.
func TestTruth(t *testing.T) {
	path := os.Getenv("TRUTH_HISTORY")
	for _, w := range windows(t) {
		if path != "" {
			holdDays(t, realDays(t, path, w), w.days)
		} else {
			holdDays(t, generatedDays(w.days), w.days)
		}
	}
}

// generatedDays are days of a listener who never was, a year at most.
func generatedDays(days int) []spotifysim.Given {
	return spotifysim.GenerateDays(1, time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), min(days, 365), spotifysim.Habits{})
}

// holdDays holds what is recorded of given days against what was played.
func holdDays(t *testing.T, given []spotifysim.Given, days int) {
	policies := []policy{{"spotify-exporter", ours}}
	if os.Getenv("TRUTH_POLICIES") == "all" {
		policies = append(policies, policy{"recently-played every 120 s", listOnly}, policy{"the old script", oldScript})
	}
	var scores []score
	defer func() { writeReport(t, scores) }() // a bubble that has failed ends the test
	for _, p := range policies {
		synctest.Test(t, func(t *testing.T) {
			scores = append(scores, runPolicy(t, p, given))
		})
	}
	s := scores[0]
	if s.Lost > 0 || s.Doubled > 0 {
		t.Errorf("%d plays lost, %d doubled", s.Lost, s.Doubled)
	}
	if s.MSErrorPct > 1 {
		t.Errorf("listening time is off by %.2f %%", s.MSErrorPct)
	}
	if s.MaxRequests > budget || s.Early > 0 {
		t.Errorf("%d requests in 24 h, %d before a Retry-After was over", s.MaxRequests, s.Early)
	}
	if s.ShortSeen > 20 && float64(s.ShortSound) < 0.95*float64(s.ShortSeen) {
		t.Errorf("of %d short plays that a look fell into %d are recorded within their bound", s.ShortSeen, s.ShortSound)
	}
	if days >= 30 && s.NoticeMedian > 60 {
		t.Errorf("a start of listening is noticed after %.0f s", s.NoticeMedian)
	}
}

// writeReport writes the scores side by side, and ours as one line of JSON behind
// them, to the file TRUTH_REPORT or the test's log.
func writeReport(t *testing.T, scores []score) {
	t.Helper()
	if len(scores) == 0 {
		return
	}
	var report strings.Builder
	table := tabwriter.NewWriter(&report, 0, 0, 2, ' ', 0)
	row := func(name string, of func(s score) any) {
		fmt.Fprint(table, name)
		for _, s := range scores {
			fmt.Fprintf(table, "\t%v", of(s))
		}
		fmt.Fprintln(table)
	}
	tenth := func(v float64) any { return math.Round(10*v) / 10 }
	row("policy", func(s score) any { return s.Policy })
	row("days", func(s score) any { return s.Days })
	row("plays of 30 s and more", func(s score) any { return s.Plays })
	row("  right (end within 2 s, time within 2 s or 2 %)", func(s score) any { return s.Right })
	row("  lost", func(s score) any { return s.Lost })
	row("  doubled", func(s score) any { return s.Doubled })
	row("listening time in sum, off by %", func(s score) any { return math.Round(100*s.MSErrorPct) / 100 })
	row("listening time of a play, off by s (p95)", func(s score) any { return tenth(s.ErrorP95) })
	row("skips found, %", func(s score) any { return tenth(s.SkipsFound) })
	row("plays of 5 to 30 s", func(s score) any { return s.Short })
	row("  recorded", func(s score) any { return s.ShortHeld })
	row("  a look fell into", func(s score) any { return s.ShortSeen })
	row("    of those, recorded within their bound", func(s score) any { return s.ShortSound })
	row("start of listening noticed after s (median)", func(s score) any { return tenth(s.NoticeMedian) })
	row("  (p95)", func(s score) any { return tenth(s.NoticeP95) })
	row("age of now playing, s (median)", func(s score) any { return tenth(s.StaleMedian) })
	row("requests a day", func(s score) any { return math.Round(s.PerDay) })
	row("  most in any 24 h", func(s score) any { return s.MaxRequests })
	row("  before a Retry-After was over", func(s score) any { return s.Early })
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	ours, err := json.Marshal(scores[0])
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&report, "%s\n", ours)
	if path := os.Getenv("TRUTH_REPORT"); path != "" {
		if err := os.WriteFile(path, []byte(report.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Logf("\n%s", report.String())
}

// script lets the listener do on one more day what no history tells of so well:
// pauses, short and long, skips, repeats, and an evening out of reach of the network
// of which Spotify learns in the morning after, which it returns.
func (w *world) script(day time.Time) time.Time {
	var album []spotifysim.Item
	for i := range 12 {
		album = append(album, spotifysim.NewTrack(fmt.Sprint("Scripted ", i), "Somebody", 3*time.Minute+time.Duration(7*i)*time.Second))
	}
	at := w.user.At(day.Add(9 * time.Hour)).Context(nil).Repeat("off").Play(album...)
	at = at.After(minutes(1)).Pause().After(90 * time.Second).Resume()           // 0
	at = at.After(minutes(2.5)).Next()                                           // 1 skipped
	at = at.After(12 * time.Second).Next()                                       // 2 too early to be listed
	at = at.After(70 * time.Second).Pause().After(9 * time.Minute).Resume()      // 3
	at = at.After(minutes(3)).Pause().After(25 * time.Minute).Resume()           // 4, given up and another play
	at = at.After(minutes(4)).Previous()                                         // 5, and 4 again
	at = at.After(minutes(1)).Pause().After(2 * time.Second).Resume()            // for a moment
	at = at.After(minutes(9)).Next().After(40 * time.Minute)                     // to the end
	at = at.Repeat("track").Play(album[8]).After(10 * time.Minute).Repeat("off") // three times, and once more
	at.After(time.Hour).Play(album[9], album[9], album[10])
	at = w.user.At(day.Add(18 * time.Hour)).Play(album...).After(100 * time.Second)
	at = at.Offline(true).After(minutes(20)).Next().After(minutes(5)).Pause().After(minutes(5)).Resume()
	return at.After(12 * time.Hour).Offline(false).Time()
}

func runPolicy(t *testing.T, p policy, given []spotifysim.Given) score {
	first := given[0].EndedAt
	if first.IsZero() {
		first = given[0].StartedAt
	}
	first = first.Truncate(24 * time.Hour)
	time.Sleep(time.Until(first))
	w := newWorld(t)
	w.user.PlayDays(given)
	last := given[len(given)-1].EndedAt
	if last.IsZero() {
		last = given[len(given)-1].StartedAt
	}
	span := last.Sub(first)
	outage := first.Add(span / 3)
	w.sim.Fault(spotifysim.Fault{Kind: spotifysim.ServerErrorHTML, From: outage, Until: outage.Add(40 * time.Minute)})
	limited := first.Add(span * 2 / 3)
	w.sim.Fault(spotifysim.Fault{Kind: spotifysim.RateLimited, From: limited, Count: 1, RetryAfter: 10 * time.Minute})
	until := w.script(last.Truncate(24 * time.Hour).Add(48 * time.Hour)).Add(9 * time.Hour)
	records := p.run(w, until)
	return w.score(p.name, records, max(1, int(time.Since(first).Hours()/24+0.5)))
}
