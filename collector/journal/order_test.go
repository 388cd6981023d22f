package journal_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// database is InfluxDB as far as identity goes: points by time, and all-time
// totals by key.
type database struct {
	points map[int64]string
	totals map[string]string
	ranked map[string]string
}

func newDatabase() *database {
	return &database{points: map[int64]string{}, totals: map[string]string{}, ranked: map[string]string{}}
}

// drain sends what is due; with a limit, only so many entries.
func (d *database) drain(t testing.TB, j *journal.Journal, limit int) {
	t.Helper()
	for {
		entries, err := j.Take(context.Background(), limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			return
		}
		for _, e := range entries {
			switch e.Kind {
			case journal.EntryPlay:
				d.points[e.Play.PointNS] = describe(*e.Play)
			case journal.EntryPlayGone:
				delete(d.points, e.TimeNS)
			case journal.EntryArtistTotal, journal.EntryAlbumTotal, journal.EntryTrackTotal:
				key := fmt.Sprint(e.Kind, e.Total.Key)
				delete(d.totals, key)
				if !e.Total.Empty() {
					d.totals[key] = fmt.Sprint(e.Total.Plays, e.Total.MSPlayed, e.Total.First, e.Total.Last)
				}
			case journal.EntryArtistYear:
				for _, key := range e.Left {
					delete(d.ranked, fmt.Sprint(e.Year, key))
				}
				for rank, a := range e.Ranked {
					d.ranked[fmt.Sprint(e.Year, a.Key)] = fmt.Sprint(rank, a.Plays, a.MSPlayed)
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

// history makes a small random history: plays of few items close together, on
// repeat, skipped, at the same second; and what each witness says of each, or
// does not.
func history(random *rand.Rand) []journal.Report {
	var reports []journal.Report
	end := noon
	for range 1 + random.IntN(8) {
		item := song(random.IntN(3))
		if random.IntN(4) == 0 {
			item.Name = "Song 0" // another uri of one song
		}
		item.DurationMS = []int64{40_000, 180_000, 0}[random.IntN(3)]
		if random.IntN(2) == 0 {
			item.ISRC = ""
		}
		ms := []int64{180_000, 40_000, 31_000, 5_000, 0, 0}[random.IntN(6)]
		end = end.Add(time.Duration(ms+[]int64{0, 1, 2_000, 60_000, 3_600_000}[random.IntN(5)]) * time.Millisecond)
		if random.IntN(3) != 0 {
			reports = append(reports, inHistory(item, end, ms))
		}
		if random.IntN(3) != 0 {
			reports = append(reports, listed(item, end.Add(time.Duration(random.IntN(2000))*time.Millisecond)))
		}
		if random.IntN(3) != 0 {
			reports = append(reports, looked(item, end.Add(time.Duration(random.IntN(4000)-2000)*time.Millisecond), ms, []time.Duration{time.Second, 30 * time.Second, 3 * time.Hour}[random.IntN(3)]))
		}
		if random.IntN(3) != 0 {
			reports = append(reports, inAccountData(item, end, ms))
		}
		if random.IntN(8) == 0 && len(reports) > 0 { // a batch stamp: the time of the upload is told
			r := inHistory(item, end, ms)
			r.Stamp = r.EndedAt.Add(5 * time.Hour)
			reports = append(reports, r)
		}
	}
	return reports
}

// TestOrderDoesNotMatter records random histories in random orders, in random
// portions, with InfluxDB up and down in between: the plays, their points and the
// totals are the same. ORDER_HISTORIES sets how many; a million have been run.
func TestOrderDoesNotMatter(t *testing.T) {
	histories := 150
	if text := os.Getenv("ORDER_HISTORIES"); text != "" {
		var err error
		if histories, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	first := uint64(1)
	if text := os.Getenv("ORDER_SEED"); text != "" {
		var err error
		if first, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	j := open(t, journal.Options{})
	for seed := first; seed < first+uint64(histories); seed++ {
		random := rand.New(rand.NewPCG(seed, 0))
		reports := history(random)
		var want, wantPoints, wantTotals []string
		for turn := range 3 {
			order := random.Perm(len(reports))
			if turn == 0 {
				slices.Sort(order)
			}
			gotPlays, gotPoints, gotTotals := recordInOrder(t, j, reports, order, random)
			if turn == 0 {
				want, wantPoints, wantTotals = gotPlays, gotPoints, gotTotals
				continue
			}
			for _, compared := range [][2][]string{{want, gotPlays}, {wantPoints, gotPoints}, {wantTotals, gotTotals}} {
				if !slices.Equal(compared[0], compared[1]) {
					for i := range reports {
						t.Logf("report %d: %v %q %v ±%v started %v ms %d stamp %v", i, reports[i].Witness, reports[i].Item.URI, reports[i].EndedAt, reports[i].EndedError, reports[i].StartedAt, reports[i].MSPlayed, reports[i].Stamp)
					}
					t.Fatalf("seed %d, order %v differs\nin order: %q\n     now: %q", seed, order, compared[0], compared[1])
				}
			}
		}
	}
}

// recordInOrder records the reports in that order and returns plays, points and
// totals as text.
func recordInOrder(t *testing.T, j *journal.Journal, reports []journal.Report, order []int, random *rand.Rand) (all, points, totals []string) {
	if err := j.Wipe(t.Context()); err != nil {
		t.Fatal(err)
	}
	influx := newDatabase()
	for len(order) > 0 {
		portion := 1 + random.IntN(len(order))
		var batch []journal.Report
		for _, i := range order[:portion] {
			batch = append(batch, reports[i])
		}
		order = order[portion:]
		record(t, j, batch...)
		switch random.IntN(3) {
		case 0:
			influx.drain(t, j, 1+random.IntN(5))
		case 1: // taken, but not known to have arrived
			entries, err := j.Take(t.Context(), 1+random.IntN(3))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if e.Kind == journal.EntryPlay {
					influx.points[e.Play.PointNS] = describe(*e.Play)
				}
			}
		}
	}
	influx.drain(t, j, 3)
	for _, p := range plays(t, j) {
		all = append(all, describe(p))
		if influx.points[p.PointNS] != describe(p) {
			t.Fatalf("play\n%s\nis in InfluxDB as\n%s", describe(p), influx.points[p.PointNS])
		}
	}
	for _, ns := range slices.Sorted(maps.Keys(influx.points)) {
		points = append(points, influx.points[ns])
	}
	if len(points) != len(all) {
		t.Fatalf("%d plays, %d points", len(all), len(points))
	}
	for _, key := range slices.Sorted(maps.Keys(influx.totals)) {
		totals = append(totals, key+": "+influx.totals[key])
	}
	for _, key := range slices.Sorted(maps.Keys(influx.ranked)) {
		totals = append(totals, key+": "+influx.ranked[key])
	}
	return all, points, totals
}
