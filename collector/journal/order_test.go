package journal_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// database is InfluxDB as far as identity goes: points by time, and all-time
// totals by key.
type database struct {
	points map[point]string
	totals map[string]string
	ranked map[string]string
}

// point is what makes a play's point the same one: its series and its time.
type point struct {
	account string
	ns      int64
}

func place(p journal.Play) point { return point{p.Account, p.PointNS} }

func newDatabase() *database {
	return &database{points: map[point]string{}, totals: map[string]string{}, ranked: map[string]string{}}
}

// drain sends what is due; with a limit, only so many entries.
func (d *database) drain(t testing.TB, j *journal.Journal, limit int) {
	t.Helper()
	for {
		entries, err := j.Take(context.Background(), 0, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			return
		}
		for _, e := range entries {
			switch e.Kind {
			case journal.EntryPlay:
				d.points[place(*e.Play)] = describe(*e.Play)
			case journal.EntryPlayGone:
				delete(d.points, point{e.Account, e.TimeNS})
			case journal.EntryClear:
				maps.DeleteFunc(d.points, func(p point, _ string) bool { return p.account == e.Account })
				for _, keyed := range []map[string]string{d.totals, d.ranked} {
					maps.DeleteFunc(keyed, func(key, _ string) bool { return strings.HasPrefix(key, e.Account+": ") })
				}
			case journal.EntryArtistTotal, journal.EntryAlbumTotal, journal.EntryTrackTotal:
				key := fmt.Sprintf("%s: %d %q", e.Account, e.Kind, e.Total.Key)
				delete(d.totals, key)
				if !e.Total.Empty() {
					d.totals[key] = fmt.Sprint(e.Total.Plays, e.Total.MSPlayed, e.Total.First, e.Total.Last)
				}
			case journal.EntryArtistYear:
				for _, key := range e.Left {
					delete(d.ranked, fmt.Sprintf("%s: %d %q", e.Account, e.Year, key))
				}
				for rank, a := range e.Ranked {
					d.ranked[fmt.Sprintf("%s: %d %q", e.Account, e.Year, a.Key)] = fmt.Sprint(rank, a.Plays, a.MSPlayed)
				}
			}
		}
		if err := j.Sent(context.Background(), entries); err != nil {
			t.Fatal(err)
		}
	}
}

// describe is all that a play says, its id aside.
func describe(p journal.Play) string {
	p.ID = 0
	booleans := ""
	for _, b := range []*bool{p.Shuffle, p.Offline, p.Incognito, p.Skipped, p.Item.Explicit} {
		if b == nil {
			booleans += "?"
		} else {
			booleans += strconv.FormatBool(*b)
		}
	}
	p.Shuffle, p.Offline, p.Incognito, p.Skipped, p.Item.Explicit = nil, nil, nil, nil, nil
	return fmt.Sprintf("%+v %s", p, booleans)
}

// told is something that is recorded: a report of an account's witness, or what an
// API answer says of an item (Report.Witness is 0).
type told struct {
	account string
	journal.Report
}

