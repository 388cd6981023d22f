package journal_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// at is a time of the day that the cases are on.
func at(clock string) time.Time {
	t, err := time.Parse("15:04:05.999", clock)
	if err != nil {
		panic(err)
	}
	return noon.Truncate(24 * time.Hour).Add(t.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)))
}

// with returns a report that change has changed.
func with(r journal.Report, change func(*journal.Report)) journal.Report {
	change(&r)
	return r
}

// other is an item that change has changed.
func other(item journal.Item, change func(*journal.Item)) journal.Item {
	change(&item)
	return item
}

// short is a play in a few words: its end, song, listening time and witnesses.
func short(p journal.Play) string {
	song := cmp.Or(strings.TrimLeft(p.Item.ID(), "0"), p.Item.Name, p.Item.Kind.String())
	var witnesses []string
	for _, w := range p.Witnesses {
		witnesses = append(witnesses, w.String())
	}
	day := ""
	if d := p.EndedAt.Format("2006-01-02 "); d != noon.Format("2006-01-02 ") {
		day = d
	}
	return fmt.Sprintf("%s%s %s %d %s", day, p.EndedAt.Format("15:04:05.000"), song, p.MSPlayed, strings.Join(witnesses, "+"))
}

// TestMerge is the table of the rule: what witnesses say, and the plays that it
// makes. Every case is told in several orders.
func TestMerge(t *testing.T) {
	minute := func(item journal.Item) journal.Item {
		return other(item, func(i *journal.Item) { i.DurationMS = 60_000 })
	}
	unknown := journal.Item{}
	remaster := other(song(2), func(i *journal.Item) { i.Name, i.DurationMS = "Song 1", 200_000 })
	relinked := other(song(2), func(i *journal.Item) { i.Name, i.ISRC = "Song 1", song(1).ISRC })
	remastered := other(song(2), func(i *journal.Item) { i.Name, i.ISRC = "Song 1 - Remastered 2011", song(1).ISRC })
	live := other(song(2), func(i *journal.Item) { i.Name = "Song 1 - Live" })
	sameNames := other(song(2), func(i *journal.Item) { i.Name, i.DurationMS = "Song 1", 181_000 })
	renamed := other(song(2), func(i *journal.Item) {
		i.Name = "Song 1"
		i.Artists, i.AlbumArtists = []journal.Artist{{Name: "Cover Band"}}, []journal.Artist{{Name: "Cover Band"}}
	})
	stamped := func(r journal.Report, upload string) journal.Report {
		return with(r, func(r *journal.Report) { r.Stamp = at(upload) })
	}
	withoutStart := func(r journal.Report) journal.Report {
		return with(r, func(r *journal.Report) { r.StartedAt = time.Time{} })
	}
	paused := func(r journal.Report, from, until string, played, more int64) journal.Report {
		return with(r, func(r *journal.Report) {
			r.Break = journal.Break{From: at(from), Until: at(until), MSPlayed: played, MSMore: more}
		})
	}
	short70 := other(song(1), func(i *journal.Item) { i.DurationMS = 70_000 })
	began := func(item journal.Item, end string, ms int64) journal.Report {
		return with(looked(item, at(end), ms, 2*time.Second), func(r *journal.Report) { r.StartedAt = at(end).Add(time.Duration(-ms) * time.Millisecond) })
	}
	unsure := func(r journal.Report, by time.Duration) journal.Report {
		return with(r, func(r *journal.Report) { r.EndedError = by })
	}

	episode := other(song(7), func(i *journal.Item) {
		i.Kind, i.URI, i.DurationMS, i.ISRC = journal.Episode, "spotify:episode:0000000000000000000007", 3_600_000, ""
	})

	withoutURI := func(item journal.Item) journal.Item {
		return other(item, func(i *journal.Item) { i.URI = "" })
	}
	accented := func(item journal.Item) journal.Item {
		return other(item, func(i *journal.Item) { i.Name = "Söng 1 – Café" })
	}
	damaged := func(item journal.Item) journal.Item {
		return other(item, func(i *journal.Item) { i.Name = "S\ufffdng 1 \ufffd Caf\ufffd" })
	}

	for _, c := range []struct {
		name string
		in   []journal.Report
		out  []string
	}{
		// Pairs of witnesses.
		{"tracker and list agree", []journal.Report{
			looked(song(1), at("12:03:00.1"), 180_000, 5*time.Second), listed(song(1), at("12:03:00.9")),
		}, []string{"12:03:00.900 1 180000 playback+recently_played"}},
		{"tracker and list are of two plays", []journal.Report{
			looked(song(1), at("12:03:00"), 180_000, 5*time.Second), listed(song(1), at("12:09:00")),
		}, []string{"12:03:00.000 1 180000 playback", "12:09:00.000 1 180000 recently_played"}},
		{"tracker and history agree", []journal.Report{
			looked(song(1), at("12:01:10.3"), 70_000, 20*time.Second), inHistory(song(1), at("12:01:08"), 67_901),
		}, []string{"12:01:08.000 1 67901 playback+extended_history"}},
		{"tracker and history are of two plays", []journal.Report{
			looked(song(1), at("12:03:00"), 180_000, 5*time.Second), inHistory(song(1), at("12:06:10"), 180_000),
		}, []string{"12:03:00.000 1 180000 playback", "12:06:10.000 1 180000 extended_history"}},
		{"tracker and account data agree", []journal.Report{
			looked(song(1), at("12:03:10"), 180_000, 5*time.Second), inAccountData(song(1), at("12:03:11"), 180_100),
		}, []string{"12:03:10.000 1 180100 playback+account_data"}},
		{"tracker and account data are of two plays", []journal.Report{
			looked(song(1), at("12:03:10"), 180_000, 5*time.Second), inAccountData(song(1), at("12:06:11"), 180_000),
		}, []string{"12:03:10.000 1 180000 playback", "12:06:00.000 Song 1 180000 account_data"}},
		{"list and history agree", []journal.Report{
			listed(song(1), at("12:03:00.9")), inHistory(song(1), at("12:03:01"), 179_500),
		}, []string{"12:03:00.900 1 179500 recently_played+extended_history"}},
		{"list and history are of two plays", []journal.Report{
			listed(song(1), at("12:03:00")), inHistory(song(1), at("12:04:32"), 91_000),
		}, []string{"12:03:00.000 1 180000 recently_played", "12:04:32.000 1 91000 extended_history"}},
		{"list and account data agree", []journal.Report{
			listed(song(1), at("12:03:59.9")), inAccountData(song(1), at("12:03:59"), 170_000),
		}, []string{"12:03:59.900 1 170000 recently_played+account_data"}},
		{"list and account data are of two plays", []journal.Report{
			listed(song(1), at("12:03:00")), inAccountData(song(1), at("12:09:00"), 180_000),
		}, []string{"12:03:00.000 1 180000 recently_played", "12:09:00.000 Song 1 180000 account_data"}},
		{"history and account data agree", []journal.Report{
			inHistory(song(1), at("12:03:59"), 180_000), inAccountData(song(1), at("12:03:59"), 180_000),
		}, []string{"12:03:59.000 1 180000 extended_history+account_data"}},
		{"history and account data are of two plays in one minute", []journal.Report{
			inHistory(song(1), at("12:03:30"), 4_000), inAccountData(song(1), at("12:03:59"), 3_999),
		}, []string{"12:03:00.000 Song 1 3999 account_data", "12:03:30.000 1 4000 extended_history"}},

		// Two rows of exports of one sort that are one play.
		{"without the uri, in an export of 2020", []journal.Report{
			inHistory(song(1), at("12:03:00"), 180_000), inHistory(withoutURI(song(1)), at("12:03:00"), 180_000),
		}, []string{"12:03:00.000 1 180000 extended_history"}},
		{"without the uri, and the other one without the start", []journal.Report{
			stamped(inHistory(withoutURI(song(1)), at("12:03:00"), 180_000), "14:00:00"), withoutStart(inHistory(song(1), at("14:00:00"), 180_000)),
		}, []string{"12:03:00.000 1 180000 extended_history"}},
		{"without the uri, and the list and account data as well", []journal.Report{
			inHistory(withoutURI(song(1)), at("12:03:00"), 180_000), listed(song(1), at("12:03:00.9")), inAccountData(song(1), at("12:03:00"), 180_000), inHistory(song(1), at("12:03:00"), 180_000),
		}, []string{"12:03:00.900 1 180000 recently_played+extended_history+account_data"}},
		{"two uris of one song in one second, and one without", []journal.Report{
			inHistory(song(1), at("12:03:00"), 300), inHistory(relinked, at("12:03:00"), 300), inHistory(withoutURI(song(1)), at("12:03:00"), 300),
		}, []string{"12:03:00.000 1 300 extended_history", "12:03:00.000 2 300 extended_history"}},
		{"without the uri, of another listening time", []journal.Report{
			inHistory(song(1), at("12:03:00"), 180_000), inHistory(withoutURI(song(1)), at("12:03:00"), 179_000),
		}, []string{"12:03:00.000 1 180000 extended_history", "12:03:00.000 Song 1 179000 extended_history"}},

		{"named once, and null later", []journal.Report{
			inHistory(song(1), at("12:03:00"), 180_000), inHistory(unknown, at("12:03:00"), 180_000),
		}, []string{"12:03:00.000 1 180000 extended_history"}},
		{"named once, and null later without the start", []journal.Report{
			stamped(inHistory(song(1), at("12:03:00"), 180_000), "14:00:00"), withoutStart(inHistory(unknown, at("14:00:00"), 180_000)), listed(song(1), at("12:03:00.5")),
		}, []string{"12:03:00.500 1 180000 recently_played+extended_history"}},
		{"null, of another listening time", []journal.Report{
			inHistory(song(1), at("12:03:00"), 180_000), inHistory(unknown, at("12:03:00"), 179_000),
		}, []string{"12:03:00.000 unknown 179000 extended_history", "12:03:00.000 1 180000 extended_history"}},
		{"null twice, named once", []journal.Report{
			inHistory(song(1), at("12:03:00"), 300), stamped(inHistory(unknown, at("12:02:00"), 300), "12:03:00"), inHistory(unknown, at("12:03:00"), 300),
		}, []string{"12:02:00.000 unknown 300 extended_history", "12:03:00.000 1 300 extended_history"}},

		// Letters of names that a file has lost.
		{"letters lost, with the uri", []journal.Report{
			inHistory(damaged(song(1)), at("12:03:00"), 180_000), inHistory(accented(song(1)), at("12:03:00"), 180_000),
		}, []string{"12:03:00.000 1 180000 extended_history"}},
		{"letters lost, both without the uri", []journal.Report{
			inHistory(withoutURI(damaged(song(1))), at("12:03:00"), 180_000), inHistory(withoutURI(accented(song(1))), at("12:03:00"), 180_000),
		}, []string{"12:03:00.000 Söng 1 – Café 180000 extended_history"}},
		{"letters lost in the account data", []journal.Report{
			inAccountData(damaged(song(1)), at("12:03:00"), 180_000), inHistory(accented(song(1)), at("12:03:00"), 180_000),
		}, []string{"12:03:00.000 1 180000 extended_history+account_data"}},
		{"letters lost in the account data, and a right one", []journal.Report{
			inAccountData(damaged(song(1)), at("12:03:00"), 180_000), inAccountData(accented(song(1)), at("12:03:00"), 180_000), listed(accented(song(1)), at("12:03:10")),
		}, []string{"12:03:10.000 1 180000 recently_played+account_data"}},
		{"letters lost, of another song", []journal.Report{
			inAccountData(damaged(song(1)), at("12:03:00"), 180_000), inHistory(song(1), at("12:03:00"), 180_000),
		}, []string{"12:03:00.000 S\ufffdng 1 \ufffd Caf\ufffd 180000 account_data", "12:03:00.000 1 180000 extended_history"}},

		// Several plays of one song.
		{"on repeat, seen by two", []journal.Report{
			looked(minute(song(1)), at("12:01:00"), 60_000, 5*time.Second), looked(minute(song(1)), at("12:02:00"), 60_000, 5*time.Second),
			listed(minute(song(1)), at("12:01:01")), listed(minute(song(1)), at("12:02:01")),
		}, []string{"12:01:01.000 1 60000 playback+recently_played", "12:02:01.000 1 60000 playback+recently_played"}},
		{"on repeat, one seen by one only", []journal.Report{
			listed(minute(song(1)), at("12:01:00")), listed(minute(song(1)), at("12:02:00")), inHistory(minute(song(1)), at("12:02:00"), 60_000),
		}, []string{"12:01:00.000 1 60000 recently_played", "12:02:00.000 1 60000 recently_played+extended_history"}},
		{"twice in one second", []journal.Report{
			inHistory(song(1), at("12:00:01"), 300), inHistory(song(1), at("12:00:01"), 400),
		}, []string{"12:00:01.000 1 300 extended_history", "12:00:01.000 1 400 extended_history"}},
		{"on repeat, and the tracker has missed the first and seen a skipped one that the list has not", []journal.Report{
			listed(short70, at("12:01:10")), listed(short70, at("12:02:20")), listed(short70, at("12:03:30")),
			began(short70, "12:02:20", 70_000), began(short70, "12:03:30", 70_000), began(short70, "12:03:50", 20_000),
		}, []string{"12:01:10.000 1 70000 recently_played", "12:02:20.000 1 70000 playback+recently_played", "12:03:30.000 1 70000 playback+recently_played", "12:03:50.000 1 20000 playback"}},
		{"the tracker saw only the play that began when the other ended", []journal.Report{
			listed(song(1), at("12:03:00")), began(song(1), "12:03:25", 25_000), inHistory(song(1), at("12:03:00"), 180_000),
		}, []string{"12:03:00.000 1 180000 recently_played+extended_history", "12:03:25.000 1 25000 playback"}},
		{"one play with a long pause, which the tracker took for two", []journal.Report{
			began(song(1), "12:02:00", 120_000), began(song(1), "12:16:00", 60_000), listed(song(1), at("12:16:00.4")),
			with(inHistory(song(1), at("12:16:00"), 180_000), func(r *journal.Report) { r.StartedAt = at("12:00:00") }),
		}, []string{"12:16:00.400 1 180000 playback+recently_played+extended_history"}},
		{"one play with a long pause, of whose first part the end was guessed late", []journal.Report{
			with(began(song(1), "12:00:40", 40_000), func(r *journal.Report) {
				r.EndedAt, r.EndedError, r.SeenAt, r.SeenStillAt = at("12:20:00"), 20*time.Minute, at("12:00:40"), at("12:10:00")
			}),
			began(song(1), "12:16:00", 140_000), listed(song(1), at("12:16:00.4")),
			with(inHistory(song(1), at("12:16:00"), 180_000), func(r *journal.Report) { r.StartedAt = at("12:00:00") }),
		}, []string{"12:16:00.400 1 180000 playback+recently_played+extended_history"}},
		{"moved on in a pause, which the tracker could not tell from listening", []journal.Report{
			with(looked(song(1), at("12:02:50"), 45_000, 0), func(r *journal.Report) { r.StartedAt, r.SeenStillAt = at("12:00:00"), at("12:10:00") }),
			inHistory(song(1), at("12:00:17"), 17_000),
		}, []string{"12:00:17.000 1 17000 playback+extended_history"}},
		{"left, chosen again and never heard, which was one play to the tracker", []journal.Report{
			with(looked(song(1), at("12:16:50"), 450_000, 0), func(r *journal.Report) { r.StartedAt = time.Time{} }),
			with(inHistory(song(1), at("12:12:30"), 215_000), func(r *journal.Report) { r.StartedAt = at("12:00:00") }),
		}, []string{"12:12:30.000 1 215000 playback+extended_history"}},
		{"back to its middle without a pause, which the tracker took for two", []journal.Report{
			with(began(song(1), "12:02:00", 90_000), func(r *journal.Report) { r.StartedAt = at("12:00:30") }),
			began(song(1), "12:15:00", 780_000), inHistory(song(1), at("12:15:00"), 900_000),
		}, []string{"12:15:00.000 1 900000 playback+extended_history"}},
		{"chosen in its middle and moved to its start, and nobody saw when", []journal.Report{
			with(looked(song(1), at("12:02:07.5"), 27_000, 2*time.Second), func(r *journal.Report) { r.StartedAt, r.MSPlayedError = time.Time{}, 120_000 }),
			began(song(1), "12:05:27", 199_000), inHistory(song(1), at("12:05:27"), 215_000),
		}, []string{"12:05:27.000 1 215000 playback+extended_history"}},
		{"the first of two plays that were one to the tracker, at the end of an export", []journal.Report{
			paused(began(episode, "13:00:00", 3_600_000), "12:29:30", "12:30:05", 1_770_000, 35_000), inHistory(episode, at("12:30:00"), 1_800_000),
		}, []string{"12:30:00.000 7 1800000 extended_history", "13:00:00.000 7 1800000 playback"}},
		{"the first of two plays, given up in a pause, at the end of an export", []journal.Report{
			with(paused(began(episode, "13:00:00", 2_400_000), "12:30:00", "12:50:00", 1_800_000, 0), func(r *journal.Report) { r.StartedAt = at("12:00:00") }),
			with(inHistory(episode, at("12:40:34"), 1_800_000), func(r *journal.Report) { r.StartedAt = at("12:00:00") }),
		}, []string{"12:40:34.000 7 1800000 extended_history", "13:00:00.000 7 600000 playback"}},
		{"chosen in its middle, and a later play of it", []journal.Report{
			with(looked(episode, at("12:05:00"), 300_000, 2*time.Second), func(r *journal.Report) {
				r.StartedAt, r.MSPlayedError, r.EndedError = time.Time{}, 40*60_000, 28*time.Minute
			}),
			inHistory(episode, at("12:45:00"), 900_000),
		}, []string{"12:05:00.000 7 300000 playback", "12:45:00.000 7 900000 extended_history"}},
		{"the next on repeat, which the history does not have yet", []journal.Report{
			began(song(1), "12:03:00", 180_000), began(song(1), "12:06:01", 181_000), inHistory(song(1), at("12:03:00"), 180_000),
		}, []string{"12:03:00.000 1 180000 playback+extended_history", "12:06:01.000 1 181000 playback"}},
		{"two plays with a long time between, of which the history has two rows", []journal.Report{
			began(song(1), "12:02:00", 120_000), began(song(1), "12:16:00", 60_000),
			inHistory(song(1), at("12:02:00"), 120_000), inHistory(song(1), at("12:16:00"), 60_000),
		}, []string{"12:02:00.000 1 120000 playback+extended_history", "12:16:00.000 1 60000 playback+extended_history"}},
		{"skipped at once and then heard", []journal.Report{
			inHistory(song(1), at("12:00:02"), 1_500), inHistory(song(1), at("12:03:02"), 180_000), listed(song(1), at("12:03:02.4")),
		}, []string{"12:00:02.000 1 1500 extended_history", "12:03:02.400 1 180000 recently_played+extended_history"}},

		// Items.
		{"two uris of one recording", []journal.Report{
			looked(relinked, at("12:03:00"), 180_000, 5*time.Second), listed(song(1), at("12:03:01")),
		}, []string{"12:03:01.000 1 180000 playback+recently_played"}},
		{"two uris of one recording, called differently", []journal.Report{
			looked(remastered, at("12:03:00"), 180_000, 5*time.Second), listed(song(1), at("12:03:01")), inHistory(other(song(1), func(i *journal.Item) { i.ISRC = "" }), at("12:03:01"), 180_000),
		}, []string{"12:03:01.000 1 180000 playback+recently_played+extended_history"}},
		{"one uri, called differently, and the account data of it", []journal.Report{
			listed(other(song(1), func(i *journal.Item) { i.Name = "Song 1 - Remastered 2011" }), at("12:03:30")), inHistory(song(1), at("12:03:30"), 180_000), inAccountData(song(1), at("12:03:30"), 180_000),
		}, []string{"12:03:30.000 1 180000 recently_played+extended_history+account_data"}},
		{"a song and another version of it, by one artist", []journal.Report{
			listed(song(1), at("12:03:00")), listed(other(song(1), func(i *journal.Item) { i.Name = "Song 1 - Remastered 2011" }), at("12:10:00")),
			looked(live, at("12:03:02"), 180_000, 5*time.Second), inAccountData(other(song(1), func(i *journal.Item) { i.Name = "Song 1 - Live" }), at("12:20:00"), 180_000),
		}, []string{"12:03:00.000 1 180000 recently_played", "12:03:02.000 2 180000 playback", "12:10:00.000 1 180000 recently_played", "12:20:00.000 Song 1 - Live 180000 account_data"}},
		{"two uris of the same names and length", []journal.Report{
			inHistory(sameNames, at("12:03:01"), 180_000), listed(song(1), at("12:03:01")),
		}, []string{"12:03:01.000 1 180000 recently_played+extended_history"}},
		{"two recordings of one title", []journal.Report{
			looked(remaster, at("12:03:00"), 180_000, 5*time.Second), listed(song(1), at("12:03:01")),
		}, []string{"12:03:00.000 2 180000 playback", "12:03:01.000 1 30000 recently_played"}},
		{"one title of two artists", []journal.Report{
			with(inHistory(renamed, at("12:03:01"), 180_000), func(r *journal.Report) { r.Item = renamed }), listed(song(1), at("12:03:01")),
		}, []string{"12:03:01.000 1 180000 recently_played", "12:03:01.000 2 180000 extended_history"}},
		{"names only, of an album's artist", []journal.Report{
			with(inAccountData(song(1), at("12:03:00"), 180_000), func(r *journal.Report) { r.Item.Artists = []journal.Artist{{Name: "Various"}} }),
			listed(other(song(1), func(i *journal.Item) { i.AlbumArtists = []journal.Artist{{Name: "Various"}} }), at("12:03:01")),
		}, []string{"12:03:01.000 1 180000 recently_played+account_data"}},
		{"an episode is no track of that name", []journal.Report{
			listed(song(1), at("12:03:00")), inHistory(other(song(9), func(i *journal.Item) { i.Kind, i.Name = journal.Episode, "Song 1" }), at("12:03:00"), 180_000),
		}, []string{"12:03:00.000 1 180000 recently_played", "12:03:00.000 9 180000 extended_history"}},
		{"nothing is known of the items", []journal.Report{
			inHistory(unknown, at("12:03:00"), 180_000), with(inHistory(unknown, at("12:03:00"), 180_000), func(r *journal.Report) { r.StartedAt = time.Time{} }),
			with(looked(unknown, at("12:03:00"), 180_000, time.Second), func(r *journal.Report) { r.Item = unknown }),
		}, []string{"12:03:00.000 unknown 180000 playback", "12:03:00.000 unknown 180000 extended_history"}},
		{"nothing is known of the items, in three exports", []journal.Report{
			inHistory(unknown, at("12:03:01"), 180_000), with(inHistory(unknown, at("12:03:01"), 180_000), func(r *journal.Report) { r.StartedAt = time.Time{} }),
			inAccountData(unknown, at("12:03:01"), 180_000), inAccountData(unknown, at("12:03:01"), 170_000),
			inHistory(unknown, at("12:03:02"), 20_000), inHistory(unknown, at("12:03:03"), 20_000),
		}, []string{"12:03:00.000 unknown 170000 account_data", "12:03:01.000 unknown 180000 extended_history+account_data",
			"12:03:02.000 unknown 20000 extended_history", "12:03:03.000 unknown 20000 extended_history"}},
		{"uris without names", []journal.Report{
			with(inHistory(song(1), at("12:03:00"), 180_000), func(r *journal.Report) { r.Item = journal.Item{Kind: journal.Track, URI: song(1).URI} }),
			with(listed(song(2), at("12:03:00")), func(r *journal.Report) { r.Item = journal.Item{Kind: journal.Track, URI: song(2).URI} }),
		}, []string{"12:03:00.000 1 180000 extended_history", "12:03:00.000 2 30000 recently_played"}},

		// Exports.
		{"equal rows of the history are one row of account data", []journal.Report{
			inHistory(song(1), at("12:03:01"), 0), inHistory(song(1), at("12:03:02"), 0), inHistory(song(1), at("12:03:03"), 0),
			inAccountData(song(1), at("12:03:01"), 0),
		}, []string{"12:03:01.000 1 0 extended_history+account_data", "12:03:02.000 1 0 extended_history", "12:03:03.000 1 0 extended_history"}},
		{"collected long ago: account data has the time of the upload", []journal.Report{
			stamped(inHistory(song(1), at("12:03:01"), 180_000), "17:20:05"), inAccountData(song(1), at("17:20:00"), 180_000),
		}, []string{"12:03:01.000 1 180000 extended_history+account_data"}},
		{"collected together: two plays, one upload", []journal.Report{
			stamped(inHistory(song(1), at("12:03:00"), 180_000), "17:20:05"), stamped(inHistory(song(1), at("12:06:00"), 180_000), "17:20:05"),
		}, []string{"12:03:00.000 1 180000 extended_history", "12:06:00.000 1 180000 extended_history"}},
		{"one row of two exports, the newer without a start", []journal.Report{
			inHistory(song(1), at("12:03:00"), 180_000), withoutStart(inHistory(song(1), at("12:03:00"), 180_000)),
		}, []string{"12:03:00.000 1 180000 extended_history"}},
		{"one row of two exports, the newer with nothing but the upload", []journal.Report{
			stamped(inHistory(song(1), at("12:03:00"), 180_000), "17:20:05"), withoutStart(inHistory(song(1), at("17:20:05"), 180_000)),
		}, []string{"12:03:00.000 1 180000 extended_history"}},
		{"two rows of two exports, alike but for the start", []journal.Report{
			stamped(inHistory(song(1), at("12:03:00"), 1_000), "17:20:05"), stamped(inHistory(song(1), at("12:04:00"), 1_000), "17:20:05"),
			withoutStart(inHistory(song(1), at("17:20:05"), 1_000)),
		}, []string{"12:03:00.000 1 1000 extended_history", "12:04:00.000 1 1000 extended_history"}},
		{"the same row twice", []journal.Report{
			inHistory(song(1), at("12:03:00"), 180_000), inHistory(song(1), at("12:03:00"), 180_000),
		}, []string{"12:03:00.000 1 180000 extended_history"}},

		// The list.
		{"offline: listed hours later, in the past", []journal.Report{
			listed(song(1), at("15:00:00")), listed(song(2), at("12:03:00")),
		}, []string{"12:03:00.000 2 180000 recently_played", "15:00:00.000 1 180000 recently_played"}},
		{"shifted by seconds between two pages", []journal.Report{
			listed(song(1), at("12:03:00.2")), listed(song(1), at("12:03:07.9")),
		}, []string{"12:03:00.200 1 180000 recently_played"}},

		// The tracker.
		{"went on after a pause, and was two plays", []journal.Report{
			paused(looked(song(1), at("14:02:00"), 180_000, time.Second), "12:01:00", "14:00:00", 60_000, 0),
			listed(song(1), at("12:01:00.3")), listed(song(1), at("14:02:00.2")),
		}, []string{"12:01:00.300 1 60000 recently_played", "14:02:00.200 1 120000 playback+recently_played"}},
		{"went on after a pause, and was one play", []journal.Report{
			paused(looked(song(1), at("14:02:00"), 180_000, time.Second), "12:01:00", "14:00:00", 60_000, 0), listed(song(1), at("14:02:00.2")),
		}, []string{"14:02:00.200 1 180000 playback+recently_played"}},
		{"back to the start, which was two plays", []journal.Report{
			paused(with(looked(song(1), at("12:05:00"), 300_000, time.Second), func(r *journal.Report) { r.SeenMSLeft = 1_000 }), "12:01:50", "12:02:10", 110_000, 20_000),
			listed(song(1), at("12:02:00")), listed(song(1), at("12:05:00.2")),
		}, []string{"12:02:00.000 1 120000 recently_played", "12:05:00.200 1 180000 playback+recently_played"}},
		{"left paused for hours, the end is vague", []journal.Report{
			unsure(with(looked(song(1), at("12:01:00"), 60_000, 0), func(r *journal.Report) { r.SeenMSLeft = 0 }), 3*time.Hour), listed(song(1), at("14:30:00")),
		}, []string{"14:30:00.000 1 60000 playback+recently_played"}},
		{"left paused for months", []journal.Report{
			unsure(looked(song(1), at("12:01:00"), 60_000, time.Second), 90*24*time.Hour), listed(song(1), at("12:01:00").AddDate(0, 0, 40)),
		}, []string{"12:01:00.000 1 60000 playback", "2026-04-10 12:01:00.000 1 180000 recently_played"}},

		// Times and lengths out of this world.
		{"in the future, in 1970 and before: no plays, see refuse.go", []journal.Report{
			inHistory(song(1), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), 1_000), inHistory(song(2), time.Unix(0, 0), 1_000), inHistory(song(3), time.Date(1000, 1, 1, 0, 0, 0, 0, time.UTC), 1_000),
		}, nil},
		{"a leap second", []journal.Report{
			listed(song(1), time.Date(2016, 12, 31, 23, 59, 60, 0, time.UTC)), inHistory(song(1), time.Date(2016, 12, 31, 23, 59, 59, 0, time.UTC), 180_000),
		}, []string{"2017-01-01 00:00:00.000 1 180000 recently_played+extended_history"}},
		{"nothing was heard", []journal.Report{
			inHistory(song(1), at("12:00:00"), 0), inAccountData(song(1), at("12:00:00"), 0),
		}, []string{"12:00:00.000 1 0 extended_history+account_data"}},
		{"no length", []journal.Report{
			listed(other(song(1), func(i *journal.Item) { i.DurationMS = 0 }), at("12:03:00")), listed(song(2), at("12:01:00")),
		}, []string{"12:01:00.000 2 180000 recently_played", "12:03:00.000 1 120000 recently_played"}},

		// What becomes known of items, and when.
		{"two plays are one once the length is known", []journal.Report{
			listed(song(1), at("12:03:00")),
			with(inHistory(sameNames, at("12:03:00"), 180_000), func(r *journal.Report) { r.Item.Artists, r.Item.AlbumArtists = nil, nil }),
			looked(sameNames, at("13:00:00"), 180_000, time.Second),
		}, []string{"12:03:00.000 1 180000 recently_played+extended_history", "13:00:00.000 2 180000 playback"}},
		{"one play is two once the length is known", []journal.Report{
			listed(song(1), at("12:03:00")), inHistory(remaster, at("12:03:00"), 180_000), looked(remaster, at("13:00:00"), 180_000, time.Second),
		}, []string{"12:03:00.000 1 180000 recently_played", "12:03:00.000 2 180000 extended_history", "13:00:00.000 2 180000 playback"}},
		{"an estimate waits for the length", []journal.Report{
			listed(other(song(1), func(i *journal.Item) { i.DurationMS = 0 }), at("12:03:00")), listed(song(1), at("18:00:00")),
		}, []string{"12:03:00.000 1 180000 recently_played", "18:00:00.000 1 180000 recently_played"}},
		{"two listed plays of one ms, and one before", []journal.Report{
			listed(song(1), at("12:03:00")), listed(song(2), at("12:03:00")), listed(song(3), at("12:01:00")),
		}, []string{"12:01:00.000 3 180000 recently_played", "12:03:00.000 1 120000 recently_played", "12:03:00.000 2 120000 recently_played"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := open(t, journal.Options{})
			for _, order := range orders(len(c.in)) {
				if err := j.Wipe(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, i := range order {
					record(t, j, c.in[i])
				}
				var got []string
				points := map[int64]bool{}
				for _, p := range plays(t, j) {
					got = append(got, short(p))
					points[p.PointNS] = true
				}
				slices.Sort(got)
				want := slices.Sorted(slices.Values(c.out))
				if !slices.Equal(got, want) {
					t.Fatalf("order %v\nmakes %s\n want %s", order, strings.Join(got, "\n      "), strings.Join(want, "\n      "))
				}
				if len(points) != len(got) {
					t.Fatalf("%d plays have %d points", len(got), len(points))
				}
			}
		})
	}
}

// orders are all orders of n things, n small.
func orders(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for _, order := range orders(n - 1) {
		for at := range n {
			all = append(all, slices.Insert(slices.Clone(order), at, n-1))
		}
	}
	return all
}