// tell makes a small random history that begins at a time: plays of few items close
// together, on repeat, skipped, at the same second, private, followed over a pause;
// what each witness says of each, or does not; and what is learned of the items
// meanwhile.
func tell(random *rand.Rand, end time.Time) []told {
	var all []told
	seen := map[string]bool{}
	add := func(account string, r journal.Report) {
		// Reports of one identity are one report: what they say of the item is not.
		if identity := account + r.Identity(); !seen[identity] || r.Witness == 0 {
			seen[identity] = true
			all = append(all, told{account, r})
		}
	}
	for range 1 + random.IntN(8) {
		account := "me"
		if random.IntN(6) == 0 {
			account = "you"
		}
		item := song(random.IntN(3))
		if random.IntN(4) == 0 {
			item.Name = "Song 0" // another uri of one song
		}
		if random.IntN(6) == 0 {
			item.Name = "Söng 0"
		}
		item.DurationMS = []int64{40_000, 180_000, 0}[random.IntN(3)]
		switch random.IntN(8) {
		case 0, 1, 2, 3:
			item.ISRC = ""
		case 4:
			item.ISRC = song(0).ISRC // another uri of one recording
		case 5:
			item.Name += " - Remastered" // called otherwise
		}
		switch random.IntN(12) {
		case 0:
			item.Kind, item.URI = journal.Episode, "spotify:episode:0000000000000000000001"
		case 1:
			item = journal.Item{}
		case 2:
			item.URI = "" // a local file, say
		}
		ms := []int64{180_000, 40_000, 31_000, 5_000, 0, 0}[random.IntN(6)]
		pause := []time.Duration{0, time.Millisecond, 2 * time.Second, time.Minute, time.Hour, 10 * 24 * time.Hour}[random.IntN(6)]
		end = end.Add(pause + time.Duration(ms)*time.Millisecond)
		private := random.IntN(8) == 0
		if random.IntN(3) != 0 {
			r := inHistory(item, end, ms)
			r.Incognito = new(private)
			switch random.IntN(9) {
			case 8: // with a pause
				r.StartedAt = r.StartedAt.Add(-[]time.Duration{time.Minute, 12 * time.Minute, 3 * time.Hour}[random.IntN(3)])
				add(account, r)
			case 0: // collected long ago: the time of the upload is told
				r.Stamp = r.EndedAt.Add([]time.Duration{5 * time.Hour, 20 * 24 * time.Hour}[random.IntN(2)])
				add(account, r)
				if random.IntN(2) == 0 { // and a newer export, without the start
					r.EndedAt, r.StartedAt, r.Stamp = r.Stamp, time.Time{}, time.Time{}
					add(account, r)
				}
			case 1:
				add(account, r)
				r.StartedAt = time.Time{}
				add(account, r)
			case 3: // two exports of one row: in one its title has been removed
				add(account, r)
				r.Item = journal.Item{}
				switch random.IntN(4) {
				case 0:
					r.StartedAt = time.Time{}
				case 1:
					r.EndedAt, r.StartedAt, r.Stamp = r.EndedAt.Add(-time.Hour), r.StartedAt.Add(-time.Hour), r.EndedAt
				}
				add(account, r)
			case 2: // two exports of one row: one without the uri, as in 2020, or with letters lost
				add(account, r)
				r.Item = damage(random, r.Item)
				if random.IntN(2) == 0 {
					r.Item.URI = ""
				}
				if random.IntN(4) == 0 {
					r.StartedAt = time.Time{}
				}
				all = append(all, told{account, r}) // the same report, perhaps, with other names
			default:
				add(account, r)
			}
		}
		if random.IntN(3) != 0 && !private && item.URI != "" && item.Kind == journal.Track {
			r := listed(item, end.Add(time.Duration(random.IntN(2000))*time.Millisecond))
			add(account, r)
			if random.IntN(8) == 0 {
				r.EndedAt = r.EndedAt.Add(time.Duration(random.IntN(20)) * time.Second)
				add(account, r)
			}
		}
		if random.IntN(3) != 0 && item.Name != "" {
			unsure := []time.Duration{time.Second, 30 * time.Second, 3 * time.Hour, 40 * 24 * time.Hour}[random.IntN(4)]
			r := looked(item, end.Add(time.Duration(random.IntN(4000)-2000)*time.Millisecond), ms, unsure)
			r.Incognito = new(private)
			switch random.IntN(8) {
			case 0: // seen in its middle
				r.StartedAt = time.Time{}
			case 1:
				r.StartedAt, r.MSPlayedError = time.Time{}, []int64{30_000, 15 * 60_000}[random.IntN(2)]
			case 2: // it was believed to go on
				r.MSPlayed += []int64{100_000, 15 * 60_000}[random.IntN(2)]
				r.EndedAt = r.StartedAt.Add(time.Duration(r.MSPlayed) * time.Millisecond)
			}
			if random.IntN(4) == 0 && ms > 30_000 {
				half := time.Duration(ms/2) * time.Millisecond
				r.Break = journal.Break{From: end.Add(-half - pause), Until: end.Add(-half), MSPlayed: ms / 2, MSMore: []int64{0, 3_000}[random.IntN(2)]}
			}
			if random.IntN(4) == 0 { // and the first part of it, or what was seen paused
				first := r
				first.StartedAt, first.EndedAt, first.MSPlayed = end.Add(-2*pause), end.Add(-pause), ms/2
				first.SeenAt, first.SeenMSPlayed, first.SeenMSLeft = first.EndedAt.Add(-time.Second), ms/2, ms/2
				if random.IntN(2) == 0 {
					first.SeenStillAt = first.SeenAt.Add(pause / 2)
				}
				add(account, first)
			}
			add(account, r)
		}
		if random.IntN(3) != 0 && item.Name != "" {
			r := inAccountData(item, end, ms)
			add(account, r)
			if random.IntN(8) == 0 {
				r.Item = damage(random, r.Item)
				add(account, r)
			}
		}
		if random.IntN(4) == 0 && item.URI != "" {
			item.Album, item.DurationMS = "Album (Deluxe)", 180_500
			add(account, journal.Report{Item: item})
		}
	}
	return all
}

// damage is what a program that reads the wrong encoding leaves of an item's names, or
// of none.
func damage(random *rand.Rand, item journal.Item) journal.Item {
	if random.IntN(2) == 0 {
		item.Name = strings.ReplaceAll(item.Name, "ö", "\ufffd")
		item.Album += "\ufffd"
	}
	return item
}

// environment is a number from the environment.
func environment(t *testing.T, name string, value uint64) uint64 {
	if text := os.Getenv(name); text != "" {
		var err error
		if value, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	return value
}

// TestOrderDoesNotMatter records random histories in random orders, in random
// portions, with InfluxDB up and down in between: the plays, their points and the
// totals are the same. ORDER_HISTORIES sets how many, ORDER_SEED the first. Several
// are recorded together, a year apart and so out of reach of each other but for
// their items and totals: transactions are what takes time.
func TestOrderDoesNotMatter(t *testing.T) {
	const together = 20
	histories, first := environment(t, "ORDER_HISTORIES", 400), environment(t, "ORDER_SEED", 1)
	j := open(t, journal.Options{})
	for seed := first; seed < first+histories; seed += together {
		if (seed-first)%10_000 == 0 {
			t.Logf("%d histories", seed-first)
		}
		var all []told
		for i := range uint64(together) {
			all = append(all, tell(rand.New(rand.NewPCG(seed+i, 0)), noon.AddDate(-int(i), 0, 0))...)
		}
		difference := differs(t, j, all, seed)
		if difference == "" {
			continue
		}
		for i := 0; i < len(all); i++ { // what matters of it
			if fewer := slices.Delete(slices.Clone(all), i, i+1); len(fewer) > 0 {
				for try := range uint64(10) {
					if d := differs(t, j, fewer, seed+try<<32); d != "" {
						all, difference, i = fewer, d, -1
						break
					}
				}
			}
		}
		for i, r := range all {
			t.Logf("report %d of %s: %v %q %q %d ms, ended %v ±%v, started %v, ms %d ±%d, stamp %v, break %+v", i, r.account, r.Witness, r.Item.URI, r.Item.Name, r.Item.DurationMS,
				r.EndedAt, r.EndedError, r.StartedAt, r.MSPlayed, r.MSPlayedError, r.Stamp, r.Break)
		}
		t.Fatalf("seed %d: %s", seed, difference)
	}
}

// TestWhatRandomHistoriesFound are histories that once came out differently, cut
// down to what mattered.
func TestWhatRandomHistoriesFound(t *testing.T) {
	of := func(account string, r journal.Report) told { return told{account, r} }
	about := func(item journal.Item) told { return told{"you", journal.Report{Item: item}} }
	long := 40 * 24 * time.Hour // so little may be known of an end
	unnamed := func(n int) journal.Item {
		return other(song(n), func(i *journal.Item) { i.ISRC, i.DurationMS = "", 0 })
	}
	renamed := other(song(1), func(i *journal.Item) { i.Name, i.Album, i.DurationMS = "Song 0", "Album (Deluxe)", 180_500 })
	remastered := other(song(1), func(i *journal.Item) { i.URI, i.Name = "", "Song 1 - Remastered" })
	private := func(r journal.Report) journal.Report {
		return with(r, func(r *journal.Report) { r.Incognito = new(true) })
	}
	j := open(t, journal.Options{})
	for name, all := range map[string][]told{
		"an estimate, and the length is learned by somebody else": {
			of("me", listed(unnamed(1), at("12:00:00"))), of("you", listed(song(1), at("18:00:00"))),
		},
		"listed, and then known to be private": {
			of("me", listed(song(1), at("12:00:00"))), of("me", private(inHistory(song(1), at("12:00:00"), 40_000))),
			of("me", inHistory(song(1), at("15:00:00"), 50_000)),
		},
		"the account data of a play that another title held": {
			of("me", looked(other(song(1), func(i *journal.Item) { i.URI = "" }), at("12:02:14.7"), 31_000, long)),
			of("me", inAccountData(song(1), at("12:02:00"), 31_000)),
			of("me", listed(unnamed(1), at("13:02:44.4"))), about(renamed),
		},
		"a renamed item makes room for others": {
			about(renamed), about(other(song(1), func(i *journal.Item) { i.DurationMS = 180_500 })),
			of("me", listed(unnamed(1), at("13:00:48.003"))), of("me", looked(unnamed(1), at("13:00:48.239"), 0, long)),
			of("me", inHistory(song(0), at("13:00:49"), 0)),
			of("me", looked(other(song(0), func(i *journal.Item) { i.DurationMS = 40_000 }), at("13:00:47.15"), 0, long)),
		},
		"without an item in one second, and one of them private": {
			of("me", inHistory(journal.Item{}, at("12:00:00"), 0)), of("me", private(with(inHistory(journal.Item{}, at("12:00:00"), 0), func(r *journal.Report) {
				r.Stamp = at("17:00:00")
			}))),
		},
		"a play of two titles comes apart, and one of its reports reaches far": {
			of("me", inHistory(remastered, noon, 31_000)), of("me", looked(remastered, noon, 31_000, time.Second)),
			of("me", inHistory(song(1), noon.Add(20*24*time.Hour), 31_000)), of("me", listed(song(1), noon.Add(20*24*time.Hour))),
			of("me", with(looked(song(1), noon.Add(20*24*time.Hour), 15_500, time.Second), func(r *journal.Report) { r.EndedError = long / 2 })),
			of("me", with(looked(song(1), noon.Add(20*24*time.Hour+time.Second), 31_000, long), func(r *journal.Report) {
				r.Break = journal.Break{From: noon.Add(20 * 24 * time.Hour), Until: noon.Add(20 * 24 * time.Hour), MSPlayed: 15_500}
			})),
			of("me", journal.Report{Item: other(song(1), func(i *journal.Item) { i.Name, i.ISRC = "Song 0", song(0).ISRC })}),
		},
		"two listed in one ms, and then one before": {
			of("me", listed(song(1), at("12:03:00"))), of("me", listed(song(2), at("12:03:00"))), of("me", listed(song(3), at("12:01:00"))),
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(60) {
				if difference := differs(t, j, all, seed); difference != "" {
					t.Fatal(difference)
				}
			}
		})
	}
}

// differs records what was told in two orders and tells what is not the same, ""
// if nothing.
func differs(t *testing.T, j *journal.Journal, all []told, seed uint64) string {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	want, problem := recordInOrder(t, j, all, order, random, false)
	if problem != "" {
		return problem
	}
	order = random.Perm(len(all))
	shown := fmt.Sprint(order)
	got, problem := recordInOrder(t, j, all, order, random, false)
	if problem != "" {
		return "in order " + shown + ": " + problem
	}
	return unlike("order "+shown+" differs", want, got)
}

// unlike tells in what two states differ, "" if in nothing.
func unlike(text string, want, got []string) string {
	if slices.Equal(want, got) {
		return ""
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			text += "\nwant: " + line
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			text += "\n now: " + line
		}
	}
	return text
}

// imported tells whether an import of one's own could have brought it.
func (r *told) imported() bool {
	return r.account == "me" && (r.Witness == journal.ExtendedHistory || r.Witness == journal.AccountData)
}

// recordInOrder records what was told in that order and returns plays, points and
// totals as text, and what is wrong already. With undo, what an import could have
// brought belongs to one, which is taken back.
func recordInOrder(t *testing.T, j *journal.Journal, all []told, order []int, random *rand.Rand, undo bool) (state []string, problem string) {
	t.Helper()
	if err := j.Wipe(t.Context()); err != nil {
		t.Fatal(err)
	}
	influx := newDatabase()
	var batch int64
	if undo {
		var err error
		if batch, err = j.StartBatch(t.Context(), "me", "my_spotify_data.zip"); err != nil {
			t.Fatal(err)
		}
	}
	for len(order) > 0 {
		portion := order[:1+random.IntN(len(order))]
		order = order[len(portion):]
		for _, account := range []string{"me", "you"} {
			var w, imported journal.Witnessed
			for _, i := range portion {
				switch {
				case all[i].account != account:
				case all[i].Witness == 0:
					w.Items = append(w.Items, all[i].Item)
				case batch != 0 && all[i].imported():
					imported.Reports = append(imported.Reports, all[i].Report)
				default:
					w.Reports = append(w.Reports, all[i].Report)
				}
			}
			if _, err := j.Record(t.Context(), account, w); err != nil {
				t.Fatal(err)
			}
			if len(imported.Reports) > 0 {
				imported.Batch = batch
				if _, err := j.Record(t.Context(), account, imported); err != nil {
					t.Fatal(err)
				}
			}
		}
		switch random.IntN(4) {
		case 0:
			influx.drain(t, j, 5+random.IntN(20))
		case 1: // taken, but not known to have arrived
			entries, err := j.Take(t.Context(), 0, 1+random.IntN(3))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if e.Kind == journal.EntryPlay {
					influx.points[place(*e.Play)] = describe(*e.Play)
				}
			}
		}
	}
	if batch != 0 {
		err := j.UndoBatch(t.Context(), batch, func(int64, time.Duration) int { return 1 + random.IntN(20) })
		if err != nil {
			t.Fatal(err)
		}
	}
	influx.drain(t, j, 100)
	sendable := 0
	for _, p := range plays(t, j) {
		state = append(state, describe(p))
		if p.Private() || p.Item.Kind == journal.Unknown {
			continue
		}
		sendable++
		if influx.points[place(p)] != describe(p) {
			return nil, fmt.Sprintf("play\n%s\nis in InfluxDB as\n%s", describe(p), influx.points[place(p)])
		}
	}
	if len(influx.points) != sendable {
		return nil, fmt.Sprintf("%d plays, %d points", sendable, len(influx.points))
	}
	for _, totals := range []map[string]string{influx.totals, influx.ranked} {
		for _, key := range slices.Sorted(maps.Keys(totals)) {
			state = append(state, key+": "+totals[key])
		}
	}
	return state, ""
}
